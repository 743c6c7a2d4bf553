"""SQLiteStorage: order, atomicity and failures of changes, and the background cleanup."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import inlineCallbacks
from twisted.internet import defer, reactor, task

from bbmeasure.errors import StorageError, StorageFullError
from bbmeasure.model import Point, Query, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.storage.sqlite.store import SQLiteStorage
from tests.unit.storage.examples import at, fill, in_build, values_of
from tests.unit.storage.sqlite.helpers import LimitedStorage, large, until


@inlineCallbacks
def test_an_invalid_write_fails_alone(open_storage: Any) -> Any:
    """Of many writes that are committed together only the invalid ones fail."""
    storage = open_storage()
    yield fill(storage, [0.0])
    good = [storage.write([Point("size", at(n), float(n))]) for n in range(1, 20)]
    bad = storage.write([Point("size", at(50), 1.0, {"k": "\ud800"})])
    unhashable = storage.write([Point("size", at(51), 1.0, {"k": ["no text"]})])  # type: ignore[dict-item]
    good += [storage.write([Point("size", at(n), float(n))]) for n in range(20, 40)]
    for failing in (bad, unhashable):
        with pytest.raises(StorageError):
            yield failing
    yield defer.gatherResults(good)
    assert len((yield storage.points(Query("size"), 100))) == 40
    assert storage.health().counters["dropped"] == 2


@inlineCallbacks
def test_a_conflicting_declaration_fails_alone(open_storage: Any) -> Any:
    """The changes before and after a refused declaration succeed."""
    storage = open_storage()
    changes = [
        storage.declare(SeriesInfo("size", Kind.SIZE, "bytes")),
        storage.write([Point("size", at(0), 1.0)]),
        storage.declare(SeriesInfo("size", Kind.DURATION, "s")),
        storage.write([Point("size", at(1), 2.0)]),
    ]
    results = yield defer.DeferredList(changes, consumeErrors=True)
    assert [success for success, _ in results] == [True, True, False, True]
    assert (yield storage.series())[0].count == 2


@inlineCallbacks
def test_changes_are_made_in_their_order(open_storage: Any) -> Any:
    """A removal removes the writes before it, not those after it, although all are committed together."""
    storage = open_storage()
    changes = [
        storage.write([Point("size", at(0), 1.0)]),
        storage.forget("size"),
        storage.write([Point("size", at(1), 2.0)]),
        storage.write([Point("size", at(1), 3.0)]),
    ]
    assert (yield defer.gatherResults(changes))[1] == 1
    assert values_of((yield storage.points(Query("size"), 10))) == [3.0]


@inlineCallbacks
def test_a_write_larger_than_a_commit_is_one_commit(open_storage: Any) -> Any:
    """A write of many points is one transaction."""
    storage = open_storage()
    yield fill(storage, range(5_000), build=in_build())
    assert storage.health().counters["commits"] == 1
    assert (yield storage.series())[0].count == 5_000


@inlineCallbacks
def test_an_exception_in_the_writer_thread(open_storage: Any) -> Any:
    """An unexpected exception fails the change with a StorageError, and the thread goes on."""
    storage = open_storage()
    yield fill(storage, [1.0])
    with pytest.raises(StorageError, match="ZeroDivisionError"):
        yield storage._change(lambda _: 1 / 0)
    yield fill(storage, [2.0])
    assert storage.health().counters["errors"] == 1
    assert storage.health().last_error is None


@inlineCallbacks
def test_a_stepwise_change_that_fails(open_storage: Any) -> Any:
    """Reshipping to an unknown exporter fails, and later writes succeed."""
    storage = open_storage()
    yield fill(storage, [1.0])
    with pytest.raises(StorageError, match="unknown"):
        yield storage.reship("unknown", 0)
    yield fill(storage, [2.0])


@inlineCallbacks
def test_changes_beyond_max_pending_are_refused(open_storage: Any) -> Any:
    """While the disk is full declarations beyond the limit are refused too."""
    storage = open_storage(LimitedStorage, max_pending=5)
    storage.full = True
    pending = [storage.write(large(5))]
    yield until(lambda: storage.health().last_error)
    pending += [storage.declare(SeriesInfo(f"s{n}", Kind.COUNT)) for n in range(5)]
    with pytest.raises(StorageFullError, match="5 changes are pending"):
        yield storage.declare(SeriesInfo("one more", Kind.COUNT))
    storage.full = False
    yield defer.gatherResults(pending)


@inlineCallbacks
def test_two_stores_on_one_file(open_storage: Any) -> Any:
    """Two stores in one process that write the same series concurrently lose no point."""
    stores = [open_storage(), open_storage()]
    written = [stores[n % 2].write([Point("size", at(n), float(n))], {"key": float(n)}) for n in range(400)]
    yield defer.gatherResults(written)
    for storage in stores:
        assert values_of((yield storage.points(Query("size"), 1000))) == [float(n) for n in range(400)]
        assert (yield storage.series())[0].count == 400


@inlineCallbacks
def test_old_points_expire(open_storage: Any, tmp_path: Path) -> Any:
    """Points older than the retention are deleted in the background; the others and their statistics stay."""
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.write([Point("size", at(n * 60), float(n), {}, in_build(n)) for n in range(3_000)])
        journal.write([Point("gone", at(0), 1.0)])
    storage = open_storage(retention=60.0 * 1_000 + 1, clock=lambda: at(60 * 3_000) / 1e9)
    while [info.first for info in (yield storage.series())] != [at(60 * 2_000)]:
        yield task.deferLater(reactor, 0.005, lambda: None)
    (info,) = yield storage.series()
    assert (info.count, info.first, info.last) == (1_000, at(60 * 2_000), at(60 * 2_999))
    assert (yield storage.records(101)) == []
    assert (yield storage.summarize(Query("size"), [])) == {}


@inlineCallbacks
def test_an_idle_thread_cleans_when_it_is_requested(open_storage: Any, tmp_path: Path) -> Any:
    """A cleanup requested while the writer's thread waits is not lost: forgotten points leave the file."""
    storage = open_storage()
    yield fill(storage, range(100), build=in_build())
    yield task.deferLater(reactor, 0.05, lambda: None)
    yield storage.forget("size")
    with JournalReader(tmp_path / "j.sqlite") as reader:
        yield until(lambda: reader.connection.execute("SELECT count(*) FROM points").fetchone() == (0,))
    storage.retention = 3_600.0
    yield fill(storage, range(100), build=in_build())
    yield task.deferLater(reactor, 0.05, lambda: None)
    storage._writer.request_cleanup()
    while (yield storage.series()):
        yield task.deferLater(reactor, 0.005, lambda: None)


