"""A store on a disk that can be full, an endless query and other helpers for tests of SQLiteStorage."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from typing import Any, Callable

from pytest_twisted import inlineCallbacks
from twisted.internet import reactor, task

from bbmeasure.model import Point
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.storage.sqlite.store import SQLiteStorage
from tests.unit.storage.examples import at, fill

_ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


def endlessly(connection: sqlite3.Connection) -> Any:
    """A query that never ends."""
    return connection.execute(_ENDLESS).fetchone()


class LimitedStorage(SQLiteStorage):
    """A journal on a disk that is full while ``full`` is true, with a short busy timeout."""

    full = False

    def _open_journal(self) -> Journal:
        journal = Journal(self.path, busy_timeout=0.01)
        (pages,) = journal.connection.execute("PRAGMA page_count").fetchone()
        if self.full:
            journal.connection.execute(f"PRAGMA max_page_count={pages}")
        return journal


@inlineCallbacks
def filled_and_closed(storage: SQLiteStorage, values: Sequence[float]) -> Generator[Any, Any, None]:
    """Write values to a store and close it."""
    yield fill(storage, values)
    yield storage.close()


@inlineCallbacks
def until(condition: Callable[[], Any]) -> Generator[Any, Any, None]:
    """Wait until ``condition()`` is true."""
    while not condition():
        yield task.deferLater(reactor, 0.005, lambda: None)


def large(count: int, size: int = 4_000) -> list[Point]:
    """Points with long texts, which fill pages quickly."""
    return [Point("log", at(n), str(n) * size) for n in range(count)]
