"""The contract of all stores: a store's test module subclasses a class of this module and defines ``make_storage``.

:class:`StorageContract` is for every store, :class:`StateContract` for those that also keep running totals and can
forget a series, :class:`LocalContract` for those that keep every name unchanged.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import pytest
from pytest_twisted import blockon, inlineCallbacks
from twisted.internet import defer

from bbmeasure.errors import SeriesConflictError, StorageError
from bbmeasure.model import Point, Query, SeriesInfo
from bbmeasure.records import Direction, Kind
from tests.unit.storage.examples import HOSTILE_NAMES, START, at, fill, in_build, summarize, values_of
from tests.unit.storage.overview_contract import OverviewContract
from tests.unit.storage.points_contract import PointsContract
from tests.unit.storage.query_contract import QueryContract
from tests.unit.storage.series_contract import SeriesContract
from tests.unit.storage.statistics_contract import StatisticsContract


class StorageContract(PointsContract, QueryContract, StatisticsContract, SeriesContract, ABC):
    """Every store."""

    #: The length of a tag value that the store must keep.
    longest_tag_value = 60_000
    hostile_names: tuple[str, ...] = HOSTILE_NAMES

    @abstractmethod
    def make_storage(self, folder: Any) -> Any:
        """A new, empty store, or its Deferred; it may use ``folder``."""

    @pytest.fixture
    def storage(self, tmp_path: Any) -> Any:
        made = blockon(defer.maybeDeferred(self.make_storage, tmp_path))
        yield made
        blockon(made.close())


class StateContract(StorageContract):
    """Stores that keep running totals and can forget a series."""

    @inlineCallbacks
    def test_state_is_recalled(self, storage: Any) -> Any:
        """``recall`` returns the last state under each key and leaves out keys that were never written."""
        yield storage.write([Point("size", START, 1.0)], {"a": 1.5, "b": -2.0})
        yield storage.write([], {"a": 3.0})
        assert (yield storage.recall(["a", "b", "c"])) == {"a": 3.0, "b": -2.0}
        assert (yield storage.recall([])) == {}

    @inlineCallbacks
    def test_state_of_a_refused_write_is_not_kept(self, storage: Any) -> Any:
        """Points and state are written together or not at all."""
        with pytest.raises(StorageError):
            yield storage.write([Point("size", START, math.nan)], {"a": 1.0})
        assert (yield storage.recall(["a"])) == {}

    @inlineCallbacks
    def test_a_forgotten_series_is_removed(self, storage: Any) -> Any:
        """``forget`` removes points, declaration and state of a series from every result, and of no other."""
        mine, other = '["total", "size", "first", {}]', '["total", "other", "first", {}]'
        yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes"))
        yield storage.write([Point("size", at(n), 1.0, build=in_build()) for n in range(5)], {mine: 1.0, other: 2.0})
        yield fill(storage, [7.0], "other", build=in_build())
        assert (yield storage.forget("size")) == 5
        assert [info.name for info in (yield storage.series())] == ["other"]
        assert (yield storage.points(Query("size"), 10)) == []
        assert [point.series for point in (yield storage.records(101))] == ["other"]
        assert (yield storage.recall([mine, other])) == {other: 2.0}
        assert (yield summarize(storage, "count")) == {"count": 0.0}

    @inlineCallbacks
    def test_a_forgotten_series_can_be_declared_again(self, storage: Any) -> Any:
        """After ``forget`` a series may have another kind and unit, and its count starts at 0."""
        yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes"))
        yield fill(storage, [1.0, 2.0], build=in_build())
        yield storage.forget("size")
        info = SeriesInfo("size", Kind.DURATION, "s")
        assert (yield storage.declare(info)) == info
        yield fill(storage, [3.0], build=in_build())
        assert (yield summarize(storage, "count,sum")) == {"count": 1.0, "sum": 3.0}
        assert (yield storage.forget("size")) == 1

    @inlineCallbacks
    def test_forgetting_an_unknown_series(self, storage: Any) -> Any:
        """``forget`` of an unknown series removes no points and succeeds."""
        assert (yield storage.forget("nothing")) == 0


class LocalContract(StateContract, OverviewContract):
    """Stores that keep every name and tag unchanged."""

    longest_tag_value = 70_000
    hostile_names = (*HOSTILE_NAMES, "#hash", "ends in a backslash\\", "tab\tand\nnewline\rreturn", "nul\0byte", "__x")

    @inlineCallbacks
    def test_an_empty_tag_value_is_no_tag(self, storage: Any) -> Any:
        """An empty tag value is left out; in a query it matches points without that tag."""
        yield storage.write([Point("size", at(0), 1.0, {"k": "", "other": "x"}), Point("size", at(1), 2.0, {"k": "v"})])
        assert (yield storage.points(Query("size", tags={"k": ""}), 10)) == [Point("size", at(0), 1.0, {"other": "x"})]
        yield storage.write([Point("size", at(0), 5.0, {"other": "x"})])
        assert (yield summarize(storage, "count,sum")) == {"count": 2.0, "sum": 7.0}

    @inlineCallbacks
    def test_a_proposal_declares_nothing_for_trusted_builds(self, storage: Any) -> Any:
        """The declaration of a trusted build replaces that of proposals, and no proposal changes it."""
        text = SeriesInfo("size", Kind.TEXT, "1", Direction.HIGHER, ("first",))
        size = SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER, ("first",))
        assert (yield storage.declare(text, proposed=True)) == text
        yield storage.write([Point("size", at(0), "x", {}, in_build(branch="main", proposal="refs/pull/1"))])
        with pytest.raises(SeriesConflictError):
            yield storage.declare(size, proposed=True)
        assert (yield storage.declare(size)) == size
        yield storage.write([Point("size", at(1), 5.0, {}, in_build(branch="main"))])
        with pytest.raises(SeriesConflictError):
            yield storage.declare(text, proposed=True)
        higher = replace(size, better=Direction.HIGHER)
        assert (yield storage.declare(higher, proposed=True)) == size
        assert (yield storage.declare(higher)) == higher
        assert values_of((yield storage.points(Query("size"), 10))) == [5.0]
        assert [(info.kind, info.unit, info.better) for info in (yield storage.series()) if info.count] == [
            (Kind.SIZE, "bytes", Direction.HIGHER)
        ]

    @inlineCallbacks
    def test_lone_surrogates_are_refused(self, storage: Any) -> Any:
        """Text that UTF-8 cannot encode fails with a StorageError, in a value and in a name."""
        for point in (
            Point("size", START, "\ud800"),
            Point("\ud800", START, 1.0),
            Point("size", START, 1.0, {"k": "\ud800"}),
        ):
            with pytest.raises(StorageError, match="surrogate"):
                yield storage.write([point])

    @inlineCallbacks
    def test_a_whole_number_becomes_a_float(self, storage: Any) -> Any:
        """An int is stored as a float; one that no float can hold is refused."""
        yield fill(storage, [3, 2**60])
        assert [(value, type(value)) for value in values_of((yield storage.points(Query("size"), 9)))] == [
            (3.0, float),
            (2.0**60, float),
        ]
        with pytest.raises(StorageError, match="finite"):
            yield fill(storage, [10**400])

    @inlineCallbacks
    def test_queries_with_huge_times_and_buildids_succeed(self, storage: Any) -> Any:
        """Times and buildids beyond 64 bits match like any others."""
        yield fill(storage, [1.0], build=in_build())
        assert (yield summarize(storage, "count", since=-(10**30), until=10**30)) == {"count": 1.0}
        assert (yield storage.records(10**30)) == []
        assert (yield storage.last(Query("size"), before=10**30)).value == 1.0
        assert (yield storage.last(Query("size"), before=-(10**30))) is None

    @inlineCallbacks
    def test_values_near_the_largest_float_have_statistics(self, storage: Any) -> Any:
        """A statistic that no float can hold is None, never an exception or NaN."""
        yield fill(storage, [1.7e308] * 3_000, build=in_build())
        got = yield summarize(storage, "average,sum,deviation,maximum,minimum,count")
        assert got["sum"] is None
        assert (got["maximum"], got["minimum"], got["count"]) == (1.7e308, 1.7e308, 3000.0)
        assert all(value is None or math.isfinite(value) for value in got.values())

    @inlineCallbacks
    def test_held_lines_of_a_builder(self, storage: Any) -> Any:
        """Each series and set of tags is there once, for proposals and other builds apart, of that builder alone."""
        for number, (tags, facts) in enumerate(HELD):
            build = in_build(number, branch="main", **facts)
            yield storage.write([Point("size", at(number), 1.0, tags, build)])
        yield storage.write([Point("other", at(0), 1.0, {}, in_build(9, "second")), Point("outside", at(0), 1.0)])
        held = yield storage.held_lines("first")
        assert sorted((line.series, sorted(line.tags.items()), line.proposed) for line in held) == [
            ("size", [], False),
            ("size", [("opt", "2")], False),
            ("size", [("opt", "2")], True),
        ]
        assert [tuple(line) for line in (yield storage.held_lines("second"))] == [("other", {}, False)]
        assert [tuple(line) for line in (yield storage.held_lines(""))] == [("outside", {}, False)]
        assert (yield storage.held_lines("nobody")) == []

    @inlineCallbacks
    def test_the_number_of_lines(self, storage: Any) -> Any:
        """Lines of proposals are counted apart; a worker is a machine class of its own."""
        assert (yield storage.count_lines()) == (0, 0)
        for number, (tags, facts) in enumerate(HELD):
            yield storage.write([Point("size", at(number), 1.0, tags, in_build(number, branch="main", **facts))])
        assert (yield storage.count_lines()) == (3, 1)
        yield storage.forget("size")
        assert (yield storage.count_lines()) == (0, 0)


#: Tags and builds of points of one series: four lines, of which one is of proposals.
HELD: tuple[tuple[dict[str, str], dict[str, str]], ...] = (
    ({}, {}),
    ({}, {"worker": "bot2"}),
    ({"opt": "2"}, {"machine": "big"}),
    ({"opt": "2"}, {"machine": "big", "worker": "bot2"}),
    ({"opt": "2"}, {"machine": "big", "proposal": "refs/pull/1"}),
    ({"opt": "2"}, {"machine": "big", "proposal": "refs/pull/2"}),
)
