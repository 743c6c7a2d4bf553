"""Queries: what a person writes, and the line that a value is compared with."""

from __future__ import annotations

from typing import Any

import pytest

from bbmeasure.errors import QueryError
from bbmeasure.model import BuildContext, Query, line_query, make_query
from bbmeasure.records import Kind


def test_filters_of_a_query() -> None:
    """Names are taken as they are, the unit's base unit is selected, and an empty filter counts as left out."""
    query = make_query("size", now=0.0, branch="main", proposal="*", kind="size", unit="MiB", builder="", worker=None)
    assert query == Query("size", branch="main", proposal="*", kind=Kind.SIZE, unit="bytes")


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"branch": 5}, "branch '5': expected a name"),
        ({"proposal": ["x"]}, "proposal"),
        ({"kind": "weight"}, "kind 'weight': expected one of count, duration"),
        ({"kind": 5}, "kind '5'"),
        ({"unit": "parsec"}, "unit 'parsec': expected one of"),
        ({"unit": 5}, "unit"),
        ({"unit": ["s"]}, "unit"),
    ],
)
def test_invalid_filters(filters: dict[str, Any], message: str) -> None:
    """QueryError names the argument."""
    with pytest.raises(QueryError, match=message):
        make_query("size", now=0.0, **filters)


def test_the_line_of_a_build() -> None:
    """The proposal makes no difference; by default each worker is a machine class."""
    context = BuildContext("b", "bot", 1, 2, branch="main", proposal="refs/pull/1")
    line = Query("size", builder="b", tags={"opt": "2"}, exact_tags=True, branch="main", machine="bot")
    assert line_query("size", {"opt": "2"}, context) == line
    shared = BuildContext("b", "bot", 1, 2, branch="main", machine="big")
    assert line_query("size", {}, shared) == Query("size", builder="b", exact_tags=True, branch="main", machine="big")


def test_builds_without_a_line() -> None:
    """Of an unknown target there is nothing to compare with; points outside builds are a line of their own."""
    assert line_query("size", {}, BuildContext("b", "bot", 1, 2, branch=None, proposal="gerrit/5")) is None
    assert line_query("size", {}, None) == Query("size", builder="", exact_tags=True)
