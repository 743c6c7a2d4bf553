"""Encoding and sending of JSON answers without blocking the reactor."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Callable, Optional, TypeVar, Union

from twisted.internet import defer, interfaces, task
from zope.interface import implementer

from bbmeasure.errors import QueryError

Item = TypeVar("Item")
#: Consecutive parts of a JSON text.
Fragments = Iterator[bytes]

#: Items that are encoded as one fragment.
ITEMS_PER_FRAGMENT = 50
#: Seconds of encoding after which the reactor runs other work.
SLICE_SECONDS = 0.003
#: The largest body of one answer, in bytes.
MAX_BODY_BYTES = 32 * 1024 * 1024
#: Bytes that are written to the transport at a time.
CHUNK_BYTES = 32 * 1024
#: Level of gzip: about 1 ms a chunk, and a tenth of the size.
COMPRESSION_LEVEL = 3
#: Seconds within which a client must receive an answer.
SEND_TIMEOUT = 60.0

_NOT_MODIFIED = 304


def encode_items(items: Iterable[Item], serialize: Callable[[Item], Any]) -> Fragments:
    """The JSON of the items of a list, without brackets and without the commas between fragments."""
    remaining = iter(items)
    while True:
        encoded = json.dumps([serialize(item) for item in islice(remaining, ITEMS_PER_FRAGMENT)], allow_nan=False)[1:-1]
        if not encoded:
            return
        yield encoded.encode()


def encode_with_list(fields: Mapping[str, Any], key: str, items: Iterable[bytes]) -> Fragments:
    """The JSON of an object with ``fields``, and under ``key`` a list of already encoded ``items``."""
    others = {name: value for name, value in fields.items() if name != key}
    start = json.dumps(others, allow_nan=False)[:-1] + (", " if others else "")
    yield f"{start}{json.dumps(key)}: [".encode()
    separator = b""
    for item in items:
        yield separator + item
        separator = b", "
    yield b"]}"


def encode(answer: Mapping[str, Any]) -> Fragments:
    """The JSON of a small answer."""
    yield json.dumps(answer, allow_nan=False).encode()


@dataclass(frozen=True)
class Body:
    """The body of a response, with its ETag."""

    fragments: list[bytes]
    etag: bytes

    @property
    def size(self) -> int:
        """Length in bytes."""
        return sum(map(len, self.fragments))


class JsonWriter:
    """Encodes bodies of at most MAX_BODY_BYTES in slices of SLICE_SECONDS, so that they do not block the reactor.

    A body that is encoded within one slice does not wait for others; of larger ones, one is encoded at a time.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._lock = defer.DeferredLock()

    def write(self, fragments: Union[Fragments, Body]) -> defer.Deferred[Body]:
        """The body of all fragments, or a body itself; fails with a QueryError if it is too large."""
        if isinstance(fragments, Body):
            return defer.succeed(fragments)
        encoding = _Encoding(fragments)
        return defer.maybeDeferred(self._write_slice, encoding).addCallback(self._continue, encoding)

    def _continue(self, is_complete: bool, encoding: _Encoding) -> Any:
        return encoding.body() if is_complete else self._lock.run(self._write_rest, encoding)

    @defer.inlineCallbacks
    def _write_rest(self, encoding: _Encoding) -> Generator[Any, Any, Body]:
        is_complete = False
        while not is_complete:
            yield task.deferLater(self._reactor, 0)
            is_complete = self._write_slice(encoding)
        return encoding.body()

    def _write_slice(self, encoding: _Encoding) -> bool:
        """Encode for SLICE_SECONDS; whether the body is complete."""
        slice_end = self._reactor.seconds() + SLICE_SECONDS
        while encoding.write_fragment():
            if self._reactor.seconds() >= slice_end:
                return False
        return True


class _Encoding:
    """A body that is being encoded."""

    def __init__(self, fragments: Fragments) -> None:
        self._remaining = iter(fragments)
        self._written: list[bytes] = []
        self._digest = hashlib.blake2b(digest_size=12)
        self._size = 0

    def write_fragment(self) -> bool:
        """Encode the next fragment; False if there is none."""
        fragment = next(self._remaining, None)
        if fragment is None:
            return False
        self._written.append(fragment)
        self._digest.update(fragment)
        self._size += len(fragment)
        check_size(self._size)
        return True

    def body(self) -> Body:
        """The body of the fragments."""
        return Body(self._written, b'"%s"' % self._digest.hexdigest().encode())


