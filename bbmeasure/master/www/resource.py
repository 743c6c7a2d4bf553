"""The JSON API under ``/plugins/bbmeasure/api/v1/``: read-only, in the master's own web server, by its rules.

An answer is private to its reader and comes with an ETag.  An error is ``{"message"}`` with 400, 403, 404, 405 or 503.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any, Callable

from buildbot.www.resource import Resource
from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET

from bbmeasure.capture.state import state_of
from bbmeasure.errors import MeasureError, QueryError, RecordError, StorageError, UnknownSeriesError
from bbmeasure.master.www.arguments import Arguments
from bbmeasure.master.www.authorization import Access, Viewer
from bbmeasure.master.www.endpoints import Endpoints, Refused
from bbmeasure.master.www.streaming import Body, JsonWriter, Parts, send
from bbmeasure.reports import serialize

log = Logger()

#: Seconds that an answer may take to be found, questions that are answered at a time, and that may wait.
LIMIT = 20.0
AT_ONCE = 8
MOST_WAITING = 200
#: Seconds after which a client that was turned away may ask again.
RETRY_AFTER = 2

_VERSION = b"v1"
_PATHS = {name.encode(): name for name in Endpoints.ARGUMENTS}


class TryLater(MeasureError):
    """No answer now: too many questions, or one that takes too long."""


_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (Refused, 403),
    (UnknownSeriesError, 404),
    (QueryError, 400),
    (RecordError, 400),
    (TryLater, 503),
    (StorageError, 503),
)


class ApiResource(Resource):
    """Everything below ``api/``; knows its master and nothing of the page."""

    isLeaf = True

    def __init__(self, master: Any) -> None:
        super().__init__(master)
        state = state_of(master)
        self._pipeline = state.pipeline
        self._access = Access(master)
        self._json_writer = JsonWriter(master.reactor)
        self._endpoints = Endpoints(master, state, self._json_writer)
        self._slots = defer.DeferredSemaphore(AT_ONCE)

    def render(self, request: Any) -> Any:
        """Answer, later."""
        for header, value in (
            (b"content-type", b"application/json; charset=utf-8"),
            (b"cache-control", b"private, no-cache"),
            (b"vary", b"Cookie, Authorization"),
            (b"x-content-type-options", b"nosniff"),
        ):
            request.setHeader(header, value)
        ended = request.notifyFinish()
        work = self._work(request)
        ended.addErrback(self._gone, work)
        work.addErrback(self._explain, request)
        return NOT_DONE_YET

    def _gone(self, _: Failure, work: defer.Deferred[None]) -> None:
        """The client has hung up: what it asked for is not worked on any longer."""
        self._pipeline.counters["api_gone"] += 1
        work.cancel()

    @defer.inlineCallbacks
    def _work(self, request: Any) -> Generator[Any, Any, None]:
        """Find the answer and send it."""
        name = _PATHS.get(request.postpath[1]) if len(request.postpath) == 2 else None
        if name is None or request.postpath[0] != _VERSION:
            raise UnknownSeriesError(f"no such path: expected v1/ and one of {', '.join(Endpoints.ARGUMENTS)}")
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"allow", b"GET, HEAD")
            _refuse(request, 405, "expected GET: nothing can be changed here")
            return
        arguments = Arguments(request.args, Endpoints.ARGUMENTS[name])
        find = getattr(self._endpoints, name)
        body = yield self._find(find, arguments, self._access.viewer(request))
        send(request, body, self.master.reactor)

    @defer.inlineCallbacks
    def _find(
        self, find: Callable[[Arguments, Viewer], defer.Deferred[Parts]], arguments: Arguments, viewer: Viewer
    ) -> Generator[Any, Any, Body]:
        """The answer, with no more than AT_ONCE looked for at a time."""
        if len(self._slots.waiting) >= MOST_WAITING:
            raise TryLater(f"{MOST_WAITING} questions wait already: expected fewer at once")
        yield self._slots.acquire()
        try:
            parts = yield find(arguments, viewer).addTimeout(LIMIT, self.master.reactor, _late)
            body: Body = yield self._json_writer.write(parts)
            return body
        finally:
            self._slots.release()

    def _explain(self, why: Failure, request: Any) -> None:
        """Say what went wrong, unless nobody listens any longer; where a store is at fault, the log says how."""
        error = why.value
        if isinstance(error, defer.CancelledError):
            return
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
        message = str(error)
        if status == 500:
            self._pipeline.counters["errors"] += 1
            log.failure("bbmeasure: JSON API", failure=why)
            message = "internal error, see the master's log"
        elif status == 503:
            self._pipeline.count("api_unavailable", f"JSON API: {error}")
            request.setHeader(b"retry-after", b"%d" % RETRY_AFTER)
            if isinstance(error, StorageError):
                message = "the store does not answer now, see health and the master's log"
        _refuse(request, status, message)


def _late(_: Any, seconds: float) -> None:
    raise TryLater(f"no answer within {seconds:g} s: ask for less")


def _refuse(request: Any, status: int, message: str) -> None:
    """An error instead of an answer."""
    body = json.dumps(serialize.error_answer(message)).encode()
    request.setResponseCode(status)
    request.setHeader(b"content-length", b"%d" % len(body))
    request.write(body)
    request.finish()
