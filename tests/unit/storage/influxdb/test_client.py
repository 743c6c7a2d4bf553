"""The HTTP client: real servers with and without passwords and TLS, and servers that hang, drip and lie."""

from __future__ import annotations

import gzip
import time
import traceback
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import defer, reactor, task

from bbmeasure.errors import QueryError, StorageError
from bbmeasure.storage.influxdb import client as client_module
from bbmeasure.storage.influxdb.client import InfluxClient
from bbmeasure.storage.influxdb.influxql import Statement
from bbmeasure.storage.influxdb.server import ErrorKind, Server, ServerError
from tests.hostile import Dripping, Raw, Reply, Request, Scripted, Silent
from tests.servers import Influxd, free_port, make_certificate

TEST = Generator[Any, Any, None]
SECRET = "s3cr3t-w0rd"


@pytest.fixture(scope="module")
def influxd() -> Iterator[Influxd]:
    with Influxd() as server:
        server.query("CREATE DATABASE t")
        yield server


@pytest.fixture(scope="module")
def guarded() -> Iterator[Influxd]:
    """An influxd with users: a writer, a reader, and one who may do nothing."""
    with Influxd(auth=True) as server:
        server.query("CREATE DATABASE t")
        for user in ("writer", "reader", "nobody"):
            server.query(f"CREATE USER {user} WITH PASSWORD '{SECRET}'")
        server.query("GRANT WRITE ON t TO writer")
        server.query("GRANT READ ON t TO reader")
        yield server


@pytest.fixture
def clients() -> Iterator[Any]:
    """Makes clients, and closes them."""
    made: list[InfluxClient] = []

    def make(url: str, **options: Any) -> InfluxClient:
        options.setdefault("timeout", 5.0)
        made.append(InfluxClient(reactor, Server(url, options.pop("database", "t"), **options)))
        return made[-1]

    yield make
    for client in made:
        client.close()
    pytest_twisted.blockon(_turns())


@defer.inlineCallbacks
def _turns() -> Generator[Any, Any, None]:
    """Give the reactor some turns, in which connections are closed."""
    for _ in range(5):
        waited: defer.Deferred[None] = defer.Deferred()
        reactor.callLater(0.005, waited.callback, None)
        yield waited


@defer.inlineCallbacks
def trouble_of(work: defer.Deferred[Any]) -> Generator[Any, Any, ServerError]:
    """The ServerError that a request fails with."""
    try:
        answer = yield work
    except ServerError as error:
        return error
    raise AssertionError(f"expected a ServerError, got {answer!r}")


@pytest_twisted.inlineCallbacks
def test_a_write_lands_and_is_answered(influxd: Influxd, clients: Any) -> TEST:
    """Lines that are written are there, and a question brings them back with nanoseconds."""
    client = clients(influxd.url)
    yield client.write(b"landed,t=x value=1.5 1700000000123456789\n")
    assert influxd.rows("SELECT * FROM landed", "t") == [{"time": 1700000000123456789, "t": "x", "value": 1.5}]
    answer = yield client.query(Statement("SELECT value FROM landed WHERE t = $p0", {"p0": "x"}))
    assert answer == [[{"name": "landed", "columns": ["time", "value"], "values": [[1700000000123456789, 1.5]]}]]


@pytest_twisted.inlineCallbacks
def test_a_gzipped_write_lands(influxd: Influxd, clients: Any) -> TEST:
    """A compressed body is announced as one."""
    yield clients(influxd.url).write(gzip.compress(b"zipped value=1 1\n"), gzipped=True)
    assert influxd.rows("SELECT value FROM zipped", "t") == [{"time": 1, "value": 1}]


@pytest_twisted.inlineCallbacks
def test_a_retention_policy_is_written_to(influxd: Influxd, clients: Any) -> TEST:
    """Lines go to the retention policy that was chosen, and one that is not there is told apart from a failure."""
    influxd.query('CREATE RETENTION POLICY "my policy" ON t DURATION INF REPLICATION 1')
    yield clients(influxd.url, retention_policy="my policy").write(b"policed value=1 1\n")
    assert influxd.rows('SELECT value FROM "my policy".policed', "t") == [{"time": 1, "value": 1}]
    assert influxd.rows("SELECT value FROM autogen.policed", "t") == []
    error = yield trouble_of(clients(influxd.url, retention_policy="other").write(b"policed value=1 1\n"))
    assert (error.kind, error.status) == (ErrorKind.NOT_FOUND, 500)
    assert "retention policy not found" in str(error)


