"""Time of the program ``size`` for 100,000 files, compared with ``du -sb``.  Target: at most 1.6 times.

Run as ``python benchmarks/program_size.py [FILES]``.  Compares CPU time, which depends less on other load; the
runs alternate, and the best of several counts.

The target applies to the walk and to the whole program, including its start, under the ``python3`` of the system and
without site-packages.  A Python built without optimizations is slower.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from bbmeasure_scripts import size  # noqa: E402

#: The command ``bbmeasure-size``.
PROGRAM = ("-S", "-c", "import sys; from bbmeasure_scripts.size import main; sys.exit(main())")
TARGET = 1.6
RUNS = 9


def main() -> int:
    """Print the times, their ratio and the target; returns 1 where it is missed."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    system = shutil.which("python3", path=os.defpath) or sys.executable
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as compiled:
        make_tree(folder, files)
        walk, program, here, peer = best(
            lambda: size.measure([folder]),
            lambda: command(system, *PROGRAM, folder, PYTHONPYCACHEPREFIX=compiled),
            lambda: command(sys.executable, *PROGRAM, folder, PYTHONPYCACHEPREFIX=compiled),
            lambda: command("du", "-sb", folder),
        )
    print(f"size of {files} files: du -sb {peer:.3f} s, target at most {TARGET} times that")
    print(f"  the walk alone, {sys.executable}: {walk:.3f} s, ratio {walk / peer:.2f}")
    print(f"  the whole program, {system}: {program:.3f} s, ratio {program / peer:.2f}")
    print(f"  the whole program, {sys.executable}: {here:.3f} s, ratio {here / peer:.2f}")
    return 0 if max(walk, program) / peer <= TARGET else 1


def make_tree(folder: str, files: int) -> None:
    """Create small files, a hundred in each folder."""
    for number in range(files):
        if number % 100 == 0:
            subfolder = os.path.join(folder, f"{number // 10000}", f"{number // 100}")
            os.makedirs(subfolder)
        with open(os.path.join(subfolder, f"file{number}.txt"), "wb") as file:
            file.write(b"x" * (number % 50))


def command(*arguments: str, **more: str) -> None:
    """Run a command and discard its output; bytecode is cached, as for an installed program."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(arguments, env={**environment, "PYTHONPATH": paths, **more}, capture_output=True, check=True)


def best(*calls: Callable[[], object]) -> list[float]:
    """The least CPU time of each call; the calls alternate, so that other load affects all of them."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(RUNS):
        for call, taken in zip(calls, times):
            before = cpu()
            call()
            taken.append(cpu() - before)
    return [min(taken) for taken in times]


def cpu() -> float:
    """The CPU time of this process and its children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    raise SystemExit(main())
