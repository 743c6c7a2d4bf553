"""Backoff with jitter, and timers that do not depend on the wall clock.

Twisted's timers use the time of day: a clock that is set back by an hour delays all of them by an hour.  Sleep compares
deadlines with a monotonic clock whenever a Ticker wakes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Optional

from twisted.internet import defer

#: Maximum delay after the first failure and after any number of failures, in seconds.
FIRST_DELAY = 1.0
MAX_DELAY = 60.0


class Backoff:
    """Backoff with full jitter: a random part of a delay that doubles from FIRST_DELAY to MAX_DELAY."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._failures = 0

    def next(self) -> float:
        """Return the delay after one more failure, in seconds."""
        delay = min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return delay * self._random()

    def reset(self) -> None:
        """Start again at FIRST_DELAY, after a success."""
        self._failures = 0


class Sleep:
    """Interruptible timer on a monotonic clock."""

    def __init__(self, reactor: Any, monotonic: Callable[[], float]) -> None:
        self._reactor = reactor
        self._monotonic = monotonic
        self._waiting: Optional[defer.Deferred[None]] = None
        self._timer: Any = None
        self._ends = 0.0
        self._interruptible = False

    def interruptible(self, seconds: float) -> defer.Deferred[None]:
        """Return a Deferred that fires after ``seconds``, or at the next :meth:`wake`."""
        return self._begin(seconds, interruptible=True)

    def uninterruptible(self, seconds: float) -> defer.Deferred[None]:
        """Return a Deferred that fires after ``seconds``, or at the first :meth:`wake` after them."""
        return self._begin(seconds, interruptible=False)

    def _begin(self, seconds: float, *, interruptible: bool) -> defer.Deferred[None]:
        waiting: defer.Deferred[None] = defer.Deferred(lambda _: self._clear())
        self._waiting, self._interruptible = waiting, interruptible
        self._ends = self._monotonic() + seconds
        self._timer = self._reactor.callLater(seconds, self.end)
        return waiting

    def wake(self) -> None:
        """End an interruptible sleep, and one that is past its end."""
        if self._waiting is not None and (self._interruptible or self._monotonic() >= self._ends):
            self.end()

    def end(self) -> None:
        """End any sleep."""
        waiting = self._waiting
        self._clear()
        if waiting is not None:
            waiting.callback(None)

    def _clear(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._waiting = self._timer = None


class Ticker:
    """Thread that calls a function in the reactor at an interval of the monotonic clock."""

    def __init__(self, reactor: Any, seconds: float, call: Callable[[], None]) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._call = call
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start the thread, which must happen after twistd has forked."""
        threading.Thread(target=self._run, name="bbmeasure ticker", daemon=True).start()

    def stop(self) -> None:
        """Stop, without waiting for the thread."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            self._reactor.callFromThread(self._tick)

    def _tick(self) -> None:
        if not self._stopped.is_set():
            self._call()
