"""SQLiteStorage: what exists before its first use and after its end."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import inlineCallbacks
from twisted.internet import defer, reactor

from bbmeasure.errors import StorageUnavailableError
from bbmeasure.model import Point, Query
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.storage.sqlite.spool_file import SpoolFile
from bbmeasure.storage.sqlite.store import SQLiteStorage
from tests.unit.storage.examples import at, fill
from tests.unit.storage.sqlite.helpers import until


def test_an_unused_store_opens_nothing(tmp_path: Path) -> None:
    """A new store has no thread and no file: it is created before twistd forks."""
    before = set(threading.enumerate())
    storage = SQLiteStorage(tmp_path / "j.sqlite", reactor=reactor)
    assert storage.health().backlog == 0
    assert set(threading.enumerate()) <= before
    assert list(tmp_path.iterdir()) == []


@inlineCallbacks
def test_an_unused_store_closes(open_storage: Any, tmp_path: Path) -> Any:
    """Closing an unused store creates no file."""
    yield open_storage().close()
    assert list(tmp_path.iterdir()) == []


@inlineCallbacks
def test_closing_writes_pending_points(open_storage: Any) -> Any:
    """Points accepted before the store was closed are on disk afterwards."""
    storage = open_storage()
    written = [storage.write([Point("size", at(n), 1.0)]) for n in range(5_000)]
    yield storage.close()
    yield defer.gatherResults(written)
    assert (yield open_storage().series())[0].count == 5_000


@inlineCallbacks
def test_a_closed_store_fails_every_operation(open_storage: Any) -> Any:
    """Writes, queries and changes fail; closing again succeeds."""
    storage = open_storage()
    yield fill(storage, [1.0])
    yield storage.close()
    yield storage.close()
    for operation in (storage.write([Point("size", at(0), 1.0)]), storage.series(), storage.forget("size")):
        with pytest.raises(StorageUnavailableError, match="closed"):
            yield operation


@inlineCallbacks
def test_closing_leaves_no_thread(open_storage: Any) -> Any:
    """All threads of the store end."""
    before = set(threading.enumerate())
    storage = open_storage()
    yield fill(storage, [1.0])
    points = [storage.points(Query("size"), 5) for _ in range(3)]
    yield defer.gatherResults([storage.series(), storage.last(Query("size")), *points])
    assert len(set(threading.enumerate()) - before) == 5
    yield storage.close()
    yield until(lambda: not set(threading.enumerate()) - before)
    gc.collect()


@inlineCallbacks
def test_closing_does_not_wait_for_a_hanging_thread(open_storage: Any, tmp_path: Path) -> Any:
    """While the writer hangs, close fires after its timeout; points are in the spool file, other changes fail."""
    free = threading.Event()

    class Hanging(SQLiteStorage):
        def _open_journal(self) -> Journal:
            free.wait()
            return super()._open_journal()

    storage = open_storage(Hanging, close_timeout=0.2)
    written = storage.write([Point("size", at(0), 1.0)])
    forgotten = storage.forget("other")
    query = storage.last(Query("size"))
    yield storage.close()
    yield written
    for failed in (forgotten, query):
        with pytest.raises(StorageUnavailableError):
            yield failed
    assert (tmp_path / "j.sqlite.spool").exists()
    free.set()


@inlineCallbacks
def test_closing_while_the_spool_file_hangs(open_storage: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Where the spool file hangs as the journal does, close fires after the timeouts of both, and points fail."""
    free = threading.Event()

    class Hanging(SQLiteStorage):
        def _open_journal(self) -> Journal:
            free.wait()
            return super()._open_journal()

    monkeypatch.setattr(SpoolFile, "save", lambda *_: free.wait())
    storage = open_storage(Hanging, close_timeout=0.05)
    written = storage.write([Point("size", at(0), 1.0)])
    yield storage.close()
    with pytest.raises(StorageUnavailableError, match="closing"):
        yield written
    free.set()
