"""Records: valid and invalid arguments, and error messages."""

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
from bbmeasure.records import Direction, Kind, Record, check_kind


def test_a_record_is_in_base_units():
    """Value and samples are converted to the base unit; the kind is that of the unit."""
    record = Record("link_time", 12.5, unit="ms", better="lower", tags={"target": "core"}, samples=[12, 12.5, 13])
    assert (record.value, record.unit, record.kind) == (0.0125, "s", Kind.DURATION)
    assert record.samples == (0.012, 0.0125, 0.013)
    assert (record.better, record.tags) == (Direction.LOWER, {"target": "core"})


def test_a_record_does_not_change():
    """A record is frozen."""
    record = Record("a", 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.value = 2.0


def test_records_are_compared_by_content():
    """Records are equal if their content is, regardless of the original unit."""
    assert Record("a", 1, unit="min", kind="duration") == Record("a", 60, unit="s")
    assert Record("a", 1) != Record("b", 1)


def test_the_value_of_samples_is_their_median():
    """The value defaults to the median of the samples."""
    assert Record("a", samples=[3, 1, 10], unit="s").value == 3
    assert Record("a", samples=[1, 2]).value == 1.5
    assert Record("a", 7, samples=[1, 2]).value == 7


def test_numbers_of_other_types_are_numbers():
    """Any ``numbers.Real`` is accepted, such as Fraction and the numbers of numpy."""
    record = Record("a", Fraction(1, 4), samples=[Fraction(1, 2), 1])
    assert (record.value, type(record.value), record.samples) == (0.25, float, (0.5, 1.0))
    with pytest.raises(RecordError, match="expected a number"):
        Record("a", 1j)


@pytest.mark.parametrize(
    ("kind", "unit"),
    [("duration", "bytes"), ("count", "s"), ("size", "MB/s"), ("ratio", "{x}"), ("count", "{x}/s"), ("text", "s")],
)
def test_a_unit_of_another_kind(kind, unit):
    """A kind that no value in the unit can be of is an error, which names the kind of the unit."""
    with pytest.raises(RecordError, match=f"with kind '{kind}': expected kind"):
        check_kind(Kind(kind), unit)


@pytest.mark.parametrize(
    ("kind", "unit"), [("duration", "ms"), ("count", "{x}"), ("number", "bytes"), ("ratio", "%"), ("size", "1")]
)
def test_a_unit_of_the_same_kind(kind, unit):
    """A unit of the kind, a number in any unit, a count in a custom unit, and any kind without a unit are valid."""
    check_kind(Kind(kind), unit)


def test_a_given_kind_overrides_that_of_the_unit():
    """A given kind overrides that of the unit."""
    assert Record("a", 3, unit="bytes", kind="count").kind is Kind.COUNT
    assert Record("a", -3, unit="bytes", kind="number").kind is Kind.NUMBER
    assert Record("a", 3, kind="size").unit == "1"
    assert Record("a", 3, kind=Kind.RATIO).kind is Kind.RATIO


def test_a_text_is_of_the_kind_text():
    """A text value has the kind text, and neither unit nor samples."""
    record = Record("compiler", "gcc 12.2")
    assert (record.value, record.kind, record.unit, record.samples) == ("gcc 12.2", Kind.TEXT, "1", ())
    assert Record("compiler", "gcc", kind="text", unit="1") == Record("compiler", "gcc")


def test_lone_surrogates_in_a_text_are_replaced():
    """A lone surrogate in a text value becomes a question mark."""
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
        ({"value": -1, "unit": "KiB"}, "size -1024: expected 0 or more"),
        ({"value": 1, "unit": "s", "samples": [1, -0.5]}, "duration -0.5: expected 0 or more"),
        ({"value": -2, "kind": "count"}, "count -2: expected 0 or more"),
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
def test_invalid_arguments(arguments, message):
    """Invalid arguments raise an error that names the actual and the expected value."""
    with pytest.raises((RecordError, UnitError), match=message) as refused:
        Record("a", **arguments)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\tb", "a\x00", "\ud800", "x" * 1001, None, 5, ["a"], {"a": 1}])
def test_invalid_names(name):
    """A name is a non-empty string without line breaks and of limited length."""
    with pytest.raises(RecordError, match="name"):
        Record(name, 1)


@pytest.mark.parametrize("name", ['with "quotes"', "with space, comma=equals", "\u00fcml\u00e4ut", "a" * 1000, "a#x"])
def test_valid_names(name):
    """Quotes, commas and all letters are allowed in a name."""
    assert Record(name, 1).name == name


@pytest.mark.parametrize(
    ("names", "canonical"),
    [
        (["build_size", "build_size\\", "build_size\\\\"], "build_size"),
        (["build_duration", "build\\duration"], "build_duration"),
        (["_x", "#x", "\\x"], "_x"),
        (["_", "\\", "#"], "_"),
    ],
)
def test_names_that_a_server_cannot_tell_apart_are_one_name(names, canonical):
    """A name is canonical before it is checked, so that no spelling of a reserved name passes."""
    assert {Record(name, 1).name for name in names} == {canonical}


def test_tags_are_canonical_before_they_are_checked():
    """A trailing backslash is dropped from names and values; two names must not become one."""
    assert Record("a", 1, tags={"k\\": "v\\", "other": "\\"}).tags == {"k": "v"}
    with pytest.raises(RecordError, match="not reserved"):
        Record("a", 1, tags={"result\\": "success"})
    for tags in ({"k": "1", "k\\": "2"}, {"\\": "1"}):
        with pytest.raises(RecordError, match="trailing backslashes"):
            Record("a", 1, tags=tags)


@pytest.mark.parametrize("key", sorted(records.RESERVED_TAGS))
def test_reserved_tags_are_refused(key):
    """Reserved tags are refused."""
    with pytest.raises(RecordError, match=key):
        Record("a", 1, tags={key: "x"})


@pytest.mark.parametrize(
    ("key", "instead"),
    [("branch", "source_branch"), ("proposal", "pull_request"), ("proposed", "pull_request"), ("machine", "host")],
)
def test_an_error_names_the_tag_to_use(key, instead):
    """The error of a tag that the master sets of each build names a tag to use instead."""
    with pytest.raises(RecordError, match=f"tag '{key}': .*such as '{instead}'"):
        Record("a", 1, tags={key: "x"})
    assert Record("a", 1, tags={instead: "x"}).tags == {instead: "x"}


def test_tags_are_strings_sorted_by_name():
    """Numbers and booleans become strings, empty tags are dropped, and the given dict is copied."""
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


def test_reserved_tags_in_a_query():
    """A query may use reserved tags."""
    assert records.check_tags({"result": "success"}, reserved=False) == {"result": "success"}


def test_a_direction_has_a_word_outside_python():
    """Without a direction the word is None."""
    assert [member.word for member in Direction] == ["lower", "higher", None]
    assert records.direction(None) is Direction.NONE
    assert records.direction("higher") is Direction.HIGHER


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(name=_ANYTHING, value=_ANYTHING, kind=_ANYTHING, unit=_ANYTHING, better=_ANYTHING, tags=_ANYTHING)
def test_any_json_is_a_record_or_a_measure_error(name, value, kind, unit, better, tags):
    """Any JSON value is a record or a MeasureError."""
    try:
        record = Record(name, value, kind=kind, unit=unit, better=better, tags=tags)
    except MeasureError:
        return
    assert isinstance(record.value, str) or math.isfinite(record.value)


@given(st.lists(st.floats(min_value=-1e150, max_value=1e150), min_size=1, max_size=50))
def test_the_median_is_that_of_statistics(samples):
    """The median is that of the module statistics."""
    assert Record("a", samples=samples).value == statistics.median(samples)
