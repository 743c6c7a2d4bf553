"""Time of the program ``size`` for 100,000 files, compared with ``du -sb``.  Target: at most 1.5 times.

Run as ``python -m benchmarks.program_size [FILES]``.  Compares CPU time, which depends less on other load; the
runs alternate, and the best of several counts.

The target applies to the walk and to the whole program, including its start, under the ``python3`` of the system and
without site-packages.  A Python built without optimizations is slower.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile

from bbmeasure_scripts import size
from benchmarks import cpu
from benchmarks.targets import Figures

#: The command ``bbmeasure-size``.
PROGRAM = ("-S", "-c", "import sys; from bbmeasure_scripts.size import main; sys.exit(main())")
TARGET = 1.5
RUNS = 9


def main() -> int:
    """Print the times, their ratio and the target; returns 1 where it is missed."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    system = shutil.which("python3", path=os.defpath) or sys.executable
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as compiled:
        make_tree(folder, files)
        walk, program, here, peer = cpu.best(
            [
                lambda: size.measure([folder]),
                lambda: cpu.command(system, *PROGRAM, folder, PYTHONPYCACHEPREFIX=compiled),
                lambda: cpu.command(sys.executable, *PROGRAM, folder, PYTHONPYCACHEPREFIX=compiled),
                lambda: cpu.command("du", "-sb", folder),
            ],
            RUNS,
        )
    figures = Figures()
    beside = f"du -sb {peer * 1e3:.0f} ms"
    figures.show(f"size of {files} files, the walk, CPU", walk / peer, "times", TARGET, beside)
    why = "the start of Python, and of its site-packages with a virtual environment's"
    figures.show(f"the whole program, {system}", program / peer, "times", TARGET, why=why)
    figures.show(f"the whole program, {sys.executable[-40:]}", here / peer, "times", TARGET, why=why)
    return figures.status


def make_tree(folder: str, files: int) -> None:
    """Create small files, a hundred in each folder."""
    for number in range(files):
        if number % 100 == 0:
            subfolder = os.path.join(folder, f"{number // 10000}", f"{number // 100}")
            os.makedirs(subfolder)
        with open(os.path.join(subfolder, f"file{number}.txt"), "wb") as file:
            file.write(b"x" * (number % 50))


if __name__ == "__main__":
    raise SystemExit(main())
