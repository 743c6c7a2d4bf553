"""The layout of ``buildbot.statistics``, compared with what its own client writes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from influxdb.line_protocol import make_lines

from bbmeasure.capture.identity import point_of
from bbmeasure.capture.statistics_values import values_of
from bbmeasure.errors import RecordError
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.storage.influxdb.line_protocol import LineError, SkippedPointError
from bbmeasure.storage.influxdb.statistics_layout import StatisticsLineWriter, captured_types

BUILD = BuildContext("first builder", "bot", 7, 70)
TIME = 1_700_000_000_000_000_001
FIELD = {"_statistics_field": "value"}
PROPERTY = {**FIELD, "_statistics_property": "size"}
INTEGER = {**PROPERTY, "_statistics_type": "integer"}


def points_of(post_data: Any, series: str) -> list[Point]:
    return [point_of(value, TIME) for value in values_of(post_data, series, BUILD, TIME)]


def lines_of(post_data: Any, series: str, **types: Any) -> list[str]:
    writer = StatisticsLineWriter(**types)
    return [writer.line(point) for point in points_of(post_data, series)]


def stock_line(post_data: Any, series: str) -> str:
    point = {
        "measurement": series,
        "fields": post_data,
        "tags": {"builder_name": BUILD.builder, "build_number": str(BUILD.build)},
        "time": TIME,
    }
    return str(make_lines({"points": [point]})).rstrip("\n")


@pytest.mark.parametrize(
    ("post_data", "series"),
    [
        ({"name": "size KiB", "value": 12}, "first builder-size KiB"),
        ({"name": "size", "value": 12.5}, "first builder-size"),
        ({"name": "size", "value": True}, "first builder-size"),
        ({"name": "compiler", "value": 'gcc "12"'}, "first builder-compiler"),
        ({"duration": 3.25}, "first builder-build-times"),
        ({"start-time": "2026-01-01T00:00:00+00:00"}, "first builder-build-times"),
        ({"a=b, c": 1.0}, "first builder-data"),
    ],
)
def test_a_field_is_written_as_by_buildbot_statistics(post_data: Any, series: str) -> None:
    """Measurement, tags, fields and their types are the same."""
    assert lines_of(post_data, series) == [stock_line(post_data, series)]


@given(
    st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0)
    | st.integers(-(2**53), 2**53)
    | st.booleans()
)
def test_numbers_are_written_as_by_buildbot_statistics(value: Any) -> None:
    """Each number has the type that the client of ``buildbot.statistics`` gives it."""
    assert lines_of({"duration": value}, "b-build-times") == [stock_line({"duration": value}, "b-build-times")]


def test_the_fields_of_one_point_have_one_time_and_one_series_each() -> None:
    """InfluxDB merges lines of one measurement, tags and time into one point."""
    lines = lines_of({"a": 1.5, "b": "text", "none": None, "empty": ""}, "b-data")
    assert [line.replace("\\ ", "").split(" ")[1] for line in lines] == ["a=1.5", 'b="text"']
    assert {line.rsplit(" ", 1)[1] for line in lines} == {str(TIME)}
    assert [point.series for point in points_of({"a": 1.5, "b": "text"}, "b-data")] == ["b-data.a", "b-data.b"]


def test_field_types_of_the_configuration() -> None:
    """A pattern chooses the type of a number; rounding happens only where it chose an integer."""
    types = {"*-size.value": "integer", "*-count.value": "float"}
    assert " value=13i " in lines_of({"value": 12.6, "name": "size"}, "other-size", field_types=types)[0] + " "
    assert "value=12.0 " in lines_of({"value": 12}, "b-count", field_types=types)[0]
    assert "value=True" in lines_of({"value": True}, "b-count", field_types=types)[0]
    point = Point(
        "b-size",
        TIME,
        12.5,
        {"_statistics_field": "value", "_statistics_type": "integer", "_statistics_property": "size"},
        BUILD,
    )
    with pytest.raises(LineError, match="whole number"):
        StatisticsLineWriter().line(point)
    with pytest.raises(LineError, match="whole number"):
        StatisticsLineWriter(types).line(Point("b-size.value", TIME, 1e300, {"_statistics_field": "value"}, BUILD))


def test_other_points_are_skipped() -> None:
    """Points of steps and points outside builds are not sent to that database."""
    for point in (Point("size", TIME, 1.0, {}, BUILD), Point("size", TIME, 1.0, {"_statistics_field": "value"})):
        with pytest.raises(SkippedPointError):
            StatisticsLineWriter().line(point)


@pytest.mark.parametrize("post_data", [None, 12, "text", {"value": object()}, {"value": float("nan")}, {"": 1}])
def test_data_that_is_refused(post_data: Any) -> None:
    """What InfluxDB cannot store is refused with the reason."""
    with pytest.raises(RecordError):
        points_of(post_data, "b-data")


def test_captured_types() -> None:
    """The list of series gives the type of the last value of each field."""
    infos = [
        SeriesInfo("b-size", Kind.NUMBER, last_value=1.0, last_tags=PROPERTY),
        SeriesInfo("b-count", Kind.NUMBER, last_value=1.0, last_tags=INTEGER),
        SeriesInfo("b-t.s", Kind.TEXT, last_value="x", last_tags={"_statistics_field": "s"}),
        SeriesInfo("size", Kind.NUMBER, last_value=1.0, last_tags={}),
    ]
    assert captured_types(infos) == {"b-size.value": "float", "b-count.value": "integer", "b-t.s": "string"}
