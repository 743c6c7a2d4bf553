"""The streams that a query matches, and points from rows of the file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

from bbmeasure.model import EVERY_PROPOSAL, BuildContext, Point, Query
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.sqlite import rollup
from bbmeasure.storage.sqlite.build_rows import VARIANTS
from bbmeasure.storage.sqlite.texts import has_names
from bbmeasure.storage.validation import canonical_tags, one_meaning, tags_match

#: Kinds and directions by their values in the file.
KINDS = {kind.value: kind for kind in Kind}
DIRECTIONS = {direction.value: direction for direction in Direction}

#: Canonical tags have no blanks around them, which json.loads looks for.
_decode = json.JSONDecoder().raw_decode

#: Columns of a point, for :meth:`Stream.point`; ``p`` is the table points, for JOINED.
POINT = """p.time, p.value, d.text, d.samples, d.spread, d.step, t.text, p.build, x.number, x.revision, x.project,
    x.proposal"""
#: The number of these columns.
_WIDTH = POINT.count(",") + 1
_DETAILS = "LEFT JOIN details d ON d.stream = p.stream AND d.time = p.time LEFT JOIN texts t ON t.id = d.step"
JOINED = f"{_DETAILS} LEFT JOIN builds x ON x.id = p.build"

_STREAM = """m.id, l.id, n.text, b.text, w.text, g.text, r.text, c.text, m.named, l.proposed, e.text, k.kind, k.unit,
    s.better"""
#: Columns of a line in the place of those of a stream, its newest one.
LINE_AS_STREAM = """l.newest, l.id, n.text, b.text, '', g.text, r.text, c.text, 0, l.proposed, NULL, k.kind, k.unit,
    s.better"""
#: What these columns need besides the tables s, l and m.
LINE_NAMES = """JOIN texts n ON n.id = s.name JOIN meanings k ON k.id = s.meaning LEFT JOIN texts b ON b.id = s.builder
    LEFT JOIN texts g ON g.id = l.tags LEFT JOIN texts r ON r.id = l.branch LEFT JOIN texts c ON c.id = l.machine"""
_NAMES = f"{LINE_NAMES} LEFT JOIN texts w ON w.id = m.worker LEFT JOIN texts e ON e.id = m.step"
#: The streams whose ids are in a JSON list.
STREAMS = f"""SELECT {_STREAM} FROM streams m JOIN lines l ON l.id = m.line JOIN series s ON s.id = l.series {_NAMES}
    WHERE m.id IN (SELECT value FROM json_each(?))"""
#: The streams of a series; conditions follow.
_OF_SERIES = f"""SELECT {_STREAM} FROM series s CROSS JOIN lines l ON l.series = s.id
    CROSS JOIN streams m ON m.line = l.id {_NAMES} WHERE"""
#: The points of the rows of a build in the time range of each row, and its strays, which may be among them.
_OF_BUILD = f"""SELECT {POINT}, {_STREAM} FROM builds x CROSS JOIN series s ON s.builder = x.builder
    CROSS JOIN lines l ON l.series = s.id AND l.branch = x.branch
        AND l.machine = CASE WHEN x.machine THEN x.machine ELSE x.worker END AND l.proposed = (x.proposal != '')
    CROSS JOIN streams m ON m.line = l.id AND m.worker = x.worker
    CROSS JOIN points p ON p.stream = m.id AND {{times}} AND p.build = x.id
    {_DETAILS} {_NAMES} WHERE x.id BETWEEN ? AND ?"""
#: The times of all points of the row of a build in a stream, or that of its last number, of its last text without one.
_ALL_TIMES = "p.time BETWEEN x.first AND x.last"
_LAST_TIME = """(SELECT q.time FROM points q WHERE q.stream = m.id AND q.time BETWEEN x.first AND x.last
    AND q.build = x.id AND q.value IS {} ORDER BY q.time DESC LIMIT 1)"""
_LAST_ONLY = f"p.time = ifnull({_LAST_TIME.format('NOT NULL')}, {_LAST_TIME.format('NULL')})"
_STRAYS = f"""SELECT {POINT}, {_STREAM} FROM strays y CROSS JOIN builds x ON x.id = y.build
    CROSS JOIN points p ON p.stream = y.stream AND p.time = y.time AND p.build = y.build
    CROSS JOIN streams m ON m.id = p.stream CROSS JOIN lines l ON l.id = m.line CROSS JOIN series s ON s.id = l.series
    {_DETAILS} {_NAMES} WHERE y.build BETWEEN ? AND ?"""
#: The points of a proposal in some streams, likewise.
_OF_PROPOSAL = f"""SELECT {POINT}, p.stream FROM builds x CROSS JOIN json_each(:streams) m
    CROSS JOIN points p ON p.stream = m.value
        AND p.time BETWEEN max(x.first, :since) AND min(x.last, :until - 1) AND p.build = x.id
    {_DETAILS} WHERE x.proposal != '' AND x.proposal = :proposal
    UNION SELECT {POINT}, p.stream FROM builds x CROSS JOIN strays y ON y.build = x.id
    CROSS JOIN points p ON p.stream = y.stream AND p.time = y.time AND p.build = y.build
    {_DETAILS} WHERE x.proposal != '' AND x.proposal = :proposal AND p.time >= :since AND p.time < :until
        AND p.stream IN (SELECT value FROM json_each(:streams)) ORDER BY p.time, p.stream"""


class Stream(NamedTuple):
    """The points of one line and worker, with the id in the file, and what they share."""

    id: int
    line: int
    series: str
    builder: str
    worker: str
    tags: Mapping[str, str]
    packed_tags: str
    branch: Optional[str]
    machine: Optional[str]
    named: bool
    proposed: bool
    step: Optional[str]
    kind: Kind
    unit: str
    better: Direction

    @classmethod
    def of(cls, row: Sequence[Any]) -> Stream:
        """The stream of a row of the file."""
        id_, line, series, builder, worker, tags, branch, machine, named, proposed, step, kind, unit, better = row
        tags = tags or "{}"
        names = (series, builder or "", worker or "", _decode(tags)[0], tags, branch, machine)
        flags = (bool(named), bool(proposed), step)
        return cls(id_, line, *names, *flags, KINDS[kind], unit, DIRECTIONS[better])

    def point(self, row: Sequence[Any]) -> Point:
        """The point of a row with the columns POINT."""
        time, value, text, samples, spread, step_id, step, build, number, revision, project, proposal = row
        context = None
        if build is not None:
            context = BuildContext(
                self.builder,
                self.worker,
                number,
                build // VARIANTS,
                self.step if step_id is None else step,
                revision,
                self.branch,
                project,
                proposal,
                self.machine if self.named else None,
            )
        return Point(self.series, time, text if value is None else value, self.tags, context, samples or 1, spread)


@dataclass(frozen=True)
class Range:
    """The streams and the time range that a query matches; ``proposal`` is the only one whose points match."""

    streams: Sequence[Stream]
    since: int
    until: int
    proposal: Optional[str] = None

    @property
    def where(self) -> dict[str, Any]:
        """The parameters of the statements over several streams."""
        return {"streams": json.dumps([stream.id for stream in self.streams]), "since": self.since, "until": self.until}


def conditions_of(query: Query) -> tuple[str, list[str]]:
    """Conditions on the tables s, l and m for a query, and the values of their parameters."""
    conditions, names = has_names(
        ("s.name", query.series),
        ("s.builder", query.builder),
        ("m.worker", query.worker),
        ("l.branch", query.branch),
        ("l.machine", query.machine),
        ("l.tags", canonical_tags(query.tags) if query.exact_tags else None),
    )
    if query.proposal != EVERY_PROPOSAL:
        conditions += f" AND l.proposed = {int(query.proposal is not None)}"
    return conditions, names


def find(connection: sqlite3.Connection, query: Query) -> Range:
    """The streams and time range of ``query`` in this file."""
    conditions, parameters = conditions_of(query)
    rows = connection.execute(f"{_OF_SERIES} {conditions}", parameters)
    streams = [stream for stream in map(Stream.of, rows) if matches(stream, query)]
    since = rollup.EARLIEST if query.since is None else max(query.since, rollup.EARLIEST)
    until = rollup.LATEST if query.until is None else min(query.until, rollup.LATEST)
    proposal = None if query.proposal == EVERY_PROPOSAL else query.proposal
    return Range(streams, min(since, rollup.LATEST), max(until, rollup.EARLIEST), proposal)


def find_one_meaning(connection: sqlite3.Connection, query: Query) -> Range:
    """The same; raises QueryError where the matching series have different kinds or units."""
    found = find(connection, query)
    one_meaning(query.series, {(stream.builder, stream.kind, stream.unit) for stream in found.streams})
    return found


def matches(stream: Stream, query: Query) -> bool:
    """Whether a stream that the file's conditions selected matches the rest of the query."""
    return (
        (query.builders is None or stream.builder in query.builders)
        and query.kind in (None, stream.kind)
        and query.unit in (None, stream.unit)
        and tags_match(stream.tags, query.tags, query.exact_tags)
    )


