"""What every store must do alike: subclass the classes here once a store, and give ``make_storage``.

Nothing here knows what a store is made of.  :class:`StorageContract` is for every store; :class:`KeeperContract` for
those that also keep running totals and can forget; :class:`LocalContract` for those that change no name.
"""

from __future__ import annotations

import math
import statistics as standard
from typing import Any, Optional

import pytest
from pytest_twisted import blockon, inlineCallbacks
from twisted.internet import defer

from bbmeasure import statistics
from bbmeasure.errors import QueryError, SeriesConflictError, StorageError
from bbmeasure.model import NANOSECONDS, BuildContext, Point, Query, SeriesInfo
from bbmeasure.records import Direction, Kind

START = 1_700_000_000 * NANOSECONDS

#: Names that a store might take for something else than a name.  None of them is changed on its way to any store.
HOSTILE_NAMES = (
    "a,b",
    "a=b",
    "a b",
    " leading and trailing ",
    'double"quote',
    "single'quote",
    "back\\slash in a tag",
    "per%cent %s %d %(x)s",
    "semi;colon -- comment",
    "x'; DROP TABLE points; --",
    'x" OR 1=1 --',
    "$name ${name} :name ?1 @name",
    "*",
    "_",
    "a.b/c:d{e}[f]",
    "\u00fcml\u00e4ut \u65e5\u672c\u8a9e \U0001f600",
    "SELECT",
    "time",
    "null",
    "\U0001f469\u200d\U0001f4bb" * 20,
)


def at(seconds: float) -> int:
    """So many seconds after the start of the tests' time."""
    return START + int(seconds * NANOSECONDS)


def in_build(
    number: int = 1, builder: str = "first", worker: str = "bot1", step: Optional[str] = "measure", **facts: Any
) -> BuildContext:
    """A build of that number; its buildid is 100 more."""
    return BuildContext(builder, worker, number, number + 100, step, **facts)


def ask(storage: Any, names: str, series: str = "size", **where: Any) -> Any:
    """The statistics of that comma-separated list."""
    return storage.summarize(Query(series, **where), statistics.find_all(names.split(",")))


def fill(storage: Any, values: Any, series: str = "size", build: Optional[BuildContext] = None, **more: Any) -> Any:
    """Write values a second apart."""
    points = [Point(series, at(second), value, build=build, **more) for second, value in enumerate(values)]
    return storage.write(points)


def values_of(points: Any) -> list[Any]:
    return [point.value for point in points]


