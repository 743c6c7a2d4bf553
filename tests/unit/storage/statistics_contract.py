"""The contract of every store: statistics and buckets."""

from __future__ import annotations

import math
import statistics as standard
from typing import Any, Optional

import pytest
from pytest_twisted import inlineCallbacks

from bbmeasure.errors import QueryError
from bbmeasure.model import Point, Query, SeriesInfo
from bbmeasure.records import Kind
from tests.unit.storage.examples import START, at, fill, in_build, summarize


class StatisticsContract:
    """Statistics and buckets are exact."""

    @inlineCallbacks
    def test_statistics_agree_with_the_standard_library(self, storage: Any) -> Any:
        """Average, sample deviation, median, sum and extremes equal those of the module ``statistics``."""
        values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.5]
        yield fill(storage, values, build=in_build())
        got = yield summarize(storage, "average,deviation,minimum,maximum,median,count,sum,first,last")
        assert got == pytest.approx(
            {
                "average": standard.fmean(values),
                "deviation": standard.stdev(values),
                "minimum": 2.0,
                "maximum": 9.5,
                "median": 4.5,
                "count": 8.0,
                "sum": math.fsum(values),
                "first": 2.0,
                "last": 9.5,
            }
        )

    @inlineCallbacks
    def test_a_single_value_has_no_deviation(self, storage: Any) -> Any:
        """The deviation of one value is None, its average is itself."""
        yield fill(storage, [3.0])
        assert (yield summarize(storage, "deviation,average,median")) == {
            "deviation": None,
            "average": 3.0,
            "median": 3.0,
        }

    @inlineCallbacks
    def test_the_deviation_of_small_noise_on_a_large_number(self, storage: Any) -> Any:
        """The deviation of 1e9 plus noise of thousandths, which a sum of squares would lose, is exact to 0.1 %."""
        values = [1e9 + (index * 7919 % 1000) / 1e6 for index in range(3_000)]
        yield fill(storage, values, build=in_build())
        assert (yield summarize(storage, "deviation"))["deviation"] == pytest.approx(standard.stdev(values), rel=1e-3)
        assert (yield summarize(storage, "average"))["average"] == pytest.approx(standard.fmean(values), rel=1e-14)

    @pytest.mark.parametrize(
        ("percentile", "expected"),
        [("p50", 5.0), ("p95", 10.0), ("p94", 9.0), ("p100", 10.0), ("p4", None), ("p5", 1.0)],
    )
    @inlineCallbacks
    def test_a_percentile_is_the_item_of_its_rank(
        self, storage: Any, percentile: str, expected: Optional[float]
    ) -> Any:
        """A percentile is the item at floor(n*p/100 + .5) of the sorted values, None when that is 0."""
        yield fill(storage, [10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
        assert (yield summarize(storage, percentile)) == {percentile: expected}

    @inlineCallbacks
    def test_the_median_of_an_even_number_of_values(self, storage: Any) -> Any:
        """The median is the mean of the two middle values."""
        yield fill(storage, [1.0, 2.0, 10.0, 20.0])
        assert (yield summarize(storage, "median")) == {"median": 6.0}

    @inlineCallbacks
    def test_statistics_span_builders(self, storage: Any) -> Any:
        """Without a filter statistics are those of the points of all builders."""
        for number, builder in enumerate(["first", "second", "third"]):
            yield storage.write([Point("size", at(number), float(number), build=in_build(builder=builder))])
        assert (yield summarize(storage, "average,count,median,p100,first,last")) == {
            "average": 1.0,
            "count": 3.0,
            "median": 1.0,
            "p100": 2.0,
            "first": 0.0,
            "last": 2.0,
        }

    @inlineCallbacks
    def test_statistics_of_many_points(self, storage: Any) -> Any:
        """Statistics of thousands of points, in a range with arbitrary bounds, are exact."""
        values = [math.sin(index) * 100 for index in range(5_000)]
        yield fill(storage, values, build=in_build())
        part = values[123:4321]
        got = yield summarize(
            storage, "average,deviation,minimum,maximum,sum,count,median,p95,first,last", since=at(123), until=at(4321)
        )
        ordered = sorted(part)
        assert got == pytest.approx(
            {
                "average": standard.fmean(part),
                "deviation": standard.stdev(part),
                "minimum": min(part),
                "maximum": max(part),
                "sum": math.fsum(part),
                "count": float(len(part)),
                "median": standard.median(part),
                "p95": ordered[math.floor(len(part) * 0.95 + 0.5) - 1],
                "first": part[0],
                "last": part[-1],
            }
        )

    @inlineCallbacks
    def test_texts_have_count_first_and_last(self, storage: Any) -> Any:
        """A series of texts has count, first and last; other statistics fail with a QueryError that names them."""
        yield storage.declare(SeriesInfo("compiler", Kind.TEXT))
        yield fill(storage, ["gcc 11", "gcc 12", "clang"], "compiler", build=in_build())
        assert (yield summarize(storage, "count,first,last", "compiler")) == {
            "count": 3.0,
            "first": "gcc 11",
            "last": "clang",
        }
        with pytest.raises(QueryError, match="average"):
            yield summarize(storage, "average", "compiler")

    @inlineCallbacks
    def test_buckets_divide_a_range_into_equal_intervals(self, storage: Any) -> Any:
        """A bucket has the count, average and extremes of its points, an empty bucket None."""
        for second, value in [(0, 1.0), (1, 3.0), (25, 5.0), (39, 7.0)]:
            yield storage.write([Point("size", at(second), value, build=in_build())])
        got = yield storage.buckets(Query("size", since=at(0), until=at(40)), 4)
        assert [bucket.time for bucket in got] == [at(0), at(10), at(20), at(30)]
        assert [(bucket.count, bucket.average, bucket.minimum, bucket.maximum) for bucket in got] == [
            (2, 2.0, 1.0, 3.0),
            (0, None, None, None),
            (1, 5.0, 5.0, 5.0),
            (1, 7.0, 7.0, 7.0),
        ]

    @inlineCallbacks
    def test_buckets_without_a_range_reach_from_the_first_point_to_the_last(self, storage: Any) -> Any:
        """The first bucket starts at the first point, and the last bucket contains the last point."""
        yield fill(storage, range(100), build=in_build())
        got = yield storage.buckets(Query("size"), 7)
        assert got[0].time == START
        assert len(got) == 7
        assert sum(bucket.count for bucket in got) == 100
        assert got[-1].maximum == 99.0

    @inlineCallbacks
    def test_a_range_without_points_has_no_buckets(self, storage: Any) -> Any:
        """The list of buckets of a range without points is empty."""
        yield fill(storage, [1.0])
        assert (yield storage.buckets(Query("size", since=at(10), until=at(20)), 5)) == []

    @inlineCallbacks
    def test_buckets_of_points_of_one_time(self, storage: Any) -> Any:
        """Points of the same time are in one bucket, whatever the number of buckets."""
        yield fill(storage, [4.0], build=in_build())
        yield fill(storage, [6.0], build=in_build(builder="second"))
        got = yield storage.buckets(Query("size"), 5)
        assert sum(bucket.count for bucket in got) == 2
        assert [bucket.average for bucket in got if bucket.count] == [5.0]

    @pytest.mark.parametrize("count", [0, -1, 2_001])
    @inlineCallbacks
    def test_a_number_of_buckets_out_of_range_fails(self, storage: Any, count: int) -> Any:
        """Fewer than one bucket or more than the maximum fails with a QueryError."""
        with pytest.raises(QueryError, match="buckets"):
            yield storage.buckets(Query("size"), count)

    @inlineCallbacks
    def test_buckets_of_many_points(self, storage: Any) -> Any:
        """The statistics of buckets with hundreds of points each are exact."""
        values = [float(index * 7919 % 1000) for index in range(5_000)]
        yield fill(storage, values, build=in_build())
        got = yield storage.buckets(Query("size", since=at(100), until=at(4900)), 16)
        for index, bucket in enumerate(got):
            part = values[100 + 300 * index : 400 + 300 * index]
            assert (bucket.count, bucket.minimum, bucket.maximum) == (300, min(part), max(part))
            assert bucket.average == pytest.approx(standard.fmean(part))
