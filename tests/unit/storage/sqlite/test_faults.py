"""SQLiteStorage when things go wrong: full disks, locked and broken files, threads that hang, endless questions."""

from __future__ import annotations

import gc
import sqlite3
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any, Callable

import pytest
from pytest_twisted import inlineCallbacks
from twisted.internet import defer, reactor, task

from bbmeasure.errors import StorageError, StorageFullError, StorageUnavailableError
from bbmeasure.model import Point, Query, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.storage.sqlite.store import SQLiteStorage
from tests.unit.storage.contract import at, fill, in_build, values_of

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


def endlessly(connection: sqlite3.Connection) -> Any:
    """A question without end."""
    return connection.execute(ENDLESS).fetchone()


class Disk(SQLiteStorage):
    """A journal whose disk a test fills, and whose file waits for no lock."""

    full = False

    def _open_journal(self) -> Journal:
        journal = Journal(self.path, busy_timeout=0.01)
        (pages,) = journal.connection.execute("PRAGMA page_count").fetchone()
        if self.full:
            journal.connection.execute(f"PRAGMA max_page_count={pages}")
        return journal


@pytest.fixture
def open_storage(tmp_path: Path) -> Any:
    """A function that opens the journal of this test, which is closed after it."""
    made: list[SQLiteStorage] = []

    def open_it(kind: type[SQLiteStorage] = SQLiteStorage, **how: Any) -> SQLiteStorage:
        made.append(kind(tmp_path / "j.sqlite", reactor=reactor, **how))
        return made[-1]

    yield open_it
    for storage in made:
        storage.close()


@inlineCallbacks
def until(condition: Callable[[], Any]) -> Generator[Any, Any, None]:
    """Wait for it, at most as long as a test may take."""
    while not condition():
        yield task.deferLater(reactor, 0.005, lambda: None)


def large(count: int, size: int = 4_000) -> list[Point]:
    """Points that fill pages quickly."""
    return [Point("log", at(n), str(n) * size) for n in range(count)]


# nothing before its time


def test_a_storage_that_is_not_used_opens_nothing(tmp_path: Path) -> None:
    """Made when a configuration is read, before twistd forks, it has no thread, no file and no connection."""
    before = threading.enumerate()
    storage = SQLiteStorage(tmp_path / "j.sqlite", reactor=reactor)
    assert storage.health().backlog == 0
    assert threading.enumerate() == before
    assert list(tmp_path.iterdir()) == []


@inlineCallbacks
def test_a_storage_that_was_never_used_closes(open_storage: Any, tmp_path: Path) -> Any:
    """Closing what was never used makes nothing either."""
    yield open_storage().close()
    assert list(tmp_path.iterdir()) == []


# a full disk, a locked file


@inlineCallbacks
def test_points_wait_for_room_on_a_full_disk(open_storage: Any) -> Any:
    """While the disk is full points wait and the store says so; when there is room all of them are written."""
    yield fill(open_storage(), [1.0])
    storage = open_storage(Disk)
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
def test_what_does_not_fit_into_the_waiting_room_is_refused_and_counted(open_storage: Any) -> Any:
    """Past the most that may wait a write fails at once with a StorageFullError that says why; others are kept."""
    storage = open_storage(Disk, max_pending=60)
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
def test_a_reader_is_not_held_up_by_a_full_disk(open_storage: Any) -> Any:
    """What was written before is answered while nothing can be written."""
    yield fill(open_storage(), [1.0, 2.0])
    storage = open_storage(Disk)
    storage.full = True
    waiting = storage.write(large(50))
    yield until(lambda: storage.health().last_error)
    assert values_of((yield storage.points(Query("size"), 10))) == [1.0, 2.0]
    storage.full = False
    yield waiting


@inlineCallbacks
def test_points_wait_for_a_locked_file(open_storage: Any, tmp_path: Path) -> Any:
    """While another process holds the file, points wait and are written afterwards, in their order."""
    storage = open_storage(Disk)
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
def test_a_folder_that_is_not_there_is_told(open_storage: Any, tmp_path: Path) -> Any:
    """Questions to a journal that cannot be made fail with the reason, and points wait for it."""
    storage = SQLiteStorage(tmp_path / "folder" / "j.sqlite", reactor=reactor)
    written = storage.write([Point("size", at(0), 1.0)])
    with pytest.raises(StorageUnavailableError, match="unable to open"):
        yield storage.series()
    (tmp_path / "folder").mkdir()
    yield written
    assert (yield storage.last(Query("size"))).value == 1.0
    yield storage.close()


