"""Serializers of the JSON API and of ``--json``."""

from __future__ import annotations

import json
import math

import pytest

from bbmeasure.model import Bucket, BuildContext, Health, Point, Query, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.reports import serialize
from bbmeasure.reports.selection import Selection

NOW = 1_790_000_000
FIELDS_OF_BUILDS = ("builder", "build", "buildid", "worker", "revision", "branch", "proposal")
SIZE = SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER, ("a", "b"), 2, NOW * 10**9, (NOW + 1) * 10**9, 5.0)
TEXT = SeriesInfo("version", Kind.TEXT)
BUILD = BuildContext("a", "bot", 7, 107, "measure", "abc", "main", proposal="refs/pull/12")


def test_series():
    """Kind, unit and direction are words, times are unix seconds, missing values are null."""
    assert serialize.series_answer([SIZE, TEXT]) == {
        "series": [
            {
                "name": "size",
                "kind": "size",
                "unit": "bytes",
                "better": "lower",
                "builders": ["a", "b"],
                "count": 2,
                "first": NOW,
                "last": NOW + 1,
                "last_value": 5.0,
                "last_builder": None,
                "last_tags": None,
            },
            {
                "name": "version",
                "kind": "text",
                "unit": "1",
                "better": None,
                "builders": [],
                "count": 0,
                "first": None,
                "last": None,
                "last_value": None,
                "last_builder": None,
                "last_tags": None,
            },
        ]
    }


def test_a_count_is_an_integer():
    """The count is an integer also among the statistics; statistics without data are null."""
    answer = serialize.statistics_answer(
        Selection(SIZE, 2, ("main", None)),
        Query("size", builder="a", branch="main"),
        3,
        {"count": 3.0, "average": 1.5, "p95": None},
    )
    assert answer == {
        "series": "size",
        "builder": "a",
        "branch": "main",
        "unit": "bytes",
        "kind": "size",
        "count": 3,
        "lines": 2,
        "branches": ["main", None],
        "statistics": {"count": 3, "average": 1.5, "p95": None},
    }
    assert json.dumps(answer["statistics"]["count"]) == "3"


def test_a_point_of_a_build():
    """Builder and worker have fields of their own and are not among the tags."""
    point = Point("size", NOW * 10**9 + 250_000_000, 1.5, {"opt": "O2", "builder": "a", "worker": "bot"}, BUILD)
    assert serialize.points_answer(SIZE, [point]) == {
        "series": "size",
        "unit": "bytes",
        "points": [
            {
                "time": NOW + 0.25,
                "value": 1.5,
                "builder": "a",
                "build": 7,
                "buildid": 107,
                "worker": "bot",
                "revision": "abc",
                "branch": "main",
                "proposal": "refs/pull/12",
                "tags": {"opt": "O2"},
            }
        ],
    }


def test_a_point_outside_builds():
    """The fields of builds are null in a point outside builds, as is the proposal of a build that builds none."""
    trusted = BuildContext("a", "bot", 7, 107, branch="main")
    assert serialize.point_answer(Point("size", NOW * 10**9, 3.0, build=trusted))["proposal"] is None
    answer = serialize.point_answer(Point("queue", NOW * 10**9, 3.0))
    assert [answer[key] for key in FIELDS_OF_BUILDS] == [None] * 7


def test_an_empty_bucket():
    """An interval without points is included, with nulls."""
    buckets = [Bucket(NOW * 10**9, 0, None, None, None), Bucket((NOW + 1) * 10**9, 2, 1.5, 1.0, 2.0)]
    assert serialize.buckets_answer(SIZE, buckets)["buckets"] == [
        {"time": NOW, "count": 0, "average": None, "minimum": None, "maximum": None},
        {"time": NOW + 1, "count": 2, "average": 1.5, "minimum": 1.0, "maximum": 2.0},
    ]


def test_a_record_has_the_previous_value():
    """A record has its step, the previous value, and the change as a fraction of that."""
    point, before = (Point("size", NOW * 10**9, value, {"opt": "O2"}, BUILD) for value in (110.0, 100.0))
    assert serialize.records_answer([(point, SIZE, before)]) == {
        "records": [
            {
                "series": "size",
                "step": "measure",
                "branch": "main",
                "proposal": "refs/pull/12",
                "value": 110.0,
                "unit": "bytes",
                "kind": "size",
                "better": "lower",
                "previous": 100.0,
                "change": 0.1,
                "tags": {"opt": "O2"},
            }
        ]
    }
    alone = serialize.record_answer(point, SIZE, None)
    assert (alone["previous"], alone["change"]) == (None, None)


@pytest.mark.parametrize(
    ("value", "previous", "change"),
    [
        (110.0, 100.0, 0.1),
        (90.0, 100.0, -0.1),
        (-110.0, -100.0, -0.1),
        (5.0, 0.0, None),
        (5.0, None, None),
        ("2.0", "1.0", None),
        (2.0, "1.0", None),
        (1e308, -1e308, None),
        (1e308, 1e-308, None),
    ],
)
def test_the_change_is_a_fraction_of_the_value_before(value, previous, change):
    """A decrease is negative also below zero; texts, a change from 0 and an overflow give None."""
    result = serialize.change_of(value, previous)
    assert result is None if change is None else math.isclose(result, change)


def test_health_has_ages_and_no_credentials():
    """The age of the oldest queued point is in seconds; credentials in a URL are redacted."""
    sink = Health("InfluxDBInstance", 12, (NOW - 60) * 10**9, "POST http://user:secret@host/ failed", {"refused": 1})
    answer = serialize.health_answer(NOW, {"late": 1, "captured": 5}, [Health("journal")], [sink])
    assert answer == {
        "counters": {"captured": 5, "late": 1},
        "stores": [{"name": "journal", "backlog": 0, "age": None, "last_error": None, "counters": {}}],
        "sinks": [
            {
                "name": "InfluxDBInstance",
                "backlog": 12,
                "age": 60.0,
                "last_error": "POST http://***@host/ failed",
                "counters": {"refused": 1},
            }
        ],
    }
