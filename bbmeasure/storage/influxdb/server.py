"""Address and credentials of an InfluxDB server, and classification of its error responses.

InfluxDB 1.x, 2.x, 3 and compatible servers share the endpoints ``/write`` and ``/query``, with basic authentication or
a token in the ``Authorization`` header.  This module does no I/O.  No message and no ``repr`` contains a secret.
"""

from __future__ import annotations

import enum
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from bbmeasure.errors import QueryError, StorageError, StorageUnavailableError
from bbmeasure.urls import check_url, redact_credentials

#: Exceptions that reading a response of another format than InfluxDB's raises.
PARSE_ERRORS = (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError)

_MAX_MESSAGE_CHARACTERS = 300


class ErrorKind(enum.Enum):
    """Classes of failed requests.  The value describes the class in messages."""

    UNREACHABLE = "no answer"
    UNAUTHORIZED = "user, password or token not accepted"
    FORBIDDEN = "permission denied"
    NOT_FOUND = "no such database, retention policy or path"
    REFUSED = "points refused"
    TOO_LARGE = "request too large"
    BUSY = "server is busy"
    FAILED = "server failed"
    UNEXPECTED_RESPONSE = "not the answer of an InfluxDB; is the URL right?"


class ServerError(StorageUnavailableError):
    """Failed request to a server.

    ``message`` is the server's own message, truncated; ``status`` is the HTTP status, 0 without a complete response.
    """

    def __init__(self, kind: ErrorKind, message: str, status: int = 0) -> None:
        code = f"{status} " if status else ""
        super().__init__(f"{code}{kind.value}: {message}" if message else f"{code}{kind.value}")
        self.kind = kind
        self.message = message
        self.status = status


@dataclass(frozen=True, repr=False)
class Server:
    """One database of a server, with the credentials for it.

    Raises QueryError for an invalid URL or one with credentials, and for arguments of another type.
    """

    url: str
    database: str
    username: Optional[str] = None
    password: Optional[str] = None
    token: Optional[str] = None
    retention_policy: Optional[str] = None
    verify_tls: bool = True
    ca_file: Optional[str] = None
    timeout: float = 10.0
    token_scheme: str = "Token"  # noqa: S105  (an HTTP authentication scheme)
    hide_username: bool = False

    def __post_init__(self) -> None:
        check_url(self.url)
        if not self.url.isascii():
            raise QueryError("url: expected ASCII only")
        for name, value in (("username", self.username), ("password", self.password), ("token", self.token)):
            if value is not None and not isinstance(value, str):
                raise QueryError(f"{name}: expected a text")
        if self.ca_file is not None and not isinstance(self.ca_file, str):
            raise QueryError(f"caFile {self.ca_file!r}: expected a file's path")

    def __repr__(self) -> str:
        database = f", database {self.database}" if self.database else ""
        policy = f", retention policy {self.retention_policy}" if self.retention_policy else ""
        return f"<{self.url}{database}{policy}, {self.authentication}>"

    @property
    def authentication(self) -> str:
        """The credentials in use, described without a secret."""
        if self.token:
            return "by token"
        return f"as {'***' if self.hide_username else self.username}" if self.username else "as nobody"

    def endpoint(self, name: str) -> str:
        """Return the URL of ``write``, ``query`` or ``ping``."""
        return f"{self.url.rstrip('/')}/{name}"

    def headers(self) -> dict[str, str]:
        """Return the ``Authorization`` header; InfluxDB 2 and 3 accept ``Token``, all versions accept ``Basic``."""
        if self.token:
            return {"Authorization": f"{self.token_scheme} {self.token}"}
        if self.username:
            pair = f"{self.username}:{self.password or ''}".encode()
            return {"Authorization": f"Basic {b64encode(pair).decode('ascii')}"}
        return {}

    def database_parameters(self) -> dict[str, str]:
        """Return the query parameters that select the database and the retention policy."""
        parameters = {"db": self.database, "rp": self.retention_policy}
        return {name: value for name, value in parameters.items() if value}

    def redact(self, text: str) -> str:
        """Return ``text`` on one line, without secrets, truncated."""
        credentials = self.headers().get("Authorization", "").partition(" ")[2]
        for secret in (credentials, self.password, self.token, self.username if self.hide_username else None):
            if secret:
                text = text.replace(secret, "***")
        text = " ".join(redact_credentials(text[: 4 * _MAX_MESSAGE_CHARACTERS]).split())
        return text if len(text) <= _MAX_MESSAGE_CHARACTERS else f"{text[:_MAX_MESSAGE_CHARACTERS]}\u2026"


_KIND_BY_STATUS = {
    400: ErrorKind.REFUSED,
    401: ErrorKind.UNAUTHORIZED,
    403: ErrorKind.FORBIDDEN,
    404: ErrorKind.NOT_FOUND,
    413: ErrorKind.TOO_LARGE,
    422: ErrorKind.REFUSED,
    429: ErrorKind.BUSY,
    503: ErrorKind.BUSY,
}


_GENERIC_MESSAGES = ("bad request", "unprocessable entity")
#: Message of openGemini, with status 400, while it is read-only.
_READ_ONLY = "writing is not allowed"


def response_error(server: Server, status: int, headers: Mapping[str, str], body: bytes) -> ServerError:
    """Return the error for a response with an unexpected status.

    A 400 is REFUSED only with a JSON message of InfluxDB: the error page of a proxy, or "Client sent an HTTP request
    to an HTTPS server", must not make the exporter discard points.
    """
    message = _error_message(body)
    kind = _KIND_BY_STATUS.get(status)
    if kind is None:
        kind = ErrorKind.FAILED if status >= 500 else ErrorKind.UNEXPECTED_RESPONSE
    if kind is ErrorKind.REFUSED and (message is None or message.lower() in _GENERIC_MESSAGES):
        kind = ErrorKind.UNEXPECTED_RESPONSE
    if message is not None and "retention policy not found" in message:
        kind = ErrorKind.NOT_FOUND
    if message is not None and _READ_ONLY in message:
        kind = ErrorKind.FAILED
    if 300 <= status < 400:
        message = f"redirected to {headers.get('location', 'nowhere')}"
    if message is None:
        message = body[: 2 * _MAX_MESSAGE_CHARACTERS].decode("utf-8", "replace")
    return ServerError(kind, server.redact(message), status)


def _error_message(body: bytes) -> Optional[str]:
    """Return the message of a JSON error of InfluxDB 1 or 3 (``error``) or 2 (``message``), None for another body."""
    try:
        document = json.loads(body)
    except PARSE_ERRORS:
        return None
    if not isinstance(document, dict):
        return None
    message = document.get("error") or ("code" in document and document.get("message"))
    if not isinstance(message, str):
        return None
    details = document.get("data")
    if isinstance(details, list) and details and isinstance(details[0], dict):
        message = f"{message}: {details[0].get('error_message', '')}"
    return message


def query_error(server: Server, message: str) -> StorageError:
    """Return the exception for an error inside a response with status 200."""
    for sign, kind in (
        ("database not found", ErrorKind.NOT_FOUND),
        ("retention policy not found", ErrorKind.NOT_FOUND),
        ("not authorized", ErrorKind.FORBIDDEN),
    ):
        if sign in message:
            return ServerError(kind, server.redact(message), 200)
    return StorageError(f"query failed: {server.redact(message)}")
