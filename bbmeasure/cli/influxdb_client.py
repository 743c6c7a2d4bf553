"""Blocking InfluxDB client.

It wraps :class:`influxdb.InfluxDBClient` and overrides its defaults: no timeout, three retries, user and password
``root``, no verification of certificates.  It also disables what ``requests`` takes from the environment (proxies,
passwords, certificates) and redirects, because the master's own client uses none of these and both must agree.
"""

from __future__ import annotations

import email.utils
import json
import ssl
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Optional, Union
from urllib.parse import urlencode, urlsplit

import requests
from influxdb import InfluxDBClient
from influxdb.exceptions import InfluxDBClientError, InfluxDBServerError

from bbmeasure.errors import StorageError
from bbmeasure.model import Point
from bbmeasure.storage.influxdb.influxql import Statement
from bbmeasure.storage.influxdb.line_protocol import LineError, LineWriter, SkippedPointError
from bbmeasure.storage.influxdb.server import PARSE_ERRORS, ErrorKind, Server, ServerError, query_error, response_error

Item = tuple[int, Point]

#: Response headers that hold a server's version.
_VERSION_HEADERS = (("X-Influxdb-Version", "InfluxDB"), ("X-Geminidb-Version", "openGemini"))


class _Session(requests.Session):
    """HTTP session that ignores the environment, follows no redirect and keeps its last response."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.last_response = requests.Response()

    def request(self, *args: Any, **options: Any) -> requests.Response:
        """Send a request and keep the response: the client's exceptions hold neither its status nor its body."""
        options["allow_redirects"] = False
        self.last_response = super().request(*args, **options)
        return self.last_response


def _verify(server: Server) -> Union[bool, str]:
    """The ``verify`` argument of requests: the CA file or folder, by default OpenSSL's, or False."""
    system = ssl.get_default_verify_paths()
    return (server.ca_file or system.cafile or system.capath or True) if server.verify_tls else False


def connect(server: Server, session: Optional[requests.Session] = None) -> InfluxDBClient:
    """An :class:`influxdb.InfluxDBClient` of that server."""
    parts = urlsplit(server.url)
    is_tls = parts.scheme == "https"
    return InfluxDBClient(
        f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname,
        parts.port or (443 if is_tls else 80),
        server.username,
        server.password,
        server.database,
        ssl=is_tls,
        verify_ssl=_verify(server),
        timeout=server.timeout,
        retries=1,
        path=parts.path.rstrip("/"),
        headers={"User-Agent": "bbmeasure", "Accept": "application/json", **server.headers()},
        session=session or _Session(),
    )


class BlockingClient:
    """Client of one server.  Each method raises a StorageError, in most cases a ServerError."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._session = _Session()
        self._client = connect(server, self._session)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _request(self, name: str, method: str, expected: int, **options: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Unverified HTTPS request")
                return self._client.request(name, method, expected_response_code=expected, **options)
        except (InfluxDBServerError, InfluxDBClientError):
            response = self._session.last_response
            location = {"location": response.headers.get("Location", "nowhere")}
            raise response_error(self.server, response.status_code, location, response.content) from None
        except (requests.RequestException, OSError) as error:
            raise ServerError(ErrorKind.UNREACHABLE, self.server.redact(str(error))) from None
        except ValueError as error:  # the client decodes a body that is declared as MessagePack
            raise ServerError(ErrorKind.UNEXPECTED_RESPONSE, self.server.redact(str(error))) from None

    def ping(self) -> tuple[str, Optional[float]]:
        """The server's product and version, and its clock in unix seconds, to the second."""
        headers = self._request("ping", "GET", 204).headers
        date = email.utils.parsedate_tz(headers.get("Date", ""))
        clock = None if date is None else email.utils.mktime_tz(date)
        versions = (f"{name} {headers[header]}" for header, name in _VERSION_HEADERS if header in headers)
        return next(versions, "version not reported"), clock

    def query(self, text: str) -> list[dict[str, Any]]:
        """The rows of all series in the response to one statement."""
        found = self.execute(Statement(text))
        with self.expected_response(found):
            return [dict(zip(series["columns"], row)) for series in found[0] for row in series.get("values", ())]

    @contextmanager
    def expected_response(self, response: Any) -> Iterator[None]:
        """Raise ServerError where ``response`` has another format than the one that the block reads."""
        try:
            yield
        except PARSE_ERRORS:
            shown = self.server.redact(str(response)[:500])
            raise ServerError(ErrorKind.UNEXPECTED_RESPONSE, shown, 200) from None

    def execute(self, statement: Statement) -> list[list[dict[str, Any]]]:
        """The series in the response to each part of a statement."""
        form = (
            {"q": statement.text, "params": json.dumps(statement.params)} if statement.params else {"q": statement.text}
        )
        params = {**self.server.database_parameters(), "epoch": "ns"}
        headers = {**self._client._headers, "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(form).encode()
        response = self._request("query", "POST", 200, params=params, data=body, headers=headers)
        with self.expected_response(response.text):
            document = response.json()
            results = [document] if "error" in document else document.get("results") or [{}]
            for result in results:
                if "error" in result:
                    raise query_error(self.server, str(result["error"]))
            return [list(result.get("series", ())) for result in results]

    def write(self, lines: Sequence[str]) -> None:
        """Write lines of line protocol; any status but 204 is an error."""
        body = ("\n".join(lines) + "\n").encode("utf-8", "replace")
        headers = {**self._client._headers, "Content-Type": "text/plain; charset=utf-8"}
        self._request("write", "POST", 204, params=self.server.database_parameters(), data=body, headers=headers)

    def deliver(self, writer: LineWriter, items: Sequence[Item]) -> list[tuple[Point, str]]:
        """Write points and return those that the server refuses for good, with its reason.

        A point that the server does not get is skipped.  A refused batch is halved and sent again until the points
        at fault are known.
        """
        lines, sent, refused = [], [], []
        for item in items:
            try:
                lines.append(writer.line(item[1]))
                sent.append(item)
            except SkippedPointError:
                continue
            except LineError as error:
                refused.append((item[1], str(error)))
        if not lines:
            return refused
        try:
            self.write(lines)
        except ServerError as error:
            if error.kind not in (ErrorKind.REFUSED, ErrorKind.TOO_LARGE):
                raise
            if len(sent) == 1:
                return [*refused, (sent[0][1], error.message)]
            middle = len(sent) // 2
            return [*refused, *self.deliver(writer, sent[:middle]), *self.deliver(writer, sent[middle:])]
        return refused


def is_database_missing(error: StorageError) -> bool:
    """Whether the database does not exist."""
    return isinstance(error, ServerError) and error.kind is ErrorKind.NOT_FOUND and "database" in error.message
