"""The shipper by itself: a clock that is moved by hand, a server that says what the test wants."""

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
    """Points with their numbers."""

    @property
    def series(self) -> frozenset[SeriesInfo]:
        return frozenset(SeriesInfo(point.series, Kind.NUMBER) for _, point in self)


class FakeOutbox:
    """The journal's side, in memory."""

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
    """A server that answers what ``answer`` says of the lines it gets."""

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
    """A shipper on its test bench."""

    def __init__(self, waiting: Sequence[Point] = (), answer: Any = lambda lines: None, **options: Any) -> None:
        self.clock = task.Clock()
        self.outbox = FakeOutbox(waiting)
        self.client = FakeClient(answer)
        self.forward = 0.0
        options.setdefault("writer", LineWriter())
        self.shipper = Exporter(
            self.outbox,
            "sink",
            self.client,
            reactor=self.clock,
            monotonic=lambda: self.clock.seconds() + self.forward,
            random=lambda: 1.0,
            **options,
        )

    def run(self, seconds: float = 0.0) -> None:
        """Let so much time pass, in small steps, and what is to be done at once be done."""
        for _ in range(500):
            self.clock.advance(0)
        while seconds > 0:
            step = min(seconds, 0.25)
            self.clock.advance(step)
            seconds -= step
            for _ in range(20):
                self.clock.advance(0)

    def start(self, seconds: float = 0.0) -> Bench:
        self.shipper.start()
        self.run(seconds)
        return self

    @property
    def counters(self) -> Any:
        return self.shipper.health().counters


def test_what_waits_is_shipped_and_acknowledged() -> None:
    """All that waits arrives in requests of 5,000, each acknowledged when the server has it."""
    bench = Bench(points(12_000)).start()
    assert [len(lines) for lines in bench.client.writes] == [5_000, 5_000, 2_000]
    assert bench.outbox.acknowledged == [5_000, 10_000, 12_000]
    assert len(bench.client.landed) == 12_000
    assert bench.outbox.attached == ["sink"]
    assert bench.counters["shipped"] == 12_000
    assert bench.shipper.health().last_error is None


def test_what_comes_later_is_shipped_within_a_second() -> None:
    """An empty outbox is looked at once a second, or when somebody wakes the shipper."""
    bench = Bench().start(10)
    bench.outbox.put(points(3))
    bench.run(1)
    assert len(bench.client.landed) == 3
    bench.outbox.put(points(5))
    bench.shipper.wake()
    bench.run()
    assert len(bench.client.landed) == 5


def test_nothing_is_acknowledged_before_the_server_has_it() -> None:
    """While a request is on its way its points wait, and a second start does not send them twice."""
    on_its_way: defer.Deferred[None] = defer.Deferred()
    bench = Bench(points(10), lambda lines: on_its_way).start(5)
    bench.shipper.start()
    bench.run(5)
    assert len(bench.client.writes) == 1
    assert bench.outbox.acknowledged == []
    on_its_way.callback(None)
    bench.run()
    assert bench.outbox.acknowledged == [10]