@inlineCallbacks
def test_a_broken_file_is_told_and_nothing_hangs(open_storage: Any, tmp_path: Path) -> Any:
    """Writes and questions to a file that is no database fail with a StorageError; the store says so too."""
    (tmp_path / "j.sqlite").write_bytes(b"rubbish" * 10_000)
    storage = open_storage()
    for asked in (storage.write([Point("size", at(0), 1.0)]), storage.series(), storage.forget("size")):
        with pytest.raises(StorageError, match="not a database"):
            yield asked
    assert "not a database" in storage.health().last_error
    tries = storage.health().counters["errors"]
    yield task.deferLater(reactor, 0.05, lambda: None)
    assert storage.health().counters["errors"] == tries  # nobody spins on it
    assert storage.health().counters["dropped"] == 1
    assert storage.health().backlog == 0


@inlineCallbacks
def test_a_file_that_breaks_under_a_running_master_is_told(open_storage: Any, tmp_path: Path) -> Any:
    """Pages overwritten underneath are a StorageError, of a write and of a question."""
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


# one bad apple


@inlineCallbacks
def test_a_change_that_can_never_be_made_fails_alone(open_storage: Any) -> Any:
    """Of many writes that are committed together, only the impossible one fails."""
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
def test_a_conflict_costs_the_others_nothing(open_storage: Any) -> Any:
    """A refused declaration leaves what was asked before and after it as it is."""
    storage = open_storage()
    asked = [
        storage.declare(SeriesInfo("size", Kind.SIZE, "bytes")),
        storage.write([Point("size", at(0), 1.0)]),
        storage.declare(SeriesInfo("size", Kind.DURATION, "s")),
        storage.write([Point("size", at(1), 2.0)]),
    ]
    results = yield defer.DeferredList(asked, consumeErrors=True)
    assert [success for success, _ in results] == [True, True, False, True]
    assert (yield storage.series())[0].count == 2


@inlineCallbacks
def test_changes_are_made_in_the_order_in_which_they_came(open_storage: Any) -> Any:
    """Writes before a removal are gone, those after it stay, although all are committed together."""
    storage = open_storage()
    asked = [
        storage.write([Point("size", at(0), 1.0)]),
        storage.forget("size"),
        storage.write([Point("size", at(1), 2.0)]),
        storage.write([Point("size", at(1), 3.0)]),
    ]
    assert (yield defer.gatherResults(asked))[1] == 1
    assert values_of((yield storage.points(Query("size"), 10))) == [3.0]


@inlineCallbacks
def test_a_write_larger_than_a_commit_is_one_commit(open_storage: Any) -> Any:
    """Many points in one write are there all at once."""
    storage = open_storage()
    yield fill(storage, range(5_000), build=in_build())
    assert storage.health().counters["commits"] == 1
    assert (yield storage.series())[0].count == 5_000


@inlineCallbacks
def test_an_accident_in_the_writer_is_told_and_survived(open_storage: Any) -> Any:
    """Whatever goes wrong in a change, who asked for it is told, and the thread writes on."""
    storage = open_storage()
    yield fill(storage, [1.0])
    with pytest.raises(StorageError, match="ZeroDivisionError"):
        yield storage._change(lambda _: 1 / 0)
    yield fill(storage, [2.0])
    assert storage.health().counters["errors"] == 1
    assert storage.health().last_error is None


@inlineCallbacks
def test_a_long_change_that_fails_is_told(open_storage: Any) -> Any:
    """Queueing again for a sink that is not there fails, and does not stop what comes after it."""
    storage = open_storage()
    yield fill(storage, [1.0])
    with pytest.raises(StorageError, match="nobody"):
        yield storage.reship("nobody", 0)
    yield fill(storage, [2.0])


@inlineCallbacks
def test_changes_do_not_pile_up_without_a_bound(open_storage: Any) -> Any:
    """While the file takes nothing, declarations too are refused past the most that may wait."""
    storage = open_storage(Disk, max_pending=5)
    storage.full = True
    waiting = [storage.write(large(5))]
    yield until(lambda: storage.health().last_error)
    waiting += [storage.declare(SeriesInfo(f"s{n}", Kind.COUNT)) for n in range(5)]
    with pytest.raises(StorageFullError, match="5 changes are pending"):
        yield storage.declare(SeriesInfo("one more", Kind.COUNT))
    storage.full = False
    yield defer.gatherResults(waiting)


