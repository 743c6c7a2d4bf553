"""MemoryStorage fulfils the contract of stores within its limits."""

from __future__ import annotations

from typing import Any

from pytest_twisted import inlineCallbacks

from bbmeasure.model import Point, Query, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.storage.memory import MemoryStorage
from tests.unit.storage.contract import LocalContract
from tests.unit.storage.examples import at, fill, values_of


class TestMemoryStorage(LocalContract):
    """MemoryStorage fulfils the contract."""

    def make_storage(self, folder: Any) -> MemoryStorage:
        return MemoryStorage()


@inlineCallbacks
def test_points_beyond_the_limit_are_dropped() -> Any:
    """Beyond ``max_points`` the points written first are dropped and counted."""
    storage = MemoryStorage(max_points=5)
    yield fill(storage, range(8))
    assert values_of((yield storage.points(Query("size"), 10))) == [3.0, 4.0, 5.0, 6.0, 7.0]
    assert storage.health().counters["dropped"] == 3


@inlineCallbacks
def test_a_replaced_point_does_not_count_twice() -> Any:
    """A point that replaces another drops none."""
    storage = MemoryStorage(max_points=2)
    for value in (1.0, 2.0, 3.0):
        yield storage.write([Point("size", at(0), value), Point("size", at(1), value)])
    assert values_of((yield storage.points(Query("size"), 10))) == [3.0, 3.0]
    assert not storage.health().counters.get("dropped")


@inlineCallbacks
def test_an_empty_undeclared_series_is_removed() -> Any:
    """A series whose last point was dropped is removed unless it is declared."""
    storage = MemoryStorage(max_points=1)
    yield storage.declare(SeriesInfo("b", Kind.COUNT))
    for name in ("a", "b", "c"):
        yield storage.write([Point(name, at(0), 1.0)])
    assert [(info.name, info.count) for info in (yield storage.series())] == [("b", 0), ("c", 1)]


@inlineCallbacks
def test_series_beyond_the_limit_are_refused() -> Any:
    """Points and declarations of series beyond ``max_series`` are refused and counted."""
    storage = MemoryStorage(max_series=2)
    for name in ("a", "b", "c", "a"):
        yield storage.write([Point(name, at(len((yield storage.series()))), 1.0)])
    yield storage.declare(SeriesInfo("d", Kind.COUNT))
    assert [info.name for info in (yield storage.series())] == ["a", "b"]
    assert storage.health().counters == {"refused": 1, "refused_series": 1}


@inlineCallbacks
def test_running_totals_beyond_the_limit_are_dropped() -> Any:
    """Beyond ``max_streams`` the oldest running totals are dropped and counted."""
    storage = MemoryStorage(max_streams=2)
    yield storage.write([], {"a": 1.0, "b": 2.0})
    yield storage.write([], {"c": 3.0})
    assert (yield storage.recall(["a", "b", "c"])) == {"b": 2.0, "c": 3.0}
    assert storage.health().counters == {"dropped_state": 1}


@inlineCallbacks
def test_drain_returns_everything_and_empties_the_store() -> Any:
    """``drain`` returns declarations, points in the order of their arrival and running totals, and removes them."""
    storage = MemoryStorage()
    assert storage.is_empty()
    yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes"))
    points = [Point("size", at(2), 1.0), Point("other", at(1), 2.0), Point("size", at(0), 3.0)]
    for point in points:
        yield storage.write([point], {"key": point.value})
    assert not storage.is_empty()
    assert storage.drain() == ([SeriesInfo("size", Kind.SIZE, "bytes")], points, {"key": 3.0})
    assert storage.is_empty()
    assert (yield storage.series()) == []
