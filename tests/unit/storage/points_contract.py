"""The contract of every store: points are returned as they were written."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pytest_twisted import inlineCallbacks

from bbmeasure.errors import StorageError
from bbmeasure.model import Point, Query
from bbmeasure.times import NANOSECONDS
from tests.unit.storage.examples import START, at, fill, in_build, summarize, values_of


class PointsContract:
    """Points are returned unchanged, and identified by series, builder, worker, tags and time."""

    longest_tag_value = 0
    hostile_names: tuple[str, ...] = ()

    @inlineCallbacks
    def test_an_empty_store_returns_empty_results(self, storage: Any) -> Any:
        """Every query of an empty store returns an empty result, and none fails."""
        assert (yield storage.series()) == []
        assert (yield storage.last(Query("size"))) is None
        assert (yield storage.records(1)) == []
        assert (yield storage.points(Query("size"), 10)) == []
        assert (yield storage.buckets(Query("size"), 10)) == []
        assert (yield summarize(storage, "average,count,last,p95,median,deviation,sum,first,minimum,maximum")) == {
            **dict.fromkeys(["average", "last", "p95", "median", "deviation", "sum", "first", "minimum", "maximum"]),
            "count": 0.0,
        }

    @inlineCallbacks
    def test_a_point_is_returned_unchanged(self, storage: Any) -> Any:
        """Value, time to the nanosecond, tags, build, samples and spread are those written."""
        build = in_build(7, revision="abc", branch="main", project="project")
        point = Point("size", START + 123456789, 1.5, {"target": "core", "phase": "link"}, build, 11, 0.25)
        yield storage.write([point])
        assert (yield storage.points(Query("size"), 10)) == [point]

    @inlineCallbacks
    def test_optional_fields_of_a_build_may_be_none(self, storage: Any) -> Any:
        """Step, revision, branch and project of a build that has none are None."""
        point = Point("size", START, 1.0, build=in_build(step=None))
        yield storage.write([point])
        assert (yield storage.last(Query("size"))) == point

    @inlineCallbacks
    def test_a_point_outside_builds_has_no_builder(self, storage: Any) -> Any:
        """A point outside builds is returned without a build, and matches no builder."""
        point = Point("load", START, 0.5)
        yield storage.write([point])
        assert (yield storage.points(Query("load"), 10)) == [point]
        assert (yield storage.points(Query("load", builder="first"), 10)) == []

    @pytest.mark.parametrize("value", [0.0, -1.5, 1e-300, 1.7e308, 0.1 + 0.2, 2.0**53 + 2, 123456789.123456789])
    @inlineCallbacks
    def test_a_number_is_returned_to_the_last_bit(self, storage: Any, value: float) -> Any:
        """No store rounds a value."""
        yield fill(storage, [value])
        assert values_of((yield storage.points(Query("size"), 1))) == [value]

    @inlineCallbacks
    def test_a_text_is_returned_unchanged(self, storage: Any) -> Any:
        """A text value keeps its quotes, backslashes, digits and surrounding spaces."""
        texts = ['gcc "12"', "12.5", "back\\slash\\", "\u00fc\U0001f600", "it's; DROP SERIES", " padded "]
        yield fill(storage, texts, "compiler")
        assert values_of((yield storage.points(Query("compiler"), 10))) == texts

    @inlineCallbacks
    def test_hostile_names_are_stored_literally(self, storage: Any) -> Any:
        """A series, a tag and a builder with a hostile name are found under that name, and no other is created."""
        for second, name in enumerate(self.hostile_names):
            build = in_build(builder=name, worker=name, step=name, branch=name, revision=name, project=name)
            yield storage.write([Point(name, at(second), float(second), {"tag " + name: name}, build)])
        assert sorted(info.name for info in (yield storage.series())) == sorted(self.hostile_names)
        for second, name in enumerate(self.hostile_names):
            query = Query(name, builder=name, worker=name, tags={"tag " + name: name})
            (point,) = yield storage.points(query, 10)
            assert (point.series, point.value, dict(point.tags)) == (name, float(second), {"tag " + name: name})
            assert point.build == in_build(
                builder=name, worker=name, step=name, branch=name, revision=name, project=name
            )
            assert (yield summarize(storage, "count", name, builder=name, tags={"tag " + name: name})) == {"count": 1.0}

    @inlineCallbacks
    def test_hostile_names_in_a_query_match_literally(self, storage: Any) -> Any:
        """Fragments of a query language in a query are compared, never executed."""
        yield fill(storage, [1.0, 2.0], build=in_build())
        for name in self.hostile_names:
            assert (yield storage.points(Query(name), 10)) == []
            assert (yield storage.points(Query("size", builder=name), 10)) == []
            assert (yield storage.points(Query("size", worker=name), 10)) == []
            assert (yield storage.points(Query("size", tags={"k": name}), 10)) == []
            assert (yield storage.points(Query("size", tags={name: "v"}), 10)) == []
        assert (yield summarize(storage, "count")) == {"count": 2.0}

    @inlineCallbacks
    def test_a_very_long_tag_is_kept(self, storage: Any) -> Any:
        """A tag value of many kilobytes is returned unchanged and can be queried."""
        value = "x" * self.longest_tag_value
        yield fill(storage, [1.0], tags={"long": value})
        (point,) = yield storage.points(Query("size", tags={"long": value}), 10)
        assert point.tags == {"long": value}

    @inlineCallbacks
    def test_a_point_of_the_same_identity_is_replaced(self, storage: Any) -> Any:
        """A point written again replaces the first, in points and in statistics."""
        yield fill(storage, [1.0, 2.0, 3.0], build=in_build())
        yield storage.write([Point("size", at(1), 8.0, build=in_build())])
        yield storage.write([Point("size", at(1), 9.0, build=in_build())])
        assert values_of((yield storage.points(Query("size"), 10))) == [1.0, 9.0, 3.0]
        assert (yield summarize(storage, "count,sum,maximum,minimum")) == {
            "count": 3.0,
            "sum": 13.0,
            "maximum": 9.0,
            "minimum": 1.0,
        }

    @inlineCallbacks
    def test_writing_everything_twice_changes_nothing(self, storage: Any) -> Any:
        """A batch that is written again changes no result."""
        yield fill(storage, range(20), build=in_build())
        before = yield summarize(storage, "count,average,deviation,p95,first,last")
        yield fill(storage, range(20), build=in_build())
        assert (yield summarize(storage, "count,average,deviation,p95,first,last")) == before

    @inlineCallbacks
    def test_builder_worker_and_tags_are_part_of_the_identity(self, storage: Any) -> Any:
        """Points of the same series and time are distinct unless builder, worker and tags are the same."""
        points = [
            Point("size", START, 1.0, {"k": "a"}, in_build()),
            Point("size", START, 2.0, {"k": "b"}, in_build()),
            Point("size", START, 3.0, {"k": "a"}, in_build(builder="second")),
            Point("size", START, 4.0, {"k": "a"}, in_build(worker="bot2")),
            Point("size", START, 5.0, {}, in_build()),
        ]
        yield storage.write(points)
        assert (yield summarize(storage, "count,sum")) == {"count": 5.0, "sum": 15.0}

    @inlineCallbacks
    def test_points_may_be_written_in_any_order(self, storage: Any) -> Any:
        """Points are ordered by their time, whenever they were written."""
        for second in (5, 1, 3, 2, 4, 0):
            yield storage.write([Point("size", at(second), float(second), build=in_build())])
        assert values_of((yield storage.points(Query("size"), 10))) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
        assert (yield summarize(storage, "first,last")) == {"first": 0.0, "last": 5.0}

    @inlineCallbacks
    def test_times_before_1970_and_in_the_far_future(self, storage: Any) -> Any:
        """Points before 1970 and in the next century keep their times."""
        times = [-86400 * NANOSECONDS, 0, 4_000_000_000 * NANOSECONDS]
        yield storage.write([Point("size", time, 1.0) for time in times])
        assert [point.time for point in (yield storage.points(Query("size"), 10))] == times

    @inlineCallbacks
    def test_an_empty_write_succeeds(self, storage: Any) -> Any:
        """Writing no points succeeds and creates nothing."""
        yield storage.write([])
        assert (yield storage.series()) == []

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    @inlineCallbacks
    def test_a_number_that_is_not_finite_is_refused(self, storage: Any, value: float) -> Any:
        """NaN and infinities fail with a StorageError, and no point of their batch is written."""
        with pytest.raises(StorageError, match="finite"):
            yield storage.write([Point("size", START, 1.0), Point("size", at(1), value)])
        assert (yield storage.points(Query("size"), 10)) == []
