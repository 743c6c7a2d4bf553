"""Speed of ``bbmeasure backfill`` from SQLite: ``python -m benchmarks.backfill [BUILDS]``.

The database is created by Buildbot's own command and models, with three steps in each build.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.targets import Figures
from tests.e2e.test_backfill import FILL, MASTER_CFG


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
        command = [sys.executable, "-m", "bbmeasure", "backfill", "--master", str(folder)]
        start = time.perf_counter()
        subprocess.run(command, check=True, timeout=600, stderr=subprocess.DEVNULL)
        took = time.perf_counter() - start
    figures = Figures()
    figures.show(
        "a build of 20,000 in a minute", took / int(builds) * 1_000, "ms", 3.0, f"{int(builds) / took * 60:.0f}/min"
    )
    return figures.status


if __name__ == "__main__":
    sys.exit(main())
