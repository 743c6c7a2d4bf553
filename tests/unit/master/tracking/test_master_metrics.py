"""MasterMetrics: tags, running totals, gauges, malformed events."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_twisted
from buildbot.process import metrics
from twisted.internet import reactor, task

from bbmeasure import captureData
from bbmeasure.capture.state import state_of
from bbmeasure.master.services.exporters import InfluxDBInstance
from bbmeasure.master.services.sqlite import SQLiteInstance
from bbmeasure.master.tracking.master_metrics import MasterMetrics
from bbmeasure.model import Query
from bbmeasure.storage.sqlite.journal import Journal
from tests.servers import Influxd
from tests.unit.master.fakes import FakeMaster

pytestmark = pytest.mark.usefixtures("long_deadlines")

inlineCallbacks = pytest_twisted.inlineCallbacks


@inlineCallbacks
def sample(master: FakeMaster, *events: Any) -> Any:
    """Sample these events, and wait until their points are on disk."""
    yield sample_with(MasterMetrics(state_of(master), task.Clock()), *events)


@inlineCallbacks
def sample_with(sampler: MasterMetrics, *events: Any) -> Any:
    """Sample these events with ``sampler``, and wait until their points are on disk."""
    for event in events:
        sampler.emit({"metric": event})
    yield sampler.sample()
    pipeline = sampler.pipeline
    yield pipeline.settle()
    while pipeline.storage.health().backlog:
        yield task.deferLater(reactor, 0)  # type: ignore[arg-type]
    assert not pipeline.counters["refused"]


def added(count: int) -> Any:
    return metrics.MetricCountEvent("added_changes", count)


@inlineCallbacks
def start(service: Any, master: FakeMaster) -> Any:
    service.parent = master
    yield service.startService()


@inlineCallbacks
def test_two_masters_in_one_database(tmp_path: Path) -> Any:
    """Each point of a master's metrics, of any kind, has the master's name as a tag."""
    with Influxd() as influxd:
        masters = [FakeMaster(tmp_path / name, f"{name}:/srv/master") for name in ("one", "two")]
        services = [InfluxDBInstance(url=influxd.url, database="both") for _ in masters]
        for master, service in zip(masters, services):
            yield start(service, master)
        alarm = metrics.MetricAlarmEvent("gc", msg="x")
        for number, master in enumerate(masters, start=1):
            yield sample(master, added(number), metrics.MetricTimeEvent("delay", number), alarm)
        end = reactor.seconds() + 10  # type: ignore[attr-defined]
        while any(service._exporter.counters["shipped"] < 7 for service in services):  # type: ignore[union-attr]  # of this type here
            assert reactor.seconds() < end  # type: ignore[attr-defined]
            yield task.deferLater(reactor, 0.02)  # type: ignore[arg-type]
        for series, values in (("added_changes", [1, 2]), ("delay", [1, 2]), ("queue_length", [0, 0])):
            rows = influxd.rows(f'SELECT "value", "master" FROM "master.{series}"', "both")
            assert [(row["master"], row["value"]) for row in sorted(rows, key=lambda row: row["master"])] == [
                (master.name, value) for master, value in zip(masters, values)
            ]
        rows = influxd.rows('SELECT "text", "master" FROM "master.alarm.gc"', "both")
        assert {row["master"] for row in rows} == {master.name for master in masters}
        for service in services:
            yield service.stopService()


@inlineCallbacks
def test_total_from_before_the_tag(tmp_path: Path) -> Any:
    """A running total continues from points without the tag, and from those of a master with another name."""
    master, service = FakeMaster(tmp_path / "m", "old"), SQLiteInstance()
    yield start(service, master)
    yield captureData("master.added_changes", 5, accumulate=True, kind="count", master=master)
    yield sample(master, added(2))
    master.name = "new"
    yield sample(master, added(1))
    points = yield state_of(master).pipeline.storage.points(Query("master.added_changes"), 9)
    assert [(point.value, dict(point.tags)) for point in points] == [
        (5, {}),
        (7, {"master": "old"}),
        (8, {"master": "new"}),
    ]
    yield service.stopService()


@inlineCallbacks
def test_tag_master_of_a_user(tmp_path: Path) -> Any:
    """The tag ``master`` of a user's own series keeps its value."""
    master, service = FakeMaster(tmp_path / "m", "the master"), SQLiteInstance()
    yield start(service, master)
    yield captureData("size", 1, tags={"master": "mine"}, master=master)
    (point,) = yield state_of(master).pipeline.storage.points(Query("size"), 9)
    assert dict(point.tags) == {"master": "mine"}
    yield service.stopService()