@inlineCallbacks
def test_a_commit_waits_for_no_timer(tmp_path: Path) -> Any:
    """A write while the thread is idle is committed at once, and all writes during a commit by the next one.

    So a point waits for two commits at most.
    """
    committing, proceed = threading.Semaphore(0), threading.Semaphore(0)

    class Slow(SQLiteStorage):
        def _open_journal(self) -> Journal:
            journal = super()._open_journal()
            journal.connection.set_trace_callback(wait_for_test)
            return journal

    def wait_for_test(statement: str) -> None:
        if statement == "COMMIT" and threading.current_thread().name == "bbmeasure journal":
            committing.release()
            proceed.acquire()

    clock = task.Clock()
    clock.callFromThread = reactor.callFromThread  # type: ignore[attr-defined]
    storage = Slow(tmp_path / "j.sqlite", reactor=clock)
    proceed.release()
    yield storage.series()  # the first COMMIT is that of the background cleanup, which finds nothing to delete
    yield until(lambda: committing.acquire(blocking=False))
    first = storage.write([Point("size", at(0), 0.0)])
    yield until(lambda: committing.acquire(blocking=False))
    others = [storage.write([Point("size", at(n), float(n))]) for n in range(1, 200)]
    assert not first.called
    proceed.release()
    yield first
    yield until(lambda: committing.acquire(blocking=False))
    proceed.release()
    yield defer.gatherResults(others)
    assert storage.health().counters["commits"] == 2
    assert clock.getDelayedCalls() == []
    proceed.release(100)
    storage.close()
