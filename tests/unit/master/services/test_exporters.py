"""The services InfluxDBInstance and VictoriaMetricsInstance: arguments, secrets, and what a reconfig does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from buildbot.config.errors import ConfigErrors
from buildbot.plugins import util
from twisted.internet import reactor, task
from twisted.logger import capturedLogs, formatEvent

from bbmeasure import captureData, getAverage
from bbmeasure.capture.state import state_of
from bbmeasure.errors import QueryError
from bbmeasure.master.services.exporter_arguments import InfluxDBArguments
from bbmeasure.master.services.exporters import InfluxDBInstance, VictoriaMetricsInstance
from bbmeasure.master.services.sqlite import SQLiteInstance
from bbmeasure.model import Point
from bbmeasure.storage.sqlite.journal import JournalReader
from bbmeasure.times import NANOSECONDS
from tests.servers import Influxd, free_port, make_certificate
from tests.unit.master.fakes import FakeMaster

pytestmark = pytest.mark.usefixtures("long_deadlines")

inlineCallbacks = pytest_twisted.inlineCallbacks
SECRET = "s3cr3t-w0rd"
URL = "http://influx.example.org:8086"
CLUSTER = "http://vminsert.example.org:8480/insert/0/influx"


def influx(**more: Any) -> InfluxDBInstance:
    return InfluxDBInstance(**{"url": URL, "database": "buildbot", **more})


def arguments(**more: Any) -> InfluxDBArguments:
    return InfluxDBArguments.of({"url": URL, "database": "buildbot", **more})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"url": None}, "url 'None': expected a URL such as"),
        ({"url": "influx.example.org"}, "url 'influx.example.org': expected a URL such as"),
        ({"url": f"http://me:{SECRET}@host:8086"}, "url: expected a URL without user and password"),
        ({"url": util.Secret("influx")}, "url: expected a plain value, as username, password, token alone"),
        ({"database": util.Secret("influx")}, "database: expected a plain value"),
        ({"retentionPolicy": util.Interpolate("x")}, "retentionPolicy: expected a plain value"),
        ({"database": ""}, "database '': expected a name"),
        ({"database": "two\nlines"}, "expected a name"),
        ({"database": 5}, "database 5: expected a name"),
        ({"retentionPolicy": " "}, "retentionPolicy ' ': expected a name"),
        ({"token": 5}, "token: expected a text"),
        ({"username": "me", "password": SECRET.encode()}, "password: expected a text"),
        ({"url": "https://host:8086", "caFile": 5}, "caFile 5: expected a file's path"),
        ({"password": SECRET}, "password: expected a username with it"),
        ({"token": SECRET, "username": "me"}, "token: expected it alone"),
        ({"token": util.Secret("a"), "username": "me", "password": util.Secret("b")}, "token: expected it alone"),
        ({"createDatabase": "no"}, "createDatabase 'no': expected True or False"),
        ({"verifyTLS": 0}, "verifyTLS 0: expected True or False"),
        ({"answers": None}, "answers None: expected True or False"),
        ({"tagBuildNumber": 1}, "tagBuildNumber 1: expected True or False"),
        ({"timeout": 0}, "timeout 0: expected a number of seconds above 0"),
        ({"timeout": float("inf")}, "timeout inf: expected a number"),
        ({"timeout": "10"}, "timeout '10': expected a number"),
        ({"outboxMaxBytes": 0}, "outboxMaxBytes 0: expected a whole number"),
        ({"outboxMaxBytes": "1 GiB"}, "outboxMaxBytes '1 GiB': expected a whole number"),
        ({"outboxMaxAge": "soon"}, "outboxMaxAge 'soon': expected a number with"),
        ({"outboxMaxAge": -1}, "outboxMaxAge -1: expected a number of seconds above 0"),
        ({"url": "https://host:8086", "caFile": "/no/such/file"}, "caFile '/no/such/file': expected"),
        ({"urll": URL}, "unexpected keyword argument 'urll'"),
        ({"trackBuildTimes": 3}, "trackBuildTimes 3: expected True or False"),
    ],
)
def test_wrong_arguments_are_configuration_errors(arguments: dict[str, Any], words: str) -> None:
    """Each argument that makes no sense is said when the configuration is read, and no secret with it."""
    with pytest.raises(ConfigErrors) as caught:
        influx(**arguments)
    (said,) = caught.value.errors
    assert words in said
    assert said.startswith("InfluxDBInstance: ")
    assert SECRET not in said


def test_missing_and_positional_arguments() -> None:
    """URL and database must be given, by their names."""
    for arguments in ({}, {"url": URL}):
        with pytest.raises(ConfigErrors, match="missing a required .*argument: '(url|database)'"):
            InfluxDBInstance(**arguments)
    with pytest.raises(TypeError):
        InfluxDBInstance(URL, "buildbot")


def test_all_arguments_arrive(tmp_path: Path) -> None:
    """What is given is what is used."""
    _, certificate = make_certificate(tmp_path)
    got = arguments(
        url="https://host/influx",
        username="me",
        password=SECRET,
        retentionPolicy="week",
        createDatabase=False,
        caFile=str(certificate),
        timeout=3,
        tagBuildNumber=True,
        outboxMaxBytes=10**9,
        outboxMaxAge="7d",
        answers=True,
    )
    server = got.server()
    assert (server.url, server.database, server.retention_policy) == ("https://host/influx", "buildbot", "week")
    assert (server.username, server.password, server.ca_file, server.timeout) == ("me", SECRET, str(certificate), 3.0)
    assert (got.limits().max_bytes, got.limits().max_age) == (10**9, 7 * 86_400)
    assert (got.createDatabase, got.tagBuildNumber, got.answers, got.numbers_only) == (False, True, True, False)


def test_victoriametrics_arguments() -> None:
    """Its URL has the cluster's path, its token is a bearer's, and there is nothing to ask it."""
    service = VictoriaMetricsInstance(url=CLUSTER, token=SECRET)
    got, server = service.read_arguments({"url": CLUSTER, "token": SECRET})
    assert got.numbers_only
    assert not got.createDatabase
    assert server.endpoint("write") == CLUSTER + "/write"
    assert server.headers() == {"Authorization": f"Bearer {SECRET}"}
    assert server.database_parameters() == {}
    _, server = service.read_arguments({"url": CLUSTER, "database": "bb"})
    assert server.database_parameters() == {"db": "bb"}
    for argument in ({"answers": True}, {"createDatabase": True}, {"retentionPolicy": "x"}):
        with pytest.raises(ConfigErrors, match="unexpected keyword argument"):
            VictoriaMetricsInstance(url=CLUSTER, **argument)


def test_no_secret_is_shown() -> None:
    """Buildbot logs getConfigDict where a reconfig fails; a repr may be in any traceback."""
    for service in (
        influx(username="me", password=SECRET),
        influx(token=SECRET),
        VictoriaMetricsInstance(url=CLUSTER, username="me", password=SECRET),
    ):
        assert SECRET not in str(service.getConfigDict())
        assert SECRET not in repr(service)
        assert SECRET not in repr(service.read_arguments(service._config_kwargs)[1])


def test_a_name_that_is_a_secret_is_not_told() -> None:
    """What util.Secret gave is hidden in every message, a name too; one in plain text says who was refused."""
    for given, shown in (("me", "as me"), (util.Secret("name"), "as ***")):
        _, server = influx(username=given, password=SECRET).read_arguments(
            {"url": URL, "database": "buildbot", "username": "me", "password": SECRET}
        )
        assert repr(server).endswith(f"{shown}>")


@pytest.fixture
def master(tmp_path: Path) -> Iterator[FakeMaster]:
    made = FakeMaster(tmp_path)
    yield made
    pytest_twisted.blockon(task.deferLater(reactor, 0.02))


@pytest.fixture(scope="module")
def influxd() -> Iterator[Influxd]:
    with Influxd() as server:
        yield server


def started(master: FakeMaster, service: Any) -> Any:
    service.parent = master
    return service.startService()


def landed(server: Influxd, database: str = "buildbot") -> int:
    if database not in server.databases():
        return 0
    return sum(row["count"] for row in server.rows("SELECT count(value) FROM /size.*/", database))


@inlineCallbacks
def until(what: str, true: Any) -> Any:
    end = reactor.seconds() + 20
    while not true():
        assert reactor.seconds() < end, f"waited in vain: {what}"
        yield task.deferLater(reactor, 0.02)


@inlineCallbacks
def test_an_unchanged_reconfig_leaves_the_sink_alone(master: FakeMaster, influxd: Influxd) -> Any:
    """Only a change makes a new shipper; the same name gets what waited, and the old one is stopped."""
    service = influx(url=f"http://127.0.0.1:{free_port()}")
    yield started(master, service)
    first = service.state.exporters["InfluxDBInstance"]
    pipeline = state_of(master).pipeline
    yield pipeline.storage.write([Point("size", 1, 1.0)])
    yield service.reconfigServiceWithSibling(influx(url=first._client.server.url))
    assert service.state.exporters["InfluxDBInstance"] is first
    yield service.reconfigServiceWithSibling(influx(url=influxd.url))
    assert service.state.exporters["InfluxDBInstance"] is not first
    assert first._stopping
    yield until("the backlog", lambda: landed(influxd) == 1)
    yield service.stopService()
    assert service.state.exporters == {}


@inlineCallbacks
def test_answers_and_sources_come_and_go(master: FakeMaster, influxd: Influxd) -> Any:
    """``answers=True`` has the server answer; another reconfig, or the end, gives the answers back to the journal."""
    state = state_of(master)
    service = influx(url=influxd.url, answers=True)
    yield started(master, service)
    assert state.answering is state.sources["InfluxDBInstance"]
    assert service.measure_links() == {"influxdb": influxd.url}
    yield service.reconfigServiceWithSibling(influx(url=influxd.url))
    assert state.answering is None
    assert list(state.sources) == ["InfluxDBInstance"]
    yield service.stopService()
    assert state.sources == {}
    assert service.measure_links() == {"influxdb": None}


@inlineCallbacks
def test_the_journal_can_be_asked_by_name(master: FakeMaster, influxd: Influxd) -> Any:
    """Where a server answers by default, ``source=`` a SQLiteInstance's name asks the journal."""
    service, embedded = influx(url=influxd.url, database="empty", answers=True), SQLiteInstance(name="embedded")
    for one in (service, embedded):
        yield started(master, one)
    yield captureData("size", 3, master=master)
    assert (yield getAverage("size", source="embedded", master=master)) == 3
    yield embedded.stopService()
    with pytest.raises(QueryError, match="embedded"):
        yield getAverage("size", source="embedded", master=master)
    yield service.stopService()


