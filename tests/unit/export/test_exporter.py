"""Tests of the exporter with a fake clock, outbox and client."""

from __future__ import annotations

import gzip
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Optional, Union

import pytest
from twisted.internet import defer, task

from bbmeasure.errors import StorageError, StorageUnavailableError
from bbmeasure.export import batch, exporter
from bbmeasure.export.backoff import Backoff
from bbmeasure.export.exporter import Exporter
from bbmeasure.export.interfaces import OutboxLimits
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from bbmeasure.storage.influxdb.server import ErrorKind, Server, ServerError
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


def test_pending_points_are_exported_and_acknowledged() -> None:
    """Pending points are sent in batches of 5,000, and each batch is acknowledged after the server stored it."""
    bench = Bench(points(12_000)).start()
    assert [len(lines) for lines in bench.client.writes] == [5_000, 5_000, 2_000]
    assert bench.outbox.acknowledged == [5_000, 10_000, 12_000]
    assert len(bench.client.landed) == 12_000
    assert bench.outbox.attached == ["sink"]
    assert bench.counters["shipped"] == 12_000
    assert bench.exporter.health().last_error is None


def test_new_points_are_exported_within_a_second() -> None:
    """An idle exporter reads the outbox once a second, and when it is woken."""
    bench = Bench().start(10)
    bench.outbox.put(points(3))
    bench.run(1)
    assert len(bench.client.landed) == 3
    bench.outbox.put(points(5))
    bench.exporter.wake()
    bench.run()
    assert len(bench.client.landed) == 5


def test_points_are_acknowledged_after_the_response() -> None:
    """During a request its points stay in the outbox, and a second start does not send them again."""
    response: defer.Deferred[None] = defer.Deferred()
    bench = Bench(points(10), lambda lines: response).start(5)
    bench.exporter.start()
    bench.run(5)
    assert len(bench.client.writes) == 1
    assert bench.outbox.acknowledged == []
    response.callback(None)
    bench.run()
    assert bench.outbox.acknowledged == [10]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ServerError(ErrorKind.UNAUTHORIZED, "authorization failed", 401), "401 user, password or token not accepted"),
        (ServerError(ErrorKind.FORBIDDEN, "not authorized", 403), "403 permission denied"),
        (ServerError(ErrorKind.NOT_FOUND, "no dbrp mapping found", 404), "404 no such database"),
        (ServerError(ErrorKind.FAILED, "engine is on fire", 500), "500 server failed: engine is on fire"),
        (ServerError(ErrorKind.BUSY, "later", 503), "503 server is busy"),
        (ServerError(ErrorKind.UNEXPECTED_RESPONSE, "<html>", 200), "200 not the answer of an InfluxDB"),
        (ServerError(ErrorKind.UNREACHABLE, "Connection refused"), "no answer: Connection refused"),
    ],
    ids=lambda value: value.kind.name if isinstance(value, ServerError) else "",
)
def test_errors_are_retried_with_backoff(error: ServerError, message: str) -> None:
    """Every kind of error is in health, is retried with delays up to a minute, and loses no point."""
    errors: list[Answer] = [error]
    bench = Bench(points(10), lambda lines: errors[0]).start(600)
    assert message in (bench.exporter.health().last_error or "")
    assert bench.outbox.acknowledged == []
    assert bench.outbox.refused == []
    assert 12 <= len(bench.client.writes) <= 18
    assert bench.counters["failures"] == len(bench.client.writes)
    errors[0] = None
    bench.run(61)
    assert len(bench.client.landed) == 10
    assert bench.exporter.health().last_error is None


