"""The lines of a query, described by the totals of the file where the query has no time range."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Optional

from bbmeasure.model import EVERY_PROPOSAL, LineInfo, Point, Query
from bbmeasure.statistics import Value
from bbmeasure.storage.sqlite import rollup
from bbmeasure.storage.sqlite.selection import (
    LINE_AS_STREAM,
    LINE_NAMES,
    Range,
    Stream,
    conditions_of,
    find,
    matches,
    points_of_proposal,
)

#: Count, first and last time, and value of the newest point of a line.
_Described = tuple[int, int, int, Value]
#: The lines of a series as one of their streams, with their totals; conditions follow.
_WITH_TOTALS = f"""SELECT {LINE_AS_STREAM}, l.count, l.first, l.last, ifnull(p.value, d.text)
    FROM series s CROSS JOIN lines l ON l.series = s.id AND l.count {LINE_NAMES}
    LEFT JOIN points p ON p.stream = l.newest AND p.time = l.last
    LEFT JOIN details d ON p.value IS NULL AND d.stream = l.newest AND d.time = l.last WHERE"""
_FIRST = "SELECT time FROM points WHERE stream = ? AND time >= ? AND time < ? ORDER BY time LIMIT 1"
_LAST = """SELECT p.time, p.stream, ifnull(p.value, d.text) FROM points p
    LEFT JOIN details d ON p.value IS NULL AND d.stream = p.stream AND d.time = p.time
    WHERE p.stream = ? AND p.time >= ? AND p.time < ? ORDER BY p.time DESC LIMIT 1"""


def lines(connection: sqlite3.Connection, query: Query) -> list[LineInfo]:
    """The lines of the matching points, see :meth:`~bbmeasure.storage.base.Storage.lines`."""
    if (
        query.since is None
        and query.until is None
        and query.worker is None
        and query.proposal in (None, EVERY_PROPOSAL)
    ):
        return _whole(connection, query)
    found = find(connection, query)
    if found.proposal is not None:
        return _of_points(found, points_of_proposal(connection, found))
    infos = []
    for _, group in groupby(sorted(found.streams, key=_key), key=_key):
        streams = list(group)
        totals = _of_range(connection, found, streams)
        if totals is not None:
            infos.append(_line(streams[0], totals))
    return infos


def _whole(connection: sqlite3.Connection, query: Query) -> list[LineInfo]:
    """The lines of a query without a time range: one row of the file each."""
    conditions, parameters = conditions_of(query)
    rows = connection.execute(f"{_WITH_TOTALS} {conditions}", parameters)
    found = [(Stream.of(row[:-4]), row[-4:]) for row in rows]
    found.sort(key=lambda row: _key(row[0]))
    return [_line(stream, totals) for stream, totals in found if matches(stream, query)]


def workers(connection: sqlite3.Connection, query: Query) -> list[str]:
    """The workers of the lines of a query, "" for points without one; they may have no point in its time range."""
    return sorted({stream.worker for stream in find(connection, query).streams})


def _key(stream: Stream) -> tuple[Any, ...]:
    """The order of lines: builder, tags, branch, machine class."""
    return stream.builder, stream.packed_tags, stream.branch or "", stream.machine or "", stream.proposed


def _line(stream: Stream, described: _Described) -> LineInfo:
    names = (stream.series, stream.builder or None, stream.tags, stream.branch, stream.machine, stream.proposed)
    return LineInfo(*names, stream.kind, stream.unit, stream.better, *described)


def _of_range(connection: sqlite3.Connection, found: Range, streams: Sequence[Stream]) -> Optional[_Described]:
    count = rollup.totals(connection, replace(found, streams=streams).where).points
    if not count:
        return None
    each = [(stream.id, found.since, found.until) for stream in streams]
    firsts = [row[0] for where in each for row in connection.execute(_FIRST, where)]
    newest = max(row for where in each for row in connection.execute(_LAST, where))
    return count, min(firsts), newest[0], newest[2]


def _of_points(found: Range, points: Sequence[Point]) -> list[LineInfo]:
    """The lines of the points of one proposal, which are few."""
    by_line: dict[tuple[Any, ...], list[Point]] = {}
    streams: dict[tuple[Any, ...], Stream] = {}
    for stream in sorted(found.streams, key=_key):
        streams.setdefault(_key(stream), stream)
    for point in points:
        build = point.build
        tags = next(stream.packed_tags for stream in found.streams if stream.tags == point.tags)
        if build is not None:
            by_line.setdefault((build.builder, tags, build.branch or "", build.machine_class, True), []).append(point)
    return [
        _line(stream, (len(mine), mine[0].time, mine[-1].time, mine[-1].value))
        for key, stream in streams.items()
        if (mine := by_line.get(key))
    ]
