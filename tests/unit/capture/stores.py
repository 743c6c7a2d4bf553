"""Stores for tests of the capture pipeline, and functions that read their content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Callable, Optional

from twisted.internet import defer, task

from bbmeasure.capture.batches import LINGER
from bbmeasure.capture.identity import Value
from bbmeasure.model import BuildContext, Point, Query, SeriesInfo
from bbmeasure.records import Record
from bbmeasure.storage.memory import MemoryStorage

BUILD = BuildContext("first", "bot1", 7, 107)


class SlowStorage(MemoryStorage):
    """Queues calls until :meth:`go` runs them, in their order, and advances ``clock`` so that the next batch is due."""

    def __init__(self, clock: Optional[task.Clock] = None) -> None:
        super().__init__("slow")
        self.clock = clock or task.Clock()
        self.calls: list[tuple[str, Callable[[], Any], defer.Deferred[Any]]] = []
        self.writes: list[int] = []

    def _later(self, name: str, call: Callable[[], Any]) -> Any:
        answer: defer.Deferred[Any] = defer.Deferred()
        self.calls.append((name, call, answer))
        return answer

    def go(self, count: Optional[int] = None) -> list[str]:
        """Run the next ``count`` calls, or all until none is left; returns their names."""
        done = []
        while self.calls and (count is None or len(done) < count):
            name, call, answer = self.calls.pop(0)
            done.append(name)
            result = call()
            if not answer.called:
                result.chainDeferred(answer)
            if not self.calls:
                self.clock.advance(LINGER)
        return done

    def fail(self, error: Exception) -> None:
        """Fail all queued calls."""
        calls, self.calls = self.calls, []
        for _, _, answer in calls:
            if not answer.called:
                answer.errback(error)

    def declare(self, info: SeriesInfo, *, override: bool = False, proposed: bool = False) -> Any:
        call = partial(MemoryStorage.declare, self, info, override=override, proposed=proposed)
        return self._later("declare", call)

    def write(self, points: Sequence[Point], state: Optional[Mapping[str, float]] = None) -> Any:
        self.writes.append(len(points))
        return self._later("write", lambda: MemoryStorage.write(self, points, state))

    def recall(self, keys: Sequence[str]) -> Any:
        return self._later("recall", lambda: MemoryStorage.recall(self, keys))


def value_of(name: str = "size", value: Any = 1.0, *, build: Optional[BuildContext] = BUILD, **record: Any) -> Value:
    """A value to capture."""
    return Value(Record(name, value, **record), build, limited=True)


def result_of(deferred: defer.Deferred[Any]) -> Any:
    """The result of a Deferred, or its exception; ``waiting`` where it has not fired."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    if not results:
        return "waiting"
    return getattr(results[0], "value", results[0])


def points_of(storage: Any, series: str = "size") -> list[Point]:
    """The points of a series."""
    return list(result_of(MemoryStorage.points(storage, Query(series), 1_000_000)))


def values_in(storage: Any, series: str = "size") -> list[Any]:
    """The values of a series."""
    return [point.value for point in points_of(storage, series)]


def info_of(storage: Any, series: str = "size") -> Optional[SeriesInfo]:
    """The declaration of a series; None where there is none."""
    infos = result_of(MemoryStorage.series(storage))
    return next((info for info in infos if info.name == series), None)