def test_backoff_doubles_to_a_maximum_and_resets() -> None:
    """Full jitter: a random part of a delay that doubles from one second to sixty."""
    halves = Backoff(lambda: 0.5)
    assert [halves.next() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    halves.reset()
    assert halves.next() == 0.5
    for _ in range(5_000):
        halves.next()
    assert halves.next() == 30


def test_new_points_do_not_shorten_a_backoff_delay() -> None:
    """Builds that continue while the server is down cause no additional requests."""
    bench = Bench(points(1), lambda lines: ServerError(ErrorKind.UNREACHABLE, "away")).start(100)
    before = len(bench.client.writes)
    for _ in range(20):
        bench.outbox.put(points(1))
        bench.exporter.wake()
        bench.run()
    assert len(bench.client.writes) == before


def test_a_delay_ends_although_the_clock_is_set_back() -> None:
    """The reactor's timers use the wall clock: if it is set back, wake() ends a delay that is over."""
    errors: list[Answer] = [ServerError(ErrorKind.UNREACHABLE, "away")]
    bench = Bench(points(1), lambda lines: errors[0]).start(10)
    errors[0] = None
    bench.clock.rightNow -= 3_600
    bench.forward = 3_600.0
    bench.run(4)
    bench.exporter.wake()
    bench.run()
    assert len(bench.client.landed) == 0
    bench.run(2)
    bench.exporter.wake()
    bench.run()
    assert len(bench.client.landed) == 1


def test_a_request_times_out_although_the_clock_is_set_back() -> None:
    """wake() cancels a request that is past its deadline, although its timer has not fired."""
    bench = Bench(points(1), lambda lines: defer.Deferred()).start(1)
    bench.forward = 11.0
    bench.exporter.wake()
    bench.run()
    assert len(bench.client.writes) == 1
    bench.forward = 13.0
    bench.exporter.wake()
    bench.run(1)
    assert len(bench.client.writes) == 2
    assert "no answer in time" in (bench.exporter.health().last_error or "")


def refuse(bad: Callable[[str], bool], message: str = "partial write: field type conflict") -> Any:
    """Return a server's answers that refuse every request with a bad line."""

    def answer(lines: list[str]) -> Answer:
        return ServerError(ErrorKind.REFUSED, message, 400) if any(bad(line) for line in lines) else None

    return answer


@pytest.mark.parametrize("bad", [{0}, {4_999}, {1_234}, {7, 8, 4_000}, set(range(100, 120))])
def test_only_refused_points_become_dead_letters(bad: set[int]) -> None:
    """A refused batch is split until the bad lines are known; the other points are stored, in order."""
    bench = Bench(points(5_000), refuse(lambda line: int(line.rsplit(" ", 1)[1]) - 1_000_000_000 in bad)).start()
    assert {int(point.value) for point, _ in bench.outbox.refused} == bad
    assert {why for _, why in bench.outbox.refused} == {"partial write: field type conflict"}
    assert len(bench.client.landed) == 5_000 - len(bad)
    assert bench.outbox.acknowledged == sorted(bench.outbox.acknowledged)
    assert bench.outbox.acknowledged[-1] == 5_000
    assert len(bench.client.writes) <= 40 * len(bad)
    assert bench.counters["refused"] == len(bad)
    assert bench.counters["shipped"] == 5_000 - len(bad)
    assert bench.exporter.health().last_error is None


def test_a_batch_that_is_dropped_completely_is_not_split() -> None:
    """If InfluxDB reports that it dropped all lines of a request, no smaller requests are sent."""

    def answer(lines: list[str]) -> Answer:
        return ServerError(
            ErrorKind.REFUSED, f"partial write: points beyond retention policy dropped={len(lines)}", 400
        )

    bench = Bench(points(5_000), answer).start()
    assert len(bench.client.writes) == 1
    assert len(bench.outbox.refused) == 5_000


def test_an_error_while_a_batch_is_split_keeps_the_acknowledged_part() -> None:
    """If the server goes down between two parts of a refused batch, the stored part is not sent again."""
    away = False

    def answer(lines: list[str]) -> Answer:
        if away:
            return ServerError(ErrorKind.UNREACHABLE, "away")
        if any(line.endswith("1000000007") for line in lines):
            return ServerError(ErrorKind.REFUSED, "bad", 400)
        nonlocal_away()
        return None

    def nonlocal_away() -> None:
        nonlocal away
        away = True

    bench = Bench(points(16), answer).start(1)
    assert bench.outbox.acknowledged == [4]
    away = False
    bench.client.answer = refuse(lambda line: line.endswith("1000000007"))
    bench.run(60)
    assert len(bench.client.landed) == 15
    assert [point.value for point, _ in bench.outbox.refused] == [7.0]


def test_a_batch_that_is_too_large_is_split() -> None:
    """A server or proxy with a small request limit receives small requests."""

    def answer(lines: list[str]) -> Answer:
        return ServerError(ErrorKind.TOO_LARGE, "too large", 413) if len(lines) > 100 else None

    bench = Bench(points(1_000), answer).start()
    assert len(bench.client.landed) == 1_000
    assert bench.outbox.refused == []


def test_a_single_point_that_is_too_large_is_a_dead_letter() -> None:
    """A point that exceeds the request limit becomes a dead letter; the others are stored."""

    def answer(lines: list[str]) -> Answer:
        large = any("text=" in line for line in lines)
        return ServerError(ErrorKind.TOO_LARGE, "too large", 413) if large else None

    large = Point("log", 5, "x" * 1000)
    bench = Bench([*points(3), large, *points(5)[3:]], answer).start()
    assert bench.outbox.refused == [(large, "too large")]
    assert len(bench.client.landed) == 5


def test_invalid_points_are_dead_letters() -> None:
    """A point that line protocol cannot represent becomes a dead letter with the reason, and is not sent."""
    invalid = Point("size", 1, 1.0, {"value": "x"})
    bench = Bench([invalid, *points(2), Point("bbmeasure_series", 1, 1.0)]).start()
    assert [why.split(":")[0] for _, why in bench.outbox.refused] == ["tag 'value'", "series 'bbmeasure_series'"]
    assert len(bench.client.landed) == 2
    bench = Bench([invalid]).start()
    assert bench.client.writes == []
    assert bench.outbox.acknowledged == [1]


def test_texts_are_skipped_for_a_server_of_numbers() -> None:
    """VictoriaMetrics receives no texts; they are counted and are no dead letters."""
    text = Point("compiler", 5, "gcc")
    bench = Bench([text, *points(2)], writer=LineWriter(numbers_only=True)).start()
    assert bench.outbox.refused == []
    assert (bench.counters["skipped"], bench.counters["shipped"]) == (1, 2)
    assert bench.outbox.acknowledged == [3]


def test_batches_shrink_after_timeouts() -> None:
    """After a timeout the batch size is halved, down to fifty points, and doubles after each success."""

    def answer(lines: list[str]) -> Answer:
        return ServerError(ErrorKind.UNREACHABLE, "no complete answer") if len(lines) > 300 else None

    bench = Bench(points(20_000), answer).start(600)
    assert len(bench.client.landed) == 20_000
    assert max(len(lines) for lines in bench.client.writes[-20:]) <= 5_000


def test_the_size_of_a_batch_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points with long texts are sent in batches of limited size."""
    monkeypatch.setattr(batch, "MAX_BYTES", 100_000)
    bench = Bench([Point("log", time, "x" * 1_000) for time in range(1_000)]).start()
    assert max(sum(map(len, lines)) for lines in bench.client.writes) < 250_000
    assert len(bench.client.landed) == 1_000


MISSING = ServerError(ErrorKind.NOT_FOUND, 'database not found: "t"', 404)


class FakeMetadata:
    """Metadata writer that records its calls."""

    def __init__(self) -> None:
        self.counters: Any = {"conflicts": 2}
        self.written: list[frozenset[SeriesInfo]] = []
        self.forgotten = 0

    def write(self, infos: frozenset[SeriesInfo]) -> defer.Deferred[None]:
        self.written.append(infos)
        return defer.succeed(None)

    def forget(self) -> None:
        self.forgotten += 1


def test_a_missing_database_is_created_and_metadata_written_again() -> None:
    """A dropped database is created once, the points are stored, and the metadata is written again."""
    metadata = FakeMetadata()
    replies: list[Answer] = [MISSING]
    bench = Bench(
        points(10),
        lambda lines: replies.pop() if replies else None,
        create_database=True,
        metadata=metadata,
    ).start()
    assert bench.client.made == 2  # at the start, and when it is missing
    assert len(bench.client.landed) == 10
    assert metadata.forgotten == 1
    assert metadata.written == 2 * [frozenset([SeriesInfo("size", Kind.NUMBER)])]
    assert bench.counters["database_created"] == 1
    assert bench.counters["conflicts"] == 2
    assert bench.exporter.health().last_error is None


def test_creating_a_database_is_not_repeated_at_once() -> None:
    """If the database is missing after its creation, that is an error with backoff."""
    bench = Bench(points(10), lambda lines: MISSING, create_database=True).start(20)
    assert bench.client.made == 2
    assert "404" in (bench.exporter.health().last_error or "")


@pytest.mark.parametrize("create", [True, False])
def test_a_missing_database_that_cannot_be_created(create: bool) -> None:
    """Without the right to create it, or with createDatabase=False, the missing database is the error."""
    bench = Bench(points(10), lambda lines: MISSING, create_database=create)
    bench.client.may_make = ServerError(ErrorKind.FORBIDDEN, "not authorized", 403)
    bench.start(1)
    assert "database not found" in (bench.exporter.health().last_error or "")
    bench.client.answer = lambda lines: None
    bench.run(60)
    assert len(bench.client.landed) == 10


def test_a_user_without_the_right_to_create_an_existing_database() -> None:
    """This is no error: the points are stored, and health has no error."""
    bench = Bench(points(10), create_database=True)
    bench.client.may_make = ServerError(ErrorKind.FORBIDDEN, "not authorized", 403)
    bench.start()
    assert len(bench.client.landed) == 10
    assert bench.exporter.health().last_error is None
    assert bench.counters["failures"] == 0


def test_the_backlog_and_its_limits() -> None:
    """Health has the size of the backlog; points beyond a limit are dropped in several calls."""
    bench = Bench(
        points(10),
        lambda lines: ServerError(ErrorKind.FAILED, "oh", 500),
        limits=OutboxLimits(max_bytes=1_000, max_age=60.0),
    )
    bench.outbox.to_trim = [2_000, 2_000]
    bench.start(6)
    health = bench.exporter.health()
    assert (health.name, health.backlog, health.oldest) == ("sink", 10, 5)
    assert health.counters["dropped"] == 7
    assert bench.outbox.trims[:3] == [(1_000, 60.0)] * 3
    assert len(bench.outbox.trims) == 4


def test_an_error_of_the_journal_is_retried() -> None:
    """An error of the journal is the exporter's error, and the export continues after it."""
    bench = Bench(points(10))
    bench.outbox.broken = StorageUnavailableError("journal: locked")
    bench.start(5)
    assert bench.exporter.health().last_error == "journal: locked"
    assert bench.counters["unknown_backlog"] == 2
    bench.outbox.broken = None
    bench.run(60)
    assert len(bench.client.landed) == 10


def test_the_backlog_is_read_after_the_exporter_is_attached() -> None:
    """The backlog of a new exporter is not read before it is attached, so that health starts without an error."""
    bench = Bench()
    attached: defer.Deferred[None] = defer.Deferred()
    bench.outbox.attach_exporter = lambda name: attached  # type: ignore[method-assign]
    bench.outbox.broken = StorageError("sink 'sink': expected one that is attached")
    bench.start()
    bench.outbox.broken = None
    bench.outbox.put(points(3))
    attached.callback(None)
    bench.run(1)
    assert "unknown_backlog" not in bench.counters
    assert len(bench.client.landed) == 3


def test_an_empty_outbox_clears_the_error() -> None:
    """After another process exported the pending points, health has no error."""
    bench = Bench(points(10), lambda lines: ServerError(ErrorKind.UNREACHABLE, "away")).start(5)
    assert bench.exporter.health().last_error is not None
    bench.outbox.waiting.clear()
    bench.run(60)
    assert bench.exporter.health().last_error is None


def test_a_detached_exporter_is_attached_again() -> None:
    """An exporter that was detached, or whose journal was replaced, is attached again."""
    bench = Bench(points(10))
    bench.outbox.broken = StorageError("sink 'sink': expected one that is attached")
    bench.start(5)
    bench.outbox.broken = None
    bench.run(60)
    assert len(bench.outbox.attached) > 1
    assert len(bench.client.landed) == 10


def test_an_unexpected_exception_does_not_end_the_export() -> None:
    """An unexpected exception is counted, logged and retried with backoff."""
    bench = Bench(points(10))
    bench.outbox.broken = KeyError("bug")
    bench.start(5)
    assert "KeyError" in (bench.exporter.health().last_error or "")
    assert bench.counters["errors"] >= 2
    bench.outbox.broken = None
    bench.run(60)
    assert len(bench.client.landed) == 10


def test_stop_does_not_wait_for_the_server() -> None:
    """Stop cancels the request in flight; its points stay in the outbox."""
    cancelled: list[int] = []
    bench = Bench(points(10), lambda lines: defer.Deferred(lambda _: cancelled.append(1))).start(1)
    stopped: list[object] = []
    bench.exporter.stop().addCallback(stopped.append)
    assert stopped == [None]
    assert cancelled == [1]
    assert bench.client.closed
    assert bench.outbox.acknowledged == []
    assert bench.clock.getDelayedCalls() == []


def test_stop_ends_a_delay() -> None:
    """An exporter that is idle or backing off stops at once."""
    for answer in (lambda lines: ServerError(ErrorKind.FAILED, "oh", 500), lambda lines: None):
        bench = Bench(points(10), answer).start(100)
        stopped: list[object] = []
        bench.exporter.stop().addCallback(stopped.append)
        assert stopped == [None]
        assert bench.clock.getDelayedCalls() == []


def test_stop_has_a_timeout() -> None:
    """If the journal hangs, stop ends after STOP_TIMEOUT."""
    bench = Bench(points(10))
    bench.outbox.pending = lambda sink, limit: defer.Deferred(lambda _: _.addErrback(lambda _: defer.Deferred()))  # type: ignore[method-assign, assignment]
    bench.start(1)
    stopped: list[object] = []
    bench.exporter.stop().addCallback(stopped.append)
    bench.run(exporter.STOP_TIMEOUT)
    assert stopped == [None]


def test_stop_before_start_and_twice() -> None:
    """Stopping an exporter that is not running is no error."""
    bench = Bench()
    stopped: list[object] = []
    bench.exporter.stop().addCallback(stopped.append)
    bench.exporter.stop().addCallback(stopped.append)
    assert stopped == [None, None]


def test_a_batch_is_built_in_short_turns() -> None:
    """A batch of five thousand points is built in reactor turns of about two milliseconds."""

    class Turns(task.Clock):
        """Clock that runs ``callLater(0)`` in the next turn."""

        def callLater(self, when: float, *arguments: Any, **more: Any) -> Any:
            return super().callLater(when + 1e-6, *arguments, **more)

    clock = Turns()
    now = [0.0]

    def monotonic() -> float:
        now[0] += 0.0007  # duration of each call
        return now[0]

    turns = []
    builder = batch.BatchBuilder(LineWriter(), clock, gzip=True, monotonic=monotonic)
    building = builder.build(list(enumerate(points(5_000))), 0, 5_000)
    while not building.called:
        before = now[0]
        clock.advance(1.5e-6)
        turns.append(now[0] - before)
    assert max(turns) < 0.004
    assert len(turns) > 10
    made: Any = building.result
    assert len(gzip.decompress(made.body).splitlines()) == 5_000
