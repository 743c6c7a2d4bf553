"""GitHub and GitLab as far as their documents describe comments, on a free port of 127.0.0.1.

GitHub: https://docs.github.com/en/rest/issues/comments, /rest/users/users, /rest/commits/statuses,
/rest/using-the-rest-api (pagination, rate limits, User-Agent).  GitLab: https://docs.gitlab.com/api/notes,
/api/users, /api/rest (pagination).
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Optional
from urllib.parse import parse_qs, unquote, urlsplit

from tests.local_server import LocalServer


class Failure(NamedTuple):
    """The answer to the next request, after ``delay`` seconds.

    A ``status`` of 0 closes the connection, None is the usual answer.
    """

    status: Optional[int]
    headers: Mapping[str, str] = {}
    delay: float = 0.0
    body: str = '{"message": "failure of the test"}'


class CodeHost(LocalServer, ABC):
    """A server with comments by (project, number); each is a dict with id, body and author.

    ``failures`` are consumed by requests, first those of ``failing``, a pattern of method and path.
    """

    TOKEN = "the-token"
    OWN = {"login": "ci-bot", "id": 7, "type": "User", "username": "ci-bot"}
    PREFIX = ""

    def __init__(self) -> None:
        self.comments: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self.statuses: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str]] = []
        self.failures: list[Failure] = []
        self.failing = re.compile("")
        self.concurrent = self.most_concurrent = 0
        self.user_status = 200
        self._next_id = 1
        self._lock = threading.Lock()
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):  # a client that has not waited
                    super().handle()

            def log_message(self, *_: Any) -> None:
                pass

            def _handle(self) -> None:
                with host._lock:
                    host.concurrent += 1
                    host.most_concurrent = max(host.most_concurrent, host.concurrent)
                try:
                    host.respond(self)
                finally:
                    with host._lock:
                        host.concurrent -= 1

            do_GET = do_POST = do_PATCH = do_PUT = _handle

        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), Handler))

    @property
    def url(self) -> str:
        """The base URL of the API."""
        return f"{self.pages}{self.PREFIX}"

    @property
    def pages(self) -> str:
        """The URL of the pages of people."""
        return f"http://127.0.0.1:{self.port}"

    def add(self, project: str, number: int, body: str, author: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        """Add a comment, by default of the token's user."""
        with self._lock:
            owner = dict(self.OWN if author is None else author)
            comment = {"id": self._next_id, "body": body, "user": owner, "author": owner, "system": False}
            self._next_id += 1
            self.comments.setdefault((project, number), []).append(comment)
            return comment

    def bodies(self, project: str, number: int) -> list[str]:
        """The comments of a proposal."""
        return [comment["body"] for comment in self.comments.get((project, number), ())]

    # requests

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        length = int(handler.headers.get("Content-Length") or 0)
        content = handler.rfile.read(length)
        parts = urlsplit(handler.path)
        self.requests.append((handler.command, parts.path))
        failure = self._failure(f"{handler.command} {parts.path}")
        if failure is not None:
            time.sleep(failure.delay)
        if failure is not None and failure.status is not None:
            if failure.status == 0:
                handler.close_connection = True
            else:
                self._send(handler, failure.status, failure.body, failure.headers)
        elif not self.is_authorized(handler.headers):
            self._send(handler, 401, '{"message": "Bad credentials"}')
        elif not handler.headers.get("User-Agent"):
            self._send(handler, 403, '{"message": "Request forbidden by administrative rules."}')
        else:
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            body = json.loads(content) if content else {}
            path = parts.path[len(self.PREFIX) :] if parts.path.startswith(self.PREFIX) else "/"
            status, data = self.answer(handler.command, path, query, body)
            self._send(handler, status, json.dumps(data))

    def _failure(self, request: str) -> Optional[Failure]:
        with self._lock:
            if self.failures and self.failing.search(request):
                return self.failures.pop(0)
            return None

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, status: int, body: str, headers: Mapping[str, str] = {}) -> None:
        encoded = body.encode()
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(encoded)))
        handler.end_headers()
        handler.wfile.write(encoded)

    @abstractmethod
    def is_authorized(self, headers: Any) -> bool:
        """Whether the request has the token."""

    @abstractmethod
    def answer(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> tuple[int, Any]:
        """Status and data for an authorized request."""

    def _page(self, key: tuple[str, int], query: Mapping[str, str]) -> list[dict[str, Any]]:
        size, page = int(query.get("per_page", self.DEFAULT_PAGE)), int(query.get("page", 1))
        size = min(size, 100)
        return self.comments.get(key, [])[(page - 1) * size : page * size]

    DEFAULT_PAGE = 30

    def _by_id(self, id_: int, keys: Any) -> Optional[dict[str, Any]]:
        return next((one for key in keys for one in self.comments.get(key, ()) if one["id"] == id_), None)


class GitHubHost(CodeHost):
    """GitHub Enterprise: its API is below /api/v3."""

    PREFIX = "/api/v3"
    LONGEST = 65_536

    def is_authorized(self, headers: Any) -> bool:
        """GitHub accepts the schemes Bearer and token."""
        return headers.get("Authorization") in (f"Bearer {self.TOKEN}", f"token {self.TOKEN}")

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> tuple[int, Any]:
        """Users, comments of issues, statuses."""
        if (method, path) == ("GET", "/user"):
            missing = {"message": "Resource not accessible by integration"}
            return (200, dict(self.OWN)) if self.user_status == 200 else (self.user_status, missing)
        listed = re.fullmatch(r"/repos/([^/]+/[^/]+)/issues/(\d+)/comments", path)
        one = re.fullmatch(r"/repos/([^/]+/[^/]+)/issues/comments/(\d+)", path)
        status = re.fullmatch(r"/repos/([^/]+/[^/]+)/statuses/([^/]+)", path)
        if status and method == "POST":
            if len(body.get("description") or "") > 140:
                return 422, {"message": "Validation Failed"}
            self.statuses.append({"sha": status[2], **body})
            return 201, dict(body)
        if method in ("POST", "PATCH") and not 0 < len(str(body.get("body") or "")) <= self.LONGEST:
            return 422, {"message": "Validation Failed"}
        if listed:
            key = (unquote(listed[1]), int(listed[2]))
            if method == "GET":
                return 200, self._page(key, query)
            if method == "POST":
                return 201, self.add(*key, str(body["body"]))
        if one and method == "PATCH":
            found = self._by_id(int(one[2]), [key for key in self.comments if key[0] == unquote(one[1])])
            if found is not None:
                found["body"] = str(body["body"])
                return 200, found
        return 404, {"message": "Not Found"}


class GitLabHost(CodeHost):
    """A self-managed GitLab."""

    DEFAULT_PAGE = 20
    LONGEST = 1_000_000

    def is_authorized(self, headers: Any) -> bool:
        """The header of access tokens."""
        return headers.get("PRIVATE-TOKEN") == self.TOKEN

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> tuple[int, Any]:
        """Users and notes of merge requests."""
        if (method, path) == ("GET", "/api/v4/user"):
            return 200, dict(self.OWN)
        match = re.fullmatch(r"/api/v4/projects/([^/]+)/merge_requests/(\d+)/notes(?:/(\d+))?", path)
        if match is None:
            return 404, {"message": "404 Not found"}
        key = (unquote(match[1]), int(match[2]))
        if method in ("POST", "PUT") and not 0 < len(str(body.get("body") or "")) <= self.LONGEST:
            return 400, {"message": "400 Bad request - Note can't be blank"}
        if match[3] is None and method == "GET":
            return 200, self._page(key, query)
        if match[3] is None and method == "POST":
            return 201, self.add(*key, str(body["body"]))
        found = self._by_id(int(match[3] or 0), [key])
        if found is None or method != "PUT":
            return 404, {"message": "404 Not found"}
        found["body"] = str(body["body"])
        return 200, found
