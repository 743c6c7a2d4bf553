"""SQLiteStorage on a full disk, and with locked, missing and corrupt files."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import inlineCallbacks
from twisted.internet import defer, reactor, task

from bbmeasure.errors import StorageError, StorageFullError, StorageUnavailableError
from bbmeasure.model import Point, Query
from bbmeasure.storage.sqlite.store import SQLiteStorage
from tests.unit.storage.examples import at, fill, values_of
from tests.unit.storage.sqlite.helpers import LimitedStorage, large, until


@inlineCallbacks
def test_points_are_retried_on_a_full_disk(open_storage: Any) -> Any:
    """While the disk is full points are pending and health has the error; with free space all are written."""
    yield fill(open_storage(), [1.0])
    storage = open_storage(LimitedStorage)
    storage.full = True
    written = [storage.write([point]) for point in large(50)]
    yield until(lambda: storage.health().last_error)
    assert "full" in storage.health().last_error
    assert storage.health().backlog > 0
    assert not written[-1].called
    storage.full = False
    yield defer.gatherResults(written)
    assert len((yield storage.points(Query("log"), 100))) == 50
    assert storage.health().last_error is None
    assert storage.health().backlog == 0
    assert storage.health().counters["dropped"] == 0


@inlineCallbacks
def test_points_beyond_max_pending_are_refused(open_storage: Any) -> Any:
    """A write beyond the limit fails at once with a StorageFullError that has the reason; smaller ones succeed."""
    storage = open_storage(LimitedStorage, max_pending=60)
    storage.full = True
    written = [storage.write([point]) for point in large(50)]
    yield until(lambda: storage.health().last_error)
    with pytest.raises(StorageFullError, match=r"50 points are pending .*full"):
        yield storage.write(large(20))
    assert storage.health().counters["dropped"] == 20
    written.append(storage.write([Point("size", at(0), 1.0)]))
    storage.full = False
    yield defer.gatherResults(written)
    assert len((yield storage.points(Query("log"), 100))) == 50
    assert (yield storage.last(Query("size"))).value == 1.0


@inlineCallbacks
def test_queries_succeed_on_a_full_disk(open_storage: Any) -> Any:
    """Queries return what was written before while nothing can be written."""
    yield fill(open_storage(), [1.0, 2.0])
    storage = open_storage(LimitedStorage)
    storage.full = True
    pending = storage.write(large(50))
    yield until(lambda: storage.health().last_error)
    assert values_of((yield storage.points(Query("size"), 10))) == [1.0, 2.0]
    storage.full = False
    yield pending


@inlineCallbacks
def test_points_are_retried_on_a_locked_file(open_storage: Any, tmp_path: Path) -> Any:
    """While another process locks the file points are pending; then they are written in their order."""
    storage = open_storage(LimitedStorage)
    yield fill(storage, [1.0])
    other = sqlite3.connect(tmp_path / "j.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    written = [storage.write([Point("size", at(5), float(n))]) for n in range(10)]
    yield until(lambda: storage.health().counters["retries"])
    assert "locked" in storage.health().last_error
    other.execute("ROLLBACK")
    other.close()
    yield defer.gatherResults(written)
    assert (yield storage.last(Query("size"))).value == 9.0


@inlineCallbacks
def test_a_missing_folder(open_storage: Any, tmp_path: Path) -> Any:
    """Queries fail with the reason, and points are pending until the folder exists."""
    storage = SQLiteStorage(tmp_path / "folder" / "j.sqlite", reactor=reactor)
    written = storage.write([Point("size", at(0), 1.0)])
    with pytest.raises(StorageUnavailableError, match="unable to open"):
        yield storage.series()
    (tmp_path / "folder").mkdir()
    yield written
    assert (yield storage.last(Query("size"))).value == 1.0
    yield storage.close()


@inlineCallbacks
def test_a_file_that_is_not_a_database(open_storage: Any, tmp_path: Path) -> Any:
    """Writes, queries and changes fail with a StorageError, health has the error, and nothing is retried."""
    (tmp_path / "j.sqlite").write_bytes(b"rubbish" * 10_000)
    storage = open_storage()
    for operation in (storage.write([Point("size", at(0), 1.0)]), storage.series(), storage.forget("size")):
        with pytest.raises(StorageError, match="not a database"):
            yield operation
    assert "not a database" in storage.health().last_error
    errors = storage.health().counters["errors"]
    yield task.deferLater(reactor, 0.05, lambda: None)
    assert storage.health().counters["errors"] == errors
    assert storage.health().counters["dropped"] == 1
    assert storage.health().backlog == 0


@inlineCallbacks
def test_a_corrupt_file(open_storage: Any, tmp_path: Path) -> Any:
    """Overwritten pages cause a StorageError of writes and of queries."""
    storage = open_storage()
    yield storage.write(large(300))
    with sqlite3.connect(tmp_path / "j.sqlite") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    yield storage.close()
    path = tmp_path / "j.sqlite"
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096))
    broken = open_storage()
    with pytest.raises(StorageError, match="malformed"):
        yield broken.points(Query("log"), 1000)
    with pytest.raises(StorageError, match="malformed"):
        yield broken.write(large(10))
    assert "malformed" in broken.health().last_error
