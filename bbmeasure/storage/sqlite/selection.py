"""The streams that a query matches, and points from rows of the file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

from bbmeasure.model import EVERY_PROPOSAL, BuildContext, Point, Query
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.sqlite import rollup
from bbmeasure.storage.sqlite.build_rows import VARIANTS
from bbmeasure.storage.sqlite.texts import text_id
from bbmeasure.storage.validation import canonical_tags, one_meaning, tags_match

#: Columns of a point, for :meth:`Stream.point`; ``p`` is the table points, for JOINED.
POINT = """p.time, p.value, d.text, d.samples, d.spread, d.step, t.text, p.build, b.number, b.revision, b.project,
    b.proposal"""
JOINED = """LEFT JOIN details d ON d.stream = p.stream AND d.time = p.time LEFT JOIN texts t ON t.id = d.step
    LEFT JOIN builds b ON b.id = p.build"""

_STREAM = """m.id, l.id, n.text, b.text, w.text, g.text, r.text, c.text, m.named, l.proposed, e.text, k.kind, k.unit,
    s.better"""
_NAMES = """JOIN texts n ON n.id = s.name JOIN meanings k ON k.id = s.meaning LEFT JOIN texts b ON b.id = s.builder
    LEFT JOIN texts w ON w.id = m.worker LEFT JOIN texts g ON g.id = l.tags LEFT JOIN texts r ON r.id = l.branch
    LEFT JOIN texts c ON c.id = l.machine LEFT JOIN texts e ON e.id = m.step"""
#: A stream by its id.
STREAM = f"""SELECT {_STREAM} FROM streams m JOIN lines l ON l.id = m.line JOIN series s ON s.id = l.series {_NAMES}
    WHERE m.id = ?"""
#: The streams whose ids are in a JSON list.
STREAMS = STREAM.replace("m.id = ?", "m.id IN (SELECT value FROM json_each(?))")
#: The streams of a series; conditions follow.
_OF_SERIES = f"""SELECT {_STREAM} FROM series s CROSS JOIN lines l ON l.series = s.id
    CROSS JOIN streams m ON m.line = l.id {_NAMES} WHERE s.name = ?"""
#: The streams of a row of builds.
_OF_BUILD = f"""SELECT {_STREAM} FROM builds x CROSS JOIN series s ON s.builder = x.builder
    CROSS JOIN lines l ON l.series = s.id AND l.branch = x.branch
        AND l.machine = CASE WHEN x.machine THEN x.machine ELSE x.worker END AND l.proposed = (x.proposal != '')
    CROSS JOIN streams m ON m.line = l.id AND m.worker = x.worker {_NAMES} WHERE x.id = ?"""


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
        parsed = json.loads(tags) if tags != "{}" else {}
        names = (series, builder or "", worker or "", parsed, tags, branch, machine)
        flags = (bool(named), bool(proposed), step)
        return cls(id_, line, *names, *flags, Kind(kind), unit, Direction(better))

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


def conditions_of(connection: sqlite3.Connection, query: Query) -> tuple[str, list[int]]:
    """Further conditions on the tables s, l and m for a query, and the values of ``s.name = ?`` and of these."""
    conditions, parameters = [], [text_id(connection, query.series)]
    for column, name in (
        ("s.builder", query.builder),
        ("m.worker", query.worker),
        ("l.branch", query.branch),
        ("l.machine", query.machine),
    ):
        if name is not None:
            conditions.append(f" AND {column} = ?")
            parameters.append(text_id(connection, name))
    if query.exact_tags:
        conditions.append(" AND l.tags = ?")
        parameters.append(text_id(connection, canonical_tags(query.tags)))
    if query.proposal != EVERY_PROPOSAL:
        conditions.append(f" AND l.proposed = {int(query.proposal is not None)}")
    return "".join(conditions), parameters


def find(connection: sqlite3.Connection, query: Query) -> Range:
    """The streams and time range of ``query`` in this file."""
    conditions, parameters = conditions_of(connection, query)
    rows = connection.execute(f"{_OF_SERIES}{conditions} ORDER BY m.id", parameters)
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
    """The points of ``found.proposal``, ordered by time; reads the time range of each of its builds."""
    streams = {stream.id: stream for stream in found.streams}
    builds = connection.execute("SELECT id FROM builds WHERE proposal != '' AND proposal = ?", (found.proposal,))
    rows = [
        (point.time, stream.id, point)
        for (build,) in builds.fetchall()
        for stream, point in points_of_build_row(connection, build, streams)
        if found.since <= point.time < found.until
    ]
    rows.sort(key=lambda row: row[:2])
    return [point for _, _, point in rows]


def points_of_build_row(
    connection: sqlite3.Connection, build: int, streams: Optional[Mapping[int, Stream]] = None
) -> Iterator[tuple[Stream, Point]]:
    """The points of a row of ``builds``, in those ``streams`` only or in all."""
    wanted = streams
    if streams is None:
        streams = {row[0]: Stream.of(row) for row in connection.execute(_OF_BUILD, (build,))}
    first, last = connection.execute("SELECT first, last FROM builds WHERE id = ?", (build,)).fetchone()
    ranges = [(id_, first, last) for id_ in streams] if first <= last else []
    strays = connection.execute("SELECT stream, time, time FROM strays WHERE build = ?", (build,)).fetchall()
    for id_, since, until in ranges + [row for row in strays if row[0] not in streams or not first <= row[1] <= last]:
        stream = streams.get(id_) or (_stream(connection, id_) if wanted is None else None)
        if stream is None:
            continue
        for row in connection.execute(
            f"SELECT {POINT} FROM points p {JOINED} WHERE p.stream = ? AND p.time BETWEEN ? AND ? AND p.build = ?",
            (id_, since, until, build),
        ):
            yield stream, stream.point(row)


def _stream(connection: sqlite3.Connection, id_: int) -> Optional[Stream]:
    row = connection.execute(STREAM, (id_,)).fetchone()
    return None if row is None else Stream.of(row)
