"""The outbox: for each exporter, the points that it has yet to ship, in the order of their arrival.

``outbox`` holds the stream and time of every point written since the exporter was attached, under ascending sequence
numbers.  The point itself is read when it is shipped, so that a rewritten point is shipped with its present value and
a forgotten one is not shipped.  Acknowledged rows are deleted: the oldest row left is the exporter's cursor.  The
table ``sinks`` has a row for each exporter and counts its rows and bytes, so that reading a backlog costs one lookup.
``bytes`` estimates the size of a point in line protocol.

Functions that read take a connection, functions that change take the write connection inside a transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass
from typing import Optional

from bbmeasure.errors import StorageError
from bbmeasure.model import Point
from bbmeasure.storage.sqlite import pending_points, troubles
from bbmeasure.storage.sqlite.connection import WriteConnection
from bbmeasure.storage.sqlite.pending_points import PendingPoints
from bbmeasure.storage.sqlite.point_json import decode_point, encode_point
from bbmeasure.times import NANOSECONDS
from bbmeasure.units import excerpt

#: The number of dead letters kept of each exporter, the newest.
MAX_DEAD_LETTERS = 10_000
_SLICE = 2_000
#: The points since a time, ordered by stream and time, after a given stream and time: stream, time, estimated bytes.
_SINCE = """SELECT p.stream, p.time, 80 + length(n.text) + ifnull(length(b.text), 0) + ifnull(length(w.text), 0)
        + ifnull(length(g.text), 0) + ifnull(length(d.text), 0)
    FROM streams m JOIN lines l ON l.id = m.line JOIN series s ON s.id = l.series JOIN texts n ON n.id = s.name
    LEFT JOIN texts b ON b.id = s.builder LEFT JOIN texts w ON w.id = m.worker LEFT JOIN texts g ON g.id = l.tags
    CROSS JOIN points p ON p.stream = m.id AND p.time >= CASE WHEN m.id = :stream THEN :time + 1 ELSE :since END
    LEFT JOIN details d ON p.value IS NULL AND d.stream = p.stream AND d.time = p.time
    WHERE m.id >= :stream ORDER BY m.id, p.time LIMIT :limit"""


@dataclass(frozen=True)
class Backlog:
    """The number of pending points, and the arrival time of the oldest (nanoseconds; not the point's own time).

    ``bytes`` is an estimate.  ``trimmed`` counts the points dropped by :func:`trim`, and those that the journal's
    retention deleted while they were pending.
    """

    count: int
    oldest_time: Optional[int]
    bytes: int = 0
    trimmed: int = 0


@dataclass(frozen=True)
class DeadLetter:
    """A point that a server refused, the time of the refusal (nanoseconds) and the server's message."""

    time: int
    point: Point
    reason: str


# reading


def attached(connection: sqlite3.Connection) -> dict[str, int]:
    """The ids of all attached exporters by name, in the order of their attachment."""
    return dict(connection.execute("SELECT name, id FROM sinks WHERE name IS NOT NULL ORDER BY id").fetchall())


def exporters(connection: sqlite3.Connection) -> list[str]:
    """The names of all attached exporters."""
    return list(attached(connection))


def _exporter_id(connection: sqlite3.Connection, name: str) -> int:
    ids = attached(connection)
    if name not in ids:
        raise StorageError(f"exporter {excerpt(name)}: expected one of {', '.join(ids) or 'none'}")
    return ids[name]


def pending(connection: sqlite3.Connection, name: str, limit: int) -> PendingPoints:
    """The oldest pending points of an exporter with their sequence numbers, at most ``limit``.

    Points deleted since they were queued are left out.  When no other is pending the result is empty although the
    backlog is not; :func:`skip_deleted` then removes their rows.
    """
    return pending_points.read(connection, _exporter_id(connection, name), limit)


def backlog(connection: sqlite3.Connection, name: str) -> Backlog:
    """The backlog of an exporter."""
    exporter = _exporter_id(connection, name)
    count, bytes_, trimmed = connection.execute(
        "SELECT count, bytes, trimmed FROM sinks WHERE id = ?", (exporter,)
    ).fetchone()
    oldest = connection.execute("SELECT queued FROM outbox WHERE sink = ? ORDER BY seq LIMIT 1", (exporter,)).fetchone()
    return Backlog(count, oldest[0] * NANOSECONDS if oldest else None, bytes_, trimmed)


def dead_letters(connection: sqlite3.Connection, name: str, limit: int = 100) -> list[DeadLetter]:
    """The newest points that the exporter's server refused, newest first."""
    rows = connection.execute(
        "SELECT at, point, why FROM dead_letters WHERE sink = ? ORDER BY id DESC LIMIT ?",
        (_exporter_id(connection, name), limit),
    )
    return [DeadLetter(at * NANOSECONDS, decode_point(point), reason) for at, point, reason in rows]


# attaching, queueing


def attach(ingest: WriteConnection, name: str) -> None:
    """Queue points written from now on for an exporter; no change when it is attached already."""
    ingest.connection.execute(
        "INSERT INTO sinks(name, next, count, bytes, trimmed) VALUES (?, 1, 0, 0, 0) ON CONFLICT(name) DO NOTHING",
        (name,),
    )
    troubles.note(ingest, name, None)
    ingest.clear()


def detach(ingest: WriteConnection, name: str) -> None:
    """Stop queueing points for an exporter and hide its queue, whose rows :func:`delete_detached` deletes later."""
    ingest.connection.execute("UPDATE sinks SET name = NULL WHERE name = ?", (name,))
    ingest.clear()


def delete_detached(connection: sqlite3.Connection) -> bool:
    """Delete one slice of the rows of detached exporters; returns false when none is left."""
    found = connection.execute("SELECT id FROM sinks WHERE name IS NULL LIMIT 1").fetchone()
    if found is None:
        return False
    (last,) = connection.execute(
        "SELECT max(seq) FROM (SELECT seq FROM outbox WHERE sink = ? ORDER BY seq LIMIT ?)", (found[0], _SLICE)
    ).fetchone()
    if last is not None:
        connection.execute("DELETE FROM outbox WHERE sink = ? AND seq <= ?", (found[0], last))
    else:
        connection.execute("DELETE FROM dead_letters WHERE sink = ?", found)
        connection.execute("DELETE FROM troubles WHERE sink = ?", found)
        connection.execute("DELETE FROM sinks WHERE id = ?", found)
    return True


def enqueue(
    connection: sqlite3.Connection, to: Collection[int], rows: Sequence[tuple[int, int, int]], now: int
) -> None:
    """Queue points for exporters, by their ids, each point as (stream id, time, estimated bytes).

    ``now`` in seconds is their arrival.
    """
    if not to or not rows:
        return
    packed = json.dumps(rows)
    for exporter in to:
        connection.execute(
            "INSERT INTO outbox SELECT s.id, s.next + r.key, json_extract(r.value, '$[0]'), "
            "json_extract(r.value, '$[1]'), ?, json_extract(r.value, '$[2]') "
            "FROM json_each(?) r CROSS JOIN sinks s WHERE s.id = ?",
            (now, packed, exporter),
        )
        connection.execute(
            "UPDATE sinks SET next = next + ?, count = count + ?, bytes = bytes + ? WHERE id = ?",
            (len(rows), len(rows), sum(bytes_ for _, _, bytes_ in rows), exporter),
        )


def reship(ingest: WriteConnection, name: str, since: int) -> Generator[None, None, int]:
    """Queue all points since a time (nanoseconds) again, behind the pending ones; returns their number.

    A generator that yields after every 2,000 points.  The caller commits there, so that other writes wait for one
    slice at most.
    """
    exporter = _exporter_id(ingest.connection, name)
    count, stream, time = 0, -1, since - 1
    while True:
        rows = ingest.connection.execute(
            _SINCE, {"stream": stream, "time": time, "since": since, "limit": _SLICE}
        ).fetchall()
        if not rows:
            return count
        enqueue(ingest.connection, [exporter], [row[:3] for row in rows], ingest.now())
        count += len(rows)
        stream, time = rows[-1][0], rows[-1][1]
        yield


# removing


def acknowledge(ingest: WriteConnection, name: str, seq: int, refused: Sequence[tuple[Point, str]] = ()) -> None:
    """Remove the points up to the sequence number ``seq``; ``refused`` (point, reason) become dead letters."""
    connection, exporter = ingest.connection, _exporter_id(ingest.connection, name)
    _remove(connection, exporter, seq)
    for point, reason in refused:
        connection.execute(
            "INSERT INTO dead_letters(sink, at, point, why) VALUES (?, ?, ?, ?)",
            (exporter, ingest.now(), encode_point(point), reason),
        )
    if refused:
        connection.execute(
            "DELETE FROM dead_letters WHERE sink = ? AND id <= "
            "(SELECT id FROM dead_letters WHERE sink = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (exporter, exporter, MAX_DEAD_LETTERS),
        )


def _remove(connection: sqlite3.Connection, exporter: int, seq: int) -> int:
    """Delete the rows up to ``seq``; returns their number."""
    count, bytes_ = connection.execute(
        "SELECT count(*), total(bytes) FROM outbox WHERE sink = ? AND seq <= ?", (exporter, seq)
    ).fetchone()
    connection.execute("DELETE FROM outbox WHERE sink = ? AND seq <= ?", (exporter, seq))
    _subtract(connection, exporter, count, bytes_)
    return int(count)


def _subtract(connection: sqlite3.Connection, exporter: int, count: int, bytes_: float) -> None:
    connection.execute(
        "UPDATE sinks SET count = max(0, count - ?), bytes = max(0, bytes - ?) WHERE id = ?",
        (count, int(bytes_), exporter),
    )


def skip_deleted(ingest: WriteConnection, name: str) -> None:
    """Remove the rows of points that were deleted, up to the first point that still exists."""
    connection, exporter = ingest.connection, _exporter_id(ingest.connection, name)
    first = connection.execute(pending_points.QUEUED, (exporter, 1)).fetchone()
    if first is None:
        (next_seq,) = connection.execute("SELECT next FROM sinks WHERE id = ?", (exporter,)).fetchone()
        _remove(connection, exporter, next_seq)
    else:
        _remove(connection, exporter, first[0] - 1)


def drop_expired(connection: sqlite3.Connection, exporter: int, after: int, until: int) -> tuple[int, bool]:
    """Drop pending points with a time before ``until`` (nanoseconds), which the retention is about to delete.

    Examines one slice of the rows behind the sequence number ``after``.  Returns the last number of the slice, and
    whether more rows may follow.  ``Backlog.trimmed`` counts the dropped points.
    """
    examined, last, oldest = connection.execute(
        "SELECT count(*), max(seq), min(time) FROM "
        "(SELECT seq, time FROM outbox WHERE sink = ? AND seq > ? ORDER BY seq LIMIT ?)",
        (exporter, after, _SLICE),
    ).fetchone()
    if not examined:
        return after, False
    if oldest < until:
        which = (exporter, after, last, until)
        count, bytes_, existing = connection.execute(
            "SELECT count(*), total(o.bytes), count(p.time) FROM outbox o "
            "LEFT JOIN points p ON p.stream = o.stream AND p.time = o.time "
            "WHERE o.sink = ? AND o.seq > ? AND o.seq <= ? AND o.time < ?",
            which,
        ).fetchone()
        connection.execute("DELETE FROM outbox WHERE sink = ? AND seq > ? AND seq <= ? AND time < ?", which)
        _subtract(connection, exporter, count, bytes_)
        connection.execute("UPDATE sinks SET trimmed = trimmed + ? WHERE id = ?", (existing, exporter))
    return int(last), examined == _SLICE


def trim(
    ingest: WriteConnection, name: str, max_bytes: Optional[int] = None, max_age: Optional[float] = None
) -> Generator[None, None, int]:
    """Drop the oldest pending points over ``max_bytes``, and those pending longer than ``max_age`` seconds.

    A generator like :func:`reship`.  Returns the number of dropped points, which ``Backlog.trimmed`` counts too.
    """
    exporter, dropped = _exporter_id(ingest.connection, name), 0
    queued_since = None if max_age is None else ingest.now() - max_age
    while True:
        count = _trim_slice(ingest.connection, exporter, max_bytes, queued_since)
        dropped += count
        if not count:
            return dropped
        yield


def _trim_slice(
    connection: sqlite3.Connection, exporter: int, max_bytes: Optional[int], queued_since: Optional[float]
) -> int:
    (total,) = connection.execute("SELECT bytes FROM sinks WHERE id = ?", (exporter,)).fetchone()
    excess = total - max_bytes if max_bytes is not None else 0
    last = None
    for seq, queued, bytes_ in connection.execute(
        "SELECT seq, queued, bytes FROM outbox WHERE sink = ? ORDER BY seq LIMIT ?", (exporter, _SLICE)
    ):
        if excess <= 0 and (queued_since is None or queued >= queued_since):
            break
        last, excess = seq, excess - bytes_
    if last is None:
        return 0
    count = _remove(connection, exporter, last)
    connection.execute("UPDATE sinks SET trimmed = trimmed + ? WHERE id = ?", (count, exporter))
    return count
