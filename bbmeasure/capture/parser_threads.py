"""ParserThreads: runs parsers of master.cfg in threads of their own, with a time limit.

A callable cannot be sent to another process.  Adapters and patterns run in the ParserPool instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Optional, TypeVar

from twisted.internet import defer
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from bbmeasure.errors import LimitError

Result = TypeVar("Result")

#: The most functions that run at a time, and the most that wait.
MAX_THREADS = 2
MAX_QUEUED = 1_000


class ParserThreads:
    """Runs functions in daemon threads, MAX_THREADS at a time.

    A thread cannot be stopped: one that passes its time limit is abandoned, counted in ``stuck``, and its slot is free
    for the next function.  With MAX_THREADS stuck threads every further function is refused.
    """

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.stuck = 0
        self._slots = defer.DeferredSemaphore(MAX_THREADS)

    def run(self, seconds: float, function: Callable[[], Result]) -> defer.Deferred[Result]:
        """The function's result or its exception; LimitError after ``seconds``, or where the pool is full."""
        if self.stuck >= MAX_THREADS or len(self._slots.waiting) >= MAX_QUEUED:
            return defer.fail(self._full())
        if not isinstance(self.reactor.getThreadPool(), ThreadPool):  # the reactor of Buildbot's test kit
            return defer.maybeDeferred(function)
        return self._slots.run(self._start, seconds, function)

    def _full(self) -> LimitError:
        return LimitError(f"{self.stuck} parsers never ended and {len(self._slots.waiting)} wait: no more are started")

    def _start(self, seconds: float, function: Callable[[], Result]) -> defer.Deferred[Result]:
        if self.stuck >= MAX_THREADS:  # since this function was queued
            return defer.fail(self._full())
        done: defer.Deferred[Result] = defer.Deferred()
        abandoned = False

        def abandon(_: Any, limit: float) -> Any:
            nonlocal abandoned
            abandoned = True
            self.stuck += 1
            raise LimitError(f"not done after {limit:g} s: expected it to take less")

        def finish(result: Any, failure: Optional[Failure]) -> None:
            if abandoned:
                self.stuck -= 1
            elif failure is not None:
                done.errback(failure)
            else:
                done.callback(result)

        def work() -> None:
            try:
                result, failure = function(), None
            except BaseException:  # noqa: BLE001  (the caller gets it, whatever it is)
                result, failure = None, Failure()  # type: ignore[no-untyped-call]
            self.reactor.callFromThread(finish, result, failure)

        threading.Thread(target=work, name="bbmeasure-parser", daemon=True).start()
        return done.addTimeout(seconds, self.reactor, abandon)
