"""The connection that writes the journal: transactions and the clock of its rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

Self = TypeVar("Self", bound="WriteConnection")


class WriteConnection:
    """An SQLite connection with write transactions, and the clock that dates queued points.

    A subclass caches rows of the file and drops them in :meth:`clear`, which is called when another process has
    written or a transaction has failed.
    """

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self.connection = connection
        self._clock = clock
        #: SQLite's number of the file's state, which changes when another connection has written.
        self.data_version = -1

    def now(self) -> int:
        """Unix time in seconds."""
        return int(self._clock())

    def clear(self) -> None:
        """Drop what is cached of the file."""

    @contextmanager
    def transaction(self: Self) -> Generator[Self, None, None]:
        """A transaction, rolled back on any exception.

        Raises sqlite3.OperationalError when the file stays locked for longer than the connection's busy timeout.
        """
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            (data_version,) = self.connection.execute("PRAGMA data_version").fetchone()
            if data_version != self.data_version:
                self.clear()
                self.data_version = data_version
            yield self
            self.connection.execute("COMMIT")
        except BaseException:
            self.clear()
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
