"""The journal's queries on a million points of one series, with 500 other series in the file.

``python -m benchmarks.storage_read [POINTS]``.  The peer in the last column is plain SQL over all points.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
from pathlib import Path

from bbmeasure import statistics
from bbmeasure.model import BuildContext, Point, Query
from bbmeasure.storage.sqlite import overview
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.times import NANOSECONDS
from benchmarks.targets import Figures, best_of

START = 1_700_000_000 * NANOSECONDS
MINUTE = 60 * NANOSECONDS


def fill(path: Path, points: int) -> None:
    """Write ``points`` points of "big", one a minute and ten a build, and 500 series of three builders."""
    source = random.Random(1)
    with Journal(path) as journal:
        for first in range(0, points, 10_000):
            journal.write(
                [
                    Point("big", START + n * MINUTE, 1e9 + source.random(), {}, _build(n // 10, "first"))
                    for n in range(first, min(points, first + 10_000))
                ]
            )
        for series in range(500):
            journal.write(
                [
                    Point(f"series {series}", START + n * MINUTE, source.random(), {}, _build(n, f"builder {n % 3}"))
                    for n in range(100)
                ]
            )


def _build(number: int, builder: str) -> BuildContext:
    return BuildContext(builder, "worker", number, number, "step", "0123456789abcdef", "main", "project")


def main() -> int:
    """Print each figure with its target; returns 1 if a target is missed."""
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    figures = Figures()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.sqlite"
        fill(path, points)
        print(f"{points} points of one series, {path.stat().st_size / (points + 50_000):.0f} bytes per point")
        with JournalReader(path) as reader:
            whole = Query("big")
            part = Query("big", since=START + points // 9 * MINUTE + 1, until=START + points // 8 * 7 * MINUTE + 1)

            def summarized(query: Query, names: str) -> float:
                return best_of(lambda: reader.summarize(query, statistics.find_all(names.split(","))))

            plain = sqlite3.connect(path)
            average = best_of(lambda: plain.execute("SELECT avg(value) FROM points WHERE stream = 1").fetchone())
            ordered = "SELECT value FROM points WHERE stream = 1 ORDER BY value LIMIT 1 OFFSET ?"
            median = best_of(lambda: plain.execute(ordered, (points // 2,)).fetchone())
            figures.show(
                "average, deviation", summarized(whole, "average,deviation"), "ms", 50, f"SQL avg() {average:.0f}"
            )
            figures.show("average, deviation of a range", summarized(part, "average,deviation"), "ms", 50)
            figures.show("median", summarized(whole, "median"), "ms", 1000, f"SQL ORDER BY {median:.0f}")
            figures.show("median, p95 of a range", summarized(part, "median,p95"), "ms", 1000)
            every = "average,deviation,minimum,maximum,median,p95,count,sum,first,last"
            figures.show("all statistics of the page", summarized(whole, every), "ms", 1000)
            figures.show("200 buckets", best_of(lambda: reader.buckets(whole, 200)), "ms", 600)
            figures.show("200 buckets of a range", best_of(lambda: reader.buckets(part, 200)), "ms", 600)
            figures.show("the newest 1,000 points", best_of(lambda: reader.points(whole, 1000)), "ms", 100)
            figures.show("the last of an earlier build", best_of(lambda: reader.last(whole, points // 10)), "ms", 5)
            figures.show("the last before an old build", best_of(lambda: reader.last(whole, points // 100)), "ms", 200)
            figures.show("the points of a build", best_of(lambda: reader.records(points // 20)), "ms", 5)
            figures.show("overview of 501 series", best_of(lambda: reader.read(overview.series)), "ms", 100)
            plain.close()
    return figures.status


if __name__ == "__main__":
    sys.exit(main())
