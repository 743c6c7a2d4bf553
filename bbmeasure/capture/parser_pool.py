"""Work that may take long, in threads of its own: never in the reactor's pool, never without a time limit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Optional, TypeVar

from twisted.internet import defer
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from bbmeasure.errors import LimitError

Result = TypeVar("Result")

#: How many such pieces of work run at a time, and how many more may wait.
MOST_AT_ONCE = 2
MOST_WAITING = 1_000


class ParserPool:
    """Runs functions in daemon threads, a few at a time.

    A function that passes its limit is left alone: its caller hears of it, its thread is counted in ``stuck`` and no
    longer as busy, so that others go on.  Once MOST_AT_ONCE such threads are given up no more work is begun.
    """

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.stuck = 0
        self._slots = defer.DeferredSemaphore(MOST_AT_ONCE)

    def run(self, seconds: float, function: Callable[[], Result]) -> defer.Deferred[Result]:
        """The function's result, or its exception; LimitError after ``seconds`` or where too much waits."""
        if self.stuck >= MOST_AT_ONCE or len(self._slots.waiting) >= MOST_WAITING:
            return defer.fail(self._too_much())
        if not isinstance(
            self.reactor.getThreadPool(), ThreadPool
        ):  # the reactor of Buildbot's test kit has no threads
            return defer.maybeDeferred(function)
        return self._slots.run(self._start, seconds, function)

    def _too_much(self) -> LimitError:
        return LimitError(f"{self.stuck} pieces of work never ended, {len(self._slots.waiting)} wait: no more")

    def _start(self, seconds: float, function: Callable[[], Result]) -> defer.Deferred[Result]:
        if self.stuck >= MOST_AT_ONCE:  # while this one waited
            return defer.fail(self._too_much())
        done: defer.Deferred[Result] = defer.Deferred()
        given_up = False

        def give_up(_: Any, limit: float) -> Any:
            nonlocal given_up
            given_up = True
            self.stuck += 1
            raise LimitError(f"not done after {limit:g} s: expected it to take less")

        def finish(result: Any, failed: Optional[Failure]) -> None:
            if given_up:
                self.stuck -= 1
            elif failed is not None:
                done.errback(failed)
            else:
                done.callback(result)

        def work() -> None:
            try:
                result, failed = function(), None
            except BaseException:  # noqa: BLE001  (the caller gets it, whatever it is)
                result, failed = None, Failure()  # type: ignore[no-untyped-call]
            self.reactor.callFromThread(finish, result, failed)

        threading.Thread(target=work, name="bbmeasure-work", daemon=True).start()
        return done.addTimeout(seconds, self.reactor, give_up)
