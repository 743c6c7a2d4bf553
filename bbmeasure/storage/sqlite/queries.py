"""Queries of the journal, functions of a connection.

Each is called inside a read transaction, so that all its statements see the same state of the file.
"""

from __future__ import annotations

import heapq
import math
import sqlite3
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Optional

from bbmeasure.model import Bucket, Point, Query
from bbmeasure.statistics import Moments, Statistic, Value, needs_only_moments
from bbmeasure.storage.sqlite import rollup
from bbmeasure.storage.sqlite.build_rows import VARIANTS
from bbmeasure.storage.sqlite.percentiles import percentiles
from bbmeasure.storage.sqlite.selection import (
    JOINED,
    POINT,
    Range,
    Stream,
    find,
    find_one_meaning,
    points_of_build,
    points_of_proposal,
)
from bbmeasure.storage.validation import bucket_edges, check_buckets, check_limit, check_text_statistics, compute

#: Statistics of up to so many points are computed from the points instead of the chunks, with one rounding.
SMALL = 2_000

_NEWEST = f"""SELECT {POINT} FROM points p {JOINED}
    WHERE p.stream = ? AND p.time >= ? AND p.time < ? {{}} ORDER BY p.time DESC LIMIT ?"""
_NEWEST_OF_ALL, _NEWEST_BEFORE = _NEWEST.format(""), _NEWEST.format("AND p.build < ?")
#: Streams with the last time of their newest chunk in a range, after which no point of the range can be.
_ENDS = """SELECT m.value, (SELECT c.last FROM chunks c WHERE c.stream = m.value AND c.start < :until
        ORDER BY c.start DESC LIMIT 1) AS end
    FROM json_each(:streams) m WHERE end >= :since"""
_FIRST = """SELECT ifnull(p.value, d.text) FROM points p JOIN (
        SELECT m.value AS stream, (SELECT time FROM points WHERE stream = m.value AND time >= :since AND time < :until
            ORDER BY time LIMIT 1) AS time
        FROM json_each(:streams) m WHERE time IS NOT NULL ORDER BY time, stream LIMIT 1) f
    ON p.stream = f.stream AND p.time = f.time
    LEFT JOIN details d ON d.stream = p.stream AND d.time = p.time"""
_EXTENT = """SELECT
        min((SELECT time FROM points WHERE stream = m.value AND time >= :since AND time < :until
            ORDER BY time LIMIT 1)),
        max((SELECT time FROM points WHERE stream = m.value AND time >= :since AND time < :until
            ORDER BY time DESC LIMIT 1))
    FROM json_each(:streams) m"""
#: Times and values of a range of one stream.
_VALUES = """SELECT p.time, ifnull(p.value, d.text) FROM points p
    LEFT JOIN details d ON p.value IS NULL AND d.stream = p.stream AND d.time = p.time
    WHERE p.stream = ? AND p.time >= ? AND p.time < ?"""
_INTERVAL = """SELECT count(*), count(p.value), total(p.value), min(p.value), max(p.value)
    FROM json_each(:streams) m CROSS JOIN points p ON p.stream = m.value AND p.time >= :since AND p.time < :until"""


def _backwards(
    connection: sqlite3.Connection, stream: Stream, found: Range, before: Optional[int], block: int
) -> Iterator[Point]:
    """The points of one stream from the newest to the oldest, read ``block`` at a time."""
    until = found.until
    earlier = () if before is None else (max(-(2**54), min(before, 2**54)) * VARIANTS,)
    while True:
        where = (stream.id, found.since, until, *earlier, block)
        rows = connection.execute(_NEWEST_BEFORE if earlier else _NEWEST_OF_ALL, where).fetchall()
        for row in rows:
            yield stream.point(row)
        if len(rows) < block:
            return
        until = rows[-1][0]


def newest(connection: sqlite3.Connection, found: Range, limit: int, before: Optional[int] = None) -> list[Point]:
    """The newest ``limit`` points, newest first; with ``before`` only those of builds with a smaller buildid.

    A merge of the streams from their newest points; a stream whose chunks end earlier is not read.
    """
    if len(found.streams) == 1:
        return list(islice(_backwards(connection, found.streams[0], found, before, limit), limit))
    ends = connection.execute(_ENDS, found.where).fetchall()
    block = min(limit, 2 * limit // max(1, len(ends)) + 1)
    streams = {stream.id: _backwards(connection, stream, found, before, block) for stream in found.streams}
    #: The time of a stream's next point, at first a bound of it, the stream, and the point.
    heap: list[tuple[int, int, Optional[Point]]] = [(-end, -id_, None) for id_, end in ends]
    heapq.heapify(heap)
    taken: list[Point] = []
    while heap:
        _, id_, point = heap[0]
        if point is not None:
            taken.append(point)
            if len(taken) == limit:
                break
        point = next(streams[-id_], None)
        if point is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (-point.time, id_, point))
    return taken


