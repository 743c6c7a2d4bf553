"""The thread that writes the journal.

It is started on first use: a thread started when a module is imported does not survive twistd's fork.  It is a daemon
thread, so that a write that hangs in a broken disk does not keep the process alive.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional, Union

from twisted.internet import defer

from bbmeasure.errors import SeriesConflictError, StorageError, StorageFullError, StorageUnavailableError
from bbmeasure.model import Point
from bbmeasure.storage.sqlite.ingest import Ingest
from bbmeasure.storage.sqlite.journal import Journal, next_step

#: The number of points committed together, whose Deferreds fire in one iteration of the reactor.
POINTS_PER_COMMIT = 1_000
#: Seconds between two attempts to write: at first, and the limit up to which they double.
RETRY_DELAYS = (0.25, 5.0)
#: Seconds between two runs of the background cleanup.
_CLEANUP_INTERVAL = 3600.0


class Write:
    """Points and running totals to write; ``deferred`` fires in the reactor when they are on disk.

    Many thousands may be pending: it has slots, so that the garbage collector does not block the reactor for long.
    """

    __slots__ = ("deferred", "points", "state")

    def __init__(self, points: Sequence[Point], state: Mapping[str, float]) -> None:
        self.points = points
        self.state = state
        self.deferred: defer.Deferred[None] = defer.Deferred()


@dataclass(frozen=True)
class Change:
    """Another change; ``deferred`` fires in the reactor with the result of ``run``.

    ``run`` may return a generator.  Each of its steps is then a transaction of its own, with other changes between
    them, and its return value is the result.
    """

    run: Callable[[Ingest], Any]
    deferred: defer.Deferred[Any] = field(default_factory=defer.Deferred)
    points: Sequence[Point] = ()


Item = Union[Write, Change]
#: Deferreds with the result or exception to fire them with.
Results = list[tuple[Any, Any]]


class WriterThread:
    """Commits changes in the order of their arrival: at once when idle, else all that arrived meanwhile together.

    A change that cannot be written now (full disk, locked file) is retried, and :attr:`failing` is true meanwhile.  A
    change that can never be written fails alone.  :attr:`pending_points` counts the points that are not on disk yet.
    """

    def __init__(
        self,
        open_journal: Callable[[], Journal],
        call: Callable[..., Any],
        clock: Callable[[], float],
        clean: Callable[[Journal], bool],
    ) -> None:
        """``call(function, argument)`` calls a function in the reactor's thread; ``clock`` is monotonic, in seconds.

        ``clean(journal)`` does one slice of the background cleanup and returns false when none is left.
        """
        self._open = open_journal
        self._call = call
        self._clock = clock
        self._clean = clean
        self._changed = threading.Condition()
        self._pending: deque[Item] = deque()
        self._current: Sequence[Item] = ()
        self._stepwise: deque[tuple[Change, Generator[None, None, Any]]] = deque()
        self._cleanup_due = True
        self._thread: Optional[threading.Thread] = None
        self._journal: Optional[Journal] = None
        self._busy_since: Optional[float] = None
        self._had_error = False
        self._closed: Optional[defer.Deferred[None]] = None
        self.pending_points = 0
        self.failing = False
        self.last_error: Optional[str] = None
        self.counters = Counter({"commits": 0, "retries": 0, "errors": 0, "dropped": 0})

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

    def abandon(self, error: StorageError) -> None:
        """Fail all pending changes, also those of a commit that is under way, without waiting for the thread."""
        with self._changed:
            items = [*self._current, *self._pending, *(change for change, _ in self._stepwise)]
            self._pending.clear()
            self._stepwise.clear()
        self._fail(items, error)

    # in the thread

    def _run(self) -> None:
        delay = RETRY_DELAYS[0]
        while self._take():
            try:
                self._busy_since, self._had_error = self._clock(), False
                self._work()
                self._clear_error()
                delay = RETRY_DELAYS[0]
            except (StorageUnavailableError, StorageFullError) as error:
                self._record_error("retries", error)
                self.failing = True
                self._close_journal()
                if not self._wait_for_retry(delay):
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
        self._call(self._fire, [(self._closed, None)])

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

        Changes to retry are kept as they are.  None are taken when only stepwise changes or the cleanup are left.
        """
        with self._changed:
            if self._current:
                return True
            while not self._pending and not self._stepwise and not self._cleanup_due and self._closed is None:
                if not self._changed.wait(_CLEANUP_INTERVAL):
                    self._cleanup_due = True
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
            self._journal = self._open()
        if self._current:
            self._commit(self._journal, self._current)
        if self._stepwise:
            self._run_step(self._journal)
        elif self._cleanup_due:
            self._cleanup_due = False  # after an error the next run is in an hour
            self._cleanup_due = self._clean(self._journal)

    def _commit(self, journal: Journal, items: Sequence[Item]) -> None:
        try:
            with journal.transaction() as ingest:
                results = _apply(ingest, items)
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
        changes = {id(item.deferred): item for item in items if isinstance(item, Change)}
        fired: Results = []
        for deferred, result in results:
            if isinstance(result, Generator):
                self._stepwise.append((changes[id(deferred)], result))
            else:
                fired.append((deferred, result))
        self._call(self._fire, fired)

    def _remove_pending(self, items: Sequence[Item]) -> None:
        removed = {id(item) for item in items}
        with self._changed:
            self.pending_points = max(0, self.pending_points - sum(len(item.points) for item in items))
            self._current = [item for item in self._current if id(item) not in removed]

    def _run_step(self, journal: Journal) -> None:
        change, steps = self._stepwise[0]
        try:
            with journal.transaction():
                result = next_step(steps)
        except StorageError as error:
            result = error
        if result is not None:
            self._stepwise.popleft()
            self._call(self._fire, [(change.deferred, result)])

    def _fail(self, items: Sequence[Item], error: Exception) -> None:
        self.counters["dropped"] += sum(len(item.points) for item in items)
        self._remove_pending(items)
        self._call(self._fire, [(item.deferred, error) for item in items])

    def _clear_error(self) -> None:
        if not self._had_error:
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

    # in the reactor

    @staticmethod
    def _fire(results: Results) -> None:
        for deferred, result in results:
            if deferred.called:
                continue  # cancelled, or abandoned when the store was closed
            if isinstance(result, Exception):
                deferred.errback(result)
            else:
                deferred.callback(result)


def _apply(ingest: Ingest, items: Sequence[Item]) -> Results:
    """Make all changes in their order, consecutive writes as one."""
    results: Results = []
    points: list[Point] = []
    state: dict[str, float] = {}
    for item in items:
        if isinstance(item, Write):
            points.extend(item.points)
            state.update(item.state)
            results.append((item.deferred, None))
            continue
        if points or state:
            ingest.write(points, state)
            points, state = [], {}
        try:
            results.append((item.deferred, item.run(ingest)))
        except SeriesConflictError as error:
            results.append((item.deferred, error))
    if points or state:
        ingest.write(points, state)
    return results
