"""The declarations of series: kind, unit and direction, and the cache of what the store answers."""

from __future__ import annotations

import pytest
from twisted.internet import task

from bbmeasure.capture import declarations, pipeline
from bbmeasure.capture.declarations import CACHED_FOR
from bbmeasure.capture.identity import Value
from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.errors import (
    SeriesConflictError,
    StorageFullError,
)
from bbmeasure.records import Direction, Kind, Record
from tests.unit.capture.stores import BUILD, SlowStorage, info_of, result_of, value_of, values_in


def test_first_record_declares_the_series(capture: Pipeline) -> None:
    """Kind, unit and direction are those of the first record."""
    capture.capture(value_of(unit="bytes", better="lower"))
    info = info_of(capture.memory)
    assert info is not None
    assert (info.kind, info.unit, info.better) == (Kind.SIZE, "bytes", Direction.LOWER)


def test_conflicting_record_is_refused(capture: Pipeline) -> None:
    """A record of another unit or kind fails with both named, and is not stored."""
    capture.capture(value_of(value=1, unit="bytes"))
    for wrong in (
        value_of(value=2, unit="s"),
        value_of(value="text"),
        value_of(value=3, unit="bytes", kind="count"),
    ):
        error = result_of(capture.capture(wrong))
        assert isinstance(error, SeriesConflictError)
        assert "expected size in bytes" in str(error)
    assert values_in(capture.memory) == [1]
    assert capture.counters["refused"] == 3


def test_plain_number_fits_every_numeric_kind(capture: Pipeline) -> None:
    """A script need not repeat the kind."""
    capture.capture(value_of(value=1, kind="count"))
    assert result_of(capture.capture(value_of(value=2))) is None
    assert values_in(capture.memory) == [1, 2]


def test_fixed_kind_overrides(capture: Pipeline) -> None:
    """A kind from master.cfg replaces the kind of the series, but makes no number of a text."""
    capture.capture(value_of(value=1, kind="count"))
    capture.capture(value_of("words", "text"))
    assert result_of(capture.capture(Value(Record("size", 2, kind="number"), BUILD, fixed_kind=True))) is None
    error = result_of(capture.capture(Value(Record("words", 2, kind="count"), BUILD, fixed_kind=True)))
    assert isinstance(error, SeriesConflictError)
    info = info_of(capture.memory)
    assert info is not None
    assert info.kind is Kind.NUMBER


def test_master_cfg_wins(capture: Pipeline) -> None:
    """Kind, unit and direction from master.cfg replace those of a worker, whose values are then refused."""
    worker = {"kind": "duration", "unit": "s", "better": "higher"}
    assert result_of(capture.capture(value_of(value=1, **worker))) is None
    given = Record("size", 2, kind="size", unit="bytes", better="lower")
    conflict = result_of(capture.capture(Value(given, BUILD, fixed_kind=True, fixed_better=True)))
    assert isinstance(conflict, SeriesConflictError)  # the unit is the worker's
    fixed = Value(given, BUILD, fixed_kind=True, fixed_unit=True, fixed_better=True)
    assert result_of(capture.capture(fixed)) is None
    assert isinstance(result_of(capture.capture(value_of(value=3, **worker))), SeriesConflictError)
    assert result_of(capture.capture(value_of(value=4, kind="size", unit="bytes", better="higher"))) is None
    info = info_of(capture.memory)
    assert info is not None
    assert (info.kind, info.unit, info.better.value, info.count) == (Kind.SIZE, "bytes", "lower", 3)


def test_direction_is_updated(capture: Pipeline) -> None:
    """A record with a direction sets it; one without leaves it unchanged."""
    for better, holds in ((None, "none"), ("lower", "lower"), (None, "lower"), ("higher", "higher")):
        capture.capture(value_of(better=better))
        info = info_of(capture.memory)
        assert info is not None
        assert info.better.value == holds


def test_new_series_is_declared_once(capture: Pipeline, slow: SlowStorage) -> None:
    """A hundred values of a new series make one call of declare()."""
    answers = [capture.capture(value_of(value=n)) for n in range(100)]
    assert [what for what, _, _ in slow.calls] == ["declare"]
    slow.go()
    assert [result_of(answer) for answer in answers] == [None] * 100
    assert values_in(slow) == list(range(100))


def test_two_conflicting_first_values(capture: Pipeline, slow: SlowStorage) -> None:
    """Of two first values with different units the first declares the series."""
    answers = [capture.capture(value_of(value=1, unit="s")), capture.capture(value_of(value=2, unit="bytes"))]
    slow.go()
    assert result_of(answers[0]) is None
    assert isinstance(result_of(answers[1]), SeriesConflictError)


def test_deleted_series_is_declared_again(capture: Pipeline, slow: SlowStorage, clock: task.Clock) -> None:
    """After another process deletes a series, it may have another unit at once, and is declared again soon."""
    capture.capture(value_of(value=1, unit="bytes"))
    slow.go()
    slow.forget("size")
    assert result_of(capture.capture(value_of(value=2, unit="s"))) == "waiting"
    slow.go()
    assert values_in(slow) == [2]
    slow.forget("size")
    clock.advance(CACHED_FOR)
    capture.capture(value_of(value=3, unit="s", better="lower"))
    slow.go()
    info = info_of(slow)
    assert info is not None
    assert (info.unit, info.better) == ("s", Direction.LOWER)


def test_queue_is_bounded(capture: Pipeline, slow: SlowStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that never answers holds a limited number of values, of declarations as of totals."""
    monkeypatch.setattr(declarations, "MAX_QUEUED", 8)
    monkeypatch.setattr(pipeline, "MAX_QUEUED", 2)
    answers = [capture.capture(value_of(value=n)) for n in range(8)]
    answers += [capture.accumulate(value_of("total", n), absolute=False) for n in range(8)]
    results = [result_of(answer) for answer in answers]
    assert results[:10] == ["waiting"] * 10
    assert all(isinstance(result, StorageFullError) for result in results[10:])
    assert isinstance(result_of(capture.capture(value_of(value=9))), StorageFullError)
    assert len(slow.calls) == 2
    slow.go()
    assert values_in(slow) == list(range(8))
    assert values_in(slow, "total") == [0, 1]
    assert result_of(capture.capture(value_of(value=9))) == "waiting"
    slow.go()
    assert values_in(slow) == [*range(8), 9]
