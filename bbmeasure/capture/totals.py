"""Totals: the state of running totals and differences between its change and its write."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import Any, Optional

from twisted.internet import defer

from bbmeasure.storage.base import Storage

#: One change of a total.
Step = Callable[[], defer.Deferred[Any]]


class _Unwritten:
    """The newest state of a total that is not on disk, and how many of its writes are under way."""

    __slots__ = ("state", "writes")

    def __init__(self, state: float) -> None:
        self.state = state
        self.writes = 0


class Totals:
    """Runs the changes of each total one after the other.

    A state is kept here only until it is on disk, so that a total that another process deletes starts from zero.
    """

    def __init__(self) -> None:
        self._queues: dict[str, deque[tuple[Step, defer.Deferred[Any]]]] = {}
        self._unwritten: dict[str, _Unwritten] = {}

    def run(self, key: str, step: Step) -> defer.Deferred[Any]:
        """The result of ``step``, run when no other step of the same key is.

        A DeferredLock would recurse once for each step that waits.
        """
        answer: defer.Deferred[Any] = defer.Deferred()
        queue = self._queues.get(key)
        if queue is not None:
            queue.append((step, answer))
        else:
            self._queues[key] = deque([(step, answer)])
            self._work(key)
        return answer

    @defer.inlineCallbacks
    def _work(self, key: str) -> Generator[Any, Any, None]:
        queue = self._queues[key]
        while queue:
            step, answer = queue.popleft()
            try:
                result = yield step()
            except Exception:  # noqa: BLE001  (the caller gets it, whatever it is)
                answer.errback()
            else:
                answer.callback(result)
        del self._queues[key]

    @defer.inlineCallbacks
    def recall(self, key: str, storage: Storage) -> Generator[Any, Any, Optional[float]]:
        """The state of a total; None for a new one."""
        unwritten = self._unwritten.get(key)
        if unwritten is not None:
            return unwritten.state
        known = yield storage.recall([key])
        return known.get(key)  # type: ignore[no-any-return]

    def put(self, key: str, state: float, written: defer.Deferred[None]) -> None:
        """Keep ``state`` until ``written`` fires; where that fails, until a later write of the key succeeds."""
        unwritten = self._unwritten.setdefault(key, _Unwritten(state))
        unwritten.state = state
        unwritten.writes += 1

        def succeeded(result: None) -> None:
            unwritten.writes -= 1
            if not unwritten.writes and self._unwritten.get(key) is unwritten:
                del self._unwritten[key]
            return result

        def failed(why: Any) -> Any:
            unwritten.writes -= 1
            return why

        written.addCallbacks(succeeded, failed)

    def clear(self) -> None:
        """Forget all states, for another store."""
        self._unwritten.clear()
