"""Tests of databases that version 0.1 wrote."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
import requests

from bbmeasure.errors import SeriesConflictError
from bbmeasure.model import Point, Query, SeriesInfo
from bbmeasure.records import Direction, Kind
from tests.servers import Influxd
from tests.unit.storage.examples import at, in_build

inlineCallbacks = pytest_twisted.inlineCallbacks

#: What version 0.1 wrote: metadata without a builder, points without proposals and machine classes.
VERSION_1 = """
bbmeasure_series,series=size kind="size",unit="bytes",better="lower",name="size",master="one" 1700000000000000000
bbmeasure_series,series=idle kind="count",unit="1",better="none",name="idle",master="one" 1700000000000000000
size,builder=first,worker=bot1,target=core value=1,build=1i,buildid=101i,branch="main",step="s" 1700000000000000000
size,builder=second,worker=bot1 value=2,build=2i,buildid=102i,branch="refs/pull/5/merge" 1700000001000000000
size,builder=first,worker=bot1,machine=mine,proposal=mine value=4,build=3i,buildid=103i 1700000002000000000
"""


@inlineCallbacks
def test_a_database_of_version_0_1(make: Any, influxd: Influxd, database: str) -> Any:
    """Its metadata is valid for each builder that has none of its own; its points are of no proposal."""
    requests.post(
        influxd.url + "/write", params={"db": database}, data=VERSION_1.strip().encode(), timeout=60
    ).raise_for_status()
    storage = make()
    idle = SeriesInfo("idle", Kind.COUNT)
    size = SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER, ("first", "second"), 3, at(0), at(2), 4.0)
    assert (yield storage.series()) == [idle, size]
    for builder in ("first", "third"):
        with pytest.raises(SeriesConflictError):
            yield storage.declare(SeriesInfo("size", Kind.DURATION, "s", builders=(builder,)))
    found = yield storage.points(Query("size"), 9)
    assert found[0] == Point("size", at(0), 1.0, {"target": "core"}, in_build(step="s", branch="main"))
    assert found[2].tags == {"machine": "mine", "proposal": "mine"}
    assert (found[2].build.machine, found[2].build.proposal) == (None, "")
    assert [point.value for point in (yield storage.points(Query("size", machine="bot1", branch="main"), 9))] == [1.0]
    lines = yield storage.lines(Query("size", proposal="*"))
    assert [(line.builder, line.branch, line.machine, line.proposed) for line in lines] == [
        ("first", None, "bot1", False),
        ("first", "main", "bot1", False),
        ("second", "refs/pull/5/merge", "bot1", False),
    ]
    yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes", Direction.HIGHER, ("second",)))
    yield storage.write([Point("size", at(3), 8.0, {}, in_build(builder="third"))])
    (merged,) = [info for info in (yield storage.series()) if info.name == "size"]
    assert (merged.unit, merged.builders, merged.count) == ("bytes", ("first", "second", "third"), 4)
    assert (yield storage.forget("size")) == 4
    assert (yield storage.series()) == [idle]


@inlineCallbacks
def test_metadata_outside_builds_is_not_that_of_builders(make: Any, influxd: Influxd, database: str) -> Any:
    """Points outside builds have metadata of their own, which does not replace that of version 0.1."""
    requests.post(
        influxd.url + "/write", params={"db": database}, data=VERSION_1.strip().encode(), timeout=60
    ).raise_for_status()
    storage = make()
    yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes", Direction.HIGHER))
    yield storage.write([Point("size", at(5), 16.0)])
    (size,) = [info for info in (yield storage.series()) if info.name == "size"]
    assert (size.builders, size.count, size.better) == (("first", "second"), 4, Direction.NONE)
    rows = influxd.rows("SELECT * FROM bbmeasure_series WHERE \"series\" = 'size'", database)
    assert [(row["better"], row["outside"]) for row in rows] == [("lower", None), ("higher", "yes")]