# questions


@inlineCallbacks
def test_a_question_without_end_is_broken_off(open_storage: Any) -> Any:
    """A question that takes longer than its limit fails, and says so; the next one is answered."""
    storage = open_storage(read_timeout=0.05)
    yield fill(storage, [1.0])
    with pytest.raises(StorageUnavailableError, match=r"no answer within 0\.05 s"):
        yield storage._read(lambda reader: reader.read(endlessly))
    assert storage.health().counters["read_timeouts"] == 1
    assert (yield storage.last(Query("size"))).value == 1.0


@inlineCallbacks
def test_a_cancelled_question_is_broken_off(open_storage: Any) -> Any:
    """Cancelling its Deferred frees the thread: both threads can be freed so, and answer again."""
    storage = open_storage(read_timeout=1000.0)
    yield fill(storage, [1.0])
    started = threading.Semaphore(0)

    def ask_endlessly(reader: JournalReader) -> Any:
        started.release()
        return reader.read(endlessly)

    endless = [storage._read(ask_endlessly) for _ in range(2)]
    yield until(lambda: started.acquire(blocking=False))
    yield until(lambda: started.acquire(blocking=False))
    for asked in endless:
        asked.cancel()
        with pytest.raises(defer.CancelledError):
            yield asked
    assert len((yield storage.points(Query("size"), 5))) == 1
    assert storage.health().counters["cancelled_reads"] == 2


@inlineCallbacks
def test_a_slow_question_holds_up_no_other(open_storage: Any) -> Any:
    """While one thread is busy with a long question, the other answers."""
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
def test_people_hold_up_no_step_and_no_sink(open_storage: Any) -> Any:
    """However many questions of the page wait, what steps, totals and sinks ask is answered."""
    storage = open_storage(read_timeout=1000.0)
    yield storage.attach_exporter("sink")
    yield fill(storage, [1.0])
    slow = [storage._read(lambda reader: reader.read(endlessly)) for _ in range(20)]
    assert (yield storage.last(Query("size"))).value == 1.0
    assert (yield storage.recall(["total"])) == {}
    assert len((yield storage.pending("sink", 10))) == 1
    assert (yield storage.backlog("sink")).count == 1
    assert not any(asked.called for asked in slow)
    for asked in slow:
        asked.addErrback(lambda _: None)
        asked.cancel()


@inlineCallbacks
def test_too_many_questions_are_refused(open_storage: Any) -> Any:
    """Where as many wait as may, the next one fails at once and is counted."""
    storage = open_storage(max_requests=3)
    yield fill(storage, [1.0])
    free = threading.Event()
    waiting = [storage._read(lambda _: free.wait()) for _ in range(3)]
    with pytest.raises(StorageUnavailableError, match="3 read requests are pending"):
        yield storage.points(Query("size"), 5)
    free.set()
    yield defer.gatherResults(waiting)
    assert len((yield storage.points(Query("size"), 5))) == 1
    assert storage.health().counters["refused_reads"] == 1


@inlineCallbacks
def test_a_question_that_fails_inside_fails_as_a_storage_error(open_storage: Any) -> Any:
    """Whatever goes wrong while a question is answered, who asked is told, and the thread lives on."""
    storage = open_storage()
    yield fill(storage, [1.0])
    for _ in range(4):
        with pytest.raises(StorageError, match="ZeroDivisionError"):
            yield storage._read(lambda _: 1 / 0)
    assert (yield storage.last(Query("size"))).value == 1.0
    assert storage.health().counters["failed_reads"] == 4


# the end


@inlineCallbacks
def test_closing_writes_what_waits(open_storage: Any) -> Any:
    """What was accepted before the store was closed is on disk when it is."""
    storage = open_storage()
    written = [storage.write([Point("size", at(n), 1.0)]) for n in range(5_000)]
    yield storage.close()
    yield defer.gatherResults(written)
    assert (yield open_storage().series())[0].count == 5_000


@inlineCallbacks
def test_a_closed_store_takes_nothing(open_storage: Any) -> Any:
    """After it was closed every write and question fails, and closing again is no error."""
    storage = open_storage()
    yield fill(storage, [1.0])
    yield storage.close()
    yield storage.close()
    for asked in (storage.write([Point("size", at(0), 1.0)]), storage.series(), storage.forget("size")):
        with pytest.raises(StorageUnavailableError, match="closed"):
            yield asked


