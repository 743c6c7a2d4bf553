"""Writing into the journal: points, what series are, running totals; plain functions of one writing connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Optional

from bbmeasure.errors import StorageError
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.sqlite import outbox, queries, rollup
from bbmeasure.storage.sqlite.rollup import CHUNK, FULL_CHUNK, Chunk
from bbmeasure.storage.validation import canonical_tags, check_stream, reconcile, state_series

#: Columns of ``points`` after the stream: time, value, build, step, samples, spread, text.
Row = tuple[Any, ...]
#: A statement inserts as many rows as have so many columns (SQLite before 3.32 takes 999): each statement lets go of
#: Python's lock once, not each row.
_COLUMNS_AT_ONCE = 900
_MOST_STREAMS_CACHED = 20_000
_MOST_BUILDS_CACHED = 5_000


def insert_rows(connection: sqlite3.Connection, into: str, rows: Sequence[Sequence[Any]]) -> None:
    """Insert or replace rows of the table that ``into`` names, many in a statement."""
    if not rows:
        return
    one, at_once = f"({', '.join('?' * len(rows[0]))})", _COLUMNS_AT_ONCE // len(rows[0])
    for at in range(0, len(rows), at_once):
        some = rows[at : at + at_once]
        if len(some) < at_once:
            # few distinct statements, so that they stay prepared
            connection.executemany(f"REPLACE INTO {into} VALUES {one}", some)
        else:
            values = [column for row in some for column in row]
            connection.execute(f"REPLACE INTO {into} VALUES {', '.join([one] * len(some))}", values)


class _Target:
    """A stream that is written to: its number, its newest chunk, and how long its names are."""

    __slots__ = ("bytes", "chunk", "id", "rows")

    def __init__(self, id_: int, chunk: Optional[Chunk], bytes_: int) -> None:
        self.id = id_
        self.chunk = chunk
        self.bytes = bytes_
        self.rows: list[Row] = []


class Ingest:
    """Writes through ``connection``, of which it is the only user.

    What it knows of the file is cached, and forgotten when another process has written or a transaction failed.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._targets: dict[tuple[Any, ...], _Target] = {}
        self._by_id: dict[int, _Target] = {}
        self._builds: dict[tuple[Any, ...], int] = {}
        self._steps: dict[str, int] = {}
        self._sinks: Optional[list[outbox.Queue]] = None
        self._seen = -1

    @contextmanager
    def transaction(self) -> Generator[None, None, None]:
        """All or nothing; sqlite3.OperationalError where the file is locked for longer than the connection waits."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            (seen,) = self.connection.execute("PRAGMA data_version").fetchone()
            if seen != self._seen:
                self.clear()
                self._seen = seen
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            self.clear()
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def clear(self) -> None:
        """Forget what is cached of the file."""
        self._targets.clear()
        self._by_id.clear()
        self._builds.clear()
        self._steps.clear()
        self._sinks = None

    # what series are

    def declare(self, info: SeriesInfo, *, override: bool = False) -> SeriesInfo:
        """Say what a series is, see :class:`~bbmeasure.storage.base.Storage`."""
        said = SeriesInfo(info.name, info.kind, info.unit, info.better)
        held = self.connection.execute("SELECT declared FROM series WHERE name = ?", (info.name,)).fetchone()
        known = queries.series_info(self.connection, info.name) if held and held[0] else None
        result = said if known is None else reconcile(known, said, override=override)
        if result != known:
            self.connection.execute(
                "INSERT INTO series(name, kind, unit, better, declared) VALUES (?, ?, ?, ?, 1) ON CONFLICT(name) "
                "DO UPDATE SET kind = excluded.kind, unit = excluded.unit, better = excluded.better, declared = 1",
                (result.name, result.kind.value, result.unit, result.better.value),
            )
        return result

    def forget(self, series: str) -> int:
        """Remove a series at once from every answer; its points are deleted later, see :mod:`~.cleanup`."""
        found = self.connection.execute("SELECT id FROM series WHERE name = ?", (series,)).fetchone()
        for (key,) in self.connection.execute("SELECT key FROM state").fetchall():
            if state_series(key) == series:
                self.connection.execute("DELETE FROM state WHERE key = ?", (key,))
        if found is None:
            return 0
        self.clear()
        self.connection.execute("UPDATE series SET name = NULL WHERE id = ?", found)
        (count,) = self.connection.execute(
            "SELECT total(c.count + c.texts) FROM streams m JOIN chunks c ON c.stream = m.id WHERE m.series = ?", found
        ).fetchone()
        return int(count)

    # points

    def write(self, points: Iterable[Point], state: Mapping[str, float], now: int) -> None:
        """Keep checked points, and running totals with them; ``now``, in seconds, is when they came, for the sinks."""
        if len(self._targets) > _MOST_STREAMS_CACHED:
            self.clear()  # here, where no stream has rows that wait
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
            outbox.enqueue(self.connection, self.sinks(), queued, now)
        if state:
            rows = [(key, float(value)) for key, value in state.items()]
            self.connection.executemany("REPLACE INTO state VALUES (?, ?)", rows)

    def sinks(self) -> list[outbox.Queue]:
        """The queues of the sinks that points go to."""
        if self._sinks is None:
            self._sinks = outbox.queues(self.connection)
        return self._sinks

    def attach_sink(self, name: str) -> None:
        """Queue points for a sink from now on."""
        outbox.attach(self.connection, name)
        self._sinks = None

    def detach_sink(self, name: str) -> None:
        """Queue no points for a sink any longer, and forget what waits for it."""
        outbox.detach(self.connection, name)
        self._sinks = None

    def _row(self, point: Point) -> Row:
        build = step = None
        if point.build is not None:
            build = self._build(point.build)
            step = self._step(point.build.step) if point.build.step is not None else None
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
        names = (self._series(point), point.builder or "", point.worker or "", canonical_tags(point.tags))
        found = self.connection.execute(
            "SELECT id FROM streams WHERE series = ? AND builder = ? AND worker = ? AND tags = ?", names
        ).fetchone()
        if found is None:
            sql = "INSERT INTO streams(series, builder, worker, tags) VALUES (?, ?, ?, ?)"
            found = (self.connection.execute(sql, names).lastrowid,)
        id_ = int(found[0])
        if id_ not in self._by_id:  # spelt otherwise it may be known already, such as with a tag that is empty
            length = 80 + len(point.series) + sum(len(str(name)) for name in names[1:])
            self._by_id[id_] = _Target(id_, rollup.last_chunk(self.connection, id_), length)
        return self._by_id[id_]

    def _series(self, point: Point) -> int:
        found = self.connection.execute("SELECT id FROM series WHERE name = ?", (point.series,)).fetchone()
        if found is not None:
            return int(found[0])
        kind = Kind.TEXT if isinstance(point.value, str) else Kind.NUMBER
        made = self.connection.execute(
            "INSERT INTO series(name, kind, unit, better, declared) VALUES (?, ?, '1', ?, 0)",
            (point.series, kind.value, Direction.NONE.value),
        )
        return int(made.lastrowid or 0)

    def _build(self, build: BuildContext) -> int:
        facts = (build.build, build.revision, build.branch, build.project)
        key = (build.buildid, *facts)
        found = self._builds.get(key)
        if found is None:
            if len(self._builds) >= _MOST_BUILDS_CACHED:
                self._builds.clear()
            found = self._builds[key] = self._find_build(build.buildid, facts)
        return found

    def _find_build(self, buildid: int, facts: tuple[Any, ...]) -> int:
        """The row of a build with these facts; past the most variants the last one has to do."""
        first = buildid * queries.VARIANTS
        rows = self.connection.execute(
            "SELECT id, number, revision, branch, project FROM builds WHERE id BETWEEN ? AND ? ORDER BY id",
            (first, first + queries.VARIANTS - 1),
        ).fetchall()
        for id_, *held in rows:
            if tuple(held) == facts:
                return int(id_)
        if len(rows) == queries.VARIANTS:
            return int(rows[-1][0])
        id_ = rows[-1][0] + 1 if rows else first
        self.connection.execute("INSERT INTO builds VALUES (?, ?, ?, ?, ?)", (id_, *facts))
        return int(id_)

    def _step(self, name: str) -> int:
        found = self._steps.get(name)
        if found is None:
            row = self.connection.execute("SELECT id FROM steps WHERE name = ?", (name,)).fetchone()
            if row is None:
                row = (self.connection.execute("INSERT INTO steps(name) VALUES (?)", (name,)).lastrowid,)
            found = self._steps[name] = int(row[0])
        return found

    # points into chunks

    def _append(self, targets: Iterable[_Target]) -> list[tuple[_Target, Row]]:
        """Insert the points that are newer than all of their stream, and give back the others."""
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
        """Insert points out of their order, or in the place of what was written before under the same identity."""
        held: dict[int, list[Chunk]] = {}
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
            chunk = self._chunk_of(target, row[0], held.setdefault(target.id, []))
            if old is None:
                self._merge_late(target, chunk, row)
            if old is not None or chunk.size > FULL_CHUNK:
                stale[target.id, id(chunk)] = chunk
        for (stream, _), chunk in stale.items():
            rollup.rebuild(self.connection, stream, chunk.start, chunk.last)
        for target, _ in late:
            target.chunk = rollup.last_chunk(self.connection, target.id)

    def _chunk_of(self, target: _Target, time: int, held: list[Chunk]) -> Chunk:
        found = rollup.chunk_at(self.connection, target.id, time)
        if found is None:
            raise StorageError(f"stream {target.id}: expected a chunk for the point at {time}")
        for chunk in held:
            if chunk.start == found.start:
                return chunk
        held.append(found)
        return found

    def _merge_late(self, target: _Target, chunk: Chunk, row: Row) -> None:
        if row[0] < chunk.start:
            self.connection.execute("DELETE FROM chunks WHERE stream = ? AND start = ?", (target.id, chunk.start))
        chunk.add([row[0]], [row[1]])
        insert_rows(self.connection, "chunks", [chunk.row(target.id)])


def _extend(target: _Target, times: Sequence[int], values: Sequence[Optional[float]]) -> Iterable[Chunk]:
    """The chunks that points at the end of a stream change or make; ``target.chunk`` is the newest afterwards."""
    room = max(0, CHUNK - target.chunk.size) if target.chunk else 0
    if room and times and target.chunk:
        target.chunk.add(times[:room], values[:room])
        yield target.chunk
    for chunk in rollup.cut(times[room:], values[room:]):
        target.chunk = chunk
        yield chunk