class StorageContract:
    """Every store."""

    #: The longest value of a tag that the store must keep.
    longest_tag_value = 60_000
    hostile_names = HOSTILE_NAMES

    def make_storage(self, folder: Any) -> Any:
        """A new, empty store (or a Deferred of one) that may use ``folder``."""
        raise NotImplementedError

    @pytest.fixture
    def storage(self, tmp_path: Any) -> Any:
        made = blockon(defer.maybeDeferred(self.make_storage, tmp_path))
        yield made
        blockon(made.close())

    # points, there and back

    @inlineCallbacks
    def test_an_empty_store_answers_with_nothing(self, storage: Any) -> Any:
        """Every question to an empty store has an answer without data, and none is an error."""
        assert (yield storage.series()) == []
        assert (yield storage.last(Query("size"))) is None
        assert (yield storage.records(1)) == []
        assert (yield storage.points(Query("size"), 10)) == []
        assert (yield storage.buckets(Query("size"), 10)) == []
        assert (yield ask(storage, "average,count,last,p95,median,deviation,sum,first,minimum,maximum")) == {
            **dict.fromkeys(["average", "last", "p95", "median", "deviation", "sum", "first", "minimum", "maximum"]),
            "count": 0.0,
        }

    @inlineCallbacks
    def test_a_point_comes_back_whole(self, storage: Any) -> Any:
        """Value, time to the nanosecond, tags, build, samples and spread are as they were."""
        build = in_build(7, revision="abc", branch="main", project="project")
        point = Point("size", START + 123456789, 1.5, {"target": "core", "phase": "link"}, build, 11, 0.25)
        yield storage.write([point])
        assert (yield storage.points(Query("size"), 10)) == [point]

    @inlineCallbacks
    def test_a_build_without_facts_comes_back_without_them(self, storage: Any) -> Any:
        """Step, revision, branch and project that a build does not have are None."""
        point = Point("size", START, 1.0, build=in_build(step=None))
        yield storage.write([point])
        assert (yield storage.last(Query("size"))) == point

    @inlineCallbacks
    def test_a_point_outside_builds_has_no_builder(self, storage: Any) -> Any:
        """A point that belongs to no build comes back without one, and is no builder's."""
        point = Point("load", START, 0.5)
        yield storage.write([point])
        assert (yield storage.points(Query("load"), 10)) == [point]
        assert (yield storage.points(Query("load", builder="first"), 10)) == []

    @pytest.mark.parametrize("value", [0.0, -1.5, 1e-300, 1.7e308, 0.1 + 0.2, 2.0**53 + 2, 123456789.123456789])
    @inlineCallbacks
    def test_a_number_comes_back_to_the_last_bit(self, storage: Any, value: float) -> Any:
        """No store rounds a value."""
        yield fill(storage, [value])
        assert values_of((yield storage.points(Query("size"), 1))) == [value]

    @inlineCallbacks
    def test_a_text_comes_back_as_it_was(self, storage: Any) -> Any:
        """A text value keeps its quotes, backslashes, digits and empty ends."""
        texts = ['gcc "12"', "12.5", "back\\slash\\", "\u00fc\U0001f600", "it's; DROP SERIES", " padded "]
        yield fill(storage, texts, "compiler")
        assert values_of((yield storage.points(Query("compiler"), 10))) == texts

    @inlineCallbacks
    def test_hostile_names_are_only_names(self, storage: Any) -> Any:
        """A series, a tag and a builder of any name are found under that name, and no other appears."""
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
            assert (yield ask(storage, "count", name, builder=name, tags={"tag " + name: name})) == {"count": 1.0}

    @inlineCallbacks
    def test_a_question_about_a_hostile_name_finds_nothing_else(self, storage: Any) -> Any:
        """What looks like a piece of a query language in a question is compared, never run."""
        yield fill(storage, [1.0, 2.0], build=in_build())
        for name in self.hostile_names:
            assert (yield storage.points(Query(name), 10)) == []
            assert (yield storage.points(Query("size", builder=name), 10)) == []
            assert (yield storage.points(Query("size", worker=name), 10)) == []
            assert (yield storage.points(Query("size", tags={"k": name}), 10)) == []
            assert (yield storage.points(Query("size", tags={name: "v"}), 10)) == []
        assert (yield ask(storage, "count")) == {"count": 2.0}

    @inlineCallbacks
    def test_a_very_long_tag_is_kept(self, storage: Any) -> Any:
        """A tag value of many kilobytes comes back whole and can be asked for."""
        value = "x" * self.longest_tag_value
        yield fill(storage, [1.0], tags={"long": value})
        (point,) = yield storage.points(Query("size", tags={"long": value}), 10)
        assert point.tags == {"long": value}

    @inlineCallbacks
    def test_the_same_identity_is_kept_once(self, storage: Any) -> Any:
        """A point written again takes the place of the first, in points and in statistics."""
        yield fill(storage, [1.0, 2.0, 3.0], build=in_build())
        yield storage.write([Point("size", at(1), 8.0, build=in_build())])
        yield storage.write([Point("size", at(1), 9.0, build=in_build())])
        assert values_of((yield storage.points(Query("size"), 10))) == [1.0, 9.0, 3.0]
        assert (yield ask(storage, "count,sum,maximum,minimum")) == {
            "count": 3.0,
            "sum": 13.0,
            "maximum": 9.0,
            "minimum": 1.0,
        }

    @inlineCallbacks
    def test_writing_everything_twice_changes_nothing(self, storage: Any) -> Any:
        """A batch that is sent again leaves every answer as it was."""
        yield fill(storage, range(20), build=in_build())
        before = yield ask(storage, "count,average,deviation,p95,first,last")
        yield fill(storage, range(20), build=in_build())
        assert (yield ask(storage, "count,average,deviation,p95,first,last")) == before

    @inlineCallbacks
    def test_builders_workers_and_tags_tell_points_of_one_time_apart(self, storage: Any) -> Any:
        """Points of one series and time are one point only where builder, worker and tags are the same."""
        points = [
            Point("size", START, 1.0, {"k": "a"}, in_build()),
            Point("size", START, 2.0, {"k": "b"}, in_build()),
            Point("size", START, 3.0, {"k": "a"}, in_build(builder="second")),
            Point("size", START, 4.0, {"k": "a"}, in_build(worker="bot2")),
            Point("size", START, 5.0, {}, in_build()),
        ]
        yield storage.write(points)
        assert (yield ask(storage, "count,sum")) == {"count": 5.0, "sum": 15.0}

    @inlineCallbacks
    def test_points_may_come_in_any_order(self, storage: Any) -> Any:
        """What is back-filled stands where its time says, whenever it was written."""
        for second in (5, 1, 3, 2, 4, 0):
            yield storage.write([Point("size", at(second), float(second), build=in_build())])
        assert values_of((yield storage.points(Query("size"), 10))) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
        assert (yield ask(storage, "first,last")) == {"first": 0.0, "last": 5.0}

    @inlineCallbacks
    def test_times_before_1970_and_far_ahead_are_times(self, storage: Any) -> Any:
        """A point of another century is kept at its time."""
        times = [-86400 * NANOSECONDS, 0, 4_000_000_000 * NANOSECONDS]
        yield storage.write([Point("size", time, 1.0) for time in times])
        assert [point.time for point in (yield storage.points(Query("size"), 10))] == times

    @inlineCallbacks
    def test_an_empty_write_is_no_error(self, storage: Any) -> Any:
        """Writing no points fires at once and changes nothing."""
        yield storage.write([])
        assert (yield storage.series()) == []

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    @inlineCallbacks
    def test_what_is_no_number_is_refused(self, storage: Any, value: float) -> Any:
        """NaN and infinities are refused with a StorageError, and nothing of their batch is kept."""
        with pytest.raises(StorageError, match="finite"):
            yield storage.write([Point("size", START, 1.0), Point("size", at(1), value)])
        assert (yield storage.points(Query("size"), 10)) == []

    # which points are meant

    @inlineCallbacks
    def test_a_range_is_since_to_before_until(self, storage: Any) -> Any:
        """A point at ``since`` is in a range, one at ``until`` is not."""
        yield fill(storage, range(10), build=in_build())
        assert values_of((yield storage.points(Query("size", since=at(3), until=at(6)), 10))) == [3.0, 4.0, 5.0]
        assert (yield ask(storage, "count,sum", since=at(3), until=at(6))) == {"count": 3.0, "sum": 12.0}
        assert (yield ask(storage, "count", since=at(3))) == {"count": 7.0}
        assert (yield ask(storage, "count", until=at(3))) == {"count": 3.0}
        assert (yield ask(storage, "count", since=at(3), until=at(3))) == {"count": 0.0}

    @inlineCallbacks
    def test_builder_worker_and_tags_choose_points(self, storage: Any) -> Any:
        """Each filter leaves only what matches it, and all given must match."""
        points = [
            Point("size", at(0), 1.0, {"target": "core"}, in_build()),
            Point("size", at(1), 2.0, {"target": "core", "opt": "O2"}, in_build(worker="bot2")),
            Point("size", at(2), 4.0, {"target": "gui"}, in_build(builder="second")),
        ]
        yield storage.write(points)
        assert (yield ask(storage, "sum", builder="first")) == {"sum": 3.0}
        assert (yield ask(storage, "sum", worker="bot1")) == {"sum": 5.0}
        assert (yield ask(storage, "sum", tags={"target": "core"})) == {"sum": 3.0}
        assert (yield ask(storage, "sum", builder="first", worker="bot2", tags={"target": "core", "opt": "O2"})) == {
            "sum": 2.0
        }
        assert (yield ask(storage, "sum", builder="second", tags={"target": "core"})) == {"sum": None}

    @inlineCallbacks
    def test_only_builders_that_may_be_told_of_are(self, storage: Any) -> Any:
        """``builders`` leaves all others out of every answer, points outside builds too unless ``""`` is among them."""
        points = [
            Point("size", at(0), 1.0, {}, in_build()),
            Point("size", at(1), 2.0, {}, in_build(builder='se"cond')),
            Point("size", at(2), 4.0, {}, in_build(builder="third")),
            Point("size", at(3), 8.0),
        ]
        yield storage.write(points)
        for builders, total, last in (
            (("first", 'se"cond'), 3.0, 2.0),
            (("third", ""), 12.0, 8.0),
            (("none",), None, None),
            ((), None, None),
        ):
            query = Query("size", builders=frozenset(builders))
            assert (yield ask(storage, "sum", builders=frozenset(builders))) == {"sum": total}
            assert values_of((yield storage.points(query, 10)))[-1:] == ([] if last is None else [last])
            newest = yield storage.last(query)
            assert newest is None if last is None else newest.value == last
            told = sum(bucket.count for bucket in (yield storage.buckets(query, 3)))
            assert told == len((yield storage.points(query, 10)))
        assert (yield ask(storage, "sum", builder="third", builders=frozenset(["first"]))) == {"sum": None}

    @inlineCallbacks
    def test_exact_tags_leave_out_points_with_more(self, storage: Any) -> Any:
        """With ``exact_tags`` a point must have the tags that are given and no others."""
        yield storage.write(
            [
                Point("size", at(0), 1.0, {}, in_build()),
                Point("size", at(1), 2.0, {"target": "core"}, in_build()),
                Point("size", at(2), 4.0, {"target": "core", "opt": "O2"}, in_build()),
            ]
        )
        assert (yield ask(storage, "sum", exact_tags=True)) == {"sum": 1.0}
        assert (yield ask(storage, "sum", tags={"target": "core"}, exact_tags=True)) == {"sum": 2.0}
        assert (yield ask(storage, "sum", tags={"target": "core"})) == {"sum": 6.0}
        assert (yield storage.last(Query("size", exact_tags=True))).value == 1.0

    @inlineCallbacks
    def test_a_limit_keeps_the_newest_oldest_first(self, storage: Any) -> Any:
        """``points`` answers the newest, over all builders together, in the order of their time."""
        for second in range(10):
            build = in_build(builder=("first", "second", "third")[second % 3])
            yield storage.write([Point("size", at(second), float(second), build=build)])
        assert values_of((yield storage.points(Query("size"), 4))) == [6.0, 7.0, 8.0, 9.0]

    @pytest.mark.parametrize("limit", [0, -1, 1_000_001])
    @inlineCallbacks
    def test_a_limit_must_be_one(self, storage: Any, limit: int) -> Any:
        """A limit below 1 or over the most points is a QueryError."""
        with pytest.raises(QueryError, match="limit"):
            yield storage.points(Query("size"), limit)

    # statistics

    @inlineCallbacks
    def test_statistics_are_those_of_the_standard_library(self, storage: Any) -> Any:
        """Average, sample deviation, median, sum and extremes of some odd numbers."""
        values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.5]
        yield fill(storage, values, build=in_build())
        got = yield ask(storage, "average,deviation,minimum,maximum,median,count,sum,first,last")
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
        assert (yield ask(storage, "deviation,average,median")) == {"deviation": None, "average": 3.0, "median": 3.0}

    @inlineCallbacks
    def test_the_deviation_of_a_small_noise_on_a_large_number_is_right(self, storage: Any) -> Any:
        """1e9 plus a noise of thousandths keeps its deviation, which a sum of squares would lose."""
        values = [1e9 + (index * 7919 % 1000) / 1e6 for index in range(3_000)]
        yield fill(storage, values, build=in_build())
        assert (yield ask(storage, "deviation"))["deviation"] == pytest.approx(standard.stdev(values), rel=1e-3)
        assert (yield ask(storage, "average"))["average"] == pytest.approx(standard.fmean(values), rel=1e-14)

    @pytest.mark.parametrize(
        ("percentile", "expected"),
        [("p50", 5.0), ("p95", 10.0), ("p94", 9.0), ("p100", 10.0), ("p4", None), ("p5", 1.0)],
    )
    @inlineCallbacks
    def test_a_percentile_is_the_item_of_its_rank(
        self, storage: Any, percentile: str, expected: Optional[float]
    ) -> Any:
        """A percentile is the item at floor(n*p/100 + .5) of the sorted values, None where that is 0."""
        yield fill(storage, [10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
        assert (yield ask(storage, percentile)) == {percentile: expected}

    @inlineCallbacks
    def test_the_median_of_an_even_number_is_between_two(self, storage: Any) -> Any:
        """The median is the mean of the two values in the middle."""
        yield fill(storage, [1.0, 2.0, 10.0, 20.0])
        assert (yield ask(storage, "median")) == {"median": 6.0}

    @inlineCallbacks
    def test_statistics_span_builders(self, storage: Any) -> Any:
        """Without a filter the points of all builders are summed up together."""
        for number, builder in enumerate(["first", "second", "third"]):
            yield storage.write([Point("size", at(number), float(number), build=in_build(builder=builder))])
        assert (yield ask(storage, "average,count,median,p100,first,last")) == {
            "average": 1.0,
            "count": 3.0,
            "median": 1.0,
            "p100": 2.0,
            "first": 0.0,
            "last": 2.0,
        }

    @inlineCallbacks
    def test_many_points_are_summed_up_like_few(self, storage: Any) -> Any:
        """Statistics of thousands of points, in a range that begins and ends anywhere, are those of the points."""
        values = [math.sin(index) * 100 for index in range(5_000)]
        yield fill(storage, values, build=in_build())
        part = values[123:4321]
        got = yield ask(
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
        """A series of texts answers what makes sense for texts, and says what does not."""
        yield storage.declare(SeriesInfo("compiler", Kind.TEXT))
        yield fill(storage, ["gcc 11", "gcc 12", "clang"], "compiler", build=in_build())
        assert (yield ask(storage, "count,first,last", "compiler")) == {
            "count": 3.0,
            "first": "gcc 11",
            "last": "clang",
        }
        with pytest.raises(QueryError, match="average"):
            yield ask(storage, "average", "compiler")

    # stretches

    @inlineCallbacks
    def test_buckets_cut_a_range_in_equal_stretches(self, storage: Any) -> Any:
        """Each bucket has the count, average and extremes of the points in it; an empty one has None."""
        for second, value in [(0, 1.0), (1, 3.0), (25, 5.0), (39, 7.0)]:
            yield storage.write([Point("size", at(second), value, build=in_build())])
        got = yield storage.buckets(Query("size", since=at(0), until=at(40)), 4)
        assert [bucket.time for bucket in got] == [at(0), at(10), at(20), at(30)]
        assert [(one.count, one.average, one.minimum, one.maximum) for one in got] == [
            (2, 2.0, 1.0, 3.0),
            (0, None, None, None),
            (1, 5.0, 5.0, 5.0),
            (1, 7.0, 7.0, 7.0),
        ]

    @inlineCallbacks
    def test_buckets_without_a_range_reach_from_the_first_point_to_the_last(self, storage: Any) -> Any:
        """The first bucket begins at the first point, and the last point is in the last bucket."""
        yield fill(storage, range(100), build=in_build())
        got = yield storage.buckets(Query("size"), 7)
        assert got[0].time == START
        assert len(got) == 7
        assert sum(bucket.count for bucket in got) == 100
        assert got[-1].maximum == 99.0

    @inlineCallbacks
    def test_buckets_of_a_range_without_points_are_none(self, storage: Any) -> Any:
        """Where a range holds nothing there is nothing to draw."""
        yield fill(storage, [1.0])
        assert (yield storage.buckets(Query("size", since=at(10), until=at(20)), 5)) == []

    @inlineCallbacks
    def test_buckets_of_one_moment(self, storage: Any) -> Any:
        """A single point, or several of one time, fill one bucket however many are asked for."""
        yield fill(storage, [4.0], build=in_build())
        yield fill(storage, [6.0], build=in_build(builder="second"))
        got = yield storage.buckets(Query("size"), 5)
        assert sum(bucket.count for bucket in got) == 2
        assert [bucket.average for bucket in got if bucket.count] == [5.0]

    @pytest.mark.parametrize("count", [0, -1, 2_001])
    @inlineCallbacks
    def test_a_number_of_buckets_must_be_one(self, storage: Any, count: int) -> Any:
        """Less than one bucket or more than the most is a QueryError."""
        with pytest.raises(QueryError, match="buckets"):
            yield storage.buckets(Query("size"), count)

    @inlineCallbacks
    def test_buckets_of_many_points_are_right(self, storage: Any) -> Any:
        """Buckets over thousands of points have the statistics of the points in them."""
        values = [float(index * 7919 % 1000) for index in range(5_000)]
        yield fill(storage, values, build=in_build())
        got = yield storage.buckets(Query("size", since=at(100), until=at(4900)), 16)
        for index, bucket in enumerate(got):
            part = values[100 + 300 * index : 400 + 300 * index]
            assert (bucket.count, bucket.minimum, bucket.maximum) == (300, min(part), max(part))
            assert bucket.average == pytest.approx(standard.fmean(part))

    # the newest, and those of a build

    @inlineCallbacks
    def test_the_last_point_is_the_newest(self, storage: Any) -> Any:
        """``last`` answers the newest of all that match."""
        yield fill(storage, [1.0, 2.0, 3.0], build=in_build())
        yield storage.write([Point("size", at(1.5), 9.0, build=in_build(builder="second"))])
        assert (yield storage.last(Query("size"))).value == 3.0
        assert (yield storage.last(Query("size", builder="second"))).value == 9.0
        assert (yield storage.last(Query("size", until=at(2)))).value == 9.0

    @inlineCallbacks
    def test_the_last_point_of_an_earlier_build(self, storage: Any) -> Any:
        """With ``before``, points of that build, of later ones and of none are passed over."""
        for number in (1, 2, 3):
            yield storage.write([Point("size", at(number), float(number), build=in_build(number))])
        yield storage.write([Point("size", at(9), 9.0)])
        assert (yield storage.last(Query("size"), before=103)).value == 2.0
        assert (yield storage.last(Query("size"), before=102)).value == 1.0
        assert (yield storage.last(Query("size"), before=101)) is None

    @inlineCallbacks
    def test_the_points_of_a_build(self, storage: Any) -> Any:
        """``records`` answers all series of that build and of no other, in the order of their time."""
        mine = [
            Point("size", at(1), 1.0, {"target": "core"}, in_build(1)),
            Point("warnings", at(2), 2.0, {}, in_build(1, step="compile", revision="r1")),
            Point("compiler", at(3), "gcc", {}, in_build(1, step=None)),
        ]
        other = [Point("size", at(4), 3.0, {"target": "core"}, in_build(2))]
        yield storage.write([mine[2], *other, mine[0], mine[1]])
        assert (yield storage.records(101)) == mine
        assert (yield storage.records(102)) == other
        assert (yield storage.records(103)) == []

    @inlineCallbacks
    def test_a_revision_may_become_known_during_a_build(self, storage: Any) -> Any:
        """Points of one build keep the facts that were known when each was captured."""
        points = [
            Point("size", at(1), 1.0, {}, in_build(1, revision=None)),
            Point("size", at(2), 2.0, {}, in_build(1, revision="abc")),
        ]
        yield storage.write(points)
        assert (yield storage.records(101)) == points

    # what series are

    @inlineCallbacks
    def test_the_first_to_declare_a_series_decides(self, storage: Any) -> Any:
        """The answer to a declaration is what holds, and another unit or kind is a SeriesConflictError."""
        info = SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER)
        assert (yield storage.declare(info)) == info
        assert (yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes"))) == info
        assert (yield storage.declare(SeriesInfo("size", Kind.NUMBER, "bytes"))) == info
        with pytest.raises(SeriesConflictError, match="bytes"):
            yield storage.declare(SeriesInfo("size", Kind.SIZE, "s"))
        with pytest.raises(SeriesConflictError, match="count"):
            yield storage.declare(SeriesInfo("size", Kind.COUNT, "bytes"))

    @inlineCallbacks
    def test_a_direction_may_be_said_later(self, storage: Any) -> Any:
        """A direction that is given replaces the one before; none leaves it."""
        yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes"))
        later = SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER)
        assert (yield storage.declare(later)) == later
        turned = SeriesInfo("size", Kind.SIZE, "bytes", Direction.HIGHER)
        assert (yield storage.declare(turned)) == turned

    @inlineCallbacks
    def test_a_kind_may_be_overridden(self, storage: Any) -> Any:
        """With ``override`` another kind of number holds from then on, but never another unit."""
        yield storage.declare(SeriesInfo("size", Kind.NUMBER))
        counted = SeriesInfo("size", Kind.COUNT)
        assert (yield storage.declare(counted, override=True)) == counted
        assert (yield storage.declare(SeriesInfo("size", Kind.NUMBER))) == counted
        with pytest.raises(SeriesConflictError):
            yield storage.declare(SeriesInfo("size", Kind.DURATION, "s"), override=True)

    @inlineCallbacks
    def test_the_list_of_series_says_what_they_hold(self, storage: Any) -> Any:
        """Each series has its kind, builders, count, times and last value, in the order of the names."""
        yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER))
        yield storage.declare(SeriesInfo("compiler", Kind.TEXT))
        yield fill(storage, [1.0, 2.0], build=in_build(builder="second"))
        yield fill(storage, [3.0, 4.0, 5.0], build=in_build(builder="first"))
        yield fill(storage, ["gcc"], "compiler")
        assert (yield storage.series()) == [
            SeriesInfo("compiler", Kind.TEXT, "1", Direction.NONE, (), 1, at(0), at(0), "gcc"),
            SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER, ("first", "second"), 5, at(0), at(2), 5.0),
        ]

    @inlineCallbacks
    def test_the_list_of_series_of_some_builders_tells_of_no_other(self, storage: Any) -> Any:
        """Count, times and last value are those of the builders that are named; what they have nothing of is not there.

        This is what keeps from a person what he may not see.
        """
        yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER))
        yield storage.declare(SeriesInfo("empty", Kind.SIZE, "bytes"))
        shown = [
            Point("size", at(seconds), value, {"a": str(value)}, in_build(7)) for seconds, value in ((5, 1.0), (3, 2.0))
        ]
        other = [Point("size", at(4), 4.0, {}, in_build(builder=name)) for name in ("fir", "First", 'first" OR 1=1 --')]
        hidden = [
            Point(series, at(seconds), 99.0 if series != "compiler" else "x", {}, in_build(builder="hidden"))
            for series in ("size", "theirs", "compiler")
            for seconds in (0, 9)
        ]
        outside = [Point("size", at(8), 50.0), Point("loose", at(0), 1.0)]
        yield storage.write([*shown, *hidden, *other, *outside, Point("compiler", at(2), "gcc", {}, in_build())])
        first = SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER, ("first",), 2, at(3), at(5), 1.0)
        compiler = SeriesInfo("compiler", Kind.TEXT, "1", Direction.NONE, ("first",), 1, at(2), at(2), "gcc")
        assert (yield storage.series(frozenset({"first", "no such builder"}))) == [compiler, first]
        assert (yield storage.series(frozenset())) == []
        assert (yield storage.series(frozenset({"no such builder"}))) == []
        with_more = yield storage.series(frozenset({"first", "fir", ""}))
        assert [(info.name, info.builders, info.count, info.last_value) for info in with_more] == [
            ("compiler", ("first",), 1, "gcc"),
            ("loose", (), 1, 1.0),
            ("size", ("fir", "first"), 4, 50.0),
        ]
        assert [info.name for info in (yield storage.series())] == ["compiler", "empty", "loose", "size", "theirs"]

    @inlineCallbacks
    def test_a_series_that_nobody_declared_is_a_number_or_a_text(self, storage: Any) -> Any:
        """What was written without a declaration is listed, and may be declared afterwards."""
        yield fill(storage, [1.0])
        yield fill(storage, ["gcc"], "compiler")
        kinds = {info.name: info.kind for info in (yield storage.series())}
        assert kinds == {"size": Kind.NUMBER, "compiler": Kind.TEXT}
        info = SeriesInfo("size", Kind.SIZE, "bytes")
        assert (yield storage.declare(info)) == info

    @inlineCallbacks
    def test_a_declared_series_is_listed_without_points(self, storage: Any) -> Any:
        """A series with nothing in it yet has a count of 0 and no times."""
        info = SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER)
        yield storage.declare(info)
        assert (yield storage.series()) == [info]

    @inlineCallbacks
    def test_health_has_the_name_and_counters(self, storage: Any) -> Any:
        """A store that is well says so without an error, from memory alone."""
        yield fill(storage, [1.0])
        health = storage.health()
        assert health.name
        assert health.last_error is None
        assert health.backlog == 0
        assert not health.counters.get("dropped")


