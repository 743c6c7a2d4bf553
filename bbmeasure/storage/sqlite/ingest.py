"""Write operations of the journal: points, declarations of series, running totals."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional

from bbmeasure.model import Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.sqlite import outbox, overview, rollup
from bbmeasure.storage.sqlite.build_rows import BuildRows
from bbmeasure.storage.sqlite.connection import WriteConnection, insert_rows
from bbmeasure.storage.sqlite.rollup import CHUNK, FULL_CHUNK, Chunk
from bbmeasure.storage.sqlite.targets import Target, Targets, insert_series
from bbmeasure.storage.sqlite.texts import TextIds, text_id
from bbmeasure.storage.validation import declaring_builder, reconcile, state_series

#: Time, value and build of a point, and its details: step, samples, spread, text; None where it has none of them.
Details = tuple[Optional[int], Optional[int], Optional[float], Optional[str]]
Row = tuple[int, Optional[float], Optional[int], Optional[Details]]
_COUNT = "SELECT ifnull(sum(l.count), 0) FROM series s CROSS JOIN lines l ON l.series = s.id WHERE s.name = ?"
_MARK_LATE = "UPDATE detectors SET late = min(ifnull(late, :time), :time) WHERE line = :line AND time >= :time"


class Ingest(WriteConnection):
    """Write operations of the journal, each called inside :meth:`transaction`.

    Ids of the file (streams, builds, names) are cached; ``connection`` must have no other writing user.
    """

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], float]) -> None:
        super().__init__(connection, clock)
        self.texts = TextIds(connection)
        self.targets = Targets(connection, self.texts)
        self.builds = BuildRows(connection, self.texts)
        self._additions = overview.Additions(self.targets.empty_lines)
        self._exporters: Optional[Collection[int]] = None

    def clear(self) -> None:
        """Drop what is cached of the file."""
        self.texts.clear()
        self.targets.clear()
        self.builds.clear()
        self._additions = overview.Additions(self.targets.empty_lines)
        self._exporters = None

    # series

    def declare(
        self, info: SeriesInfo, *, override: bool = False, override_unit: bool = False, proposed: bool = False
    ) -> SeriesInfo:
        """Declare a series of one builder, see :meth:`~bbmeasure.storage.base.CaptureStorage.declare`."""
        declared = SeriesInfo(info.name, info.kind, info.unit, info.better, info.builders)
        key = (self.texts(info.name), self.texts(declaring_builder(info)))
        declarer = overview.PROPOSED if proposed else overview.TRUSTED
        row = self.connection.execute(
            "SELECT s.id, s.declared, m.kind, m.unit, s.better, m.id FROM series s JOIN meanings m ON m.id = s.meaning "
            "WHERE s.name = ? AND s.builder = ?",
            key,
        ).fetchone()
        if row is None:
            meaning = overview.meaning_id(self.connection, key[0], info.kind.value, info.unit)
            insert_series(self.connection, *key, meaning, info.better, declared=declarer)
            return declared
        id_, was_declared, kind, unit, better, old = row
        if was_declared and (proposed or was_declared == overview.TRUSTED):
            if proposed and was_declared == overview.TRUSTED:
                declared = replace(declared, better=Direction.NONE)
            current = SeriesInfo(info.name, Kind(kind), unit, Direction(better), info.builders)
            declared = reconcile(current, declared, override=override, override_unit=override_unit)
            if declared == current:
                return declared
        meaning = overview.meaning_id(self.connection, key[0], declared.kind.value, declared.unit)
        self.connection.execute(
            "UPDATE series SET meaning = ?, better = ?, declared = ? WHERE id = ?",
            (meaning, declared.better.value, was_declared or declarer if proposed else declarer, id_),
        )
        if meaning != old:
            self.clear()
            overview.recount_meanings(self.connection, (old, meaning))
        else:
            overview.refresh_meaning(self.connection, meaning)
        return declared

    def is_declared(self, info: SeriesInfo) -> bool:
        """Whether the file has a declaration of a series of this builder."""
        key = (text_id(self.connection, info.name), text_id(self.connection, declaring_builder(info)))
        found = "SELECT 1 FROM series WHERE name = ? AND builder = ? AND declared"
        return self.connection.execute(found, key).fetchone() is not None

    def forget(self, series: str) -> int:
        """Hide a series at once, with its state; :mod:`~.retention` deletes its points later.

        Returns the number of points.
        """
        for (key,) in self.connection.execute("SELECT key FROM state").fetchall():
            if state_series(key) == series:
                self.connection.execute("DELETE FROM state WHERE key = ?", (key,))
        name = self.texts(series)
        meanings = self.connection.execute("SELECT id FROM meanings WHERE name = ?", (name,)).fetchall()
        if not meanings:
            return 0
        (count,) = self.connection.execute(_COUNT, (name,)).fetchone()
        self.clear()
        self.connection.execute("UPDATE series SET name = NULL WHERE name = ?", (name,))
        self.connection.executemany("DELETE FROM totals WHERE meaning = ?", meanings)
        self.connection.executemany("DELETE FROM meanings WHERE id = ?", meanings)
        self.connection.execute("DELETE FROM builder_sets WHERE id NOT IN (SELECT builders FROM meanings)")
        return int(count)

    # points

    def write(self, points: Iterable[Point], state: Mapping[str, float]) -> None:
        """Write checked points and running totals, and queue the points for every exporter."""
        touched: dict[Target, list[Row]] = {}
        queued: list[tuple[int, int, int]] = []
        strays: list[tuple[int, int, int]] = []
        of_classes: list[tuple[int, int]] = []
        build, found, step = None, None, None
        for point in points:
            target = self.targets.find(point)
            if target.identity.pending is not target:
                self._begin(target, touched)
            if point.build is not build:  # most points of a write have the same
                build = point.build
                found, step = (self.builds.find(build), self.texts(build.step)) if build else (None, None)
            if build is not None and found is not None:
                if not self.builds.covers(found, point.time):
                    strays.append((found.id, target.id, point.time))
                if build.machine is not None:  # another worker of the class may have a newer point
                    of_classes.append((target.line, point.time))
            row = _row(point, found.id if found else None, None if step == target.step else step)
            touched[target].append(row)
            queued.append((target.id, row[0], target.bytes + (len(row[3][3] or "") if row[3] else 0)))
        self._write_rows(touched)
        insert_rows(self.connection, "REPLACE INTO strays", strays)
        self.mark_late(of_classes)
        self._additions.store(self.connection)
        self.builds.store()
        self.targets.shrink()
        if queued:
            if self._exporters is None:
                self._exporters = outbox.attached(self.connection).values()
            outbox.enqueue(self.connection, self._exporters, queued, self.now())
        if state:
            rows = [(key, float(value)) for key, value in state.items()]
            self.connection.executemany("REPLACE INTO state VALUES (?, ?)", rows)

    def _begin(self, target: Target, touched: dict[Target, list[Row]]) -> None:
        """Begin the pending rows of a stream; the order of writes to two streams of an identity decides."""
        if target.identity.pending is not None:
            self._write_rows(touched)
        target.identity.pending = target
        touched[target] = []

    # points and chunks

    def _write_rows(self, touched: dict[Target, list[Row]]) -> None:
        """Write the pending rows of streams, and clear ``touched``."""
        late = self._append(touched)
        if late:
            self._insert_late(late)
        touched.clear()

    def _append(self, touched: Mapping[Target, Sequence[Row]]) -> list[tuple[Target, Row]]:
        """Insert the points that are newer than all others of their identity; returns the other points."""
        fresh: list[Sequence[Any]] = []
        details: list[Sequence[Any]] = []
        chunks: list[Sequence[Any]] = []
        late: list[tuple[Target, Row]] = []
        for target, rows in touched.items():
            newest = target.identity.newest
            times, values = [], []
            for row in rows:
                if row[0] > newest:
                    newest = row[0]
                    times.append(newest)
                    values.append(row[1])
                    fresh.append((target.id, newest, row[1], row[2]))
                    if row[3] is not None:
                        details.append((target.id, newest, *row[3]))
                else:
                    late.append((target, row))
            target.identity.pending = None
            if times:
                target.identity.newest = newest
                self._additions.add(target, len(times), times[0], newest)
                chunks += [chunk.row(target.id) for chunk in _extend(target, times, values)]
        insert_rows(self.connection, "REPLACE INTO points", fresh)
        insert_rows(self.connection, "REPLACE INTO details", details)
        insert_rows(self.connection, "REPLACE INTO chunks", chunks)
        return late

    def mark_late(self, points: Iterable[tuple[int, int]]) -> None:
        """Have detectors of lines replay points (line and time) that are written or deleted behind their last one."""
        self.connection.executemany(_MARK_LATE, ({"line": line, "time": time} for line, time in points))

    def _insert_late(self, late: Sequence[tuple[Target, Row]]) -> None:
        """Insert points that are out of order, or replace those of the same identity."""
        self.mark_late((target.line, row[0]) for target, row in late)
        chunks: dict[int, list[Chunk]] = {}
        stale: dict[tuple[int, int], Chunk] = {}
        for target, row in late:
            if len(target.identity.streams) > 1:
                self._remove_moved(target, row[0])
            old = self.connection.execute(
                "SELECT value FROM points WHERE stream = ? AND time = ?", (target.id, row[0])
            ).fetchone()
            self._replace(target.id, row, old)
            if old is not None and old[0] == row[1]:
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

    def _replace(self, stream: int, row: Row, old: Optional[tuple[Any, ...]]) -> None:
        insert_rows(self.connection, "REPLACE INTO points", [(stream, *row[:3])])
        if row[3] is not None:
            insert_rows(self.connection, "REPLACE INTO details", [(stream, row[0], *row[3])])
        elif old is not None:
            self.connection.execute("DELETE FROM details WHERE stream = ? AND time = ?", (stream, row[0]))

    def _remove_moved(self, target: Target, time: int) -> None:
        """Delete the point of the same identity that was written for another branch or machine class."""
        for stream in target.identity.streams:
            if stream == target.id:
                continue
            where = (stream, time)
            if not self.connection.execute("DELETE FROM points WHERE stream = ? AND time = ?", where).rowcount:
                continue
            self.connection.execute("DELETE FROM details WHERE stream = ? AND time = ?", where)
            chunk = rollup.chunk_at(self.connection, stream, time)
            if chunk is not None:
                rollup.rebuild(self.connection, stream, chunk.start, chunk.last)
            self._additions.store(self.connection)
            lines = [id_ for (id_,) in self.connection.execute("SELECT line FROM streams WHERE id = ?", (stream,))]
            self.mark_late((line, time) for line in lines)
            overview.recount_meanings(self.connection, overview.recount_lines(self.connection, lines))
            self.targets.empty_lines.update(lines)
            for sibling in target.identity.targets.values():
                if sibling.id == stream:
                    sibling.chunk = rollup.last_chunk(self.connection, stream)
            return

    def _chunk_of(self, target: Target, time: int, chunks: list[Chunk]) -> Chunk:
        found = rollup.chunk_at(self.connection, target.id, time)
        for chunk in chunks:
            if found is not None and chunk.start == found.start:
                return chunk
        chunks.append(found or Chunk(time, time))
        return chunks[-1]

    def _merge_late(self, target: Target, chunk: Chunk, row: Row) -> None:
        if row[0] < chunk.start:
            self.connection.execute("DELETE FROM chunks WHERE stream = ? AND start = ?", (target.id, chunk.start))
        chunk.add([row[0]], [row[1]])
        insert_rows(self.connection, "REPLACE INTO chunks", [chunk.row(target.id)])
        self._additions.add(target, 1, row[0], row[0])


def _extend(target: Target, times: Sequence[int], values: Sequence[Optional[float]]) -> list[Chunk]:
    """The chunks that points appended to a stream change or add; ``target.chunk`` is the newest afterwards."""
    chunk, changed = target.chunk, []
    room = CHUNK - chunk.size if chunk else 0
    if chunk and room > 0:
        chunk.add(times[:room], values[:room])
        changed.append(chunk)
        times, values = times[room:], values[room:]
    if times:
        changed += rollup.cut(times, values)
        target.chunk = changed[-1]
    return changed


def _row(point: Point, build: Optional[int], step: Optional[int]) -> Row:
    """The row of a point; ``step`` is None where it is that of its stream."""
    samples = None if point.samples == 1 else point.samples
    text = point.value if isinstance(point.value, str) else None
    details = None
    if step is not None or samples is not None or point.spread is not None or text is not None:
        details = (step, samples, point.spread, text)
    return (point.time, None if text is not None else float(point.value), build, details)
