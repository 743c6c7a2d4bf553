"""Tests of the client with real servers, with authentication and TLS."""

from __future__ import annotations

import gzip
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import defer, reactor, task

from bbmeasure.errors import StorageError
from bbmeasure.storage.influxdb import client as client_module
from bbmeasure.storage.influxdb.client import InfluxClient
from bbmeasure.storage.influxdb.influxql import Statement
from bbmeasure.storage.influxdb.server import ErrorKind, Server
from tests.hostile import Reply, Request, Scripted
from tests.servers import Influxd, make_certificate
from tests.unit.storage.influxdb.client_helpers import SECRET, TEST, error_of


@pytest.fixture(scope="module")
def influxd() -> Iterator[Influxd]:
    with Influxd() as server:
        server.query("CREATE DATABASE t")
        yield server


@pytest.fixture(scope="module")
def guarded() -> Iterator[Influxd]:
    """An influxd with users: a writer, a reader, and one without rights."""
    with Influxd(auth=True) as server:
        server.query("CREATE DATABASE t")
        for user in ("writer", "reader", "nobody"):
            server.query(f"CREATE USER {user} WITH PASSWORD '{SECRET}'")
        server.query("GRANT WRITE ON t TO writer")
        server.query("GRANT READ ON t TO reader")
        yield server


@pytest_twisted.inlineCallbacks
def test_written_lines_can_be_queried(influxd: Influxd, clients: Any) -> TEST:
    """Written lines are returned by a query, with nanosecond timestamps."""
    client = clients(influxd.url)
    yield client.write(b"landed,t=x value=1.5 1700000000123456789\n")
    assert influxd.rows("SELECT * FROM landed", "t") == [{"time": 1700000000123456789, "t": "x", "value": 1.5}]
    answer = yield client.query(Statement("SELECT value FROM landed WHERE t = $p0", {"p0": "x"}))
    assert answer == [[{"name": "landed", "columns": ["time", "value"], "values": [[1700000000123456789, 1.5]]}]]


@pytest_twisted.inlineCallbacks
def test_a_gzipped_write(influxd: Influxd, clients: Any) -> TEST:
    """A compressed body has the Content-Encoding header."""
    yield clients(influxd.url).write(gzip.compress(b"zipped value=1 1\n"), gzipped=True)
    assert influxd.rows("SELECT value FROM zipped", "t") == [{"time": 1, "value": 1}]


@pytest_twisted.inlineCallbacks
def test_a_write_to_a_retention_policy(influxd: Influxd, clients: Any) -> TEST:
    """Lines go to the selected retention policy; a missing one is NOT_FOUND."""
    influxd.query('CREATE RETENTION POLICY "my policy" ON t DURATION INF REPLICATION 1')
    yield clients(influxd.url, retention_policy="my policy").write(b"policed value=1 1\n")
    assert influxd.rows('SELECT value FROM "my policy".policed', "t") == [{"time": 1, "value": 1}]
    assert influxd.rows("SELECT value FROM autogen.policed", "t") == []
    error = yield error_of(clients(influxd.url, retention_policy="other").write(b"policed value=1 1\n"))
    assert (error.kind, error.status) == (ErrorKind.NOT_FOUND, 500)
    assert "retention policy not found" in str(error)


@pytest_twisted.inlineCallbacks
def test_chunks_are_joined(influxd: Influxd, clients: Any) -> TEST:
    """Ten thousand rows arrive in chunks and are joined into one series, or passed to the handler."""
    client = clients(influxd.url)
    yield client.write(b"".join(b"many value=%d %d\n" % (number, number) for number in range(10_000)))
    answer = yield client.query(Statement("SELECT value FROM many; SELECT count(value) FROM many"))
    assert [row[1] for row in answer[0][0]["values"]] == list(range(10_000))
    assert answer[1][0]["values"] == [[0, 10_000]]
    sizes: list[tuple[int, int]] = []
    yield client.query(Statement("SELECT value FROM many"), lambda at, piece: sizes.append((at, len(piece["values"]))))
    assert sizes == [(0, client_module.CHUNK)] * 10


@pytest_twisted.inlineCallbacks
def test_an_error_in_a_response_with_status_200(influxd: Influxd, clients: Any) -> TEST:
    """An error in the body of a response with status 200 is raised."""
    client = clients(influxd.url)
    with pytest.raises(StorageError, match="query failed"):
        yield client.query(Statement("SELECT nonsense(value) FROM landed"))
    error = yield error_of(clients(influxd.url, database="missing").query(Statement("SELECT value FROM landed")))
    assert (error.kind, error.message) == (ErrorKind.NOT_FOUND, "database not found: missing")


