"""How long ``size`` takes to walk 100,000 files, against ``du -sb``.  Target: at most 1.6 times.

Run as ``python benchmarks/kit_size.py [FILES]``.  CPU time is compared, as all use one core and a busy machine makes
the clock lie; they take turns and the best of several runs counts.

The target holds for the walk and for the whole program, which first loads Python and itself, as a worker has it: under
the system's own ``python3``, and without what this machine's site-packages load at every start.  A Python that was
built without optimizations, as this one may be, takes longer for the same.
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

#: What the command ``bbmeasure-size`` does.
PROGRAM = ("-S", "-c", "import sys; from bbmeasure_scripts.size import main; sys.exit(main())")
TARGET = 1.6
RUNS = 9


def main() -> int:
    """Print the times, their ratio and the target; 1 where it is missed."""
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
    """That many small files, a hundred to a folder."""
    for number in range(files):
        if number % 100 == 0:
            within = os.path.join(folder, f"{number // 10000}", f"{number // 100}")
            os.makedirs(within)
        with open(os.path.join(within, f"file{number}.txt"), "wb") as file:
            file.write(b"x" * (number % 50))


def command(*arguments: str, **more: str) -> None:
    """Run a command and throw its output away; a program's bytecode is kept, as that of an installed one is."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(arguments, env={**environment, "PYTHONPATH": paths, **more}, capture_output=True, check=True)


def best(*calls: Callable[[], object]) -> list[float]:
    """The least CPU time of each call; they take turns, so that a slow moment of the machine meets all."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(RUNS):
        for call, taken in zip(calls, times):
            before = cpu()
            call()
            taken.append(cpu() - before)
    return [min(taken) for taken in times]


def cpu() -> float:
    """CPU time of this process and all its children so far."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    raise SystemExit(main())
