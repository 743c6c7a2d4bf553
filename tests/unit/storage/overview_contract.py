"""The contract of stores that values are captured into: overviews of lines, and computing."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_twisted import inlineCallbacks

from bbmeasure.errors import QueryError
from bbmeasure.model import OverviewQuery, Point, SeriesInfo
from bbmeasure.records import Kind
from tests.unit.storage.examples import at, in_build


def _written() -> list[Point]:
    """Two builders, two tags, two branches, a proposal, a text, a point outside builds, a build with two points."""
    sizes = [
        Point("size", at(n), float(n), {"part": part}, in_build(n, builder, branch=branch))
        for builder, part, branch, numbers in (
            ("first", "a", "main", (1, 2, 3)),
            ("first", "b", "main", (4,)),
            ("second", "a", "main", (5,)),
            ("first", "a", "next", (6,)),
        )
        for n in numbers
    ]
    return [
        *sizes,
        Point("size", at(7), 7.0, {"part": "a"}, in_build(7, branch="main", proposal="refs/pull/1")),
        Point("size", at(3.5), 3.5, {"part": "a"}, in_build(3, branch="main")),
        Point("compiler", at(8), "gcc", {}, in_build(8, branch="main")),
        Point("load", at(9), 0.5),
    ]


def _names(overview: Any) -> list[tuple[Any, ...]]:
    return [(row.line.series, row.line.builder, dict(row.line.tags), row.line.branch) for row in overview.rows]


_ALL = [
    ("compiler", "first", {}, "main"),
    ("load", None, {}, None),
    ("size", "first", {"part": "a"}, "main"),
    ("size", "first", {"part": "a"}, "next"),
    ("size", "first", {"part": "b"}, "main"),
    ("size", "second", {"part": "a"}, "main"),
]


class OverviewContract:
    """Overviews of lines, and computing."""

    @inlineCallbacks
    def test_an_overview_has_a_row_for_each_line(self, storage: Any) -> Any:
        """A row describes its line, with the newest point and one value a build; proposals are left out."""
        yield storage.write(_written())
        overview = yield storage.overview(OverviewQuery())
        assert (overview.total, _names(overview)) == (6, _ALL)
        text, outside, main = overview.rows[:3]
        assert (text.line.kind, text.line.last_value, text.values, text.build) == (Kind.TEXT, "gcc", (), 8)
        assert (outside.build, outside.buildid, outside.values, outside.line.last) == (None, None, (0.5,), at(9))
        assert main.values == (1.0, 2.0, 3.5)
        assert (main.line.last_value, main.line.count, main.build, main.buildid) == (3.5, 4, 3, 103)

    @inlineCallbacks
    def test_an_overview_is_filtered_and_paged(self, storage: Any) -> Any:
        """Each filter leaves lines out; a page has the number of all rows that match."""
        yield storage.write(_written())
        for filters, numbers in (
            ({"series": "size"}, [2, 3, 4, 5]),
            ({"series": "no such series"}, []),
            ({"search": ("IZ", "s")}, [2, 3, 4, 5]),
            ({"search": ("size", "o")}, []),
            ({"builder": "second"}, [5]),
            ({"builder": ""}, [1]),
            ({"branch": "next"}, [3]),
            ({"since": at(6)}, [0, 1, 3]),
            ({"kind": Kind.TEXT}, [0]),
            ({"unit": "bytes"}, []),
            ({"builders": frozenset({"second", ""})}, [1, 5]),
            ({"builders": frozenset()}, []),
        ):
            overview = yield storage.overview(OverviewQuery(**filters))
            assert (overview.total, _names(overview)) == (len(numbers), [_ALL[number] for number in numbers]), filters
        for offset, numbers in ((0, [0, 1]), (4, [4, 5]), (5, [5]), (6, [])):
            page = yield storage.overview(OverviewQuery(offset=offset, limit=2))
            assert (page.total, _names(page)) == (6, [_ALL[number] for number in numbers])

    @inlineCallbacks
    def test_an_overview_has_the_newest_values(self, storage: Any) -> Any:
        """A row has as many values as requested, the newest, over all workers of its machine class."""
        builds = [in_build(n, worker=f"w{n % 2}", machine="big") for n in range(1, 10)]
        yield storage.write([Point("size", at(n), float(n), {}, build) for n, build in enumerate(builds, start=1)])
        for count, values in ((0, ()), (1, (9.0,)), (4, (6.0, 7.0, 8.0, 9.0)), (50, tuple(map(float, range(1, 10))))):
            (row,) = (yield storage.overview(OverviewQuery(values=count))).rows
            assert (row.values, row.line.machine) == (values, "big")

    @inlineCallbacks
    def test_kinds_and_units_of_one_name_are_apart(self, storage: Any) -> Any:
        """Lines have the kind and unit of their builder's series."""
        for builder, unit in (("first", "s"), ("second", "bytes")):
            kind = Kind.DURATION if unit == "s" else Kind.SIZE
            yield storage.declare(SeriesInfo("x", kind, unit, builders=(builder,)))
            yield storage.write([Point("x", at(1), 1.0, {}, in_build(1, builder))])
        overview = yield storage.overview(OverviewQuery())
        assert [(row.line.unit, row.line.builder) for row in overview.rows] == [("s", "first"), ("bytes", "second")]

    @inlineCallbacks
    def test_a_function_is_computed(self, storage: Any) -> Any:
        """The Deferred fires with the result of the function, or fails with its error."""
        assert (yield storage.compute(sorted, [2, 1])) == [1, 2]

        def refuse() -> None:
            raise QueryError("no")

        with pytest.raises(QueryError, match="no"):
            yield storage.compute(refuse)
