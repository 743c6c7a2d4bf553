"""Values that captureData refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pytest_twisted import inlineCallbacks

from bbmeasure import captureData
from bbmeasure.capture.state import state_of
from bbmeasure.testing import captured_points
from tests.unit.capture.masters import Master, values_of

BAD: dict[str, dict[str, Any]] = {
    "nan": {"value": math.nan},
    "inf": {"value": -math.inf},
    "too_large": {"value": 10**400},
    "none": {"value": None},
    "a_boolean": {"value": True},
    "a_list": {"value": [1]},
    "bytes": {"value": b"1"},
    "a_long_text": {"value": "x" * 10_000},
    "no_name": {"name": ""},
    "a_name_that_is_none": {"name": None},
    "a_name_with_a_line_break": {"name": "a\nb"},
    "a_long_name": {"name": "n" * 5_000},
    "unit": {"unit": "parsecs"},
    "a_unit_that_is_no_text": {"unit": 5},
    "kind": {"kind": "colour"},
    "better": {"better": "larger"},
    "tags": {"tags": ["a"]},
    "reserved_tag": {"tags": {"builder": "liar"}},
    "many_tags": {"tags": {f"k{n}": "v" for n in range(17)}},
    "a_time_that_is_a_text": {"time": "1700000000"},
    "a_time_that_is_nan": {"time": math.nan},
    "a_time_beyond_all": {"time": 1e300},
    "a_build_that_is_none": {"build": "first_builder"},
    "a_text_to_add": {"value": "x", "accumulate": True},
    "a_text_to_compare": {"value": "x", "diff": True},
}


@pytest.mark.parametrize("bad", list(BAD))
@inlineCallbacks
def test_bad_value(bad: str, master: Master, logged: list[str]) -> Any:
    """Nothing is raised, the Deferred fires with None, one counter is incremented, and a short line is logged."""
    arguments = {"name": "size", "value": 1, **BAD[bad]}
    assert (yield captureData(arguments.pop("name"), arguments.pop("value"), **arguments)) is None
    assert captured_points(master) == []
    counters = state_of(master).pipeline.counters
    assert counters["failed"] + counters["errors"] == 1
    told = [line for line in logged if line.startswith("bbmeasure: value of")]
    assert told
    assert all(len(line) < 1_500 for line in told)
    yield captureData("size", 2)
    assert values_of(master) == [2]


@inlineCallbacks
def test_conflicting_unit(master: Master) -> Any:
    """A value in another unit is refused and counted."""
    yield captureData("size", 1, unit="bytes")
    yield captureData("size", 1, unit="s")
    assert values_of(master) == [1]
    assert state_of(master).pipeline.counters["refused"] == 1
