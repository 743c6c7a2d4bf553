"""Which InfluxDB is meant and as whom, and how what it answers to a write or a question is told apart.

One set of endpoints serves InfluxDB 1.x, 2.x and 3, and what speaks like them: ``/write`` and ``/query``, with a user
and password or with a token in the header.  Nothing here touches the network; no message or ``repr`` holds a secret.
"""

from __future__ import annotations

import enum
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional
from urllib.parse import urlsplit

from bbmeasure.errors import StorageError, StorageUnavailableError

#: What reading an answer raises that has another form than InfluxDB's.
ODD = (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError)

_LONGEST_WORDS = 300


class Trouble(enum.Enum):
    """What went wrong with a request; the value says what to do about it."""

    UNREACHABLE = "no answer"
    UNAUTHORIZED = "user, password or token not accepted"
    FORBIDDEN = "no right to do that"
    NOT_FOUND = "no such database, retention policy or path"
    REFUSED = "points refused"
    TOO_LARGE = "too much at once"
    BUSY = "server is busy"
    FAILED = "server failed"
    UNEXPECTED_RESPONSE = "not the answer of an InfluxDB; is the URL right?"


class ServerError(StorageUnavailableError):
    """A server that did not do what was asked of it.

    ``words`` are its own, cut short; ``status`` is HTTP's, 0 where no whole answer came.
    """

    def __init__(self, trouble: Trouble, words: str, status: int = 0) -> None:
        code = f"{status} " if status else ""
        super().__init__(f"{code}{trouble.value}: {words}" if words else f"{code}{trouble.value}")
        self.trouble = trouble
        self.words = words
        self.status = status


@dataclass(frozen=True, repr=False)
class Server:
    """A database on a server.  StorageError where the URL is none, or holds a password."""

    url: str
    database: str
    username: Optional[str] = None
    password: Optional[str] = None
    token: Optional[str] = None
    retention_policy: Optional[str] = None
    verify_tls: bool = True
    ca_file: Optional[str] = None
    timeout: float = 10.0
    token_scheme: str = "Token"  # noqa: S105  (a word of HTTP)
    hide_username: bool = False

    def __post_init__(self) -> None:
        check_url(self.url)
        for name, value in (("username", self.username), ("password", self.password), ("token", self.token)):
            if value is not None and not isinstance(value, str):
                raise StorageError(f"{name}: expected a text")
        if self.ca_file is not None and not isinstance(self.ca_file, str):
            raise StorageError(f"caFile {self.ca_file!r}: expected a file's path")

    def __repr__(self) -> str:
        database = f", database {self.database}" if self.database else ""
        policy = f", retention policy {self.retention_policy}" if self.retention_policy else ""
        return f"<{self.url}{database}{policy}, {self.who}>"

    @property
    def who(self) -> str:
        """As whom requests are made."""
        if self.token:
            return "by token"
        return f"as {'***' if self.hide_username else self.username}" if self.username else "as nobody"

    def endpoint(self, name: str) -> str:
        """The URL of ``write``, ``query`` or ``ping``, behind the prefix that the server's URL may have."""
        return f"{self.url.rstrip('/')}/{name}"

    def headers(self) -> dict[str, str]:
        """What proves who asks: ``Token`` is understood by InfluxDB 2 and 3, the basic scheme by all."""
        if self.token:
            return {"Authorization": f"{self.token_scheme} {self.token}"}
        if self.username:
            pair = f"{self.username}:{self.password or ''}".encode()
            return {"Authorization": f"Basic {b64encode(pair).decode('ascii')}"}
        return {}

    def place(self) -> dict[str, str]:
        """The parameters that name the database and, where one is chosen, its retention policy."""
        place = {"db": self.database, "rp": self.retention_policy}
        return {name: value for name, value in place.items() if value}

    def redact(self, words: str) -> str:
        """A server's words without line breaks and secrets, cut short."""
        proof = self.headers().get("Authorization", "").partition(" ")[2]
        for secret in (proof, self.password, self.token, self.username if self.hide_username else None):
            if secret:
                words = words.replace(secret, "***")
        words = " ".join(words.split())
        return words if len(words) <= _LONGEST_WORDS else f"{words[:_LONGEST_WORDS]}\u2026"


def check_url(url: str) -> None:
    """StorageError where ``url`` is none of a server: it names what is wrong and never shows what may be a password."""
    if not isinstance(url, str):
        raise StorageError("url: expected a text such as https://influx.example.org:8086")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise StorageError("url: expected one such as https://influx.example.org:8086") from None
    if parts.username is not None or parts.password is not None:
        raise StorageError("url: expected no user and password in it; give username= and password=")
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or any(char <= " " for char in url):
        raise StorageError(f"url {url[:200]!r}: expected one such as https://influx.example.org:8086")
    if parts.query or parts.fragment:
        raise StorageError("url: expected nothing behind its path")


_BY_STATUS = {
    400: Trouble.REFUSED,
    401: Trouble.UNAUTHORIZED,
    403: Trouble.FORBIDDEN,
    404: Trouble.NOT_FOUND,
    413: Trouble.TOO_LARGE,
    422: Trouble.REFUSED,
    429: Trouble.BUSY,
    503: Trouble.BUSY,
}


_SAYS_NOTHING = ("bad request", "unprocessable entity")
#: What openGemini says with a 400 while it takes no points at all.
_READ_ONLY = "writing is not allowed"


def error_of(server: Server, status: int, headers: Mapping[str, str], body: bytes) -> ServerError:
    """What an answer means that is not the one wished for.

    A 400 is of the points only where InfluxDB itself says so, in JSON: a proxy's page, or "Client sent an HTTP request
    to an HTTPS server", must not make anybody throw points away.
    """
    words = _words(body)
    trouble = _BY_STATUS.get(status)
    if trouble is None:
        trouble = Trouble.FAILED if status >= 500 else Trouble.UNEXPECTED_RESPONSE
    if trouble is Trouble.REFUSED and (words is None or words.lower() in _SAYS_NOTHING):
        trouble = Trouble.UNEXPECTED_RESPONSE
    if words is not None and "retention policy not found" in words:
        trouble = Trouble.NOT_FOUND
    if words is not None and _READ_ONLY in words:
        trouble = Trouble.FAILED
    if 300 <= status < 400:
        words = f"redirected to {headers.get('location', 'nowhere')}"
    if words is None:
        words = body[: 2 * _LONGEST_WORDS].decode("utf-8", "replace")
    return ServerError(trouble, server.redact(words), status)


def _words(body: bytes) -> Optional[str]:
    """The message in an error's JSON, by the key of InfluxDB 1 and 3 or of 2; None where it is none."""
    try:
        said = json.loads(body)
    except ODD:
        return None
    if not isinstance(said, dict):
        return None
    found = said.get("error") or ("code" in said and said.get("message"))
    if not isinstance(found, str):
        return None
    details = said.get("data")
    if isinstance(details, list) and details and isinstance(details[0], dict):
        found = f"{found}: {details[0].get('error_message', '')}"
    return found


def query_error(server: Server, words: str) -> StorageError:
    """What an error inside of an answer with status 200 means."""
    for sign, trouble in (
        ("database not found", Trouble.NOT_FOUND),
        ("retention policy not found", Trouble.NOT_FOUND),
        ("not authorized", Trouble.FORBIDDEN),
    ):
        if sign in words:
            return ServerError(trouble, server.redact(words), 200)
    return StorageError(f"the server could not answer: {server.redact(words)}")