@inlineCallbacks
def test_two_instances_share_the_journal(master: FakeMaster, influxd: Influxd) -> Any:
    """Each has a name and a backlog of its own in one file, and stopping one leaves the other."""
    one, two = influx(url=influxd.url, database="one"), influx(url=influxd.url, database="two", name="second")
    yield started(master, one)
    yield started(master, two)
    pipeline = state_of(master).pipeline
    assert len(pipeline.stores) == 1
    yield pipeline.storage.write([Point("size", number, 1.0) for number in range(10)])
    yield until("both", lambda: landed(influxd, "one") == landed(influxd, "two") == 10)
    yield one.stopService()
    yield pipeline.storage.write([Point("size", 10, 1.0)])
    yield until("the other", lambda: landed(influxd, "two") == 11)
    assert landed(influxd, "one") == 10
    yield two.stopService()


@inlineCallbacks
def test_what_became_unusable_after_the_check_is_told_in_health(master: FakeMaster, tmp_path: Path) -> Any:
    """A caFile that vanished, or a secret that is no text, stops the shipping and not the master."""
    _, certificate = make_certificate(tmp_path)
    service = influx(url="https://127.0.0.1:1", caFile=str(certificate))
    certificate.unlink()
    yield started(master, service)
    health = service.state.exporters["InfluxDBInstance"].health()
    assert "caFile" in (health.last_error or "")
    yield service.use_arguments({"url": URL, "database": "buildbot", "token": 5})
    assert service.state.exporters["InfluxDBInstance"].health().last_error == "token: expected a text"
    yield state_of(master).pipeline.storage.write([Point("size", 1, 1.0)])
    yield service.stopService()