@pytest.mark.parametrize(
    ("error", "words"),
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
def test_lasting_trouble_is_told_and_not_hammered(error: ServerError, words: str) -> None:
    """Each kind of trouble shows in health, is tried again in pauses that grow to a minute, and loses nothing."""
    troubles: list[Answer] = [error]
    bench = Bench(points(10), lambda lines: troubles[0]).start(600)
    assert words in (bench.shipper.health().last_error or "")
    assert bench.outbox.acknowledged == []
    assert bench.outbox.refused == []
    assert 12 <= len(bench.client.writes) <= 18
    assert bench.counters["failures"] == len(bench.client.writes)
    troubles[0] = None
    bench.run(61)
    assert len(bench.client.landed) == 10
    assert bench.shipper.health().last_error is None


def test_pauses_double_with_chance_to_a_cap_and_begin_anew() -> None:
    """Full jitter: a part by chance of a pause that doubles from one second to sixty."""
    halves = Backoff(lambda: 0.5)
    assert [halves.next() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    halves.reset()
    assert halves.next() == 0.5
    for _ in range(5_000):
        halves.next()
    assert halves.next() == 30


def test_a_pause_is_not_cut_short_by_new_points() -> None:
    """Builds that go on while the server is away do not make the shipper hammer it."""
    bench = Bench(points(1), lambda lines: ServerError(ErrorKind.UNREACHABLE, "away")).start(100)
    before = len(bench.client.writes)
    for _ in range(20):
        bench.outbox.put(points(1))
        bench.shipper.wake()
        bench.run()
    assert len(bench.client.writes) == before


def test_a_clock_that_is_set_back_puts_nothing_off() -> None:
    """Timers go by the time of day: with one set back, a pause ends when points come after it."""
    troubles: list[Answer] = [ServerError(ErrorKind.UNREACHABLE, "away")]
    bench = Bench(points(1), lambda lines: troubles[0]).start(10)
    troubles[0] = None
    bench.clock.rightNow -= 3_600
    bench.forward = 3_600.0
    bench.run(4)
    bench.shipper.wake()
    bench.run()
    assert len(bench.client.landed) == 0
    bench.run(2)
    bench.shipper.wake()
    bench.run()
    assert len(bench.client.landed) == 1


def test_a_deadline_that_a_clock_set_back_puts_off_is_kept() -> None:
    """A request that hangs past its deadline is given up when points come, although no timer rings."""
    bench = Bench(points(1), lambda lines: defer.Deferred()).start(1)
    bench.forward = 11.0
    bench.shipper.wake()
    bench.run()
    assert len(bench.client.writes) == 1
    bench.forward = 13.0
    bench.shipper.wake()
    bench.run(1)
    assert len(bench.client.writes) == 2
    assert "no answer in time" in (bench.shipper.health().last_error or "")


def refuse(bad: Callable[[str], bool], words: str = "partial write: field type conflict") -> Any:
    """A server that refuses a request with a bad line in it."""

    def answer(lines: list[str]) -> Answer:
        return ServerError(ErrorKind.REFUSED, words, 400) if any(bad(line) for line in lines) else None

    return answer


@pytest.mark.parametrize("bad", [{0}, {4_999}, {1_234}, {7, 8, 4_000}, set(range(100, 120))])
def test_a_refusal_loses_only_the_refused_points(bad: set[int]) -> None:
    """A request that is refused is cut in halves down to the lines that are at fault; the others land, in order."""
    bench = Bench(points(5_000), refuse(lambda line: int(line.rsplit(" ", 1)[1]) - 1_000_000_000 in bad)).start()
    assert {int(point.value) for point, _ in bench.outbox.refused} == bad
    assert {why for _, why in bench.outbox.refused} == {"partial write: field type conflict"}
    assert len(bench.client.landed) == 5_000 - len(bad)
    assert bench.outbox.acknowledged == sorted(bench.outbox.acknowledged)
    assert bench.outbox.acknowledged[-1] == 5_000
    assert len(bench.client.writes) <= 40 * len(bad)
    assert bench.counters["refused"] == len(bad)
    assert bench.counters["shipped"] == 5_000 - len(bad)
    assert bench.shipper.health().last_error is None


def test_a_server_that_says_it_dropped_all_is_believed() -> None:
    """Where InfluxDB counts as many dropped lines as it got, no smaller requests have to find them."""

    def answer(lines: list[str]) -> Answer:
        return ServerError(
            ErrorKind.REFUSED, f"partial write: points beyond retention policy dropped={len(lines)}", 400
        )

    bench = Bench(points(5_000), answer).start()
    assert len(bench.client.writes) == 1
    assert len(bench.outbox.refused) == 5_000


def test_trouble_in_the_middle_of_a_refusal_keeps_what_is_settled() -> None:
    """A server that goes away while the bad line is sought has the points before it, and they are not sent again."""
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


def test_too_much_at_once_is_sent_in_pieces() -> None:
    """A server or proxy that takes small requests alone gets small requests."""

    def answer(lines: list[str]) -> Answer:
        return ServerError(ErrorKind.TOO_LARGE, "too large", 413) if len(lines) > 100 else None

    bench = Bench(points(1_000), answer).start()
    assert len(bench.client.landed) == 1_000
    assert bench.outbox.refused == []


def test_a_point_that_is_too_large_alone_is_refused() -> None:
    """Where not even one point fits, it becomes a dead letter and the others go on."""

    def answer(lines: list[str]) -> Answer:
        large = any("text=" in line for line in lines)
        return ServerError(ErrorKind.TOO_LARGE, "too large", 413) if large else None

    large = Point("log", 5, "x" * 1000)
    bench = Bench([*points(3), large, *points(5)[3:]], answer).start()
    assert bench.outbox.refused == [(large, "too large")]
    assert len(bench.client.landed) == 5


def test_points_that_no_line_can_carry_are_dead_letters() -> None:
    """A point that cannot be written down is kept with the reason, and never sent."""
    unfit = Point("size", 1, 1.0, {"value": "x"})
    bench = Bench([unfit, *points(2), Point("bbmeasure_series", 1, 1.0)]).start()
    assert [why.split(":")[0] for _, why in bench.outbox.refused] == ["tag 'value'", "series 'bbmeasure_series'"]
    assert len(bench.client.landed) == 2
    bench = Bench([unfit]).start()
    assert bench.client.writes == []
    assert bench.outbox.acknowledged == [1]


def test_texts_for_a_server_of_numbers_are_left_out_and_counted() -> None:
    """VictoriaMetrics gets no texts; that is no refusal."""
    text = Point("compiler", 5, "gcc")
    bench = Bench([text, *points(2)], writer=LineWriter(numbers_only=True)).start()
    assert bench.outbox.refused == []
    assert (bench.counters["skipped"], bench.counters["shipped"]) == (1, 2)
    assert bench.outbox.acknowledged == [3]


def test_a_slow_server_gets_smaller_requests() -> None:
    """Requests that are not answered in time become smaller, down to fifty points, and grow again."""

    def answer(lines: list[str]) -> Answer:
        return ServerError(ErrorKind.UNREACHABLE, "not a whole answer") if len(lines) > 300 else None

    bench = Bench(points(20_000), answer).start(600)
    assert len(bench.client.landed) == 20_000
    assert max(len(lines) for lines in bench.client.writes[-20:]) <= 5_000


def test_long_texts_make_small_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request stays within some megabytes, however long its texts are."""
    monkeypatch.setattr(batch, "MAX_BYTES", 100_000)
    bench = Bench([Point("log", time, "x" * 1_000) for time in range(1_000)]).start()
    assert max(sum(map(len, lines)) for lines in bench.client.writes) < 250_000
    assert len(bench.client.landed) == 1_000


MISSING = ServerError(ErrorKind.NOT_FOUND, 'database not found: "t"', 404)


class Declares:
    """Remembers what it was asked to say."""

    def __init__(self) -> None:
        self.counters: Any = {"conflicts": 2}
        self.said: list[frozenset[SeriesInfo]] = []
        self.forgotten = 0

    def write(self, infos: frozenset[SeriesInfo]) -> defer.Deferred[None]:
        self.said.append(infos)
        return defer.succeed(None)

    def forget(self) -> None:
        self.forgotten += 1


def test_a_database_that_is_missing_is_made_and_told_what_series_are() -> None:
    """A database that was dropped is made anew once, the points arrive, and what series are is said again."""
    declares = Declares()
    replies: list[Answer] = [MISSING]
    bench = Bench(
        points(10),
        lambda lines: replies.pop() if replies else None,
        create_database=True,
        metadata=declares,
    ).start()
    assert bench.client.made == 2  # once to begin with, once because it was not there
    assert len(bench.client.landed) == 10
    assert declares.forgotten == 1
    assert declares.said == 2 * [frozenset([SeriesInfo("size", Kind.NUMBER)])]
    assert bench.counters["database_created"] == 1
    assert bench.counters["conflicts"] == 2
    assert bench.shipper.health().last_error is None


def test_a_database_that_keeps_missing_is_not_made_again_and_again() -> None:
    """A server that makes a database and does not have it is told as such, with pauses."""
    bench = Bench(points(10), lambda lines: MISSING, create_database=True).start(20)
    assert bench.client.made == 2
    assert "404" in (bench.shipper.health().last_error or "")


@pytest.mark.parametrize("create", [True, False])
def test_a_database_that_may_not_be_made(create: bool) -> None:
    """Where the user may not make it, or nobody wants it made, the missing database stays the trouble."""
    bench = Bench(points(10), lambda lines: MISSING, create_database=create)
    bench.client.may_make = ServerError(ErrorKind.FORBIDDEN, "not authorized", 403)
    bench.start(1)
    assert "database not found" in (bench.shipper.health().last_error or "")
    bench.client.answer = lambda lines: None
    bench.run(60)
    assert len(bench.client.landed) == 10


def test_a_user_who_may_not_make_a_database_that_is_there() -> None:
    """That is no error: the points land, and health shows no trouble."""
    bench = Bench(points(10), create_database=True)
    bench.client.may_make = ServerError(ErrorKind.FORBIDDEN, "not authorized", 403)
    bench.start()
    assert len(bench.client.landed) == 10
    assert bench.shipper.health().last_error is None
    assert bench.counters["failures"] == 0


def test_the_backlog_and_its_limits() -> None:
    """Health tells the backlog from memory; what waits beyond a limit is dropped until nothing is left to drop."""
    bench = Bench(
        points(10),
        lambda lines: ServerError(ErrorKind.FAILED, "oh", 500),
        limits=OutboxLimits(max_bytes=1_000, max_age=60.0),
    )
    bench.outbox.to_trim = [2_000, 2_000]
    bench.start(6)
    health = bench.shipper.health()
    assert (health.name, health.backlog, health.oldest) == ("sink", 10, 5)
    assert health.counters["dropped"] == 7
    assert bench.outbox.trims[:3] == [(1_000, 60.0)] * 3
    assert len(bench.outbox.trims) == 4


def test_a_journal_that_cannot_be_read_is_waited_for() -> None:
    """A journal in trouble is told as the sink's trouble, and shipping goes on when it is over."""
    bench = Bench(points(10))
    bench.outbox.broken = StorageUnavailableError("journal: locked")
    bench.start(5)
    assert bench.shipper.health().last_error == "journal: locked"
    assert bench.counters["unknown_backlog"] == 2
    bench.outbox.broken = None
    bench.run(60)
    assert len(bench.client.landed) == 10


def test_nothing_is_asked_of_a_journal_that_does_not_know_the_sink_yet() -> None:
    """A new sink's backlog is looked at when the journal has it: health begins without a trouble that is none."""
    bench = Bench()
    attached: defer.Deferred[None] = defer.Deferred()
    bench.outbox.attach_exporter = lambda sink: attached  # type: ignore[method-assign]
    bench.outbox.broken = StorageError("sink 'sink': expected one that is attached")
    bench.start()
    bench.outbox.broken = None
    bench.outbox.put(points(3))
    attached.callback(None)
    bench.run(1)
    assert "unknown_backlog" not in bench.counters
    assert len(bench.client.landed) == 3


def test_a_trouble_ends_when_nothing_waits() -> None:
    """What another process has shipped meanwhile is no trouble of ours any longer."""
    bench = Bench(points(10), lambda lines: ServerError(ErrorKind.UNREACHABLE, "away")).start(5)
    assert bench.shipper.health().last_error is not None
    bench.outbox.waiting.clear()
    bench.run(60)
    assert bench.shipper.health().last_error is None


def test_a_journal_that_lost_the_sink_gets_it_again() -> None:
    """A sink that somebody gave up, or a journal that was replaced, is attached again."""
    bench = Bench(points(10))
    bench.outbox.broken = StorageError("sink 'sink': expected one that is attached")
    bench.start(5)
    bench.outbox.broken = None
    bench.run(60)
    assert len(bench.outbox.attached) > 1
    assert len(bench.client.landed) == 10


def test_a_mistake_of_ours_does_not_end_the_shipping() -> None:
    """An exception that nobody expected is counted, logged and tried again after a pause."""
    bench = Bench(points(10))
    bench.outbox.broken = KeyError("mistake")
    bench.start(5)
    assert "KeyError" in (bench.shipper.health().last_error or "")
    assert bench.counters["errors"] >= 2
    bench.outbox.broken = None
    bench.run(60)
    assert len(bench.client.landed) == 10


def test_stop_waits_for_no_server() -> None:
    """A request on its way is broken off at once; its points wait for the next to start."""
    cancelled: list[int] = []
    bench = Bench(points(10), lambda lines: defer.Deferred(lambda _: cancelled.append(1))).start(1)
    stopped: list[object] = []
    bench.shipper.stop().addCallback(stopped.append)
    assert stopped == [None]
    assert cancelled == [1]
    assert bench.client.closed
    assert bench.outbox.acknowledged == []
    assert bench.clock.getDelayedCalls() == []


def test_stop_ends_a_pause() -> None:
    """A shipper that waits for its next try, or for something to ship, stops at once."""
    for answer in (lambda lines: ServerError(ErrorKind.FAILED, "oh", 500), lambda lines: None):
        bench = Bench(points(10), answer).start(100)
        stopped: list[object] = []
        bench.shipper.stop().addCallback(stopped.append)
        assert stopped == [None]
        assert bench.clock.getDelayedCalls() == []


def test_stop_is_over_in_time_although_the_journal_hangs() -> None:
    """What hangs in the journal holds a stop for a second at most."""
    bench = Bench(points(10))
    bench.outbox.pending = lambda sink, limit: defer.Deferred(lambda _: _.addErrback(lambda _: defer.Deferred()))  # type: ignore[method-assign, assignment]
    bench.start(1)
    stopped: list[object] = []
    bench.shipper.stop().addCallback(stopped.append)
    bench.run(exporter.STOP_TIMEOUT)
    assert stopped == [None]


def test_stop_before_start_and_twice() -> None:
    """Stopping what does not run is no error."""
    bench = Bench()
    stopped: list[object] = []
    bench.shipper.stop().addCallback(stopped.append)
    bench.shipper.stop().addCallback(stopped.append)
    assert stopped == [None, None]


def test_no_turn_of_the_reactor_is_long() -> None:
    """Five thousand points are packed in turns of some two milliseconds, so that nothing else waits."""

    class Turns(task.Clock):
        """A clock where a call that is made at once comes in the next turn."""

        def callLater(self, when: float, *arguments: Any, **more: Any) -> Any:
            return super().callLater(when + 1e-6, *arguments, **more)

    clock = Turns()
    now = [0.0]

    def monotonic() -> float:
        now[0] += 0.0007  # each look at the clock costs this much
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
    part: Any = building.result
    assert len(gzip.decompress(part.body).splitlines()) == 5_000