@pytest_twisted.inlineCallbacks
def test_answers_in_many_pieces_are_put_together(influxd: Influxd, clients: Any) -> TEST:
    """Ten thousand rows come in pieces and make one series, or go to whoever takes the pieces."""
    client = clients(influxd.url)
    yield client.write(b"".join(b"many value=%d %d\n" % (number, number) for number in range(10_000)))
    answer = yield client.query(Statement("SELECT value FROM many; SELECT count(value) FROM many"))
    assert [row[1] for row in answer[0][0]["values"]] == list(range(10_000))
    assert answer[1][0]["values"] == [[0, 10_000]]
    sizes: list[tuple[int, int]] = []
    yield client.query(Statement("SELECT value FROM many"), lambda at, piece: sizes.append((at, len(piece["values"]))))
    assert sizes == [(0, client_module.CHUNK)] * 10


@pytest_twisted.inlineCallbacks
def test_an_error_inside_of_an_answer_is_read(influxd: Influxd, clients: Any) -> TEST:
    """InfluxDB answers a wrong question with status 200: the error is in the body, and is raised."""
    client = clients(influxd.url)
    with pytest.raises(StorageError, match="query failed"):
        yield client.query(Statement("SELECT nonsense(value) FROM landed"))
    error = yield trouble_of(clients(influxd.url, database="missing").query(Statement("SELECT value FROM landed")))
    assert (error.kind, error.message) == (ErrorKind.NOT_FOUND, "database not found: missing")


@pytest_twisted.inlineCallbacks
def test_an_error_costs_the_next_question_nothing(influxd: Influxd, clients: Any) -> TEST:
    """A connection on which an error came is whole, or gone, for what is asked before the reactor's next timer."""
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
def test_a_question_that_cannot_be_read_is_an_error(influxd: Influxd, clients: Any) -> TEST:
    """What InfluxDB cannot parse it answers with 400."""
    with pytest.raises(StorageError, match="query failed: error parsing query"):
        yield clients(influxd.url).query(Statement("SELECT"))


@pytest.mark.parametrize(
    ("name", "database", "lines", "trouble"),
    [
        ("missing", "missing", b"m value=1 1\n", ErrorKind.NOT_FOUND),
        ("refused", "t", b"m value=wrong 1\n", ErrorKind.REFUSED),
        ("too large", "t", b"m value=1 1\n" * 2_300_000, ErrorKind.TOO_LARGE),
    ],
)
@pytest_twisted.inlineCallbacks
def test_refusals_are_told_apart(
    influxd: Influxd, clients: Any, name: str, database: str, lines: bytes, trouble: ErrorKind
) -> TEST:
    """No database, a bad line and too much at once are three things."""
    error = yield trouble_of(clients(influxd.url, database=database).write(lines))
    assert error.kind is trouble


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
    """Who is not known and who may not write are told apart, and no password is in the message."""
    client = clients(guarded.url, username=user, password=password)
    if expected is None:
        yield client.write(b"guarded value=1 1\n")
        return
    error = yield trouble_of(client.write(b"guarded value=1 1\n"))
    assert error.kind is expected
    assert SECRET not in str(error)
    assert "wr0ng-w0rd" not in str(error)


@pytest_twisted.inlineCallbacks
def test_who_may_not_make_a_database_is_told_so(guarded: Influxd, clients: Any) -> TEST:
    """Only an administrator makes databases."""
    error = yield trouble_of(clients(guarded.url, username="writer", password=SECRET).create_database())
    assert error.kind is ErrorKind.FORBIDDEN
    yield clients(guarded.url, username="admin", password="secret", database="made here").create_database()
    assert "made here" in guarded.databases()


@pytest_twisted.inlineCallbacks
def test_tls_is_verified(tmp_path: Path, clients: Any) -> TEST:
    """A certificate that nobody vouches for is refused, unless its file is given or verifyTLS is off."""
    both, certificate = make_certificate(tmp_path)
    with Influxd(tls=both) as server:
        server.query("CREATE DATABASE t")
        error = yield trouble_of(clients(server.url).write(b"m value=1 1\n"))
        assert error.kind is ErrorKind.UNREACHABLE
        assert "certificate verify failed" in str(error)
        yield clients(server.url, ca_file=str(certificate)).write(b"m value=1 1\n")
        yield clients(server.url, verify_tls=False).write(b"m value=2 2\n")
        yield clients(server.url.replace("127.0.0.1", "localhost"), ca_file=str(certificate)).write(b"m value=3 3\n")
        assert len(server.rows("SELECT value FROM m", "t")) == 3


