"""Statistics of one series, as the JSON API and the command line answer them."""

from __future__ import annotations

from typing import Optional

import pytest

from bbmeasure.errors import QueryError
from bbmeasure.model import Query, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.reports.selection import Selection
from bbmeasure.reports.series_statistics import DEFAULT_STATISTICS, StatisticsRequest, read_statistics

SIZE = SeriesInfo("size", Kind.SIZE, "bytes")


def names(text: Optional[str], kind: Kind = Kind.NUMBER) -> list[str]:
    return [statistic.name for statistic in read_statistics(text, kind)]


def test_statistics_are_separated_by_commas() -> None:
    """Blanks around a name are ignored, a percentile is a name, a repeated name counts once."""
    assert names("average, p95,p99.9 ,average") == ["average", "p95", "p99.9"]


@pytest.mark.parametrize("text", [None, "", " "])
def test_default_statistics(text: Optional[str]) -> None:
    """Numbers have ten default statistics, texts the three that exist for texts."""
    assert names(text) == list(DEFAULT_STATISTICS)
    assert names(text, Kind.TEXT) == ["count", "first", "last"]


@pytest.mark.parametrize("text", ["mean", "average,", "p101", "p", "average;count", ",".join(["p1"] * 33), "p1e2"])
def test_invalid_statistics_are_refused(text: str) -> None:
    """An unknown name, an empty name and too many names raise QueryError."""
    with pytest.raises(QueryError):
        read_statistics(text)


@pytest.mark.parametrize("requested", ["average,last", "count,average,last"])
def test_an_answer_has_the_requested_statistics_and_the_count(requested: str) -> None:
    """The store always computes the count; the answer lists it among the statistics only if it was requested."""
    request = StatisticsRequest(Selection(SIZE), Query("size", builder="first"), read_statistics(requested))
    assert {statistic.name for statistic in request.statistics} == {"average", "last", "count"}
    answer = request.answer({"average": 1.5, "last": None, "count": 3.0})
    assert (answer["builder"], answer["count"]) == ("first", 3)
    assert list(answer["statistics"]) == requested.split(",")
    assert answer["statistics"]["average"] == 1.5
