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

#: Items that are made into JSON between two looks at the clock, and the seconds after which others have their turn.
A_PIECE = 50
A_SLICE = 0.003
#: Bytes that are handed over at a time.
A_CHUNK = 32 * 1024
#: Seconds that a client may take to receive one answer.
SENDING = 60.0

NOT_MODIFIED = 304


def pieces(head: Mapping[str, Any], key: str, items: Iterable[Item], one: Callable[[Item], Any]) -> Iterator[str]:
    """The JSON of ``head`` with a list of ``items`` under ``key``, each made by ``one``, in short texts."""
    started = json.dumps({name: value for name, value in head.items() if name != key}, allow_nan=False)
    yield f"{started[:-1]}{', ' if len(head) > (key in head) else ''}{json.dumps(key)}: ["
    remaining, separator = iter(items), ""
    while True:
        made = json.dumps([one(item) for item in islice(remaining, A_PIECE)], allow_nan=False)[1:-1]
        if not made:
            break
        yield separator + made
        separator = ", "
    yield "]}"


def whole(answer: Mapping[str, Any]) -> Iterator[str]:
    """The JSON of a small answer."""
    yield json.dumps(answer, allow_nan=False)


@dataclass(frozen=True)
class Body:
    """An answer as it is sent, with its ETag."""

    parts: list[bytes]
    tag: bytes

    @property
    def size(self) -> int:
        """How many bytes that is."""
        return sum(map(len, self.parts))


@defer.inlineCallbacks
def encode(texts: Iterator[str], reactor: Any) -> Generator[Any, Any, Body]:
    """All ``texts`` together; other work of the reactor goes on meanwhile."""
    parts: list[bytes] = []
    digest = hashlib.blake2b(digest_size=12)
    end = reactor.seconds() + A_SLICE
    for text in texts:
        parts.append(text.encode())
        digest.update(parts[-1])
        if reactor.seconds() >= end:
            yield task.deferLater(reactor, 0)
            end = reactor.seconds() + A_SLICE
    return Body(parts, b'"%s"' % digest.hexdigest().encode())


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
