"""Tests of the exporter: sending, refusing, retrying, batch sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet import defer

from bbmeasure.export import batch
from bbmeasure.export.backoff import Backoff
from bbmeasure.model import Point
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from bbmeasure.storage.influxdb.server import ErrorKind, ServerError
from tests.unit.export.fakes import Answer, Bench, points


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


def test_overdue_requests_are_cancelled_at_a_wake() -> None:
    """wake() cancels a request that is past its deadline, although its timer has not fired."""
    request: defer.Deferred[None] = defer.Deferred()
    bench = Bench(points(1), lambda lines: request).start(1)
    bench.client.overdue.append(request)
    bench.client.answer = lambda lines: None
    bench.exporter.wake()
    assert "no answer in time" in (bench.exporter.health().last_error or "")
    bench.run(2)
    assert len(bench.client.landed) == 1


def test_a_batch_is_built_although_the_clock_is_set_back() -> None:
    """wake() continues a batch whose next slice was scheduled before the clock was set back."""
    bench = Bench(points(5))
    bench.exporter.start()
    bench.clock.rightNow -= 3_600.0
    bench.run(1)
    assert not bench.client.writes
    bench.exporter.wake()
    bench.run(1)
    assert len(bench.client.landed) == 5


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
