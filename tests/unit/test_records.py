"""Records: what can be one, what cannot, and what the message then says."""

from __future__ import annotations

import dataclasses
import math
import statistics
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmeasure import records
from bbmeasure.errors import MeasureError, RecordError, UnitError
from bbmeasure.records import Direction, Kind, Record


def test_a_record_is_kept_in_base_units():
    """Value and samples are turned into the base of the unit they came in; the kind is the unit's."""
    record = Record("link_time", 12.5, unit="ms", better="lower", tags={"target": "core"}, samples=[12, 12.5, 13])
    assert (record.value, record.unit, record.kind) == (0.0125, "s", Kind.DURATION)
    assert record.samples == (0.012, 0.0125, 0.013)
    assert (record.better, record.tags) == (Direction.LOWER, {"target": "core"})


def test_a_record_does_not_change():
    """A record is frozen."""
    record = Record("a", 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.value = 2.0


def test_records_are_compared_by_what_they_say():
    """Two records of the same content are equal, whatever unit they were written in."""
    assert Record("a", 1, unit="min", kind="duration") == Record("a", 60, unit="s")
    assert Record("a", 1) != Record("b", 1)


def test_the_value_of_samples_is_their_median():
    """Where only samples are given, the value is their median; a value that is given stays."""
    assert Record("a", samples=[3, 1, 10], unit="s").value == 3
    assert Record("a", samples=[1, 2]).value == 1.5
    assert Record("a", 7, samples=[1, 2]).value == 7


def test_numbers_of_other_types_are_numbers():
    """A Fraction stands for numpy's numbers too: all are registered as ``numbers.Real``."""
    record = Record("a", Fraction(1, 4), samples=[Fraction(1, 2), 1])
    assert (record.value, type(record.value), record.samples) == (0.25, float, (0.5, 1.0))
    with pytest.raises(RecordError, match="expected a number"):
        Record("a", 1j)


def test_a_kind_that_is_given_wins_over_the_units():
    """The kind that is asked for holds."""
    assert Record("a", 3, unit="bytes", kind="count").kind is Kind.COUNT
    assert Record("a", 3, kind=Kind.RATIO).kind is Kind.RATIO


def test_a_text_is_of_the_kind_text():
    """A text value has the kind text, no unit, no samples."""
    record = Record("compiler", "gcc 12.2")
    assert (record.value, record.kind, record.unit, record.samples) == ("gcc 12.2", Kind.TEXT, "1", ())
    assert Record("compiler", "gcc", kind="text", unit="1") == Record("compiler", "gcc")


def test_what_no_utf_8_holds_is_replaced_in_a_text():
    """A lone surrogate in a text value becomes a question mark, so that every store can keep it."""
    assert Record("a", "x\ud800y").value == "x?y"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"value": None}, "expected a value or samples"),
        ({"value": math.nan}, "nan: expected a finite number"),
        ({"value": math.inf}, "inf: expected a finite number"),
        ({"value": 10**400}, "inf: expected a finite number"),
        ({"value": True}, "'True': expected a number"),
        ({"value": [1]}, "expected a number"),
        ({"value": {}}, "expected a number"),
        ({"value": 1, "unit": "parsec"}, "'parsec': expected one of"),
        ({"value": 1, "unit": 5}, "expected a string"),
        ({"value": 1, "kind": "speed"}, "kind 'speed': expected one of count, duration"),
        ({"value": 1, "kind": "text"}, "expected a string, as the kind is text"),
        ({"value": 1, "better": "up"}, "better 'up': expected one of lower, higher"),
        ({"value": "12", "unit": "s"}, "value is a string: expected a number"),
        ({"value": "12", "kind": "count"}, "value is a string: expected a number"),
        ({"value": "12", "samples": [1.0]}, "value is a string: expected a number"),
        ({"value": "x" * 4001}, "expected at most 4000 characters"),
        ({"samples": [1, "2"]}, "sample '2': expected a number"),
        ({"samples": [1, math.nan]}, "sample nan: expected a finite number"),
        ({"samples": "123"}, "expected a list of numbers"),
        ({"samples": [1.0] * 20_001}, "20001 samples: expected at most 20000"),
        ({"samples": [1.7e308] * 2}, "median of the samples inf: expected a finite number"),
        ({"samples": [1e308], "unit": "GiB"}, "expected a finite number"),
        ({"value": 1, "tags": [("a", "b")]}, "expected a mapping"),
        ({"value": 1, "tags": {f"t{n}": "x" for n in range(17)}}, "17 tags: expected at most 16"),
        ({"value": 1, "tags": {"x" * 201: "y"}}, "at most 200 characters"),
        ({"value": 1, "tags": {"x": "y" * 1001}}, "at most 1000 characters"),
        ({"value": 1, "tags": {"x": ["y"]}}, "expected a non-empty string"),
        ({"value": 1, "tags": {5: "y"}}, "expected a non-empty string"),
        ({"value": 1, "tags": {"": "y"}}, "non-empty"),
        ({"value": 1, "tags": {"a\nb": "y"}}, "no control characters"),
        ({"value": 1, "tags": {"a": "b\x00"}}, "no control characters"),
        ({"value": 1, "tags": {"a": "\udfff"}}, "no control characters"),
        ({"value": 1, "tags": {"_private": "y"}}, "that is not reserved"),
    ],
)
def test_refuses_what_cannot_be_a_record(arguments, message):
    """What cannot be a record is refused with what was got and what was wanted, in few words."""
    with pytest.raises((RecordError, UnitError), match=message) as refused:
        Record("a", **arguments)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\tb", "a\x00", "\ud800", "x" * 1001, None, 5, ["a"], {"a": 1}])
