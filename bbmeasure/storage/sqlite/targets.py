"""The streams that points are written to, found by the points' names and cached."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from typing import Any, Optional

from bbmeasure.model import Point
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.sqlite import overview, rollup
from bbmeasure.storage.sqlite.rollup import Chunk
from bbmeasure.storage.sqlite.texts import NONE, TextIds
from bbmeasure.storage.validation import canonical_tags, check_stream

#: The number of identities whose streams are cached, the last used.
MAX_CACHED = 20_000


#: The streams of a series of one builder with these tags and this worker; one row without a stream if it has none.
FIND_STREAMS = """SELECT s.id, s.meaning, m.id, l.id, l.last, m.step, l.count, l.branch, l.machine, l.proposed, m.named
    FROM series s LEFT JOIN lines l ON l.series = s.id AND l.tags = ?
    LEFT JOIN streams m ON m.line = l.id AND m.worker = ? WHERE s.name = ? AND s.builder = ? ORDER BY m.id"""


class Target:
    """A stream that points are written to: ids, its newest chunk, the length of its names."""

    __slots__ = ("bytes", "chunk", "id", "identity", "line", "meaning", "proposed", "step")

    def __init__(
        self, identity: Identity, id_: int, line: int, step: int, chunk: Optional[Chunk], *, proposed: bool
    ) -> None:
        self.identity = identity
        self.id = id_
        self.line = line
        self.meaning = identity.meaning
        self.step = step
        self.chunk = chunk
        self.proposed = proposed
        self.bytes = identity.bytes


class Identity:
    """The identity of a point besides its time: series, builder, worker and tags.

    Its streams differ in branch, machine class and proposal; ``found`` are those that the file had, by these: ids of
    stream, line and step.  A point is in one of them: ``newest`` is the time after which a point is certainly in none.
    ``pending`` is the stream with rows that are not written yet.  A ``stale`` identity is read from the file again.
    """

    __slots__ = (
        "bytes",
        "found",
        "meaning",
        "names",
        "newest",
        "pending",
        "series",
        "stale",
        "streams",
        "targets",
    )

    def __init__(self, series: int, meaning: int, names: tuple[int, int, int, int], bytes_: int) -> None:
        """``names`` are the ids of series, builder, tags and worker."""
        self.series = series
        self.meaning = meaning
        self.names = names
        self.bytes = bytes_
        self.stale = False
        self.newest = rollup.EARLIEST
        self.streams: tuple[int, ...] = ()
        self.found: dict[tuple[int, ...], tuple[int, int, int]] = {}
        self.targets: dict[tuple[Any, ...], Target] = {}
        self.pending: Optional[Target] = None


class Targets:
    """Finds or inserts the streams of points in a write transaction; those of the last used identities are cached.

    ``empty_lines`` are the lines of no proposal that have no points yet.

    There may be many thousands: what they consist of is mostly tuples of numbers and texts, which the garbage collector
    does not track.
    """

    def __init__(self, connection: sqlite3.Connection, texts: TextIds) -> None:
        self._connection = connection
        self._texts = texts
        self._identities: OrderedDict[tuple[Any, ...], Identity] = OrderedDict()
        self._by_names: dict[tuple[int, int, int, int], Identity] = {}
        self.empty_lines: set[int] = set()

    def clear(self) -> None:
        """Drop the cache."""
        self._identities.clear()
        self._by_names.clear()
        self.empty_lines.clear()

    def shrink(self) -> None:
        """Drop what was not used for longest; no stream may have pending rows."""
        while len(self._identities) > MAX_CACHED:
            _, identity = self._identities.popitem(last=False)
            self._by_names.pop(identity.names, None)

    def invalidate(self, names: tuple[int, int, int, int]) -> None:
        """Read an identity from the file again when it is used next, since points of it were deleted."""
        identity = self._by_names.pop(names, None)
        if identity is not None:
            identity.stale = True

    def find(self, point: Point) -> Target:
        """The stream of a point."""
        tags, build = tuple(point.tags.items()), point.build
        if build is None:
            key: tuple[Any, ...] = (point.series, None, None, tags)
            inner: tuple[Any, ...] = (None, None, False)
        else:
            key = (point.series, build.builder, build.worker, tags)
            inner = (build.branch, build.machine, bool(build.proposal))
        identity = self._identities.get(key)
        if identity is None or identity.stale:
            check_stream(point)
            identity = self._identities[key] = self._identity(point)
        else:
            self._identities.move_to_end(key)
        target = identity.targets.get(inner)
        if target is None:
            target = identity.targets[inner] = self._target(identity, point)
        return target

    def _identity(self, point: Point) -> Identity:
        texts, tags = self._texts, canonical_tags(point.tags)
        names = (texts(point.series), texts(point.builder), texts(tags), texts(point.worker))
        identity = self._by_names.get(names)  # cached under another key: tags in another order, or with empty values
        if identity is None:
            length = 80 + len(point.series) + len(point.builder or "") + len(point.worker or "") + len(tags)
            rows = self._connection.execute(FIND_STREAMS, (names[2], names[3], names[0], names[1])).fetchall()
            series, meaning = rows[0][:2] if rows else self._insert_series(point, names[0], names[1])
            identity = self._by_names[names] = Identity(series, meaning, names, length)
            for _, _, stream, line, last, step, count, *key in rows:
                if stream is not None:
                    if not count and not key[2]:
                        self.empty_lines.add(line)
                    identity.streams += (stream,)
                    identity.found[tuple(key)] = (stream, line, step)
                    identity.newest = max(identity.newest, last)
        return identity

    def _insert_series(self, point: Point, name: int, builder: int) -> tuple[int, int]:
        kind = Kind.TEXT if isinstance(point.value, str) else Kind.NUMBER
        meaning = overview.meaning_id(self._connection, name, kind.value, "1")
        return insert_series(self._connection, name, builder, meaning, Direction.NONE), meaning

    def _target(self, identity: Identity, point: Point) -> Target:
        build, texts = point.build, self._texts
        branch = machine = step = named = proposed = 0
        if build is not None:
            branch, machine, step = texts(build.branch), texts(build.machine_class), texts(build.step)
            named, proposed = int(build.machine is not None), int(bool(build.proposal))
        of_line = (branch, machine, proposed)
        found = identity.found.get((*of_line, named))
        if found is None:
            line = self._line(identity, of_line)
            insert = "INSERT INTO streams(line, worker, named, step) VALUES (?, ?, ?, ?)"
            stream = self._connection.execute(insert, (line, identity.names[3], named, step)).lastrowid or 0
            identity.streams += (stream,)
            return Target(identity, stream, line, step, None, proposed=bool(proposed))
        return Target(identity, *found, rollup.last_chunk(self._connection, found[0]), proposed=bool(proposed))

    def _line(self, identity: Identity, of_line: tuple[int, int, int]) -> int:
        """The id of a line, which may have streams of other workers."""
        key = (identity.series, identity.names[2], *of_line)
        where = "series = ? AND tags = ? AND branch = ? AND machine = ? AND proposed = ?"
        row = self._connection.execute(f"SELECT id, count FROM lines WHERE {where}", key).fetchone()
        if row is None:
            insert = (
                "INSERT INTO lines(series, tags, branch, machine, proposed, count, first, last, newest) "
                "VALUES (?, ?, ?, ?, ?, 0, ?, ?, 0)"
            )
            row = (self._connection.execute(insert, (*key, rollup.LATEST, rollup.EARLIEST)).lastrowid, 0)
        line = int(row[0] or 0)
        if not row[1] and not of_line[2]:
            self.empty_lines.add(line)
        return line


def insert_series(
    connection: sqlite3.Connection,
    name: int,
    builder: int,
    meaning: int,
    better: Direction,
    *,
    declared: int = overview.UNDECLARED,
) -> int:
    """Insert a series of one builder; returns its id."""
    inserted = connection.execute(
        "INSERT INTO series(name, builder, meaning, better, declared) VALUES (?, ?, ?, ?, ?)",
        (name or NONE, builder, meaning, better.value, declared),
    ).lastrowid
    if declared == overview.TRUSTED:
        overview.refresh_meaning(connection, meaning)
    return int(inserted or 0)