class KeeperContract(StorageContract):
    """Stores that keep running totals, and forget."""

    @inlineCallbacks
    def test_state_is_kept_with_points(self, storage: Any) -> Any:
        """The last state under each key is recalled; keys that were never written are left out."""
        yield storage.write([Point("size", START, 1.0)], {"a": 1.5, "b": -2.0})
        yield storage.write([], {"a": 3.0})
        assert (yield storage.recall(["a", "b", "c"])) == {"a": 3.0, "b": -2.0}
        assert (yield storage.recall([])) == {}

    @inlineCallbacks
    def test_state_of_a_refused_write_is_not_kept(self, storage: Any) -> Any:
        """Points and state are kept together or not at all."""
        with pytest.raises(StorageError):
            yield storage.write([Point("size", START, math.nan)], {"a": 1.0})
        assert (yield storage.recall(["a"])) == {}

    @inlineCallbacks
    def test_a_forgotten_series_is_gone(self, storage: Any) -> Any:
        """Points, declaration and state of a forgotten series are gone from every answer; others stay."""
        mine, other = '["total", "size", "first", {}]', '["total", "other", "first", {}]'
        yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes"))
        yield storage.write([Point("size", at(n), 1.0, build=in_build()) for n in range(5)], {mine: 1.0, other: 2.0})
        yield fill(storage, [7.0], "other", build=in_build())
        assert (yield storage.forget("size")) == 5
        assert [info.name for info in (yield storage.series())] == ["other"]
        assert (yield storage.points(Query("size"), 10)) == []
        assert [point.series for point in (yield storage.records(101))] == ["other"]
        assert (yield storage.recall([mine, other])) == {other: 2.0}
        assert (yield ask(storage, "count")) == {"count": 0.0}

    @inlineCallbacks
    def test_a_forgotten_series_starts_anew(self, storage: Any) -> Any:
        """After it was forgotten, a series may have another kind and unit, and counts from nothing."""
        yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes"))
        yield fill(storage, [1.0, 2.0], build=in_build())
        yield storage.forget("size")
        info = SeriesInfo("size", Kind.DURATION, "s")
        assert (yield storage.declare(info)) == info
        yield fill(storage, [3.0], build=in_build())
        assert (yield ask(storage, "count,sum")) == {"count": 1.0, "sum": 3.0}
        assert (yield storage.forget("size")) == 1

    @inlineCallbacks
    def test_forgetting_what_is_not_there(self, storage: Any) -> Any:
        """A series that no one knows has no points to remove."""
        assert (yield storage.forget("nothing")) == 0


