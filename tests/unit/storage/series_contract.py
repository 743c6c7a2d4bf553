"""The contract of every store: declarations and the list of series."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_twisted import inlineCallbacks

from bbmeasure import statistics
from bbmeasure.errors import QueryError, SeriesConflictError
from bbmeasure.model import Point, Query, SeriesInfo
from bbmeasure.records import Direction, Kind
from tests.unit.storage.examples import at, fill, in_build, summarize


class SeriesContract:
    """Declarations of series, and their list."""

    @inlineCallbacks
    def test_a_declaration_holds_for_one_builder(self, storage: Any) -> Any:
        """Two builders may give one name two kinds and units; each holds to its own."""
        size = SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER, ("first",))
        text = SeriesInfo("size", Kind.TEXT, builders=("second",))
        assert (yield storage.declare(size)) == size
        assert (yield storage.declare(text)) == text
        with pytest.raises(SeriesConflictError):
            yield storage.declare(SeriesInfo("size", Kind.TEXT, builders=("first",)))

    @inlineCallbacks
    def test_the_list_of_a_branch_or_proposal(self, storage: Any) -> Any:
        """Only series with points of the branch or proposal are listed, described by these points alone."""
        yield storage.declare(SeriesInfo("empty", Kind.SIZE, "bytes", builders=("a",)))
        yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes", builders=("a",)))
        builds = [
            ("size", 0, in_build(1, "a", branch="main")),
            ("size", 1, in_build(2, "b", branch="main")),
            ("size", 2, in_build(3, "a", branch="release")),
            ("size", 3, in_build(4, "a", branch="main", proposal="refs/pull/1")),
            ("size", 4, in_build(5, "a", branch="main", proposal="refs/pull/2")),
            ("other", 5, in_build(6, "a", branch="release", proposal="refs/pull/1")),
        ]
        yield storage.write([Point(name, at(n), float(n), {}, build) for name, n, build in builds])

        @inlineCallbacks
        def listed(builders: Any = None, **filters: Any) -> Any:
            infos = yield storage.series(builders, **filters)
            return {
                (info.name, info.unit): (info.count, info.first, info.last, info.last_value, info.builders)
                for info in infos
            }

        size, plain = ("size", "bytes"), ("size", "1")
        second = (1, at(1), at(1), 1.0, ("b",))
        other, empty = ("other", "1"), {("empty", "bytes"): (0, None, None, None, ("a",))}
        assert (yield listed(branch="main")) == {size: (1, at(0), at(0), 0.0, ("a",)), plain: second}
        of_main = {size: (3, at(0), at(4), 4.0, ("a",)), plain: second}
        assert (yield listed(branch="main", proposal="*")) == of_main
        assert (yield listed()) == {size: (2, at(0), at(2), 2.0, ("a",)), plain: second, **empty}
        assert (yield listed(proposal="*")) == {
            size: (4, at(0), at(4), 4.0, ("a",)),
            plain: second,
            other: (1, at(5), at(5), 5.0, ("a",)),
            **empty,
        }
        assert (yield listed(proposal="refs/pull/1")) == {
            size: (1, at(3), at(3), 3.0, ("a",)),
            other: (1, at(5), at(5), 5.0, ("a",)),
        }
        assert (yield listed(branch="release", proposal="refs/pull/1")).keys() == {other}
        assert (yield listed(frozenset(["a"]))) == {size: (2, at(0), at(2), 2.0, ("a",))}
        assert (yield listed(frozenset(["a"]), proposal="*")).keys() == {size, other}
        assert (yield listed(frozenset(["b"]), branch="main")) == {plain: second}
        assert (yield listed(frozenset(["b"]), proposal="refs/pull/1")) == {}
        assert (yield listed(branch="unknown")) == {}

    @inlineCallbacks
    def test_proposals_change_nothing_in_the_list(self, storage: Any) -> Any:
        """Count, times, last value, builders and direction of a series are those of trusted builds alone."""
        yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER, ("a",)))
        yield storage.write([Point("size", at(5), 5.0, {}, in_build(1, "a")), Point("size", at(6), 6.0)])
        before = yield storage.series()
        of_some = yield storage.series(frozenset(["a", "b", "try"]))
        proposed = [
            Point(name, at(second), 99.0, {"k": "v"}, in_build(n, builder, proposal="refs/pull/1"))
            for n, (name, builder) in enumerate((("size", "a"), ("size", "try"), ("odd", "a"), ("odd", "try")), 2)
            for second in (0, 9)
        ]
        yield storage.write(proposed)
        assert (yield storage.series()) == before
        assert (yield storage.series(frozenset(["a", "b", "try"]))) == of_some
        everything = yield storage.series(proposal="*")
        assert {(info.name, info.unit): (info.count, info.builders) for info in everything} == {
            ("odd", "1"): (4, ("a", "try")),
            ("size", "1"): (3, ("try",)),
            ("size", "bytes"): (3, ("a",)),
        }
        yield storage.write([Point("odd", at(7), 7.0, {}, in_build(9, "a"))])
        (odd, *_) = yield storage.series()
        assert (odd.name, odd.count, odd.first, odd.last_value, odd.builders) == ("odd", 1, at(7), 7.0, ("a",))

    @inlineCallbacks
    def test_kinds_and_units_are_listed_apart_and_never_mixed(self, storage: Any) -> Any:
        """``series`` returns one row for each kind and unit; a query that would mix them fails and names them."""
        for builder, kind, unit in (("a", Kind.SIZE, "bytes"), ("b", Kind.SIZE, "bytes"), ("c", Kind.DURATION, "s")):
            yield storage.declare(SeriesInfo("size", kind, unit, builders=(builder,)))
            yield fill(storage, [1.0, 2.0], build=in_build(builder=builder))
        infos = yield storage.series()
        assert [(info.kind, info.unit, info.builders, info.count) for info in infos] == [
            (Kind.DURATION, "s", ("c",), 2),
            (Kind.SIZE, "bytes", ("a", "b"), 4),
        ]
        for question in (
            lambda query: storage.summarize(query, statistics.find_all(["count"])),
            lambda query: storage.points(query, 10),
            lambda query: storage.buckets(query, 2),
        ):
            with pytest.raises(QueryError, match="one kind and unit.*duration in s of c, size in bytes of a"):
                yield question(Query("size"))
            yield question(Query("size", builder="a"))
            yield question(Query("size", builders=frozenset(["a", "b"])))
        assert (yield summarize(storage, "count", unit="bytes")) == {"count": 4.0}
        assert (yield summarize(storage, "count", kind=Kind.DURATION)) == {"count": 2.0}

    @inlineCallbacks
    def test_lines(self, storage: Any) -> Any:
        """A line is one builder, set of tags, branch and machine class; points of proposals are lines of their own."""
        yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes", builders=("first",)))
        builds = [
            in_build(1, branch="main"),
            in_build(2, branch="main", worker="bot2"),
            in_build(3, branch="main", worker="bot2", machine="big"),
            in_build(4, branch="main", worker="bot3", machine="big"),
            in_build(5, branch="release"),
            in_build(6, branch="main", proposal="refs/pull/1"),
            in_build(7, branch="main", proposal="refs/pull/2"),
            in_build(8, proposal="refs/pull/3"),
        ]
        points = [Point("size", at(second), float(second), {}, build) for second, build in enumerate(builds)]
        yield storage.write([*points, Point("size", at(20), 20.0, {"k": "v"}, builds[0])])
        lines = yield storage.lines(Query("size", proposal="*"))
        shown = [(line.tags, line.branch, line.machine, line.proposed, line.count, line.last_value) for line in lines]
        assert shown == [
            ({"k": "v"}, "main", "bot1", False, 1, 20.0),
            ({}, None, "bot1", True, 1, 7.0),
            ({}, "main", "big", False, 2, 3.0),
            ({}, "main", "bot1", False, 1, 0.0),
            ({}, "main", "bot1", True, 2, 6.0),
            ({}, "main", "bot2", False, 1, 1.0),
            ({}, "release", "bot1", False, 1, 4.0),
        ]
        assert {(line.series, line.builder, line.kind, line.unit) for line in lines} == {
            ("size", "first", Kind.SIZE, "bytes")
        }
        assert [line.proposed for line in (yield storage.lines(Query("size")))] == [False] * 5

    @inlineCallbacks
    def test_workers(self, storage: Any) -> Any:
        """The workers of the matching points are sorted; points outside builds have none."""
        builds = [in_build(1, worker="bot2"), in_build(2), in_build(3, worker="bot2"), None]
        builds += [in_build(4, worker="bot3", proposal="refs/pull/1"), in_build(5, builder="second", worker="bot4")]
        yield storage.write([Point("size", at(second), 1.0, {}, build) for second, build in enumerate(builds)])
        yield storage.write([Point("text", at(1), "x", {}, in_build(1, worker="bot5"))])
        assert (yield storage.workers(Query("size"))) == ["", "bot1", "bot2", "bot4"]
        assert (yield storage.workers(Query("size", builder="first", proposal="*"))) == ["bot1", "bot2", "bot3"]
        assert (yield storage.workers(Query("size", worker="bot2"))) == ["bot2"]
        assert (yield storage.workers(Query("text"))) == ["bot5"]
        assert (yield storage.workers(Query("unknown"))) == []

    @inlineCallbacks
    def test_the_first_declaration_of_a_series_decides(self, storage: Any) -> Any:
        """``declare`` returns the declaration in effect; another unit or kind fails with a SeriesConflictError."""
        info = SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER)
        assert (yield storage.declare(info)) == info
        assert (yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes"))) == info
        assert (yield storage.declare(SeriesInfo("size", Kind.NUMBER, "bytes"))) == info
        with pytest.raises(SeriesConflictError, match="bytes"):
            yield storage.declare(SeriesInfo("size", Kind.SIZE, "s"))
        with pytest.raises(SeriesConflictError, match="count"):
            yield storage.declare(SeriesInfo("size", Kind.COUNT, "bytes"))

    @inlineCallbacks
    def test_a_direction_may_be_declared_later(self, storage: Any) -> Any:
        """A direction replaces the former one; a declaration without a direction keeps it."""
        yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes"))
        later = SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER)
        assert (yield storage.declare(later)) == later
        turned = SeriesInfo("size", Kind.SIZE, "bytes", Direction.HIGHER)
        assert (yield storage.declare(turned)) == turned

    @inlineCallbacks
    def test_a_kind_may_be_overridden(self, storage: Any) -> Any:
        """``override`` replaces the kind, but never the unit."""
        yield storage.declare(SeriesInfo("size", Kind.NUMBER))
        counted = SeriesInfo("size", Kind.COUNT)
        assert (yield storage.declare(counted, override=True)) == counted
        assert (yield storage.declare(SeriesInfo("size", Kind.NUMBER))) == counted
        with pytest.raises(SeriesConflictError):
            yield storage.declare(SeriesInfo("size", Kind.DURATION, "s"), override=True)

    @inlineCallbacks
    def test_series_have_counts_times_and_last_values(self, storage: Any) -> Any:
        """``series`` returns kind, builders, count, times and last value of each series, ordered by name."""
        for builder in ("first", "second"):
            yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER, (builder,)))
        yield storage.declare(SeriesInfo("compiler", Kind.TEXT))
        yield fill(storage, [1.0, 2.0], build=in_build(builder="second"))
        yield fill(storage, [3.0, 4.0, 5.0], build=in_build(builder="first"))
        yield fill(storage, ["gcc"], "compiler")
        infos = yield storage.series()
        assert [info.last_builder for info in infos] == [None, "first"]
        assert infos == [
            SeriesInfo("compiler", Kind.TEXT, "1", Direction.NONE, (), 1, at(0), at(0), "gcc"),
            SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER, ("first", "second"), 5, at(0), at(2), 5.0),
        ]

    @inlineCallbacks
    def test_series_of_some_builders_exclude_all_others(self, storage: Any) -> Any:
        """Count, times and last value are of the given builders alone; series without points of them are left out.

        The access control of the page depends on it.
        """
        for builder in (("first",), ("fir",), ("First",), ('first" OR 1=1 --',), ("hidden",), ()):
            yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER, builder))
        yield storage.declare(SeriesInfo("empty", Kind.SIZE, "bytes", builders=("first",)))
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
    def test_an_undeclared_series_is_a_number_or_a_text(self, storage: Any) -> Any:
        """A series that was written without a declaration is listed, and may be declared later."""
        yield fill(storage, [1.0])
        yield fill(storage, ["gcc"], "compiler")
        kinds = {info.name: info.kind for info in (yield storage.series())}
        assert kinds == {"size": Kind.NUMBER, "compiler": Kind.TEXT}
        info = SeriesInfo("size", Kind.SIZE, "bytes")
        assert (yield storage.declare(info)) == info

    @inlineCallbacks
    def test_a_declared_series_is_listed_without_points(self, storage: Any) -> Any:
        """A series without points has a count of 0 and no times."""
        info = SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER)
        yield storage.declare(info)
        assert (yield storage.series()) == [info]

    @inlineCallbacks
    def test_health_has_the_name_and_counters(self, storage: Any) -> Any:
        """The health of a working store has a name, no error, no backlog and nothing dropped."""
        yield fill(storage, [1.0])
        health = storage.health()
        assert health.name
        assert health.last_error is None
        assert health.backlog == 0
        assert not health.counters.get("dropped")

    @inlineCallbacks
    def test_an_overriding_unit(self, storage: Any) -> Any:
        """With ``override_unit`` the new unit and its kind replace the former; a text never becomes a number."""
        yield storage.declare(SeriesInfo("size", Kind.DURATION, "s", Direction.LOWER, ("first",)))
        yield fill(storage, [1.0, 2.0], build=in_build())
        wanted = SeriesInfo("size", Kind.SIZE, "bytes", builders=("first",))
        with pytest.raises(SeriesConflictError):
            yield storage.declare(wanted, override=True)
        declared = yield storage.declare(wanted, override_unit=True)
        assert (declared.kind, declared.unit, declared.better) == (Kind.SIZE, "bytes", Direction.LOWER)
        (info,) = yield storage.series()
        assert (info.kind, info.unit, info.count, info.last_value) == (Kind.SIZE, "bytes", 2, 2.0)
        with pytest.raises(SeriesConflictError):
            yield storage.declare(SeriesInfo("size", Kind.TEXT, builders=("first",)), override=True, override_unit=True)
