"""Chunks: the moments of about 256 consecutive points each, which summarize millions of points in milliseconds.

A chunk covers the points of one stream from its ``start`` to its ``last``.  Chunks of a stream never overlap, and every
point is in one.  The statistics of a range merge the moments of the chunks inside it and read the points of the two
chunks at its edges, so that they are exact for any range.  A new point is merged into its chunk; when a point is
replaced or deleted, its chunk is computed again from the points.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from bbmeasure.statistics import Moments

#: The number of points of a new chunk, and the number beyond which a chunk is split.
CHUNK = 256
FULL_CHUNK = 4 * CHUNK
#: Bounds of the times that points can have, exclusive.
EARLIEST, LATEST = -(2**62), 2**62

_PIECES = """
WITH matched AS (SELECT value AS stream FROM json_each(:streams)),
edges AS (
    SELECT c.stream, max(c.start, :since) AS low, min(c.last + 1, :until) AS high
    FROM matched m CROSS JOIN chunks c ON c.stream = m.stream AND c.start IN (
        (SELECT max(start) FROM chunks WHERE stream = m.stream AND start < :since),
        (SELECT max(start) FROM chunks WHERE stream = m.stream AND start < :until))
    WHERE c.last >= :since AND (c.start < :since OR c.last >= :until)),
pieces AS (
    SELECT c.count, c.texts, c.mean, c.m2, c.minimum, c.maximum, c.total
    FROM matched m CROSS JOIN chunks c ON c.stream = m.stream AND c.start >= :since AND c.start < :until
    WHERE c.last < :until
    UNION ALL
    SELECT p.value IS NOT NULL, p.value IS NULL, ifnull(p.value, 0.0), 0.0, p.value, p.value, ifnull(p.value, 0.0)
    FROM edges e CROSS JOIN points p ON p.stream = e.stream AND p.time >= e.low AND p.time < e.high)
"""
_FIRST_PASS = f"""{_PIECES}
SELECT total(count), total(texts), total(count * mean), min(minimum), max(maximum), total(total) FROM pieces"""
_SECOND_PASS = f"""{_PIECES}
SELECT total(count * (mean - :mean)), total(m2 + count * (mean - :mean) * (mean - :mean)) FROM pieces"""


@dataclass
class Chunk:
    """A row of ``chunks``; ``moments`` are of the numbers among its points, ``texts`` counts the others."""

    start: int
    last: int
    texts: int = 0
    moments: Moments = field(default_factory=Moments)
    total: float = 0.0

    @property
    def size(self) -> int:
        """The number of points."""
        return self.moments.count + self.texts

    def add(self, times: Sequence[int], values: Sequence[Optional[float]]) -> None:
        """Add points ordered by time; the value of a text is None."""
        self.start, self.last = min(self.start, times[0]), max(self.last, times[-1])
        numbers = [value for value in values if value is not None]
        self.texts += len(values) - len(numbers)
        if len(numbers) == 1:
            self.moments = self.moments.add(numbers[0])
            self.total += numbers[0]
        elif numbers:
            self.moments = self.moments.merge(Moments.of(numbers))
            self.total += _sum(numbers)
        if not math.isfinite(self.total):
            self.total = math.inf

    def row(self, stream: int) -> tuple[float, ...]:
        """The row, in the order of the table's columns."""
        moments = self.moments
        columns = (moments.count, self.texts, moments.mean, moments.m2, moments.minimum, moments.maximum, self.total)
        return (stream, self.start, self.last, *columns)

    @classmethod
    def of(cls, times: Sequence[int], values: Sequence[Optional[float]]) -> Chunk:
        """The chunk of points ordered by time."""
        made = cls(times[0], times[-1])
        made.add(times, values)
        return made


def _sum(numbers: Sequence[float]) -> float:
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):
        return math.inf


_COLUMNS = "start, last, texts, count, mean, m2, minimum, maximum, total"


def _chunk(row: Optional[Sequence[float]]) -> Optional[Chunk]:
    if row is None:
        return None
    start, last, texts, count, mean, m2, minimum, maximum, total = row
    return Chunk(int(start), int(last), int(texts), Moments(int(count), mean, m2, minimum, maximum), total)


def last_chunk(connection: sqlite3.Connection, stream: int) -> Optional[Chunk]:
    """The newest chunk of a stream."""
    return chunk_at(connection, stream, LATEST)


def chunk_at(connection: sqlite3.Connection, stream: int, time: int) -> Optional[Chunk]:
    """The chunk of a point at ``time``: the newest that does not start after it, else the oldest."""
    before = f"SELECT {_COLUMNS} FROM chunks WHERE stream = ? AND start <= ? ORDER BY start DESC LIMIT 1"
    found = _chunk(connection.execute(before, (stream, time)).fetchone())
    if found is None:
        oldest = f"SELECT {_COLUMNS} FROM chunks WHERE stream = ? ORDER BY start LIMIT 1"
        found = _chunk(connection.execute(oldest, (stream,)).fetchone())
    return found


def cut(times: Sequence[int], values: Sequence[Optional[float]]) -> Iterable[Chunk]:
    """The new chunks of points ordered by time."""
    for at in range(0, len(times), CHUNK):
        yield Chunk.of(times[at : at + CHUNK], values[at : at + CHUNK])


def rebuild(connection: sqlite3.Connection, stream: int, start: int, last: int) -> None:
    """Compute the chunks from ``start`` to ``last`` again from their points."""
    points = connection.execute(
        "SELECT time, value FROM points WHERE stream = ? AND time BETWEEN ? AND ? ORDER BY time", (stream, start, last)
    ).fetchall()
    connection.execute("DELETE FROM chunks WHERE stream = ? AND start BETWEEN ? AND ?", (stream, start, last))
    rows = [chunk.row(stream) for chunk in cut([time for time, _ in points], [value for _, value in points])]
    connection.executemany("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


@dataclass(frozen=True)
class Totals:
    """The totals of a range."""

    moments: Moments
    total: float
    texts: int

    @property
    def points(self) -> int:
        """The number of points, texts included."""
        return self.moments.count + self.texts


def totals(connection: sqlite3.Connection, where: Mapping[str, Any]) -> Totals:
    """The totals of ``streams`` (ids as JSON) in [since, until); the M2 of their moments is 0."""
    count, texts, weighted, minimum, maximum, total = connection.execute(_FIRST_PASS, where).fetchone()
    if not count:
        return Totals(Moments(), 0.0, int(texts))
    moments = Moments(int(count), _number(weighted) / count, 0.0, minimum, maximum)
    return Totals(moments, _number(total), int(texts))


def with_spread(connection: sqlite3.Connection, where: Mapping[str, Any], known: Totals) -> Totals:
    """The totals with their M2, from a second pass about the mean of the first.

    The second pass also corrects the rounding error of that mean.
    """
    moments = known.moments
    if not moments.count or not math.isfinite(moments.mean):
        return replace(known, moments=replace(moments, m2=math.inf if moments.count else 0.0))
    about = {**where, "mean": moments.mean}
    error, squares = (_number(value) for value in connection.execute(_SECOND_PASS, about).fetchone())
    m2 = max(0.0, squares - error * (error / moments.count))
    m2 = math.inf if math.isnan(m2) else m2
    return replace(known, moments=replace(moments, mean=moments.mean + error / moments.count, m2=m2))


def _number(value: Optional[float]) -> float:
    """A float of SQLite, which returns NULL for a sum that no float can hold."""
    return math.inf if value is None else value
