"""Import: writes points of past builds into a journal."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from bbmeasure.capture.identity import Value, point_of
from bbmeasure.errors import MeasureError
from bbmeasure.model import Point, SeriesInfo
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.storage.validation import check_point

#: Points that are written in one transaction, and refused items that are described.
CHUNK = 1_000
MOST_SHOWN = 3


def imported_buildid(builder: str, number: int) -> int:
    """An id that identifies a build in a journal, and that no build of a master has."""
    identity = json.dumps([builder, number]).encode()
    return -1 - int.from_bytes(hashlib.blake2b(identity, digest_size=8).digest(), "big") % 2**53


class Import:
    """One import into a journal; ``counters`` and ``refusals`` hold its results."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.counters: Counter[str] = Counter()
        self.refusals: list[str] = []
        self._declared: dict[tuple[str, str], SeriesInfo] = {}

    def run(self, items: Iterable[tuple[str, Callable[[], Sequence[Value]]]]) -> None:
        """Write the points of ``items``: where each is from, and what reads its values or raises MeasureError."""
        points = self._points(items)
        while chunk := list(islice(points, CHUNK)):
            self.journal.write(chunk)
            self.counters["points"] += len(chunk)

    def _points(self, items: Iterable[tuple[str, Callable[[], Sequence[Value]]]]) -> Iterator[Point]:
        for where, read in items:
            try:
                values = read()
                points = [point_of(value, value.time or 0) for value in values]
                for value, point in zip(values, points):
                    check_point(point)
                    self._declare(value)
            except MeasureError as error:
                self.counters["refused"] += 1
                if len(self.refusals) < MOST_SHOWN:
                    self.refusals.append(f"{where}: {error}")
                continue
            yield from points

    def _declare(self, value: Value) -> None:
        """Declare the series of a value with its first point of a builder; SeriesConflictError where it disagrees."""
        record, builder = value.record, value.context.builder if value.context else ""
        held = self._declared.get((record.name, builder))
        if held is None or record.unit != held.unit or (record.kind is not held.kind):
            info = SeriesInfo(record.name, record.kind, record.unit, record.better, builders=(builder,))
            self._declared[record.name, builder] = self.journal.declare(info)
