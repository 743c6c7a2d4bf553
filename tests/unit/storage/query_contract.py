"""The contract of every store: which points a query matches."""

from __future__ import annotations

from collections.abc import Generator
from operator import methodcaller
from typing import Any

import pytest
from pytest_twisted import inlineCallbacks

from bbmeasure.errors import QueryError
from bbmeasure.model import Point, Query
from tests.unit.storage.examples import at, fill, in_build, summarize, values_of


class QueryContract:
    """Filters, ranges, limits, the last point and the points of a build."""

    @inlineCallbacks
    def test_a_chain_of_queries(self, storage: Any) -> Any:
        """Each query is made from the results of those before, and the error of a query is that of the chain."""
        yield fill(storage, range(10), build=in_build())

        def chain(limit: int) -> Generator[Any, Any, Any]:
            (line,) = yield methodcaller("lines", Query("size"))
            points = yield methodcaller("points", Query("size", since=line.first, until=line.last), limit)
            return line.count, values_of(points)

        assert (yield storage.run_chain(chain(3))) == (10, [6.0, 7.0, 8.0])
        with pytest.raises(QueryError):
            yield storage.run_chain(chain(0))

    @inlineCallbacks
    def test_a_range_is_since_to_before_until(self, storage: Any) -> Any:
        """A point at ``since`` is in a range, one at ``until`` is not."""
        yield fill(storage, range(10), build=in_build())
        assert values_of((yield storage.points(Query("size", since=at(3), until=at(6)), 10))) == [3.0, 4.0, 5.0]
        assert (yield summarize(storage, "count,sum", since=at(3), until=at(6))) == {"count": 3.0, "sum": 12.0}
        assert (yield summarize(storage, "count", since=at(3))) == {"count": 7.0}
        assert (yield summarize(storage, "count", until=at(3))) == {"count": 3.0}
        assert (yield summarize(storage, "count", since=at(3), until=at(3))) == {"count": 0.0}

    @inlineCallbacks
    def test_proposals_are_left_out_unless_they_are_asked_for(self, storage: Any) -> Any:
        """Without ``proposal`` a query matches every branch and no proposal, with ``*`` both, else one proposal."""
        builds = [
            in_build(1, branch="main"),
            in_build(2, branch="release"),
            in_build(3, branch="main", proposal="refs/pull/1"),
            in_build(4, branch="main", proposal="refs/pull/2"),
            in_build(5, proposal="refs/pull/2"),
            in_build(6),
        ]
        points = [Point("size", at(second), float(second), {}, build) for second, build in enumerate(builds)]
        yield storage.write(points)
        for filters, numbers in (
            ({}, [0, 1, 5]),
            ({"branch": "main"}, [0]),
            ({"proposal": "*"}, [0, 1, 2, 3, 4, 5]),
            ({"proposal": "*", "branch": "main"}, [0, 2, 3]),
            ({"proposal": "refs/pull/2"}, [3, 4]),
            ({"proposal": "refs/pull/2", "branch": "main"}, [3]),
            ({"proposal": "refs/pull/9"}, []),
            ({"branch": "no such branch"}, []),
        ):
            query = Query("size", **filters)
            expected = [points[number] for number in numbers]
            assert (yield storage.points(query, 10)) == expected
            assert (yield storage.points(query, 1)) == expected[-1:]
            assert (yield storage.last(query)) == (expected[-1] if expected else None)
            counted = yield summarize(storage, "count,sum", **filters)
            assert counted == {"count": float(len(numbers)), "sum": float(sum(numbers)) if numbers else None}
            assert sum(bucket.count for bucket in (yield storage.buckets(query, 3))) == len(numbers)
        assert (yield storage.last(Query("size", branch="main"), before=104)) == points[0]
        assert (yield storage.records(103)) == [points[2]]

    @inlineCallbacks
    def test_machine_classes_choose_points(self, storage: Any) -> Any:
        """A worker without a class is a class of its own name."""
        builds = [
            in_build(1, worker="a"),
            in_build(2, worker="b", machine="big"),
            in_build(3, worker="a", machine="big"),
        ]
        points = [Point("size", at(second), float(second), {}, build) for second, build in enumerate(builds)]
        yield storage.write(points)
        assert (yield storage.points(Query("size", machine="big"), 10)) == points[1:]
        assert (yield storage.points(Query("size", machine="a"), 10)) == points[:1]
        assert (yield storage.points(Query("size", worker="a"), 10)) == points[::2]

    @inlineCallbacks
    def test_a_point_that_moves_to_another_branch_is_kept_once(self, storage: Any) -> Any:
        """Branch and machine class are no part of a point's identity: the point that was written last is kept."""
        first = Point("size", at(5), 1.0, {}, in_build(branch="main"))
        yield storage.write([first, Point("size", at(6), 2.0, {}, in_build(2, branch="main"))])
        for moved in (
            Point("size", at(5), 1.0, {}, in_build(branch="release")),
            Point("size", at(5), 1.5, {}, in_build(branch="release", machine="big")),
            Point("size", at(5), 1.5, {}, in_build(branch="main", proposal="try")),
        ):
            yield storage.write([moved])
            assert [one for one in (yield storage.points(Query("size", proposal="*"), 10)) if one.time == at(5)] == [
                moved
            ]
            assert (yield summarize(storage, "count", proposal="*")) == {"count": 2.0}

    @inlineCallbacks
    def test_builder_worker_and_tags_choose_points(self, storage: Any) -> Any:
        """A point must match every given filter."""
        points = [
            Point("size", at(0), 1.0, {"target": "core"}, in_build()),
            Point("size", at(1), 2.0, {"target": "core", "opt": "O2"}, in_build(worker="bot2")),
            Point("size", at(2), 4.0, {"target": "gui"}, in_build(builder="second")),
        ]
        yield storage.write(points)
        assert (yield summarize(storage, "sum", builder="first")) == {"sum": 3.0}
        assert (yield summarize(storage, "sum", worker="bot1")) == {"sum": 5.0}
        assert (yield summarize(storage, "sum", tags={"target": "core"})) == {"sum": 3.0}
        assert (
            yield summarize(storage, "sum", builder="first", worker="bot2", tags={"target": "core", "opt": "O2"})
        ) == {"sum": 2.0}
        assert (yield summarize(storage, "sum", builder="second", tags={"target": "core"})) == {"sum": None}

    @inlineCallbacks
    def test_builders_restrict_every_query(self, storage: Any) -> Any:
        """``builders`` excludes all others from every result, and points outside builds unless ``""`` is given."""
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
            assert (yield summarize(storage, "sum", builders=frozenset(builders))) == {"sum": total}
            assert values_of((yield storage.points(query, 10)))[-1:] == ([] if last is None else [last])
            newest = yield storage.last(query)
            assert newest is None if last is None else newest.value == last
            count = sum(bucket.count for bucket in (yield storage.buckets(query, 3)))
            assert count == len((yield storage.points(query, 10)))
        assert (yield summarize(storage, "sum", builder="third", builders=frozenset(["first"]))) == {"sum": None}

    @inlineCallbacks
    def test_exact_tags_exclude_points_with_more_tags(self, storage: Any) -> Any:
        """With ``exact_tags`` a point must have the given tags and no others."""
        yield storage.write(
            [
                Point("size", at(0), 1.0, {}, in_build()),
                Point("size", at(1), 2.0, {"target": "core"}, in_build()),
                Point("size", at(2), 4.0, {"target": "core", "opt": "O2"}, in_build()),
            ]
        )
        assert (yield summarize(storage, "sum", exact_tags=True)) == {"sum": 1.0}
        assert (yield summarize(storage, "sum", tags={"target": "core"}, exact_tags=True)) == {"sum": 2.0}
        assert (yield summarize(storage, "sum", tags={"target": "core"})) == {"sum": 6.0}
        assert (yield storage.last(Query("size", exact_tags=True))).value == 1.0

    @inlineCallbacks
    def test_a_limit_selects_the_newest_points(self, storage: Any) -> Any:
        """``points`` returns the newest over all builders, oldest first."""
        for second in range(10):
            build = in_build(builder=("first", "second", "third")[second % 3])
            yield storage.write([Point("size", at(second), float(second), build=build)])
        assert values_of((yield storage.points(Query("size"), 4))) == [6.0, 7.0, 8.0, 9.0]

    @pytest.mark.parametrize("limit", [0, -1, 1_000_001])
    @inlineCallbacks
    def test_a_limit_out_of_range_fails(self, storage: Any, limit: int) -> Any:
        """A limit below 1 or above the maximum fails with a QueryError."""
        with pytest.raises(QueryError, match="limit"):
            yield storage.points(Query("size"), limit)

    @inlineCallbacks
    def test_the_last_point_is_the_newest(self, storage: Any) -> Any:
        """``last`` returns the newest matching point."""
        yield fill(storage, [1.0, 2.0, 3.0], build=in_build())
        yield storage.write([Point("size", at(1.5), 9.0, build=in_build(builder="second"))])
        assert (yield storage.last(Query("size"))).value == 3.0
        assert (yield storage.last(Query("size", builder="second"))).value == 9.0
        assert (yield storage.last(Query("size", until=at(2)))).value == 9.0

    @inlineCallbacks
    def test_the_last_point_of_an_earlier_build(self, storage: Any) -> Any:
        """``before`` excludes points of that build, of later builds and outside builds."""
        for number in (1, 2, 3):
            yield storage.write([Point("size", at(number), float(number), build=in_build(number))])
        yield storage.write([Point("size", at(9), 9.0)])
        assert (yield storage.last(Query("size"), before=103)).value == 2.0
        assert (yield storage.last(Query("size"), before=102)).value == 1.0
        assert (yield storage.last(Query("size"), before=101)) is None

    @inlineCallbacks
    def test_the_points_of_a_build(self, storage: Any) -> Any:
        """``records`` returns the points of all series of a build and of no other, ordered by time."""
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
        """Points of one build keep the revision that was known when each was captured."""
        points = [
            Point("size", at(1), 1.0, {}, in_build(1, revision=None)),
            Point("size", at(2), 2.0, {}, in_build(1, revision="abc")),
        ]
        yield storage.write(points)
        assert (yield storage.records(101)) == points
