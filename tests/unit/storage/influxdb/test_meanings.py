"""Tests of the requests that find the kind and unit of a query."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted

from bbmeasure.errors import QueryError
from bbmeasure.model import Point, Query, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.statistics import find_all
from tests.unit.storage.examples import at, in_build

inlineCallbacks = pytest_twisted.inlineCallbacks


@inlineCallbacks
def test_requests_of_a_query(make: Any) -> Any:
    """Points are read to find kind and unit only if builders disagree, or have no metadata."""
    storage = make()
    sizes = {"a": ("bytes", Kind.SIZE), "b": ("bytes", Kind.SIZE), "c": ("s", Kind.DURATION)}
    for builder, (unit, kind) in sizes.items():
        yield storage.declare(SeriesInfo("size", kind, unit, builders=(builder,)))
        yield storage.write([Point("size", at(0), 1.0, {"of": builder}, in_build(builder=builder, branch=builder))])
    both = frozenset(["a", "b"])

    @inlineCallbacks
    def requests(query: Query) -> Any:
        before = storage.counters["queries"]
        yield storage.summarize(query, find_all(["average"]))
        return storage.counters["queries"] - before

    assert (yield requests(Query("size", builder="a", branch="none"))) == 2
    assert (yield requests(Query("size", builders=both))) == 2
    assert (yield requests(Query("size", unit="bytes"))) == 2
    assert (yield requests(Query("size", tags={"of": "c"}))) == 3
    assert (yield requests(Query("size", branch="a"))) == 3
    with pytest.raises(QueryError, match="one kind and unit"):
        yield requests(Query("size"))
    yield storage.write([Point("size", at(1), 1.0, {}, in_build(builder="undeclared"))])
    with pytest.raises(QueryError, match="number in 1 of undeclared"):
        yield requests(Query("size", builders=both | {"undeclared"}))
    before = storage.counters["queries"]
    yield storage.last(Query("size"))
    assert storage.counters["queries"] == before + 1


@inlineCallbacks
def test_points_outside_builds_are_not_mixed(make: Any) -> Any:
    """Points outside builds without metadata are numbers, which have no statistic in common with sizes."""
    storage = make()
    yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes", builders=("a",)))
    yield storage.write([Point("size", at(0), 1.0, {}, in_build(builder="a")), Point("size", at(1), 2.0)])
    with pytest.raises(QueryError, match="number in 1 of no builder, size in bytes of a"):
        yield storage.points(Query("size"), 9)
    assert len((yield storage.points(Query("size", builder="a"), 9))) == 1
    assert len((yield storage.points(Query("size", unit="1"), 9))) == 1
    yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes"))
    assert len((yield storage.points(Query("size"), 9))) == 2
    assert (yield storage.lines(Query("size", builders=frozenset([])))) == []
    assert [line.builder for line in (yield storage.lines(Query("size")))] == [None, "a"]
