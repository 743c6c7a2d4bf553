"""Large bodies: encoding in slices, sending in chunks."""

from __future__ import annotations

import json
from types import SimpleNamespace

from bbmeasure.master.www import streaming
from tests.unit.master.www.fakes import Request


def test_a_large_body_is_sent_in_chunks(master):
    """A chunk is written when the previous one was taken; a client that stops is disconnected after the timeout."""
    aborted = []
    request = Request("points")
    request.channel = SimpleNamespace(transport=SimpleNamespace(abortConnection=lambda: aborted.append(True)))  # type: ignore[attr-defined]  # added for the tests
    request.registerProducer = lambda producer, streaming: setattr(request, "producer", producer)  # type: ignore[method-assign]  # replaced by the test
    body = streaming.Body([b"x" * 10_000] * 20, b'"tag"')
    streaming.send(request, body, master.reactor)
    request.producer.resumeProducing()  # type: ignore[attr-defined]  # added for the tests
    assert len(b"".join(request.written)) == 40_000
    master.reactor.advance(streaming.SEND_TIMEOUT)
    assert aborted == [True]


def test_encoding_yields_to_the_reactor(master):
    """Between slices of encoding, other work of the reactor runs."""
    json_writer = streaming.JsonWriter(master.reactor)
    turns = []

    def fragments():
        for number in range(4):
            master.reactor.rightNow += streaming.SLICE_SECONDS
            turns.append(number)
            yield b"x"

    bodies = []
    json_writer.write(fragments()).addCallback(bodies.append)
    master.reactor.callLater(0, turns.append, "other work")
    assert (turns, bodies) == ([0], [])
    master.reactor.advance(0)
    assert turns == [0, 1, "other work", 2, 3]
    assert bodies[0].size == 4


def test_encoded_lists_are_json(master):
    """The joined fragments of lists of any length, also empty ones, are valid JSON."""
    for count in (0, 1, 49, 50, 51, 120):
        items = streaming.encode_items(range(count), lambda item: {"n": item})
        encoded = b"".join(streaming.encode_with_list({"a": 1, "l": []}, "l", items))
        assert json.loads(encoded) == {"a": 1, "l": [{"n": number} for number in range(count)]}
    assert json.loads(b"".join(streaming.encode_with_list({"l": []}, "l", []))) == {"l": []}
