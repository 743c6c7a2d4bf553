"""The streams that points are written to, found by the points' names and cached."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Optional

from bbmeasure.model import Point
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.sqlite import overview, rollup
from bbmeasure.storage.sqlite.rollup import Chunk
from bbmeasure.storage.sqlite.texts import NONE, TextIds
from bbmeasure.storage.validation import canonical_tags, check_stream

#: The number of identities whose streams are cached, the last used.
MAX_CACHED = 20_000


class Target:
    """A stream that points are written to: ids, its newest chunk, the length of its names, its pending rows."""

    __slots__ = ("bytes", "chunk", "id", "identity", "line", "meaning", "rows", "step")

    def __init__(self, identity: Identity, id_: int, line: int, step: int, chunk: Optional[Chunk]) -> None:
        self.identity = identity
        self.id = id_
        self.line = line
        self.meaning = identity.meaning
        self.step = step
        self.chunk = chunk
        self.bytes = identity.bytes
        self.rows: list[Any] = []


class Identity:
    """What identifies a point besides its time: series, builder, worker and tags.

    Its streams differ in branch, machine class and proposal.  A point is in one of them: ``newest`` is the time after
    which a point is certainly in none.  ``pending`` is the stream with rows that are not written yet.  A
    ``stale`` identity is read from the file again.
    """

    __slots__ = ("bytes", "meaning", "newest", "pending", "series", "stale", "streams", "tags", "targets", "worker")

    def __init__(self, series: int, meaning: int, tags: int, worker: int, bytes_: int) -> None:
        self.series = series
        self.meaning = meaning
        self.tags = tags
        self.worker = worker
        self.bytes = bytes_
        self.stale = False
        self.newest = rollup.EARLIEST
        self.streams: list[int] = []
        self.targets: dict[tuple[Any, ...], Target] = {}
        self.pending: Optional[Target] = None


class Targets:
    """Finds or inserts the streams of points in a write transaction; those of the last used identities are cached."""

    def __init__(self, connection: sqlite3.Connection, texts: TextIds) -> None:
        self._connection = connection
        self._texts = texts
        self._identities: OrderedDict[tuple[Any, ...], Identity] = OrderedDict()
        self._by_ids: dict[tuple[int, int, int], Identity] = {}

    def clear(self) -> None:
        """Drop the cache."""
        self._identities.clear()
        self._by_ids.clear()

    def shrink(self) -> None:
        """Drop what was not used for longest; no stream may have pending rows."""
        while len(self._identities) > MAX_CACHED:
            _, identity = self._identities.popitem(last=False)
            self._by_ids.pop((identity.series, identity.tags, identity.worker), None)

    def invalidate(self, series: int, tags: int, worker: int) -> None:
        """Read an identity from the file again when it is used next, since points of it were deleted."""
        identity = self._by_ids.pop((series, tags, worker), None)
        if identity is not None:
            identity.stale = True

    def find(self, point: Point) -> Target:
        """The stream of a point."""
        tags, build = point.tags, point.build
        if build is None:
            key: tuple[Any, ...] = (point.series, None, None, frozenset(tags.items()) if tags else None)
            inner: tuple[Any, ...] = (None, None, False)
        else:
            key = (point.series, build.builder, build.worker, frozenset(tags.items()) if tags else None)
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
        series, meaning = self._series(point)
        ids = (series, texts(tags), texts(point.worker))
        identity = self._by_ids.get(ids)  # cached under another key where tags have empty values
        if identity is None:
            length = 80 + len(point.series) + len(point.builder or "") + len(point.worker or "") + len(tags)
            identity = self._by_ids[ids] = Identity(series, meaning, ids[1], ids[2], length)
            for stream in siblings(self._connection, identity):
                chunk = rollup.last_chunk(self._connection, stream)
                identity.streams.append(stream)
                if chunk is not None:
                    identity.newest = max(identity.newest, chunk.last)
        return identity

    def _series(self, point: Point) -> tuple[int, int]:
        """The ids of a point's series and of its meaning."""
        ids = (self._texts(point.series), self._texts(point.builder))
        row = self._connection.execute("SELECT id, meaning FROM series WHERE name = ? AND builder = ?", ids).fetchone()
        if row is None:
            kind = Kind.TEXT if isinstance(point.value, str) else Kind.NUMBER
            meaning = overview.meaning_id(self._connection, ids[0], kind.value, "1")
            row = (insert_series(self._connection, *ids, meaning, Direction.NONE, declared=False), meaning)
        return int(row[0]), int(row[1])

    def _target(self, identity: Identity, point: Point) -> Target:
        build, texts = point.build, self._texts
        branch = machine = step = named = proposed = 0
        if build is not None:
            branch, machine, step = texts(build.branch), texts(build.machine_class), texts(build.step)
            named, proposed = int(build.machine is not None), int(bool(build.proposal))
        key = (identity.series, identity.tags, branch, machine, proposed)
        where = "series = ? AND tags = ? AND branch = ? AND machine = ? AND proposed = ?"
        line = self._connection.execute(f"SELECT id FROM lines WHERE {where}", key).fetchone()
        if line is None:
            insert = (
                "INSERT INTO lines(series, tags, branch, machine, proposed, count, first, last, newest) "
                "VALUES (?, ?, ?, ?, ?, 0, ?, ?, 0)"
            )
            line = (self._connection.execute(insert, (*key, rollup.LATEST, rollup.EARLIEST)).lastrowid,)
        of_line = (line[0], identity.worker, named)
        row = self._connection.execute(
            "SELECT id, step FROM streams WHERE line = ? AND worker = ? AND named = ?", of_line
        ).fetchone()
        if row is None:
            insert = "INSERT INTO streams(line, worker, named, step) VALUES (?, ?, ?, ?)"
            row = (self._connection.execute(insert, (*of_line, step)).lastrowid, step)
            identity.streams.append(int(row[0] or 0))
        return Target(identity, row[0], line[0], row[1], rollup.last_chunk(self._connection, row[0]))


def siblings(connection: sqlite3.Connection, identity: Identity) -> Iterator[int]:
    """The ids of an identity's streams."""
    for (stream,) in connection.execute(
        "SELECT m.id FROM lines l JOIN streams m ON m.line = l.id WHERE l.series = ? AND l.tags = ? AND m.worker = ? "
        "ORDER BY m.id",
        (identity.series, identity.tags, identity.worker),
    ).fetchall():
        yield int(stream)


def insert_series(
    connection: sqlite3.Connection, name: int, builder: int, meaning: int, better: Direction, *, declared: bool
) -> int:
    """Insert a series of one builder; returns its id."""
    inserted = connection.execute(
        "INSERT INTO series(name, builder, meaning, better, declared) VALUES (?, ?, ?, ?, ?)",
        (name or NONE, builder, meaning, better.value, declared),
    ).lastrowid
    overview.refresh_meaning(connection, meaning)
    return int(inserted or 0)
