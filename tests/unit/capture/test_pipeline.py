"""The capture pipeline: times, values, stores that are attached and detached."""

from __future__ import annotations

import pytest
from twisted.internet import task

from bbmeasure.capture import cardinality
from bbmeasure.capture.identity import Value
from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.errors import (
    LimitError,
    MeasureError,
    StorageUnavailableError,
)
from bbmeasure.records import Record
from bbmeasure.storage.memory import MemoryStorage
from bbmeasure.testing import BrokenStorage
from bbmeasure.times import NANOSECONDS
from tests.unit.capture.stores import BUILD, SlowStorage, info_of, points_of, result_of, value_of, values_in


def test_times_are_unique(capture: Pipeline) -> None:
    """While the clock stands still, each time is a nanosecond later than the one before."""
    times = [capture.now() for _ in range(100)]
    assert times == list(range(times[0], times[0] + 100))


def test_clock_set_back_by_less_than_a_second(capture: Pipeline, clock: task.Clock) -> None:
    """Times go on rising, so that the last value stays the last."""
    before = capture.now()
    clock.rightNow -= 0.9
    assert capture.now() == before + 1


def test_clock_set_back_by_an_hour(capture: Pipeline, clock: task.Clock) -> None:
    """The new time of the clock is used."""
    capture.now()
    clock.rightNow -= 3600
    assert capture.now() == int(clock.seconds() * NANOSECONDS)


def test_given_time(capture: Pipeline) -> None:
    """A value with a time keeps it."""
    capture.capture(Value(Record("size", 1.0), BUILD, time=5))
    assert points_of(capture.memory)[0].time == 5


def test_point_of_a_value(capture: Pipeline) -> None:
    """A point has the build, the tags of record and master, and the spread of the samples."""
    record = Record("size", samples=[1.0, 2.0, 9.0], unit="ms", tags={"target": "core"})
    assert result_of(capture.capture(Value(record, BUILD, master_tags={"result": "success"}))) is None
    (point,) = points_of(capture.memory)
    assert point.build == BUILD
    assert point.tags == {"target": "core", "result": "success"}
    assert (point.value, point.samples, point.spread) == (0.002, 3, 0.001)


def test_second_store(capture: Pipeline) -> None:
    """A second store gets the same points; its errors are counted and do not reach the caller."""
    first, second, broken = MemoryStorage(), MemoryStorage(), BrokenStorage()
    for storage in (first, second, broken):
        capture.attach(storage)
    assert result_of(capture.capture(value_of())) is None
    assert values_in(first) == values_in(second) == [1.0]
    assert capture.counters["copy_failed"] == 2  # its series, its point
    capture.detach(first)
    assert capture.storage is second


def test_impossible_time(capture: Pipeline) -> None:
    """A time that no store holds is refused; the next value is stored."""
    impossible = Value(Record("size", 1.0), BUILD, time=10**30)
    error = result_of(capture.capture(impossible))
    assert isinstance(error, MeasureError)
    assert result_of(capture.capture(value_of(value=2))) is None
    assert values_in(capture.memory) == [2]


def test_detach_falls_back_to_memory(capture: Pipeline) -> None:
    """Without a store points go to memory, and from there to the next store."""
    first, second = MemoryStorage(), MemoryStorage()
    capture.attach(first)
    capture.detach(first)
    assert capture.opted_out
    capture.capture(value_of())
    assert values_in(first) == []
    capture.attach(second)
    assert values_in(second) == [1.0]


def test_store_replaced_while_it_answers(capture: Pipeline, slow: SlowStorage) -> None:
    """Values that wait for the old store's answer go to the new store and are declared there."""
    answers = [capture.capture(value_of(value=1, unit="bytes"))]
    answers.append(capture.accumulate(value_of("total", 5), absolute=False))
    other = MemoryStorage()
    MemoryStorage.write(other, [], {'["total", "total", "first", {}]': 100.0})
    capture.detach(slow)
    capture.attach(other)
    slow.fail(StorageUnavailableError("closed"))
    assert result_of(answers[0]) is None
    assert values_in(other) == [1]
    info = info_of(other)
    assert info is not None
    assert info.unit == "bytes"
    assert isinstance(result_of(answers[1]), StorageUnavailableError) or values_in(other, "total") == [105]


def test_attach_twice(capture: Pipeline) -> None:
    """A store that is attached twice gets each point once."""
    first, storage = MemoryStorage(), MemoryStorage()
    for one in (first, storage, storage):
        capture.attach(one)
    assert capture.stores == [first, storage]


def test_adopt(capture: Pipeline, clock: task.Clock) -> None:
    """A pipeline adopts the points, counters and totals of another that kept them in memory."""
    capture.accumulate(value_of(value=5), absolute=False)
    capture.counters["failed"] = 3
    other = Pipeline(clock)
    other.adopt(capture)
    other.accumulate(value_of(value=1), absolute=False)
    assert values_in(other.storage) == [5, 6]
    assert other.counters["failed"] == 3
    assert other.opted_out


def test_failing_store(capture: Pipeline) -> None:
    """The caller gets the error of the store."""
    capture.attach(BrokenStorage("fail"))
    error = result_of(capture.capture(value_of()))
    assert isinstance(error, StorageUnavailableError)
    assert str(error) == "broken: set to fail"


def test_capture_all_is_one_write(capture: Pipeline, slow: SlowStorage) -> None:
    """Values of known series are written together."""
    capture.capture_all([value_of("a"), value_of("b")])
    slow.go()
    slow.writes.clear()
    answers = capture.capture_all([value_of("a", 2.0), value_of("b", 3.0), value_of("new")])
    assert slow.writes == [2]
    slow.go()
    assert [result_of(answer) for answer in answers] == [None] * 3


def test_refused_value_in_capture_all(capture: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value has its own Deferred, in the order of the values."""
    monkeypatch.setattr(cardinality, "MAX_SERIES", 2)
    answers = capture.capture_all([value_of("a"), value_of("b"), value_of("c"), value_of("a", 2.0)])
    results = [result_of(answer) for answer in answers]
    assert [type(result) for result in results] == [type(None), type(None), LimitError, type(None)]
    assert values_in(capture.memory, "a") == [1.0, 2.0]
