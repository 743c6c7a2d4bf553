"""Units: conversion to base units, parsing of ``"1.2 MiB"``, and formatting for people.

The same units, base units and texts as ``bbmeasure.units``, with which the tests compare this module.
"""

from __future__ import division, unicode_literals

import math
import re
from collections import namedtuple

from bbmeasure_eight import texts
from bbmeasure_eight.errors import MeasureError

#: The longest text that is parsed as a number with a unit, in characters.
LONGEST_QUANTITY = 400

#: A unit: value in the base unit = value * multiplier / divisor.
Unit = namedtuple(str("Unit"), str("base multiplier divisor kind"))
#: A value in a base unit, and the kind of its original unit.
Quantity = namedtuple(str("Quantity"), str("value unit kind"))

_CUSTOM = re.compile("(\\{[^{}\\s\"\\\\\\x00-\\x1f\\x7f]{1,60}\\})(?:/(s|min|h))?\\Z", re.UNICODE)
_QUANTITY = re.compile(
    "(?P<number>[+-]?(?:[0-9]+(?:_[0-9]+)*(?:\\.[0-9]*)?|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[ \t]*(?P<unit>\\S*)\\Z",
    re.UNICODE,
)


def _known():
    units = {}

    def add(spellings, base, multiplier, divisor, kind):
        for spelling in spellings.split():
            units[spelling] = Unit(base, multiplier, divisor, kind)

    add("ns nanosecond nanoseconds", "s", 1, 10**9, "duration")
    add("us usec usecs \u00b5s \u03bcs microsecond microseconds", "s", 1, 10**6, "duration")
    add("ms msec msecs millisecond milliseconds", "s", 1, 10**3, "duration")
    for spellings, seconds in (
        ("s sec secs second seconds", 1),
        ("min mins minute minutes", 60),
        ("h hr hour hours", 3600),
        ("d day days", 86400),
    ):
        add(spellings, "s", seconds, 1, "duration")
    add("bytes byte B By", "bytes", 1, 1, "size")
    add("bit bits", "bytes", 1, 8, "size")
    add("bit/s", "bytes/s", 1, 8, "number")
    _add_prefixed(add)
    add("bytes/s B/s By/s", "bytes/s", 1, 1, "number")
    add("count counts", "1", 1, 1, "count")
    add("ratio", "1", 1, 1, "ratio")
    add("% percent", "1", 1, 100, "ratio")
    for spellings, base, multiplier in (
        ("1", "1", 1),
        ("1/s Hz", "1/s", 1),
        ("kHz", "1/s", 1000),
        ("MHz", "1/s", 10**6),
        ("J", "J", 1),
        ("W", "W", 1),
        ("Cel \u00b0C", "Cel", 1),
    ):
        add(spellings, base, multiplier, 1, "number")
    units[""] = units["1"]
    return units


def _add_prefixed(add):
    for power, prefix in enumerate("kMGTPE", 1):
        upper = prefix.upper()
        add("%sB %sB" % (prefix, upper), "bytes", 1000**power, 1, "size")
        add("%siB" % upper, "bytes", 1024**power, 1, "size")
        add("%sB/s %sB/s" % (prefix, upper), "bytes/s", 1000**power, 1, "number")
        add("%siB/s" % upper, "bytes/s", 1024**power, 1, "number")
        add("%sbit/s" % prefix, "bytes/s", 1000**power, 8, "number")


_UNITS = _known()


def known():
    """All spellings that :func:`find` accepts, except for custom units."""
    return [unit for unit in _UNITS if unit]


def find(unit):
    """The unit of a spelling; MeasureError where it is unknown."""
    if unit in _UNITS:
        return _UNITS[unit]
    custom = None if texts.has_hidden(unit) else _CUSTOM.match(texts.single_units(unit))
    if custom and custom.group(2):
        return Unit(unit[: unit.rindex("/")] + "/s", 1, _UNITS[custom.group(2)].multiplier, "number")
    if custom:
        return Unit(unit, 1, 1, "number")
    raise MeasureError(
        "unit %s: expected one of %s, or a custom unit in braces such as {request}"
        % (texts.excerpt(unit, 60), ", ".join(sorted(known())))
    )


def to_base(value, unit):
    """Convert ``value`` to the base unit of ``unit``; MeasureError where it is not finite."""
    found = find(unit)
    try:
        base = float(value * found.multiplier / found.divisor)
    except OverflowError:
        base = float("inf")
    if math.isinf(base) or math.isnan(base):
        raise MeasureError("value %r: expected a finite number" % base)
    return Quantity(base + 0.0, found.base, found.kind)


def parse(text):
    """Parse a number with an optional unit, such as ``"12.5 ms"``; MeasureError for any other text."""
    stripped = text.strip()
    match = _QUANTITY.match(stripped) if texts.length(stripped) <= LONGEST_QUANTITY else None
    if match is None or match.group("unit") == "1":  # "12 1" is two numbers
        raise MeasureError(
            "%s: expected one number with an optional unit, such as 1.2 MiB" % texts.excerpt(stripped)
        )
    return to_base(float(match.group("number").replace("_", "")), match.group("unit"))


_SECONDS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "\u00b5s"), (1e-9, "ns"))
_BYTES = tuple((1024.0**power, "%siB" % "KMGTPE"[power - 1]) for power in range(6, 0, -1)) + ((1.0, "bytes"),)


def _digits(value):
    """``value`` with three significant digits; integers below 1e15 with all digits."""
    if abs(value) < 1e15 and (value.is_integer() or abs(value) >= 999.5):
        return "{0:,.0f}".format(value + 0.0).replace(",", "\u202f")
    return "{0:.3g}".format(value)


def _scaled(value, steps):
    """``value`` in the largest unit of ``steps`` in which it is at least 1."""
    for factor, unit in steps:
        if abs(value) >= factor:
            break
    return "%s %s" % (_digits(value / factor), unit)


def format_value(value, unit="1", kind=""):
    """Format a value of a base unit for people: ``1.42 MiB``, ``12.5 ms``, or ``85 %`` if ``kind`` is ratio."""
    value = float(value)
    if unit == "s":
        return _scaled(value, _SECONDS) if value else "0 s"
    if unit in ("bytes", "bytes/s"):
        return _scaled(value, _BYTES) + unit[len("bytes") :]
    if kind == "ratio" and unit == "1":
        return "%s %%" % _digits(value * 100)
    if unit == "1":
        return _digits(value)
    return "%s %s" % (_digits(value), "\u00b0C" if unit == "Cel" else unit.replace("{", "").replace("}", ""))
