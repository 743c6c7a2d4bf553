"""The JSON API under ``/plugins/bbmeasure/api/v1/`` of the master's own web server.

It changes nothing but the state of an alert, on request of a signed-in user.

An answer is cacheable by its client alone and has an ETag.  An error is ``{"message"}`` with status 400, 403, 404, 405,
409 or 503; that of the badge is an image too, as a browser shows no other.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any, Callable, Union

from buildbot.www.resource import Resource
from twisted.internet import defer
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET

from bbmeasure.capture.state import state_of
from bbmeasure.errors import MeasureError, QueryError, RecordError, StorageError, UnknownSeriesError
from bbmeasure.master.www.arguments import Arguments
from bbmeasure.master.www.authorization import AccessDeniedError, BuilderIds, Viewer
from bbmeasure.master.www.badge import BADGE, SVG, badge
from bbmeasure.master.www.decisions import DecidedError, Decisions
from bbmeasure.master.www.endpoints import Endpoints
from bbmeasure.master.www.streaming import CHUNK_BYTES, Body, Fragments, JsonWriter, encode, send
from bbmeasure.reports import serialize

log = Logger()

#: Seconds within which an answer must be computed, with the time that the request waits for its turn.
ANSWER_TIMEOUT = 20.0
#: Requests of one lane that are answered in parallel, and that may wait for their turn.
MAX_PARALLEL = 8
MAX_QUEUED = 200
#: Bytes of all answers that are being sent: those of slow clients stay in memory meanwhile.
MAX_SENDING_BYTES = 128 * 1024 * 1024
#: Seconds in the Retry-After header of status 503.
RETRY_AFTER = 2

_VERSION = b"v1"
_PATHS = {name.encode(): name for name in Endpoints.ARGUMENTS}
#: The lane of each endpoint: those of one lane wait for each other, and for no others.
_LANES = {
    "series": "lists",
    "overview": "lists",
    "statistics": "queries",
    "points": "queries",
    "records": "builds",
    "commits": "builds",
    "alerts": "builds",
    "health": "builds",
    "links": "builds",
    BADGE: "queries",
}


class OverloadedError(MeasureError):
    """Too many requests, or a request that takes too long."""


_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (AccessDeniedError, 403),
    (UnknownSeriesError, 404),
    (DecidedError, 409),
    (QueryError, 400),
    (RecordError, 400),
    (OverloadedError, 503),
    (StorageError, 503),
)


class ApiResource(Resource):
    """The resource for everything below ``api/``."""

    isLeaf = True

    def __init__(self, master: Any) -> None:
        super().__init__(master)
        state = state_of(master)
        self._pipeline = state.pipeline
        self._json_writer = JsonWriter(master.reactor)
        self._endpoints = Endpoints(master, state, self._json_writer)
        self._builder_ids = BuilderIds(master)
        self._decisions = Decisions(master, state)
        self._lanes = {lane: defer.DeferredSemaphore(MAX_PARALLEL) for lane in set(_LANES.values())}
        self._sending_bytes = 0

    def render(self, request: Any) -> Any:
        """Start to answer."""
        for header, value in (
            (b"content-type", SVG if _wants_image(request) else b"application/json; charset=utf-8"),
            (b"content-security-policy", b"default-src 'none'"),
            (b"cache-control", b"private, no-cache"),
            (b"vary", b"Cookie, Authorization"),
            (b"x-content-type-options", b"nosniff"),
        ):
            request.setHeader(header, value)
        disconnected = request.notifyFinish()
        work = self._answer(request)
        disconnected.addErrback(self._cancel, work)
        work.addErrback(self._send_failure, request)
        return NOT_DONE_YET

    def _cancel(self, _: Failure, work: defer.Deferred[None]) -> None:
        """Cancel the work for a client that has disconnected."""
        self._pipeline.counters["api_gone"] += 1
        work.cancel()

    @defer.inlineCallbacks
    def _answer(self, request: Any) -> Generator[Any, Any, None]:
        """Compute the answer and send it."""
        if request.postpath[:2] == [_VERSION, b"alerts"] and len(request.postpath) == 3:
            yield self._decide(request)
            return
        name = _PATHS.get(request.postpath[1]) if len(request.postpath) == 2 else None
        if name is None or request.postpath[0] != _VERSION:
            raise UnknownSeriesError(f"no such path: expected v1/ and one of {', '.join(Endpoints.ARGUMENTS)}")
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"allow", b"GET, HEAD")
            _send_error(request, 405, "expected GET: nothing can be changed here")
            return
        arguments = Arguments(request.args, Endpoints.ARGUMENTS[name])
        body: Body = yield self._compute(name, arguments, request).addTimeout(
            ANSWER_TIMEOUT, self.master.reactor, _on_timeout
        )
        self._reserve(body.size, request)
        if arguments.get("format") == "csv":
            request.setHeader(b"content-type", b"text/csv; charset=utf-8; header=present")
            request.setHeader(b"content-disposition", b'attachment; filename="points.csv"')
        send(request, body, self.master.reactor)

    @defer.inlineCallbacks
    def _decide(self, request: Any) -> Generator[Any, Any, None]:
        """Decide an alert, and send it."""
        if request.method != b"POST":
            request.setHeader(b"allow", b"POST")
            _send_error(request, 405, "expected POST")
            return
        id_ = request.postpath[2].decode("utf-8", "replace")
        answer = yield self._decisions.decide(request, id_).addTimeout(ANSWER_TIMEOUT, self.master.reactor, _on_timeout)
        body = yield self._json_writer.write(encode(answer))
        send(request, body, self.master.reactor)

    @defer.inlineCallbacks
    def _compute(self, name: str, arguments: Arguments, request: Any) -> Generator[Any, Any, Body]:
        """The body of an answer, computed when one of the MAX_PARALLEL slots of its lane is free.

        It is computed again if the configuration or the builders changed: the user may see less now, or more.
        """
        endpoint: Callable[[Arguments, Viewer], defer.Deferred[Union[Fragments, Body]]] = getattr(
            self._endpoints, name.partition(".")[0]
        )
        slots = self._lanes[_LANES[name]]
        if len(slots.waiting) >= MAX_QUEUED:
            raise OverloadedError(f"{MAX_QUEUED} requests are queued: expected fewer at a time")
        yield slots.acquire()
        try:
            while True:
                viewer = Viewer(self.master, request, self._builder_ids)
                try:
                    fragments = yield endpoint(arguments, viewer)
                    body: Body = yield self._json_writer.write(fragments)
                except (AccessDeniedError, UnknownSeriesError):
                    if (yield viewer.is_current()):
                        raise
                    continue
                if (yield viewer.is_current()):
                    return body
        finally:
            slots.release()

    def _reserve(self, size: int, request: Any) -> None:
        """Count a body until it is sent; OverloadedError if all that are being sent would be too large."""
        if size > CHUNK_BYTES:
            if self._sending_bytes + size > MAX_SENDING_BYTES:
                raise OverloadedError(
                    f"answers of {self._sending_bytes} bytes are being sent: expected fewer at a time"
                )
            self._sending_bytes += size
            request.notifyFinish().addBoth(self._release, size)

    def _release(self, _: Any, size: int) -> None:
        self._sending_bytes -= size

    def _send_failure(self, failure: Failure, request: Any) -> None:
        """Send an error status.  What went wrong in a store is only written to the log, as it may hold paths."""
        error = failure.value
        if isinstance(error, defer.CancelledError):
            return
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
        message = str(error)
        if status == 500:
            self._pipeline.counters["errors"] += 1
            log.failure("bbmeasure: JSON API", failure=failure)
            message = "internal error, see the master's log"
        elif status == 503:
            self._pipeline.count("api_unavailable", f"JSON API: {error}")
            request.setHeader(b"retry-after", b"%d" % RETRY_AFTER)
            if isinstance(error, StorageError):
                message = "the store does not answer now, see health and the master's log"
        _send_error(request, status, message)


def _wants_image(request: Any) -> bool:
    return bool(request.postpath[-1:] == [BADGE.encode()])


def _on_timeout(_: Any, seconds: float) -> None:
    raise OverloadedError(f"no answer within {seconds:g} s: expected a smaller request")


def _send_error(request: Any, status: int, message: str) -> None:
    if _wants_image(request):
        body = badge("measurements", message)
    else:
        body = json.dumps(serialize.error_answer(message)).encode()
    request.setResponseCode(status)
    request.setHeader(b"content-length", b"%d" % len(body))
    request.write(body)
    request.finish()
