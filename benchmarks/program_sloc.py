"""Time and result of ``sloc`` for CPython's library: the bundled counter beside sloccount, pytokei beside itself.

Targets: at least 4 times as fast; a difference of at most 1 % for Python.  Compares CPU time, which depends less on
other load, of the whole program including its start.  The folder is an optional argument.
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

from benchmarks.targets import Figures

ROOT = Path(__file__).resolve().parent.parent
MIN_SPEEDUP = 4.0
MAX_DIFFERENCE = 0.01
RUNS = 3
#: Copies of the library for the comparison with pytokei, and a program of pytokei alone.
COPIES = 10
PYTOKEI = """
import sys, pytokei
languages = pytokei.Languages()
languages.get_statistics([sys.argv[1]], [], pytokei.Config())
print(languages.report_compact_plain())
"""


def main() -> int:
    """Print the figures and their targets; returns 1 where one is missed, 2 where sloccount is not installed."""
    if shutil.which("sloccount") is None:
        print("sloccount: expected it to be installed")
        return 2
    source = sys.argv[1] if len(sys.argv) > 1 else sysconfig.get_path("stdlib")
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, "library")
        shutil.copytree(source, library, ignore=shutil.ignore_patterns("site-packages", "__pycache__", "*.so", "*.a"))
        peer = ["sloccount", "--datadir", tempfile.mkdtemp(dir=folder), library]
        ours = [sys.executable, "-m", "bbmeasure_scripts.sloc", "--tool", "builtin", library]
        (time_ours, output), (time_peer, peer_output) = best([ours, peer])
        beside_pytokei = pytokei(folder, library)
    lines = int(re.findall(r"Python: ([0-9]+)", output)[0])
    peer_lines = int(re.findall(r"^python: +([0-9]+)", peer_output, re.MULTILINE)[0])
    speedup, difference = time_peer / time_ours, abs(lines - peer_lines) / peer_lines
    figures = Figures()
    beside = f"{time_ours:.2f} s, sloccount {time_peer:.2f} s"
    figures.show_least("the bundled counter, faster than sloccount, CPU", speedup, "times", MIN_SPEEDUP, beside)
    beside = f"{lines} lines of Python, sloccount {peer_lines}"
    figures.show("the difference of their lines", difference * 100, "%", MAX_DIFFERENCE * 100, beside)
    (theirs, _), (ours_with, _), files = beside_pytokei
    why = f"the start of the program takes {(ours_with - theirs) * 1e3:.0f} ms more than an import of pytokei"
    figures.show(f"with pytokei, {files} files, CPU", ours_with / theirs, "times", 1.0, why=why)
    return figures.status


def pytokei(folder: str, library: str) -> tuple[tuple[float, str], tuple[float, str], int]:
    """The CPU of pytokei alone and of the program that counts with it, for COPIES of a folder, and its files."""
    many = os.path.join(folder, "many")
    for number in range(COPIES):
        shutil.copytree(library, os.path.join(many, str(number)))
    files = sum(len(names) for _, _, names in os.walk(many))
    program = [sys.executable, "-m", "bbmeasure_scripts.sloc", "--tool", "pytokei", many]
    alone, ours = best([[sys.executable, "-c", PYTOKEI, many], program])
    return alone, ours, files


def best(commands: list[list[str]]) -> list[tuple[float, str]]:
    """The least CPU time of each command, and its output; the commands alternate."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    results = [(float("inf"), "")] * len(commands)
    for _ in range(RUNS):
        for number, command in enumerate(commands):
            before = children()
            done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True)
            results[number] = min(results[number], (children() - before, done.stdout + done.stderr))
    return results


def children() -> float:
    """The CPU time of all children."""
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    start = time.monotonic()
    status = main()
    print(f"took {time.monotonic() - start:.0f} s")
    raise SystemExit(status)
