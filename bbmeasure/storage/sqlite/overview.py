"""Meanings and totals: what the list of series shows, kept up to date by every change.

``meanings`` has a row for each name, kind and unit, with its builders and direction; ``totals`` the number of its
points, the first and last time, and the stream of the newest point.  So the list costs one row for each meaning,
however many lines and points there are.  Both leave proposals out: what only proposals have declared or measured is
not ``listed``, and is found by its lines.

Functions that change are called inside a write transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Optional

from bbmeasure.model import EVERY_PROPOSAL, Query, SeriesInfo
from bbmeasure.records import Direction
from bbmeasure.storage.overviews import series_of_lines
from bbmeasure.storage.sqlite import lines
from bbmeasure.storage.sqlite.connection import insert_rows
from bbmeasure.storage.sqlite.selection import DIRECTIONS, KINDS
from bbmeasure.storage.sqlite.texts import text_id
from bbmeasure.storage.validation import group_series

if TYPE_CHECKING:
    from bbmeasure.storage.sqlite.targets import Target

#: Who has declared a series: nobody, a trusted build, or only proposals, whose declaration a trusted build replaces.
UNDECLARED, TRUSTED, PROPOSED = range(3)

#: The newest points of totals: their value or text.
_VALUE = """LEFT JOIN points p ON p.stream = t.newest AND p.time = t.last
    LEFT JOIN details d ON p.value IS NULL AND d.stream = t.newest AND d.time = t.last"""
#: The line of the newest point, and its tags.
_LINE = "LEFT JOIN streams o ON o.id = t.newest LEFT JOIN lines r ON r.id = o.line LEFT JOIN texts g ON g.id = r.tags"
#: The names of the series of builders that built a proposal.
_NAMES_OF_PROPOSAL = """SELECT DISTINCT n.text FROM series s JOIN texts n ON n.id = s.name
    WHERE s.builder IN (SELECT builder FROM builds WHERE proposal = ?)
    AND EXISTS (SELECT 1 FROM lines l WHERE l.series = s.id AND l.proposed)"""
#: The names of all sets of builders as JSON, which many meanings share.
_SETS = "SELECT id, names FROM builder_sets"
_ALL = f"""SELECT n.text, m.kind, m.unit, m.better, m.builders, t.count, t.first, t.last, ifnull(p.value, d.text),
        b.text, g.text
    FROM meanings m JOIN texts n ON n.id = m.name LEFT JOIN totals t ON t.meaning = m.id {_VALUE} {_LINE}
    LEFT JOIN series q ON q.id = r.series LEFT JOIN texts b ON b.id = q.builder WHERE m.listed"""
#: The series of some builders, each with the totals of its lines.
_OF_BUILDERS = """SELECT s.id, s.name, s.meaning, s.better, s.declared, b.text AS builder
    FROM json_each(:builders) j JOIN texts b ON b.text = j.value CROSS JOIN series s ON s.builder = b.id
    WHERE s.name IS NOT NULL
    UNION ALL SELECT id, name, meaning, better, declared, '' FROM series
        WHERE builder = 0 AND name IS NOT NULL AND :outside"""
_OF_EVERY_BUILDER = """SELECT s.id, s.name, s.meaning, s.better, s.declared, ifnull(b.text, '') AS builder
    FROM series s LEFT JOIN texts b ON b.id = s.builder WHERE s.name IS NOT NULL"""
#: The same of lines that match a condition.
_OF_LINES = f"""WITH shown AS ({{shown}}),
    t AS (
        SELECT s.*, sum(l.count) AS count, min(l.first) AS first, max(l.last) AS last,
            (SELECT newest FROM lines WHERE series = s.id AND count {{matching}}
                ORDER BY last DESC, newest DESC LIMIT 1) AS newest
        FROM shown s {{join}} JOIN lines l ON l.series = s.id AND l.count {{matching}}
        GROUP BY s.id HAVING count(l.id) OR s.declared)
    SELECT n.text, m.kind, m.unit, t.better, t.builder, t.count, t.first, t.last, t.newest, ifnull(p.value, d.text),
        g.text
    FROM t JOIN texts n ON n.id = t.name JOIN meanings m ON m.id = t.meaning {_VALUE} {_LINE}"""


def series(
    connection: sqlite3.Connection,
    builders: Optional[Collection[str]] = None,
    *,
    branch: Optional[str] = None,
    proposal: Optional[str] = None,
) -> list[SeriesInfo]:
    """All series, one for each name, kind and unit, see :meth:`~bbmeasure.storage.base.Storage.series`."""
    if proposal not in (None, EVERY_PROPOSAL):
        return _of_proposal(connection, builders, branch, proposal)
    if builders is not None or branch is not None or proposal is not None:
        return _of_lines(connection, builders, branch, proposal)
    rows = connection.execute(_ALL).fetchall()
    rows.sort(key=itemgetter(0, 1, 2))
    sets = {id_: tuple(json.loads(names)) for id_, names in connection.execute(_SETS)}
    parsed: dict[Optional[str], dict[str, str]] = {}
    infos = []
    for name, kind, unit, better, builders, count, first, last, value, owner, packed in rows:
        tags = parsed.get(packed)
        if tags is None:
            tags = parsed[packed] = _tags(packed)
        declared = (name, KINDS[kind], unit, DIRECTIONS[better], sets.get(builders, ()))
        content = (count, first, last, value, owner, tags) if count else (0, None, None, None, None, None)
        infos.append(_info(*declared, *content))
    return infos


def _info(*values: Any) -> SeriesInfo:
    """A SeriesInfo of all its fields, for many of them: its constructor sets each frozen field by a call of its own."""
    info = object.__new__(SeriesInfo)
    fields = info.__dict__
    (
        fields["name"],
        fields["kind"],
        fields["unit"],
        fields["better"],
        fields["builders"],
        fields["count"],
        fields["first"],
        fields["last"],
        fields["last_value"],
        fields["last_builder"],
        fields["last_tags"],
    ) = values
    return info


def _of_lines(
    connection: sqlite3.Connection,
    builders: Optional[Collection[str]],
    branch: Optional[str],
    proposal: Optional[str],
) -> list[SeriesInfo]:
    matching = "" if branch is None else "AND branch = :branch"
    matching += "" if proposal else " AND NOT proposed"
    shown = _OF_EVERY_BUILDER if builders is None else _OF_BUILDERS
    join = "LEFT" if builders is None and branch is None else "CROSS"  # declared series without points too
    sql = _OF_LINES.format(shown=shown, join=join, matching=matching)
    names = sorted(builders or ())
    parameters = {"builders": json.dumps(names), "outside": "" in names, "branch": text_id(connection, branch)}
    rows = connection.execute(sql, parameters)
    found = [
        (
            newest,
            SeriesInfo(
                name,
                KINDS[kind],
                unit,
                DIRECTIONS[better],
                (builder,) if builder else (),
                *((count, first, last, value, builder or None, _tags(tags)) if count else ()),
            ),
        )
        for name, kind, unit, better, builder, count, first, last, newest, value, tags in rows
    ]
    # of points of the same time that of the newest stream counts, as in the totals
    found.sort(key=lambda row: (row[1].last or 0, row[0] or 0), reverse=True)
    return group_series(info for _, info in found)


def _of_proposal(
    connection: sqlite3.Connection, builders: Optional[Collection[str]], branch: Optional[str], proposal: Optional[str]
) -> list[SeriesInfo]:
    """The series of the builds of one proposal, which are few."""
    only = None if builders is None else frozenset(builders)
    names = connection.execute(_NAMES_OF_PROPOSAL, (proposal,)).fetchall()
    queries = [Query(name, builders=only, branch=branch, proposal=proposal) for (name,) in names]
    return series_of_lines(line for query in queries for line in lines.lines(connection, query))


def _tags(packed: Optional[str]) -> dict[str, str]:
    return dict(json.loads(packed)) if packed else {}


#: Adds a number of points from a first to a last time, the newest of the stream ``newest``.
_ADD = """DO UPDATE SET count = count + excluded.count, first = min(first, excluded.first),
    last = max(last, excluded.last), newest = CASE WHEN excluded.last > last
        OR (excluded.last = last AND excluded.newest > newest) THEN excluded.newest ELSE newest END"""
_ADD_TO_MEANING = ("INSERT INTO totals(meaning, count, first, last, newest)", "", f"ON CONFLICT(meaning) {_ADD}")
#: A line exists; SQLite before 3.33 updates many rows by their values only where an insertion conflicts with them.
_ADD_TO_LINE = (
    "INSERT INTO lines(id, count, first, last, newest, series, tags, branch, machine, proposed)",
    "(?, ?, ?, ?, ?, 0, 0, 0, 0, 0)",
    f"ON CONFLICT(id) {_ADD}",
)


#: The meaning of a line if no trusted build has measured or declared the line's series.
_UNMEASURED = f"""SELECT s.meaning FROM lines o JOIN series s ON s.id = o.series
    WHERE o.id = ? AND s.name IS NOT NULL AND s.declared != {TRUSTED}
    AND NOT EXISTS (SELECT 1 FROM lines l WHERE l.series = s.id AND NOT l.proposed AND l.count)"""


class Additions:
    """The points that a transaction adds, by line and by meaning, until :meth:`store`.

    ``empty`` are the lines of no proposal that have no points yet.
    """

    def __init__(self, empty: set[int]) -> None:
        self._empty = empty
        self._lines: dict[int, tuple[int, int, int, int]] = {}
        self._meanings: dict[int, tuple[int, int, int, int]] = {}
        self._begun: set[int] = set()

    def add(self, target: Target, count: int, first: int, last: int) -> None:
        """Add points of one stream, whose newest is at ``last``."""
        line, newest = target.line, target.id
        if line in self._empty:
            self._empty.discard(line)
            self._begun.add(line)
        for sums, key in ((self._lines, line), (self._meanings, target.meaning)):
            found = sums.get(key)
            if found is None:
                sums[key] = (count, first, last, newest)
            else:
                sums[key] = (found[0] + count, min(found[1], first), *max(found[2:], (last, newest)))
            if target.proposed:
                break

    def store(self, connection: sqlite3.Connection) -> None:
        """Update the totals."""
        unmeasured = [connection.execute(_UNMEASURED, (line,)).fetchone() for line in self._begun]
        self._begun.clear()
        for (insert, values, update), sums in ((_ADD_TO_LINE, self._lines), (_ADD_TO_MEANING, self._meanings)):
            rows = [(key, *added) for key, added in sums.items()]
            insert_rows(connection, insert, rows, values=values, update=update)
            sums.clear()
        for meaning in {row[0] for row in unmeasured if row is not None}:
            refresh_meaning(connection, meaning)


def recount_lines(connection: sqlite3.Connection, lines: Iterable[int]) -> set[int]:
    """Compute the totals of lines again from their chunks; returns their meanings."""
    meanings = set()
    for line in lines:
        count, first, last, newest = _count_line(connection, line)
        connection.execute(
            "UPDATE lines SET count = ?, first = ifnull(?, first), last = ?, newest = ? WHERE id = ?",
            (count, first, last, newest, line),
        )
        found = connection.execute(
            "SELECT s.meaning FROM lines l JOIN series s ON s.id = l.series WHERE l.id = ? AND s.name IS NOT NULL",
            (line,),
        ).fetchone()
        if found is not None:
            meanings.add(int(found[0]))
    return meanings


def _count_line(connection: sqlite3.Connection, line: int) -> tuple[Any, ...]:
    count, first = connection.execute(
        "SELECT ifnull(sum(c.count + c.texts), 0), min(c.start) FROM streams m CROSS JOIN chunks c ON c.stream = m.id "
        "WHERE m.line = ?",
        (line,),
    ).fetchone()
    last, newest = connection.execute(
        "SELECT max(c.last), m.id FROM streams m CROSS JOIN chunks c ON c.stream = m.id WHERE m.line = ? "
        "GROUP BY m.id ORDER BY 1 DESC, 2 DESC LIMIT 1",
        (line,),
    ).fetchone() or (0, 0)
    return count, first, last, newest


def recount_meanings(connection: sqlite3.Connection, meanings: Iterable[int]) -> None:
    """Compute totals, builders and direction of meanings again from their lines."""
    for meaning in meanings:
        of_meaning = (
            "FROM meanings m CROSS JOIN series s ON s.name = m.name AND s.meaning = m.id "
            "CROSS JOIN lines l ON l.series = s.id AND l.count AND NOT l.proposed WHERE m.id = ?"
        )
        connection.execute("DELETE FROM totals WHERE meaning = ?", (meaning,))
        count, first = connection.execute(f"SELECT sum(l.count), min(l.first) {of_meaning}", (meaning,)).fetchone()
        if count:
            newest = connection.execute(
                f"SELECT l.last, l.newest {of_meaning} ORDER BY l.last DESC, l.newest DESC LIMIT 1", (meaning,)
            ).fetchone()
            connection.execute("INSERT INTO totals VALUES (?, ?, ?, ?, ?)", (meaning, count, first, *newest))
        refresh_meaning(connection, meaning)


def meaning_id(connection: sqlite3.Connection, name: int, kind: str, unit: str) -> int:
    """The id of a meaning of the name with the id ``name``; it is inserted if it is missing."""
    key = (name, kind, unit)
    row = connection.execute("SELECT id FROM meanings WHERE name = ? AND kind = ? AND unit = ?", key).fetchone()
    if row is None:
        sql = "INSERT INTO meanings(name, kind, unit, better, builders) VALUES (?, ?, ?, 'none', 0)"
        row = (connection.execute(sql, key).lastrowid,)
    return int(row[0])


def refresh_meaning(connection: sqlite3.Connection, meaning: int) -> None:
    """Set builders and direction of a meaning, and whether it is listed, from the series of trusted builds.

    A meaning without series is deleted.
    """
    (before,) = connection.execute("SELECT builders FROM meanings WHERE id = ?", (meaning,)).fetchone() or (0,)
    rows = connection.execute(_SERIES_OF, (meaning,)).fetchall()
    if not rows:
        connection.execute("DELETE FROM meanings WHERE id = ?", (meaning,))
        connection.execute("DELETE FROM totals WHERE meaning = ?", (meaning,))
        connection.execute(_DELETE_SET, (before, before))
        return
    trusted = [row for row in rows if row[3]]
    directions = {better for _, _, better, _ in trusted} - {Direction.NONE.value}
    better = directions.pop() if len(directions) == 1 else Direction.NONE.value
    builders = _set_id(connection, sorted(text for builder, text, _, _ in trusted if builder))
    connection.execute(
        "UPDATE meanings SET better = ?, builders = ?, listed = ? WHERE id = ?",
        (better, builders, bool(trusted), meaning),
    )
    if before and before != builders:
        connection.execute(_DELETE_SET, (before, before))


#: The series of a meaning, and whether a trusted build has declared or measured each.
_SERIES_OF = f"""SELECT s.builder, b.text, s.better, s.declared = {TRUSTED} OR EXISTS (
        SELECT 1 FROM lines l WHERE l.series = s.id AND NOT l.proposed AND l.count)
    FROM meanings m JOIN series s ON s.name = m.name AND s.meaning = m.id LEFT JOIN texts b ON b.id = s.builder
    WHERE m.id = ?"""
#: Deletes a set of builders unless a meaning has it.
_DELETE_SET = "DELETE FROM builder_sets WHERE id = ? AND NOT EXISTS (SELECT 1 FROM meanings WHERE builders = ?)"


def _set_id(connection: sqlite3.Connection, builders: list[str]) -> int:
    """The id of a set of builders, which is inserted if it is missing; 0 for none."""
    if not builders:
        return 0
    names = (json.dumps(builders, ensure_ascii=False),)
    row = connection.execute("SELECT id FROM builder_sets WHERE names = ?", names).fetchone()
    if row is None:
        row = (connection.execute("INSERT INTO builder_sets(names) VALUES (?)", names).lastrowid,)
    return int(row[0] or 0)