def points_of_proposal(connection: sqlite3.Connection, found: Range) -> list[Point]:
    """The points of ``found.proposal``, ordered by time."""
    streams = {stream.id: stream for stream in found.streams}
    rows = connection.execute(_OF_PROPOSAL, {**found.where, "proposal": found.proposal})
    return [streams[row[-1]].point(row[:-1]) for row in rows]


def points_of_build(connection: sqlite3.Connection, buildid: int, *, last: bool = False) -> list[tuple[Stream, Point]]:
    """The points of a build with their streams, ordered by time.

    With ``last`` those that a later number of their stream replaces may be left out, as may texts beside numbers.
    """
    if abs(buildid) >= 2**54:
        return []
    keys = (buildid * VARIANTS, buildid * VARIANTS + VARIANTS - 1)
    of_build = _OF_BUILD.format(times=_LAST_ONLY if last else _ALL_TIMES)
    rows = {
        (row[0], row[_WIDTH]): row for statement in (of_build, _STRAYS) for row in connection.execute(statement, keys)
    }
    streams: dict[int, Stream] = {}
    found = []
    for (_, id_), row in sorted(rows.items()):
        stream = streams.get(id_)
        if stream is None:
            stream = streams[id_] = Stream.of(row[_WIDTH:])
        found.append((stream, stream.point(row[:_WIDTH])))
    return found
