"""MemoryStorage keeps the storages' contract within its bounds."""

from __future__ import annotations

from typing import Any

from pytest_twisted import inlineCallbacks

from bbmeasure.model import Point, Query, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.storage.memory import MemoryStorage
from tests.unit.storage.contract import LocalContract, at, fill, values_of


class TestMemoryStorage(LocalContract):
    """The contract."""

    def make_storage(self, folder: Any) -> MemoryStorage:
        return MemoryStorage()


@inlineCallbacks
def test_the_oldest_points_make_room() -> Any:
    """Past its bound the store drops what it has kept the longest, and counts it."""
    storage = MemoryStorage(max_points=5)
    yield fill(storage, range(8))
    assert values_of((yield storage.points(Query("size"), 10))) == [3.0, 4.0, 5.0, 6.0, 7.0]
    assert storage.health().counters["dropped"] == 3


@inlineCallbacks
def test_a_rewritten_point_takes_no_room() -> Any:
    """A point in the place of another drops none."""
    storage = MemoryStorage(max_points=2)
    for value in (1.0, 2.0, 3.0):
        yield storage.write([Point("size", at(0), value), Point("size", at(1), value)])
    assert values_of((yield storage.points(Query("size"), 10))) == [3.0, 3.0]
    assert not storage.health().counters.get("dropped")


@inlineCallbacks
def test_an_emptied_series_leaves_no_trace() -> Any:
    """A series whose last point was dropped is gone, unless somebody declared it."""
    storage = MemoryStorage(max_points=1)
    yield storage.declare(SeriesInfo("b", Kind.COUNT))
    for name in ("a", "b", "c"):
        yield storage.write([Point(name, at(0), 1.0)])
    assert [(info.name, info.count) for info in (yield storage.series())] == [("b", 0), ("c", 1)]


@inlineCallbacks
def test_too_many_series_are_refused_and_counted() -> Any:
    """Points of one series too many are left out, those of known series are not."""
    storage = MemoryStorage(max_series=2)
    for name in ("a", "b", "c", "a"):
        yield storage.write([Point(name, at(len((yield storage.series()))), 1.0)])
    yield storage.declare(SeriesInfo("d", Kind.COUNT))
    assert [info.name for info in (yield storage.series())] == ["a", "b"]
    assert storage.health().counters == {"refused": 1, "refused_series": 1}


@inlineCallbacks
def test_running_totals_have_a_bound() -> Any:
    """Past as many as there may be streams, the totals that were kept the longest go, and are counted."""
    storage = MemoryStorage(max_streams=2)
    yield storage.write([], {"a": 1.0, "b": 2.0})
    yield storage.write([], {"c": 3.0})
    assert (yield storage.recall(["a", "b", "c"])) == {"b": 2.0, "c": 3.0}
    assert storage.health().counters == {"dropped_state": 1}


@inlineCallbacks
def test_drain_gives_everything_and_forgets_it() -> Any:
    """What a store takes over is all there was, in the order in which it came."""
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
