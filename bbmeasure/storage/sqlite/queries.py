"""What the journal answers: plain functions over a connection, for the master's reader threads and other processes.

Each is called inside of one read transaction, so that all its statements see the same points.
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
from bbmeasure.storage.validation import answer as answer_of
from bbmeasure.storage.validation import (
    bucket_edges,
    canonical_tags,
    check_buckets,
    check_limit,
    check_text_statistics,
    tags_match,
)

#: Up to so many points are read and summed up as they are, so that small answers are rounded once.
SMALL = 2_000
#: ``builds.id`` is the buildid times this plus the number of a variant of the build's facts.
VARIANTS = 256

_POINT = """p.time, p.value, p.text, p.samples, p.spread, p.build, b.number, t.name, b.revision, b.branch, b.project"""
_JOINED = "LEFT JOIN builds b ON b.id = p.build LEFT JOIN steps t ON t.id = p.step"
_NEWEST = f"""SELECT {_POINT} FROM points p {_JOINED}
    WHERE p.stream = ? AND p.time >= ? AND p.time < ? ORDER BY p.time DESC LIMIT ?"""
_NEWEST_BEFORE = f"""SELECT {_POINT} FROM points p {_JOINED}
    WHERE p.stream = ? AND p.time >= ? AND p.time < ? AND p.build < ? ORDER BY p.time DESC LIMIT ?"""
#: Streams with the last time of their newest chunk in a range: no point of the range is later.
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
_STRETCH = """SELECT count(*), count(p.value), total(p.value), min(p.value), max(p.value)
    FROM json_each(:streams) m CROSS JOIN points p ON p.stream = m.value AND p.time >= :since AND p.time < :until"""

#: What waits for a sink and is still there: its number, and the point as its table has it.
QUEUED = """SELECT o.seq, o.stream, p.time, p.value, p.text, p.samples, p.spread, p.build, p.step
    FROM outbox o CROSS JOIN points p ON p.stream = o.stream AND p.time = o.time
    JOIN streams m ON m.id = o.stream JOIN series s ON s.id = m.series
    WHERE o.sink = ? AND s.name IS NOT NULL ORDER BY o.seq LIMIT ?"""
#: The points since a time, stream by stream, behind one that was reached: stream, time and estimated bytes.
SINCE = """SELECT p.stream, p.time, 80 + length(s.name) + length(m.builder) + length(m.worker) + length(m.tags)
        + ifnull(length(p.text), 0)
    FROM streams m JOIN series s ON s.id = m.series AND s.name IS NOT NULL CROSS JOIN points p
        ON p.stream = m.id AND p.time >= CASE WHEN m.id = :stream THEN :time + 1 ELSE :since END
    WHERE m.id >= :stream ORDER BY m.id, p.time LIMIT :limit"""


@dataclass(frozen=True)
class Stream:
    """A series with one builder, worker and set of tags, by its number in the file."""

    id: int
    series: str
    builder: str
    worker: str
    tags: Mapping[str, str]

    def point(self, row: Sequence[Any]) -> Point:
        """The point in a row of ``_POINT``."""
        time, value, text, samples, spread, build, number, step, revision, branch, project = row
        context = None
        if build is not None:
            buildid = build // VARIANTS
            context = BuildContext(self.builder, self.worker, number, buildid, step, revision, branch, project)
        return Point(self.series, time, text if value is None else value, self.tags, context, samples or 1, spread)


@dataclass(frozen=True)
class Range:
    """Streams and the times in them that a query means."""

    streams: Sequence[Stream]
    since: int
    until: int

    @property
    def where(self) -> dict[str, Any]:
        """It as the parameters that the statements over many streams have."""
        return {"streams": json.dumps([stream.id for stream in self.streams]), "since": self.since, "until": self.until}


def series_info(connection: sqlite3.Connection, name: str) -> Optional[SeriesInfo]:
    """What was said of a series, without what it holds."""
    found = connection.execute("SELECT kind, unit, better FROM series WHERE name = ?", (name,)).fetchone()
    return info_of(name, *found) if found else None


def info_of(name: str, kind: str, unit: str, better: str, **held: Any) -> SeriesInfo:
    """What a row of the file says of a series."""
    return SeriesInfo(name, Kind(kind), unit, Direction(better), **held)


def find(connection: sqlite3.Connection, query: Query) -> Range:
    """What ``query`` means in this file."""
    wanted, given = "s.name = ?", [query.series]
    for column, name in (("builder", query.builder), ("worker", query.worker)):
        if name is not None:
            wanted += f" AND m.{column} = ?"
            given.append(name)
    if query.exact_tags:
        wanted += " AND m.tags = ?"
        given.append(canonical_tags(query.tags))
    rows = connection.execute(
        "SELECT m.id, m.builder, m.worker, m.tags FROM streams m JOIN series s ON s.id = m.series "
        f"WHERE {wanted} ORDER BY m.id",
        given,
    ).fetchall()
    streams = [Stream(id_, query.series, builder, worker, json.loads(tags)) for id_, builder, worker, tags in rows]
    if query.builders is not None:
        streams = [stream for stream in streams if stream.builder in query.builders]
    if query.tags and not query.exact_tags:
        streams = [stream for stream in streams if tags_match(stream.tags, query.tags, exact=False)]
    since = rollup.EARLIEST if query.since is None else max(query.since, rollup.EARLIEST)
    until = rollup.LATEST if query.until is None else min(query.until, rollup.LATEST)
    return Range(streams, min(since, rollup.LATEST), max(until, rollup.EARLIEST))


class _Walk:
    """The points of one stream from the newest to the oldest, read a block at a time."""

    def __init__(self, connection: sqlite3.Connection, stream: Stream, since: int, before: Optional[int]) -> None:
        self._connection = connection
        self._stream = stream
        self._since = since
        self._before = None if before is None else max(-(2**54), min(before, 2**54)) * VARIANTS
        self._rows: list[Sequence[Any]] = []

    def read(self, until: int, block: int) -> Optional[int]:
        """Read the newest points before ``until``, at most ``block``; the time of the first, None for no point."""
        given = (self._stream.id, self._since, until)
        if self._before is None:
            self._rows = self._connection.execute(_NEWEST, (*given, block)).fetchall()
        else:
            self._rows = self._connection.execute(_NEWEST_BEFORE, (*given, self._before, block)).fetchall()
        self._rows.reverse()
        return self.time

    @property
    def time(self) -> Optional[int]:
        """The time of the next point of those that were read."""
        return self._rows[-1][0] if self._rows else None

    def take(self) -> Point:
        """The next point of those that were read."""
        return self._stream.point(self._rows.pop())


def newest(connection: sqlite3.Connection, found: Range, limit: int, before: Optional[int] = None) -> list[Point]:
    """The newest ``limit`` points, the newest first; with ``before`` only those of builds with a smaller buildid.

    Streams are walked from their newest points, and one whose chunks say that it ends earlier is not touched.
    """
    ends = connection.execute(_ENDS, found.where).fetchall()
    block = min(limit, 2 * limit // max(1, len(ends)) + 1) if len(ends) > 1 else limit
    streams = {stream.id: stream for stream in found.streams}
    waiting = [(-end, -id_, _Walk(connection, streams[id_], found.since, before)) for id_, end in ends]
    heapq.heapify(waiting)
    taken: list[Point] = []
    while waiting and len(taken) < limit:
        bound, id_, walk = -waiting[0][0], waiting[0][1], waiting[0][2]
        if walk.time == bound:
            taken.append(walk.take())
            time = walk.time if walk.time is not None else walk.read(bound, block)
        else:
            time = walk.read(min(found.until, bound + 1), block)
        if time is None:
            heapq.heappop(waiting)
        else:
            heapq.heapreplace(waiting, (-time, id_, walk))
    return taken


def points(connection: sqlite3.Connection, query: Query, limit: int) -> list[Point]:
    """The newest ``limit`` points, oldest first."""
    return newest(connection, find(connection, query), check_limit(limit))[::-1]


def last(connection: sqlite3.Connection, query: Query, before: Optional[int] = None) -> Optional[Point]:
    """The newest point; with ``before``, the newest of another build whose buildid is smaller than that."""
    found = newest(connection, find(connection, query), 1, before)
    return found[0] if found else None


def records(connection: sqlite3.Connection, buildid: int) -> list[Point]:
    """All points of a build, in the order of their time."""
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
    """All series by name, with what they hold: no point is read but the last of each.

    With ``builders`` only those that hold something of these, and what that is.
    """
    held: dict[int, list[tuple[int, int, int, int, str]]] = {}
    among = "" if builders is None else "WHERE m.builder IN (SELECT value FROM json_each(?)) "
    for series_id, *stream in connection.execute(
        "SELECT m.series, max(c.last), c.stream, sum(c.count + c.texts), min(c.start), m.builder "
        f"FROM chunks c JOIN streams m ON m.id = c.stream {among}GROUP BY c.stream",
        () if builders is None else (json.dumps(sorted(builders)),),
    ):
        held.setdefault(series_id, []).append(tuple(stream))
    infos = []
    declared = "SELECT id, name, kind, unit, better FROM series WHERE name IS NOT NULL ORDER BY name"
    for series_id, *what in connection.execute(declared).fetchall():
        streams = held.get(series_id)
        if not streams:
            if builders is None:
                infos.append(info_of(*what))
            continue
        time, stream, *_ = max(streams)
        newest_value = connection.execute(
            "SELECT value, text FROM points WHERE stream = ? AND time = ?", (stream, time)
        ).fetchone()
        infos.append(
            info_of(
                *what,
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
    found = {}
    for key in keys:
        row = connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        if row is not None:
            found[key] = row[0]
    return found


def summarize(
    connection: sqlite3.Connection, query: Query, statistics: Sequence[Statistic], *, small: int = SMALL
) -> dict[str, Optional[Value]]:
    """Each statistic by its name; None where there is no data.  Up to ``small`` points are read as they are."""
    info = series_info(connection, query.series)
    if info is not None:
        check_text_statistics(info, statistics)
    found = find(connection, query)
    held = rollup.totals(connection, found.where)
    if held.points <= small:
        values = [value for _, value in _values(connection, found)]
        numbers = [value for value in values if not isinstance(value, str)]
        return {one.name: answer_of(one, values, numbers) for one in statistics}
    if any(one.name == "deviation" for one in statistics):
        held = rollup.with_spread(connection, found.where, held)
    wanted = [one for one in statistics if one.is_percentile]
    ranked = percentiles(connection, found.where, held.moments.count, wanted) if wanted else {}
    return {one.name: ranked[one.name] if one in wanted else _large(connection, found, held, one) for one in statistics}


def _large(connection: sqlite3.Connection, found: Range, held: rollup.Totals, statistic: Statistic) -> Optional[Value]:
    """One statistic of more points than are read for it."""
    if statistic.name == "count":
        return float(held.points)
    if statistic.name == "sum":
        return Moments(1, held.total).answer(statistic) if held.moments.count else None
    if needs_only_moments(statistic):
        return held.moments.answer(statistic)
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
    """Times and values of all points of a range, in the order of their time."""
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
    """``count`` equal stretches from the first point (or ``since``) to the last (or ``until``); [] for no data."""
    check_buckets(count)
    found = find(connection, query)
    held = rollup.totals(connection, found.where)
    if not held.points:
        return []
    low, high = connection.execute(_EXTENT, found.where).fetchone()
    first = low if query.since is None else query.since
    end = high + 1 if query.until is None else query.until
    edges = bucket_edges(first, end, count)
    if held.points <= small:
        return _small_buckets(edges, _values(connection, found))
    # chunks help where whole ones lie inside of a bucket
    read = rollup.totals if held.points > 2 * rollup.CHUNK * count * len(found.streams) else _stretch
    made = []
    for low, high in zip(edges, edges[1:]):
        inside = replace(found, since=max(low, found.since), until=min(high, found.until))
        made.append(_bucket(low, read(connection, inside.where)))
    return made


def _stretch(connection: sqlite3.Connection, where: Mapping[str, Any]) -> rollup.Totals:
    """The same as :func:`rollup.totals`, from the points alone."""
    points, count, total, minimum, maximum = connection.execute(_STRETCH, where).fetchone()
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


def _bucket(time: int, held: rollup.Totals) -> Bucket:
    moments = held.moments
    if not moments.count:
        return Bucket(time, held.points, None, None, None)
    return Bucket(time, held.points, moments.mean, moments.minimum, moments.maximum)
