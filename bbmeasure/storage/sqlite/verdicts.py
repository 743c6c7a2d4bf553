"""Verdicts in the journal: kept verdicts, detectors, remarks.  Alerts and mutes are in :mod:`~.alert_rows`.

- ``verdicts`` has one row for each judged build, its key is the buildid; ``lines`` is encoded by
  :mod:`bbmeasure.reports.kept_verdicts`, and names lines by their ids.
- ``detectors`` is a cache: the state of a line's detector up to the value at ``time`` of the build with that number.
  ``late`` is the earliest time of a point that was written or deleted behind it since, see :meth:`.Ingest.mark_late`.
- ``untold`` has the builds whose verdicts a reporter has yet to tell.
- ``remarks`` has what few values have beside their point, by line and buildid: the measurements of a step that measured
  several times, and whether the command failed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Optional, Union

from bbmeasure.storage.sqlite import alert_rows
from bbmeasure.storage.sqlite.build_rows import VARIANTS
from bbmeasure.storage.sqlite.connection import insert_rows
from bbmeasure.storage.sqlite.ingest import Ingest
from bbmeasure.storage.sqlite.selection import LINE_NAMES, Stream, points_of_build
from bbmeasure.storage.sqlite.texts import has_names
from bbmeasure.storage.validation import canonical_tags, state_key
from bbmeasure.storage.verdict_store import (
    BuildValues,
    KeptBuild,
    KeptDetector,
    Line,
    LineValue,
    VerdictChanges,
)

#: The bit shift from the key of a build's row to its buildid; a division rounds negative ids up.
_SHIFT = VARIANTS.bit_length() - 1
#: The most values of a statement (SQLite before 3.32 allows 999).
_VALUES_PER_STATEMENT = 900

_HISTORY = f"""SELECT p.time, b.number, p.build >> {_SHIFT}, p.value, q.samples, q.excluded
    FROM streams m CROSS JOIN points p ON p.stream = m.id AND p.time >= ? JOIN builds b ON b.id = p.build
    LEFT JOIN remarks q ON q.line = m.line AND q.build = p.build >> {_SHIFT}
    WHERE m.line = ? AND p.value IS NOT NULL ORDER BY p.time DESC LIMIT ?"""
_LINE = f"SELECT {alert_rows.LINE} FROM series s JOIN lines l ON l.series = s.id {LINE_NAMES}"
_OF_BUILDS = "WHERE l.id > ? AND NOT l.proposed AND s.builder != 0 AND k.kind != 'text' AND l.count"
_WITHOUT_DETECTOR = " AND NOT EXISTS (SELECT 1 FROM detectors d WHERE d.line = l.id)"
#: A point that came late after the row was read is still late; the last value is ``late`` as it was read.
_KEEP = """INSERT INTO detectors VALUES (?, ?, ?, ?, NULL) ON CONFLICT(line) DO UPDATE SET time = excluded.time,
    build = excluded.build, state = excluded.state, late = CASE WHEN late IS ? THEN NULL ELSE late END"""
_LEARN = """INSERT INTO detectors VALUES (?, ?, ?, ?, NULL) ON CONFLICT(line) DO UPDATE SET state = excluded.state
    WHERE time = excluded.time AND build = excluded.build"""


# reading


def build_values(connection: sqlite3.Connection, buildid: int) -> BuildValues:
    """The last value of each line of a build, its texts by series, and its worker."""
    values: dict[int, tuple[Line, LineValue]] = {}
    texts: dict[str, str] = {}
    worker = ""
    for stream, point in points_of_build(connection, buildid, last=True):
        worker = stream.worker
        if isinstance(point.value, str):
            texts[stream.series] = point.value
        elif point.build is not None:
            value = LineValue(point.time, point.build.build, buildid, float(point.value))
            values[stream.line] = (_line_of(stream), value)
    _add_remarks(connection, buildid, values)
    return BuildValues(list(values.values()), texts, worker)


def _add_remarks(connection: sqlite3.Connection, buildid: int, values: dict[int, tuple[Line, LineValue]]) -> None:
    for id_ in list(values):
        row = connection.execute(
            "SELECT samples, excluded FROM remarks WHERE line = ? AND build = ?", (id_, buildid)
        ).fetchone()
        if row is not None:
            line, value = values[id_]
            values[id_] = (line, value._replace(samples=json.loads(row[0]), excluded=bool(row[1])))


def _line_of(stream: Stream) -> Line:
    names = (stream.series, stream.builder, stream.tags, stream.branch, stream.machine, stream.proposed)
    return Line(stream.line, *names, stream.kind, stream.unit, stream.better)


def find_line(connection: sqlite3.Connection, line: Line) -> Optional[Line]:
    """The line of these names."""
    where, names = has_names(
        ("s.name", line.series),
        ("s.builder", line.builder),
        ("l.tags", canonical_tags(line.tags)),
        ("l.branch", line.branch or ""),
        ("l.machine", line.machine or ""),
    )
    row = connection.execute(f"{_LINE} WHERE {where} AND l.proposed = ?", (*names, line.proposed)).fetchone()
    return None if row is None else alert_rows.line_of(row)


def detectors(connection: sqlite3.Connection, lines: Collection[int]) -> dict[int, KeptDetector]:
    """The kept detectors of lines."""
    rows = _select_in(connection, "SELECT line, time, build, state, late FROM detectors WHERE line IN", lines)
    return {row[0]: KeptDetector(*row) for row in rows}


def _select_in(
    connection: sqlite3.Connection, select: str, values: Collection[Union[int, str]]
) -> Iterable[Sequence[Any]]:
    """The rows of a statement that ends with IN, for all of ``values``."""
    listed = list(values)
    for at in range(0, len(listed), _VALUES_PER_STATEMENT):
        part = listed[at : at + _VALUES_PER_STATEMENT]
        yield from connection.execute(f"{select} ({', '.join('?' * len(part))})", part)


def history(connection: sqlite3.Connection, line: int, since: Optional[int], limit: int) -> list[LineValue]:
    """The newest values of a line from ``since`` on, one a build, in their order."""
    rows = connection.execute(_HISTORY, (-(2**62) if since is None else since, line, limit))
    values: dict[int, LineValue] = {}
    for time, build, buildid, value, samples, excluded in rows:
        if buildid not in values:  # the newest come first
            values[buildid] = LineValue(
                time, build, buildid, value, json.loads(samples) if samples else (), bool(excluded)
            )
    return sorted(values.values(), key=lambda one: one.position)


def total_lines(connection: sqlite3.Connection, lines: Collection[Line]) -> set[int]:
    """The ids of those lines that hold running totals."""
    keys = {state_key("total", line.series, line.builder, line.tags): line.id for line in lines}
    return {keys[key] for (key,) in _select_in(connection, "SELECT key FROM state WHERE key IN", keys)}


def kept_verdicts(connection: sqlite3.Connection, buildid: int) -> Optional[KeptBuild]:
    """The verdicts of a build, with the values that they are of."""
    row = connection.execute("SELECT lines FROM verdicts WHERE build = ?", (buildid,)).fetchone()
    return None if row is None else KeptBuild(row[0], build_values(connection, buildid))


def kept_lines(connection: sqlite3.Connection, buildids: Collection[int]) -> dict[int, bytes]:
    """The encoded verdicts of builds, without their values."""
    return dict(_select_in(connection, "SELECT build, lines FROM verdicts WHERE build IN", buildids))  # type: ignore[arg-type]


def untold(connection: sqlite3.Connection, reporter: str, limit: int) -> list[int]:
    """The oldest builds whose verdicts a reporter has not told."""
    rows = connection.execute("SELECT build FROM untold WHERE reporter = ? ORDER BY build LIMIT ?", (reporter, limit))
    return [build for (build,) in rows]


def lines_to_learn(connection: sqlite3.Connection, after: int, limit: int, *, again: bool) -> list[Line]:
    """Lines of builds without a detector, with ``again`` all lines, by id after ``after``."""
    select = f"{_LINE} {_OF_BUILDS}{'' if again else _WITHOUT_DETECTOR} ORDER BY l.id LIMIT ?"
    return [alert_rows.line_of(row) for row in connection.execute(select, (after, limit))]


def count_lines_to_learn(connection: sqlite3.Connection, *, again: bool) -> int:
    """The number of these lines."""
    select = f"SELECT count(*) FROM ({_LINE} {_OF_BUILDS}{'' if again else _WITHOUT_DETECTOR})"
    return int(connection.execute(select, (0,)).fetchone()[0])


# writing


def keep(ingest: Ingest, changes: VerdictChanges) -> None:
    """Write what judging a build has changed; an alert that was decided meanwhile keeps its state."""
    connection = ingest.connection
    if changes.buildid is not None and changes.lines:
        connection.execute("REPLACE INTO verdicts VALUES (?, ?)", (changes.buildid, changes.lines))
        insert_rows(connection, "REPLACE INTO untold", [(changes.buildid, reporter) for reporter in changes.untold])
    if changes.learned:
        connection.executemany(_LEARN, [row[:4] for row in changes.detectors])
    else:
        connection.executemany(_KEEP, changes.detectors)
    insert_rows(
        connection,
        "REPLACE INTO remarks",
        [(one.line, one.buildid, json.dumps(list(one.samples)), int(one.excluded)) for one in changes.remarks],
    )
    for alert in changes.alerts:
        alert_rows.put(connection, alert)


def told(ingest: Ingest, reporter: str, buildids: Sequence[int]) -> None:
    """Note that a reporter has told the verdicts of builds."""
    rows = [(buildid, reporter) for buildid in buildids]
    ingest.connection.executemany("DELETE FROM untold WHERE build = ? AND reporter = ?", rows)


def keep_reporters(ingest: Ingest, reporters: Collection[str]) -> None:
    """Delete the builds that other reporters than these have not told."""
    kept = sorted(reporters)
    ingest.connection.execute(f"DELETE FROM untold WHERE reporter NOT IN ({', '.join('?' * len(kept))})", kept)


def delete_build(connection: sqlite3.Connection, buildid: int) -> None:
    """Delete the verdicts and remarks of a build whose points were deleted."""
    for table in ("verdicts", "untold", "remarks"):
        connection.execute(f"DELETE FROM {table} WHERE build = ?", (buildid,))


def delete_line(connection: sqlite3.Connection, line: int) -> None:
    """Delete what belongs to a line whose points were deleted, as its id may be used again."""
    for table in ("detectors", "remarks", "alerts"):
        connection.execute(f"DELETE FROM {table} WHERE line = ?", (line,))
