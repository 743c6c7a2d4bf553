"""A journal with a backlog of many lines, for the benchmarks of the exporter."""

from __future__ import annotations

import random
from pathlib import Path

from bbmeasure.model import BuildContext, Point
from bbmeasure.storage.sqlite.journal import Journal

#: Series of a builder, each with one point a build.
SERIES = 100
_START = 1_700_000_000_000_000_000


def fill(path: Path, points: int, lines: int, exporter: str) -> None:
    """Write points of ``lines`` lines, a hundred a build, pending for an exporter."""
    chance = random.Random(1)
    with Journal(path) as journal:
        journal.attach_exporter(exporter)
        for first in range(0, points, 1_000):
            journal.write([_point(number, lines, chance.random()) for number in range(first, first + 1_000)])


def _point(number: int, lines: int, value: float) -> Point:
    build, series = divmod(number, SERIES)
    builder = f"builder{build % (lines // SERIES)}"
    context = BuildContext(builder, "bot", build, build, "compile", "a" * 40, "main", "project")
    return Point(f"series{series}", _START + number * 1_000, value, {"platform": "linux"}, context)