@pytest_twisted.inlineCallbacks
def test_a_query_after_an_error(influxd: Influxd, clients: Any) -> TEST:
    """After an error the connection can be reused, or is closed, before the next query."""
    client = clients(influxd.url)
    yield client.write(b"kept value=1 1\n")
    for _ in range(3):
        with pytest.raises(StorageError):
            yield client.query(Statement("SELECT value FROM kept; SELECT nothing(value) FROM kept"))
        turn: defer.Deferred[None] = defer.Deferred()
        reactor.callFromThread(turn.callback, None)
        yield turn
        answer = yield client.query(Statement("SELECT value FROM kept"))
        assert answer[0][0]["values"] == [[1, 1]]


@pytest_twisted.inlineCallbacks
def test_a_query_with_a_syntax_error(influxd: Influxd, clients: Any) -> TEST:
    """A query that InfluxDB cannot parse, status 400, raises StorageError."""
    with pytest.raises(StorageError, match="query failed: error parsing query"):
        yield clients(influxd.url).query(Statement("SELECT"))


@pytest.mark.parametrize(
    ("name", "database", "lines", "kind"),
    [
        ("missing", "missing", b"m value=1 1\n", ErrorKind.NOT_FOUND),
        ("refused", "t", b"m value=wrong 1\n", ErrorKind.REFUSED),
        ("too large", "t", b"m value=1 1\n" * 2_300_000, ErrorKind.TOO_LARGE),
    ],
)
@pytest_twisted.inlineCallbacks
def test_kinds_of_refused_writes(
    influxd: Influxd, clients: Any, name: str, database: str, lines: bytes, kind: ErrorKind
) -> TEST:
    """A missing database, a bad line and a request that is too large have different kinds."""
    error = yield error_of(clients(influxd.url, database=database).write(lines))
    assert error.kind is kind


@pytest.mark.parametrize(
    ("user", "password", "expected"),
    [
        ("writer", SECRET, None),
        ("writer", "wr0ng-w0rd", ErrorKind.UNAUTHORIZED),
        (None, None, ErrorKind.UNAUTHORIZED),
        ("nobody", SECRET, ErrorKind.FORBIDDEN),
        ("reader", SECRET, ErrorKind.FORBIDDEN),
    ],
)
@pytest_twisted.inlineCallbacks
def test_users_and_their_rights(guarded: Influxd, clients: Any, user: Any, password: Any, expected: Any) -> TEST:
    """Unknown users and users without rights have different kinds, and no message contains a password."""
    client = clients(guarded.url, username=user, password=password)
    if expected is None:
        yield client.write(b"guarded value=1 1\n")
        return
    error = yield error_of(client.write(b"guarded value=1 1\n"))
    assert error.kind is expected
    assert SECRET not in str(error)
    assert "wr0ng-w0rd" not in str(error)


@pytest_twisted.inlineCallbacks
def test_creating_a_database_without_the_right(guarded: Influxd, clients: Any) -> TEST:
    """Only an administrator can create a database."""
    error = yield error_of(clients(guarded.url, username="writer", password=SECRET).create_database())
    assert error.kind is ErrorKind.FORBIDDEN
    yield clients(guarded.url, username="admin", password="secret", database="made here").create_database()
    assert "made here" in guarded.databases()


@pytest_twisted.inlineCallbacks
def test_tls_is_verified(tmp_path: Path, clients: Any) -> TEST:
    """An untrusted certificate is refused, unless caFile has it or verifyTLS is off."""
    both, certificate = make_certificate(tmp_path)
    with Influxd(tls=both) as server:
        server.query("CREATE DATABASE t")
        error = yield error_of(clients(server.url).write(b"m value=1 1\n"))
        assert error.kind is ErrorKind.UNREACHABLE
        assert "certificate verify failed" in str(error)
        yield clients(server.url, ca_file=str(certificate)).write(b"m value=1 1\n")
        yield clients(server.url, verify_tls=False).write(b"m value=2 2\n")
        yield clients(server.url.replace("127.0.0.1", "localhost"), ca_file=str(certificate)).write(b"m value=3 3\n")
        assert len(server.rows("SELECT value FROM m", "t")) == 3


@pytest_twisted.inlineCallbacks
def test_a_certificate_of_another_host_is_refused(tmp_path: Path, clients: Any) -> TEST:
    """A trusted certificate of 127.0.0.2 is refused for 127.0.0.1."""
    both, certificate = make_certificate(tmp_path, "127.0.0.2")
    with Influxd(tls=both) as server:
        error = yield error_of(clients(server.url, ca_file=str(certificate)).write(b"m value=1 1\n"))
        assert error.kind is ErrorKind.UNREACHABLE
        assert "VerificationError" in str(error)