@inlineCallbacks
def test_closing_leaves_no_thread(open_storage: Any) -> Any:
    """Its threads end, and their connections with them."""
    before = set(threading.enumerate())
    storage = open_storage()
    yield fill(storage, [1.0])
    yield defer.gatherResults([storage.series(), storage.series(), storage.series()])
    assert len(set(threading.enumerate()) - before) == 3
    yield storage.close()
    yield until(lambda: not set(threading.enumerate()) - before)
    gc.collect()


@inlineCallbacks
def test_closing_does_not_wait_for_a_thread_that_hangs(open_storage: Any) -> Any:
    """A disk that never answers holds up neither close nor those who wait for their points."""
    free = threading.Event()

    class Hanging(SQLiteStorage):
        def _open_journal(self) -> Journal:
            free.wait()
            return super()._open_journal()

    storage = open_storage(Hanging, close_timeout=0.05)
    written = storage.write([Point("size", at(0), 1.0)])
    asked = storage.last(Query("size"))
    yield storage.close()
    with pytest.raises(StorageUnavailableError, match="closing"):
        yield written
    with pytest.raises(StorageUnavailableError):
        yield asked
    free.set()


@inlineCallbacks
def test_closing_on_a_full_disk_ends(open_storage: Any) -> Any:
    """What cannot be written when the store is closed fails, and close does not wait for room."""
    storage = open_storage(Disk)
    storage.full = True
    written = storage.write(large(50))
    yield until(lambda: storage.health().last_error)
    yield storage.close()
    with pytest.raises(StorageUnavailableError):
        yield written


# several, and for long


@inlineCallbacks
def test_two_stores_on_one_file(open_storage: Any) -> Any:
    """Two stores in one process that write the same series at a time lose nothing of either."""
    stores = [open_storage(), open_storage()]
    written = [stores[n % 2].write([Point("size", at(n), float(n))], {"key": float(n)}) for n in range(400)]
    yield defer.gatherResults(written)
    for storage in stores:
        assert values_of((yield storage.points(Query("size"), 1000))) == [float(n) for n in range(400)]
        assert (yield storage.series())[0].count == 400


@inlineCallbacks
def test_old_points_expire(open_storage: Any, tmp_path: Path) -> Any:
    """With a retention, points that are older are deleted in the background; the rest and its statistics stay."""
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.write([Point("size", at(n * 60), float(n), {}, in_build(n)) for n in range(3_000)])
        journal.write([Point("gone", at(0), 1.0)])
    storage = open_storage(retention=60.0 * 1_000 + 1, clock=lambda: at(60 * 3_000) / 1e9)
    while (yield storage.series())[0].name == "gone":
        yield task.deferLater(reactor, 0.005, lambda: None)
    (info,) = yield storage.series()
    assert (info.count, info.first, info.last) == (1_000, at(60 * 2_000), at(60 * 2_999))
    assert (yield storage.records(101)) == []
    assert (yield storage.summarize(Query("size"), [])) == {}


@inlineCallbacks
def test_a_commit_waits_for_no_clock(tmp_path: Path) -> Any:
    """What is written while nothing is being committed is committed at once: no timer stands before it.

    What comes while a commit is under way is in the next one, whole; so a point waits for two commits at most.
    """
    committing, go_on = threading.Semaphore(0), threading.Semaphore(0)

    class Slow(SQLiteStorage):
        def _open_journal(self) -> Journal:
            journal = super()._open_journal()
            journal.connection.set_trace_callback(slow_down)
            return journal

    def slow_down(statement: str) -> None:
        if statement == "COMMIT" and threading.current_thread().name == "bbmeasure journal":
            committing.release()
            go_on.acquire()

    clock = task.Clock()
    clock.callFromThread = reactor.callFromThread  # type: ignore[attr-defined]
    storage = Slow(tmp_path / "j.sqlite", reactor=clock)
    go_on.release()
    yield storage.series()  # the first COMMIT is that of the background work, which finds nothing to delete
    yield until(lambda: committing.acquire(blocking=False))
    first = storage.write([Point("size", at(0), 0.0)])
    yield until(lambda: committing.acquire(blocking=False))
    others = [storage.write([Point("size", at(n), float(n))]) for n in range(1, 200)]
    assert not first.called
    go_on.release()
    yield first
    yield until(lambda: committing.acquire(blocking=False))
    go_on.release()
    yield defer.gatherResults(others)
    assert storage.health().counters["commits"] == 2
    assert clock.getDelayedCalls() == []
    go_on.release(100)
    storage.close()
