"""JSON over HTTP for reporters: one deadline a request, bounded answers, errors that say whether to try again."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional
from urllib.parse import urljoin, urlsplit

from treq.client import HTTPClient
from twisted.internet import defer
from twisted.web import client

from bbmeasure.errors import MeasureError
from bbmeasure.storage.influxdb.client import read_body, tls_policy
from bbmeasure.storage.influxdb.server import Server, ServerError

web: Any = client  # Twisted gives it no types

#: The most bytes of an answer: a page of comments of 65,536 characters each.
MAX_ANSWER = 8 * 1024 * 1024
#: The most redirects, of which only those to the same host are followed: the request has a token.
MAX_REDIRECTS = 3
#: The longest time that a service may ask to wait, in seconds.
MAX_RETRY_AFTER = 3600.0

_REDIRECTS = (301, 302, 307, 308)
#: Statuses that the same request will get again.
_PERMANENT = (400, 404, 405, 410, 413, 422)


class ServiceError(MeasureError):
    """Failed request to a service.

    ``status`` is 0 without an answer.  ``retry_after`` is the delay in seconds that the service asks for, None if it
    asks for none; a ``permanent`` error is not tried again.
    """

    def __init__(self, message: str, status: int = 0, retry_after: Optional[float] = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.permanent = status in _PERMANENT


@dataclass(frozen=True)
class Answer:
    """Answer of a service with a status of success."""

    data: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class JsonClient:
    """Client of one service below ``server.url``; ``headers`` are sent with each request."""

    def __init__(self, reactor: Any, server: Server, headers: Mapping[str, str], *, agent: Any = None) -> None:
        self._reactor = reactor
        self._server = server
        self._headers: dict[Any, Any] = {"User-Agent": "bbmeasure", "Accept": "application/json", **headers}
        self._pool = web.HTTPConnectionPool(reactor, persistent=True)
        self._pool.retryAutomatically = False
        if agent is None:
            agent = web.Agent(reactor, tls_policy(server), connectTimeout=server.timeout, pool=self._pool)
        self._http = HTTPClient(agent)

    def request(
        self, method: str, path: str, *, params: Optional[Mapping[str, str]] = None, body: Any = None
    ) -> defer.Deferred[Answer]:
        """Send a request to a path; fails with a ServiceError."""

        def timed_out(_: Any, seconds: float) -> Any:
            raise ServiceError(f"{method} {path}: no complete answer within {seconds:g} s")

        work = self._request(method, f"{self._server.url.rstrip('/')}{path}", params, body)
        return work.addTimeout(self._server.timeout, self._reactor, timed_out)

    @defer.inlineCallbacks
    def _request(
        self, method: str, url: str, params: Optional[Mapping[str, str]], body: Any
    ) -> Generator[Any, Any, Answer]:
        for _ in range(MAX_REDIRECTS + 1):
            response, content = yield self._send(method, url, params, body)
            location = response.headers.getRawHeaders("location", [""])[0]
            if response.code not in _REDIRECTS or not location:
                break
            target = urljoin(url, location)
            if urlsplit(target)[:2] != urlsplit(url)[:2]:
                break
            url, params = target, None
        return self._answer(method, url, response, content)

    @defer.inlineCallbacks
    def _send(
        self, method: str, url: str, params: Optional[Mapping[str, str]], body: Any
    ) -> Generator[Any, Any, tuple[Any, bytes]]:
        content: list[bytes] = []
        try:
            response = yield self._http.request(
                method,
                url,
                params=params,
                headers=dict(self._headers),
                allow_redirects=False,
                unbuffered=True,
                reactor=self._reactor,
                **({} if body is None else {"json": body}),
            )
            yield read_body(response, MAX_ANSWER, content.append)
        except defer.CancelledError:
            raise
        except ServerError as error:
            raise ServiceError(f"{method}: {error.message}") from None
        except Exception as error:
            reasons = getattr(error, "reasons", None)
            reason = reasons[0].value if reasons else error
            if isinstance(reason, defer.CancelledError):
                raise defer.CancelledError from None
            raise ServiceError(self._server.redact(f"{method}: {type(reason).__name__}: {reason}")) from error
        return response, b"".join(content)

    def _answer(self, method: str, url: str, response: Any, content: bytes) -> Answer:
        headers = {
            name.decode("latin-1").lower(): values[-1].decode("latin-1")
            for name, values in response.headers.getAllRawHeaders()
        }
        try:
            data = json.loads(content) if content.strip() else None
        except (ValueError, RecursionError):
            data = None
            if response.code < 300:
                raise ServiceError(f"{method} {urlsplit(url).path}: the answer is not JSON", response.code) from None
        if not 200 <= response.code < 300:
            said = data.get("message") or data.get("error") if isinstance(data, dict) else ""
            message = f"{method} {urlsplit(url).path}: {response.code} {said if isinstance(said, str) else ''}"
            raise ServiceError(
                self._server.redact(message),
                response.code,
                _retry_after(response.code, headers, self._reactor.seconds()),
            )
        return Answer(data, headers)

    def close(self) -> None:
        """Close idle connections."""
        self._pool.closeCachedConnections()


def _retry_after(status: int, headers: Mapping[str, str], now: float) -> Optional[float]:
    """Return the seconds that a service asks to wait.

    GitHub answers 403 or 429 with ``Retry-After``, or with ``X-RateLimit-Remaining: 0`` and the unix second of
    ``X-RateLimit-Reset``; GitLab answers 429 with ``Retry-After``.
    """
    if status < 400:
        return None
    asked = _seconds(headers.get("retry-after"))
    if asked is None and headers.get("x-ratelimit-remaining") == "0":
        reset = _seconds(headers.get("x-ratelimit-reset"))
        asked = None if reset is None else max(0.0, reset - now)
    return None if asked is None else min(asked, MAX_RETRY_AFTER)


def _seconds(text: Optional[str]) -> Optional[float]:
    """Return a number of seconds; None for another text, such as a date."""
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 15 else None
