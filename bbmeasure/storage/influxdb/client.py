"""Asynchronous InfluxDB client, on treq.

One deadline covers a whole request, from name resolution to the last byte of the response, so that a server that sends
one byte a second cannot block the caller.  The size of a response is limited.  The client retries only a query whose
persistent connection was closed by the server.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, Optional

from hyperlink import EncodedURL
from OpenSSL import SSL
from OpenSSL.crypto import Error as OpenSSLError
from treq.client import HTTPClient
from twisted.internet import defer, protocol, ssl
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.python.failure import Failure
from twisted.web import client, http
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from bbmeasure.errors import StorageError
from bbmeasure.storage.influxdb.influxql import Statement, create_database
from bbmeasure.storage.influxdb.server import PARSE_ERRORS, ErrorKind, Server, ServerError, query_error, response_error

web: Any = client  # Twisted gives it no types

#: Maximum size of the response to a write and to a query, in bytes.
MAX_WRITE_RESPONSE = 64 * 1024
MAX_QUERY_RESPONSE = 256 * 1024 * 1024
#: Rows per chunk of a query's response; parsing one chunk takes a few milliseconds.
CHUNK = 1_000
#: Seconds until an idle connection is closed.
_IDLE_TIMEOUT = 20.0
#: Seconds that a request may exceed its own timer, before :meth:`InfluxClient.cancel_overdue` cancels it.
_GRACE = 2.0
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

#: Called with each chunk of a response: the statement's index, and a mapping with name, tags, columns and values.
ChunkHandler = Callable[[int, Mapping[str, Any]], None]


class InfluxClient:
    """Asynchronous client of one database.

    Every Deferred fails with a StorageError, for a failed request with a ServerError; a request that
    :meth:`cancel_overdue` cancels fails with a CancelledError.
    """

    def __init__(
        self, reactor: Any, server: Server, *, agent: Any = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.reactor = reactor
        self.server = server
        self._monotonic = monotonic
        self._deadlines: dict[defer.Deferred[Any], float] = {}
        self._pool = web.HTTPConnectionPool(reactor, persistent=True)
        self._pool.retryAutomatically = False
        self._pool.cachedConnectionTimeout = _IDLE_TIMEOUT
        if agent is None:
            agent = web.Agent(reactor, tls_policy(server), connectTimeout=server.timeout, pool=self._pool)
        self._http = HTTPClient(agent)

    def __repr__(self) -> str:
        return f"InfluxClient({self.server!r})"

    def write(self, body: bytes, *, gzipped: bool = False) -> defer.Deferred[None]:
        """Send lines of line protocol.

        Only status 204 is success, as proxies and login pages answer 200.
        """
        headers = {"Content-Type": "text/plain; charset=utf-8", **({"Content-Encoding": "gzip"} if gzipped else {})}
        return self._with_timeout(self._write(body, headers))

    @defer.inlineCallbacks
    def _write(self, body: bytes, headers: dict[str, str]) -> Generator[Any, Any, None]:
        response = yield self._request("write", params=self.server.database_parameters(), data=body, headers=headers)
        content: list[bytes] = []
        yield read_body(response, MAX_WRITE_RESPONSE, content.append)
        if response.code != 204:
            raise self._error(response, content)

    def query(
        self, statement: Statement, handle: Optional[ChunkHandler] = None
    ) -> defer.Deferred[list[list[Mapping[str, Any]]]]:
        """Execute a statement and return the series of each of its parts.

        With ``handle`` each chunk is passed to that function as it arrives, and the returned lists are empty.
        """
        return self._with_timeout(self._query(statement, handle))

    @defer.inlineCallbacks
    def _query(
        self, statement: Statement, handle: Optional[ChunkHandler]
    ) -> Generator[Any, Any, list[list[Mapping[str, Any]]]]:
        form = {"q": statement.text, "epoch": "ns", "chunked": "true", "chunk_size": str(CHUNK)}
        if statement.params:
            form["params"] = json.dumps(statement.params)
        try:
            response = yield self._request("query", params=self.server.database_parameters(), data=form)
        except ServerError as failed:
            if not isinstance(failed.__cause__, web.ResponseNeverReceived):
                raise
            response = yield self._request("query", params=self.server.database_parameters(), data=form)
        if response.code != 200:
            content: list[bytes] = []
            yield read_body(response, MAX_WRITE_RESPONSE, content.append)
            error = self._error(response, content)
            raise query_error(self.server, error.message) if error.kind is ErrorKind.REFUSED else error
        parser = _ResponseParser(self.server, handle, statement.text.count(";") + 1)
        yield read_body(response, MAX_QUERY_RESPONSE, parser.feed)
        parser.finish()
        return parser.series

    def create_database(self) -> defer.Deferred[Any]:
        """Create the database unless it exists."""
        return self.query(create_database(self.server.database))

    @defer.inlineCallbacks
    def _request(self, name: str, **options: Any) -> Generator[Any, Any, Any]:
        headers = {**self.server.headers(), "User-Agent": "bbmeasure", **options.pop("headers", {})}
        try:
            request = self._http.request(
                "POST",
                _Url.from_text(self.server.endpoint(name)),
                headers=headers,
                allow_redirects=False,
                unbuffered=True,
                reactor=self.reactor,
                **options,
            )
            response = yield _cancellable(request)
        except defer.CancelledError:
            raise
        except Exception as failed:
            raise ServerError(ErrorKind.UNREACHABLE, self.server.redact(_reason(failed))) from failed
        return response

    def _error(self, response: Any, content: list[bytes]) -> ServerError:
        location = response.headers.getRawHeaders("location", [""])[0]
        return response_error(self.server, response.code, {"location": location}, b"".join(content))

    def _with_timeout(self, work: defer.Deferred[Any]) -> defer.Deferred[Any]:
        def timed_out(_: Any, seconds: float) -> None:
            raise ServerError(ErrorKind.UNREACHABLE, f"no complete answer within {seconds:g} s")

        def ended(result: Any) -> Any:
            self._deadlines.pop(work, None)
            return result

        self._deadlines[work] = self._monotonic() + self.server.timeout + _GRACE
        return work.addTimeout(self.server.timeout, self.reactor, timed_out).addBoth(ended)

    def cancel_overdue(self) -> None:
        """Cancel the requests whose timer is late, because the wall clock was set back."""
        now = self._monotonic()
        for work, deadline in list(self._deadlines.items()):
            if now > deadline:
                work.cancel()

    def close(self) -> None:
        """Close idle connections, without waiting for the servers."""
        self._pool.closeCachedConnections()


class _Url(EncodedURL):
    """URL that may have an IPv6 address as its host, which hyperlink would encode as a host name."""

    def to_uri(self) -> Any:
        """Return the URL with everything but such a host encoded."""
        if ":" not in self.host:
            return super().to_uri()
        return self.replace(host="address").to_uri().replace(host=self.host)


def _cancellable(work: defer.Deferred[Any]) -> defer.Deferred[Any]:
    """The result of ``work``, or a CancelledError at once when it is cancelled.

    Twisted's own error depends on what is under way: a lookup that is cancelled is one that found no address.
    """

    def cancel(result: defer.Deferred[Any]) -> None:
        result.errback(defer.CancelledError())
        work.cancel()

    def ended(outcome: Any) -> None:
        if not result.called:
            result.callback(outcome)

    result: defer.Deferred[Any] = defer.Deferred(cancel)
    work.addBoth(ended)
    return result


def _reason(failed: Any) -> str:
    """Return the message of the innermost exception of a failed request."""
    reasons = getattr(failed, "reasons", None)
    if reasons and isinstance(reasons[0], Failure):
        return _reason(reasons[0].value)
    text = str(failed)
    return f"{type(failed).__name__}: {text}" if text else type(failed).__name__


class _ResponseParser:
    """Incremental parser of a chunked response: newline-delimited JSON documents, or a single document."""

    def __init__(self, server: Server, handle: Optional[ChunkHandler], statements: int) -> None:
        self.series: list[list[Mapping[str, Any]]] = []
        self._statements = statements
        self._server = server
        self._handle = handle or self._collect
        self._line: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """Parse the lines that end in ``data``."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._line.append(line)
            self.finish()
        if rest:
            self._line.append(rest)

    def finish(self) -> None:
        """Parse the data since the last newline."""
        line = b"".join(self._line)
        self._line = []
        if line.strip():
            self._document(line)

    def _document(self, line: bytes) -> None:
        try:
            document = json.loads(line)
            for result in document.get("results", []) if "error" not in document else [document]:
                self._result(result)
        except PARSE_ERRORS:
            shown = self._server.redact(line[:500].decode("utf-8", "replace"))
            raise ServerError(ErrorKind.UNEXPECTED_RESPONSE, shown, 200) from None

    def _result(self, result: Mapping[str, Any]) -> None:
        if "error" in result:
            raise query_error(self._server, str(result["error"]))
        index = range(self._statements)[result.get("statement_id", 0)]
        while len(self.series) <= index:
            self.series.append([])
        for series in result.get("series", ()):
            self._handle(index, series)

    def _collect(self, index: int, series: Mapping[str, Any]) -> None:
        collected = self.series[index]
        previous = collected[-1] if collected else None
        if previous and previous["name"] == series["name"] and previous.get("tags") == series.get("tags"):
            previous["values"].extend(series.get("values", ()))
        else:
            collected.append(series)