def configured(master: FakeMaster, *services: Any) -> None:
    master.config.services = {service.name: service for service in services}


def added(master: FakeMaster, running: dict[str, Any]) -> Iterator[Any]:
    """A SQLiteInstance comes, as Buildbot has it: what is new is started, then what was there takes its arguments."""
    store, sink = SQLiteInstance(path="own.sqlite"), influx(**running["sink"]._config_kwargs)
    configured(master, store, sink)
    yield started(master, store)
    running["store"] = store
    yield running["sink"].reconfigServiceWithSibling(sink)


def changed(master: FakeMaster, running: dict[str, Any], order: tuple[str, ...]) -> Iterator[Any]:
    """Its path is another."""
    siblings = {"store": SQLiteInstance(path="other.sqlite"), "sink": influx(**running["sink"]._config_kwargs)}
    configured(master, *siblings.values())
    for name in order:
        yield running[name].reconfigServiceWithSibling(siblings[name])


def removed(master: FakeMaster, running: dict[str, Any]) -> Iterator[Any]:
    """It goes: what is gone is stopped first."""
    sink = influx(**running["sink"]._config_kwargs)
    configured(master, sink)
    yield running.pop("store").stopService()
    yield running["sink"].reconfigServiceWithSibling(sink)


@inlineCallbacks
def test_the_shipper_follows_the_journal(master: FakeMaster, influxd: Influxd) -> Any:
    """A path that comes, changes and goes: all that is captured meanwhile, between any two services too, is shipped."""
    running = {"sink": influx(url=influxd.url, database="moving")}
    configured(master, running["sink"])
    yield started(master, running["sink"])
    pipeline = state_of(master).pipeline
    moves = [
        added(master, running),
        changed(master, running, ("sink", "store")),
        removed(master, running),
        added(master, running),
        changed(master, running, ("store", "sink")),
        removed(master, running),
    ]
    count = 0
    for move in moves:
        for step in move:
            yield captureData("size", 1.0, master=master)
            yield step
            yield captureData("size", 2.0, master=master)
            count += 2
        assert len(pipeline.stores) == 1
        yield captureData("size", 3.0, master=master)
        count += 1
        yield until("all of them", lambda wanted=count: landed(influxd, "moving") == wanted)
        assert state_of(master).exporters["InfluxDBInstance"].health().last_error is None
    yield running["sink"].stopService()


