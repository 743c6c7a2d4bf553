"""Queries of the journal, functions of a connection.

Each is called inside a read transaction, so that all its statements see the same state of the file.
"""

from __future__ import annotations

import heapq
import json
import math
import sqlite3
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from bbmeasure.model import Bucket, BuildContext, Point, Query, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.statistics import Moments, Statistic, Value, needs_only_moments
from bbmeasure.storage.sqlite import rollup
from bbmeasure.storage.sqlite.percentiles import percentiles
from bbmeasure.storage.validation import (
    bucket_edges,
    canonical_tags,
    check_buckets,
    check_limit,
    check_text_statistics,
    compute,
    tags_match,
)

#: Statistics of up to so many points are computed from the points instead of the chunks, with one rounding.
SMALL = 2_000
#: ``builds.id`` is the buildid times VARIANTS, plus the number of a variant of revision, branch and project.
VARIANTS = 256

_POINT = """p.time, p.value, p.text, p.samples, p.spread, p.build, b.number, t.name, b.revision, b.branch, b.project"""
_JOINED = "LEFT JOIN builds b ON b.id = p.build LEFT JOIN steps t ON t.id = p.step"
_NEWEST = f"""SELECT {_POINT} FROM points p {_JOINED}
    WHERE p.stream = ? AND p.time >= ? AND p.time < ? ORDER BY p.time DESC LIMIT ?"""
_NEWEST_BEFORE = f"""SELECT {_POINT} FROM points p {_JOINED}
    WHERE p.stream = ? AND p.time >= ? AND p.time < ? AND p.build < ? ORDER BY p.time DESC LIMIT ?"""
#: Streams with the last time of their newest chunk in a range, after which no point of the range can be.
_ENDS = """SELECT m.value, (SELECT c.last FROM chunks c WHERE c.stream = m.value AND c.start < :until
        ORDER BY c.start DESC LIMIT 1) AS end
    FROM json_each(:streams) m WHERE end >= :since"""
_FIRST = """SELECT p.value, p.text FROM points p JOIN (
        SELECT m.value AS stream, (SELECT time FROM points WHERE stream = m.value AND time >= :since AND time < :until
            ORDER BY time LIMIT 1) AS time
        FROM json_each(:streams) m WHERE time IS NOT NULL ORDER BY time, stream LIMIT 1) f
    ON p.stream = f.stream AND p.time = f.time"""
_EXTENT = """SELECT
        min((SELECT time FROM points WHERE stream = m.value AND time >= :since AND time < :until
            ORDER BY time LIMIT 1)),
        max((SELECT time FROM points WHERE stream = m.value AND time >= :since AND time < :until
            ORDER BY time DESC LIMIT 1))
    FROM json_each(:streams) m"""
_INTERVAL = """SELECT count(*), count(p.value), total(p.value), min(p.value), max(p.value)
    FROM json_each(:streams) m CROSS JOIN points p ON p.stream = m.value AND p.time >= :since AND p.time < :until"""

#: The pending points of an exporter that still exist: sequence number, and the columns of ``points``.
QUEUED = """SELECT o.seq, o.stream, p.time, p.value, p.text, p.samples, p.spread, p.build, p.step
    FROM outbox o CROSS JOIN points p ON p.stream = o.stream AND p.time = o.time
    JOIN streams m ON m.id = o.stream JOIN series s ON s.id = m.series
    WHERE o.sink = ? AND s.name IS NOT NULL ORDER BY o.seq LIMIT ?"""
#: The points since a time, ordered by stream and time, after a given stream and time: stream, time, estimated bytes.
SINCE = """SELECT p.stream, p.time, 80 + length(s.name) + length(m.builder) + length(m.worker) + length(m.tags)
        + ifnull(length(p.text), 0)
    FROM streams m JOIN series s ON s.id = m.series AND s.name IS NOT NULL CROSS JOIN points p
        ON p.stream = m.id AND p.time >= CASE WHEN m.id = :stream THEN :time + 1 ELSE :since END
    WHERE m.id >= :stream ORDER BY m.id, p.time LIMIT :limit"""