def points(connection: sqlite3.Connection, query: Query, limit: int) -> list[Point]:
    """The newest ``limit`` points, oldest first."""
    check_limit(limit)
    found = find_one_meaning(connection, query)
    if found.proposal is not None:
        return points_of_proposal(connection, found)[-limit:]
    return newest(connection, found, limit)[::-1]


def last(connection: sqlite3.Connection, query: Query, before: Optional[int] = None) -> Optional[Point]:
    """The newest point; with ``before``, the newest of another build with a smaller buildid."""
    found = find(connection, query)
    if found.proposal is None:
        taken = newest(connection, found, 1, before)
        return taken[0] if taken else None
    for point in reversed(points_of_proposal(connection, found)):
        if before is None or (point.build is not None and point.build.buildid < before):
            return point
    return None


def records(connection: sqlite3.Connection, buildid: int) -> list[Point]:
    """All points of a build, ordered by time."""
    return [point for _, point in points_of_build(connection, buildid)]


def known_builds(connection: sqlite3.Connection, first: int, last: int) -> set[int]:
    """The ids, from ``first`` to ``last``, of the builds that may have points."""
    between = (first * VARIANTS, last * VARIANTS + VARIANTS - 1)
    rows = connection.execute("SELECT DISTINCT id / ? FROM builds WHERE id BETWEEN ? AND ?", (VARIANTS, *between))
    return {buildid for (buildid,) in rows}


def builds_of_proposal(connection: sqlite3.Connection, proposal: str, limit: int) -> list[int]:
    """The ids of the newest builds of a proposal, newest first."""
    rows = connection.execute(
        "SELECT DISTINCT id / ? AS build FROM builds WHERE proposal = ? AND proposal != '' ORDER BY build DESC LIMIT ?",
        (VARIANTS, proposal, limit),
    )
    return [int(buildid) for (buildid,) in rows]


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
    found = find_one_meaning(connection, query)
    if found.streams:
        check_text_statistics(query.series, found.streams[0].kind, statistics)
    totals = None if found.proposal is not None else rollup.totals(connection, found.where)
    if totals is None or totals.points <= small:
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
    return connection.execute(_FIRST, found.where).fetchone()[0]  # type: ignore[no-any-return]


def _values(connection: sqlite3.Connection, found: Range) -> list[tuple[int, Value]]:
    """Times and values of all points of a range, ordered by time."""
    if found.proposal is not None:
        return [(point.time, point.value) for point in points_of_proposal(connection, found)]
    rows = [
        (time, stream.id, value)
        for stream in found.streams
        for time, value in connection.execute(_VALUES, (stream.id, found.since, found.until))
    ]
    rows.sort(key=lambda row: row[:2])
    return [(time, value) for time, _, value in rows]


def buckets(connection: sqlite3.Connection, query: Query, count: int, *, small: int = SMALL) -> list[Bucket]:
    """``count`` intervals of equal length, see :meth:`~bbmeasure.storage.base.Storage.buckets`."""
    check_buckets(count)
    found = find_one_meaning(connection, query)
    if found.proposal is not None:
        values = _values(connection, found)
        return _small_buckets(_edges(query, values[0][0], values[-1][0], count), values) if values else []
    totals = rollup.totals(connection, found.where)
    if not totals.points:
        return []
    low, high = connection.execute(_EXTENT, found.where).fetchone()
    edges = _edges(query, low, high, count)
    if totals.points <= small:
        return _small_buckets(edges, _values(connection, found))
    # chunks pay only when a bucket contains whole ones
    read = rollup.totals if totals.points > 2 * rollup.CHUNK * count * len(found.streams) else _totals_of_points
    made = []
    for low, high in zip(edges, edges[1:]):
        inside = replace(found, since=max(low, found.since), until=min(high, found.until))
        made.append(_bucket(low, read(connection, inside.where)))
    return made


def _edges(query: Query, low: int, high: int, count: int) -> Sequence[int]:
    """The edges of the buckets of points from ``low`` to ``high``."""
    first = low if query.since is None else query.since
    return bucket_edges(first, high + 1 if query.until is None else query.until, count)


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
