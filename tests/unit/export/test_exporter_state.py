"""Tests of the exporter: database, metadata, backlog, errors of the journal, stopping."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from twisted.internet import defer, task

from bbmeasure.errors import StorageError, StorageUnavailableError
from bbmeasure.export import batch, exporter
from bbmeasure.export.interfaces import OutboxLimits
from bbmeasure.model import SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from bbmeasure.storage.influxdb.server import ErrorKind, ServerError
from tests.unit.export.fakes import Answer, Bench, points

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


def test_an_empty_outbox_clears_the_error_of_a_server_that_answers() -> None:
    """After another process exported the pending points, health has no error once the server accepts a request."""
    errors = [ServerError(ErrorKind.UNREACHABLE, "away")] * 3
    bench = Bench(points(10), lambda lines: errors.pop() if errors else None).start(0.5)
    assert bench.exporter.health().last_error is not None
    bench.outbox.waiting.clear()
    bench.run(60)
    assert bench.exporter.health().last_error is None
    assert not errors


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
