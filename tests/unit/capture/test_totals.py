"""Running totals and differences."""

from __future__ import annotations

from typing import Any

import pytest

from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.errors import (
    MeasureError,
    StorageFullError,
)
from bbmeasure.model import BuildContext
from bbmeasure.storage.memory import MemoryStorage
from tests.unit.capture.stores import SlowStorage, result_of, value_of, values_in


def total(capture: Pipeline, value: float, name: str = "size", absolute: bool = False, **more: Any) -> Any:
    return capture.accumulate(value_of(name, value, **more), absolute=absolute)


def test_accumulate(capture: Pipeline) -> None:
    """Each value stores the total so far, of absolute values where asked for."""
    for value in (5, -2, 4):
        total(capture, value)
        total(capture, value, "absolute", absolute=True)
    assert values_in(capture.memory) == [5, 3, 7]
    assert values_in(capture.memory, "absolute") == [5, 7, 11]


def test_difference(capture: Pipeline) -> None:
    """The first value stores nothing, each later one the difference from the one before."""
    for value in (10, 13, 9):
        assert result_of(capture.difference(value_of(value=value))) is None
    assert values_in(capture.memory) == [3, -4]


def test_totals_are_separate(capture: Pipeline) -> None:
    """Each series, builder and set of tags has a total of its own."""
    other = BuildContext("second", "bot1", 1, 1)
    for more in ({}, {"tags": {"a": "b"}}, {"build": other}, {"build": None}):
        total(capture, 1, **more)
        total(capture, 10, **more)
    total(capture, 5, "other")
    assert sorted(values_in(capture.memory)) == [1] * 4 + [11] * 4
    assert values_in(capture.memory, "other") == [5]


def test_total_is_shared_by_workers(capture: Pipeline) -> None:
    """A builder's total continues on another worker."""
    total(capture, 1)
    total(capture, 1, build=BuildContext("first", "bot2", 8, 108))
    assert values_in(capture.memory) == [1, 2]


def test_concurrent_values(capture: Pipeline, slow: SlowStorage) -> None:
    """A thousand values that arrive before the store has answered are added one after the other."""
    MemoryStorage.write(slow, [], {'["total", "size", "first", {}]': 100.0})
    answers = [total(capture, 1) for _ in range(1_000)]
    slow.go()
    assert [result_of(answer) for answer in answers] == [None] * 1_000
    assert values_in(slow) == list(range(101, 1_101))


def test_state_on_disk_is_not_cached(capture: Pipeline, slow: SlowStorage) -> None:
    """A total that another process deletes starts from zero, and old totals take no memory."""
    for _ in range(2):
        total(capture, 5)
        total(capture, 5)
        slow.go()
        assert values_in(slow) == [5, 10]
        slow.forget("size")
    assert not capture._totals._queues
    assert not capture._totals._unwritten


def test_failed_write_keeps_the_total(capture: Pipeline, slow: SlowStorage) -> None:
    """The point is lost, but its amount is in the next total."""
    first = total(capture, 5)
    slow.go(2)
    slow.fail(StorageFullError("full"))
    assert isinstance(result_of(first), StorageFullError)
    total(capture, 1)
    slow.go()
    assert values_in(slow) == [6]


def test_text_has_no_total(capture: Pipeline) -> None:
    """A text cannot be accumulated."""
    for call in (lambda value: capture.accumulate(value, absolute=False), capture.difference):
        with pytest.raises(MeasureError, match="expected a number to accumulate or compare"):
            call(value_of(value="text"))


def test_total_beyond_any_float(capture: Pipeline) -> None:
    """A total that no float holds is refused and left unchanged."""
    total(capture, 1e308)
    assert isinstance(result_of(total(capture, 1e308)), MeasureError)
    total(capture, -1e308)
    assert values_in(capture.memory) == [1e308, 0]
