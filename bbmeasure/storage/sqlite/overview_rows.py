"""The overview: the lines of all series, each with the values of its newest builds."""

from __future__ import annotations

import json
import sqlite3
from operator import itemgetter
from typing import Any, Optional

from bbmeasure.model import LineInfo, Overview, OverviewQuery, OverviewRow
from bbmeasure.records import Kind
from bbmeasure.storage.overviews import last_of_builds
from bbmeasure.storage.sqlite.build_rows import VARIANTS
from bbmeasure.storage.sqlite.selection import LINE_AS_STREAM, LINE_NAMES, Stream
from bbmeasure.storage.sqlite.texts import text_id

#: The lines with points; conditions follow.
_LINES = f"FROM series s CROSS JOIN lines l ON l.series = s.id AND l.count AND NOT l.proposed {LINE_NAMES}"
_ROWS = f"""SELECT {LINE_AS_STREAM}, l.count, l.first, l.last {_LINES}
    WHERE {{}} ORDER BY n.text, k.kind, k.unit, b.text, g.text, r.text, c.text LIMIT :limit OFFSET :offset"""
_NEWEST = """SELECT ifnull(p.value, d.text), p.build / :variants, b.number FROM points p
    LEFT JOIN details d ON p.value IS NULL AND d.stream = p.stream AND d.time = p.time
    LEFT JOIN builds b ON b.id = p.build WHERE p.stream = :stream AND p.time = :time"""
_STREAMS = "SELECT id FROM streams WHERE line = ?"
_VALUES = """SELECT time, value, build / :variants FROM points
    WHERE stream = :stream AND value IS NOT NULL ORDER BY time DESC LIMIT :limit"""
#: Points that are read for each value, as a build may have several points in a line.
_POINTS_PER_VALUE = 2


def overview(connection: sqlite3.Connection, query: OverviewQuery) -> Overview:
    """One page of the lines, see :meth:`~bbmeasure.storage.base.CaptureStorage.overview`."""
    conditions, parameters = _conditions(connection, query)
    (total,) = connection.execute(f"SELECT count(*) {_LINES} WHERE {conditions}", parameters).fetchone()
    rows = connection.execute(
        _ROWS.format(conditions), {**parameters, "limit": query.limit, "offset": query.offset}
    ).fetchall()
    return Overview(total, [_row(connection, row, query.values) for row in rows])


def _conditions(connection: sqlite3.Connection, query: OverviewQuery) -> tuple[str, dict[str, Any]]:
    """The conditions on the tables of _LINES and their parameters."""
    conditions, parameters = ["1"], dict[str, Any]()
    for column, name, value in (
        ("s.name", "series", query.series),
        ("s.builder", "builder", query.builder),
        ("l.branch", "branch", query.branch),
    ):
        if value is not None:
            conditions.append(f"{column} = :{name}")
            parameters[name] = text_id(connection, value)
    for column, name, text in (
        ("k.kind", "kind", None if query.kind is None else query.kind.value),
        ("k.unit", "unit", query.unit),
    ):
        if text is not None:
            conditions.append(f"{column} = :{name}")
            parameters[name] = text
    if query.since is not None:
        conditions.append("l.last >= :since")
        parameters["since"] = query.since
    if query.builders is not None:
        conditions.append("ifnull(b.text, '') IN (SELECT value FROM json_each(:builders))")
        parameters["builders"] = json.dumps(sorted(query.builders))
    for number, word in enumerate(query.search):
        conditions.append(f"instr(lower(n.text), lower(:word{number}))")
        parameters[f"word{number}"] = word
    return " AND ".join(conditions), parameters


def _row(connection: sqlite3.Connection, row: tuple[Any, ...], builds: int) -> OverviewRow:
    stream = Stream.of(row[:14])
    count, first, last = row[14:]
    where = {"stream": stream.id, "time": last, "variants": VARIANTS}
    value, buildid, build = connection.execute(_NEWEST, where).fetchone() or (0.0, None, None)
    names = (stream.series, stream.builder or None, stream.tags, stream.branch, stream.machine, stream.proposed)
    line = LineInfo(*names, stream.kind, stream.unit, stream.better, count, first, last, value)
    values = () if stream.kind is Kind.TEXT or not builds else _values(connection, stream.line, builds)
    return OverviewRow(line, build, buildid if buildid and buildid > 0 else None, values, stream.line)


def _values(connection: sqlite3.Connection, line: int, count: int) -> tuple[float, ...]:
    """The last value of each of the newest builds, oldest first."""
    points: list[tuple[int, float, Optional[int]]] = []
    for (stream,) in connection.execute(_STREAMS, (line,)).fetchall():
        where = {"stream": stream, "variants": VARIANTS, "limit": count * _POINTS_PER_VALUE}
        points += connection.execute(_VALUES, where)
    points.sort(key=itemgetter(0))
    return last_of_builds(points, count)
