"""Write operations of the journal: points, declarations of series, running totals."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Optional

from bbmeasure.errors import StorageError
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.sqlite import outbox, queries, rollup
from bbmeasure.storage.sqlite.connection import WriteConnection
from bbmeasure.storage.sqlite.rollup import CHUNK, FULL_CHUNK, Chunk
from bbmeasure.storage.validation import canonical_tags, check_stream, reconcile, state_series

#: Columns of ``points`` after the stream: time, value, build, step, samples, spread, text.
Row = tuple[Any, ...]
#: The number of bound values in a statement (SQLite before 3.32 allows 999).  A statement of many rows releases the
#: GIL once, not once a row.
_VALUES_PER_STATEMENT = 900
_MAX_CACHED_STREAMS = 20_000
_MAX_CACHED_BUILDS = 5_000


def insert_rows(connection: sqlite3.Connection, into: str, rows: Sequence[Sequence[Any]]) -> None:
    """Insert or replace rows of the table ``into``, many in a statement."""
    if not rows:
        return
    placeholders, per_statement = f"({', '.join('?' * len(rows[0]))})", _VALUES_PER_STATEMENT // len(rows[0])
    for at in range(0, len(rows), per_statement):
        batch = rows[at : at + per_statement]
        if len(batch) < per_statement:
            # few distinct statements, so that they stay prepared
            connection.executemany(f"REPLACE INTO {into} VALUES {placeholders}", batch)
        else:
            values = [value for row in batch for value in row]
            connection.execute(f"REPLACE INTO {into} VALUES {', '.join([placeholders] * len(batch))}", values)


class _Target:
    """A stream that points are written to: its id, its newest chunk, the length of its names, its pending rows."""

    __slots__ = ("bytes", "chunk", "id", "rows")

    def __init__(self, id_: int, chunk: Optional[Chunk], bytes_: int) -> None:
        self.id = id_
        self.chunk = chunk
        self.bytes = bytes_
        self.rows: list[Row] = []


class Ingest(WriteConnection):
    """Write operations of the journal, each called inside :meth:`transaction`.

    Ids of the file (streams, builds, steps) are cached; ``connection`` must have no other writing user.
    """

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], float]) -> None:
        super().__init__(connection, clock)
        self._targets: dict[tuple[Any, ...], _Target] = {}
        self._by_id: dict[int, _Target] = {}
        self._builds: dict[tuple[Any, ...], int] = {}
        self._steps: dict[str, int] = {}
        self._exporters: Optional[list[outbox.Exporter]] = None

    def clear(self) -> None:
        """Drop what is cached of the file."""
        self._targets.clear()
        self._by_id.clear()
        self._builds.clear()
        self._steps.clear()
        self._exporters = None

    # series

    def declare(self, info: SeriesInfo, *, override: bool = False) -> SeriesInfo:
        """Declare a series, see :meth:`~bbmeasure.storage.base.Storage.declare`."""
        declared = SeriesInfo(info.name, info.kind, info.unit, info.better)
        row = self.connection.execute(
            "SELECT kind, unit, better FROM series WHERE name = ? AND declared", (info.name,)
        ).fetchone()
        current = queries.info_of(info.name, *row) if row else None
        result = declared if current is None else reconcile(current, declared, override=override)
        if result != current:
            self.connection.execute(
                "INSERT INTO series(name, kind, unit, better, declared) VALUES (?, ?, ?, ?, 1) ON CONFLICT(name) "
                "DO UPDATE SET kind = excluded.kind, unit = excluded.unit, better = excluded.better, declared = 1",
                (result.name, result.kind.value, result.unit, result.better.value),
            )
        return result

    def forget(self, series: str) -> int:
        """Hide a series at once, with its state; :mod:`~.retention` deletes its points later.

        Returns the number of points.
        """
        row = self.connection.execute("SELECT id FROM series WHERE name = ?", (series,)).fetchone()
        for (key,) in self.connection.execute("SELECT key FROM state").fetchall():
            if state_series(key) == series:
                self.connection.execute("DELETE FROM state WHERE key = ?", (key,))
        if row is None:
            return 0
        self.clear()
        self.connection.execute("UPDATE series SET name = NULL WHERE id = ?", row)
        (count,) = self.connection.execute(
            "SELECT total(c.count + c.texts) FROM streams m JOIN chunks c ON c.stream = m.id WHERE m.series = ?", row
        ).fetchone()
        return int(count)

    # points

    def write(self, points: Iterable[Point], state: Mapping[str, float]) -> None:
        """Write checked points and running totals, and queue the points for every exporter."""
        if len(self._targets) > _MAX_CACHED_STREAMS:
            self.clear()  # no stream has pending rows here
        touched: dict[int, _Target] = {}
        queued: list[tuple[int, int, int]] = []
        for point in points:
            target = self._target(point)
            touched[target.id] = target
            row = self._row(point)
            target.rows.append(row)
            queued.append((target.id, row[0], target.bytes + len(row[6] or "")))
        late = self._append(touched.values())
        if late:
            self._insert_late(late)
        if queued:
            if self._exporters is None:
                self._exporters = outbox.attached(self.connection)
            outbox.enqueue(self.connection, self._exporters, queued, self.now())
        if state:
            rows = [(key, float(value)) for key, value in state.items()]
            self.connection.executemany("REPLACE INTO state VALUES (?, ?)", rows)

    def _row(self, point: Point) -> Row:
        build = step = None
        if point.build is not None:
            build = self._build_id(point.build)
            step = self._step_id(point.build.step) if point.build.step is not None else None
        samples = None if point.samples == 1 else point.samples
        if isinstance(point.value, str):
            return (point.time, None, build, step, samples, point.spread, point.value)
        return (point.time, float(point.value), build, step, samples, point.spread, None)

    def _target(self, point: Point) -> _Target:
        tags = point.tags
        key = (point.series, point.builder, point.worker, frozenset(tags.items()) if tags else None)
        target = self._targets.get(key)
        if target is None:
            check_stream(point)
            target = self._targets[key] = self._find_target(point)
        return target

    def _find_target(self, point: Point) -> _Target:
        names = (self._series_id(point), point.builder or "", point.worker or "", canonical_tags(point.tags))
        row = self.connection.execute(
            "SELECT id FROM streams WHERE series = ? AND builder = ? AND worker = ? AND tags = ?", names
        ).fetchone()
        if row is None:
            sql = "INSERT INTO streams(series, builder, worker, tags) VALUES (?, ?, ?, ?)"
            row = (self.connection.execute(sql, names).lastrowid,)
        id_ = int(row[0])
        if id_ not in self._by_id:  # it may be cached under another key: an empty tag value is no tag
            length = 80 + len(point.series) + sum(len(str(name)) for name in names[1:])
            self._by_id[id_] = _Target(id_, rollup.last_chunk(self.connection, id_), length)
        return self._by_id[id_]

    def _series_id(self, point: Point) -> int:
        row = self.connection.execute("SELECT id FROM series WHERE name = ?", (point.series,)).fetchone()
        if row is not None:
            return int(row[0])
        kind = Kind.TEXT if isinstance(point.value, str) else Kind.NUMBER
        inserted = self.connection.execute(
            "INSERT INTO series(name, kind, unit, better, declared) VALUES (?, ?, '1', ?, 0)",
            (point.series, kind.value, Direction.NONE.value),
        )
        return int(inserted.lastrowid or 0)

    def _build_id(self, build: BuildContext) -> int:
        facts = (build.build, build.revision, build.branch, build.project)
        key = (build.buildid, *facts)
        id_ = self._builds.get(key)
        if id_ is None:
            if len(self._builds) >= _MAX_CACHED_BUILDS:
                self._builds.clear()
            id_ = self._builds[key] = self._find_build(build.buildid, facts)
        return id_

    def _find_build(self, buildid: int, facts: tuple[Any, ...]) -> int:
        """The id of the row of a build with these facts; the last row when the build has the most variants."""
        first = buildid * queries.VARIANTS
        rows = self.connection.execute(
            "SELECT id, number, revision, branch, project FROM builds WHERE id BETWEEN ? AND ? ORDER BY id",
            (first, first + queries.VARIANTS - 1),
        ).fetchall()
        for id_, *stored in rows:
            if tuple(stored) == facts:
                return int(id_)
        if len(rows) == queries.VARIANTS:
            return int(rows[-1][0])
        id_ = rows[-1][0] + 1 if rows else first
        self.connection.execute("INSERT INTO builds VALUES (?, ?, ?, ?, ?)", (id_, *facts))
        return int(id_)

    def _step_id(self, name: str) -> int:
        id_ = self._steps.get(name)
        if id_ is None:
            row = self.connection.execute("SELECT id FROM steps WHERE name = ?", (name,)).fetchone()
            if row is None:
                row = (self.connection.execute("INSERT INTO steps(name) VALUES (?)", (name,)).lastrowid,)
            id_ = self._steps[name] = int(row[0])
        return id_

    # points and chunks

    def _append(self, targets: Iterable[_Target]) -> list[tuple[_Target, Row]]:
        """Insert the points that are newer than all others of their stream; returns the other points."""
        fresh: list[Sequence[Any]] = []
        chunks: list[Sequence[Any]] = []
        late: list[tuple[_Target, Row]] = []
        for target in targets:
            newest = target.chunk.last if target.chunk else rollup.EARLIEST
            times, values = [], []
            for row in target.rows:
                if row[0] > newest:
                    newest = row[0]
                    times.append(newest)
                    values.append(row[1])
                    fresh.append((target.id, *row))
                else:
                    late.append((target, row))
            target.rows = []
            chunks += [chunk.row(target.id) for chunk in _extend(target, times, values)]
        insert_rows(self.connection, "points", fresh)
        insert_rows(self.connection, "chunks", chunks)
        return late

    def _insert_late(self, late: Sequence[tuple[_Target, Row]]) -> None:
        """Insert points that are out of order, or replace those of the same identity."""
        chunks: dict[int, list[Chunk]] = {}
        stale: dict[tuple[int, int], Chunk] = {}
        for target, row in late:
            old = self.connection.execute(
                "SELECT time, value, build, step, samples, spread, text FROM points WHERE stream = ? AND time = ?",
                (target.id, row[0]),
            ).fetchone()
            if old == row:
                continue
            insert_rows(self.connection, "points", [(target.id, *row)])
            if old is not None and old[1] == row[1]:
                continue
            chunk = self._chunk_of(target, row[0], chunks.setdefault(target.id, []))
            if old is None:
                self._merge_late(target, chunk, row)
            if old is not None or chunk.size > FULL_CHUNK:
                stale[target.id, id(chunk)] = chunk
        for (stream, _), chunk in stale.items():
            rollup.rebuild(self.connection, stream, chunk.start, chunk.last)
        for target, _ in late:
            target.chunk = rollup.last_chunk(self.connection, target.id)

    def _chunk_of(self, target: _Target, time: int, chunks: list[Chunk]) -> Chunk:
        found = rollup.chunk_at(self.connection, target.id, time)
        if found is None:
            raise StorageError(f"stream {target.id}: expected a chunk for the point at {time}")
        for chunk in chunks:
            if chunk.start == found.start:
                return chunk
        chunks.append(found)
        return found

    def _merge_late(self, target: _Target, chunk: Chunk, row: Row) -> None:
        if row[0] < chunk.start:
            self.connection.execute("DELETE FROM chunks WHERE stream = ? AND start = ?", (target.id, chunk.start))
        chunk.add([row[0]], [row[1]])
        insert_rows(self.connection, "chunks", [chunk.row(target.id)])


def _extend(target: _Target, times: Sequence[int], values: Sequence[Optional[float]]) -> Iterable[Chunk]:
    """The chunks that points appended to a stream change or add; ``target.chunk`` is the newest afterwards."""
    room = max(0, CHUNK - target.chunk.size) if target.chunk else 0
    if room and times and target.chunk:
        target.chunk.add(times[:room], values[:room])
        yield target.chunk
    for chunk in rollup.cut(times[room:], values[room:]):
        target.chunk = chunk
        yield chunk
