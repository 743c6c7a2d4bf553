"""What a query selects: kind and unit, and how many lines and branches it mixes."""

from __future__ import annotations

from typing import Optional

import pytest

from bbmeasure.errors import QueryError, UnknownSeriesError
from bbmeasure.model import EVERY_PROPOSAL, LineInfo, Query
from bbmeasure.records import Direction, Kind
from bbmeasure.reports.selection import every_line, select, select_nothing, without_range

QUERY = Query("size", 10, 20, branch="main")


def line(branch: Optional[str] = "main", first: int = 0, last: int = 30, **changes: str) -> LineInfo:
    unit, builder = changes.get("unit", "bytes"), changes.get("builder", "a")
    kind = Kind(changes.get("kind", "size"))
    return LineInfo("size", builder, {}, branch, "w", False, kind, unit, Direction.LOWER, 2, first, last, 1.0)


def test_lines_that_reach_into_the_range_are_counted() -> None:
    """Lines that end before ``since``, or begin at ``until`` or later, are not; their branches neither."""
    lines = [line("main"), line("b", 0, 10), line("c", 0, 9), line("d", 20, 30), line("e", 19, 30), line("main")]
    selection = select(QUERY, lines)
    assert selection is not None
    assert (selection.lines, selection.branches) == (4, ("b", "e", "main"))


def test_a_selection_without_a_range() -> None:
    """Every line is counted; a missing branch comes last."""
    selection = select(Query("size"), [line(None), line("z")])
    assert selection is not None
    assert (selection.lines, selection.branches) == (2, ("z", None))


def test_the_series_of_a_selection() -> None:
    """Kind, unit and direction are those of the lines, also where none reaches into the range."""
    selection = select(QUERY, [line(first=0, last=5)])
    assert selection is not None
    info = selection.info
    assert (info.name, info.kind, info.unit, info.better) == ("size", Kind.SIZE, "bytes", Direction.LOWER)
    assert (selection.lines, selection.branches) == (0, ())


def test_lines_of_several_units() -> None:
    """QueryError names the builders."""
    with pytest.raises(QueryError, match=r"got count in 1 of b, size in bytes of a; name a builder or a unit"):
        select(QUERY, [line(), line(builder="b", unit="1", kind="count")])


def test_a_query_that_nothing_matches() -> None:
    """The series is that of its newest line; a series without lines is unknown."""
    assert select(QUERY, []) is None
    selection = select_nothing(QUERY, [line(unit="s", kind="duration", last=40), line()])
    assert (selection.info.unit, selection.lines, selection.branches) == ("s", 0, ())
    with pytest.raises(UnknownSeriesError, match="series 'size': no such series"):
        select_nothing(QUERY, [])


def test_the_queries_for_lines() -> None:
    """One is the query without its range, the other selects all lines of the series, those of proposals too."""
    assert without_range(QUERY) == Query("size", branch="main")
    assert every_line(QUERY) == Query("size", proposal=EVERY_PROPOSAL)
