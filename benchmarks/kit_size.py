"""How long ``size`` takes for 100,000 files, against ``du -sb``.  Target: at most 1.6 times.

Run as ``python benchmarks/kit_size.py [FILES]``; each is started as its own process and the best of several runs counts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = 1.6
RUNS = 7


def main() -> int:
    """Print both times, their ratio and the target; 1 where it is missed."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        make_tree(folder, files)
        ours = [sys.executable, "-c", "from bbmeasure_scripts.size import main; main()", folder]
        mine, peer = best([ours, ["du", "-sb", folder]])
    ratio = mine / peer
    print(f"size of {files} files: {mine:.3f} s, du -sb {peer:.3f} s, ratio {ratio:.2f}, target at most {TARGET}")
    return 0 if ratio <= TARGET else 1


def make_tree(folder: str, files: int) -> None:
    """That many small files, a hundred to a folder."""
    for number in range(files):
        if number % 100 == 0:
            within = os.path.join(folder, f"{number // 10000}", f"{number // 100}")
            os.makedirs(within)
        with open(os.path.join(within, f"file{number}.txt"), "wb") as file:
            file.write(b"x" * (number % 50))


def best(commands: list[list[str]]) -> list[float]:
    """The shortest time of each command; they take turns, so that a slow moment of the machine meets all."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    environment = {**os.environ, "PYTHONPATH": paths}
    times: list[list[float]] = [[] for _ in commands]
    for _ in range(RUNS):
        for command, taken in zip(commands, times):
            start = time.perf_counter()
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            taken.append(time.perf_counter() - start)
    return [min(taken) for taken in times]


if __name__ == "__main__":
    raise SystemExit(main())
