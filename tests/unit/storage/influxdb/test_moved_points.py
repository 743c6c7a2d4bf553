"""Tests of points that become points of a proposal, or of none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest_twisted

from bbmeasure.model import Point, Query
from tests.unit.storage.examples import at, in_build

inlineCallbacks = pytest_twisted.inlineCallbacks


@inlineCallbacks
def test_a_moved_point_is_deleted_under_its_former_tags_alone(make: Any) -> Any:
    """A point that becomes one of a proposal, or of none, leaves all others of its time and series alone."""
    storage = make()
    others = [
        Point("size", at(0), 1.0, {"k": "v"}, in_build(branch="main")),
        Point("size", at(0), 2.0, {}, in_build(worker="bot2", branch="main")),
        Point("size", at(0), 3.0, {}, in_build(builder="second", branch="main")),
        Point("size", at(0), 4.0),
        Point("other", at(0), 5.0, {}, in_build(branch="main")),
        Point("size", at(0) + 1, 6.0, {}, in_build(branch="main")),
        Point("size", at(0), 7.0, {"k": "w"}, in_build(branch="main", proposal="try")),
    ]
    point = Point("size", at(0), 8.0, {}, in_build(branch="main"))
    proposed = replace(point, value="text", build=in_build(branch="main", proposal="refs/pull/1"))
    for moved in (point, proposed, point):
        yield storage.write([moved])
        yield storage.write(others)
        yield storage.write([moved])
        other = yield storage.points(Query("other", proposal="*"), 99)
        size = yield storage.points(Query("size", proposal="*"), 99)
        found = sorted((str(one.value), one) for one in [*other, *size])
        assert [one for _, one in found] == [
            one for _, one in sorted((str(one.value), one) for one in [*others, moved])
        ]


@inlineCallbacks
def test_many_moved_points(make: Any) -> Any:
    """More points than one request deletes are deleted."""
    storage = make()
    builds = [in_build(branch="main"), in_build(branch="main", proposal="try")]
    for build in builds:
        yield storage.write([Point("size", at(second), 1.0, {"k": str(second % 7)}, build) for second in range(250)])
    assert {line.proposed for line in (yield storage.lines(Query("size", proposal="*")))} == {True}
    assert len((yield storage.points(Query("size", proposal="*"), 999))) == 250
