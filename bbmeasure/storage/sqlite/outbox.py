"""The outbox: which points a sink has yet to ship, in the order in which they came.

``outbox`` holds for each attached sink the stream and time of every point written since, under ascending numbers; the
point itself is read when it is shipped, so that what was changed meanwhile goes out as it is now and what was
forgotten does not.  What a sink acknowledged is deleted: the oldest row left is its cursor.  ``sinks`` counts rows and
bytes, so that a backlog costs nothing to ask for.  ``bytes`` estimates what a point takes in line protocol.

These are plain functions of a connection, in a transaction that their caller makes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Optional, Union, overload

from bbmeasure.errors import StorageError
from bbmeasure.model import NANOSECONDS, BuildContext, Point, SeriesInfo
from bbmeasure.storage.sqlite import queries
from bbmeasure.units import excerpt

#: The newest refused points that are kept of each sink.
MOST_DEAD_LETTERS = 10_000
_ROWS_A_SLICE = 2_000
_STREAM = """SELECT s.name, m.builder, m.worker, m.tags, s.kind, s.unit, s.better
    FROM streams m JOIN series s ON s.id = m.series WHERE m.id = ?"""


@dataclass(frozen=True)
class Backlog:
    """How many points wait, and since when the oldest does (nanoseconds; when it came, not the point's own time).

    ``bytes`` is an estimate; ``trimmed`` counts the points that were dropped because too many waited, or one for too
    long, and those that the journal's own retention deleted while they waited.
    """

    count: int
    oldest_time: Optional[int]
    bytes: int = 0
    trimmed: int = 0


@dataclass(frozen=True)
class DeadLetter:
    """A point that a server refused, when (nanoseconds) and with which words."""

    time: int
    point: Point
    why: str


@dataclass(frozen=True)
class Queue:
    """A sink that is attached: its number in the file."""

    id: int
    name: str


def queues(connection: sqlite3.Connection) -> list[Queue]:
    """All sinks that are attached, in the order in which they were."""
    return [Queue(*row) for row in connection.execute("SELECT id, name FROM sinks WHERE name IS NOT NULL ORDER BY id")]


def attach(connection: sqlite3.Connection, name: str) -> None:
    """From now on points are queued for that sink; nothing happens where they are already."""
    connection.execute(
        "INSERT INTO sinks(name, next, count, bytes, trimmed) VALUES (?, 1, 0, 0, 0) ON CONFLICT(name) DO NOTHING",
        (name,),
    )


def detach(connection: sqlite3.Connection, name: str) -> None:
    """Nothing is queued for that sink any longer; what was is deleted later, see :func:`delete_detached`."""
    connection.execute("UPDATE sinks SET name = NULL WHERE name = ?", (name,))


def delete_detached(connection: sqlite3.Connection) -> bool:
    """Delete some of what waits for sinks that were detached; False where there is none."""
    found = connection.execute("SELECT id FROM sinks WHERE name IS NULL LIMIT 1").fetchone()
    if found is None:
        return False
    (last,) = connection.execute(
        "SELECT max(seq) FROM (SELECT seq FROM outbox WHERE sink = ? ORDER BY seq LIMIT ?)", (found[0], _ROWS_A_SLICE)
    ).fetchone()
    if last is not None:
        connection.execute("DELETE FROM outbox WHERE sink = ? AND seq <= ?", (found[0], last))
    else:
        connection.execute("DELETE FROM dead_letters WHERE sink = ?", found)
        connection.execute("DELETE FROM sinks WHERE id = ?", found)
    return True


def _sink(connection: sqlite3.Connection, name: str) -> int:
    found = connection.execute("SELECT id FROM sinks WHERE name = ?", (name,)).fetchone()
    if found is None:
        known = ", ".join(queue.name for queue in queues(connection)) or "none"
        raise StorageError(f"sink {excerpt(name)}: expected one that is attached ({known})")
    return int(found[0])


def enqueue(
    connection: sqlite3.Connection, sinks: Sequence[Queue], rows: Sequence[tuple[int, int, int]], now: int
) -> None:
    """Queue points, each as its stream, time and estimated bytes, for ``sinks``; ``now`` in seconds."""
    if not sinks or not rows:
        return
    packed = json.dumps(rows)
    for sink in sinks:
        connection.execute(
            "INSERT INTO outbox SELECT s.id, s.next + r.key, json_extract(r.value, '$[0]'), "
            "json_extract(r.value, '$[1]'), ?, json_extract(r.value, '$[2]') "
            "FROM json_each(?) r CROSS JOIN sinks s WHERE s.id = ?",
            (now, packed, sink.id),
        )
        connection.execute(
            "UPDATE sinks SET next = next + ?1, count = count + ?1, bytes = bytes + ?2 WHERE id = ?3",
            (len(rows), sum(bytes_ for _, _, bytes_ in rows), sink.id),
        )


class Waiting(Sequence[tuple[int, Point]]):
    """Points with their numbers, made of the file's rows each time that one is looked at.

    Rows are tuples of numbers and texts, which the garbage collector lets alone; ten thousand points that live for some
    tenths of a second each would have it stop the reactor for tens of milliseconds, again and again.
    """

    def __init__(
        self,
        rows: Sequence[tuple[Any, ...]],
        streams: Mapping[int, queries.Stream],
        builds: Mapping[int, tuple[Any, ...]],
        steps: Mapping[int, str],
        series: frozenset[SeriesInfo],
    ) -> None:
        """``rows`` of ``queries.QUEUED``; ``builds`` are number, revision, branch and project.

        ``series`` says what the series of all rows that were read at one go are, without what these hold.
        """
        self.series = series
        self._rows = rows
        self._streams = streams
        self._builds = builds
        self._steps = steps

    def sketches(self) -> Iterator[tuple[int, Optional[int], Optional[int], Optional[float], int]]:
        """Of each point, in their order, its stream, build and step by number, its value and its time.

        The value is None for what is not told by these alone: a text, or a number of several samples.
        """
        for _, stream, time, value, _, samples, spread, build, step in self._rows:
            yield stream, build, step, value if samples is None and spread is None else None, time

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> tuple[int, Point]: ...

    @overload
    def __getitem__(self, at: slice) -> Waiting: ...

    def __getitem__(self, at: Union[int, slice]) -> Union[tuple[int, Point], Waiting]:
        if isinstance(at, slice):
            return Waiting(self._rows[at], self._streams, self._builds, self._steps, self.series)
        return self._made(self._rows[at])

    def __iter__(self) -> Iterator[tuple[int, Point]]:
        return map(self._made, self._rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __repr__(self) -> str:
        return f"Waiting({list(self)!r})"

    __hash__ = None  # type: ignore[assignment]  # compares by what it holds

    def _made(self, row: tuple[Any, ...]) -> tuple[int, Point]:
        seq, stream, *point, build, step = row
        number, *facts = (None, None, None, None) if build is None else self._builds[build]
        step_name = None if step is None else self._steps[step]
        return seq, self._streams[stream].point((*point, build, number, step_name, *facts))


def pending(connection: sqlite3.Connection, name: str, limit: int) -> Waiting:
    """The oldest points that wait, each with its number, at most ``limit``.

    What was deleted meanwhile is left out; where that is all that waits, the answer is empty although the backlog is
    not.  :func:`skip_deleted` then takes it away.
    """
    rows = connection.execute(queries.QUEUED, (_sink(connection, name), limit)).fetchall()

    def named(sql: str, column: int) -> dict[int, tuple[Any, ...]]:
        ids = {row[column] for row in rows} - {None}
        return {id_: connection.execute(sql, (id_,)).fetchone() for id_ in ids}

    streams: dict[int, queries.Stream] = {}
    infos: dict[str, SeriesInfo] = {}
    for id_, (series, builder, worker, tags, *told) in named(_STREAM, 1).items():
        streams[id_] = queries.Stream(id_, series, builder, worker, json.loads(tags))
        infos[series] = queries.info_of(series, *told)
    builds = named("SELECT number, revision, branch, project FROM builds WHERE id = ?", 7)
    steps = {id_: step for id_, (step,) in named("SELECT name FROM steps WHERE id = ?", 8).items()}
    return Waiting(rows, streams, builds, steps, frozenset(infos.values()))


def acknowledge(
    connection: sqlite3.Connection, name: str, seq: int, refused: Sequence[tuple[Point, str]], now: int
) -> None:
    """What waited up to the number ``seq`` is done with; ``refused`` points become dead letters with their reasons."""
    sink = _sink(connection, name)
    _drop(connection, sink, seq)
    for point, why in refused:
        letter = json.dumps(asdict(point), ensure_ascii=False)
        connection.execute(
            "INSERT INTO dead_letters(sink, at, point, why) VALUES (?, ?, ?, ?)", (sink, now, letter, why)
        )
    if refused:
        connection.execute(
            "DELETE FROM dead_letters WHERE sink = ?1 AND id <= "
            "(SELECT id FROM dead_letters WHERE sink = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
            (sink, MOST_DEAD_LETTERS),
        )


def _drop(connection: sqlite3.Connection, sink: int, seq: int) -> int:
    """Delete what waits up to ``seq``; how many points that were."""
    count, bytes_ = connection.execute(
        "SELECT count(*), total(bytes) FROM outbox WHERE sink = ? AND seq <= ?", (sink, seq)
    ).fetchone()
    connection.execute("DELETE FROM outbox WHERE sink = ? AND seq <= ?", (sink, seq))
    _less(connection, sink, count, bytes_)
    return int(count)


def _less(connection: sqlite3.Connection, sink: int, count: int, bytes_: float) -> None:
    connection.execute(
        "UPDATE sinks SET count = max(0, count - ?), bytes = max(0, bytes - ?) WHERE id = ?", (count, int(bytes_), sink)
    )


def drop_expired(connection: sqlite3.Connection, sink: int, after: int, until: int) -> tuple[int, bool]:
    """Drop what waits with a time before ``until`` (nanoseconds), which is about to be deleted; trimmed counts it.

    Looks at a slice of what waits behind the number ``after``: the last number of it, and whether more may follow.
    """
    looked, last, oldest = connection.execute(
        "SELECT count(*), max(seq), min(time) FROM "
        "(SELECT seq, time FROM outbox WHERE sink = ? AND seq > ? ORDER BY seq LIMIT ?)",
        (sink, after, _ROWS_A_SLICE),
    ).fetchone()
    if not looked:
        return after, False
    if oldest < until:
        which = (sink, after, last, until)
        count, bytes_, there = connection.execute(
            "SELECT count(*), total(o.bytes), count(p.time) FROM outbox o "
            "LEFT JOIN points p ON p.stream = o.stream AND p.time = o.time "
            "WHERE o.sink = ? AND o.seq > ? AND o.seq <= ? AND o.time < ?",
            which,
        ).fetchone()
        connection.execute("DELETE FROM outbox WHERE sink = ? AND seq > ? AND seq <= ? AND time < ?", which)
        _less(connection, sink, count, bytes_)
        connection.execute("UPDATE sinks SET trimmed = trimmed + ? WHERE id = ?", (there, sink))
    return int(last), looked == _ROWS_A_SLICE


def backlog(connection: sqlite3.Connection, name: str) -> Backlog:
    """How much waits for a sink."""
    sink = _sink(connection, name)
    count, bytes_, trimmed = connection.execute(
        "SELECT count, bytes, trimmed FROM sinks WHERE id = ?", (sink,)
    ).fetchone()
    oldest = connection.execute("SELECT queued FROM outbox WHERE sink = ? ORDER BY seq LIMIT 1", (sink,)).fetchone()
    return Backlog(count, oldest[0] * NANOSECONDS if oldest else None, bytes_, trimmed)


def dead_letters(connection: sqlite3.Connection, name: str, limit: int) -> list[DeadLetter]:
    """The newest points that the server of a sink refused, the newest first."""
    rows = connection.execute(
        "SELECT at, point, why FROM dead_letters WHERE sink = ? ORDER BY id DESC LIMIT ?",
        (_sink(connection, name), limit),
    )
    return [DeadLetter(at * NANOSECONDS, _read_point(json.loads(letter)), why) for at, letter, why in rows]


def _read_point(fields: dict[str, Any]) -> Point:
    build = fields.pop("build")
    return Point(build=BuildContext(**build) if build else None, **fields)


def trim(
    connection: sqlite3.Connection, name: str, max_bytes: Optional[int], max_age: Optional[float], now: int
) -> Generator[None, None, int]:
    """Drop the oldest of what waits until it is at most ``max_bytes`` and none waited longer than ``max_age`` seconds.

    A generator as :func:`reship` is; how many it were, which ``Backlog.trimmed`` counts too.
    """
    sink, dropped = _sink(connection, name), 0
    while True:
        count = _trim_slice(connection, sink, max_bytes, None if max_age is None else now - max_age)
        dropped += count
        if not count:
            return dropped
        yield


def _trim_slice(
    connection: sqlite3.Connection, sink: int, max_bytes: Optional[int], queued_since: Optional[float]
) -> int:
    (excess,) = connection.execute("SELECT bytes FROM sinks WHERE id = ?", (sink,)).fetchone()
    excess = excess - max_bytes if max_bytes is not None else 0
    drop_to = None
    for seq, queued, bytes_ in connection.execute(
        "SELECT seq, queued, bytes FROM outbox WHERE sink = ? ORDER BY seq LIMIT ?", (sink, _ROWS_A_SLICE)
    ):
        if excess <= 0 and (queued_since is None or queued >= queued_since):
            break
        drop_to, excess = seq, excess - bytes_
    if drop_to is None:
        return 0
    count = _drop(connection, sink, drop_to)
    connection.execute("UPDATE sinks SET trimmed = trimmed + ? WHERE id = ?", (count, sink))
    return count


def skip_deleted(connection: sqlite3.Connection, name: str) -> None:
    """Take the points away that were forgotten before a sink came to them, up to the first that is still there."""
    sink = _sink(connection, name)
    first = connection.execute(queries.QUEUED, (sink, 1)).fetchone()
    if first is None:
        (next_seq,) = connection.execute("SELECT next FROM sinks WHERE id = ?", (sink,)).fetchone()
        _drop(connection, sink, next_seq)
    else:
        _drop(connection, sink, first[0] - 1)


def reship(connection: sqlite3.Connection, name: str, since: int, now: int) -> Generator[None, None, int]:
    """Queue all points since a time (nanoseconds) again, behind what waits; how many that were.

    A generator that yields after every 2,000 points: its caller commits there, so that points that come meanwhile wait
    no longer than for one slice.
    """
    queue = Queue(_sink(connection, name), name)
    count, stream, time = 0, -1, since - 1
    while True:
        rows = connection.execute(
            queries.SINCE, {"stream": stream, "time": time, "since": since, "limit": _ROWS_A_SLICE}
        )
        slice_ = rows.fetchall()
        if not slice_:
            return count
        enqueue(connection, [queue], [row[:3] for row in slice_], now)
        count += len(slice_)
        stream, time = slice_[-1][0], slice_[-1][1]
        yield
