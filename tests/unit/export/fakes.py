"""Fakes for tests of the exporter: outbox, client, and an exporter with both on a fake clock."""

from __future__ import annotations

import gzip
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Optional, Union

from twisted.internet import defer, task

from bbmeasure.export.exporter import Exporter
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from bbmeasure.storage.influxdb.server import Server, ServerError
from bbmeasure.storage.sqlite.outbox import Backlog

BUILD = BuildContext("first", "bot1", 1, 101)
Answer = Union[None, ServerError, "defer.Deferred[None]"]


def points(count: int, series: str = "size") -> list[Point]:
    return [Point(series, 1_000_000_000 + number, float(number), {}, BUILD) for number in range(count)]


class PendingPoints(list[tuple[int, Point]]):
    """Items of the outbox, with the metadata of their series."""

    @property
    def series(self) -> frozenset[SeriesInfo]:
        return frozenset(SeriesInfo(point.series, Kind.NUMBER) for _, point in self)


class FakeOutbox:
    """Outbox in memory."""

    def __init__(self, waiting: Sequence[Point] = ()) -> None:
        self.waiting: deque[tuple[int, Point]] = deque(enumerate(waiting, start=1))
        self.next = len(self.waiting) + 1
        self.refused: list[tuple[Point, str]] = []
        self.acknowledged: list[int] = []
        self.trims: list[tuple[Optional[int], Optional[float]]] = []
        self.to_trim: list[int] = []
        self.attached: list[str] = []
        self.broken: Optional[Exception] = None
        self.troubles: list[Optional[str]] = []

    def note_trouble(self, name: str, error: Optional[str]) -> defer.Deferred[None]:
        self.troubles.append(error)
        return defer.fail(self.broken) if self.broken else defer.succeed(None)

    def put(self, more: Sequence[Point]) -> None:
        for point in more:
            self.waiting.append((self.next, point))
            self.next += 1

    def attach_exporter(self, name: str) -> defer.Deferred[None]:
        self.attached.append(name)
        return defer.succeed(None)

    def pending(self, name: str, limit: int) -> defer.Deferred[PendingPoints]:
        if self.broken:
            return defer.fail(self.broken)
        return defer.succeed(PendingPoints(list(self.waiting)[:limit]))

    def acknowledge(self, name: str, seq: int, refused: Sequence[tuple[Point, str]] = ()) -> defer.Deferred[None]:
        self.acknowledged.append(seq)
        self.refused.extend(refused)
        while self.waiting and self.waiting[0][0] <= seq:
            self.waiting.popleft()
        return defer.succeed(None)

    def backlog(self, name: str) -> defer.Deferred[Backlog]:
        if self.broken:
            return defer.fail(self.broken)
        return defer.succeed(Backlog(len(self.waiting), 5 if self.waiting else None, 0, 7))

    def trim(self, name: str, max_bytes: Optional[int] = None, max_age: Optional[float] = None) -> Any:
        self.trims.append((max_bytes, max_age))
        return defer.succeed(self.to_trim.pop() if self.to_trim else 0)


class FakeClient:
    """Client that responds with the result of ``answer`` for the lines of a request."""

    server = Server("http://127.0.0.1:1", "t")

    def __init__(self, answer: Callable[[list[str]], Answer] = lambda lines: None) -> None:
        self.answer = answer
        self.writes: list[list[str]] = []
        self.landed: dict[str, None] = {}
        self.made = 0
        self.may_make: Optional[ServerError] = None
        self.closed = False
        self.overdue: list[defer.Deferred[None]] = []

    def write(self, body: bytes, *, gzipped: bool = False) -> defer.Deferred[None]:
        text = (gzip.decompress(body) if gzipped else body).decode()
        lines = text.splitlines()
        self.writes.append(lines)
        answer = self.answer(lines)
        if isinstance(answer, defer.Deferred):
            return answer
        if isinstance(answer, ServerError):
            return defer.fail(answer)
        self.landed.update(dict.fromkeys(lines))
        return defer.succeed(None)

    def create_database(self) -> defer.Deferred[None]:
        self.made += 1
        return defer.fail(self.may_make) if self.may_make else defer.succeed(None)

    def cancel_overdue(self) -> None:
        while self.overdue:
            self.overdue.pop().cancel()

    def close(self) -> None:
        self.closed = True


class Bench:
    """Exporter with its fakes."""

    def __init__(self, waiting: Sequence[Point] = (), answer: Any = lambda lines: None, **options: Any) -> None:
        self.clock = task.Clock()
        self.outbox = FakeOutbox(waiting)
        self.client = FakeClient(answer)
        self.forward = 0.0
        options.setdefault("writer", LineWriter())
        self.exporter = Exporter(
            self.outbox,
            "sink",
            self.client,
            reactor=self.clock,
            monotonic=lambda: self.clock.seconds() + self.forward,
            random=lambda: 1.0,
            **options,
        )

    def run(self, seconds: float = 0.0) -> None:
        """Advance the clock in small steps, and run calls that are due."""
        for _ in range(500):
            self.clock.advance(0)
        while seconds > 0:
            step = min(seconds, 0.25)
            self.clock.advance(step)
            seconds -= step
            for _ in range(20):
                self.clock.advance(0)

    def start(self, seconds: float = 0.0) -> Bench:
        self.exporter.start()
        self.run(seconds)
        return self

    @property
    def counters(self) -> Any:
        return self.exporter.health().counters
