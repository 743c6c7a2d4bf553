"""How long the bundled counter takes for CPython's library, against sloccount, and how far their figures differ.

Targets: at least 4 times as fast, on one core; within 1 % for Python.  CPU time is compared, as both use one core and a
busy machine makes the clock lie; the whole program counts, Python's start too.  The folder may be given.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FASTER = 4.0
NEAR = 0.01
RUNS = 3


def main() -> int:
    """Print the figures and their targets; 1 where one is missed, 2 where sloccount is not there."""
    if shutil.which("sloccount") is None:
        print("sloccount: not found, nothing to compare with")
        return 2
    source = sys.argv[1] if len(sys.argv) > 1 else sysconfig.get_path("stdlib")
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, "library")
        shutil.copytree(source, library, ignore=shutil.ignore_patterns("site-packages", "__pycache__", "*.so", "*.a"))
        peer = ["sloccount", "--datadir", tempfile.mkdtemp(dir=folder), library]
        ours = [sys.executable, "-m", "bbmeasure_scripts.sloc", "--tool", "builtin", library]
        (mine, said), (theirs, peer_said) = best([ours, peer])
    lines = int(re.findall(r"Python: ([0-9]+)", said)[0])
    peer_lines = int(re.findall(r"^python: +([0-9]+)", peer_said, re.MULTILINE)[0])
    faster, near = theirs / mine, abs(lines - peer_lines) / peer_lines
    print(f"sloc: {mine:.2f} s, sloccount {theirs:.2f} s, ratio {faster:.1f}, target at least {FASTER}")
    print(f"Python: {lines} lines, sloccount {peer_lines}, {near:.2%} apart, target at most {NEAR:.0%}")
    return 0 if faster >= FASTER and near <= NEAR else 1


def best(commands: list[list[str]]) -> list[tuple[float, str]]:
    """The least CPU time of each command and what it says; they take turns."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    found = [(float("inf"), "")] * len(commands)
    for _ in range(RUNS):
        for number, command in enumerate(commands):
            before = children()
            done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True)
            found[number] = min(found[number], (children() - before, done.stdout + done.stderr))
    return found


def children() -> float:
    """CPU time of all children so far."""
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    start = time.monotonic()
    status = main()
    print(f"took {time.monotonic() - start:.0f} s")
    raise SystemExit(status)
