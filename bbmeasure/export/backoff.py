"""Waiting without hammering, and without trust in a clock that may be set back.

Twisted's timers go by the time of day: a clock that is set back by an hour puts every one of them off by an hour.  Who
is woken now and then by something else looks at a clock that only goes forward.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Optional, TypeVar

from twisted.internet import defer

Result = TypeVar("Result")

#: Seconds: the longest first pause after a failure, and the longest of all.
FIRST = 1.0
LONGEST = 60.0


class Backoff:
    """Pauses that double from FIRST to LONGEST, each a chance part of that ("full jitter")."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._failures = 0

    def next(self) -> float:
        """The pause after one more failure, in seconds."""
        most = min(LONGEST, FIRST * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return most * self._chance()

    def reset(self) -> None:
        """There was a success."""
        self._failures = 0


class Sleep:
    """One sleeper, who can be woken, and one request whose deadline is looked after."""

    def __init__(self, reactor: Any, monotonic: Callable[[], float]) -> None:
        self._reactor = reactor
        self._monotonic = monotonic
        self._waiting: Optional[defer.Deferred[None]] = None
        self._timer: Any = None
        self._until = 0.0
        self._wakeable = False
        self._work: Optional[defer.Deferred[Any]] = None
        self._late = 0.0

    def until_woken(self, seconds: float) -> defer.Deferred[None]:
        """Fires after ``seconds``, or when somebody wakes."""
        return self._begin(seconds, wakeable=True)

    def until_done(self, seconds: float) -> defer.Deferred[None]:
        """Fires after ``seconds``, by the clock that only goes forward where somebody wakes after them."""
        return self._begin(seconds, wakeable=False)

    def _begin(self, seconds: float, *, wakeable: bool) -> defer.Deferred[None]:
        waiting: defer.Deferred[None] = defer.Deferred(lambda _: self._clear())
        self._waiting, self._wakeable = waiting, wakeable
        self._until = self._monotonic() + seconds
        self._timer = self._reactor.callLater(seconds, self.end)
        return waiting

    def guard(self, work: defer.Deferred[Result], seconds: float) -> defer.Deferred[Result]:
        """``work``, which is cancelled where somebody wakes after ``seconds``: its own timer should have done that."""
        self._work, self._late = work, self._monotonic() + seconds

        def over(result: Any) -> Any:
            self._work = None
            return result

        return work.addBoth(over)

    def wake(self) -> None:
        """End the sleep, unless it is one that has its reason and its time is not over."""
        if self._work is not None and self._monotonic() > self._late:
            self._work.cancel()
        if self._waiting is not None and (self._wakeable or self._monotonic() >= self._until):
            self.end()

    def end(self) -> None:
        """End the sleep, whatever it is for."""
        waiting = self._waiting
        self._clear()
        if waiting is not None:
            waiting.callback(None)

    def _clear(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._waiting = self._timer = None


class Ticker:
    """Has something called in the reactor now and again, by a thread whose clock only goes forward."""

    def __init__(self, reactor: Any, seconds: float, call: Callable[[], None]) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._call = call
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin; the thread is made now, as one that twistd's fork finds is dead afterwards."""
        threading.Thread(target=self._run, name="bbmeasure ticker", daemon=True).start()

    def stop(self) -> None:
        """End, without waiting for the thread."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self._reactor.callFromThread(self._tick)

    def _tick(self) -> None:
        if not self._ended.is_set():
            self._call()
