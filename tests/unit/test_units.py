"""Units: parsing, conversion to base units, and formatting."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmeasure import units
from bbmeasure.errors import UnitError


@pytest.mark.parametrize(
    ("text", "value", "unit", "kind"),
    [
        ("12.5 ms", 0.0125, "s", "duration"),
        ("1.2 MiB", 1.2 * 1024**2, "bytes", "size"),
        ("85 %", 0.85, "1", "ratio"),
        ("1_024", 1024, "1", "number"),
        ("42", 42, "1", "number"),
        ("-1", -1, "1", "number"),
        ("+.5e3", 500, "1", "number"),
        ("5.", 5, "1", "number"),
        ("1e-3s", 0.001, "s", "duration"),
        ("3h", 10800, "s", "duration"),
        ("2 d", 172800, "s", "duration"),
        ("7 \u00b5s", 7e-6, "s", "duration"),
        ("7 \u03bcs", 7e-6, "s", "duration"),
        ("10 kB", 10_000, "bytes", "size"),
        ("10 KB", 10_000, "bytes", "size"),
        ("16 bits", 2, "bytes", "size"),
        ("3 GB/s", 3e9, "bytes/s", "number"),
        ("100 Hz", 100, "1/s", "number"),
        ("12 {request}", 12, "{request}", "number"),
        ("  \t7 count\r\n", 7, "1", "count"),
        ("0.25 ratio", 0.25, "1", "ratio"),
    ],
)
def test_parse(text, value, unit, kind):
    """A number with a unit is converted to the base unit, with the kind of the unit."""
    quantity = units.parse(text)
    assert quantity.value == pytest.approx(value)
    assert (quantity.unit, quantity.kind) == (unit, kind)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "ms",
        "1 2",
        "12 1",
        "1\n2",
        "NaN",
        "nan ms",
        "inf",
        "-Infinity",
        "1e400",
        "-1e400",
        "1e308 GiB",
        "1,024",
        "1.024,5",
        "1\u202f024",
        "\uff11\uff12",
        "\u0661\u0662",
        "12.5.1",
        "1__0",
        "_1",
        "1_",
        "0x10",
        "1e",
        "one",
        "5 apples",
        "5 MS",
        "1 {a b}",
        '1 {a"b}',
        "1 {}",
        "1 {{a}}",
        "1 {" + "a" * 61 + "}",
        "1" * 401,
        "\x00",
        "12\x00",
    ],
)
def test_parse_refuses_anything_else(text):
    """Any text but one finite number in ASCII digits with a known unit is a UnitError."""
    with pytest.raises(UnitError, match="expected") as refused:
        units.parse(text)
    assert len(str(refused.value)) < 1000


def test_ten_megabytes_of_digits_are_refused_by_length():
    """10 MB of digits are refused by their length, with a short message."""
    with pytest.raises(UnitError) as refused:
        units.parse("1" * 10_000_000)
    assert "10000000 characters" in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_message_names_the_unit_and_the_known_ones():
    """The error for an unknown unit names it and the known ones."""
    with pytest.raises(UnitError, match=r"'mib'.*MiB.*\{request\}"):
        units.find("mib")


@pytest.mark.parametrize("unit", ["{a\x00b}", "{\x1b}", "{\x7f}", "{\ud800}", "{a\nb}", "{a", "a}", "{a}\n"])
def test_a_custom_unit_has_no_control_characters(unit):
    """Control characters and lone surrogates in a custom unit are refused."""
    with pytest.raises(UnitError):
        units.find(unit)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1.7e308, 10**4000])
def test_only_finite_values_have_a_base(value):
    """A value that is not finite in the base unit is a UnitError."""
    with pytest.raises(UnitError, match="expected a finite number"):
        units.to_base(value, "GiB")


def test_no_value_is_minus_zero():
    """-0.0 becomes 0.0, as SQLite returns it."""
    for base in (units.to_base(-0.0, "ms").value, units.parse("-0 ms").value, units.to_base(-5e-324, "ms").value):
        assert math.copysign(1, base) == 1


def test_every_known_unit_has_a_base_that_is_its_own_base():
    """The conversion of a value in its base unit does not change it."""
    for spelling in units.known():
        base = units.find(spelling).base
        assert units.to_base(3, base)[:2] == (3.0, base)


@pytest.mark.parametrize("text", ["85 %", "5 s", "5 count", "x"])
def test_a_bare_number_has_no_unit(text):
    """read_number accepts only a number without a unit."""
    assert units.read_number(" 1_000.5 ") == 1000.5
    with pytest.raises(UnitError):
        units.read_number(text)


@pytest.mark.parametrize(
    ("value", "unit", "kind", "text"),
    [
        (0.0125, "s", "duration", "12.5 ms"),
        (1.2 * 1024**2, "bytes", "size", "1.2 MiB"),
        (0.85, "1", "ratio", "85 %"),
        (1024, "1", "count", "1\u202f024"),
        (1_488_978, "bytes", "size", "1.42 MiB"),
        (0, "s", "duration", "0 s"),
        (0, "bytes", "size", "0 bytes"),
        (-0.0, "1", "number", "0"),
        (90, "s", "duration", "1.5 min"),
        (-2048, "bytes", "size", "-2 KiB"),
        (5e-10, "s", "duration", "0.5 ns"),
        (999.9, "1", "number", "1\u202f000"),
        (1023.9 * 1024, "bytes", "size", "1\u202f024 KiB"),
        (3 * 1024**2, "bytes/s", "number", "3 MiB/s"),
        (12, "{request}", "number", "12 request"),
        (21.5, "Cel", "number", "21.5 \u00b0C"),
        (2.5 * 1024**5, "bytes", "size", "2.5 PiB"),
        (3 * 1024**6, "bytes", "size", "3 EiB"),
        (250, "{request}/s", "number", "250 request/s"),
        (math.inf, "s", "duration", "inf"),
        (1e300, "1", "number", "1e+300"),
    ],
)
def test_format(value, unit, kind, text):
    """A value is formatted in a unit of suitable size with three digits."""
    assert units.format(value, unit, kind) == text


def test_excerpt_shows_a_beginning_and_the_length():
    """An excerpt is quoted and of limited length."""
    assert units.excerpt("a\nb") == r"'a\nb'"
    assert units.excerpt("x" * 5000).endswith("\u2026 (5000 characters)")
    assert len(units.excerpt("x" * 5000)) < 120


_DIMENSIONS = [("s", "duration"), ("bytes", "size"), ("1", "ratio"), ("1", "number"), ("bytes/s", "number")]


@given(st.floats(min_value=-1e300, max_value=1e300), st.sampled_from(_DIMENSIONS))
def test_format_and_parse_agree_to_three_digits(value, dimension):
    """Parsing a formatted value returns the value to three digits."""
    unit, kind = dimension
    back = units.parse(units.format(value, unit, kind).replace("\u202f", ""))
    assert back.unit == unit
    assert back.value == pytest.approx(value, rel=6e-3, abs=1e-300)


@given(st.floats(), st.sampled_from([unit for unit, _ in _DIMENSIONS]), st.sampled_from(["", "ratio", "size"]))
def test_any_float_can_be_formatted(value, unit, kind):
    """Any float can be formatted, shortly, and without an exponent between 0.001 and 1e15."""
    text = units.format(value, unit, kind)
    assert len(text) < 40
    if unit == "1" and not kind and 1e-3 <= abs(value) < 1e15:
        assert "e" not in text


@given(st.text(max_size=500) | st.from_regex(r"[-+0-9._eE, ]{0,20}[a-zA-Z%/{}]{0,5}"))
def test_any_text_is_a_finite_quantity_or_a_unit_error(text):
    """Any text is a finite quantity or a UnitError."""
    try:
        quantity = units.parse(text)
    except UnitError:
        return
    assert math.isfinite(quantity.value)
    assert units.find(quantity.unit).base == quantity.unit
