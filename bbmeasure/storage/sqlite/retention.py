"""Background deletion from the journal: forgotten series, detached exporters, points older than the retention.

It runs in slices, each a short transaction, so that captured points are committed in time.  The file does not shrink;
SQLite reuses its free pages.  Expired points are deleted even when an exporter has not shipped them, and counted.
"""

from __future__ import annotations

from typing import Optional

from bbmeasure.storage.sqlite import outbox, rollup
from bbmeasure.storage.sqlite.ingest import Ingest

_CHUNKS_PER_SLICE = 8
_BUILDS_PER_SLICE = 2_000


class Cleanup:
    """Deletes forgotten series, detached exporters and, if ``until`` (nanoseconds) is given, all points before it.

    After an exception a new Cleanup must be used.
    """

    def __init__(self, ingest: Ingest, until: Optional[int] = None) -> None:
        self._ingest = ingest
        self._connection = ingest.connection
        self._until = until
        self._examined: dict[int, int] = {}
        self.deleted = 0

    def slice(self) -> bool:
        """Delete one slice; returns false when nothing was left to delete."""
        with self._ingest.transaction():
            more = (
                self._delete_forgotten()
                or outbox.delete_detached(self._connection)
                or self._delete_expired()
                or self._delete_builds()
            )
            if more:
                self._ingest.clear()
            return more

    def run(self) -> int:
        """Delete all slices; returns the number of deleted points."""
        while self.slice():
            pass
        return self.deleted

    def _delete_forgotten(self) -> bool:
        found = self._connection.execute("SELECT id FROM series WHERE name IS NULL LIMIT 1").fetchone()
        if found is None:
            return False
        stream = self._connection.execute("SELECT id FROM streams WHERE series = ? LIMIT 1", found).fetchone()
        if stream is None:
            self._connection.execute("DELETE FROM series WHERE id = ?", found)
        elif not self._delete_chunks(stream[0], rollup.LATEST):
            self._connection.execute("DELETE FROM streams WHERE id = ?", stream)
        return True

    def _delete_expired(self) -> bool:
        if self._until is None:
            return False
        find = "SELECT stream FROM chunks WHERE start < ? LIMIT 1"
        oldest = self._connection.execute(find, (self._until,)).fetchone()
        if oldest is None:
            return self._delete_empty_streams()
        if not self._drop_from_outboxes(self._until):
            self._delete_chunks(oldest[0], self._until)
        return True

    def _drop_from_outboxes(self, until: int) -> bool:
        """Drop points that are about to be deleted from every exporter's queue; returns whether more may be queued.

        The first pass examines the whole queue, later calls the rows queued since, in the same transaction in which
        points are deleted.
        """
        for exporter in outbox.attached(self._connection):
            after = self._examined.get(exporter.id, 0)
            self._examined[exporter.id], more = outbox.drop_expired(self._connection, exporter.id, after, until)
            if more:
                return True
        return False

    def _delete_chunks(self, stream: int, until: int) -> bool:
        """Delete the points of some chunks before ``until``, in part where a chunk extends beyond it.

        Returns false when the stream has no such chunk.
        """
        chunks = self._connection.execute(
            "SELECT start, last FROM chunks WHERE stream = ? AND start < ? ORDER BY start LIMIT ?",
            (stream, until, _CHUNKS_PER_SLICE),
        ).fetchall()
        for start, last in chunks:
            deleted = self._connection.execute(
                "DELETE FROM points WHERE stream = ? AND time BETWEEN ? AND ?", (stream, start, min(last, until - 1))
            )
            self.deleted += deleted.rowcount
            rollup.rebuild(self._connection, stream, start, last)
        return bool(chunks)

    def _delete_empty_streams(self) -> bool:
        """Delete streams without points, and undeclared series without streams."""
        deleted = self._connection.execute("DELETE FROM streams WHERE id NOT IN (SELECT stream FROM chunks)").rowcount
        deleted += self._connection.execute(
            "DELETE FROM series WHERE NOT declared AND id NOT IN (SELECT series FROM streams)"
        ).rowcount
        return deleted > 0

    def _delete_builds(self) -> bool:
        """Delete the rows of builds that are older than every build with a point."""
        (first,) = self._connection.execute("SELECT min(build) FROM points WHERE build IS NOT NULL").fetchone()
        deleted = self._connection.execute(
            "DELETE FROM builds WHERE id IN (SELECT id FROM builds WHERE id < ? ORDER BY id LIMIT ?)",
            (rollup.LATEST if first is None else first, _BUILDS_PER_SLICE),
        )
        return deleted.rowcount > 0
