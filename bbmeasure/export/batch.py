"""Batches: compressed requests of a few thousand lines, built in slices that keep the reactor responsive."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Generator, Hashable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite
from typing import Any, Optional

from twisted.internet import defer, task

from bbmeasure.export.interfaces import Items, RowItems
from bbmeasure.model import Point
from bbmeasure.storage.influxdb.line_protocol import SLICE, InvalidPoint, LineWriter, SkippedPointError, write_slices
from bbmeasure.storage.influxdb.server import ServerError

#: Size of a batch before compression, in bytes, exceeded by at most one slice.
MAX_BYTES = 4 * 1024 * 1024
#: Seconds of work per turn of the reactor.
TURN = 0.002
#: Fastest level, as the names repeat in every line; gzip format.
_LEVEL, _GZIP = 1, 31
#: What the fields of a stream's points share: branch, machine class, whether they are of a proposal and the step a tag.
_Shared = tuple[Optional[str], Optional[str], bool, bool]
#: The text before the value in the lines of a stream, with a build number as a tag of a stream and a build.
_Heads = dict[Hashable, tuple[str, _Shared]]
_MAX_HEADS = 20_000
_NO_TEMPLATE: tuple[str, _Shared] = ("", (None, None, False, False))
_DROPPED = re.compile(r"\bdropped=([0-9]+)")


@dataclass
class Batch:
    """Consecutive items of the outbox, and the request that sends them.

    ``invalid`` holds the points that line protocol cannot represent, with the reason, by position; ``skipped`` the
    positions of points that the server does not get, such as texts for a server of numbers.
    """

    items: Items
    body: bytes = b""
    gzipped: bool = False
    invalid: dict[int, tuple[Point, str]] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)

    @property
    def lines(self) -> int:
        """Number of lines in the request."""
        return len(self.items) - len(self.invalid) - len(self.skipped)

    def dead_letters(self, reason: str) -> list[tuple[Point, str]]:
        """Return all points but the skipped, with ``reason`` for those of the request."""
        return [
            self.invalid.get(position, (point, reason))
            for position, (_, point) in enumerate(self.items)
            if position not in self.skipped
        ]


class BatchBuilder:
    """Builds batches in turns of the reactor."""

    def __init__(self, writer: LineWriter, reactor: Any, *, gzip: bool, monotonic: Callable[[], float]) -> None:
        self._writer = writer
        self._gzip = gzip
        self._reactor = reactor
        self._next_turn: Any = None
        self._heads: _Heads = {}

        def turn() -> Callable[[], bool]:
            end = monotonic() + TURN
            return lambda: monotonic() >= end

        self._cooperator = task.Cooperator(terminationPredicateFactory=turn, scheduler=self._schedule)

    def _schedule(self, work: Callable[[], None]) -> Any:
        self._next_turn = self._reactor.callLater(0, work)
        return self._next_turn

    def wake(self) -> None:
        """Continue in the next turn of the reactor, in case that the wall clock was set back since the last one."""
        if self._next_turn is not None and self._next_turn.active():
            self._next_turn.reset(0)

    def build(self, items: Items, start: int, max_points: int) -> defer.Deferred[Batch]:
        """Return a batch of at most ``max_points`` items from position ``start``, of fewer if they exceed MAX_BYTES."""
        batch = Batch(items[start : start + max_points], gzipped=self._gzip)
        done = self._cooperator.coiterate(self._fill(batch))
        return done.addCallback(lambda _: batch)

    def _fill(self, batch: Batch) -> Iterator[None]:
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP) if self._gzip else None
        body: list[bytes] = []
        size = taken = 0
        for lines, invalid in serialize(self._writer, batch.items, self._heads):
            body.append(compressor.compress(lines) if compressor else lines)
            taken += SLICE
            size += len(lines)
            for position, point, error in invalid:
                if isinstance(error, SkippedPointError):
                    batch.skipped.add(position)
                else:
                    batch.invalid[position] = (point, str(error))
            if size > MAX_BYTES:
                batch.items = batch.items[:taken]
                break
            yield
        if compressor:
            body.append(compressor.flush())
        batch.body = b"".join(body)

    @defer.inlineCallbacks
    def split(self, batch: Batch) -> Generator[Any, Any, list[Batch]]:
        """Return the same items in two or more batches."""
        middle = len(batch.items) // 2
        batches = []
        for items in (batch.items[:middle], batch.items[middle:]):
            start = 0
            while start < len(items):
                part = yield self.build(items, start, len(items))
                start += len(part.items)
                batches.append(part)
        return batches


def serialize(
    writer: LineWriter, items: Items, heads: Optional[_Heads] = None
) -> Iterator[tuple[bytes, list[InvalidPoint]]]:
    """Serialize as :func:`~bbmeasure.storage.influxdb.line_protocol.write_slices` does.

    For items from rows, what the points of a stream or of a build share is serialized once, in ``heads`` for all
    batches, which takes half of the CPU of an exported point (``benchmarks/influx_drain.py``).
    """
    if isinstance(items, RowItems):
        yield from _serialize_rows(writer, items, {} if heads is None else heads)
    else:
        yield from write_slices(writer, (point for _, point in items))


def _serialize_rows(writer: LineWriter, items: Any, heads: _Heads) -> Iterator[tuple[bytes, list[InvalidPoint]]]:
    if writer.tag_build_number or len(heads) > _MAX_HEADS:
        heads.clear()
    tails: dict[tuple[Optional[int], Optional[int], _Shared], str] = {}
    raw_rows = enumerate(items.raw_rows())
    for _ in range(0, len(items), SLICE):
        lines, invalid = [], []
        for position, (stream, build, step, value, time) in islice(raw_rows, SLICE):
            key = (stream, build) if writer.tag_build_number else stream
            head, shared = heads.get(key, _NO_TEMPLATE)
            if value is not None and head:
                tail = tails.get((build, step, shared))
                if tail is None:
                    fields = "" if build is None else writer.build_fields(*items.build_of(stream, build, step))
                    tail = tails[build, step, shared] = "" if "\n" in fields else f"{fields} "
                if tail:
                    lines.append(f"{head}{value!r}{tail}{time}")
                    continue
            _, point = items[position]
            try:
                if value is None:
                    lines.append(writer.line(point))
                    continue
                shared = _shared(point)
                head, tail = writer.template(point)
                heads[key] = (head, shared)
                # a writer without templates, or a line that depends on the head too, see LineWriter.line
                if not head or "\n" in tail or not isfinite(value):
                    lines.append(writer.line(point))
                    continue
                lines.append(f"{head}{value!r}{tail}{time}")
            except ValueError as error:
                invalid.append(InvalidPoint(position, point, error))
        lines.append("")
        yield "\n".join(lines).encode("utf-8", "replace"), invalid


def _shared(point: Point) -> _Shared:
    build = point.build
    if build is None:
        return (None, None, False, "step" in point.tags)
    return (build.branch, build.machine, bool(build.proposal), "step" in point.tags)


def all_points_dropped(batch: Batch, error: ServerError) -> bool:
    """Return whether InfluxDB dropped every line of the batch, so that splitting it is useless."""
    dropped = _DROPPED.search(error.message)
    return dropped is not None and int(dropped.group(1)) == batch.lines
