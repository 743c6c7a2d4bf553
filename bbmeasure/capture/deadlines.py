"""Work that nobody may wait for too long: its end, its failures, and who counts them."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any, Optional

from twisted.internet import defer
from twisted.logger import Logger

from bbmeasure.errors import MeasureError, StorageUnavailableError
from bbmeasure.units import excerpt

log = Logger()

#: Seconds that a caller waits for a store before its Deferred fires all the same.
PATIENCE = 1.0
#: The same after one waited in vain, and for how long: a store that hangs must not cost each of many callers a second.
IMPATIENCE = 0.05
LATE_FOR = 60.0
#: The most things that are said once each.
MOST_SAID = 20_000


class PendingWrites:
    """Counts what goes wrong, and sees to it that what callers wait for fires in time and never fails.

    All that wait have the same patience, so that one timer serves them: one for each would cost more than a capture.
    """

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.counters: Counter[str] = Counter()
        self._said: set[tuple[str, tuple[str, ...]]] = set()
        self._waiting: OrderedDict[defer.Deferred[None], tuple[float, str, str]] = OrderedDict()
        self._timer: Any = None
        self._late_until = 0.0
        self._busy = 0
        self._settling: list[defer.Deferred[None]] = []
        self._canceller = self._cancelled

    def count(self, counter: str, why: str, by: int = 1) -> None:
        """Count, and say it the first times and then now and again."""
        before = self.counters[counter]
        self.counters[counter] += by
        if before < 10 or before // 1000 != self.counters[counter] // 1000:
            log.warn("bbmeasure: {why} ({counter} {count})", why=why, counter=counter, count=before + by)

    def count_once(self, counter: str, of: tuple[str, ...], why: str) -> None:
        """Count, and say it once for each of ``of``."""
        self.counters[counter] += 1
        if (counter, of) not in self._said and len(self._said) < MOST_SAID:
            self._said.add((counter, of))
            log.warn("bbmeasure: {of}: {why}", of=" ".join(of), why=why)

    # what a caller waits for

    @property
    def patience(self) -> float:
        """Seconds that a caller waits now."""
        return IMPATIENCE if self.clock.seconds() < self._late_until else PATIENCE

    def late(self, what: str, seconds: float) -> None:
        """Count that somebody waited in vain."""
        self._late_until = self.clock.seconds() + LATE_FOR
        self.count("late", f"{what}: not on disk after {seconds:g} s, still on its way")

    def within_patience(self, asked: defer.Deferred[Any]) -> defer.Deferred[Any]:
        """``asked`` itself, which fails with a StorageUnavailableError where no answer comes within the patience."""

        def late(_: Any, seconds: float) -> None:
            raise StorageUnavailableError(f"no answer within {seconds:g} s")

        return asked.addTimeout(self.patience, self.clock, late)

    def never_fail(self, wait: defer.Deferred[Any], what: str, of: str = "") -> defer.Deferred[None]:
        """A Deferred that fires with None as ``wait`` does, and within PATIENCE; what goes wrong is counted and logged.

        ``wait`` itself is left alone, so that what it stands for goes on.
        """
        answer = self.promise(what, of)
        wait.addCallbacks(self.succeed, self.fail, callbackArgs=([answer],), errbackArgs=([answer],))
        return answer

    def promise(self, what: str, of: str = "") -> defer.Deferred[None]:
        """The same for what is to be fired by :meth:`succeed` or :meth:`fail`, and may be cancelled.

        Many thousands may wait: it has no callbacks of ours, which keeps the garbage collector quick.
        """
        answer: defer.Deferred[None] = defer.Deferred(self._canceller)
        patience = self.patience
        self._waiting[answer] = (self.clock.seconds() + patience, what, of)
        if self._timer is None:
            self._timer = self.clock.callLater(patience, self._look)
        return answer

    def succeed(self, _: Any, answers: list[defer.Deferred[None]]) -> None:
        """Fire those answers that nobody has given up."""
        for answer in answers:
            if not answer.called:
                self._leave(answer)
                answer.callback(None)

    def fail(self, why: Any, answers: list[defer.Deferred[None]]) -> None:
        """Fail those answers that nobody has given up; what failed later than anybody waited is counted here."""
        late = 0
        for answer in answers:
            if answer.called:
                late += 1
                continue
            promised = self._leave(answer)
            if promised is None:
                answer.errback(why)
            else:
                self._failed(why, *promised[1:])
                answer.callback(None)
        if late:
            self.count("failed_late", f"what was still on its way failed: {_said(why)}", late)

    def _leave(self, answer: defer.Deferred[None]) -> Optional[tuple[float, str, str]]:
        """What it waited for; None where nothing was promised, or it was given up."""
        entry = self._waiting.pop(answer, None)
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return entry

    def _cancelled(self, answer: defer.Deferred[None]) -> None:
        self._leave(answer)
        self.counters["cancelled"] += 1
        answer.callback(None)

    def _look(self) -> None:
        """Give up on those that have waited long enough."""
        self._timer = None
        now = self.clock.seconds()
        given_up = []
        for answer, (until, what, of) in self._waiting.items():
            if until > now:
                break
            given_up.append((answer, _named(what, of)))
        for answer, what in given_up:
            if self._waiting.pop(answer, None) is not None:
                self.late(what, self.patience)
                answer.callback(None)
        if self._waiting and self._timer is None:
            until = next(iter(self._waiting.values()))[0]
            self._timer = self.clock.callLater(max(0.0, until - now), self._look)

    def _failed(self, why: Any, what: str, of: str) -> None:
        if why.check(defer.CancelledError):
            self.counters["cancelled"] += 1
        elif why.check(MeasureError):
            self.count("failed", f"{_named(what, of)}: {why.value}")
        else:
            self.count("errors", f"{_named(what, of)}: {_said(why)}")
            log.failure("bbmeasure: {what}", failure=why, what=_named(what, of))

    # what a stop waits for

    def follow(self, work: defer.Deferred[Any], what: str = "tracking a build") -> None:
        """Remember work that nobody waits for, so that a stop can; what goes wrong in it is counted and logged."""
        self.begin()
        self.never_fail(work, what).addBoth(lambda _: self.end())

    def begin(self) -> None:
        """Something has begun that a stop waits for."""
        self._busy += 1

    def end(self) -> None:
        """It has ended."""
        self._busy -= 1
        if not self._busy:
            settling, self._settling = self._settling, []
            self.succeed(None, settling)

    def settle(self) -> defer.Deferred[None]:
        """Fires when nothing is on its way to a store any longer."""
        settled: defer.Deferred[None] = defer.Deferred()
        if self._busy:
            self._settling.append(settled)
        else:
            settled.callback(None)
        return settled


def _named(what: str, of: str) -> str:
    return f"{what} {excerpt(of)}" if of else what


def _said(why: Any) -> str:
    """What a failure says."""
    return f"{why.type.__name__}: {why.value}"