@dataclass(frozen=True)
class Stream:
    """A series with one builder, worker and set of tags, and its id in the file."""

    id: int
    series: str
    builder: str
    worker: str
    tags: Mapping[str, str]

    def point(self, row: Sequence[Any]) -> Point:
        """The point of a row with the columns ``_POINT``."""
        time, value, text, samples, spread, build, number, step, revision, branch, project = row
        context = None
        if build is not None:
            buildid = build // VARIANTS
            context = BuildContext(self.builder, self.worker, number, buildid, step, revision, branch, project)
        return Point(self.series, time, text if value is None else value, self.tags, context, samples or 1, spread)


@dataclass(frozen=True)
class Range:
    """The streams and the time range that a query matches."""

    streams: Sequence[Stream]
    since: int
    until: int

    @property
    def where(self) -> dict[str, Any]:
        """The parameters of the statements over several streams."""
        return {"streams": json.dumps([stream.id for stream in self.streams]), "since": self.since, "until": self.until}


def series_info(connection: sqlite3.Connection, name: str) -> Optional[SeriesInfo]:
    """The declaration of a series."""
    found = connection.execute("SELECT kind, unit, better FROM series WHERE name = ?", (name,)).fetchone()
    return info_of(name, *found) if found else None


def info_of(name: str, kind: str, unit: str, better: str, **content: Any) -> SeriesInfo:
    """The SeriesInfo of a row of ``series``; ``content`` are its counts, times and last value."""
    return SeriesInfo(name, Kind(kind), unit, Direction(better), **content)


def find(connection: sqlite3.Connection, query: Query) -> Range:
    """The streams and time range of ``query`` in this file."""
    condition, parameters = "s.name = ?", [query.series]
    for column, name in (("builder", query.builder), ("worker", query.worker)):
        if name is not None:
            condition += f" AND m.{column} = ?"
            parameters.append(name)
    if query.exact_tags:
        condition += " AND m.tags = ?"
        parameters.append(canonical_tags(query.tags))
    rows = connection.execute(
        "SELECT m.id, m.builder, m.worker, m.tags FROM streams m JOIN series s ON s.id = m.series "
        f"WHERE {condition} ORDER BY m.id",
        parameters,
    ).fetchall()
    streams = [Stream(id_, query.series, builder, worker, json.loads(tags)) for id_, builder, worker, tags in rows]
    if query.builders is not None:
        streams = [stream for stream in streams if stream.builder in query.builders]
    if query.tags and not query.exact_tags:
        streams = [stream for stream in streams if tags_match(stream.tags, query.tags, exact=False)]
    since = rollup.EARLIEST if query.since is None else max(query.since, rollup.EARLIEST)
    until = rollup.LATEST if query.until is None else min(query.until, rollup.LATEST)
    return Range(streams, min(since, rollup.LATEST), max(until, rollup.EARLIEST))


class _StreamCursor:
    """Iterates over the points of one stream from the newest to the oldest, reading a block at a time."""

    def __init__(self, connection: sqlite3.Connection, stream: Stream, since: int, before: Optional[int]) -> None:
        self._connection = connection
        self._stream = stream
        self._since = since
        self._before = None if before is None else max(-(2**54), min(before, 2**54)) * VARIANTS
        self._rows: list[Sequence[Any]] = []

    def read(self, until: int, block: int) -> Optional[int]:
        """Read the newest points before ``until``, at most ``block``; returns the time of the newest or None."""
        where = (self._stream.id, self._since, until)
        if self._before is None:
            self._rows = self._connection.execute(_NEWEST, (*where, block)).fetchall()
        else:
            self._rows = self._connection.execute(_NEWEST_BEFORE, (*where, self._before, block)).fetchall()
        self._rows.reverse()
        return self.time

    @property
    def time(self) -> Optional[int]:
        """The time of the next point read; None at the end of the block."""
        return self._rows[-1][0] if self._rows else None

    def take(self) -> Point:
        """Remove and return the next point read."""
        return self._stream.point(self._rows.pop())


def newest(connection: sqlite3.Connection, found: Range, limit: int, before: Optional[int] = None) -> list[Point]:
    """The newest ``limit`` points, newest first; with ``before`` only those of builds with a smaller buildid.

    A merge of the streams from their newest points; a stream whose chunks end earlier is not read.
    """
    ends = connection.execute(_ENDS, found.where).fetchall()
    block = min(limit, 2 * limit // max(1, len(ends)) + 1) if len(ends) > 1 else limit
    streams = {stream.id: stream for stream in found.streams}
    heap = [(-end, -id_, _StreamCursor(connection, streams[id_], found.since, before)) for id_, end in ends]
    heapq.heapify(heap)
    taken: list[Point] = []
    while heap and len(taken) < limit:
        bound, id_, cursor = -heap[0][0], heap[0][1], heap[0][2]
        if cursor.time == bound:
            taken.append(cursor.take())
            time = cursor.time if cursor.time is not None else cursor.read(bound, block)
        else:
            time = cursor.read(min(found.until, bound + 1), block)
        if time is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (-time, id_, cursor))
    return taken