@pytest_twisted.inlineCallbacks
def test_tls_to_another_host_than_the_certificates_is_refused(tmp_path: Path, clients: Any) -> TEST:
    """A certificate of 127.0.0.2 does not prove 127.0.0.1, although it is trusted."""
    both, certificate = make_certificate(tmp_path, "127.0.0.2")
    with Influxd(tls=both) as server:
        error = yield trouble_of(clients(server.url, ca_file=str(certificate)).write(b"m value=1 1\n"))
        assert error.kind is ErrorKind.UNREACHABLE
        assert "VerificationError" in str(error)


@pytest_twisted.inlineCallbacks
def test_http_spoken_to_a_tls_port_loses_no_points(tmp_path: Path, clients: Any) -> TEST:
    """The 400 of a TLS port is not one about points."""
    both, _ = make_certificate(tmp_path)
    with Influxd(tls=both) as server:
        error = yield trouble_of(clients(server.url.replace("https", "http")).write(b"m value=1 1\n"))
        assert (error.kind, error.status) == (ErrorKind.UNEXPECTED_RESPONSE, 400)


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_ca_file_that_is_none_is_said_at_once(tmp_path: Path, content: Any) -> None:
    """A caFile that is missing or no certificate is an error before any request."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StorageError, match="caFile .* expected"):
        InfluxClient(reactor, Server("https://127.0.0.1:1", "t", ca_file=str(path)))


@pytest_twisted.inlineCallbacks
def test_a_refused_connection(clients: Any) -> TEST:
    """Nobody listens: the message says so."""
    error = yield trouble_of(clients(f"http://127.0.0.1:{free_port()}").write(b"m value=1 1\n"))
    assert error.kind is ErrorKind.UNREACHABLE
    assert "Connection refused" in str(error) or "ConnectionRefused" in str(error)


@pytest_twisted.inlineCallbacks
def test_a_host_that_is_not_there(clients: Any) -> TEST:
    """A name that nobody knows is told as such."""
    error = yield trouble_of(clients("http://no-such-host.invalid:8086").write(b"m value=1 1\n"))
    assert error.kind is ErrorKind.UNREACHABLE


@pytest.mark.parametrize("server", [Silent, lambda: Dripping(0.05)], ids=["silent", "dripping"])
@pytest_twisted.inlineCallbacks
def test_the_deadline_holds_for_all_of_a_request(clients: Any, server: Any) -> TEST:
    """A server that never ends its answer is given up on time, for writes and for questions."""
    with server() as hostile:
        client = clients(hostile.url, timeout=0.4)
        for ask in (lambda: client.write(b"m value=1 1\n"), lambda: client.query(Statement("SELECT 1"))):
            error = yield trouble_of(ask())
            assert error.kind is ErrorKind.UNREACHABLE
            assert "no complete answer within 0.4 s" in str(error)


@pytest_twisted.inlineCallbacks
def test_a_body_that_drips_is_given_up_and_its_connection_closed(clients: Any) -> TEST:
    """The headers came at once, the body byte by byte: the deadline holds, and the socket is let go."""
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"

    class SlowBody(Dripping):
        closed = False

        def talk(self, connection: Any) -> None:
            connection.recv(65536)
            connection.sendall(body)
            try:
                while not self.ending.wait(0.05):
                    connection.sendall(b" ")
            except OSError:
                self.closed = True

    with SlowBody() as hostile:
        error = yield trouble_of(clients(hostile.url, timeout=0.3).query(Statement("SELECT 1")))
        assert error.kind is ErrorKind.UNREACHABLE
        end = time.monotonic() + 60
        while not hostile.closed and time.monotonic() < end:
            yield _turns()
        assert hostile.closed


@pytest_twisted.inlineCallbacks
def test_a_cancelled_request_is_over_at_once(clients: Any) -> TEST:
    """Whoever stops waits for no server."""
    with Silent() as hostile:
        work = clients(hostile.url).query(Statement("SELECT 1"))
        yield _turns()
        work.cancel()
        with pytest.raises(defer.CancelledError):
            yield work
        yield _turns()
        assert hostile.connections == 1


@pytest_twisted.inlineCallbacks
def test_an_answer_without_end_is_cut(clients: Any, monkeypatch: pytest.MonkeyPatch) -> TEST:
    """No more is read than a bound, of an error's page as of an answer."""
    monkeypatch.setattr(client_module, "MAX_QUERY_RESPONSE", 100_000)
    monkeypatch.setattr(client_module, "MAX_WRITE_RESPONSE", 100_000)
    for status in (b"200 OK", b"500 Oh"):
        with Raw(b"HTTP/1.1 " + status + b"\r\n\r\n" + b"x" * 1_000_000) as hostile:
            client = clients(hostile.url)
            error = yield trouble_of(client.query(Statement("SELECT 1")))
            assert (error.kind, error.message) == (ErrorKind.UNEXPECTED_RESPONSE, "an answer of more than 100000 bytes")
            error = yield trouble_of(client.write(b"m value=1 1\n"))
            assert (error.kind, error.message) == (ErrorKind.UNEXPECTED_RESPONSE, "an answer of more than 100000 bytes")


