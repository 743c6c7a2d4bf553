"""Tests of InfluxDBInstance and VictoriaMetricsInstance: arguments, secrets, reconfig."""

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
from bbmeasure.testing.site import free_port
from bbmeasure.times import NANOSECONDS
from tests.servers import Influxd, make_certificate
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
    ("arguments", "message"),
    [
        ({"url": None}, "url: got NoneType: expected a URL such as"),
        ({"url": "influx.example.org"}, "url: does not start with http:// or https://: expected a URL such as"),
        ({"url": f"http://me:{SECRET}@host:8086"}, "url: has a user or password: expected a URL"),
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
def test_invalid_arguments_are_configuration_errors(arguments: dict[str, Any], message: str) -> None:
    """An invalid argument is a configuration error, without a secret in its message."""
    with pytest.raises(ConfigErrors) as caught:
        influx(**arguments)
    (error,) = caught.value.errors
    assert message in error
    assert error.startswith("InfluxDBInstance: ")
    assert SECRET not in error


def test_missing_and_positional_arguments() -> None:
    """URL and database are required, and keyword-only."""
    for arguments in ({}, {"url": URL}):
        with pytest.raises(ConfigErrors, match="missing a required .*argument: '(url|database)'"):
            InfluxDBInstance(**arguments)
    with pytest.raises(TypeError):
        InfluxDBInstance(URL, "buildbot")  # type: ignore[call-arg]  # wrong on purpose


def test_all_arguments_are_used(tmp_path: Path) -> None:
    """All arguments are passed on to server, limits and exporter."""
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
    """The URL has the cluster's path, the token is a bearer token, and the server is not queried."""
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
    """getConfigDict, which Buildbot logs when a reconfig fails, and repr contain no secret."""
    for service in (
        influx(username="me", password=SECRET),
        influx(token=SECRET),
        VictoriaMetricsInstance(url=CLUSTER, username="me", password=SECRET),
    ):
        assert SECRET not in str(service.getConfigDict())
        assert SECRET not in repr(service)
        assert SECRET not in repr(service.read_arguments(service._config_kwargs)[1])


def test_a_user_name_from_a_secret_is_hidden() -> None:
    """A user name from util.Secret is hidden in messages; a plain one is shown."""
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
        assert reactor.seconds() < end, f"timeout: {what}"
        yield task.deferLater(reactor, 0.02)


@inlineCallbacks
def test_an_unchanged_reconfig_keeps_the_exporter(master: FakeMaster, influxd: Influxd) -> Any:
    """Changed arguments replace the exporter; the backlog of the instance's name is exported to the new server."""
    service = influx(url=f"http://127.0.0.1:{free_port()}")
    yield started(master, service)
    first = service.state.exporters["InfluxDBInstance"]
    pipeline = state_of(master).pipeline
    yield pipeline.storage.write([Point("size", 1, 1.0)])
    yield service.reconfigServiceWithSibling(influx(url=first._client.server.url))  # type: ignore[attr-defined]  # an attribute of this implementation
    assert service.state.exporters["InfluxDBInstance"] is first
    yield service.reconfigServiceWithSibling(influx(url=influxd.url))
    assert service.state.exporters["InfluxDBInstance"] is not first
    assert first._stopping  # type: ignore[attr-defined]  # an attribute of this implementation
    yield until("the backlog", lambda: landed(influxd) == 1)
    yield service.stopService()
    assert service.state.exporters == {}


@inlineCallbacks
def test_a_source_is_registered_and_removed(master: FakeMaster, influxd: Influxd) -> Any:
    """With ``answers=True`` the server is the default source; a reconfig or a stop makes it the journal again."""
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
def test_the_journal_can_be_queried_by_name(master: FakeMaster, influxd: Influxd) -> Any:
    """If a server is the default source, ``source=`` a SQLiteInstance's name queries the journal."""
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
    """Each has a name and a backlog of its own in one file, and stopping one does not affect the other."""
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
def test_arguments_that_become_invalid_after_the_check(master: FakeMaster, tmp_path: Path) -> Any:
    """A caFile that was deleted, or a secret that is no text, stops the export but not the master."""
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
    """Start a SQLiteInstance as Buildbot does: first the new service starts, then the others are reconfigured."""
    store, exporter = SQLiteInstance(path="own.sqlite"), influx(**running["exporter"]._config_kwargs)
    configured(master, store, exporter)
    yield started(master, store)
    running["store"] = store
    yield running["exporter"].reconfigServiceWithSibling(exporter)


def changed(master: FakeMaster, running: dict[str, Any], order: tuple[str, ...]) -> Iterator[Any]:
    """Change the SQLiteInstance's path."""
    siblings = {"store": SQLiteInstance(path="other.sqlite"), "exporter": influx(**running["exporter"]._config_kwargs)}
    configured(master, *siblings.values())
    for name in order:
        yield running[name].reconfigServiceWithSibling(siblings[name])


def removed(master: FakeMaster, running: dict[str, Any]) -> Iterator[Any]:
    """Remove the SQLiteInstance: it is stopped before the others are reconfigured."""
    exporter = influx(**running["exporter"]._config_kwargs)
    configured(master, exporter)
    yield running.pop("store").stopService()
    yield running["exporter"].reconfigServiceWithSibling(exporter)


@inlineCallbacks
def test_the_exporter_follows_the_journal(master: FakeMaster, influxd: Influxd) -> Any:
    """While the journal's path is added, changed and removed, all points captured at any time are exported."""
    running = {"exporter": influx(url=influxd.url, database="moving")}
    configured(master, running["exporter"])
    yield started(master, running["exporter"])
    pipeline = state_of(master).pipeline
    moves = [
        added(master, running),
        changed(master, running, ("exporter", "store")),
        removed(master, running),
        added(master, running),
        changed(master, running, ("store", "exporter")),
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
    yield running["exporter"].stopService()


def _backlog(journal: Path) -> int:
    with JournalReader(journal) as reader:
        return reader.backlog("InfluxDBInstance").count


@inlineCallbacks
def test_the_backlog_of_a_previous_journal_is_logged(master: FakeMaster, influxd: Influxd, tmp_path: Path) -> Any:
    """The log has the number of points in a journal that is no longer exported, and the command for them."""
    running = {"exporter": influx(url=f"http://127.0.0.1:{free_port()}", database="left")}
    configured(master, running["exporter"])
    yield started(master, running["exporter"])
    for number in range(3):
        captureData("size", float(number), master=master)  # not on disk yet when the journal is left
    with capturedLogs() as logs:
        for step in added(master, running):
            yield step
    logged = [formatEvent(event) for event in logs]
    old = tmp_path / "bbmeasure.sqlite"
    assert [text for text in logged if f"3 points wait in {old}" in text and f"--journal {old} --sink Influx" in text]
    assert _backlog(old) == 3
    yield running["exporter"].reconfigServiceWithSibling(influx(url=influxd.url, database="left"))
    exporter = state_of(master).exporters["InfluxDBInstance"]
    yield captureData("size", 3.0, master=master)
    yield until("what waited", lambda: exporter.counters["shipped"] >= 1 and not _backlog(tmp_path / "own.sqlite"))  # type: ignore[attr-defined]  # set or replaced by the test
    with capturedLogs() as logs:
        for step in changed(master, running, ("exporter", "store")):
            yield step
    assert not [event for event in logs if "wait in" in formatEvent(event)]
    for service in running.values():
        yield service.stopService()


@inlineCallbacks
def test_points_from_before_the_first_instance_are_exported(master: FakeMaster, influxd: Influxd) -> Any:
    """A SQLiteInstance writes the points from memory; an exporter that starts after it exports them."""
    for number in range(5):
        captureData("size", float(number), master=master)
    yield state_of(master).pipeline.settle()
    store, exporter = SQLiteInstance(), influx(url=influxd.url, database="early")
    configured(master, store, exporter)
    yield started(master, store)
    yield state_of(master).pipeline.settle()
    yield started(master, exporter)
    yield until("all of them", lambda: landed(influxd, "early") == 5)
    yield exporter.stopService()
    yield store.stopService()


@pytest.mark.parametrize("time", [1_700_000_000, None])
@inlineCallbacks
def test_points_of_two_masters_never_overwrite_each_other(tmp_path: Path, influxd: Influxd, time: Any) -> Any:
    """Points of the same series and time without a builder are stored separately, with the given time."""
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
