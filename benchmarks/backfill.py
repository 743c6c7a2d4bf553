"""Speed of ``bbmeasure backfill`` from SQLite: ``python -m benchmarks.backfill [BUILDS]``.

The database is created by Buildbot's own command and models, with three steps in each build.  The journal is new in
each of ROUNDS runs; the figure is the median of their CPU, with the quartiles beside it.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import cpu
from benchmarks.targets import Figures
from tests.e2e.test_backfill import FILL, MASTER_CFG

#: The runs of the command.
ROUNDS = 5


def run(master: Path, folder: Path, builds: int) -> float:
    """Milliseconds of CPU a build, in a copy of the master."""
    shutil.copytree(master, folder)
    command = [sys.executable, "-m", "bbmeasure", "backfill", "--master", str(folder)]
    before = cpu.used()
    subprocess.run(command, check=True, timeout=600, stderr=subprocess.DEVNULL)
    return (cpu.used() - before) / builds * 1_000


def main() -> int:
    """Print the figure with its target."""
    builds = sys.argv[1] if len(sys.argv) > 1 else "5000"
    with tempfile.TemporaryDirectory() as name:
        folder, script = Path(name) / "master", Path(name) / "fill.py"
        script.write_text(FILL)
        subprocess.run(
            [sys.executable, str(script), str(folder), builds, str(int(time.time()))], check=True, timeout=300
        )
        (folder / "master.cfg").write_text(MASTER_CFG)
        spent = [run(folder, Path(name) / f"round{number}", int(builds)) for number in range(ROUNDS)]
    low, middle, high = statistics.quantiles(spent, n=4)
    figures = Figures()
    beside = f"half of the runs {low:.2f} to {high:.2f} ms; {60_000 / middle:,.0f} builds in a minute"
    figures.show("a build of 20,000 in a minute, CPU", middle, "ms", 3.0, beside)
    return figures.status


if __name__ == "__main__":
    sys.exit(main())
