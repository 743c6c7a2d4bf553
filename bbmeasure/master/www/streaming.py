"""JSON over HTTP without holding the reactor up: made in short slices, sent as fast as the client takes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Callable, Optional, TypeVar

from twisted.internet import defer, interfaces, task
from zope.interface import implementer

Item = TypeVar("Item")
Parts = Iterator[bytes]

#: Items that are made into JSON between two looks at the clock, and the seconds after which others have their turn.
A_PIECE = 50
A_SLICE = 0.003
#: Bytes that are handed over at a time.
A_CHUNK = 32 * 1024
#: Seconds that a client may take to receive one answer.
SENDING = 60.0

NOT_MODIFIED = 304


def items(found: Iterable[Item], one: Callable[[Item], Any]) -> Parts:
    """The JSON of some items of a list, each made by ``one``, in short parts without what stands between them."""
    remaining = iter(found)
    while True:
        made = json.dumps([one(item) for item in islice(remaining, A_PIECE)], allow_nan=False)[1:-1]
        if not made:
            return
        yield made.encode()


def listed(head: Mapping[str, Any], key: str, parts: Iterable[bytes]) -> Parts:
    """The JSON of ``head`` with a list under ``key``, of whose items ``parts`` are the JSON."""
    rest = {name: value for name, value in head.items() if name != key}
    opened = json.dumps(rest, allow_nan=False)[:-1] + (", " if rest else "")
    yield f"{opened}{json.dumps(key)}: [".encode()
    separator = b""
    for part in parts:
        yield separator + part
        separator = b", "
    yield b"]}"


def whole(answer: Mapping[str, Any]) -> Parts:
    """The JSON of a small answer."""
    yield json.dumps(answer, allow_nan=False).encode()


@dataclass(frozen=True)
class Body:
    """An answer as it is sent, with its ETag."""

    parts: list[bytes]
    tag: bytes

    @property
    def size(self) -> int:
        """How many bytes that is."""
        return sum(map(len, self.parts))


class JsonWriter:
    """Makes answers, one at a time and each in slices, so that all of them together leave the reactor its time."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._lock = defer.DeferredLock()

    def write(self, parts: Parts) -> defer.Deferred[Body]:
        """All ``parts`` together."""
        return self._lock.run(self._write, parts)

    @defer.inlineCallbacks
    def _write(self, parts: Parts) -> Generator[Any, Any, Body]:
        made: list[bytes] = []
        digest = hashlib.blake2b(digest_size=12)
        end = self._reactor.seconds() + A_SLICE
        for part in parts:
            made.append(part)
            digest.update(part)
            if self._reactor.seconds() >= end:
                yield task.deferLater(self._reactor, 0)
                end = self._reactor.seconds() + A_SLICE
        return Body(made, b'"%s"' % digest.hexdigest().encode())


def _is_known(request: Any, tag: bytes) -> bool:
    """Whether the client says that it has that already, through a proxy that compresses (``W/``) or not."""
    known = request.getHeader(b"if-none-match") or b""
    tags = [one.strip() for one in known.split(b",")]
    return b"*" in tags or tag in [one[2:] if one.startswith(b"W/") else one for one in tags]


def send(request: Any, body: Body, reactor: Any) -> None:
    """Send a body under the status and headers that the request has by now, and finish.

    One that the client has already is not sent again.  A client that takes longer than SENDING is let go.
    """
    request.setHeader(b"etag", body.tag)
    if _is_known(request, body.tag):
        request.setResponseCode(NOT_MODIFIED)
        request.finish()
        return
    request.setHeader(b"content-length", b"%d" % body.size)
    if request.method == b"HEAD":
        request.finish()
    elif body.size <= A_CHUNK:
        request.write(b"".join(body.parts))
        request.finish()
    else:
        _Sender(request, body.parts, reactor).start()


@implementer(interfaces.IPullProducer)
class _Sender:
    """Hands a body over piece by piece, each when the one before is gone."""

    def __init__(self, request: Any, body: list[bytes], reactor: Any) -> None:
        self._request = request
        self._parts = body[::-1]
        self._reactor = reactor
        self._timer: Optional[Any] = None

    def start(self) -> None:
        """Begin."""
        self._timer = self._reactor.callLater(SENDING, self._give_up)
        self._request.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """The next piece."""
        chunk: list[bytes] = []
        size = 0
        while self._parts and size < A_CHUNK:
            chunk.append(self._parts.pop())
            size += len(chunk[-1])
        self._request.write(b"".join(chunk))
        if not self._parts:
            self.stopProducing()
            self._request.unregisterProducer()
            self._request.finish()

    def stopProducing(self) -> None:
        """All is sent, or the client is gone."""
        self._parts.clear()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _give_up(self) -> None:
        self._parts.clear()
        self._request.channel.transport.abortConnection()
