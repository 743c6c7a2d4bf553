"""Points packed into requests: a few thousand lines, zipped, made in write_slices that keep the reactor free."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Optional

from twisted.internet import defer, task

from bbmeasure.model import Point
from bbmeasure.storage.influxdb.line_protocol import SLICE, InvalidPoint, LineWriter, UnsupportedTextError, write_slices
from bbmeasure.storage.influxdb.server import ServerError
from bbmeasure.storage.sqlite.outbox import PendingPoints

#: A point with its number in the outbox.
Item = tuple[int, Point]
#: A request holds at most this many bytes before they are zipped, and one slice more.
MOST_BYTES = 4 * 1024 * 1024
#: Seconds of work in one turn of the reactor.
TURN = 0.002
#: gzip, at its fastest: the names repeat in every line.
_LEVEL, _GZIP = 1, 31
_UNKNOWN = ("", False)
_DROPPED = re.compile(r"\bdropped=([0-9]+)")


@dataclass
class Batch:
    """Some points that follow each other in the outbox, and the request that they make.

    ``unfit`` are those that no line can carry, with the reason, by their places; ``left_out`` are the places of texts
    for a server of numbers.
    """

    items: Sequence[Item]
    body: bytes = b""
    gzipped: bool = False
    unfit: dict[int, tuple[Point, str]] = field(default_factory=dict)
    left_out: set[int] = field(default_factory=set)

    @property
    def lines(self) -> int:
        """How many lines the request has."""
        return len(self.items) - len(self.unfit) - len(self.left_out)

    def refused_for(self, why: str) -> list[tuple[Point, str]]:
        """All of its points but the left out, those in its lines refused with that reason."""
        return [self.unfit.get(at, (point, why)) for at, (_, point) in enumerate(self.items) if at not in self.left_out]


class BatchBuilder:
    """Makes requests of points, in turns of the reactor."""

    def __init__(self, writer: LineWriter, reactor: Any, *, gzip: bool, monotonic: Callable[[], float]) -> None:
        self._writer = writer
        self._gzip = gzip

        def turn() -> Callable[[], bool]:
            end = monotonic() + TURN
            return lambda: monotonic() >= end

        self._cooperator = task.Cooperator(
            terminationPredicateFactory=turn, scheduler=lambda work: reactor.callLater(0, work)
        )

    def pack(self, items: Sequence[Item], at: int, most: int) -> defer.Deferred[Batch]:
        """A request of at most ``most`` points from number ``at`` on; of as many as fit where they are long."""
        part = Batch(items[at : at + most], gzipped=self._gzip)
        done = self._cooperator.coiterate(self._fill(part))
        return done.addCallback(lambda _: part)

    def _fill(self, part: Batch) -> Iterator[None]:
        zipped = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP) if self._gzip else None
        pieces: list[bytes] = []
        size = taken = 0
        for lines, refused in lines_of(self._writer, part.items):
            pieces.append(zipped.compress(lines) if zipped else lines)
            taken += SLICE
            size += len(lines)
            for at, point, why in refused:
                if isinstance(why, UnsupportedTextError):
                    part.left_out.add(at)
                else:
                    part.unfit[at] = (point, str(why))
            if size > MOST_BYTES:
                part.items = part.items[:taken]
                break
            yield
        if zipped:
            pieces.append(zipped.flush())
        part.body = b"".join(pieces)

    @defer.inlineCallbacks
    def halves(self, part: Batch) -> Generator[Any, Any, list[Batch]]:
        """The same points in two requests."""
        middle = len(part.items) // 2
        made = []
        for items in (part.items[:middle], part.items[middle:]):
            at = 0
            while at < len(items):
                some = yield self.pack(items, at, len(items))
                at += len(some.items)
                made.append(some)
        return made


def lines_of(writer: LineWriter, items: Sequence[Item]) -> Iterator[tuple[bytes, list[InvalidPoint]]]:
    """Serialize as :func:`write_slices` does; what the points of a stream or of a build share is serialized once.

    This takes a third of the time.
    """
    if not isinstance(items, PendingPoints):
        yield from write_slices(writer, (point for _, point in items))
        return
    heads: dict[tuple[int, Optional[int]], tuple[str, bool]] = {}
    tails: dict[tuple[Optional[int], Optional[int], bool], str] = {}
    raw_rows = enumerate(items.raw_rows())
    for _ in range(0, len(items), SLICE):
        lines, refused = [], []
        for at, (stream, build, step, value, time) in islice(raw_rows, SLICE):
            place = (stream, build if writer.tag_build_number else None)
            head, step_is_tag = heads.get(place, _UNKNOWN)
            tail = tails.get((build, step, step_is_tag))
            if value is not None and head and tail is not None:
                lines.append(f"{head}{value!r}{tail}{time}")
                continue
            _, point = items[at]
            try:
                lines.append(writer.line(point))
                if value is not None:
                    step_is_tag = "step" in point.tags
                    head, tail = writer.template(point)
                    heads[place] = (head, step_is_tag)
                    if "\n" not in tail:  # what becomes of it depends on the head
                        tails[build, step, step_is_tag] = tail
            except ValueError as error:
                refused.append(InvalidPoint(at, point, error))
        lines.append("")
        yield "\n".join(lines).encode("utf-8", "replace"), refused


def all_points_dropped(part: Batch, error: ServerError) -> bool:
    """Whether InfluxDB says that it dropped each line: then no smaller request has to find out which."""
    dropped = _DROPPED.search(error.message)
    return dropped is not None and int(dropped.group(1)) == part.lines
