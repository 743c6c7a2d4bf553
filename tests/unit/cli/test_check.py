"""The command check, on real servers and on servers that misbehave."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from bbmeasure.cli import config, main
from bbmeasure.cli.config import ExporterConfig
from bbmeasure.cli.influxdb_client import connect
from bbmeasure.cli.server_checks import check_server
from bbmeasure.errors import StorageUnavailableError
from bbmeasure.storage.influxdb.server import Server
from bbmeasure.testing.site import free_port
from tests.hostile import Reply, Scripted, Silent
from tests.servers import Influxd, VictoriaMetrics, make_certificate
from tests.unit.cli.masters import SECRET, configure, run_json

INVALID_ANSWERS = (
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


def outcomes(answer: dict[str, Any]) -> dict[str, tuple[bool, str]]:
    return {check["check"]: (check["ok"], check["message"]) for check in answer["checks"]}


def check(url: str, **options: Any) -> dict[str, Any]:
    more = {name: options.pop(name) for name in ("answers", "create_database", "numbers_only") if name in options}
    options.setdefault("timeout", 5.0)
    return check_server(
        ExporterConfig("sink", "", Server(url, options.pop("database", "t"), **options), **more), time.time
    )


def test_all_checks_pass(influxd: Influxd) -> None:
    """Reach, clock, database, retention, write and read are checked, and nothing is stored on the server."""
    before = influxd.measurements("t")
    answer = check(influxd.url, username="both", password=SECRET)
    assert outcomes(answer) == {
        "reach": (True, "InfluxDB 1.6.7~rc0"),
        "clock": (True, "agrees"),
        "database": (True, "t exists"),
        "retention": (True, "autogen keeps points forever"),
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
        ({"username": "both", "password": SECRET, "database": "missing"}, "database", "missing does not exist"),
        (
            {"username": "both", "password": SECRET, "database": "missing"},
            "write",
            "missing does not exist, so nothing can be written",
        ),
        ({"username": "both", "password": SECRET, "database": "elsewhere"}, "write", "403"),
        ({"username": "both", "password": SECRET, "retention_policy": "week"}, "retention", "week does not exist"),
        ({"username": "both", "password": SECRET, "retention_policy": "week"}, "write", "retention policy not found"),
        ({"username": "both", "password": SECRET, "retention_policy": "month"}, "retention", "month keeps points for"),
        ({"username": "writer", "password": SECRET}, "read", "not allowed; only source="),
        (
            {"username": "both", "password": SECRET, "database": "new", "create_database": True},
            "database",
            (
                "new does not exist or is not visible to this user, who may not create it; got ['t']; "
                'correct database=, or create it as an administrator: CREATE DATABASE "new"'
            ),
        ),
        (
            {"username": "both", "password": SECRET, "database": "new", "create_database": True},
            "write",
            "new does not exist, so nothing can be written",
        ),
        (
            {"username": "admin", "password": "secret", "database": "new", "create_database": True},
            "database",
            "creates it",
        ),
        (
            {"username": "admin", "password": "secret", "database": "new", "create_database": True},
            "write",
            "allowed; the database does not exist yet",
        ),
        (
            {"username": "admin", "password": "secret", "database": "missing"},
            "read",
            "not checked, as the database does not",
        ),
        (
            {"username": "admin", "password": "secret", "database": "missing", "answers": True},
            "read",
            "not checked, as the database does not exist",
        ),
    ],
)
def test_each_problem_is_reported(influxd: Influxd, options: Any, what: str, words: str) -> None:
    """Each problem is reported by the check it belongs to, without a password."""
    answer = check(influxd.url, **options)
    ok, message = outcomes(answer)[what]
    assert words in message
    harmless = ("allowed;", "keeps points", "not allowed; only", "creates it", "not checked")
    assert ok == any(phrase in message for phrase in harmless)
    assert SECRET not in json.dumps(answer)


def test_an_unreachable_server() -> None:
    """If nothing listens or answers, reach fails and no other check runs."""
    answer = check(f"http://127.0.0.1:{free_port()}")
    assert [one["check"] for one in answer["checks"]] == ["reach"]
    assert answer["problems"][0].startswith("sink: reach: no answer")
    with Silent() as server:
        assert "no answer" in check(server.url, timeout=0.3)["problems"][0]


def test_tls(tmp_path: Path) -> None:
    """A certificate is accepted with caFile or without verifyTLS."""
    both, certificate = make_certificate(tmp_path)
    with Influxd(tls=both) as server:
        server.query("CREATE DATABASE t")
        assert "CERTIFICATE_VERIFY_FAILED" in check(server.url)["problems"][0]
        assert check(server.url, ca_file=str(certificate))["problems"] == []
        assert check(server.url, verify_tls=False)["problems"] == []


def test_clock_skew_and_another_server() -> None:
    """A clock that is an hour off is a problem, as is a server that answers with HTML."""
    with Scripted(lambda request: Reply(204 if request.path == "/ping" else 200, b"<html>")) as server:
        exporter = ExporterConfig("sink", "", Server(server.url, "t"), numbers_only=True)
        answer = check_server(exporter, lambda: time.time() + 3600)
        assert outcomes(answer)["clock"] == (False, "the server's clock is -3600 s from ours")
        assert "not the answer of an InfluxDB" in outcomes(answer)["write"][1]


@pytest.mark.parametrize("answer", INVALID_ANSWERS)
@pytest.mark.parametrize("kind", ["application/json", "application/x-msgpack"])
def test_invalid_answers(answer: bytes, kind: str) -> None:
    """An answer of any other form gives a report, not an exception."""
    headers = {"Content-Type": kind, "Date": "some day"}
    with Scripted(lambda request: Reply(204 if request.path != "/query" else 200, answer, headers)) as server:
        assert outcomes(check(server.url))["write"] == (True, "allowed")


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (503, b'{"error": "timeout"}', "503 server is busy: timeout"),
        (500, b'{"error": "engine is closed"}', "500 server failed: engine is closed"),
        (502, b"<html>Bad gateway", "502 server failed: <html>Bad gateway"),
    ],
)
def test_server_errors(status: int, body: bytes, message: str) -> None:
    """The report has the status and the reason as the master reports them."""
    with Scripted(lambda request: Reply(204) if request.path == "/ping" else Reply(status, body)) as server:
        assert outcomes(check(server.url))["write"] == (False, message)


def test_a_missing_retention_policy_that_the_user_may_not_list(influxd: Influxd) -> None:
    """The check of the write reports it, from InfluxDB's status 500."""
    answer = check(influxd.url, username="writer", password=SECRET, retention_policy="nope")
    words = "500 no such database, retention policy or path: retention policy not found: nope"
    assert outcomes(answer)["write"] == (False, words)


