"""Units: conversion to base units, parsing of ``"1.2 MiB"``, and formatting for people.

Inside bbmeasure a value is always in the base unit of its dimension: seconds (``s``), bytes (``bytes``), the
dimensionless ``1``, or one of the few others below.  A custom unit is written in braces, as in UCUM and OpenTelemetry:
``{request}`` is a base unit, and so is the rate ``{request}/s``.  Runs on a worker's Python 3.7 too.
"""

from __future__ import annotations

import math
import re
from typing import Dict, Iterable, NamedTuple, Optional, Tuple

from bbmeasure.ansi import without_hidden
from bbmeasure.errors import UnitError
from bbmeasure.formatting import format as format
from bbmeasure.formatting import format_change as format_change

#: The longest text that is parsed as a number with a unit, in characters.
LONGEST_QUANTITY = 400


class Unit(NamedTuple):
    """A unit: value in the base unit = value * multiplier / divisor."""

    base: str
    multiplier: int
    divisor: int
    kind: str


class Quantity(NamedTuple):
    """A value in a base unit, and the kind of its original unit."""

    value: float
    unit: str
    kind: str


def _known() -> Dict[str, Unit]:
    """The units by each of their spellings."""
    units: Dict[str, Unit] = {}

    def add(spellings: str, base: str, multiplier: int, divisor: int, kind: str) -> None:
        for spelling in spellings.split():
            units[spelling] = Unit(base, multiplier, divisor, kind)

    add("ns nanosecond nanoseconds", "s", 1, 10**9, "duration")
    add("us usec usecs \u00b5s \u03bcs microsecond microseconds", "s", 1, 10**6, "duration")
    add("ms msec msecs millisecond milliseconds", "s", 1, 10**3, "duration")
    add("s sec secs second seconds", "s", 1, 1, "duration")
    add("min mins minute minutes", "s", 60, 1, "duration")
    add("h hr hour hours", "s", 3600, 1, "duration")
    add("d day days", "s", 86400, 1, "duration")
    add("bytes byte B By", "bytes", 1, 1, "size")
    add("bit bits", "bytes", 1, 8, "size")
    add("bit/s", "bytes/s", 1, 8, "number")
    for power, prefix in enumerate(("k", "M", "G", "T", "P", "E"), start=1):
        spellings = f"{prefix}B {prefix.upper()}B"
        add(spellings, "bytes", 1000**power, 1, "size")
        add(f"{prefix.upper()}iB", "bytes", 1024**power, 1, "size")
        add(f"{prefix}B/s {prefix.upper()}B/s", "bytes/s", 1000**power, 1, "number")
        add(f"{prefix.upper()}iB/s", "bytes/s", 1024**power, 1, "number")
        add(f"{prefix}bit/s", "bytes/s", 1000**power, 8, "number")
    add("bytes/s B/s By/s", "bytes/s", 1, 1, "number")
    add("1", "1", 1, 1, "number")
    add("count counts", "1", 1, 1, "count")
    add("ratio", "1", 1, 1, "ratio")
    add("% percent", "1", 1, 100, "ratio")
    add("1/s Hz", "1/s", 1, 1, "number")
    add("kHz", "1/s", 1000, 1, "number")
    add("MHz", "1/s", 10**6, 1, "number")
    add("J", "J", 1, 1, "number")
    add("W", "W", 1, 1, "number")
    add("Cel \u00b0C", "Cel", 1, 1, "number")
    units[""] = units["1"]
    return units


_UNITS = _known()
_CUSTOM = re.compile(r"(\{[^{}\s\"\\\x00-\x1f\x7f\ud800-\udfff]{1,60}\})(?:/(s|min|h))?\Z")
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[ \t]*(?P<unit>\S*)\Z"
)


def known() -> Tuple[str, ...]:
    """All spellings that :func:`find` accepts, except for custom units."""
    return tuple(unit for unit in _UNITS if unit)


def is_known(unit: str) -> bool:
    """Whether :func:`find` accepts a spelling."""
    return _find(unit) is not None


def _find(unit: str) -> Optional[Unit]:
    known_unit = _UNITS.get(unit)
    if known_unit is not None:
        return known_unit
    custom = _CUSTOM.match(unit) if without_hidden(unit) == unit else None
    if custom and custom.group(2):
        return Unit(f"{custom.group(1)}/s", 1, _UNITS[custom.group(2)].multiplier, "number")
    return Unit(unit, 1, 1, "number") if custom else None


def find(unit: str) -> Unit:
    """The unit of a spelling; UnitError where it is unknown."""
    found = _find(unit)
    if found is not None:
        return found
    listed = ", ".join(nearest(unit, known()))
    raise UnitError(
        f"unit {unit[:60]!r}: expected one of the known such as {listed}, or a custom one such as {{request}}"
    )


def nearest(unit: str, units: Iterable[str]) -> Tuple[str, ...]:
    """The three of ``units`` that are spelled most like ``unit``, the nearest first.

    Only those that share most letters are compared, as a worker may report a thousand unknown units.
    """
    from difflib import SequenceMatcher  # imported here: it takes 2 ms, and only an error needs it

    wanted = unit[:60]
    letters = set(wanted.lower())
    candidates = sorted(units, key=lambda candidate: len(letters.symmetric_difference(candidate.lower())))[:8]

    def likeness(candidate: str) -> Tuple[float, float]:
        ignoring_case = SequenceMatcher(None, wanted.lower(), candidate.lower()).ratio()
        return ignoring_case, SequenceMatcher(None, wanted, candidate).ratio()

    return tuple(sorted(candidates, key=likeness, reverse=True)[:3])


def to_base(value: float, unit: str) -> Quantity:
    """Convert ``value`` to the base unit of ``unit``; UnitError where it is not finite.

    ``to_base(12.5, "ms")`` is 0.0125 s.  -0.0 becomes 0.0, as in SQLite, so that exporters always send the same bytes.
    """
    known_unit = find(unit)
    try:
        base = float(value * known_unit.multiplier / known_unit.divisor)
    except OverflowError:
        base = math.inf
    if not math.isfinite(base):
        raise UnitError(f"value {base}: expected a finite number")
    return Quantity(base + 0.0, known_unit.base, known_unit.kind)


def read_number(text: str) -> float:
    """Parse a finite number in ASCII digits, with optional underscores; UnitError for any other text."""
    quantity = parse(text)
    if quantity.unit != "1" or quantity.kind != "number":
        raise UnitError(f"{excerpt(text)}: expected a number without a unit")
    return quantity.value


def parse(text: str) -> Quantity:
    """Parse a number with an optional unit, such as ``"12.5 ms"``, ``"1.2 MiB"``, ``"85 %"`` or ``"1_024"``.

    Accepts only ASCII digits, no thousands separators and only finite values; UnitError for any other text.
    """
    stripped = text.strip()
    match = _QUANTITY.match(stripped) if len(stripped) <= LONGEST_QUANTITY else None
    if match is None or match.group("unit") == "1":  # "12 1" is two numbers
        raise UnitError(f"{excerpt(stripped)}: expected one number with an optional unit, such as 1.2 MiB")
    try:
        return to_base(float(match.group("number").replace("_", "")), match.group("unit"))
    except UnitError as error:
        raise UnitError(f"{excerpt(stripped)}: expected one number with an optional unit ({error})") from None


def excerpt(text: str, most: int = 80) -> str:
    """The quoted start of ``text`` for an error message, with the length of the text if it is truncated."""
    if len(text) <= most:
        return repr(text)
    return f"{text[:most]!r}\u2026 ({len(text)} characters)"
