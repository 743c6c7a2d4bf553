"""Tests of the client with faulty servers."""

from __future__ import annotations

import time
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import defer

from bbmeasure.storage.influxdb import client as client_module
from bbmeasure.storage.influxdb.influxql import Statement
from bbmeasure.storage.influxdb.server import ErrorKind
from bbmeasure.testing.site import free_port
from tests.hostile import Dripping, Raw, Reply, Scripted, Silent
from tests.unit.storage.influxdb.client_helpers import SECRET, TEST, error_of, run_turns


@pytest_twisted.inlineCallbacks
def test_a_refused_connection(clients: Any) -> TEST:
    """The message contains the reason."""
    error = yield error_of(clients(f"http://127.0.0.1:{free_port()}").write(b"m value=1 1\n"))
    assert error.kind is ErrorKind.UNREACHABLE
    assert "Connection refused" in str(error) or "ConnectionRefused" in str(error)


@pytest_twisted.inlineCallbacks
def test_an_unknown_host(clients: Any) -> TEST:
    """The message contains the reason."""
    error = yield error_of(clients("http://no-such-host.invalid:8086").write(b"m value=1 1\n"))
    assert error.kind is ErrorKind.UNREACHABLE


@pytest.mark.parametrize("server", [Silent, lambda: Dripping(0.05)], ids=["silent", "dripping"])
@pytest_twisted.inlineCallbacks
def test_the_timeout_covers_the_whole_request(clients: Any, server: Any) -> TEST:
    """A response that never ends times out, for writes and queries."""
    with server() as hostile:
        client = clients(hostile.url, timeout=0.4)
        for ask in (lambda: client.write(b"m value=1 1\n"), lambda: client.query(Statement("SELECT 1"))):
            error = yield error_of(ask())
            assert error.kind is ErrorKind.UNREACHABLE
            assert "no complete answer within 0.4 s" in str(error)


@pytest_twisted.inlineCallbacks
def test_a_slow_body_times_out_and_its_connection_is_closed(clients: Any) -> TEST:
    """A body that arrives byte by byte times out, and the socket is closed."""
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
        error = yield error_of(clients(hostile.url, timeout=0.3).query(Statement("SELECT 1")))
        assert error.kind is ErrorKind.UNREACHABLE
        end = time.monotonic() + 60
        while not hostile.closed and time.monotonic() < end:
            yield run_turns()
        assert hostile.closed


@pytest_twisted.inlineCallbacks
def test_cancelling_does_not_wait_for_the_server(clients: Any) -> TEST:
    """A cancelled request fails at once, while its server is looked up and while the server is silent."""
    with Silent() as hostile:
        looked_up, sent = (clients(hostile.url).query(Statement("SELECT 1")) for _ in range(2))
        looked_up.cancel()
        end = time.monotonic() + 60
        while not hostile.connections and time.monotonic() < end:
            yield run_turns()
        sent.cancel()
        for work in (looked_up, sent):
            with pytest.raises(defer.CancelledError):
                yield work
        yield run_turns()
        assert hostile.connections == 1


@pytest_twisted.inlineCallbacks
def test_the_size_of_a_response_is_limited(clients: Any, monkeypatch: pytest.MonkeyPatch) -> TEST:
    """Responses are read up to a limit, both error pages and results."""
    monkeypatch.setattr(client_module, "MAX_QUERY_RESPONSE", 100_000)
    monkeypatch.setattr(client_module, "MAX_WRITE_RESPONSE", 100_000)
    for status in (b"200 OK", b"500 Oh"):
        with Raw(b"HTTP/1.1 " + status + b"\r\n\r\n" + b"x" * 1_000_000) as hostile:
            client = clients(hostile.url)
            error = yield error_of(client.query(Statement("SELECT 1")))
            assert (error.kind, error.message) == (ErrorKind.UNEXPECTED_RESPONSE, "an answer of more than 100000 bytes")
            error = yield error_of(client.write(b"m value=1 1\n"))
            assert (error.kind, error.message) == (ErrorKind.UNEXPECTED_RESPONSE, "an answer of more than 100000 bytes")


@pytest_twisted.inlineCallbacks
def test_an_incomplete_response(clients: Any) -> TEST:
    """A response that ends early is UNREACHABLE."""
    with Raw(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"results"') as hostile:
        error = yield error_of(clients(hostile.url).query(Statement("SELECT 1")))
        assert (error.kind, error.message) == (ErrorKind.UNREACHABLE, "the answer is incomplete")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(200, b"<html>Please log in</html>"), ErrorKind.UNEXPECTED_RESPONSE),
        (Reply(200, b""), ErrorKind.UNEXPECTED_RESPONSE),
        (Reply(202, b""), ErrorKind.UNEXPECTED_RESPONSE),
        (Reply(302, b"", {"Location": "https://login.example.org/"}), ErrorKind.UNEXPECTED_RESPONSE),
        (Reply(400, b"<html>Bad request</html>"), ErrorKind.UNEXPECTED_RESPONSE),
        (Reply(400, b'["not", "ours"]'), ErrorKind.UNEXPECTED_RESPONSE),
        (Reply(405, b""), ErrorKind.UNEXPECTED_RESPONSE),
        # responses of gateways, in JSON too
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
def test_kinds_of_responses_to_a_write(clients: Any, reply: Reply, kind: ErrorKind) -> TEST:
    """Only 204 is success, and only a 400 with InfluxDB's own message is REFUSED."""
    with Scripted(lambda _: reply) as server:
        error = yield error_of(clients(server.url).write(b"m value=1 1\n"))
        assert error.kind is kind
        assert error.status == (0 if reply.hang_up else reply.status)


@pytest_twisted.inlineCallbacks
def test_a_redirect_is_not_followed(clients: Any) -> TEST:
    """Credentials are sent to the configured server only; the message contains the location."""
    with Scripted(lambda _: Reply()) as other:
        with Scripted(lambda _: Reply(307, b"", {"Location": other.url + "/write"})) as server:
            error = yield error_of(clients(server.url, token=SECRET).write(b"m value=1 1\n"))
        assert f"redirected to {other.url}/write" in str(error)
        assert other.requests == []


@pytest_twisted.inlineCallbacks
def test_a_query_is_retried_on_a_new_connection(clients: Any) -> TEST:
    """A query on a persistent connection that the server closed is retried."""
    replies = [Reply(hang_up=True), Reply(200, {"results": [{"statement_id": 0}]})]
    with Scripted(lambda _: replies.pop(0)) as server:
        answer = yield clients(server.url).query(Statement("SELECT 1"))
        assert answer == [[]]
        assert len(server.requests) == 2
