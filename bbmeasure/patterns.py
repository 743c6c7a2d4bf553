"""Finding values in text by a regular expression."""

from __future__ import annotations

import re

from bbmeasure import units
from bbmeasure.errors import MeasureError
from bbmeasure.records import Record

#: The longest line that a pattern is tried on: a worker cuts lines at 4,095 bytes anyhow.
LONGEST_LINE = 4_096


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The expression; MeasureError where it is none, or has neither named groups nor a single group."""
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise MeasureError(f"pattern {pattern!r}: {error}") from None
    if not compiled.groupindex and compiled.groups != 1:
        raise MeasureError(f"pattern {pattern!r}: expected named groups or a single group")
    return compiled


def parse(pattern: re.Pattern[str], text: str, own_name: str) -> list[Record]:
    """A record of the last match of each named group, or of the only group under ``own_name``, tried line by line.

    MeasureError where nothing matches or no number stands there.
    """
    texts: dict[str, str] = {}
    names = pattern.groupindex or {own_name: 1}
    for line in text.splitlines():
        for match in pattern.finditer(line[:LONGEST_LINE]):
            for name, group in names.items():
                if match.group(group) is not None:
                    texts[name] = match.group(group)
    if not texts:
        raise MeasureError(f"pattern {pattern.pattern!r}: expected a line that matches, got {units.excerpt(text)}")
    records = []
    for name, found in texts.items():
        quantity = units.parse(found)
        records.append(Record(name, quantity.value, unit=quantity.unit, kind=quantity.kind))
    return records
