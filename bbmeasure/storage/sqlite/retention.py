"""Deleting from the journal in small slices: what was forgotten or detached, and what is older than the retention.

A slice is one short transaction, so that points that are captured meanwhile are committed in time.  The file does not
shrink; its free pages are used again.  What is too old is deleted also where it still waits for a sink, and counted.
"""

from __future__ import annotations

import sqlite3
from typing import Optional

from bbmeasure.storage.sqlite import outbox, rollup
from bbmeasure.storage.sqlite.ingest import Ingest

_CHUNKS_A_SLICE = 8
_BUILDS_A_SLICE = 2_000


class Cleanup:
    """Deletes through ``ingest`` what was forgotten, and what is before ``until`` (nanoseconds) where that is given.

    After an error it is done with: another begins anew.
    """

    def __init__(self, ingest: Ingest, until: Optional[int] = None) -> None:
        self._ingest = ingest
        self._connection: sqlite3.Connection = ingest.connection
        self._until = until
        self._looked: dict[int, int] = {}
        self.deleted = 0

    def slice(self) -> bool:
        """One slice; False where nothing was left to delete."""
        with self._ingest.transaction():
            more = self._forgotten() or outbox.delete_detached(self._connection) or self._expired() or self._builds()
            if more:
                self._ingest.clear()
            return more

    def run(self) -> int:
        """All slices, one after the other; how many points were deleted."""
        while self.slice():
            pass
        return self.deleted

    def _forgotten(self) -> bool:
        found = self._connection.execute("SELECT id FROM series WHERE name IS NULL LIMIT 1").fetchone()
        if found is None:
            return False
        stream = self._connection.execute("SELECT id FROM streams WHERE series = ? LIMIT 1", found).fetchone()
        if stream is None:
            self._connection.execute("DELETE FROM series WHERE id = ?", found)
        elif not self._delete_chunks(stream[0], rollup.LATEST):
            self._connection.execute("DELETE FROM streams WHERE id = ?", stream)
        return True

    def _expired(self) -> bool:
        if self._until is None:
            return False
        find = "SELECT stream FROM chunks WHERE start < ? LIMIT 1"
        oldest = self._connection.execute(find, (self._until,)).fetchone()
        if oldest is None:
            return self._empty_streams()
        if not self._drop_from_outboxes(self._until):
            self._delete_chunks(oldest[0], self._until)
        return True

    def _drop_from_outboxes(self, until: int) -> bool:
        """Have what is about to be deleted wait for no sink; whether more may wait.

        All is looked at once, then what came since: in the transaction in which points are deleted.
        """
        for queue in outbox.queues(self._connection):
            reached = self._looked.get(queue.id, 0)
            self._looked[queue.id], more = outbox.drop_expired(self._connection, queue.id, reached, until)
            if more:
                return True
        return False

    def _delete_chunks(self, stream: int, until: int) -> bool:
        """Delete the points of some chunks before ``until``, and of one that reaches over it; False for none."""
        chunks = self._connection.execute(
            "SELECT start, last FROM chunks WHERE stream = ? AND start < ? ORDER BY start LIMIT ?",
            (stream, until, _CHUNKS_A_SLICE),
        ).fetchall()
        for start, last in chunks:
            gone = self._connection.execute(
                "DELETE FROM points WHERE stream = ? AND time BETWEEN ? AND ?", (stream, start, min(last, until - 1))
            )
            self.deleted += gone.rowcount
            rollup.rebuild(self._connection, stream, start, last)
        return bool(chunks)

    def _empty_streams(self) -> bool:
        """Streams without a point, and series without a stream that nobody declared, are gone."""
        gone = self._connection.execute("DELETE FROM streams WHERE id NOT IN (SELECT stream FROM chunks)").rowcount
        gone += self._connection.execute(
            "DELETE FROM series WHERE NOT declared AND id NOT IN (SELECT series FROM streams)"
        ).rowcount
        return gone > 0

    def _builds(self) -> bool:
        """Facts of builds that are older than every build with a point are gone."""
        (first,) = self._connection.execute("SELECT min(build) FROM points WHERE build IS NOT NULL").fetchone()
        gone = self._connection.execute(
            "DELETE FROM builds WHERE id IN (SELECT id FROM builds WHERE id < ? ORDER BY id LIMIT ?)",
            (rollup.LATEST if first is None else first, _BUILDS_A_SLICE),
        )
        return gone.rowcount > 0
