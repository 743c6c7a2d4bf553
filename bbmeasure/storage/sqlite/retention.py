"""Background deletion from the journal: forgotten series, detached exporters, points older than the retention.

Names that only deleted rows had are deleted last.

It runs in slices, each a short transaction, so that captured points are committed in time.  A cursor goes over the
lines in the order of their ids; the lines of a slice lie side by side in the file, and so do their points.  The file
does not shrink; SQLite reuses its free pages.  Expired points are deleted even when an exporter has not shipped them,
and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Optional

from bbmeasure.storage.sqlite import outbox, overview, rollup, unused_texts, verdicts
from bbmeasure.storage.sqlite.build_rows import VARIANTS
from bbmeasure.storage.sqlite.ingest import Ingest

#: Limits of a slice: points to delete, lines to delete them from, ids of lines or builds to examine.
_POINTS_PER_SLICE = 100
_LINES_PER_SLICE = 16
_IDS_PER_SLICE = 20_000
_BUILDS_PER_SLICE = 2_000
_MEANINGS_PER_SLICE = 20
_CHUNKS_PER_DELETE = 8
#: The lines with expired points behind the cursor.
EXPIRED_LINES = "SELECT id FROM lines WHERE id > ? AND id <= ? AND first < ? ORDER BY id LIMIT ?"


#: The streams of a line: meaning and id of its series, names of series, builder, tags and worker, whether of proposals.
_STREAMS = """SELECT m.id, s.meaning, s.id, s.name, s.builder, l.tags, m.worker, l.proposed
    FROM lines l JOIN series s ON s.id = l.series LEFT JOIN streams m ON m.line = l.id WHERE l.id = ?"""
_FIRST = "SELECT start FROM chunks WHERE stream = ? ORDER BY start LIMIT 1"


class Cleanup:
    """Deletes forgotten series, detached exporters and, if ``until`` (nanoseconds) is given, all points before it.

    After an exception a new Cleanup must be used.
    """

    def __init__(self, ingest: Ingest, until: Optional[int] = None) -> None:
        self._ingest = ingest
        self._connection = ingest.connection
        self._examined: dict[int, int] = {}
        self._rest = self._delete_rest(until)
        self._freed_names = False
        self.deleted = 0

    def slice(self) -> bool:
        """Delete one slice; returns false when nothing was left to delete.

        Its commit is not synced, so that a captured point waits for one sync and not for two: a slice that a power cut
        undoes is deleted again, and the next commit of points syncs it too.
        """
        self._connection.execute("PRAGMA synchronous=NORMAL")
        try:
            with self._ingest.transaction():
                return self._delete_forgotten() or outbox.delete_detached(self._connection) or next(self._rest, False)
        finally:
            self._connection.execute("PRAGMA synchronous=FULL")

    def run(self) -> int:
        """Delete all slices; returns the number of deleted points."""
        while self.slice():
            pass
        return self.deleted

    def _delete_forgotten(self) -> bool:
        found = self._connection.execute("SELECT id FROM series WHERE name IS NULL LIMIT 1").fetchone()
        if found is None:
            return False
        lines = self._connection.execute(
            "SELECT id FROM lines WHERE series = ? LIMIT ?", (found[0], _LINES_PER_SLICE)
        ).fetchall()
        if not lines:
            self._connection.execute("DELETE FROM series WHERE id = ?", found)
            self._freed_names = True
        self._delete_from_lines([line for (line,) in lines], rollup.LATEST)
        return True

    def _delete_rest(self, until: Optional[int]) -> Iterator[bool]:
        """Delete expired points, and the names that only deleted rows had; yields true after each slice."""
        if until is not None:
            yield from self._delete_before(until)
        if self._freed_names:
            yield from unused_texts.delete_unused(self._ingest)

    def _delete_before(self, until: int) -> Iterator[bool]:
        """Delete all points before ``until``, and rows that describe none; yields true after each slice."""
        deleted = -1
        while deleted != self.deleted:  # points may be written behind the cursor
            deleted = self.deleted
            yield from self._delete_expired(until)
        expired = self._connection.execute("SELECT meaning FROM totals WHERE first < ?", (until,)).fetchall()
        for at in range(0, len(expired), _MEANINGS_PER_SLICE):
            overview.recount_meanings(self._connection, [row[0] for row in expired[at : at + _MEANINGS_PER_SLICE]])
            yield True
        yield from self._delete_builds(until)

    def _delete_expired(self, until: int) -> Iterator[bool]:
        """One pass of the cursor over the lines."""
        cursor = 0
        while cursor < self._connection.execute("SELECT ifnull(max(id), 0) FROM lines").fetchone()[0]:
            bound = cursor + _IDS_PER_SLICE
            lines = self._connection.execute(EXPIRED_LINES, (cursor, bound, until, _LINES_PER_SLICE)).fetchall()
            if not lines:
                cursor = bound
            elif not self._drop_from_outboxes(until):
                cursor = self._delete_from_lines([line for (line,) in lines], until)
            yield True

    def _drop_from_outboxes(self, until: int) -> bool:
        """Drop points that are about to be deleted from every exporter's queue; returns whether more may be queued.

        The first pass examines the whole queue, later calls the rows queued since, in the same transaction in which
        points are deleted.
        """
        for exporter in outbox.attached(self._connection).values():
            after = self._examined.get(exporter, 0)
            self._examined[exporter], more = outbox.drop_expired(self._connection, exporter, after, until)
            if more:
                return True
        return False

    def _delete_from_lines(self, lines: list[int], until: int) -> int:
        """Delete points before ``until`` up to the limit of a slice; returns the id of the last line that is done."""
        limit = self.deleted + _POINTS_PER_SLICE
        done = lines[0] - 1 if lines else 0
        meanings: Counter[int] = Counter()
        for line in lines:
            before = self.deleted
            streams = self._connection.execute(_STREAMS, (line,)).fetchall()
            finished = self._delete_from_streams(streams, until, limit)
            # totals leave proposals out; the meaning of a forgotten series is gone, and its id may be another's
            if streams[0][3] is not None and not streams[0][-1]:
                meanings[streams[0][1]] += self.deleted - before
            self._update_line(line, streams, self.deleted - before)
            if not finished:
                break
            done = line
            if self.deleted >= limit:
                break
        self._connection.executemany(
            "UPDATE totals SET count = count - ? WHERE meaning = ?",
            [(deleted, meaning) for meaning, deleted in meanings.items()],
        )
        return done

    def _delete_from_streams(self, streams: list[tuple[Any, ...]], until: int, limit: int) -> bool:
        """Delete points of the streams of a line; returns false when the limit was reached before their end."""
        for stream, _, _, *names, _ in streams:
            if stream is None:
                continue
            self._ingest.targets.invalidate(tuple(names))
            while self._delete_chunks(stream, until):
                if self.deleted >= limit:
                    return False
        return True

    def _delete_chunks(self, stream: int, until: int) -> bool:
        """Delete the points of some chunks before ``until``, in part where a chunk extends beyond it.

        Returns false when the stream has no such chunk.
        """
        chunks = self._connection.execute(
            "SELECT start, last FROM chunks WHERE stream = ? AND start < ? ORDER BY start LIMIT ?",
            (stream, until, _CHUNKS_PER_DELETE),
        ).fetchall()
        if not chunks:
            return False
        start, last = chunks[0][0], chunks[-1][1]
        where = (stream, start, min(last, until - 1))
        self.deleted += self._connection.execute(
            "DELETE FROM points WHERE stream = ? AND time BETWEEN ? AND ?", where
        ).rowcount
        self._connection.execute("DELETE FROM details WHERE stream = ? AND time BETWEEN ? AND ?", where)
        self._connection.execute(
            "DELETE FROM chunks WHERE stream = ? AND start BETWEEN ? AND ? AND last < ?", (stream, start, last, until)
        )
        if last >= until:
            rollup.rebuild(self._connection, stream, chunks[-1][0], last)
        return True

    def _update_line(self, line: int, streams: list[tuple[Any, ...]], deleted: int) -> None:
        """Update the totals of a line after points were deleted; a line without points is deleted."""
        connection = self._connection
        first = [connection.execute(_FIRST, (stream,)).fetchone() for stream, *_ in streams]
        starts = [row[0] for row in first if row is not None]
        if starts:
            # the newest point is deleted only with all others of its stream: other workers may be left
            connection.execute(
                "UPDATE lines SET count = count - ?, first = ? WHERE id = ?", (deleted, min(starts), line)
            )
            if len(streams) > 1:
                overview.recount_lines(connection, [line])
            return
        self._freed_names = True
        connection.execute("DELETE FROM streams WHERE line = ?", (line,))
        connection.execute("DELETE FROM lines WHERE id = ?", (line,))
        verdicts.delete_line(connection, line)
        meaning, series = streams[0][1:3]
        emptied = connection.execute(
            "DELETE FROM series WHERE id = ? AND declared != 1 AND name IS NOT NULL "
            "AND NOT EXISTS (SELECT 1 FROM lines WHERE series = ?)",
            (series, series),
        )
        if emptied.rowcount:
            overview.refresh_meaning(connection, meaning)

    def _delete_builds(self, until: int) -> Iterator[bool]:
        """Delete the rows of builds whose points were all deleted, until a slice of builds has none."""
        last_id, expired = -(2**62), [0]
        while expired:
            rows = self._connection.execute(
                "SELECT id, last FROM builds WHERE id > ? ORDER BY id LIMIT ?", (last_id, _BUILDS_PER_SLICE)
            ).fetchall()
            expired = [id_ for id_, last in rows if last < until and not self._has_stray(id_)]
            for id_ in expired:
                self._connection.execute("DELETE FROM builds WHERE id = ?", (id_,))
                self._connection.execute("DELETE FROM strays WHERE build = ?", (id_,))
                verdicts.delete_build(self._connection, id_ // VARIANTS)
            if expired:
                self._ingest.builds.clear()
                last_id = rows[-1][0]
                yield True

    def _has_stray(self, build: int) -> bool:
        """Whether a point of a build outside its range still exists."""
        found = self._connection.execute(
            "SELECT 1 FROM strays s JOIN points p ON p.stream = s.stream AND p.time = s.time AND p.build = s.build "
            "WHERE s.build = ? LIMIT 1",
            (build,),
        ).fetchone()
        return found is not None
