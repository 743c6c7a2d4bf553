"""JournalThreads: the threads of a store, of which one writes the journal's file and the others read it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Optional, TypeVar

from twisted.internet import defer
from twisted.logger import Logger

from bbmeasure.errors import StorageError, StorageFullError, StorageUnavailableError
from bbmeasure.model import Health
from bbmeasure.storage.sqlite import migration, schema
from bbmeasure.storage.sqlite.changes import Change
from bbmeasure.storage.sqlite.ingest import Ingest
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.storage.sqlite.master_lock import MasterLock
from bbmeasure.storage.sqlite.migration_progress import MigrationProgress
from bbmeasure.storage.sqlite.reader_pool import ReaderPool
from bbmeasure.storage.sqlite.restorer import Restorer
from bbmeasure.storage.sqlite.shared_requests import SharedRequests, in_thread
from bbmeasure.storage.sqlite.spool_file import SpoolFile
from bbmeasure.storage.sqlite.writer_thread import Hooks, WriterThread

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    P = ParamSpec("P")

Result = TypeVar("Result")

log = Logger()

#: The number of points kept in memory while the file cannot be written; ten times as many while it can.
MAX_PENDING = 100_000
#: The most pending requests of steps, totals and exporters, and the most different lists of series.
MAX_INTERNAL = 2_000
MAX_OVERVIEWS = 50
#: Seconds after which a write that is under way counts as hanging.
_HANGING = 2.0
#: Seconds that a question for running totals waits for what the last stop left unwritten.
_SPOOL_TIMEOUT = 5.0


class JournalThreads:
    """The threads of one store, their bounds, and what they do when the file is opened, lost or closed."""

    def __init__(
        self,
        path: schema.Path,
        *,
        reactor: Any,
        name: str = "journal",
        retention: Optional[float] = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        max_pending: int = MAX_PENDING,
        read_timeout: float = 10.0,
        max_requests: int = 500,
        close_timeout: float = 2.0,
    ) -> None:
        self.path = path
        self.name = name
        self._reactor = reactor
        self.retention = retention
        self._clock = clock
        self._max_pending = max_pending
        self._close_timeout = close_timeout
        self._closed = False
        self._counters = Counter({"dropped": 0})
        self._migration = MigrationProgress(path)
        self._restorer = Restorer(path)
        self._lock = MasterLock(path)
        call = reactor.callFromThread
        hooks = Hooks(self._open, self._check, self._clean, self._close_readers)
        self._writer = WriterThread(hooks, call, monotonic, SpoolFile(path))
        make_pool = partial(
            ReaderPool,
            self._open_reader,
            call,
            monotonic,
            self._may_appear,
            timeout=read_timeout,
        )
        self._readers = make_pool(max_pending=max_requests)
        self._internal_readers = make_pool(name="bbmeasure internal reader", size=1, max_pending=MAX_INTERNAL)
        self._build_readers = make_pool(name="bbmeasure build reader", size=1, max_pending=max_requests)
        overviews = make_pool(name="bbmeasure overview reader", size=1, max_pending=MAX_OVERVIEWS)
        self._overviews = SharedRequests(overviews, lambda: self._writer.counters["commits"])
        self._pools = (self._readers, self._internal_readers, self._build_readers, overviews)

    # in the threads

    def _open(self) -> Journal:
        self._lock_file()
        if self._lock.holder is not None and migration.is_needed(self.path):
            raise StorageUnavailableError(f"{self._second_master()}; it is migrated when that one has stopped")
        journal = self._open_journal()
        try:
            self._restorer.restore(journal)
        except BaseException:
            journal.close()
            raise
        return journal

    def _check(self, journal: Journal) -> None:
        self._lock_file()
        journal.check_files()

    def _lock_file(self) -> None:
        """Lock the file for this master, unless another one has it."""
        before = self._lock.holder
        if not self._lock.acquire() and before is None:
            log.warn("bbmeasure: {second}", second=self._second_master())

    def _second_master(self) -> Optional[str]:
        holder = self._lock.holder
        return holder and f"journal {self.path}: another master uses it ({holder}); give each master its own"

    def _close_readers(self) -> None:
        for pool in self._pools:
            pool.close_connections()

    def _open_journal(self) -> Journal:
        return Journal(
            self.path,
            busy_timeout=1.0,
            clock=self._clock,
            migrate=True,
            progress=self._migration.report,
            stop=lambda: self._closed,
        )

    def _open_reader(self, stop: Callable[[], bool]) -> JournalReader:
        try:
            return JournalReader(self.path, stop=stop)
        except StorageUnavailableError as error:
            reason = self._writer.last_error
            raise StorageUnavailableError(f"{error}; {reason}" if reason else str(error)) from error

    def _may_appear(self) -> bool:
        """Whether the writer may still be creating the missing file."""
        return self._writer.last_error is None

    def _clean(self, journal: Journal) -> bool:
        return journal.clean_slice(self.retention)

    # in the reactor

    def _room(self) -> int:
        """The number of points or changes that may be pending."""
        hangs = self._writer.failing or self._writer.busy_for > _HANGING
        return self._max_pending if hangs else 10 * self._max_pending

    def _refuse(self, points: int, error: Exception) -> defer.Deferred[Any]:
        self._counters["dropped"] += points
        return defer.fail(error)

    def _change(
        self, function: Callable[Concatenate[Ingest, P], Any], *args: P.args, **keywords: P.kwargs
    ) -> defer.Deferred[Any]:
        """Call ``function`` in a transaction of the writer's thread; each step of a generator in one of its own."""
        return self._put_change(Change(lambda ingest: function(ingest, *args, **keywords)))

    def _put_change(self, change: Change) -> defer.Deferred[Any]:
        if self._closed:
            return defer.fail(StorageUnavailableError(f"journal {self.path}: closed"))
        pending = self._writer.pending_changes
        if pending >= self._room():
            return self._refuse(0, StorageFullError(f"journal {self.path}: {pending} changes are pending"))
        self._writer.put(change)
        return change.deferred

    def _request_cleanup(self, result: Result) -> Result:
        self._writer.request_cleanup()
        return result

    def _read(
        self, function: Callable[Concatenate[JournalReader, P], Result], *args: P.args, **keywords: P.kwargs
    ) -> defer.Deferred[Result]:
        """Call ``function`` with a reader in a thread of the pool."""
        self._writer.start()
        return self._readers.run(function, *args, **keywords)

    def _read_internal(
        self, function: Callable[Concatenate[JournalReader, P], Result], *args: P.args, **keywords: P.kwargs
    ) -> defer.Deferred[Result]:
        """The same in the thread of steps, totals and exporters."""
        self._writer.start()
        return self._internal_readers.run(function, *args, **keywords)

    def _recall(self, reader: JournalReader, keys: Sequence[str]) -> dict[str, float]:
        self._writer.spool_is_read.wait(_SPOOL_TIMEOUT)
        second = self._second_master()
        if second is not None:
            raise StorageError(f"{second}; this one takes no running totals from it")
        spooled = self._writer.spooled_state  # before the file, which may have it a moment later
        return {**reader.recall(keys), **{key: spooled[key] for key in keys if key in spooled}}

    def health(self) -> Health:
        """``backlog`` counts the points that are not on disk yet, ``dropped`` those that never will be.

        While the file is migrated ``migrated`` counts the points copied, of ``to_migrate``.
        """
        counters = Counter(self._counters)
        for part in (self._writer, *self._pools):
            counters.update(part.counters)
        counters.update(self._migration.counters)
        error = self._writer.last_error or self._second_master() or self._writer.notice
        return Health(self.name, self._writer.pending_points, None, error, dict(counters))

    def close(self) -> defer.Deferred[None]:
        """Write what is pending, and end threads and connections; fires after ``close_timeout`` seconds at the latest.

        What could not be written until then is saved to the spool file, for which there is as much time again.
        """
        self._closed = True
        for pool in self._pools:
            pool.close()
        writer_closed = self._writer.close()
        closed: defer.Deferred[None] = defer.Deferred()
        timer = self._reactor.callLater(self._close_timeout, self._abandon, closed)

        def done(_: object) -> None:
            self._lock.release()
            if timer.active():
                timer.cancel()
                closed.callback(None)

        writer_closed.addCallback(done)
        return closed

    def release_declarations(self) -> None:
        """Take pending declarations as made before :meth:`close`, so that the values that wait for them arrive."""
        self._writer.release_declarations()

    def _abandon(self, closed: defer.Deferred[None]) -> None:
        """Save what is pending in a thread, and wait for that as long as for the writer."""
        saved = in_thread(self._reactor.callFromThread, self._writer.spool)
        saved.addTimeout(self._close_timeout, self._reactor)

        def ended(_: object) -> None:
            message = f"journal {self.path}: not written within {self._close_timeout:g} s of closing"
            self._writer.abandon(StorageUnavailableError(message))
            closed.callback(None)

        saved.addBoth(ended)
