"""SQLiteStorage: timeouts, cancellation and limits of read requests."""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import Any

import pytest
from pytest_twisted import inlineCallbacks
from twisted.internet import defer

from bbmeasure.errors import StorageBusyError, StorageError, StorageUnavailableError
from bbmeasure.model import Query
from bbmeasure.storage.sqlite.journal import JournalReader
from tests.unit.storage.examples import fill
from tests.unit.storage.sqlite.helpers import endlessly, until


@inlineCallbacks
def test_an_endless_query_times_out(open_storage: Any) -> Any:
    """A query that runs longer than the timeout fails and is counted; the next query succeeds."""
    storage = open_storage(read_timeout=0.05)
    yield fill(storage, [1.0])
    with pytest.raises(StorageUnavailableError, match=r"no answer within 0\.05 s"):
        yield storage._read(lambda reader: reader.read(endlessly))
    assert storage.health().counters["read_timeouts"] == 1
    storage._readers._timeout = 1000.0
    assert (yield storage.last(Query("size"))).value == 1.0


@inlineCallbacks
def test_a_cancelled_query_is_interrupted(open_storage: Any) -> Any:
    """Cancelling the Deferreds of endless queries frees both threads."""
    storage = open_storage(read_timeout=1000.0)
    yield fill(storage, [1.0])
    started = threading.Semaphore(0)

    def read_endlessly(reader: JournalReader) -> Any:
        started.release()
        return reader.read(endlessly)

    endless = [storage._read(read_endlessly) for _ in range(2)]
    yield until(lambda: started.acquire(blocking=False))
    yield until(lambda: started.acquire(blocking=False))
    for query in endless:
        query.cancel()
        with pytest.raises(defer.CancelledError):
            yield query
    assert len((yield storage.points(Query("size"), 5))) == 1
    assert storage.health().counters["cancelled_reads"] == 2


@inlineCallbacks
def test_a_slow_query_does_not_block_others(open_storage: Any) -> Any:
    """While one thread runs an endless query, the other serves requests."""
    storage = open_storage(read_timeout=1000.0)
    yield fill(storage, [1.0])
    slow = storage._read(lambda reader: reader.read(endlessly))
    for _ in range(20):
        assert len((yield storage.points(Query("size"), 5))) == 1
    assert not slow.called
    slow.cancel()
    with pytest.raises(defer.CancelledError):
        yield slow


@inlineCallbacks
def test_queries_do_not_block_steps_and_exporters(open_storage: Any) -> Any:
    """Requests of steps, totals and exporters succeed while endless queries keep the pool busy."""
    storage = open_storage(read_timeout=1000.0)
    yield storage.attach_exporter("exporter")
    yield fill(storage, [1.0])
    slow = [storage._read(lambda reader: reader.read(endlessly)) for _ in range(20)]
    assert (yield storage.last(Query("size"))).value == 1.0
    assert (yield storage.recall(["total"])) == {}
    assert len((yield storage.pending("exporter", 10))) == 1
    assert (yield storage.backlog("exporter")).count == 1
    assert not any(query.called for query in slow)
    for query in slow:
        query.addErrback(lambda _: None)
        query.cancel()


@inlineCallbacks
def test_requests_beyond_the_limit_are_refused(open_storage: Any) -> Any:
    """A request made while ``max_requests`` are pending fails at once and is counted."""
    storage = open_storage(max_requests=3)
    yield fill(storage, [1.0])
    free = threading.Event()
    pending = [storage._read(lambda _: free.wait()) for _ in range(3)]
    with pytest.raises(StorageBusyError, match="3 read requests are pending"):
        yield storage.points(Query("size"), 5)
    free.set()
    yield defer.gatherResults(pending)
    assert len((yield storage.points(Query("size"), 5))) == 1
    assert storage.health().counters["refused_reads"] == 1


@inlineCallbacks
def test_equal_lists_of_series_are_read_once(open_storage: Any) -> Any:
    """Lists requested while an equal one is read share its result; after a commit, or for others, they are read."""
    storage = open_storage()
    yield fill(storage, [1.0])
    read: list[Any] = []
    free = threading.Event()
    original = JournalReader.series

    def series(reader: JournalReader, builders: Any = None, **_: Any) -> Any:
        read.append(builders)
        free.wait()
        return original(reader, builders)

    storage_reads = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JournalReader, "series", series)
        storage_reads += [storage.series() for _ in range(50)]
        storage_reads += [storage.series(frozenset([""])) for _ in range(50)]
        yield fill(storage, [2.0], "other")
        storage_reads += [storage.series() for _ in range(50)]
        free.set()
        results = yield defer.gatherResults(storage_reads)
    assert len(read) == 3
    assert [len(infos) for infos in results[100:]] == [2] * 50


@inlineCallbacks
def test_a_shared_list_is_interrupted_by_its_last_caller(open_storage: Any) -> Any:
    """Cancelling one of two callers leaves the other its result; cancelling both interrupts the query."""
    storage = open_storage(read_timeout=1000.0)
    yield fill(storage, [1.0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JournalReader, "series", lambda reader, builders: reader.read(endlessly))
        callers = [storage.series(), storage.series()]
        for caller in callers:
            caller.cancel()
            with pytest.raises(defer.CancelledError):
                yield caller
    assert len((yield storage.series())) == 1
    assert storage.health().counters["cancelled_reads"] == 1


@inlineCallbacks
def test_an_exception_in_a_reader_thread(open_storage: Any) -> Any:
    """An unexpected exception fails the request with a StorageError, and the thread goes on."""
    storage = open_storage()
    yield fill(storage, [1.0])
    for _ in range(4):
        with pytest.raises(StorageError, match="ZeroDivisionError"):
            yield storage._read(lambda _: 1 / 0)
    assert (yield storage.last(Query("size"))).value == 1.0
    assert storage.health().counters["failed_reads"] == 4


@inlineCallbacks
def test_a_chain_of_queries_is_one_request(open_storage: Any) -> Any:
    """All of a chain runs in one thread of the pool, without the reactor."""
    storage = open_storage()
    yield fill(storage, [1.0])

    def chain() -> Generator[Any, Any, set[int]]:
        threads = {threading.get_ident()}
        for _ in range(2):
            threads.add((yield lambda _: threading.get_ident()))
        return threads

    threads = yield storage.run_chain(chain())
    assert len(threads) == 1
    assert threading.get_ident() not in threads