def test_victoriametrics_configured_as_influxdb() -> None:
    """Its stub of the query API lacks the database."""
    with VictoriaMetrics() as server:
        assert outcomes(check(server.url))["database"][0] is False


def test_token_and_prefix() -> None:
    """The header of the token and the path of the URL are those of the master."""
    with Scripted(lambda request: Reply(204)) as server:
        check(server.url + "/insert/0/influx", token=SECRET, database="", numbers_only=True)
        assert {request.path for request in server.requests} == {"/insert/0/influx/ping", "/insert/0/influx/write"}
        assert {request.headers["authorization"] for request in server.requests} == {f"Token {SECRET}"}


def test_the_environment_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on the master: no proxy, no .netrc, OpenSSL's certificates and no redirects."""
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


def test_an_ipv6_address() -> None:
    """The address is in brackets, as in the URL."""
    assert connect(Server("http://[::1]:8087/a", "t"))._baseurl == "http://[::1]:8087/a"


@pytest.mark.usefixtures("forked_readers")
def test_check_and_drain_read_the_configuration(master: Path, influxd: Influxd, capsys: Any) -> None:
    """The secrets of the configured servers are rendered and not printed; a missing secret is a problem."""

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
    status, answer = run_json(capsys, "check", "--master", master)
    assert status == 1, answer
    assert "servers" in answer, answer
    servers = {server["name"]: server for server in answer["servers"]}
    assert list(servers) == ["InfluxDBInstance", "reading", "lost", "VictoriaMetricsInstance"]
    assert servers["InfluxDBInstance"]["problems"] == []
    assert "reading: write: 403" in servers["reading"]["problems"][0]
    assert "secret key other is not found" in servers["lost"]["problems"][0]
    assert "reach: no answer" in servers["VictoriaMetricsInstance"]["problems"][0]
    assert answer["problems"] == [problem for server in servers.values() for problem in server["problems"]]
    _, done = run_json(capsys, "ship", "--master", master, "--drain")
    assert done["shipped"] == 10
    assert {"tagKey": "build"} in influxd.rows("SHOW TAG KEYS FROM size", "t")


@pytest.mark.usefixtures("forked_readers")
def test_a_relative_ca_file(master: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """It is relative to the master's folder, whatever the working directory."""
    both, certificate = make_certificate(tmp_path)
    (master / "ca.pem").write_bytes(certificate.read_bytes())
    with Influxd(tls=both) as server:
        server.query("CREATE DATABASE t")
        configure(master, f'InfluxDBInstance(url="{server.url}", database="t", caFile="ca.pem")')
        monkeypatch.chdir("/")
        for folder in (master, os.path.relpath(master, "/")):
            status, answer = run_json(capsys, "check", "--master", folder)
            assert (status, answer["problems"]) == (0, [])
        assert run_json(capsys, "ship", "--master", master, "--drain")[1]["shipped"] == 10


def test_output_without_json(master: Path, influxd: Influxd, monkeypatch: Any, capsys: Any) -> None:
    """Without --json a line is printed for each check."""
    server = Server(influxd.url, "t", "both", "wrong")
    monkeypatch.setattr(config, "read_exporters", lambda master: [ExporterConfig("InfluxDBInstance", "", server)])
    monkeypatch.setattr(
        config,
        "read_config",
        lambda master: {
            "instances": [{"name": "InfluxDBInstance", "class": "InfluxDBInstance"}],
            "builders": [],
            "tracked": [],
            "steps": [],
            "gates": [],
            "journal": "bbmeasure.sqlite",
            "page": True,
            "problems": [],
            "warnings": [],
        },
    )
    assert main.main(["check", "--master", str(master)]) == 1
    output = capsys.readouterr().out
    assert "InfluxDBInstance: clock: agrees" in output
    assert "InfluxDBInstance: write: PROBLEM 401" in output


@pytest.mark.slow
def test_an_invalid_configuration(master: Path) -> None:
    """The message is Buildbot's error."""
    configure(master, 'InfluxDBInstance(url="nonsense", database="t")')
    with pytest.raises(StorageUnavailableError, match="url: does not start with .*: expected a URL such as"):
        config.read_exporters(master)
    with pytest.raises(StorageUnavailableError, match="expected a master's folder"):
        config.read_exporters(master.parent)
