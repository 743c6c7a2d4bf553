"""SQLiteStorage on a full disk, and with locked, missing and corrupt files."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, Callable

import pytest
from pytest_twisted import inlineCallbacks
from twisted.internet import defer, reactor

from bbmeasure.errors import StorageError, StorageFullError, StorageUnavailableError
from bbmeasure.model import Point, Query, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.storage.sqlite import schema
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.storage.sqlite.store import SQLiteStorage
from tests.unit.storage.examples import at, fill, values_of
from tests.unit.storage.sqlite.helpers import LimitedStorage, filled_and_closed, large, until


@inlineCallbacks
def test_points_are_retried_on_a_full_disk(open_storage: Any) -> Any:
    """While the disk is full points are pending and health has the error; with free space all are written."""
    yield filled_and_closed(open_storage(), [1.0])
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
    yield filled_and_closed(open_storage(), [1.0, 2.0])
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


def make_foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs(x)")
    connection.close()


def make_newer(path: Path) -> None:
    Journal(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version={schema.VERSION + 1}")
    connection.close()


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda path: path.write_bytes(b"rubbish" * 10_000), "not a database"),
        (make_foreign, "another program"),
        (make_newer, "newer bbmeasure"),
    ],
)
@inlineCallbacks
def test_a_file_that_is_no_journal(open_storage: Any, tmp_path: Path, make: Callable[[Path], Any], error: str) -> Any:
    """Values wait in memory, health and queries have the error, and a new file gets the values once it is moved."""
    make(tmp_path / "j.sqlite")
    content = (tmp_path / "j.sqlite").read_bytes()
    storage = open_storage()
    declared = storage.declare(SeriesInfo("size", Kind.SIZE, "bytes"))
    written = storage.write([Point("size", at(0), 1.0)])
    with pytest.raises(StorageError, match=error):
        yield storage.series()
    yield until(lambda: storage.health().counters["retries"] > 1)
    assert error in storage.health().last_error
    assert (storage.health().backlog, storage.health().counters["dropped"]) == (1, 0)
    assert not written.called
    assert (tmp_path / "j.sqlite").read_bytes() == content
    (tmp_path / "j.sqlite").rename(tmp_path / "moved")
    yield written
    yield declared
    assert [(info.unit, info.count) for info in (yield storage.series())] == [("bytes", 1)]
    assert (storage.health().last_error, storage.health().backlog) == (None, 0)


@inlineCallbacks
def test_a_corrupt_file(open_storage: Any, tmp_path: Path) -> Any:
    """With overwritten pages queries fail, values wait in memory, and a backup put in place gets them."""
    storage = open_storage()
    yield storage.write(large(300))
    yield storage.close()
    path = tmp_path / "j.sqlite"
    good = path.read_bytes()
    path.write_bytes(good[:4096] + b"\xff" * (len(good) - 4096))
    broken = open_storage()
    with pytest.raises(StorageError, match="malformed"):
        yield broken.points(Query("log"), 1000)
    written = broken.write([Point("log", at(1_000), "new")])
    yield until(lambda: broken.health().counters["retries"] > 1)
    assert "malformed" in broken.health().last_error
    assert not written.called
    for end in ("", "-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    path.write_bytes(good)
    yield written
    assert len((yield broken.points(Query("log"), 1000))) == 301