def points(connection: sqlite3.Connection, query: Query, limit: int) -> list[Point]:
    """The newest ``limit`` points, oldest first."""
    return newest(connection, find(connection, query), check_limit(limit))[::-1]


def last(connection: sqlite3.Connection, query: Query, before: Optional[int] = None) -> Optional[Point]:
    """The newest point; with ``before``, the newest of another build with a smaller buildid."""
    taken = newest(connection, find(connection, query), 1, before)
    return taken[0] if taken else None


def records(connection: sqlite3.Connection, buildid: int) -> list[Point]:
    """All points of a build, ordered by time."""
    if abs(buildid) >= 2**54:
        return []
    rows = connection.execute(
        f"SELECT m.id, s.name, m.builder, m.worker, m.tags, {_POINT} FROM points p "
        f"JOIN streams m ON m.id = p.stream JOIN series s ON s.id = m.series {_JOINED} "
        "WHERE p.build BETWEEN ? AND ? AND s.name IS NOT NULL ORDER BY p.time, p.stream",
        (buildid * VARIANTS, buildid * VARIANTS + VARIANTS - 1),
    )
    return [Stream(row[0], row[1], row[2], row[3], json.loads(row[4])).point(row[5:]) for row in rows]


def series(connection: sqlite3.Connection, builders: Optional[Collection[str]] = None) -> list[SeriesInfo]:
    """All series by name, with counts, times and last values; reads the chunks and the last point of each.

    With ``builders`` only the series that have points of these builders, described by these points alone.
    """
    streams_of: dict[int, list[tuple[int, int, int, int, str]]] = {}
    condition = "" if builders is None else "WHERE m.builder IN (SELECT value FROM json_each(?)) "
    for series_id, *stream in connection.execute(
        "SELECT m.series, max(c.last), c.stream, sum(c.count + c.texts), min(c.start), m.builder "
        f"FROM chunks c JOIN streams m ON m.id = c.stream {condition}GROUP BY c.stream",
        () if builders is None else (json.dumps(sorted(builders)),),
    ):
        streams_of.setdefault(series_id, []).append(tuple(stream))
    infos = []
    all_series = "SELECT id, name, kind, unit, better FROM series WHERE name IS NOT NULL ORDER BY name"
    for series_id, *declaration in connection.execute(all_series).fetchall():
        streams = streams_of.get(series_id)
        if not streams:
            if builders is None:
                infos.append(info_of(*declaration))
            continue
        time, stream, *_ = max(streams)
        newest_value = connection.execute(
            "SELECT value, text FROM points WHERE stream = ? AND time = ?", (stream, time)
        ).fetchone()
        infos.append(
            info_of(
                *declaration,
                builders=tuple(sorted({builder for *_, builder in streams} - {""})),
                count=sum(count for _, _, count, _, _ in streams),
                first=min(first for _, _, _, first, _ in streams),
                last=time,
                last_value=newest_value[1] if newest_value[0] is None else newest_value[0],
            )
        )
    return infos


def recall(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, float]:
    """The last ``state`` written under each of ``keys`` that has one."""
    values = {}
    for key in keys:
        row = connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        if row is not None:
            values[key] = row[0]
    return values


def summarize(
    connection: sqlite3.Connection, query: Query, statistics: Sequence[Statistic], *, small: int = SMALL
) -> dict[str, Optional[Value]]:
    """The statistics by name; None for those that no point defines.  See :data:`SMALL` for ``small``."""
    info = series_info(connection, query.series)
    if info is not None:
        check_text_statistics(info, statistics)
    found = find(connection, query)
    totals = rollup.totals(connection, found.where)
    if totals.points <= small:
        values = [value for _, value in _values(connection, found)]
        numbers = [value for value in values if not isinstance(value, str)]
        return {statistic.name: compute(statistic, values, numbers) for statistic in statistics}
    if any(statistic.name == "deviation" for statistic in statistics):
        totals = rollup.with_spread(connection, found.where, totals)
    ranked = [statistic for statistic in statistics if statistic.is_percentile]
    results: dict[str, Optional[Value]] = {}
    if ranked:
        results.update(percentiles(connection, found.where, totals.moments.count, ranked))
    for statistic in statistics:
        if not statistic.is_percentile:
            results[statistic.name] = _from_totals(connection, found, totals, statistic)
    return {statistic.name: results[statistic.name] for statistic in statistics}


