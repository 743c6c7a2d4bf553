"""Timeouts, errors and background work of the capture pipeline."""

from __future__ import annotations

from twisted.internet import defer, task

from bbmeasure.capture.deadlines import WRITE_TIMEOUT
from bbmeasure.capture.pipeline import RECALL_INTERVAL, Pipeline
from bbmeasure.errors import StorageError, StorageUnavailableError
from bbmeasure.storage.memory import MemoryStorage
from tests.unit.capture.stores import SlowStorage, result_of, value_of, values_in


def test_write_timeout(capture: Pipeline, slow: SlowStorage, clock: task.Clock) -> None:
    """The caller's Deferred fires after WRITE_TIMEOUT; the point is still written."""
    answer = capture.capture(value_of(), capture.pending("value of", "size"))
    clock.advance(WRITE_TIMEOUT - 0.1)
    assert result_of(answer) == "waiting"
    clock.advance(0.2)
    assert result_of(answer) is None
    assert capture.counters["late"] == 1
    slow.go()
    assert values_in(slow) == [1.0]


def test_failure_after_the_deadline(capture: Pipeline, slow: SlowStorage, clock: task.Clock) -> None:
    """A point that is lost after its deadline is counted."""
    capture.capture(value_of(), capture.pending("value of", "size"))
    capture.suppress_errors(capture.accumulate(value_of("total"), absolute=False), "value of")
    clock.advance(WRITE_TIMEOUT + 1)
    slow.fail(StorageError("gone"))
    assert capture.counters["failed_late"] == 2


def test_totals_wait_while_the_store_cannot_be_read(capture: Pipeline, slow: SlowStorage, clock: task.Clock) -> None:
    """A total asks again until the store answers, and is counted as waiting meanwhile."""
    for _ in range(3):
        capture.suppress_errors(capture.accumulate(value_of("total"), absolute=False), "value of")
    for _ in range(4):
        assert [name for name, *_ in slow.calls] == ["recall"]
        slow.fail(StorageUnavailableError("corrupt"))
        assert capture.waiting == 3
        clock.advance(RECALL_INTERVAL)
    assert capture.counters["totals_wait"] == 4
    slow.go()
    assert values_in(slow, "total") == [1.0, 2.0, 3.0]
    assert capture.waiting == 0


def test_a_total_that_waits_continues_with_another_store(
    capture: Pipeline, slow: SlowStorage, clock: task.Clock
) -> None:
    """When the store that cannot be read is replaced, its successor is asked."""
    capture.suppress_errors(capture.accumulate(value_of("total"), absolute=False), "value of")
    slow.fail(StorageUnavailableError("corrupt"))
    other = MemoryStorage()
    capture.detach(slow)
    capture.attach(other)
    clock.advance(RECALL_INTERVAL)
    assert values_in(other, "total") == [1.0]


def test_one_timer_serves_all(capture: Pipeline, slow: SlowStorage, clock: task.Clock) -> None:
    """A thousand pending Deferreds share one timer, each has its own deadline, and none is left at the end."""
    answers = []
    for _ in range(1000):
        answers.append(capture.capture(value_of(), capture.pending("value of", "size")))
        clock.advance(0.001)
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(WRITE_TIMEOUT - 0.5)
    late = [answer for answer in answers if answer.called]
    assert 400 < len(late) < 600
    assert late == answers[: len(late)]
    slow.go()
    assert all(answer.called for answer in answers)
    assert clock.getDelayedCalls() == []
    assert not capture._pending


def test_cancel_does_not_stop_the_write(capture: Pipeline, slow: SlowStorage) -> None:
    """A value whose Deferred is cancelled is still stored, whether its series is declared or not."""
    for number in range(2):
        answer = capture.capture(value_of(value=number))
        answer.addErrback(lambda _: None)
        answer.cancel()
        slow.go()
    assert values_in(slow) == [0.0, 1.0]


