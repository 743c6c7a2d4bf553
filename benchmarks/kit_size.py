"""How long ``size`` takes to walk 100,000 files, against ``du -sb``.  Target: at most 1.6 times.

Run as ``python benchmarks/kit_size.py [FILES]``.  CPU time is compared, as both use one core and a busy machine makes
the clock lie; they take turns and the best of several runs counts.  The whole program, which first loads Python and
itself, is shown too.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from bbmeasure_scripts import size  # noqa: E402

TARGET = 1.6
RUNS = 9


def main() -> int:
    """Print the times, their ratio and the target; 1 where it is missed."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        make_tree(folder, files)
        walk, program, peer = best(
            lambda: size.measure([folder]),
            lambda: command(sys.executable, "-m", "bbmeasure_scripts.size", folder),
            lambda: command("du", "-sb", folder),
        )
    ratio = walk / peer
    print(f"size of {files} files: {walk:.3f} s, du -sb {peer:.3f} s, ratio {ratio:.2f}, target at most {TARGET}")
    print(f"the whole program: {program:.3f} s, ratio {program / peer:.2f}")
    return 0 if ratio <= TARGET else 1


def make_tree(folder: str, files: int) -> None:
    """That many small files, a hundred to a folder."""
    for number in range(files):
        if number % 100 == 0:
            within = os.path.join(folder, f"{number // 10000}", f"{number // 100}")
            os.makedirs(within)
        with open(os.path.join(within, f"file{number}.txt"), "wb") as file:
            file.write(b"x" * (number % 50))


def command(*arguments: str) -> None:
    """Run a command and throw its output away."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    subprocess.run(arguments, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, check=True)


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
