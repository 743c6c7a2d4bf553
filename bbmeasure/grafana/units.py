"""Grafana's units for bbmeasure's base units, and words for them in titles."""

from __future__ import annotations

from bbmeasure.records import Kind

_UNITS = {
    "s": "s",
    "bytes": "bytes",
    "bytes/s": "binBps",
    "1": "short",
    "1/s": "ops",
    "J": "joule",
    "W": "watt",
    "Cel": "celsius",
}
#: Grafana's units of throughput, by the custom unit in its singular.
_THROUGHPUT = {
    "count": "cps",
    "event": "eps",
    "io": "iops",
    "message": "mps",
    "op": "ops",
    "operation": "ops",
    "packet": "pps",
    "read": "rps",
    "record": "recps",
    "request": "reqps",
    "req": "reqps",
    "row": "rowsps",
    "write": "wps",
}
_WORDS = {
    "s": "Durations",
    "bytes": "Sizes",
    "binBps": "Data rates",
    "percentunit": "Ratios",
    "short": "Numbers",
    "ops": "Operations per second",
    "cps": "Counts per second",
    "eps": "Events per second",
    "iops": "Input and output operations per second",
    "mps": "Messages per second",
    "pps": "Packets per second",
    "rps": "Reads per second",
    "recps": "Records per second",
    "reqps": "Requests per second",
    "rowsps": "Rows per second",
    "wps": "Writes per second",
    "joule": "Energy",
    "watt": "Power",
    "celsius": "Temperatures",
}
_SUFFIX = "suffix: "


def grafana_unit(unit: str, kind: Kind) -> str:
    """Return Grafana's name of a base unit; a custom unit that Grafana does not know becomes a suffix."""
    if kind is Kind.RATIO and unit == "1":
        return "percentunit"
    if unit in _UNITS:
        return _UNITS[unit]
    custom, _, per_second = unit.partition("/")
    name = custom.strip("{}")
    if per_second:
        known = _THROUGHPUT.get(name.lower()) or _THROUGHPUT.get(name.lower().removesuffix("s"))
        return known or f"{_SUFFIX}{name}/s"
    return _SUFFIX + name


def unit_words(unit: str) -> str:
    """Return words for one of Grafana's units, as in the title of a panel."""
    if unit.startswith(_SUFFIX):
        name, _, per_second = unit[len(_SUFFIX) :].partition("/")
        return f"Values in {name}{' per second' if per_second else ''}"
    return _WORDS[unit]
