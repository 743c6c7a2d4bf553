"""The commands health, ship and check, against real servers: what they print, and what lands."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bbmeasure.cli import config, main
from bbmeasure.cli.config import ExporterConfig
from bbmeasure.cli.influxdb_client import BlockingClient, connect
from bbmeasure.cli.server_checks import check_server
from bbmeasure.errors import StorageUnavailableError
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.influxdb.server import Server
from bbmeasure.storage.sqlite.journal import Journal
from tests.hostile import Reply, Scripted, Silent
from tests.servers import Influxd, VictoriaMetrics, free_port, make_certificate

SECRET = "s3cr3t-w0rd"
ODD_ANSWERS = (
    b"5",
    b"null",
    b"[]",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"results": 5}',
    b'{"results": [5]}',
    b'{"results": [{"series": 5}]}',
    b'{"results": [{"series": [{"columns": ["name"], "values": [["x"]]}]}]}',
    b'{"results": [{"series": [{"columns": ["name"], "values": [5]}]}]}',
)
NOW = 1_700_000_000_000_000_000
BUILD = BuildContext("first", "bot1", 1, 101)

TAC = """\
from twisted.application import service
from buildbot.master import BuildMaster
application = service.Application("buildmaster")
BuildMaster(".", "master.cfg").setServiceParent(application)
"""
CONFIG = """\
from buildbot.plugins import schedulers, secrets, util, worker
from bbmeasure import InfluxDBInstance, SQLiteInstance, VictoriaMetricsInstance

print("a master.cfg may print")
c = BuildmasterConfig = {{
    "workers": [worker.Worker("w", "p")],
    "protocols": {{"pb": {{"port": "tcp:0:interface=127.0.0.1"}}}},
    "builders": [util.BuilderConfig("b", workernames=["w"], factory=util.BuildFactory())],
    "schedulers": [schedulers.ForceScheduler("force", builderNames=["b"])],
    "buildbotNetUsageData": None,
    "secretsProviders": [secrets.SecretInAFile({secrets!r})],
    "services": [{services}],
}}
"""


@pytest.fixture(scope="module")
def influxd() -> Iterator[Influxd]:
    with Influxd(auth=True) as server:
        server.query("CREATE DATABASE t")
        server.query("CREATE DATABASE elsewhere")
        for user, right in (("both", "ALL"), ("writer", "WRITE"), ("reader", "READ")):
            server.query(f"CREATE USER {user} WITH PASSWORD '{SECRET}'")
            server.query(f"GRANT {right} ON t TO {user}")
        server.query("CREATE RETENTION POLICY month ON t DURATION 30d REPLICATION 1")
        yield server


def points(count: int, series: str = "size") -> list[Point]:
    return [Point(series, NOW + number * 10**9, float(number), {}, BUILD) for number in range(count)]


@pytest.fixture
def master(tmp_path: Path) -> Path:
    """A master's folder with a journal that has ten points for the sink ``InfluxDBInstance``."""
    folder = tmp_path / "master"
    folder.mkdir()
    (folder / "buildbot.tac").write_text(TAC)
    (folder / "secrets").mkdir()
    (folder / "secrets" / "influx").write_text(SECRET + "\n")
    os.chmod(folder / "secrets" / "influx", 0o600)
    with Journal(folder / "bbmeasure.sqlite") as journal:
        journal.attach_exporter("InfluxDBInstance")
        journal.write(points(10))
    return folder


def configure(master: Path, *services: str) -> None:
    text = CONFIG.format(secrets=str(master / "secrets"), services=", ".join(services))
    (master / "master.cfg").write_text(text)