def _from_totals(
    connection: sqlite3.Connection, found: Range, totals: rollup.Totals, statistic: Statistic
) -> Optional[Value]:
    """One statistic of many points, read from the points only where the totals do not suffice."""
    if statistic.name == "count":
        return float(totals.points)
    if statistic.name == "sum":
        return Moments(1, totals.total).answer(statistic) if totals.moments.count else None
    if needs_only_moments(statistic):
        return totals.moments.answer(statistic)
    if statistic.name == "last":
        return newest(connection, found, 1)[0].value
    if statistic.name == "first":
        return _first(connection, found)
    values = [value for _, value in _values(connection, found) if not isinstance(value, str)]
    return statistic.function(values)


def _first(connection: sqlite3.Connection, found: Range) -> Value:
    value, text = connection.execute(_FIRST, found.where).fetchone()
    return text if value is None else value  # type: ignore[no-any-return]


def _values(connection: sqlite3.Connection, found: Range) -> list[tuple[int, Value]]:
    """Times and values of all points of a range, ordered by time."""
    rows = [
        (time, stream.id, text if value is None else value)
        for stream in found.streams
        for time, value, text in connection.execute(
            "SELECT time, value, text FROM points WHERE stream = ? AND time >= ? AND time < ?",
            (stream.id, found.since, found.until),
        )
    ]
    rows.sort(key=lambda row: row[:2])
    return [(time, value) for time, _, value in rows]


def buckets(connection: sqlite3.Connection, query: Query, count: int, *, small: int = SMALL) -> list[Bucket]:
    """``count`` intervals of equal length, see :meth:`~bbmeasure.storage.base.Storage.buckets`."""
    check_buckets(count)
    found = find(connection, query)
    totals = rollup.totals(connection, found.where)
    if not totals.points:
        return []
    low, high = connection.execute(_EXTENT, found.where).fetchone()
    first = low if query.since is None else query.since
    end = high + 1 if query.until is None else query.until
    edges = bucket_edges(first, end, count)
    if totals.points <= small:
        return _small_buckets(edges, _values(connection, found))
    # chunks pay only when a bucket contains whole ones
    read = rollup.totals if totals.points > 2 * rollup.CHUNK * count * len(found.streams) else _totals_of_points
    made = []
    for low, high in zip(edges, edges[1:]):
        inside = replace(found, since=max(low, found.since), until=min(high, found.until))
        made.append(_bucket(low, read(connection, inside.where)))
    return made


def _totals_of_points(connection: sqlite3.Connection, where: Mapping[str, Any]) -> rollup.Totals:
    """The result of :func:`rollup.totals`, computed from the points."""
    points, count, total, minimum, maximum = connection.execute(_INTERVAL, where).fetchone()
    if not count:
        return rollup.Totals(Moments(), 0.0, points)
    total = math.inf if total is None else total
    return rollup.Totals(Moments(count, total / count, 0.0, minimum, maximum), total, points - count)


def _small_buckets(edges: Sequence[int], values: Sequence[tuple[int, Value]]) -> list[Bucket]:
    times = [time for time, _ in values]
    marks = [bisect_left(times, edge) for edge in edges]
    made = []
    for at, edge in enumerate(edges[:-1]):
        inside = [value for _, value in values[marks[at] : marks[at + 1]]]
        moments = Moments.of(value for value in inside if not isinstance(value, str))
        made.append(_bucket(edge, rollup.Totals(moments, 0.0, len(inside) - moments.count)))
    return made


def _bucket(time: int, totals: rollup.Totals) -> Bucket:
    moments = totals.moments
    if not moments.count:
        return Bucket(time, totals.points, None, None, None)
    return Bucket(time, totals.points, moments.mean, moments.minimum, moments.maximum)