@pytest_twisted.inlineCallbacks
def test_http_to_a_tls_port_is_no_refusal(tmp_path: Path, clients: Any) -> TEST:
    """The 400 of a TLS port is not REFUSED, so that no point becomes a dead letter."""
    both, _ = make_certificate(tmp_path)
    with Influxd(tls=both) as server:
        error = yield error_of(clients(server.url.replace("https", "http")).write(b"m value=1 1\n"))
        assert (error.kind, error.status) == (ErrorKind.UNEXPECTED_RESPONSE, 400)


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_an_invalid_ca_file(tmp_path: Path, content: Any) -> None:
    """A caFile that is missing or has no certificate raises StorageError before any request."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StorageError, match="caFile .* expected"):
        InfluxClient(reactor, Server("https://127.0.0.1:1", "t", ca_file=str(path)))


@pytest_twisted.inlineCallbacks
def test_requests_with_prefix_and_token(clients: Any) -> TEST:
    """Path prefix, token, database and retention policy are sent as InfluxDB 2 and 3 expect them."""

    def answer(request: Request) -> Reply:
        return Reply() if request.path.endswith("write") else Reply(200, {"results": []})

    with Scripted(answer) as server:
        client = clients(server.url + "/a/b/", token=SECRET, database="my db", retention_policy="week")
        yield client.write(b"m value=1 1\n")
        yield client.query(Statement("SELECT $p0", {"p0": "x"}))
        write, query = server.requests
        assert write.path == "/a/b/write"
        assert query.path == "/a/b/query"
        assert write.query == query.query == {"db": "my db", "rp": "week"}
        assert write.headers["authorization"] == query.headers["authorization"] == f"Token {SECRET}"
        assert b"params=%7B%22p0%22%3A+%22x%22%7D" in query.body


def test_an_ipv6_address() -> None:
    """The host is neither resolved nor IDNA-encoded."""
    requested: list[bytes] = []

    def request(_: bytes, uri: bytes, *__: Any, **___: Any) -> defer.Deferred[Any]:
        requested.append(uri)
        return defer.Deferred()

    client = InfluxClient(task.Clock(), Server("http://[::1]:8086/a", "my db"), agent=SimpleNamespace(request=request))
    client.write(b"m value=1 1\n").addErrback(lambda _: None)
    assert requested == [b"http://[::1]:8086/a/write?db=my+db"]


def test_overdue_requests_are_cancelled_although_the_clock_is_set_back() -> None:
    """cancel_overdue() compares deadlines with a monotonic clock, for writes and queries."""
    clock, forward = task.Clock(), [0.0]

    def request(*_: Any, **__: Any) -> Any:
        return defer.Deferred()

    agent = SimpleNamespace(request=request)
    server = Server("http://127.0.0.1:1", "t")
    client = InfluxClient(clock, server, agent=agent, monotonic=lambda: clock.seconds() + forward[0])
    failures: list[Any] = []
    client.write(b"a value=1").addErrback(failures.append)
    client.create_database().addErrback(failures.append)
    clock.rightNow -= 3_600.0
    forward[0] = 3_600.0
    clock.advance(server.timeout)
    client.cancel_overdue()
    assert not failures
    clock.advance(3.0)
    client.cancel_overdue()
    assert [failure.type for failure in failures] == [defer.CancelledError] * 2
    client.cancel_overdue()
    assert len(failures) == 2


@pytest_twisted.inlineCallbacks
def test_no_secret_in_any_message(clients: Any) -> TEST:
    """Passwords and tokens that the server echoes are hidden; no repr and no traceback contains them."""

    def echo(request: Request) -> Reply:
        return Reply(500, {"error": f"you said {SECRET} to me, as in {request.headers['authorization']}"})

    with Scripted(echo) as server:
        for who in (
            {"token": SECRET},
            {"username": "me", "password": SECRET},
            {"username": SECRET, "password": "other", "hide_username": True},
        ):
            client = clients(server.url, **who)
            error = yield error_of(client.write(b"m value=1 1\n"))
            shown = (
                "".join(traceback.format_exception(type(error), error, error.__traceback__))
                + repr(error)
                + repr(client)
                + repr(client.server)
            )
            assert SECRET not in shown
            assert server.requests[-1].headers["authorization"].split()[1] not in shown
            assert "***" in str(error)