def _waits(journal: Path) -> int:
    with JournalReader(journal) as reader:
        return reader.backlog("InfluxDBInstance").count


@inlineCallbacks
def test_what_waits_in_the_journal_that_is_left_is_said(master: FakeMaster, influxd: Influxd, tmp_path: Path) -> Any:
    """The log says how many points wait in the file that is shipped no longer, and which command sends them."""
    running = {"sink": influx(url=f"http://127.0.0.1:{free_port()}", database="left")}
    configured(master, running["sink"])
    yield started(master, running["sink"])
    for number in range(3):
        captureData("size", float(number), master=master)  # not on disk yet when the journal is left
    with capturedLogs() as logs:
        for step in added(master, running):
            yield step
    said = [formatEvent(event) for event in logs]
    old = tmp_path / "bbmeasure.sqlite"
    assert [text for text in said if f"3 points wait in {old}" in text and f"--journal {old} --sink Influx" in text]
    assert _waits(old) == 3
    yield running["sink"].reconfigServiceWithSibling(influx(url=influxd.url, database="left"))
    shipper = state_of(master).exporters["InfluxDBInstance"]
    yield captureData("size", 3.0, master=master)
    yield until("what waited", lambda: shipper.counters["shipped"] >= 1 and not _waits(tmp_path / "own.sqlite"))
    with capturedLogs() as logs:
        for step in changed(master, running, ("sink", "store")):
            yield step
    assert not [event for event in logs if "wait in" in formatEvent(event)]
    for service in running.values():
        yield service.stopService()


@inlineCallbacks
def test_what_was_captured_before_any_instance_is_shipped(master: FakeMaster, influxd: Influxd) -> Any:
    """The store comes first and takes what waited in memory; the sink that comes after it ships that too."""
    for number in range(5):
        captureData("size", float(number), master=master)
    yield state_of(master).pipeline.settle()
    store, sink = SQLiteInstance(), influx(url=influxd.url, database="early")
    configured(master, store, sink)
    yield started(master, store)
    yield state_of(master).pipeline.settle()
    yield started(master, sink)
    yield until("all of them", lambda: landed(influxd, "early") == 5)
    yield sink.stopService()
    yield store.stopService()


@pytest.mark.parametrize("time", [1_700_000_000, None])
@inlineCallbacks
def test_points_of_two_masters_never_overwrite_each_other(tmp_path: Path, influxd: Influxd, time: Any) -> Any:
    """Of the same series, without a builder, and at the very same time: they are two, and the time is the one given."""
    database = f"both_{time}"
    clock = task.Clock()
    clock.advance(1_700_000_000)
    services = []
    for name in ("one", "two"):
        master = FakeMaster(tmp_path / name, f"{name}:/srv/master")
        state_of(master).pipeline.clock = clock
        services.append(influx(url=influxd.url, database=database))
        yield started(master, services[-1])
        captureData("size", len(services), time=time, master=master)
        yield state_of(master).pipeline.settle()
    yield until("both points", lambda: landed(influxd, database) == 2)
    rows = influxd.rows('SELECT "value" FROM "size"', database)
    assert sorted(row["value"] for row in rows) == [1, 2]
    assert {row["time"] / NANOSECONDS for row in rows} == {1_700_000_000.0}
    for service in services:
        yield service.stopService()
