"""A server as code that may wait sees it: through the ``influxdb`` client, its defaults undone.

The client's own are no timeout, three tries, root and root, and no look at certificates.  Its HTTP library's are the
proxies and passwords of the environment, redirects that it follows, and certificates of its own: the master has none
of these, and what is found out here is to be true of the master.
"""

from __future__ import annotations

import email.utils
import ssl
import warnings
from collections.abc import Sequence
from typing import Any, Optional, Union
from urllib.parse import urlsplit

import requests
from influxdb import InfluxDBClient
from influxdb.exceptions import InfluxDBClientError, InfluxDBServerError

from bbmeasure.errors import StorageError
from bbmeasure.model import Point
from bbmeasure.storage.influxdb.line_protocol import LineError, LineWriter, TextLeftOutError
from bbmeasure.storage.influxdb.server import ODD, Server, ServerError, Trouble, error_of, query_error

Item = tuple[int, Point]

#: The headers in which servers tell their versions.
_VERSIONS = (("X-Influxdb-Version", "InfluxDB"), ("X-Geminidb-Version", "openGemini"))


class _Session(requests.Session):
    """Asks the server itself, as who was said, and nobody else."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.answer = requests.Response()

    def request(self, *args: Any, **options: Any) -> requests.Response:
        """Ask, and keep the answer: the client tells of an error neither its status nor its words as they came."""
        options["allow_redirects"] = False
        self.answer = super().request(*args, **options)
        return self.answer


def _trusted(server: Server) -> Union[bool, str]:
    """The file or folder of the certificates that are believed: those of the system as for OpenSSL, False for any."""
    system = ssl.get_default_verify_paths()
    return (server.ca_file or system.cafile or system.capath or True) if server.verify_tls else False


def connect(server: Server, session: Optional[requests.Session] = None) -> InfluxDBClient:
    """The client of that server."""
    parts = urlsplit(server.url)
    is_tls = parts.scheme == "https"
    return InfluxDBClient(
        f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname,
        parts.port or (443 if is_tls else 80),
        server.username,
        server.password,
        server.database,
        ssl=is_tls,
        verify_ssl=_trusted(server),
        timeout=server.timeout,
        retries=1,
        path=parts.path.rstrip("/"),
        headers={"User-Agent": "bbmeasure", "Accept": "application/json", **server.headers()},
        session=session or _Session(),
    )


class SyncServer:
    """Asks and writes, and waits for the answer.  Every method raises a StorageError, mostly a ServerError."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._session = _Session()
        self._client = connect(server, self._session)

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _request(self, name: str, method: str, expected: int, **options: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Unverified HTTPS request")
                return self._client.request(name, method, expected_response_code=expected, **options)
        except (InfluxDBServerError, InfluxDBClientError):
            answer = self._session.answer
            location = {"location": answer.headers.get("Location", "nowhere")}
            raise error_of(self.server, answer.status_code, location, answer.content) from None
        except (requests.RequestException, OSError) as error:
            raise ServerError(Trouble.UNREACHABLE, self.server.redact(str(error))) from None
        except ValueError as error:  # the client reads what says that it is MessagePack
            raise ServerError(Trouble.UNEXPECTED_RESPONSE, self.server.redact(str(error))) from None

    def ping(self) -> tuple[str, Optional[float]]:
        """What the server says that it is, and its clock in unix seconds, to the second."""
        headers = self._request("ping", "GET", 204).headers
        date = email.utils.parsedate_tz(headers.get("Date", ""))
        clock = None if date is None else email.utils.mktime_tz(date)
        told = next((f"{name} {headers[header]}" for header, name in _VERSIONS if header in headers), "no version told")
        return told, clock

    def query(self, text: str) -> list[dict[str, Any]]:
        """The rows that one statement is answered with, of whatever series."""
        params = {**self.server.place(), "q": text, "epoch": "ns"}
        answer = self._request("query", "POST", 200, params=params)
        try:
            said = answer.json()
            result = (said.get("results") or [{}])[0]
            if "error" in said or "error" in result:
                raise query_error(self.server, str(said.get("error") or result["error"]))
            return [
                dict(zip(series["columns"], row))
                for series in result.get("series", ())
                for row in series.get("values", ())
            ]
        except ODD:
            raise ServerError(Trouble.UNEXPECTED_RESPONSE, self.server.redact(answer.text), 200) from None

    def write(self, lines: Sequence[str]) -> None:
        """Send lines; only 204 is success."""
        body = ("\n".join(lines) + "\n").encode("utf-8", "replace")
        headers = {**self._client._headers, "Content-Type": "text/plain; charset=utf-8"}
        self._request("write", "POST", 204, params=self.server.place(), data=body, headers=headers)

    def deliver(self, writer: LineWriter, items: Sequence[Item]) -> list[tuple[Point, str]]:
        """Send points; those that were refused for good, with the reason.

        Texts for a server of numbers are passed over.  What was refused together is sent again in halves, until it is
        known which points are at fault.
        """
        lines, sent, refused = [], [], []
        for item in items:
            try:
                lines.append(writer.line(item[1]))
                sent.append(item)
            except TextLeftOutError:
                continue
            except LineError as error:
                refused.append((item[1], str(error)))
        if not lines:
            return refused
        try:
            self.write(lines)
        except ServerError as error:
            if error.trouble not in (Trouble.REFUSED, Trouble.TOO_LARGE):
                raise
            if len(sent) == 1:
                return [*refused, (sent[0][1], error.words)]
            middle = len(sent) // 2
            return [*refused, *self.deliver(writer, sent[:middle]), *self.deliver(writer, sent[middle:])]
        return refused


def is_missing(error: StorageError) -> bool:
    """Whether the database is not there."""
    return isinstance(error, ServerError) and error.trouble is Trouble.NOT_FOUND and "database" in error.words
