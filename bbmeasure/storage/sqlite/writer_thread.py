"""The thread that writes the journal.

It is started on first use: a thread started when a module is imported does not survive twistd's fork.  It is a daemon
thread, so that a write that hangs in a broken disk does not keep the process alive.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from twisted.internet import defer
from twisted.logger import Logger

from bbmeasure.errors import StorageError, StorageFullError, StorageUnavailableError
from bbmeasure.storage.sqlite.changes import (
    POINTS_PER_COMMIT,
    Change,
    Item,
    Results,
    Write,
    apply_all,
    declarations,
    fire,
    rewriting,
    unwritten,
)
from bbmeasure.storage.sqlite.journal import Journal, next_step
from bbmeasure.storage.sqlite.open_files import LostFileError
from bbmeasure.storage.sqlite.spool_file import SpoolFile, Unwritten

log = Logger()

#: Seconds between two attempts to write: at first, and the limit up to which they double.
RETRY_DELAYS = (0.25, 5.0)
#: Seconds between two runs of the background cleanup.
_CLEANUP_INTERVAL = 3600.0
#: Seconds between two checks of the files while nothing is written.
_CHECK_INTERVAL = 2.0


@dataclass(frozen=True)
class Hooks:
    """The work of a store in the writer's thread.

    ``check(journal)`` raises LostFileError for a file that was deleted or replaced.  ``clean(journal)`` does one slice
    of the background cleanup and returns false when none is left.  ``close_readers()`` closes all other connections of
    this process.
    """

    open: Callable[[], Journal]
    check: Callable[[Journal], None]
    clean: Callable[[Journal], bool]
    close_readers: Callable[[], None]


class WriterThread:
    """Commits changes in the order of their arrival: at once when idle, else all that arrived meanwhile together.

    A change that cannot be written now (full disk, locked or corrupt file) is retried, and :attr:`failing` is true
    meanwhile.  A change that can never be written fails alone.  :attr:`pending_points` counts the points that are not
    on disk yet.  What a stop leaves unwritten is saved to the spool file, which :meth:`start` reads.
    """

    def __init__(
        self, hooks: Hooks, call: Callable[..., Any], clock: Callable[[], float], spool_file: SpoolFile
    ) -> None:
        """``call(function, argument)`` calls a function in the reactor's thread; ``clock`` is monotonic, in seconds."""
        self._hooks = hooks
        self._call = call
        self._clock = clock
        self._spool_file = spool_file
        self._changed = threading.Condition()
        self._pending: deque[Item] = deque()
        self._current: Sequence[Item] = ()
        self._stepwise: deque[tuple[Change, Generator[None, None, Any]]] = deque()
        self._cleanup_due = True
        self._cleaned_at = clock()
        self._end_of_spool: Optional[Item] = None
        self._thread: Optional[threading.Thread] = None
        self._journal: Optional[Journal] = None
        self._busy_since: Optional[float] = None
        self._had_error = False
        self._closed: Optional[defer.Deferred[None]] = None
        self.pending_points = 0
        self.failing = False
        self.last_error: Optional[str] = None
        #: What a person should know although values are written again; kept until the next start.
        self.notice: Optional[str] = None
        #: Set when the spool file has been read; :attr:`spooled_state` are the totals from it that are not written yet.
        self.spool_is_read = threading.Event()
        self.spooled_state: Mapping[str, float] = {}
        self.counters = Counter(dict.fromkeys(("commits", "retries", "errors", "dropped", "lost_files", "spooled"), 0))

    def put(self, item: Item) -> None:
        """Queue a change."""
        with self._changed:
            self._pending.append(item)
            self.pending_points += len(item.points)
            if len(self._pending) == 1:
                self._changed.notify()
        self.start()

    def start(self) -> None:
        """Start the thread, which opens or creates the file."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="bbmeasure journal", daemon=True)
            self._thread.start()

    def request_cleanup(self) -> None:
        """Run the background cleanup as soon as no change is pending."""
        with self._changed:
            self._cleanup_due = True
            self._changed.notify()

    @property
    def pending_changes(self) -> int:
        """The number of queued changes."""
        return len(self._pending)

    @property
    def busy_for(self) -> float:
        """Seconds since the current unit of work began; 0 when idle."""
        since = self._busy_since
        return 0.0 if since is None else self._clock() - since

    def close(self) -> defer.Deferred[None]:
        """Write what is pending and end the thread; the Deferred fires then, which may be never."""
        with self._changed:
            if self._closed is not None:
                return defer.succeed(None)
            closed: defer.Deferred[None] = defer.Deferred()
            self._closed = closed
            self._changed.notify()
        if self._thread is None:
            closed.callback(None)
        return closed

    def release_declarations(self) -> None:
        """Fire the Deferreds of pending declarations as if they were made, so that the points behind them arrive."""
        with self._changed:
            items = [*self._current, *self._pending]
        fire(declarations(items))

    def spool(self) -> None:
        """Save the pending points, totals and declarations to the spool file; their Deferreds fire.  Blocks."""
        with self._changed:
            items = [*self._current, *self._pending]
        rest, kept = unwritten(items)
        if not rest:
            return
        try:
            self._spool_file.save(rest)
        except StorageError as error:
            self._record_error("errors", error)
            log.error("bbmeasure: {count} points are lost: {error}", count=len(rest.points), error=error)
            return
        self.counters["spooled"] += len(rest.points)
        log.warn(
            "bbmeasure: {count} points that could not be written wait in {path}, which the next start reads",
            count=len(rest.points),
            path=self._spool_file.path,
        )
        self._remove_pending(kept)
        written: Results = [(item.deferred, None) for item in kept if isinstance(item, Write)]
        self._call(fire, [*declarations(kept), *written])

    def abandon(self, error: StorageError) -> None:
        """Fail all pending changes, also those of a commit that is under way, without waiting for the thread."""
        with self._changed:
            items = [*self._current, *self._pending, *(change for change, _ in self._stepwise)]
            self._pending.clear()
            self._stepwise.clear()
        self._fail(items, error)

    # in the thread

    def _run(self) -> None:
        self._read_spool()
        delay = RETRY_DELAYS[0]
        while self._take():
            try:
                self._busy_since, self._had_error = self._clock(), False
                self._work()
                self._clear_error()
                delay = RETRY_DELAYS[0]
            except (StorageUnavailableError, StorageFullError) as error:
                self._suspend(error)
                if not self._wait_for_retry(delay):
                    self.spool()
                    self.abandon(StorageUnavailableError(f"journal: closed before it could be written: {error}"))
                    break
                delay = min(2 * delay, RETRY_DELAYS[1])
            except StorageError as error:
                self._abandon_current(error)
            except BaseException as error:  # noqa: BLE001  (counted, reported to the callers, and the thread goes on)
                self._abandon_current(StorageError(f"journal: {error!r}"))
            finally:
                self._busy_since = None
        self.abandon(StorageUnavailableError("journal: closed"))
        self._close_journal()
        self._call(fire, [(self._closed, None)])

    def _read_spool(self) -> None:
        """Put what the last stop left unwritten before everything else."""
        rest = Unwritten()
        try:
            rest = self._spool_file.load()
        except StorageError as error:
            self.counters["errors"] += 1
            self.notice = str(error)
        if self._spool_file.unreadable:
            self.counters["spool_failures"] += self._spool_file.unreadable
            self.notice = f"{self._spool_file.path}: {self._spool_file.unreadable} lines cannot be read"
        if self.notice:
            log.error("bbmeasure: {notice}", notice=self.notice)
        if rest:
            items = rewriting(rest)
            for item in items:
                item.deferred.addErrback(self._count_spooled_failure)
            self._end_of_spool = items[-1]
            with self._changed:
                self._pending.extendleft(reversed(items))
                self.pending_points += len(rest.points)
            self.spooled_state = rest.state
            log.info("bbmeasure: {count} points from {path}", count=len(rest.points), path=self._spool_file.path)
        self.spool_is_read.set()

    def _count_spooled_failure(self, why: Any) -> None:
        self.counters["spool_failures"] += 1
        log.warn("bbmeasure: from {path}: {error}", path=self._spool_file.path, error=why.value)

    def _suspend(self, error: StorageError) -> None:
        """Close the file until the next attempt."""
        self._record_error("retries", error)
        if not self.failing:
            log.error("bbmeasure: {error}; values wait in memory", error=error)
        self.failing = True
        self._hooks.close_readers()
        if isinstance(error, LostFileError) and self._journal is not None:
            if not self._journal.close_lost():
                return  # tried again when no reader prevents it
            self._journal = None
            self.counters["lost_files"] += 1
            self.notice = str(error)
        self._close_journal()

    def _abandon_current(self, error: StorageError) -> None:
        """Fail the changes under way and close the file, which is opened again for the next change."""
        self._record_error("errors", error)
        self._close_journal()
        with self._changed:
            items = [*self._current, *(change for change, _ in self._stepwise)]
            self._stepwise.clear()
            self._cleanup_due = False
        self._fail(items, error)

    def _take(self) -> bool:
        """Wait for work and take the next changes; returns false when the store is closed and nothing is pending.

        Changes to retry are kept as they are.  None are taken when only stepwise changes, the cleanup or a check of the
        files are left.
        """
        with self._changed:
            if self._current:
                return True
            while not self._pending and not self._stepwise and not self._cleanup_due and self._closed is None:
                if not self._changed.wait(_CHECK_INTERVAL):
                    self._cleanup_due = self._clock() - self._cleaned_at > _CLEANUP_INTERVAL
                    break
            if self._closed is not None and not self._pending:
                return False
            taken: list[Item] = []
            points = 0
            while self._pending and (not taken or points + len(self._pending[0].points) <= POINTS_PER_COMMIT):
                taken.append(self._pending.popleft())
                points += max(1, len(taken[-1].points))
            self._current = taken
            return True

    def _wait_for_retry(self, delay: float) -> bool:
        """Wait ``delay`` seconds; returns false when the store is closed."""
        with self._changed:
            if self._closed is None:
                self._changed.wait_for(lambda: self._closed is not None, delay)
            return self._closed is None

    def _work(self) -> None:
        if self._journal is None:
            self._journal = self._hooks.open()
        self._hooks.check(self._journal)
        if self._current:
            self._commit(self._journal, self._current)
        if self._stepwise:
            self._run_step(self._journal)
        elif self._cleanup_due:
            self._cleanup_due, self._cleaned_at = False, self._clock()  # after an error the next run is in an hour
            self._cleanup_due = self._hooks.clean(self._journal)

    def _commit(self, journal: Journal, items: Sequence[Item]) -> None:
        try:
            with journal.transaction() as ingest:
                results = apply_all(ingest, items)
            self._hooks.check(journal)  # what was committed to a lost file is written again
        except (StorageUnavailableError, StorageFullError):
            raise
        except StorageError as error:
            if len(items) == 1:
                self._record_error("errors", error)
                self._fail(items, error)
            else:  # bisect, down to the change that can never be written
                self._commit(journal, items[: len(items) // 2])
                self._commit(journal, items[len(items) // 2 :])
            return
        self._committed(items, results)

    def _committed(self, items: Sequence[Item], results: Results) -> None:
        self._remove_pending(items)
        self._clear_error()  # before the Deferreds fire
        self.counters["commits"] += 1
        if self._end_of_spool is not None and any(item is self._end_of_spool for item in items):
            self._end_of_spool = None
            self.spooled_state = {}
            self._spool_file.remove()
        changes = {id(item.deferred): item for item in items if isinstance(item, Change)}
        fired: Results = []
        for deferred, result in results:
            if isinstance(result, Generator):
                self._stepwise.append((changes[id(deferred)], result))
            else:
                fired.append((deferred, result))
        self._call(fire, fired)

    def _remove_pending(self, items: Sequence[Item]) -> None:
        removed = {id(item) for item in items}
        with self._changed:
            self.pending_points = max(0, self.pending_points - sum(len(item.points) for item in items))
            self._current = [item for item in self._current if id(item) not in removed]
            if self._closed is not None:
                self._pending = deque(item for item in self._pending if id(item) not in removed)

    def _run_step(self, journal: Journal) -> None:
        change, steps = self._stepwise[0]
        try:
            with journal.transaction():
                result = next_step(steps)
        except StorageError as error:
            result = error
        if result is not None:
            self._stepwise.popleft()
            self._call(fire, [(change.deferred, result)])

    def _fail(self, items: Sequence[Item], error: Exception) -> None:
        self.counters["dropped"] += sum(len(item.points) for item in items)
        self._remove_pending(items)
        self._call(fire, [(item.deferred, error) for item in items])

    def _clear_error(self) -> None:
        if self._had_error:
            return
        if self.failing:
            log.info("bbmeasure: the journal is written again")
            self._hooks.close_readers()  # those that were opened meanwhile may be read-only or see no new points
        self.failing, self.last_error = False, None

    def _record_error(self, counter: str, error: BaseException) -> None:
        self.counters[counter] += 1
        self._had_error = True
        self.last_error = str(error) or repr(error)

    def _close_journal(self) -> None:
        journal, self._journal = self._journal, None
        try:
            if journal is not None:
                journal.close()
        except sqlite3.Error as error:
            self._record_error("errors", error)
