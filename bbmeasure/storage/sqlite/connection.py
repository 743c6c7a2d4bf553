"""The connection that writes the journal: transactions, the clock of its rows, and many rows in a statement."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

Self = TypeVar("Self", bound="WriteConnection")

#: The number of bound values in a statement (SQLite before 3.32 allows 999).
_VALUES_PER_STATEMENT = 900


def insert_rows(
    connection: sqlite3.Connection, insert: str, rows: Sequence[Sequence[Any]], *, values: str = "", update: str = ""
) -> None:
    """Insert rows, many in a statement, which releases the GIL once and not once a row.

    ``insert`` is the statement up to ``VALUES``, ``values`` the placeholders of a row where they are not all that it
    has, and ``update`` follows the rows.
    """
    if not rows:
        return
    values = values or f"({', '.join('?' * len(rows[0]))})"
    most, at = _VALUES_PER_STATEMENT // len(rows[0]), 0
    for size in (most, most // 10):  # few distinct statements, so that they stay prepared
        while len(rows) - at >= size:
            flat = [value for row in rows[at : at + size] for value in row]
            connection.execute(f"{insert} VALUES {', '.join([values] * size)} {update}", flat)
            at += size
    connection.executemany(f"{insert} VALUES {values} {update}", rows[at:])


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
