"""The limits of a builder's series and streams."""

from __future__ import annotations

import pytest

from bbmeasure.capture import cardinality
from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.errors import (
    LimitError,
)
from bbmeasure.model import BuildContext
from tests.unit.capture.stores import result_of, value_of


def test_series_limit(capture: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """One series too many is refused; known series and other builders are not."""
    monkeypatch.setattr(cardinality, "MAX_SERIES", 3)
    for name in "abc":
        capture.capture(value_of(name))
    error = result_of(capture.capture(value_of("d")))
    assert isinstance(error, LimitError)
    assert "at most 3 series of one builder" in str(error)
    for value in (value_of("a"), value_of("d", build=None), value_of("d", build=BuildContext("other", "w", 1, 1))):
        assert result_of(capture.capture(value)) is None
    assert capture.counters["refused"] == 1


def test_stream_limit(capture: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag with ever new values is refused at the limit, also for a running total."""
    monkeypatch.setattr(cardinality, "MAX_STREAMS", 3)
    for number in range(3):
        capture.capture(value_of(tags={"commit": str(number)}))
    assert isinstance(result_of(capture.capture(value_of(tags={"commit": "3"}))), LimitError)
    assert isinstance(result_of(capture.accumulate(value_of(tags={"commit": "4"}), absolute=False)), LimitError)
    assert result_of(capture.capture(value_of(tags={"commit": "1"}))) is None


def test_memory_per_stream(capture: Pipeline) -> None:
    """A stream is remembered as one integer, however long its tags are."""
    tags = {f"key{n}": "x" * 1000 for n in range(16)}
    for number in range(50):
        capture.capture(value_of(tags={**tags, "key0": str(number)}))
    assert all(isinstance(stream, int) for streams in capture._limits._streams.values() for stream in streams)
    assert len(capture._limits._streams["first"]) == 50
