"""Helpers of the tests of the client."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from twisted.internet import defer, reactor

from bbmeasure.storage.influxdb.server import ServerError

TEST = Generator[Any, Any, None]
SECRET = "s3cr3t-w0rd"


@defer.inlineCallbacks
def run_turns() -> Generator[Any, Any, None]:
    """Run some reactor turns, so that connections are closed."""
    for _ in range(5):
        waited: defer.Deferred[None] = defer.Deferred()
        reactor.callLater(0.005, waited.callback, None)
        yield waited


@defer.inlineCallbacks
def error_of(work: defer.Deferred[Any]) -> Generator[Any, Any, ServerError]:
    """Return the ServerError of a failed request."""
    try:
        answer = yield work
    except ServerError as error:
        return error
    raise AssertionError(f"expected a ServerError, got {answer!r}")