def test_refuses_what_cannot_be_a_name(name):
    """A name is a text of one line, with something in it, and not longer than a store can carry."""
    with pytest.raises(RecordError, match="name"):
        Record(name, 1)


@pytest.mark.parametrize("name", ['with "quotes"', "with space, comma=equals\\", "\u00fcml\u00e4ut", "a" * 1000, "#x"])
def test_takes_any_name_of_one_line(name):
    """Quotes, commas, backslashes and all letters are fine in a name."""
    assert Record(name, 1).name == name


@pytest.mark.parametrize("key", sorted(records.RESERVED_TAGS))
def test_a_worker_cannot_set_what_the_master_sets(key):
    """Tags that say which build a value belongs to, or that a store uses as a field, are refused."""
    with pytest.raises(RecordError, match=key):
        Record("a", 1, tags={key: "x"})


def test_tags_are_texts_in_the_order_of_their_names():
    """Numbers and booleans become text as people write them, empty tags go, and the given dict is not kept."""
    given_tags = {"z": "1", "jobs": 8.0, "ratio": 0.5, "fast": True, "none": None, "empty": "", "big": 10**20}
    tags = Record("a", 1, tags=given_tags).tags
    assert list(tags.items()) == [
        ("big", "100000000000000000000"),
        ("fast", "True"),
        ("jobs", "8"),
        ("ratio", "0.5"),
        ("z", "1"),
    ]
    given_tags["new"] = "x"
    assert "new" not in tags


def test_reserved_tags_may_be_asked_for():
    """A question may name tags that a record may not set."""
    assert records.check_tags({"result": "success"}, reserved=False) == {"result": "success"}


def test_a_direction_has_a_word_outside_python():
    """Where neither direction is better, the word is None."""
    assert [member.word for member in Direction] == ["lower", "higher", None]
    assert records.direction(None) is Direction.NONE
    assert records.direction("higher") is Direction.HIGHER


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(name=_ANYTHING, value=_ANYTHING, kind=_ANYTHING, unit=_ANYTHING, better=_ANYTHING, tags=_ANYTHING)
def test_anything_is_a_record_or_an_error_of_ours(name, value, kind, unit, better, tags):
    """Whatever JSON holds makes a record or an error of this project, never another exception."""
    try:
        record = Record(name, value, kind=kind, unit=unit, better=better, tags=tags)
    except MeasureError:
        return
    assert isinstance(record.value, str) or math.isfinite(record.value)


@given(st.lists(st.floats(min_value=-1e150, max_value=1e150), min_size=1, max_size=50))
def test_the_median_is_pythons(samples):
    """The value of samples is what Python's statistics module calls their median."""
    assert Record("a", samples=samples).value == statistics.median(samples)
