"""A journal with a backlog of many lines, for the benchmarks of the exporter."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from bbmeasure.model import BuildContext, Point
from bbmeasure.storage.sqlite.journal import Journal

#: Series of a builder, each with one point a build.
SERIES = 100
_START = 1_700_000_000_000_000_000


def fill(path: Path, points: int, lines: int, exporter: str) -> None:
    """Write points of ``lines`` lines, a hundred a build, pending for an exporter."""
    with Journal(path) as journal:
        journal.attach_exporter(exporter)
        for batch in batches(points, lines, 1_000):
            journal.write(batch)


def batches(points: int, lines: int, size: int) -> Iterator[list[Point]]:
    """The same points, ``size`` at a time."""
    chance = random.Random(1)
    for first in range(0, points, size):
        yield [_point(number, lines, chance.random()) for number in range(first, min(points, first + size))]


def _point(number: int, lines: int, value: float) -> Point:
    build, series = divmod(number, SERIES)
    builder = f"builder{build % (lines // SERIES)}"
    context = BuildContext(builder, "bot", build, build, "compile", "a" * 40, "main", "project")
    return Point(f"series{series}", _START + number * 1_000, value, {"platform": "linux"}, context)
