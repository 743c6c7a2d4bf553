"""Talking HTTP to an InfluxDB from the reactor, through treq.

Each request has one deadline for all of it, from the name's look-up to the last byte of the answer, so that a server
that sends a byte a second holds nobody up; and what is read of an answer is bounded.  Nothing is retried here but a
question whose kept connection turned out to be dead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Mapping
from typing import Any, Optional

from hyperlink import EncodedURL
from OpenSSL import SSL
from OpenSSL.crypto import Error as OpenSSLError
from treq.client import HTTPClient
from twisted.internet import defer, error, protocol, ssl
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.python.failure import Failure
from twisted.web import client, http
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from bbmeasure.errors import StorageError
from bbmeasure.storage.influxdb.influxql import Statement, create_database
from bbmeasure.storage.influxdb.server import ODD, Server, ServerError, Trouble, error_of, query_error

web: Any = client  # Twisted gives it no types

#: The most bytes that are read of the answer to a write, and to a question.
MOST_OF_WRITE = 64 * 1024
MOST_OF_QUERY = 256 * 1024 * 1024
#: An answer comes in pieces of so many rows, each of which is read in some milliseconds.
CHUNK = 1_000
_IDLE = 20.0
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

#: What takes a piece of an answer: the number of the statement, and a mapping with name, tags, columns and values.
Take = Callable[[int, Mapping[str, Any]], None]


class InfluxClient:
    """A client of one database on one server.  Every Deferred fails with a StorageError, mostly a ServerError."""

    def __init__(self, reactor: Any, server: Server, *, agent: Any = None) -> None:
        self.reactor = reactor
        self.server = server
        self._pool = web.HTTPConnectionPool(reactor, persistent=True)
        self._pool.retryAutomatically = False
        self._pool.cachedConnectionTimeout = _IDLE
        if agent is None:
            agent = web.Agent(reactor, policy(server), connectTimeout=server.timeout, pool=self._pool)
        self._http = HTTPClient(agent)

    def __repr__(self) -> str:
        return f"InfluxClient({self.server!r})"

    def write(self, body: bytes, *, gzipped: bool = False) -> defer.Deferred[None]:
        """Send lines; fires when the server has said 204, which no proxy or login page says by chance."""
        headers = {"Content-Type": "text/plain; charset=utf-8", **({"Content-Encoding": "gzip"} if gzipped else {})}
        return self._within_deadline(self._write(body, headers))

    @defer.inlineCallbacks
    def _write(self, body: bytes, headers: dict[str, str]) -> Generator[Any, Any, None]:
        answer = yield self._request("write", params=self.server.place(), data=body, headers=headers)
        kept: list[bytes] = []
        yield _read(answer, MOST_OF_WRITE, kept.append)
        if answer.code != 204:
            raise self._error(answer, kept)

    def query(self, statement: Statement, take: Optional[Take] = None) -> defer.Deferred[list[list[Mapping[str, Any]]]]:
        """The series that each statement is answered with; they go to ``take`` instead, piece by piece, where given."""
        return self._within_deadline(self._query(statement, take))

    @defer.inlineCallbacks
    def _query(self, statement: Statement, take: Optional[Take]) -> Generator[Any, Any, list[list[Mapping[str, Any]]]]:
        form = {"q": statement.text, "epoch": "ns", "chunked": "true", "chunk_size": str(CHUNK)}
        if statement.params:
            form["params"] = json.dumps(statement.params)
        try:
            answer = yield self._request("query", params=self.server.place(), data=form)
        except ServerError as broken:
            if not isinstance(broken.__cause__, web.ResponseNeverReceived):
                raise
            answer = yield self._request("query", params=self.server.place(), data=form)
        if answer.code != 200:
            kept: list[bytes] = []
            yield _read(answer, MOST_OF_WRITE, kept.append)
            failed = self._error(answer, kept)
            raise query_error(self.server, failed.words) if failed.trouble is Trouble.REFUSED else failed
        results = _Results(self.server, take, statement.text.count(";") + 1)
        yield _read(answer, MOST_OF_QUERY, results.feed)
        results.finish()
        return results.series

    def create_database(self) -> defer.Deferred[Any]:
        """Make the database where it is not there."""
        return self.query(create_database(self.server.database))

    @defer.inlineCallbacks
    def _request(self, name: str, **options: Any) -> Generator[Any, Any, Any]:
        headers = {**self.server.headers(), "User-Agent": "bbmeasure", **options.pop("headers", {})}
        try:
            answer = yield self._http.request(
                "POST",
                _Url.from_text(self.server.endpoint(name)),
                headers=headers,
                allow_redirects=False,
                unbuffered=True,
                reactor=self.reactor,
                **options,
            )
        except Exception as failed:
            if _is_cancelled(failed):
                raise defer.CancelledError from None
            raise ServerError(Trouble.UNREACHABLE, self.server.redact(_reason(failed))) from failed
        return answer

    def _error(self, answer: Any, kept: list[bytes]) -> ServerError:
        location = answer.headers.getRawHeaders("location", [""])[0]
        return error_of(self.server, answer.code, {"location": location}, b"".join(kept))

    def _within_deadline(self, work: defer.Deferred[Any]) -> defer.Deferred[Any]:
        def late(_: Any, seconds: float) -> None:
            raise ServerError(Trouble.UNREACHABLE, f"not a whole answer within {seconds:g} s")

        return work.addTimeout(self.server.timeout, self.reactor, late)

    def close(self) -> None:
        """Let go of connections; waits for nobody."""
        self._pool.closeCachedConnections()


class _Url(EncodedURL):
    """A URL whose host may be an IPv6 address, which hyperlink would take for a name in another alphabet."""

    def to_uri(self) -> Any:
        """Everything but such a host encoded."""
        if ":" not in self.host:
            return super().to_uri()
        return self.replace(host="address").to_uri().replace(host=self.host)


def _is_cancelled(failed: BaseException) -> bool:
    """Whether it is our own doing that there is no answer."""
    reasons = [reason.value for reason in getattr(failed, "reasons", None) or () if isinstance(reason, Failure)]
    cancelled = (defer.CancelledError, error.ConnectingCancelledError)
    return any(isinstance(one, cancelled) for one in [failed, *reasons])


def _reason(failed: Any) -> str:
    """Why a request got no answer, in the words of what is deepest."""
    reasons = getattr(failed, "reasons", None)
    if reasons and isinstance(reasons[0], Failure):
        return _reason(reasons[0].value)
    text = str(failed)
    return f"{type(failed).__name__}: {text}" if text else type(failed).__name__


class _Results:
    """Reads an answer in pieces: JSON documents with a line break behind each, or a single one."""

    def __init__(self, server: Server, take: Optional[Take], most: int) -> None:
        """There are at most so many statements."""
        self.series: list[list[Mapping[str, Any]]] = []
        self._most = most
        self._server = server
        self._take = take or self._keep
        self._rest: list[bytes] = []

    def feed(self, piece: bytes) -> None:
        """Read the lines that end in ``piece``."""
        *lines, rest = piece.split(b"\n")
        for line in lines:
            self._rest.append(line)
            self.finish()
        if rest:
            self._rest.append(rest)

    def finish(self) -> None:
        """Read what has come since the last line break."""
        line = b"".join(self._rest)
        self._rest = []
        if line.strip():
            self._document(line)

    def _document(self, line: bytes) -> None:
        try:
            said = json.loads(line)
            for result in said.get("results", []) if "error" not in said else [said]:
                self._result(result)
        except ODD:
            words = self._server.redact(line[:500].decode("utf-8", "replace"))
            raise ServerError(Trouble.UNEXPECTED_RESPONSE, words, 200) from None

    def _result(self, result: Mapping[str, Any]) -> None:
        if "error" in result:
            raise query_error(self._server, str(result["error"]))
        number = range(self._most)[result.get("statement_id", 0)]
        while len(self.series) <= number:
            self.series.append([])
        for series in result.get("series", ()):
            self._take(number, series)

    def _keep(self, number: int, series: Mapping[str, Any]) -> None:
        held = self.series[number]
        before = held[-1] if held else None
        if before and before["name"] == series["name"] and before.get("tags") == series.get("tags"):
            before["values"].extend(series.get("values", ()))
        else:
            held.append(series)


def _read(answer: Any, most: int, take: Callable[[bytes], None]) -> defer.Deferred[None]:
    """Give the body of an answer to ``take``; fires at its end, and drops the connection when it is cancelled."""
    reader = _Reader(most, take)
    answer.deliverBody(reader)
    return reader.done


class _Reader(protocol.Protocol):
    def __init__(self, most: int, take: Callable[[bytes], None]) -> None:
        self.done: defer.Deferred[None] = defer.Deferred(lambda _: self._drop())
        self._left = most
        self._most = most
        self._take = take
        self._odd: Optional[Failure] = None

    def _drop(self) -> None:
        """Close the connection at once: a TLS server that says nothing would keep a polite farewell waiting."""
        producer = getattr(self.transport, "_producer", None)
        drop = getattr(producer, "abortConnection", None) or getattr(self.transport, "loseConnection", None)
        if drop is not None:
            drop()

    def dataReceived(self, data: bytes) -> None:
        """Take a piece of the body; after one that is an error the rest of it, so that the connection may be kept."""
        if self.done.called:
            return
        self._left -= len(data)
        if self._left < 0:
            self.done.errback(ServerError(Trouble.UNEXPECTED_RESPONSE, f"an answer of more than {self._most} bytes"))
            self._drop()
        elif self._odd is None:
            try:
                self._take(data)
            except StorageError:
                self._odd = Failure()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        """The body is whole, or will never be."""
        if self.done.called:
            return
        if self._odd is not None:
            self.done.errback(self._odd)
        elif isinstance(reason.value, (web.ResponseDone, http.PotentialDataLoss)):
            self.done.callback(None)
        else:
            self.done.errback(ServerError(Trouble.UNREACHABLE, "the answer broke off"))


def read_ca_file(path: str) -> Any:
    """The certificates of a PEM file, to be trusted in place of the system's; StorageError where there are none."""
    try:
        with open(path, "rb") as file:
            found = [ssl.Certificate.loadPEM(pem) for pem in _PEM.findall(file.read())]
    except (OSError, OpenSSLError, ValueError) as error:
        raise StorageError(f"caFile {path!r}: expected a file of certificates in PEM ({error})") from None
    if not found:
        raise StorageError(f"caFile {path!r}: expected certificates in PEM, found none")
    trust: Any = ssl.trustRootFromCertificates  # Twisted gives it no types
    return trust(found)


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    def __init__(self, host: str) -> None:
        self._host = host
        self._context = ssl.CertificateOptions(verify=False).getContext()

    def clientConnectionForTLS(self, _: Any) -> SSL.Connection:
        """A connection that takes any certificate."""
        connection = SSL.Connection(self._context, None)
        if not (isIPAddress(self._host) or isIPv6Address(self._host)):
            connection.set_tlsext_host_name(self._host.encode("idna"))
        return connection


@implementer(IPolicyForHTTPS)
class UnverifiedPolicy:
    """Encrypts, and believes any server: ``verifyTLS=False``."""

    def creatorForNetloc(self, hostname: bytes, port: int) -> _Unverified:
        """How to connect to that server."""
        del port
        return _Unverified(hostname.decode("ascii"))


def policy(server: Server) -> Any:
    """How a server proves who it is: by the system's certificates, those in a file, or not at all."""
    if not server.url.startswith("https"):
        return web.BrowserLikePolicyForHTTPS()
    if not server.verify_tls:
        return UnverifiedPolicy()
    return web.BrowserLikePolicyForHTTPS(read_ca_file(server.ca_file) if server.ca_file else None)