def check_size(size: int) -> None:
    """QueryError for a body of more than MAX_BODY_BYTES."""
    if size > MAX_BODY_BYTES:
        raise QueryError(f"the answer is larger than {MAX_BODY_BYTES >> 20} MiB: expected a smaller limit or range")


def _has_etag(request: Any, etag: bytes) -> bool:
    """Whether If-None-Match has the ETag; a proxy that compresses makes it a weak one (``W/``)."""
    header = request.getHeader(b"if-none-match") or b""
    etags = [each.strip() for each in header.split(b",")]
    return b"*" in etags or etag in [each[2:] if each.startswith(b"W/") else each for each in etags]


def send(request: Any, body: Body, reactor: Any) -> None:
    """Send a body with the status and headers that are set on the request, and finish the request.

    A body of more than one chunk is compressed for a client that accepts gzip.  A client that has the body already gets
    status 304.  The connection of a client that needs longer than SEND_TIMEOUT
    is closed.
    """
    request.setHeader(b"etag", body.etag)
    if _has_etag(request, body.etag):
        request.setResponseCode(_NOT_MODIFIED)
        request.finish()
        return
    compresses = body.size > CHUNK_BYTES and _accepts_gzip(request)
    if body.size > CHUNK_BYTES:
        request.responseHeaders.addRawHeader(b"vary", b"Accept-Encoding")
    if compresses:
        request.setHeader(b"content-encoding", b"gzip")
        request.setHeader(b"etag", b"W/" + body.etag)
    else:
        request.setHeader(b"content-length", b"%d" % body.size)
    if request.method == b"HEAD":
        request.finish()
    elif body.size <= CHUNK_BYTES:
        request.write(b"".join(body.fragments))
        request.finish()
    else:
        _BodyProducer(request, body.fragments, reactor, compresses=compresses).start()


def _accepts_gzip(request: Any) -> bool:
    """Whether Accept-Encoding has gzip with a quality above 0."""
    for each in (request.getHeader(b"accept-encoding") or b"").split(b","):
        coding, _, parameter = each.partition(b";")
        name, _, quality = parameter.strip().partition(b"=")
        refused = name.strip().lower() == b"q" and not quality.strip().strip(b"0.")
        if coding.strip().lower() in (b"gzip", b"*") and not refused:
            return True
    return False


@implementer(interfaces.IPullProducer)
class _BodyProducer:
    """Pull producer that writes a body in chunks, compressed on the way where the client accepts it."""

    def __init__(self, request: Any, fragments: list[bytes], reactor: Any, *, compresses: bool) -> None:
        self._compressor = zlib.compressobj(COMPRESSION_LEVEL, wbits=zlib.MAX_WBITS | 16) if compresses else None
        self._request = request
        self._reversed_fragments = fragments[::-1]
        self._reactor = reactor
        self._timer: Optional[Any] = None

    def start(self) -> None:
        """Register with the request."""
        self._timer = self._reactor.callLater(SEND_TIMEOUT, self._abort)
        self._request.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """Write the next chunk."""
        chunk: list[bytes] = []
        size = 0
        while self._reversed_fragments and size < CHUNK_BYTES:
            chunk.append(self._reversed_fragments.pop())
            size += len(chunk[-1])
        self._request.write(self._encoded(b"".join(chunk)))
        if not self._reversed_fragments:
            self.stopProducing()
            self._request.unregisterProducer()
            self._request.finish()

    def _encoded(self, chunk: bytes) -> bytes:
        """The bytes to send for a chunk; each call flushes, as the transport asks again only after it has sent some."""
        if self._compressor is None:
            return chunk
        last = not self._reversed_fragments
        return self._compressor.compress(chunk) + self._compressor.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)

    def stopProducing(self) -> None:
        """Stop: the body is sent, or the client has disconnected."""
        self._reversed_fragments.clear()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _abort(self) -> None:
        self._reversed_fragments.clear()
        self._request.channel.transport.abortConnection()