@pytest_twisted.inlineCallbacks
def test_a_connection_that_breaks_off(clients: Any) -> TEST:
    """An answer that ends in its middle is no answer."""
    with Raw(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"results"') as hostile:
        error = yield trouble_of(clients(hostile.url).query(Statement("SELECT 1")))
        assert (error.kind, error.message) == (ErrorKind.UNREACHABLE, "the answer is incomplete")


@pytest.mark.parametrize(
    ("reply", "trouble"),
    [
        (Reply(200, b"<html>Please log in</html>"), ErrorKind.UNEXPECTED_RESPONSE),
        (Reply(200, b""), ErrorKind.UNEXPECTED_RESPONSE),
        (Reply(202, b""), ErrorKind.UNEXPECTED_RESPONSE),
        (Reply(302, b"", {"Location": "https://login.example.org/"}), ErrorKind.UNEXPECTED_RESPONSE),
        (Reply(400, b"<html>Bad request</html>"), ErrorKind.UNEXPECTED_RESPONSE),
        (Reply(400, b'["not", "ours"]'), ErrorKind.UNEXPECTED_RESPONSE),
        (Reply(405, b""), ErrorKind.UNEXPECTED_RESPONSE),
        # what gateways in front of it say, in JSON too
        (Reply(400, {"message": "Bad Request"}), ErrorKind.UNEXPECTED_RESPONSE),
        (
            Reply(400, {"timestamp": 1, "status": 400, "error": "Bad Request", "path": "/write"}),
            ErrorKind.UNEXPECTED_RESPONSE,
        ),
        (Reply(429, b"slow down"), ErrorKind.BUSY),
        (Reply(503, {"error": "busy"}), ErrorKind.BUSY),
        (Reply(500, {"error": "oh"}), ErrorKind.FAILED),
        (Reply(502, b"Bad gateway"), ErrorKind.FAILED),
        (Reply(hang_up=True), ErrorKind.UNREACHABLE),
        # InfluxDB 2: code and message, https://docs.influxdata.com/influxdb/v2/api-guide/influxdb-1x/write/
        (Reply(400, {"code": "invalid", "message": "unable to parse 'm'"}), ErrorKind.REFUSED),
        (Reply(401, {"code": "unauthorized", "message": "unauthorized access"}), ErrorKind.UNAUTHORIZED),
        (Reply(403, {"code": "forbidden", "message": "insufficient permissions"}), ErrorKind.FORBIDDEN),
        (Reply(404, {"code": "not found", "message": "no dbrp mapping found"}), ErrorKind.NOT_FOUND),
        (Reply(413, {"code": "request too large", "message": "too large"}), ErrorKind.TOO_LARGE),
        (Reply(422, {"code": "unprocessable entity", "message": "partial write"}), ErrorKind.REFUSED),
        # InfluxDB 3: https://docs.influxdata.com/influxdb3/core/write-data/troubleshoot/
        (
            Reply(
                400,
                {
                    "error": "partial write of line protocol occurred",
                    "data": [{"original_line": "m", "line_number": 1, "error_message": "no fields were provided"}],
                },
            ),
            ErrorKind.REFUSED,
        ),
    ],
    ids=lambda value: f"{value.status}-{bytes(str(value.body), 'ascii')[:20]!r}" if isinstance(value, Reply) else "",
)
@pytest_twisted.inlineCallbacks
def test_what_a_write_may_be_answered_with(clients: Any, reply: Reply, trouble: ErrorKind) -> TEST:
    """Only 204 is taken for success, and only a 400 in InfluxDB's own words for the points' fault."""
    with Scripted(lambda _: reply) as server:
        error = yield trouble_of(clients(server.url).write(b"m value=1 1\n"))
        assert error.kind is trouble
        assert error.status == (0 if reply.hang_up else reply.status)


@pytest_twisted.inlineCallbacks
def test_a_redirect_is_not_followed(clients: Any) -> TEST:
    """Credentials go to the server that was named, and to no other; the message says where it would have gone."""
    with Scripted(lambda _: Reply()) as other:
        with Scripted(lambda _: Reply(307, b"", {"Location": other.url + "/write"})) as server:
            error = yield trouble_of(clients(server.url, token=SECRET).write(b"m value=1 1\n"))
        assert f"redirected to {other.url}/write" in str(error)
        assert other.requests == []


@pytest_twisted.inlineCallbacks
def test_a_question_is_asked_again_on_a_fresh_connection(clients: Any) -> TEST:
    """A kept connection that the server has closed meanwhile costs no answer."""
    replies = [Reply(hang_up=True), Reply(200, {"results": [{"statement_id": 0}]})]
    with Scripted(lambda _: replies.pop(0)) as server:
        answer = yield clients(server.url).query(Statement("SELECT 1"))
        assert answer == [[]]
        assert len(server.requests) == 2


@pytest_twisted.inlineCallbacks
def test_a_prefix_and_a_token_and_the_place(clients: Any) -> TEST:
    """The URL's path stays in front; token, database, retention policy and form are where InfluxDB 2, 3 want them."""

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


def test_a_server_by_its_ipv6_address() -> None:
    """The address is asked as it is: no name to look up or to put into another alphabet."""
    asked: list[bytes] = []

    def request(_: bytes, uri: bytes, *__: Any, **___: Any) -> defer.Deferred[Any]:
        asked.append(uri)
        return defer.Deferred()

    client = InfluxClient(task.Clock(), Server("http://[::1]:8086/a", "my db"), agent=SimpleNamespace(request=request))
    client.write(b"m value=1 1\n").addErrback(lambda _: None)
    assert asked == [b"http://[::1]:8086/a/write?db=my+db"]


@pytest_twisted.inlineCallbacks
def test_no_secret_in_any_message(clients: Any) -> TEST:
    """What a server echoes of a password or token is hidden, and neither shows in a repr or a traceback."""

    def echo(request: Request) -> Reply:
        return Reply(500, {"error": f"you said {SECRET} to me, as in {request.headers['authorization']}"})

    with Scripted(echo) as server:
        for who in (
            {"token": SECRET},
            {"username": "me", "password": SECRET},
            {"username": SECRET, "password": "other", "hide_username": True},
        ):
            client = clients(server.url, **who)
            error = yield trouble_of(client.write(b"m value=1 1\n"))
            shown = (
                "".join(traceback.format_exception(type(error), error, error.__traceback__))
                + repr(error)
                + repr(client)
                + repr(client.server)
            )
            assert SECRET not in shown
            assert server.requests[-1].headers["authorization"].split()[1] not in shown
            assert "***" in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "influx.example.org:8086",
        "ftp://influx.example.org",
        "http://",
        "http://host:port",
        "http://host/?db=x",
        "http://host/#x",
        "http://ho st",
        "http://h\u00f6st",
        None,
    ],
)
def test_an_invalid_url_is_refused(url: Any) -> None:
    """A server with an invalid URL raises QueryError."""
    with pytest.raises(QueryError, match="url"):
        Server(url, "t")


@pytest.mark.parametrize(
    "url", [f"http://me:{SECRET}@host:8086", f"http://{SECRET}@host", f"http://me:{SECRET}@host:x"]
)
def test_a_password_in_a_url_is_refused_without_showing_it(url: str) -> None:
    """A password in the URL raises QueryError without it, as a URL is shown in logs and pages."""
    with pytest.raises(QueryError, match="url") as caught:
        Server(url, "t")
    assert SECRET not in str(caught.value)


def test_servers_compare_by_what_they_are() -> None:
    """An equal configuration is an equal server, so that a reconfig can tell whether anything changed."""
    one = Server("http://host:8086", "t", password=SECRET)
    assert one == Server("http://host:8086", "t", password=SECRET)
    assert one != replace(one, password="other")