def read_body(response: Any, max_bytes: int, handle: Callable[[bytes], None]) -> defer.Deferred[None]:
    """Pass the body of a response to ``handle``; cancelling the Deferred closes the connection."""
    reader = _BodyReader(max_bytes, handle)
    response.deliverBody(reader)
    return reader.done


class _BodyReader(protocol.Protocol):
    def __init__(self, max_bytes: int, handle: Callable[[bytes], None]) -> None:
        self.done: defer.Deferred[None] = defer.Deferred(lambda _: self._abort())
        self._remaining = max_bytes
        self._max_bytes = max_bytes
        self._handle = handle
        self._failure: Optional[Failure] = None

    def _abort(self) -> None:
        """Abort the connection: an orderly TLS shutdown would wait for a server that no longer answers."""
        producer = getattr(self.transport, "_producer", None)
        abort = getattr(producer, "abortConnection", None) or getattr(self.transport, "loseConnection", None)
        if abort is not None:
            abort()

    def dataReceived(self, data: bytes) -> None:
        """Handle a part of the body; after an error read on to its end, so that the connection can be reused."""
        if self.done.called:
            return
        self._remaining -= len(data)
        if self._remaining < 0:
            too_large = f"an answer of more than {self._max_bytes} bytes"
            self.done.errback(ServerError(ErrorKind.UNEXPECTED_RESPONSE, too_large))
            self._abort()
        elif self._failure is None:
            try:
                self._handle(data)
            except StorageError:
                self._failure = Failure()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        """Report the end of the body, or that it is incomplete."""
        if self.done.called:
            return
        if self._failure is not None:
            self.done.errback(self._failure)
        elif isinstance(reason.value, (web.ResponseDone, http.PotentialDataLoss)):
            self.done.callback(None)
        else:
            self.done.errback(ServerError(ErrorKind.UNREACHABLE, "the answer is incomplete"))


def read_ca_file(path: str) -> Any:
    """Return the trust root of a PEM file, used in place of the system's; raises StorageError if it has none."""
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
        """Return a connection that accepts any certificate."""
        connection = SSL.Connection(self._context, None)
        if not (isIPAddress(self._host) or isIPv6Address(self._host)):
            connection.set_tlsext_host_name(self._host.encode("idna"))
        return connection


@implementer(IPolicyForHTTPS)
class UnverifiedPolicy:
    """TLS policy without verification: ``verifyTLS=False``."""

    def creatorForNetloc(self, hostname: bytes, port: int) -> _Unverified:
        """Return the connection creator for a host."""
        del port
        return _Unverified(hostname.decode("ascii"))


def tls_policy(server: Server) -> Any:
    """Return the TLS policy of a server: the system's certificates, those of ``ca_file``, or no verification."""
    if not server.url.startswith("https"):
        return web.BrowserLikePolicyForHTTPS()
    if not server.verify_tls:
        return UnverifiedPolicy()
    return web.BrowserLikePolicyForHTTPS(read_ca_file(server.ca_file) if server.ca_file else None)