def test_cancelled_pending_deferred(capture: Pipeline, slow: SlowStorage) -> None:
    """A cancelled pending Deferred fires with None, and is counted."""
    answer = capture.capture(value_of(), capture.pending("value of", "size"))
    answer.cancel()
    assert result_of(answer) is None
    assert capture.counters["cancelled"] == 1
    slow.go()


def test_unexpected_error(capture: Pipeline, logged: list[str]) -> None:
    """An error that is not a MeasureError has a counter of its own, and its traceback is logged."""
    assert result_of(capture.suppress_errors(defer.fail(ZeroDivisionError("oops")), "value of", "size")) is None
    assert capture.counters["errors"] == 1
    assert any("ZeroDivisionError: oops" in line for line in logged)


def test_repeated_errors_are_logged_rarely(capture: Pipeline, logged: list[str]) -> None:
    """The first ten are logged, then one in a thousand."""
    for _ in range(2_500):
        capture.count("failed", "the same again")
    assert len([line for line in logged if "the same again" in line]) == 12
    assert capture.counters["failed"] == 2_500
    capture.count("failed", "many at once", by=10_000)
    assert logged[-1] == "bbmeasure: many at once (failed 12500)"


def test_count_once(capture: Pipeline, logged: list[str]) -> None:
    """Counted each time, logged once for each builder and property."""
    for builder in ("a", "b", "a"):
        capture.count_once("missing", (builder, "prop"), "not set")
    assert capture.counters["missing"] == 3
    assert [line for line in logged if "not set" in line] == [
        "bbmeasure: a prop: not set",
        "bbmeasure: b prop: not set",
    ]


def test_with_timeout(capture: Pipeline, clock: task.Clock) -> None:
    """A question without an answer fails after WRITE_TIMEOUT."""
    requested = capture.with_timeout(defer.Deferred())
    clock.advance(WRITE_TIMEOUT + 0.1)
    assert str(result_of(requested)) == "no answer within 1 s"


def test_settle_without_work(capture: Pipeline) -> None:
    """settle() fires at once when nothing is under way."""
    assert result_of(capture.settle()) is None


def test_settle_waits_for_background_work(capture: Pipeline) -> None:
    """settle() waits for background work and for work that it starts."""
    works: list[defer.Deferred[None]] = [defer.Deferred(), defer.Deferred()]
    works[0].addCallback(lambda _: capture.in_background(works[1]))
    capture.in_background(works[0])
    settled = capture.settle()
    works[0].callback(None)
    assert result_of(settled) == "waiting"
    works[1].errback(ValueError("a mistake"))
    assert result_of(settled) is None
    assert capture.counters["errors"] == 1


def test_background_work_that_is_late(capture: Pipeline, clock: task.Clock) -> None:
    """settle() waits a second for it; it is counted, and values have as much time as before."""
    before = capture.timeout
    work: defer.Deferred[None] = defer.Deferred()
    capture.in_background(work, "reading Buildbot's database")
    settled = capture.settle()
    clock.advance(WRITE_TIMEOUT)
    assert result_of(settled) is None
    assert (capture.timeout, capture.counters["background_late"]) == (before, 1)
    work.errback(ValueError("a mistake"))
    assert capture.counters["errors"] == 1
    assert result_of(capture.settle()) is None


def test_settle_waits_for_declarations(capture: Pipeline, slow: SlowStorage) -> None:
    """settle() waits for values whose series is being declared."""
    capture.capture(value_of())
    capture.accumulate(value_of("total"), absolute=False)
    settled = capture.settle()
    slow.go(1)
    assert result_of(settled) == "waiting"
    slow.go(2)
    assert result_of(settled) == "waiting"
    slow.go(1)
    assert result_of(settled) is None
    assert slow.writes == [1, 1]


def test_settle_can_be_cancelled(capture: Pipeline, slow: SlowStorage) -> None:
    """A cancelled Deferred of settle() is not fired again."""
    capture.capture(value_of())
    settled = capture.settle()
    settled.addErrback(lambda _: "given up")
    settled.cancel()
    assert result_of(settled) == "given up"
    slow.go()