class LocalContract(KeeperContract):
    """Stores that change no name and no tag on the way."""

    longest_tag_value = 70_000
    hostile_names = (*HOSTILE_NAMES, "#hash", "ends in a backslash\\", "tab\tand\nnewline\rreturn", "nul\0byte", "__x")

    @inlineCallbacks
    def test_a_tag_without_a_value_is_no_tag(self, storage: Any) -> Any:
        """An empty tag value is left out, and asking for it asks for points without that tag."""
        yield storage.write([Point("size", at(0), 1.0, {"k": "", "other": "x"}), Point("size", at(1), 2.0, {"k": "v"})])
        assert (yield storage.points(Query("size", tags={"k": ""}), 10)) == [Point("size", at(0), 1.0, {"other": "x"})]
        yield storage.write([Point("size", at(0), 5.0, {"other": "x"})])
        assert (yield ask(storage, "count,sum")) == {"count": 2.0, "sum": 7.0}

    @inlineCallbacks
    def test_lone_surrogates_are_refused(self, storage: Any) -> Any:
        """What UTF-8 cannot carry is refused with a StorageError, in a value and in a name."""
        for point in (
            Point("size", START, "\ud800"),
            Point("\ud800", START, 1.0),
            Point("size", START, 1.0, {"k": "\ud800"}),
        ):
            with pytest.raises(StorageError, match="surrogate"):
                yield storage.write([point])

    @inlineCallbacks
    def test_a_whole_number_becomes_a_float(self, storage: Any) -> Any:
        """An int is kept as the float that it is; one that no float can hold is refused."""
        yield fill(storage, [3, 2**60])
        assert [(value, type(value)) for value in values_of((yield storage.points(Query("size"), 9)))] == [
            (3.0, float),
            (2.0**60, float),
        ]
        with pytest.raises(StorageError, match="finite"):
            yield fill(storage, [10**400])

    @inlineCallbacks
    def test_questions_with_lone_surrogates_or_huge_times_are_answered(self, storage: Any) -> Any:
        """A question about what cannot be there is answered with nothing, or is a StorageError."""
        yield fill(storage, [1.0], build=in_build())
        assert (yield ask(storage, "count", since=-(10**30), until=10**30)) == {"count": 1.0}
        assert (yield storage.records(10**30)) == []
        assert (yield storage.last(Query("size"), before=10**30)).value == 1.0
        assert (yield storage.last(Query("size"), before=-(10**30))) is None

    @inlineCallbacks
    def test_values_near_the_largest_float_have_statistics(self, storage: Any) -> Any:
        """What no float can hold is None, and never an exception or NaN."""
        yield fill(storage, [1.7e308] * 3_000, build=in_build())
        got = yield ask(storage, "average,sum,deviation,maximum,minimum,count")
        assert got["sum"] is None
        assert (got["maximum"], got["minimum"], got["count"]) == (1.7e308, 1.7e308, 3000.0)
        assert all(value is None or math.isfinite(value) for value in got.values())