@pytest.mark.parametrize("name", ["h" * 2000, "two\nlines"])
@inlineCallbacks
def test_master_name_that_is_no_tag(tmp_path: Path, name: str) -> Any:
    """Metrics of a master whose name cannot be a tag are refused and counted, and sampling continues."""
    master, service = FakeMaster(tmp_path / "m", name), SQLiteInstance()
    yield start(service, master)
    sampler = MasterMetrics(state_of(master), task.Clock())
    for _ in range(2):
        sampler.emit({"metric": added(1)})
        yield sampler.sample()
    refused = state_of(master).pipeline.counters["refused"]
    assert refused >= 4
    assert refused % 2 == 0
    yield service.stopService()


def last(master: FakeMaster, series: str) -> Any:
    """The last point of a series."""
    return state_of(master).pipeline.storage.last(Query(series))


@inlineCallbacks
def test_gauges_from_before_the_observer(tmp_path: Path) -> Any:
    """Connected workers and running builds are counted however late the metrics are switched on."""
    master, service = FakeMaster(tmp_path / "m"), SQLiteInstance()
    master.workers.workers = {name: SimpleNamespace(conn=conn) for name, conn in (("a", 1), ("b", 1), ("c", None))}
    builds = [SimpleNamespace(finished=finished, buildid=None) for finished in (False, True)]
    master.botmaster.builders = {"b": SimpleNamespace(building=builds)}
    yield start(service, master)
    lost = metrics.MetricCountEvent
    yield sample(master, lost("AbstractWorker.attached_workers", -1), lost("BotMaster.attached_workers", -1))
    for series, count in (
        ("AbstractWorker.attached_workers", 2),
        ("BotMaster.attached_workers", 2),
        ("active_builds", 1),
    ):
        assert (yield last(master, f"master.{series}")).value == count
    yield service.stopService()


@inlineCallbacks
def test_decreasing_counter(tmp_path: Path) -> Any:
    """A counter that decreases becomes a gauge that starts from the sum before."""
    master, service = FakeMaster(tmp_path / "m"), SQLiteInstance()
    yield start(service, master)
    sampler = MasterMetrics(state_of(master), task.Clock())
    for changes, total in (((1, 1, 1), 3), ((1, -1), 3), ((-1,), 2), ((1,), 3)):
        yield sample_with(sampler, *[metrics.MetricCountEvent("open_files", change) for change in changes])
        assert (yield last(master, "master.open_files")).value == total
    yield service.stopService()


@inlineCallbacks
def test_malformed_metric(tmp_path: Path) -> Any:
    """An event with an unknown level or a count that is no number is refused and counted, and others are captured."""
    master, service = FakeMaster(tmp_path / "m"), SQLiteInstance()
    yield start(service, master)
    sampler = MasterMetrics(state_of(master), task.Clock())
    bad = [metrics.MetricAlarmEvent("a", msg="x", level=17), metrics.MetricCountEvent("b", "x")]  # type: ignore[arg-type]
    for event in (added(1), *bad, added(1)):
        sampler.emit({"metric": event})
    yield sampler.sample()
    pipeline = state_of(master).pipeline
    yield pipeline.settle()
    assert pipeline.counters["refused"] == 2
    yield service.stopService()
    with Journal(tmp_path / "m" / "bbmeasure.sqlite") as journal:
        point = journal.last(Query("master.added_changes"))
    assert point is not None
    assert point.value == 2
