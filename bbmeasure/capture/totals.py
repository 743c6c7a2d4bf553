"""Running totals and last reported values: one change after the other for each, and none lost on its way to disk."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional

from twisted.internet import defer

from bbmeasure.model import Point
from bbmeasure.storage.base import Storage

#: One change of a total.
Step = Callable[[], defer.Deferred[Any]]


def key_of(mode: str, series: str, builder: Optional[str], tags: Mapping[str, str]) -> str:
    """What a running total (``mode`` total) or a last value (last) is kept under."""
    return json.dumps([mode, series, builder, dict(tags)], sort_keys=True)


class _Unwritten:
    """What is not on disk yet: the newest state, and how many writes of it are on their way."""

    __slots__ = ("state", "writes")

    def __init__(self, state: float) -> None:
        self.state = state
        self.writes = 0


class Totals:
    """Remembers of each total only what is not on disk, so that what another process forgets there starts anew."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[tuple[Step, defer.Deferred[Any]]]] = {}
        self._unwritten: dict[str, _Unwritten] = {}

    def run(self, key: str, step: Step) -> defer.Deferred[Any]:
        """What ``step`` gives, once no other changes that total.

        A queue and not a lock, which would go one call deeper for each that waited.
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
            except Exception:  # noqa: BLE001  (it is the caller's)
                answer.errback()
            else:
                answer.callback(result)
        del self._queues[key]

    @defer.inlineCallbacks
    def recall(self, key: str, storage: Storage) -> Generator[Any, Any, Optional[float]]:
        """Where the total stands; None where it has not begun."""
        unwritten = self._unwritten.get(key)
        if unwritten is not None:
            return unwritten.state
        known = yield storage.recall([key])
        return known.get(key)  # type: ignore[no-any-return]

    def put(self, key: str, state: float, written: defer.Deferred[None]) -> None:
        """The total stands there, and is on disk when ``written`` fires; where that fails, the next write brings it."""
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
        """Ask the store of all of them."""
        self._unwritten.clear()


def go_on(
    points: Sequence[Point], state: Mapping[str, float], first: Mapping[str, Point], known: Mapping[str, float]
) -> tuple[list[Point], dict[str, float]]:
    """What was kept where nothing was known of the past, as a store that knows it would have: points and state.

    ``known`` is where the totals stood before.  ``first`` holds by their keys the points of first reported values,
    whose difference from the last one before can be told now.
    """
    begun = {key: stood for key, stood in known.items() if json.loads(key)[0] == "total"}
    moved = [replace(point, value=point.value - known[key]) for key, point in first.items() if key in known]  # type: ignore[operator]
    for point in points:
        stood = begun.get(key_of("total", point.series, point.builder, point.tags)) if begun else None
        moved.append(
            point if stood is None or isinstance(point.value, str) else replace(point, value=point.value + stood)
        )
    return moved, {key: reached + begun.get(key, 0.0) for key, reached in state.items()}
