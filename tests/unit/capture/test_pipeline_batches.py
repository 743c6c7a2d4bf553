"""The batches of the capture pipeline: points that arrive while a write is under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

import pytest
from twisted.internet import defer, task

from bbmeasure.capture.batches import LINGER, MAX_BATCH
from bbmeasure.capture.identity import Value
from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.errors import (
    StorageError,
    StorageFullError,
)
from bbmeasure.model import Point
from bbmeasure.records import Record
from tests.unit.capture.stores import BUILD, SlowStorage, info_of, result_of, value_of, values_in


@pytest.fixture(autouse=True)
def known(capture: Pipeline, slow: SlowStorage) -> None:
    """The store has said what the series is."""
    capture.capture(value_of(value=0))
    slow.go()
    slow.writes.clear()


def test_burst_is_two_writes(capture: Pipeline, slow: SlowStorage) -> None:
    """The first point is written at once, the others in one batch after it; each Deferred fires."""
    answers = [capture.capture(value_of(value=n)) for n in range(1, 100)]
    assert slow.writes == [1]
    slow.go(1)
    assert slow.writes == [1, 98]
    assert [result_of(answer) for answer in answers] == [None] + ["waiting"] * 98
    slow.go()
    assert all(answer.called for answer in answers)
    assert values_in(slow) == list(range(100))


def test_values_that_nothing_waits_for_share_a_commit(capture: Pipeline, slow: SlowStorage, clock: task.Clock) -> None:
    """A value after a pause is written at once; those that follow within LINGER are written together at its end."""
    capture.capture(value_of(value=1))
    assert slow.writes == [1]
    complete(slow)
    clock.advance(LINGER / 4)
    answers = [capture.capture(value_of(value=n)) for n in (2, 3)]
    clock.advance(LINGER / 2)
    answers.append(capture.capture(value_of(value=4)))
    assert slow.writes == [1]
    clock.advance(LINGER / 4)
    assert slow.writes == [1, 3]
    slow.go()
    assert [result_of(answer) for answer in answers] == [None] * 3
    assert clock.getDelayedCalls() == []


def test_values_of_a_step_do_not_wait(capture: Pipeline, slow: SlowStorage, clock: task.Clock) -> None:
    """What a step captures at its end is written at once, with the values that waited."""
    capture.capture(value_of(value=1))
    complete(slow)
    capture.capture(value_of(value=2))
    capture.capture_all([value_of(value=3)])
    assert slow.writes == [1, 2]
    capture.capture_all([value_of(value=4)])
    assert slow.writes == [1, 2]
    complete(slow)
    assert slow.writes == [1, 2, 1]
    assert clock.getDelayedCalls() == []


def test_a_clock_that_is_set_back(capture: Pipeline, slow: SlowStorage, clock: task.Clock) -> None:
    """A batch waits LINGER at most, although the clock was set back."""
    capture.capture(value_of(value=1))
    complete(slow)
    capture._batches._sent += 3600
    capture.capture(value_of(value=2))
    clock.advance(2 * LINGER)
    assert slow.writes == [1, 1]


def complete(slow: SlowStorage) -> None:
    """Run the call that is queued, while no time passes."""
    _, call, answer = slow.calls.pop(0)
    call().chainDeferred(answer)


def test_large_batch_is_written_early(capture: Pipeline, slow: SlowStorage) -> None:
    """A store that hangs gets all but the last batch, so that its own limit applies."""
    for number in range(2 * MAX_BATCH + 5):
        capture.capture(value_of(value=number))
    assert slow.writes == [1, MAX_BATCH, MAX_BATCH]


def test_refused_point_fails_alone(capture: Pipeline, slow: SlowStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the store refuses a batch, its other points are stored; each is counted once."""
    write = slow.write

    def particular(points: Sequence[Point], state: Optional[Mapping[str, float]] = None) -> Any:
        if any(point.value == 2 for point in points):
            return defer.fail(StorageError("no twos"))
        return write(points, state)

    monkeypatch.setattr(slow, "write", particular)
    answers = [capture.capture(value_of(value=number)) for number in range(1, 5)]
    slow.go()
    results = [result_of(answer) for answer in answers]
    assert isinstance(results.pop(1), StorageError)
    assert results == [None, None, None]
    assert values_in(slow) == [0, 1, 3, 4]
    assert capture.counters["captured"] == 5


def test_impossible_point_is_not_written(capture: Pipeline, slow: SlowStorage) -> None:
    """It does not fail its batch, and its series is not declared."""
    bad = Value(Record("new", 5.0), BUILD, time=10**30, limited=True)
    answers = [capture.capture(value) for value in (value_of(value=1), bad, value_of(value=2))]
    assert isinstance(result_of(answers[1]), StorageError)
    slow.go()
    assert slow.writes == [1, 1]
    assert values_in(slow) == [0, 1, 2]
    assert info_of(slow, "new") is None
    assert (capture.counters["captured"], capture.counters["refused"]) == (3, 1)


def test_store_that_raises(capture: Pipeline, slow: SlowStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception in the store fails that value, not later ones."""

    def broken(*_: Any) -> Any:
        raise ValueError("a mistake")

    with monkeypatch.context() as patched:
        patched.setattr(slow, "write", broken)
        assert isinstance(result_of(capture.capture(value_of(value=1))), ValueError)
    answer = capture.capture(value_of(value=2))
    slow.go()
    assert result_of(answer) is None
    assert values_in(slow) == [0, 2]


def test_full_store_fails_the_batch(capture: Pipeline, slow: SlowStorage) -> None:
    """The whole batch fails without further writes; the next value is written again."""
    answers = [capture.capture(value_of(value=n)) for n in range(3)]
    slow.go(1)
    slow.fail(StorageFullError("full"))
    assert [isinstance(result_of(answer), StorageFullError) for answer in answers] == [False, True, True]
    assert slow.writes == [1, 2]
    slow.clock.advance(LINGER)
    capture.capture(value_of(value=9))
    assert slow.writes == [1, 2, 1]


def test_settle_writes_the_batch(capture: Pipeline, slow: SlowStorage) -> None:
    """settle() writes the current batch, and waits for values that arrive until then."""
    capture.capture(value_of(value=1))
    capture.capture(value_of(value=2))
    assert result_of(capture.settle()) is None
    assert slow.writes == [1, 1]
    capture.capture(value_of(value=3))
    work: defer.Deferred[None] = defer.Deferred()
    capture.in_background(work)
    settled = capture.settle()
    capture.capture(value_of(value=4))
    work.callback(None)
    assert result_of(settled) == "waiting"
    slow.go()
    assert result_of(settled) is None
    assert values_in(slow) == [0, 1, 2, 3, 4]


def test_detached_store_gets_the_batch(capture: Pipeline, slow: SlowStorage) -> None:
    """Points captured before detach() go to the old store, later ones to the next."""
    for number in range(1, 4):
        capture.capture(value_of(value=number))
    capture.detach(slow)
    assert slow.writes == [1, 2]
    answer = capture.capture(value_of(value=9))
    assert result_of(answer) is None
    slow.go()
    assert values_in(slow) == [0, 1, 2, 3]
    assert values_in(capture.memory) == [9]
