"""What end-to-end tests share: a configuration to start from, and the journal read by SQLite's own means."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bbmeasure.cli import main
from bbmeasure.model import EVERY_PROPOSAL, MOST_POINTS, Point, Query
from bbmeasure.storage.sqlite.journal import JournalReader
from bbmeasure.testing.site import Site

BASE_CONFIG = """
from buildbot.plugins import schedulers, steps, util, worker

try:
    from bbmeasure.capture import deadlines
    from bbmeasure.reports import judge, judge_queue
except ImportError:  # removed
    pass
else:
    # When a build ends its values are in the journal and judged, however busy the machine is.
    deadlines.WRITE_TIMEOUT = deadlines.SLOW_WRITE_TIMEOUT = 60.0
    judge.DEADLINE = judge_queue.REQUEST_TIMEOUT = 60.0

c = BuildmasterConfig = {}
c["workers"] = [worker.Worker("worker", "demo"), worker.Worker("other", "demo")]
c["protocols"] = {"pb": {"port": f"tcp:{PB_PORT}:interface=127.0.0.1"}}
c["titleURL"] = c["buildbotURL"] = f"http://127.0.0.1:{WWW_PORT}/"
c["www"] = {"port": f"tcp:{WWW_PORT}:interface=127.0.0.1", "plugins": {}}
c["buildbotNetUsageData"] = None
c["builders"] = []
c["schedulers"] = []
c["services"] = []


def add(builder):
    c["builders"].append(builder)
    c["schedulers"].append(schedulers.ForceScheduler("force-" + builder.name, builderNames=[builder.name]))
    return builder
"""


def rows(journal: Path, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """What SQLite says, read beside the running master."""
    connection = sqlite3.connect(f"file:{journal}?mode=ro", uri=True, timeout=60)
    try:
        return connection.execute(statement, arguments).fetchall()
    finally:
        connection.close()


def points_of(journal: Path) -> list[Point]:
    """All points of a journal, those of proposals too."""
    with JournalReader(journal) as reader:
        selected = [
            Query(info.name, proposal=EVERY_PROPOSAL, kind=info.kind, unit=info.unit)
            for info in reader.series(proposal=EVERY_PROPOSAL)
            if info.count
        ]
        return [point for query in selected for point in reader.points(query, MOST_POINTS)]


def wait_for_points(site: Site, counts: Mapping[str, int]) -> None:
    """Wait until the journal holds so many points of each of these series.

    The values of a build's end are written after it; those of a series that was not known before, one after another.
    """

    def found() -> bool:
        stored = Counter(point.series for point in points_of(site.journal)) if site.journal.exists() else Counter()
        return all(stored[name] >= count for name, count in counts.items())

    site.wait_for(found, f"the points {counts}", 300)


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the ``bbmeasure`` command in a process of its own."""
    command = [sys.executable, "-m", "bbmeasure", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def stop_cleanly(site: Site) -> None:
    """Stop the master alone, which saves what waits, and wait for its end; ``Site.stop`` kills a slow one."""
    assert site.master is not None
    site.master.popen.terminate()
    assert site.master.popen.wait(120) == 0


def report(journal: Path, series: str, *more: str) -> dict[str, Any]:
    """What ``bbmeasure report --json`` says of a series."""
    return _printed("report", series, "--journal", str(journal), *more)


def count_of(journal: Path, series: str, *more: str) -> int:
    """The number of points that ``bbmeasure report`` counts; 0 of a series without any, declared or not."""
    return int(report(journal, series, *more).get("count", 0))


def series_names(journal: Path) -> Sequence[str]:
    """The names of all series, those that are declared and have no points yet too."""
    return [one["name"] for one in _printed("series", "--journal", str(journal))["series"]]


def _printed(*arguments: str) -> dict[str, Any]:
    """The JSON that a command prints, run in this process: tests repeat it until they find what they wait for."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        main.main([*arguments, "--json"])
    return dict(json.loads(output.getvalue()))
