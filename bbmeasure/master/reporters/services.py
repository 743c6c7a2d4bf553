"""Comments on pull requests of GitHub and merge requests of GitLab, by their REST APIs.

GitHub: https://docs.github.com/en/rest/issues/comments (version 2022-11-28), https://docs.github.com/en/rest/users/users.
GitLab: https://docs.gitlab.com/api/notes/#merge-requests, https://docs.gitlab.com/api/users/.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from typing import Any, Callable, NamedTuple, Optional, Protocol
from urllib.parse import quote, urlsplit

from twisted.internet import defer

from bbmeasure.master.reporters.http import JsonClient, ServiceError
from bbmeasure.storage.influxdb.server import Server

#: Comments of a page, and the most pages that are searched for the own comment.
PAGE_SIZE = 30
MAX_PAGES = 100


class Target(NamedTuple):
    """A proposal of a service: the path of the project that it is to be merged into, and its number."""

    project: str
    number: int


class Comment(NamedTuple):
    """A comment of a service."""

    id: int
    body: str


class Service(Protocol):
    """A service with comments on proposals.  Each Deferred fails with a ServiceError."""

    #: Host of the service's pages, in lower case.
    host: str
    #: The part of the URL of a proposal's page that is before its number.
    kind: str

    def find(self, target: Target, marker: str) -> defer.Deferred[Optional[Comment]]:
        """Return the own comment that holds the marker; None if there is none."""
        ...

    def create(self, target: Target, body: str) -> defer.Deferred[Comment]:
        """Write a new comment."""
        ...

    def edit(self, target: Target, comment: int, body: str) -> defer.Deferred[Comment]:
        """Replace the text of a comment; fails with status 404 if it was deleted."""
        ...

    def close(self) -> None:
        """Close idle connections."""
        ...


class _Comments(ABC):
    """Base of the services: comments are items of a list, in pages from the oldest."""

    def __init__(self, client: JsonClient) -> None:
        self._client = client
        self._author: Optional[Callable[[Mapping[str, Any]], bool]] = None

    @defer.inlineCallbacks
    def _find(self, path: str, params: Mapping[str, str], marker: str) -> Generator[Any, Any, Optional[Comment]]:
        if self._author is None:
            self._author = yield self._own()
        for page in range(1, MAX_PAGES + 1):
            answer = yield self._client.request(
                "GET", path, params={**params, "per_page": str(PAGE_SIZE), "page": str(page)}
            )
            for item in map(_mapping, _list(answer.data)):
                if marker in str(item.get("body")) and self._author(item):
                    return _comment(item)
            if len(answer.data) < PAGE_SIZE:
                break
        return None

    @defer.inlineCallbacks
    def _write(self, method: str, path: str, body: str) -> Generator[Any, Any, Comment]:
        answer = yield self._client.request(method, path, body={"body": body})
        return _comment(answer.data)._replace(body=body)

    @abstractmethod
    def _own(self) -> defer.Deferred[Callable[[Mapping[str, Any]], bool]]:
        """Return the function that recognizes the own comments."""

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()


class GitHub(_Comments):
    """Pull requests of github.com and GitHub Enterprise."""

    kind = "pull"

    def __init__(self, reactor: Any, server: Server, token: str, *, agent: Any = None) -> None:
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        super().__init__(JsonClient(reactor, server, headers, agent=agent))
        host = (urlsplit(server.url).hostname or "").lower()
        self.host = "github.com" if host == "api.github.com" else host

    @defer.inlineCallbacks
    def _own(self) -> Generator[Any, Any, Callable[[Mapping[str, Any]], bool]]:
        """Comments of the token's user; the token of an app has none, and only apps write as bots."""
        try:
            answer = yield self._client.request("GET", "/user")
        except ServiceError as error:
            if error.status != 403 or error.retry_after is not None:
                raise
            return lambda item: _mapping(item.get("user")).get("type") == "Bot"
        login = _mapping(answer.data).get("login")
        return lambda item: _mapping(item.get("user")).get("login") == login

    def _issue(self, target: Target) -> str:
        return f"/repos/{quote(target.project)}/issues"

    def find(self, target: Target, marker: str) -> defer.Deferred[Optional[Comment]]:
        """Return the own comment that holds the marker."""
        return self._find(f"{self._issue(target)}/{target.number}/comments", {}, marker)

    def create(self, target: Target, body: str) -> defer.Deferred[Comment]:
        """Write a new comment."""
        return self._write("POST", f"{self._issue(target)}/{target.number}/comments", body)

    def edit(self, target: Target, comment: int, body: str) -> defer.Deferred[Comment]:
        """Replace the text of a comment."""
        return self._write("PATCH", f"{self._issue(target)}/comments/{comment}", body)


class GitLab(_Comments):
    """Merge requests of gitlab.com and self-managed GitLab."""

    kind = "merge_requests"

    def __init__(self, reactor: Any, server: Server, token: str, *, agent: Any = None) -> None:
        super().__init__(JsonClient(reactor, server, {"PRIVATE-TOKEN": token}, agent=agent))
        self.host = (urlsplit(server.url).hostname or "").lower()

    @defer.inlineCallbacks
    def _own(self) -> Generator[Any, Any, Callable[[Mapping[str, Any]], bool]]:
        answer = yield self._client.request("GET", "/api/v4/user")
        user = _mapping(answer.data).get("id")
        return lambda item: not item.get("system") and _mapping(item.get("author")).get("id") == user

    def _notes(self, target: Target) -> str:
        return f"/api/v4/projects/{quote(target.project, safe='')}/merge_requests/{target.number}/notes"

    def find(self, target: Target, marker: str) -> defer.Deferred[Optional[Comment]]:
        """Return the own comment that holds the marker."""
        return self._find(self._notes(target), {"sort": "asc", "order_by": "created_at"}, marker)

    def create(self, target: Target, body: str) -> defer.Deferred[Comment]:
        """Write a new comment."""
        return self._write("POST", self._notes(target), body)

    def edit(self, target: Target, comment: int, body: str) -> defer.Deferred[Comment]:
        """Replace the text of a comment."""
        return self._write("PUT", f"{self._notes(target)}/{comment}", body)


def _mapping(data: Any) -> Mapping[str, Any]:
    return data if isinstance(data, dict) else {}


def _list(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise ServiceError("the answer is not a list of comments: is the URL that of the API?")
    return data


def _comment(data: Any) -> Comment:
    found = _mapping(data)
    if not isinstance(found.get("id"), int):
        raise ServiceError("the answer is not a comment: is the URL that of the API?")
    return Comment(found["id"], str(found.get("body")))
