"""PendingWrites: the Deferreds of callers that wait for a store, their timeouts, and the counters of what fails."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any, Optional

from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure

from bbmeasure.errors import MeasureError, StorageUnavailableError
from bbmeasure.units import excerpt

log = Logger()

#: Seconds after which the Deferred of a caller fires although the store has not answered.
WRITE_TIMEOUT = 1.0
#: The timeout while the store is slow, that is for SLOW_FOR seconds after a timeout, so that a store that hangs does
#: not delay each of many callers by a second.
SLOW_WRITE_TIMEOUT = 0.05
SLOW_FOR = 60.0
#: The most subjects for which :meth:`PendingWrites.count_once` remembers that they are logged.
MAX_LOGGED = 20_000


#: A Deferred's deadline, and what and whose write is logged when it passes: a plain tuple of such values is the one
#: container that the garbage collector stops visiting.
_Pending = tuple[float, str, str]


class PendingWrites:
    """Callers that wait for a store: each Deferred fires before its deadline and never fails; errors are counted.

    All deadlines are equally far away, so that one timer serves them; a timer each would cost more than a capture.
    """

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.counters: Counter[str] = Counter()
        self._logged: set[tuple[str, tuple[str, ...]]] = set()
        self._pending: OrderedDict[defer.Deferred[None], _Pending] = OrderedDict()
        self._timer: Any = None
        self._slow_until = 0.0
        self._begun = 0
        self._settled: list[defer.Deferred[None]] = []
        self._canceller = self._cancelled

    def count(self, counter: str, why: str, by: int = 1) -> None:
        """Add to a counter; logs the first ten events and then one in a thousand."""
        before = self.counters[counter]
        self.counters[counter] += by
        if before < 10 or before // 1000 != self.counters[counter] // 1000:
            log.warn("bbmeasure: {why} ({counter} {count})", why=why, counter=counter, count=before + by)

    def count_once(self, counter: str, subject: tuple[str, ...], why: str) -> None:
        """Add one to a counter; logs it once for each ``subject``."""
        self.counters[counter] += 1
        if (counter, subject) not in self._logged and len(self._logged) < MAX_LOGGED:
            self._logged.add((counter, subject))
            log.warn("bbmeasure: {subject}: {why}", subject=" ".join(subject), why=why)

    # timeouts

    @property
    def timeout(self) -> float:
        """Seconds until the deadline of a caller that starts to wait now."""
        return SLOW_WRITE_TIMEOUT if self.clock.seconds() < self._slow_until else WRITE_TIMEOUT

    def count_timeout(self, what: str, seconds: float) -> None:
        """Count a timeout of ``seconds``; the next callers wait SLOW_WRITE_TIMEOUT only."""
        self._slow_until = self.clock.seconds() + SLOW_FOR
        self.count("late", f"{what}: not on disk after {seconds:g} s, still on its way")

    def with_timeout(self, answer: defer.Deferred[Any]) -> defer.Deferred[Any]:
        """``answer`` itself, which fails with StorageUnavailableError at its deadline."""

        def timed_out(_: Any, seconds: float) -> None:
            raise StorageUnavailableError(f"no answer within {seconds:g} s")

        return answer.addTimeout(self.timeout, self.clock, timed_out)

    def suppress_errors(self, work: defer.Deferred[Any], what: str, name: str = "") -> defer.Deferred[None]:
        """A Deferred that fires with None when ``work`` ends or at the deadline; errors are counted and logged.

        ``work`` is not cancelled.
        """
        answer = self.pending(what, name)
        work.addCallbacks(self.succeed, self.fail, callbackArgs=([answer],), errbackArgs=([answer],))
        return answer

    def pending(self, what: str, name: str = "") -> defer.Deferred[None]:
        """A Deferred that :meth:`succeed`, :meth:`fail`, its deadline or its canceller fires with None.

        It has no callbacks of ours, since many thousands may be pending and the garbage collector visits each of them.
        """
        answer: defer.Deferred[None] = defer.Deferred(self._canceller)
        timeout = self.timeout
        self._pending[answer] = (self.clock.seconds() + timeout, what, name)
        if self._timer is None:
            self._timer = self.clock.callLater(timeout, self._expire)
        return answer

    def succeed(self, _: Any, answers: list[defer.Deferred[None]]) -> None:
        """Fire those of ``answers`` that have not fired yet."""
        for answer in answers:
            if not answer.called:
                self._remove(answer)
                answer.callback(None)

    def fail(self, why: Any, answers: list[defer.Deferred[None]]) -> None:
        """Fail those of ``answers`` that have not fired yet; pending ones fire with None, and the error is counted."""
        expired = 0
        for answer in answers:
            if answer.called:
                expired += 1
                continue
            pending = self._remove(answer)
            if pending is None:
                answer.errback(why)
            else:
                self._count_failure(why, _subject(pending))
                answer.callback(None)
        if expired:
            self.count("failed_late", f"failed after its deadline: {why.type.__name__}: {why.value}", expired)

    def _remove(self, answer: defer.Deferred[None]) -> Optional[_Pending]:
        """Remove a pending Deferred; None where it is not pending."""
        pending = self._pending.pop(answer, None)
        if not self._pending and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return pending

    def _cancelled(self, answer: defer.Deferred[None]) -> None:
        self._remove(answer)
        self.counters["cancelled"] += 1
        answer.callback(None)

    def _expire(self) -> None:
        """Fire the Deferreds whose deadline has passed."""
        self._timer = None
        now = self.clock.seconds()
        expired = []
        for answer, pending in self._pending.items():
            if pending[0] > now:
                break
            expired.append(answer)
        for answer in expired:
            pending_then = self._pending.pop(answer, None)
            if pending_then is not None:
                self.count_timeout(_subject(pending_then), self.timeout)
                answer.callback(None)
        if self._pending and self._timer is None:
            deadline = next(iter(self._pending.values()))[0]
            self._timer = self.clock.callLater(max(0.0, deadline - now), self._expire)

    def _count_failure(self, why: Any, subject: str) -> None:
        if why.check(defer.CancelledError):
            self.counters["cancelled"] += 1
        elif why.check(MeasureError):
            self.count("failed", f"{subject}: {why.value}")
        else:
            self.count("errors", f"{subject}: {why.type.__name__}: {why.value}")
            log.failure("bbmeasure: {subject}", failure=why, subject=subject)

    # background work

    def in_background(self, work: defer.Deferred[Any], what: str = "tracking a build") -> None:
        """Have :meth:`settle` wait for ``work``, at most WRITE_TIMEOUT seconds; its errors are counted and logged.

        What is late may be Buildbot's database: the next callers wait for the store as long as before.
        """
        self.begin()
        timer = self.clock.callLater(WRITE_TIMEOUT, self._background_late, what)

        def ended(result: Any) -> None:
            if isinstance(result, Failure):
                self._count_failure(result, what)
            if timer.active():
                timer.cancel()
                self.end()

        work.addBoth(ended)

    def _background_late(self, what: str) -> None:
        self.count("background_late", f"{what}: not done after {WRITE_TIMEOUT:g} s, still under way")
        self.end()

    def begin(self) -> None:
        """Have :meth:`settle` wait until :meth:`end` is called."""
        self._begun += 1

    def end(self) -> None:
        """The counterpart of :meth:`begin`."""
        self._begun -= 1
        if not self._begun:
            settled, self._settled = self._settled, []
            self.succeed(None, settled)

    def settle(self) -> defer.Deferred[None]:
        """A Deferred that fires when all background work and all writes that were begun have ended."""
        settled: defer.Deferred[None] = defer.Deferred()
        if self._begun:
            self._settled.append(settled)
        else:
            settled.callback(None)
        return settled


def _subject(pending: _Pending) -> str:
    _, what, name = pending
    return f"{what} {excerpt(name)}" if name else what
