"""The JSON API under load: lanes, queues, deadlines, and the memory of answers."""

from __future__ import annotations

import pytest
from twisted.internet import defer

from bbmeasure.master.www import resource as resource_module
from bbmeasure.master.www import streaming
from bbmeasure.model import Point
from bbmeasure.reports.series_statistics import DEFAULT_STATISTICS
from tests.unit.master.www.fakes import Request, counters, get, render

NOTHING = {**dict.fromkeys(DEFAULT_STATISTICS), "count": 0.0}


def test_queries_run_in_parallel_up_to_a_limit(resource, store):
    """Further queries start as others end or are cancelled."""
    requests = [get(resource, "statistics", series="size") for _ in range(resource_module.MAX_PARALLEL + 5)]
    assert len(store.pending) == resource_module.MAX_PARALLEL
    requests[0].disconnect()
    requests[-1].disconnect()
    assert len(store.pending) == resource_module.MAX_PARALLEL + 1
    for number in range(resource_module.MAX_PARALLEL + 4):
        if number:
            store.pending[number].callback(NOTHING)
    assert [bool(request.finished) for request in requests] == [
        False,
        *[True] * (resource_module.MAX_PARALLEL + 3),
        False,
    ]


def test_too_many_requests_are_refused(resource, store):
    """If too many requests are queued, the next gets 503 at once."""
    for _ in range(resource_module.MAX_PARALLEL + resource_module.MAX_QUEUED):
        get(resource, "statistics", series="size")
    request = get(resource, "statistics", series="size")
    assert (request.responseCode, len(store.pending)) == (503, resource_module.MAX_PARALLEL)
    assert "200 requests are queued" in request.json["message"]


def test_a_slow_lane_does_not_hold_another(resource, store):
    """Builds, lists and health are answered while queries fill their lane and its queue."""
    for _ in range(resource_module.MAX_PARALLEL + resource_module.MAX_QUEUED):
        get(resource, "statistics", series="size")
    for path, arguments in (("series", {}), ("health", {}), ("links", {}), ("records", {"buildid": 1_700_000_000})):
        assert get(resource, path, **arguments).responseCode in (None, 200), path


def test_time_in_the_queue_counts(resource, store, master):
    """A request that waited for its turn gets 503 20 seconds after it arrived, and is not answered any more."""
    for _ in range(resource_module.MAX_PARALLEL):
        get(resource, "statistics", series="size")
    master.reactor.advance(1)
    waiting = get(resource, "statistics", series="size")
    master.reactor.advance(resource_module.ANSWER_TIMEOUT - 1)
    assert not waiting.finished
    assert len(store.pending) == resource_module.MAX_PARALLEL + 1  # the first ones have timed out
    master.reactor.advance(1)
    assert waiting.responseCode == 503
    assert store.cancelled == resource_module.MAX_PARALLEL + 1


def test_time_of_encoding_counts(resource, store, master, monkeypatch):
    """The deadline of an answer includes its encoding."""
    never: defer.Deferred[None] = defer.Deferred()
    monkeypatch.setattr(streaming.JsonWriter, "write", lambda *_: never)
    request = get(resource, "points", series="size")
    master.reactor.advance(resource_module.ANSWER_TIMEOUT)
    assert request.responseCode == 503


@pytest.mark.parametrize(("path", "arguments"), [("series", {}), ("points", {"series": "long"})])
def test_an_answer_has_a_largest_size(resource, store, monkeypatch, path, arguments):
    """A larger answer is status 400, and is not encoded to its end."""
    monkeypatch.setattr(streaming, "MAX_BODY_BYTES", 2**20)
    store.write([Point("long" if path == "points" else f"{at}{'x' * 900}", at, "x" * 900) for at in range(3_000)])
    request = get(resource, path, **arguments)
    assert request.responseCode == 400
    assert request.json["message"] == "the answer is larger than 1 MiB: expected a smaller limit or range"
    assert get(resource, path, **{**arguments, "limit": 10}).responseCode in (None, 200)


def test_answers_that_are_sent_have_a_largest_size(resource, store, monkeypatch):
    """While slow clients hold answers, further large ones are 503; small ones and later ones are not."""
    store.write([Point("many", at, float(at)) for at in range(1_000)])
    size = len(b"".join(get(resource, "points", series="many").written))
    assert size > streaming.CHUNK_BYTES
    monkeypatch.setattr(resource_module, "MAX_SENDING_BYTES", 2 * size)
    slow = [SlowRequest("points", series="many") for _ in range(3)]
    for request in slow:
        render(resource, request)
    assert [request.responseCode for request in slow] == [None, None, 503]
    assert slow[2].responseHeaders.getRawHeaders("retry-after") == ["2"]
    assert get(resource, "points", series="many", limit=1).responseCode is None
    slow[0].disconnect()
    assert render(resource, SlowRequest("points", series="many")).responseCode is None
    assert counters(resource)["api_gone"] == 1


class SlowRequest(Request):
    """A request whose client reads nothing."""

    def registerProducer(self, producer, streaming):
        """The transport never asks for more."""
