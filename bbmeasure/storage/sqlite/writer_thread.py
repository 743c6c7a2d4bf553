"""The thread that writes the journal: made at first use, never the reactor's, and the only one that writes in here.

What is made when a module is imported is dead after twistd has forked, hence the first use.  It is a daemon, so that
one that hangs in a broken disk does not keep the process.
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
from bbmeasure.storage.sqlite.journal import Journal, next_slice

#: So many points are committed at once: their Deferreds fire in one turn of the reactor.
POINTS_A_COMMIT = 1_000
#: Seconds from one try to the next while the file takes nothing: the first, and what it doubles up to.
PAUSES = (0.25, 5.0)
#: Seconds from one look at the background work to the next.
_IDLE = 3600.0


class Write:
    """Points and running totals to keep; ``deferred`` fires in the reactor when they are on disk.

    Many thousands may wait: small, so that the garbage collector does not hold up the reactor for long.
    """

    __slots__ = ("deferred", "points", "state")

    def __init__(self, points: Sequence[Point], state: Mapping[str, float]) -> None:
        self.points = points
        self.state = state
        self.deferred: defer.Deferred[None] = defer.Deferred()


@dataclass(frozen=True)
class Change:
    """Something else to change; ``deferred`` fires in the reactor with what ``run`` returned.

    ``run`` may return a generator: each of its steps is a transaction of its own, with other changes in between, and
    what it returns at its end is the answer.
    """

    run: Callable[[Journal], Any]
    deferred: defer.Deferred[Any] = field(default_factory=defer.Deferred)
    points: Sequence[Point] = ()


Item = Union[Write, Change]
Answers = list[tuple[Any, Any]]


class WriterThread:
    """Commits changes in the order in which they came, many in one transaction, and none waits for more to come.

    What cannot be kept now (a full disk, a locked file) is tried again, and :attr:`failing` is true meanwhile.  A
    change that can never be kept fails alone.  :attr:`waiting` counts the points that are not on disk yet.
    """

    def __init__(
        self,
        open_journal: Callable[[], Journal],
        call: Callable[..., Any],
        clock: Callable[[], float],
        idle: Callable[[Journal], bool],
    ) -> None:
        """``call(function, argument)`` has it called in the reactor, ``clock`` is a monotonic one in seconds.

        ``idle(journal)`` does a slice of background work; False where there is none left.
        """
        self._open = open_journal
        self._call = call
        self._clock = clock
        self._idle = idle
        self._changed = threading.Condition()
        self._pending: deque[Item] = deque()
        self._current: Sequence[Item] = ()
        self._long: deque[tuple[Change, Generator[None, None, Any]]] = deque()
        self._idle_wanted = True
        self._thread: Optional[threading.Thread] = None
        self._journal: Optional[Journal] = None
        self._since: Optional[float] = None
        self._troubled = False
        self._closed: Optional[defer.Deferred[None]] = None
        self.waiting = 0
        self.failing = False
        self.last_error: Optional[str] = None
        self.counters = Counter({"commits": 0, "retries": 0, "errors": 0, "dropped": 0})

    def put(self, item: Item) -> None:
        """Have a change written."""
        with self._changed:
            self._pending.append(item)
            self.waiting += len(item.points)
            if len(self._pending) == 1:
                self._changed.notify()
        self.start()

    def start(self) -> None:
        """Have the file opened, and made where there is none, although there is nothing to write yet."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="bbmeasure journal", daemon=True)
            self._thread.start()

    def tidy(self) -> None:
        """Have the background work looked at now."""
        with self._changed:
            self._idle_wanted = True
            self._changed.notify()

    @property
    def queued(self) -> int:
        """How many changes wait."""
        return len(self._pending)

    @property
    def stuck_for(self) -> float:
        """Seconds since the work that is being done now began; 0 where there is none."""
        since = self._since
        return 0.0 if since is None else self._clock() - since

    def close(self) -> defer.Deferred[None]:
        """Have the thread write what waits, and end; fires when it did, which may be never."""
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
        """Fail what waits, and what is being written now: the thread is not waited for any longer."""
        with self._changed:
            items = [*self._current, *self._pending, *(change for change, _ in self._long)]
            self._pending.clear()
            self._long.clear()
        self._give_up(items, error)

    # in the thread

    def _run(self) -> None:
        pause = PAUSES[0]
        while self._take():
            try:
                self._since, self._troubled = self._clock(), False
                self._work()
                self._all_is_well()
                pause = PAUSES[0]
            except (StorageUnavailableError, StorageFullError) as error:
                self._trouble("retries", error)
                self.failing = True
                self._let_go()
                if not self._wait(pause):
                    self.abandon(StorageUnavailableError(f"closed while it could not be written: {error}"))
                    break
                pause = min(2 * pause, PAUSES[1])
            except StorageError as error:
                self._give_up_on(error)
            except BaseException as error:  # noqa: BLE001  (counted and told; the thread lives on)
                self._give_up_on(StorageError(f"journal: {error!r}"))
            finally:
                self._since = None
        self.abandon(StorageUnavailableError("journal: closed"))
        self._let_go()
        self._call(self._fire, [(self._closed, None)])

    def _give_up_on(self, error: StorageError) -> None:
        """Fail what was to be done now; the file is opened anew for what comes next."""
        self._trouble("errors", error)
        self._let_go()
        with self._changed:
            items = [*self._current, *(change for change, _ in self._long)]
            self._long.clear()
            self._idle_wanted = False
        self._give_up(items, error)

    def _take(self) -> bool:
        """Take the next changes, none of them for background work alone; False when the store is closed and all done.

        Those that could not be kept before are taken again, alone.
        """
        with self._changed:
            if self._current:
                return True
            while not self._pending and not self._long and not self._idle_wanted and self._closed is None:
                self._idle_wanted = not self._changed.wait(_IDLE)
            if self._closed is not None and not self._pending:
                return False
            taken: list[Item] = []
            points = 0
            while self._pending and (not taken or points + len(self._pending[0].points) <= POINTS_A_COMMIT):
                taken.append(self._pending.popleft())
                points += max(1, len(taken[-1].points))
            self._current = taken
            return True

    def _wait(self, pause: float) -> bool:
        """Wait for the next try; False where the store is closed, so that there is none."""
        with self._changed:
            if self._closed is None:
                self._changed.wait_for(lambda: self._closed is not None, pause)
            return self._closed is None

    def _work(self) -> None:
        if self._journal is None:
            self._journal = self._open()
        if self._current:
            self._commit(self._journal, self._current)
        if self._long:
            self._long_slice(self._journal)
        elif self._idle_wanted:
            self._idle_wanted = False  # also where it fails: the next look is in an hour
            self._idle_wanted = self._idle(self._journal)

    def _commit(self, journal: Journal, items: Sequence[Item]) -> None:
        try:
            with journal.transaction() as ingest:
                answers = _apply(journal, ingest, items)
        except (StorageUnavailableError, StorageFullError):
            raise
        except StorageError as error:
            if len(items) == 1:
                self._trouble("errors", error)
                self._give_up(items, error)
            else:  # in halves, down to the one that can never be kept
                self._commit(journal, items[: len(items) // 2])
                self._commit(journal, items[len(items) // 2 :])
            return
        self._done(items, answers)

    def _done(self, items: Sequence[Item], answers: Answers) -> None:
        self._settle(items)
        self._all_is_well()  # before anybody hears of it
        self.counters["commits"] += 1
        changes = {id(item.deferred): item for item in items if isinstance(item, Change)}
        fired: Answers = []
        for deferred, answer in answers:
            if isinstance(answer, Generator):
                self._long.append((changes[id(deferred)], answer))
            else:
                fired.append((deferred, answer))
        self._call(self._fire, fired)

    def _settle(self, items: Sequence[Item]) -> None:
        """Those ``items`` wait no longer."""
        settled = {id(item) for item in items}
        with self._changed:
            self.waiting = max(0, self.waiting - sum(len(item.points) for item in items))
            self._current = [item for item in self._current if id(item) not in settled]

    def _long_slice(self, journal: Journal) -> None:
        change, slices = self._long[0]
        try:
            with journal.transaction():
                answer = next_slice(slices)
        except StorageError as error:
            self._long.popleft()  # a generator that raised is over
            self._call(self._fire, [(change.deferred, error)])
            return
        if answer is not None:
            self._long.popleft()
            self._call(self._fire, [(change.deferred, answer)])

    def _give_up(self, items: Sequence[Item], error: Exception) -> None:
        self.counters["dropped"] += sum(len(item.points) for item in items)
        self._settle(items)
        self._call(self._fire, [(item.deferred, error) for item in items])

    def _all_is_well(self) -> None:
        if not self._troubled:
            self.failing, self.last_error = False, None

    def _trouble(self, counter: str, error: BaseException) -> None:
        self.counters[counter] += 1
        self._troubled = True
        self.last_error = str(error) or repr(error)

    def _let_go(self) -> None:
        journal, self._journal = self._journal, None
        try:
            if journal is not None:
                journal.close()
        except sqlite3.Error as error:
            self._trouble("errors", error)

    # in the reactor

    @staticmethod
    def _fire(answers: Answers) -> None:
        for deferred, answer in answers:
            if deferred.called:
                continue  # was cancelled, or given up when the store was closed
            if isinstance(answer, Exception):
                deferred.errback(answer)
            else:
                deferred.callback(answer)


def _apply(journal: Journal, ingest: Ingest, items: Sequence[Item]) -> Answers:
    """Make all changes in the order in which they came, neighbouring writes as one."""
    answers: Answers = []
    points: list[Point] = []
    state: dict[str, float] = {}
    for item in items:
        if isinstance(item, Write):
            points.extend(item.points)
            state.update(item.state)
            answers.append((item.deferred, None))
            continue
        if points or state:
            ingest.write(points, state, journal.now())
            points, state = [], {}
        try:
            answers.append((item.deferred, item.run(journal)))
        except SeriesConflictError as error:
            answers.append((item.deferred, error))
    if points or state:
        ingest.write(points, state, journal.now())
    return answers