@pytest.fixture
def ships_to(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Say to which servers the master is configured to ship."""

    def configured(url: str, *, name: str = "InfluxDBInstance", numbers_only: bool = False, **options: Any) -> None:
        create = options.pop("create_database", True)
        server = Server(url, **{"database": "t", "username": "both", "password": SECRET, **options})
        exporter = ExporterConfig(name, "", server, numbers_only=numbers_only, create_database=create)
        monkeypatch.setattr(config, "read_exporters", lambda master: [exporter])

    return configured


def run(capsys: Any, *arguments: Any) -> tuple[int, dict[str, Any]]:
    status = main.main([str(one) for one in [*arguments, "--json"]])
    out, err = capsys.readouterr()
    assert SECRET not in out + err
    return status, json.loads(out.splitlines()[-1])


# ship and health


def test_drain_ships_what_waits_without_a_master(master: Path, influxd: Influxd, ships_to: Any, capsys: Any) -> None:
    """Everything lands, the secret read from its provider, and nothing waits any longer."""
    influxd.query("DROP MEASUREMENT size", "t")
    ships_to(influxd.url)
    status, done = run(capsys, "ship", "--master", master, "--drain")
    assert status == 0
    assert done == {"sink": "InfluxDBInstance", "queued": 0, "shipped": 10, "refused": 0, "dropped": 0, "waiting": 0}
    assert len(influxd.rows("SELECT value FROM size", "t")) == 10


@pytest.mark.parametrize(("user", "right"), [("both", "ALL"), ("writer", "WRITE")])
def test_drain_says_what_series_are(
    master: Path, influxd: Influxd, ships_to: Any, capsys: Any, user: str, right: str
) -> None:
    """Kinds and units go along where the server has none; what a master has said there stays, if it can be read."""
    database = f"drained_{user}"
    influxd.query(f"CREATE DATABASE {database}")
    influxd.query(f"GRANT {right} ON {database} TO {user}")
    ours, theirs = ("duration", "s", "lower"), ("size", "bytes", "none")
    BlockingClient(Server(influxd.url, database, user, SECRET)).write(
        ['bbmeasure_series,series=said kind="size",unit="bytes",better="none",name="said",master="m" 1']
    )
    with Journal(master / "bbmeasure.sqlite") as journal:
        for name in ("unsaid", "said", "bbmeasure_state"):
            journal.declare(SeriesInfo(name, Kind.DURATION, "s", Direction.LOWER))
            journal.write(points(1, name))
    ships_to(influxd.url, database=database, username=user)
    _, done = run(capsys, "ship", "--master", master, "--drain")
    assert (done["refused"], done["waiting"]) == (1, 0)
    rows = influxd.query('SELECT kind, unit, better FROM bbmeasure_series GROUP BY "series" ORDER BY time', database)
    said = {one["tags"]["series"]: tuple(one["values"][-1][1:]) for one in rows}
    assert said == {"size": ("number", "1", "none"), "unsaid": ours, "said": theirs if user == "both" else ours}


def test_from_queues_again_what_was_shipped(master: Path, influxd: Influxd, ships_to: Any, capsys: Any) -> None:
    """After a database was lost, all points since a time are queued again; a running master or --drain ships them."""
    ships_to(influxd.url)
    run(capsys, "ship", "--master", master, "--drain")
    influxd.query("DROP MEASUREMENT size", "t")
    status, done = run(capsys, "ship", "--master", master, "--from", NOW // 10**9 + 4)
    assert (status, done["queued"], done["waiting"]) == (0, 6, 6)
    _, done = run(capsys, "ship", "--master", master, "--drain", "--from", "2023-11-14T22:13:20Z")
    assert (done["queued"], done["waiting"]) == (10, 0)
    assert len(influxd.rows("SELECT value FROM size", "t")) == 10


def test_what_is_refused_becomes_dead_letters_that_health_tells(
    master: Path, influxd: Influxd, ships_to: Any, capsys: Any
) -> None:
    """A type conflict costs the points at fault alone; health shows how many they are and the server's words."""
    influxd.query("DROP MEASUREMENT size", "t")
    with Journal(master / "bbmeasure.sqlite") as journal:
        journal.attach_exporter("conflict")
        journal.write([*points(5, "mixed"), Point("mixed", NOW + 1, "text", {"value": "x"})])
    ships_to(influxd.url, name="conflict")
    _, done = run(capsys, "ship", "--master", master, "--sink", "conflict", "--drain")
    assert (done["shipped"], done["refused"]) == (5, 1)
    status, told = run(capsys, "health", "--master", master)
    assert status == 0
    sinks = {sink["name"]: sink for sink in told["sinks"]}
    assert sinks["conflict"]["counters"] == {"dropped": 0, "refused": 1}
    assert "expected a name" in sinks["conflict"]["last_error"]
    assert sinks["InfluxDBInstance"]["backlog"] == 16
    assert sinks["InfluxDBInstance"]["age"] < 600
    assert main.main(["health", "--master", str(master)]) == 0
    assert "InfluxDBInstance" in capsys.readouterr().out


def test_a_missing_database_is_made(master: Path, influxd: Influxd, ships_to: Any, capsys: Any) -> None:
    """An administrator's --drain makes the database, another user's says that it is not there."""
    ships_to(influxd.url, username="both", database="made by drain")
    status, said = run(capsys, "ship", "--master", master, "--drain")
    assert status == 1
    assert "403 permission denied" in said["message"]
    ships_to(influxd.url, username="admin", password="secret", database="made by drain", create_database=False)
    status, said = run(capsys, "ship", "--master", master, "--drain")
    assert status == 1
    assert "database not found" in said["message"]
    ships_to(influxd.url, username="admin", password="secret", database="made by drain")
    _, done = run(capsys, "ship", "--master", master, "--drain")
    assert done["shipped"] == 10
    assert "made by drain" in influxd.databases()


def test_detach_gives_a_sink_up(master: Path, capsys: Any) -> None:
    """A sink that is configured no longer is given up: what waited is dropped, and counted."""
    status, done = run(capsys, "ship", "--master", master, "--detach")
    assert (status, done["dropped"], done["waiting"]) == (0, 10, 0)
    _, told = run(capsys, "health", "--master", master)
    assert told["sinks"] == []
    assert main.main(["health", "--master", str(master)]) == 0
    assert "nothing is shipped" in capsys.readouterr().out


def test_wrong_uses_are_said(master: Path, influxd: Influxd, ships_to: Any, capsys: Any) -> None:
    """A sink that is not there, two at once, and what needs the configuration are told apart."""
    ships_to(influxd.url)
    status, said = run(capsys, "ship", "--master", master, "--sink", "other")
    assert (status, said["message"]) == (2, "--sink 'other': expected one of InfluxDBInstance")
    with Journal(master / "bbmeasure.sqlite") as journal:
        journal.attach_exporter("second")
    assert run(capsys, "ship", "--master", master)[1]["message"].startswith("no --sink: expected one of")
    status, said = run(capsys, "ship", "--master", master, "--sink", "second", "--drain")
    assert (status, said["message"]) == (2, "sink 'second': no service in master.cfg has that name")
    assert run(capsys, "ship", "--journal", master / "bbmeasure.sqlite", "--sink", "second", "--drain")[0] == 2
    assert run(capsys, "ship", "--master", master, "--sink", "second", "--drain", "--detach")[0] == 2
    assert run(capsys, "ship", "--master", master, "--sink", "second", "--from", "yesterday")[0] == 2
    assert run(capsys, "ship", "--master", master.parent)[0] == 1
    assert run(capsys, "health", "--master", master.parent)[0] == 1


def test_a_server_that_is_away_loses_nothing(master: Path, influxd: Influxd, ships_to: Any, capsys: Any) -> None:
    """--drain against a closed port says so, and the points wait."""
    ships_to(f"http://127.0.0.1:{free_port()}")
    status, said = run(capsys, "ship", "--master", master, "--drain")
    assert status == 1
    assert said["message"].startswith("no answer")
    assert run(capsys, "ship", "--master", master)[1]["waiting"] == 10


def test_drain_to_victoriametrics(master: Path, ships_to: Any, capsys: Any) -> None:
    """Numbers go to VictoriaMetrics, texts are passed over."""
    with Journal(master / "bbmeasure.sqlite") as journal:
        journal.write([Point("compiler", NOW, "gcc")])
    with VictoriaMetrics("/insert/0/influx") as server:
        ships_to(server.url, database="", numbers_only=True)
        _, done = run(capsys, "ship", "--master", master, "--drain")
        assert (done["shipped"], done["refused"], done["waiting"]) == (11, 0, 0)
        end = time.monotonic() + 10
        while not server.samples("size_value") and time.monotonic() < end:
            time.sleep(0.1)
        ((_, samples),) = server.samples("size_value")
        assert [value for _, value in samples] == [float(number) for number in range(10)]


# check


def says(answer: dict[str, Any]) -> dict[str, tuple[bool, str]]:
    return {check["what"]: (check["ok"], check["says"]) for check in answer["checks"]}


def check(url: str, **options: Any) -> dict[str, Any]:
    more = {name: options.pop(name) for name in ("answers", "create_database", "numbers_only") if name in options}
    options.setdefault("timeout", 5.0)
    return check_server(
        ExporterConfig("sink", "", Server(url, options.pop("database", "t"), **options), **more), time.time
    )


def test_check_proves_each_thing(influxd: Influxd) -> None:
    """URL, clock, database, retention, the right to write and to read, and nothing is left on the server."""
    before = influxd.measurements("t")
    answer = check(influxd.url, username="both", password=SECRET)
    assert says(answer) == {
        "reach": (True, "InfluxDB 1.6.7~rc0"),
        "clock": (True, "agrees"),
        "database": (True, "t is there"),
        "retention": (True, "autogen keeps points for ever"),
        "write": (True, "allowed"),
        "read": (True, "allowed"),
    }
    assert answer["problems"] == []
    assert influxd.measurements("t") == before


@pytest.mark.parametrize(
    ("options", "what", "words"),
    [
        ({"username": "both", "password": "wrong"}, "write", "401 user, password or token not accepted"),
        ({"username": "reader", "password": SECRET}, "write", "403 permission denied"),
        ({"username": "writer", "password": SECRET, "answers": True}, "read", "403"),
        ({"username": "both", "password": SECRET, "database": "missing"}, "database", "missing is not there"),
        (
            {"username": "both", "password": SECRET, "database": "missing"},
            "write",
            "allowed; the database is not there",
        ),
        ({"username": "both", "password": SECRET, "database": "elsewhere"}, "write", "403"),
        ({"username": "both", "password": SECRET, "retention_policy": "week"}, "retention", "week is not there"),
        ({"username": "both", "password": SECRET, "retention_policy": "week"}, "write", "retention policy not found"),
        ({"username": "both", "password": SECRET, "retention_policy": "month"}, "retention", "month keeps points for"),
        ({"username": "writer", "password": SECRET}, "read", "not allowed, and needed for source="),
        ({"username": "both", "password": SECRET, "database": "new", "create_database": True}, "database", "makes it"),
        (
            {"username": "admin", "password": "secret", "database": "missing"},
            "read",
            "not tried, as the database is not",
        ),
        (
            {"username": "admin", "password": "secret", "database": "missing", "answers": True},
            "read",
            "not tried, as the database is not there",
        ),
    ],
)
def test_check_tells_what_is_wrong(influxd: Influxd, options: Any, what: str, words: str) -> None:
    """Each kind of trouble is told where it belongs, and no password with it."""
    answer = check(influxd.url, **options)
    found, said = says(answer)[what]
    assert words in said
    harmless = ("allowed;", "keeps points", "not allowed, and", "makes it", "not tried")
    assert found == any(word in said for word in harmless)
    assert SECRET not in json.dumps(answer)


def test_check_of_a_server_that_is_away() -> None:
    """Nobody listens, or nobody answers: reach says so, and nothing else is tried."""
    answer = check(f"http://127.0.0.1:{free_port()}")
    assert [one["what"] for one in answer["checks"]] == ["reach"]
    assert answer["problems"][0].startswith("sink: reach: no answer")
    with Silent() as server:
        assert "no answer" in check(server.url, timeout=0.3)["problems"][0]


def test_check_over_tls(tmp_path: Path) -> None:
    """A certificate is believed where its file is given or verifyTLS is off."""
    both, certificate = make_certificate(tmp_path)
    with Influxd(tls=both) as server:
        server.query("CREATE DATABASE t")
        assert "CERTIFICATE_VERIFY_FAILED" in check(server.url)["problems"][0]
        assert check(server.url, ca_file=str(certificate))["problems"] == []
        assert check(server.url, verify_tls=False)["problems"] == []


def test_check_of_the_clock_and_of_what_is_no_influxdb() -> None:
    """A clock an hour off is a problem; so is a server that answers everything with a page."""
    with Scripted(lambda request: Reply(204 if request.path == "/ping" else 200, b"<html>")) as server:
        exporter = ExporterConfig("sink", "", Server(server.url, "t"), numbers_only=True)
        answer = check_server(exporter, lambda: time.time() + 3600)
        assert says(answer)["clock"] == (False, "the server's clock is -3600 s from ours")
        assert "not the answer of an InfluxDB" in says(answer)["write"][1]


@pytest.mark.parametrize("answer", ODD_ANSWERS)
@pytest.mark.parametrize("kind", ["application/json", "application/x-msgpack"])
def test_check_of_a_server_that_answers_oddly(answer: bytes, kind: str) -> None:
    """What is no InfluxDB's answer is told in words, whatever it is."""
    headers = {"Content-Type": kind, "Date": "some day"}
    with Scripted(lambda request: Reply(204 if request.path != "/query" else 200, answer, headers)) as server:
        assert says(check(server.url))["write"] == (True, "allowed")


@pytest.mark.parametrize(
    ("status", "words", "told"),
    [
        (503, b'{"error": "timeout"}', "503 server is busy: timeout"),
        (500, b'{"error": "engine is closed"}', "500 server failed: engine is closed"),
        (502, b"<html>Bad gateway", "502 server failed: <html>Bad gateway"),
    ],
)
def test_check_tells_what_a_server_in_trouble_says(status: int, words: bytes, told: str) -> None:
    """Its status and its words are those that the master would tell."""
    with Scripted(lambda request: Reply(204) if request.path == "/ping" else Reply(status, words)) as server:
        assert says(check(server.url))["write"] == (False, told)


def test_check_of_a_retention_policy_that_only_a_write_can_see(influxd: Influxd) -> None:
    """A user who may not list them is told by InfluxDB's answer to a write, which is a 500."""
    answer = check(influxd.url, username="writer", password=SECRET, retention_policy="nope")
    words = "500 no such database, retention policy or path: retention policy not found: nope"
    assert says(answer)["write"] == (False, words)


def test_check_of_a_victoriametrics_that_is_taken_for_an_influxdb() -> None:
    """It answers questions by a stub, which has neither the database nor what retention policies have."""
    with VictoriaMetrics() as server:
        assert says(check(server.url))["database"][0] is False


def test_check_uses_token_and_prefix() -> None:
    """The token's header and the URL's path are those that the master uses."""
    with Scripted(lambda request: Reply(204)) as server:
        check(server.url + "/insert/0/influx", token=SECRET, database="", numbers_only=True)
        assert {request.path for request in server.requests} == {"/insert/0/influx/ping", "/insert/0/influx/write"}
        assert {request.headers["authorization"] for request in server.requests} == {f"Token {SECRET}"}


def test_check_asks_as_the_master_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no password of a person's shell, the system's certificates, and no way round by a redirect."""
    both, certificate = make_certificate(tmp_path)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password else\n")
    with Influxd(tls=both) as server:
        server.query("CREATE DATABASE t")
        nowhere = f"http://127.0.0.1:{free_port()}"
        for name, value in (
            ("HOME", str(tmp_path)),
            ("http_proxy", nowhere),
            ("https_proxy", nowhere),
            ("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem")),
            ("SSL_CERT_FILE", str(certificate)),
        ):
            monkeypatch.setenv(name, value)
        assert check(server.url)["problems"] == []
    elsewhere = {"Location": f"http://127.0.0.1:{free_port()}/ping"}
    with Scripted(lambda _: Reply(302, b"", elsewhere)) as scripted:
        answer = check(scripted.url, token=SECRET)
        assert all(f"redirected to {elsewhere['Location']}" in problem for problem in answer["problems"])
        assert {request.headers["authorization"] for request in scripted.requests} == {f"Token {SECRET}"}


def test_a_server_by_its_ipv6_address() -> None:
    """The address stands in brackets, as in the URL that was given."""
    assert connect(Server("http://[::1]:8087/a", "t"))._baseurl == "http://[::1]:8087/a"


def test_check_and_drain_read_a_masters_configuration(master: Path, influxd: Influxd, capsys: Any) -> None:
    """The servers that master.cfg names, secrets rendered and not shown; what cannot be rendered is a problem."""

    def influx(user: str, secret: str, more: str) -> str:
        return (
            f'InfluxDBInstance(url="{influxd.url}", database="t", username="{user}", '
            f'password=util.Secret("{secret}"), {more})'
        )

    configure(
        master,
        "SQLiteInstance()",
        influx("both", "influx", "tagBuildNumber=True"),
        influx("reader", "influx", 'name="reading"'),
        influx("both", "other", 'name="lost"'),
        f'VictoriaMetricsInstance(url="http://127.0.0.1:{free_port()}/insert/0/influx", token=util.Secret("influx"))',
    )
    status, answer = run(capsys, "check", "--master", master)
    assert status == 1, answer
    assert "servers" in answer, answer
    servers = {server["name"]: server for server in answer["servers"]}
    assert list(servers) == ["InfluxDBInstance", "reading", "lost", "VictoriaMetricsInstance"]
    assert servers["InfluxDBInstance"]["problems"] == []
    assert "reading: write: 403" in servers["reading"]["problems"][0]
    assert "secret key other is not found" in servers["lost"]["problems"][0]
    assert "reach: no answer" in servers["VictoriaMetricsInstance"]["problems"][0]
    assert answer["problems"] == [problem for server in servers.values() for problem in server["problems"]]
    _, done = run(capsys, "ship", "--master", master, "--drain")
    assert done["shipped"] == 10
    assert {"tagKey": "build"} in influxd.rows("SHOW TAG KEYS FROM size", "t")


def test_a_ca_file_is_looked_for_in_the_masters_folder(
    master: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Whoever calls check from elsewhere gets the master's own certificates, as the master does."""
    both, certificate = make_certificate(tmp_path)
    (master / "ca.pem").write_bytes(certificate.read_bytes())
    with Influxd(tls=both) as server:
        server.query("CREATE DATABASE t")
        configure(master, f'InfluxDBInstance(url="{server.url}", database="t", caFile="ca.pem")')
        monkeypatch.chdir("/")
        for folder in (master, os.path.relpath(master, "/")):
            status, answer = run(capsys, "check", "--master", folder)
            assert (status, answer["problems"]) == (0, [])
        assert run(capsys, "ship", "--master", master, "--drain")[1]["shipped"] == 10


def test_check_shows_what_it_found(master: Path, influxd: Influxd, monkeypatch: Any, capsys: Any) -> None:
    """Without --json a person reads a line for each thing that was tried."""
    server = Server(influxd.url, "t", "both", "wrong")
    monkeypatch.setattr(config, "read_exporters", lambda master: [ExporterConfig("InfluxDBInstance", "", server)])
    monkeypatch.setattr(
        config,
        "read_config",
        lambda master: {
            "instances": [{"name": "InfluxDBInstance", "class": "InfluxDBInstance"}],
            "builders": [],
            "tracked": [],
            "journal": "bbmeasure.sqlite",
            "page": True,
            "problems": [],
        },
    )
    assert main.main(["check", "--master", str(master)]) == 1
    shown = capsys.readouterr().out
    assert "InfluxDBInstance: clock: agrees" in shown
    assert "InfluxDBInstance: write: PROBLEM 401" in shown


def test_a_configuration_that_cannot_be_read(master: Path) -> None:
    """A mistake in master.cfg is told in Buildbot's words."""
    configure(master, 'InfluxDBInstance(url="nonsense", database="t")')
    with pytest.raises(StorageUnavailableError, match="url 'nonsense': expected a URL such as"):
        config.read_exporters(master)
    with pytest.raises(StorageUnavailableError, match="expected a master's folder"):
        config.read_exporters(master.parent)
