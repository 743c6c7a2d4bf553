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
from operator import attrgetter
from typing import Callable

from bbmeasure_scripts import size
from benchmarks import cpu
from benchmarks.targets import Figures

#: The command ``bbmeasure-size``.
PROGRAM = ("-S", "-c", "import sys; from bbmeasure_scripts.size import main; sys.exit(main())")
TARGET = 1.5
RUNS = 9
_SIZE = attrgetter("st_size")


def main() -> int:
    """Print the times, their ratio and the target; returns 1 where it is missed."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    system = shutil.which("python3", path=os.defpath) or sys.executable
    with tempfile.TemporaryDirectory() as parent:
        folder, empty, compiled = (os.path.join(parent, name) for name in ("many", "one", "compiled"))
        make_tree(folder, files)
        make_tree(empty, 1)

        def program(python: str, path: str) -> Callable[[], None]:
            return lambda: cpu.command(python, *PROGRAM, path, PYTHONPYCACHEPREFIX=compiled)

        walk, least, peer, of_system, of_system_start, here, here_start = cpu.best(
            [
                lambda: size.measure([folder]),
                lambda: bare_walk(folder),
                lambda: cpu.command("du", "-sb", folder),
                program(system, folder),
                program(system, empty),
                program(sys.executable, folder),
                program(sys.executable, empty),
            ],
            RUNS,
        )
    figures = Figures()
    beside = f"du -sb {peer * 1e3:.0f} ms"
    why = f"Python's scandir and stat alone take {least / peer:.2f} times"
    figures.show(f"size of {files} files, the walk, CPU", walk / peer, "times", TARGET, beside, why=why)
    for python, taken, start in ((system, of_system, of_system_start), (sys.executable, here, here_start)):
        more = f"the start of the program takes {start * 1e3:.0f} ms, {start / peer:.2f} times; {why}"
        figures.show(f"the whole program, {python[-40:]}", taken / peer, "times", TARGET, why=more)
    return figures.status


def bare_walk(folder: str) -> int:
    """The sum of the sizes of files, with the fewest and fastest calls of Python's library that find them."""
    total, folders = 0, [folder]
    while folders:
        path = folders.pop()
        descriptor = os.open(path, os.O_RDONLY)
        with os.scandir(descriptor) as entries:
            listed = list(entries)
        files = [entry for entry in listed if entry.is_file(follow_symlinks=False)]
        if len(files) < len(listed):
            folders += [os.path.join(path, entry.name) for entry in listed if entry.is_dir(follow_symlinks=False)]
        total += sum(map(_SIZE, map(os.DirEntry.stat, files)))
        os.close(descriptor)
    return total


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
