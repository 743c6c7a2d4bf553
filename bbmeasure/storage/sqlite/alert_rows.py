"""Alerts and mutes in the journal.

``applied`` is 0 while the line's detector does not know a decision yet, which another process may have written.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from typing import Any, Optional, Union

from bbmeasure.storage.sqlite.ingest import Ingest
from bbmeasure.storage.sqlite.selection import DIRECTIONS, KINDS, LINE_NAMES
from bbmeasure.storage.sqlite.texts import NONE, has_names
from bbmeasure.storage.verdict_store import OPEN, Alert, AlertQuery, Line, Mute
from bbmeasure.times import NANOSECONDS

_COLUMNS = (
    "id, line, rule, state, outcome, build, buildid, time, opened, before, after, change, who, why, applied, facts"
)
#: Columns of a line, for :func:`line_of`.
LINE = "l.id, n.text, b.text, g.text, r.text, c.text, l.proposed, k.kind, k.unit, s.better"
#: Alerts with the names of their lines; those of forgotten series are left out.
_ALERTS = f"""SELECT {", ".join(f"a.{column}" for column in _COLUMNS.split(", "))}, {LINE}
    FROM alerts a JOIN lines l ON l.id = a.line JOIN series s ON s.id = l.series {LINE_NAMES}"""
_MUTES = """SELECT n.text, ifnull(b.text, ''), m.until, m.who, m.why
    FROM mutes m JOIN texts n ON n.id = m.name LEFT JOIN texts b ON b.id = m.builder ORDER BY m.id"""


def line_of(row: Sequence[Any]) -> Line:
    """The line of a row with the columns LINE."""
    id_, series, builder, tags, branch, machine, proposed, kind, unit, better = row
    names = (series, builder or "", json.loads(tags) if tags else {}, branch, machine)
    return Line(id_, *names, bool(proposed), KINDS[kind], unit, DIRECTIONS[better])


def _alert(row: Sequence[Any]) -> Alert:
    fields = dict(zip(_COLUMNS.split(", "), row))
    fields.update(line=line_of(row[16:]), applied=bool(fields["applied"]), facts=json.loads(fields["facts"]))
    return Alert(**fields)


def of_lines(connection: sqlite3.Connection, lines: Collection[int]) -> dict[int, list[Alert]]:
    """The alerts of lines that are open or whose decision is not applied, by line."""
    found: dict[int, list[Alert]] = {}
    wanted = set(lines)
    for state in ("a.state = 'open'", "a.applied = 0 AND a.state != 'open'"):
        for row in connection.execute(f"{_ALERTS} WHERE {state} ORDER BY a.id"):
            if row[1] in wanted:
                found.setdefault(row[1], []).append(_alert(row))
    return found


def select(connection: sqlite3.Connection, query: AlertQuery) -> list[Alert]:
    """The alerts of a query, newest first."""
    conditions, names = has_names(("s.name", query.series), ("s.builder", query.builder), ("l.branch", query.branch))
    parameters: list[Union[str, int]] = [*names]
    for condition, value in (("a.state = ?", query.state), ("a.time >= ?", query.since)):
        if value is not None:
            conditions += f" AND {condition}"
            parameters.append(value)
    rows = connection.execute(f"{_ALERTS} WHERE {conditions} ORDER BY a.id DESC", parameters)
    found = []
    for row in rows:
        alert = _alert(row)
        if query.builders is None or alert.line.builder in query.builders:
            found.append(alert)
        if len(found) == query.limit:
            break
    return found


def find(connection: sqlite3.Connection, id_: int) -> Optional[Alert]:
    """The alert of an id."""
    row = connection.execute(f"{_ALERTS} WHERE a.id = ?", (id_,)).fetchone()
    return None if row is None else _alert(row)


def next_id(connection: sqlite3.Connection) -> int:
    """The id of the next alert; the id of a deleted one is not used again."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'alerts'").fetchone()
    return 1 if row is None else int(row[0]) + 1


def put(connection: sqlite3.Connection, alert: Alert) -> None:
    """Insert or update an alert; one that was decided since it was read keeps its decision."""
    facts = json.dumps(dict(alert.facts), separators=(",", ":"))
    row = (
        *(alert.id, alert.line.id, alert.rule, alert.state, alert.outcome, alert.build, alert.buildid, alert.time),
        *(alert.opened, alert.before, alert.after, alert.change, alert.who, alert.why, int(alert.applied), facts),
    )
    known = connection.execute("SELECT state, applied FROM alerts WHERE id = ?", (alert.id,)).fetchone()
    if known is None:
        connection.execute(f"INSERT INTO alerts({_COLUMNS}) VALUES ({', '.join('?' * len(row))})", row)
    elif known[0] == OPEN:
        connection.execute(f"REPLACE INTO alerts({_COLUMNS}) VALUES ({', '.join('?' * len(row))})", row)
    elif known[0] == alert.state:
        applied = "UPDATE alerts SET applied = ?, facts = ? WHERE id = ?"
        connection.execute(applied, (int(alert.applied), facts, alert.id))


def decide(ingest: Ingest, id_: int, state: str, who: str, why: str) -> bool:
    """Decide an open alert; false where there is no open one of that id."""
    row = ingest.connection.execute("SELECT facts, time FROM alerts WHERE id = ? AND state = 'open'", (id_,)).fetchone()
    if row is None:
        return False
    decided = max(ingest.now() * NANOSECONDS, row[1] + 1)  # not before the value, which may be of the same second
    facts = {**json.loads(row[0]), "decided": decided}
    ingest.connection.execute(
        "UPDATE alerts SET state = ?, who = ?, why = ?, applied = 0, facts = ? WHERE id = ?",
        (state, who, why, json.dumps(facts, separators=(",", ":")), id_),
    )
    return True


def mutes(connection: sqlite3.Connection) -> list[Mute]:
    """All mutes."""
    return [Mute(*row) for row in connection.execute(_MUTES)]


def mute(ingest: Ingest, muted: Mute) -> None:
    """Add a mute in place of one of the same series and builder; those that have ended are deleted."""
    connection, name = ingest.connection, ingest.texts(muted.series)
    builder = ingest.texts(muted.builder) if muted.builder else NONE
    connection.execute("DELETE FROM mutes WHERE (name = ? AND builder = ?) OR until < ?", (name, builder, ingest.now()))
    connection.execute(
        "INSERT INTO mutes(name, builder, until, who, why) VALUES (?, ?, ?, ?, ?)",
        (name, builder, muted.until, muted.who, muted.why),
    )
