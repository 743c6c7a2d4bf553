"""TeamCity service messages ``buildStatisticValue``: a series for each key."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bbmeasure import units
from bbmeasure.adapters._records import Records
from bbmeasure.adapters._text import clean, lines
from bbmeasure.errors import ParseError, UnitError
from bbmeasure.records import Record
from bbmeasure.units import excerpt

#: Each message is a line of a build log.
LINE_BASED = True

_START = "##teamcity[buildStatisticValue"
_ATTRIBUTES = re.compile(r"[ \t]+([A-Za-z][\w-]{0,99})[ \t]*=[ \t]*'((?:[^'|]|\|.){0,4000})'")
_END = re.compile(r"[ \t]*\]")
_ESCAPE = re.compile(r"\|(0x[0-9A-Fa-f]{4}|.)")
_ESCAPED = {"n": "\n", "r": "\r", "x": "\u0085", "l": "\u2028", "p": "\u2029"}


def parse(text: str) -> list[Record]:
    """The last value of each key, without unit and direction; other lines are ignored.

    The format: "Service Messages Formats", "Escaped Values" and "Reporting Build Statistics" in
    https://www.jetbrains.com/help/teamcity/service-messages.html.  An invalid message, such as one that
    ``set -x`` of a shell repeats with other quotes, is ignored if there is a valid one.
    """
    latest: dict[str, float] = {}
    invalid = (0, "")
    for number, line in lines(text):
        if _START not in line:
            continue
        for at in _positions(line):
            fields = _attributes(line, at + len(_START))
            try:
                latest[clean(fields["key"])] = units.read_number(fields["value"])
            except (KeyError, UnitError):
                invalid = invalid if invalid[0] else (number, line[at:])
    if invalid[0] and not latest:
        raise ParseError("teamcity", invalid[0], f"{excerpt(invalid[1])}: expected {_START} key='NAME' value='NUMBER']")
    records = Records()
    for key, value in latest.items():
        records.add(key, value)
    return records.listed


def _positions(line: str) -> Iterator[int]:
    """The start of each message in a line."""
    at = line.find(_START)
    while at >= 0:
        yield at
        at = line.find(_START, at + len(_START))


def _attributes(line: str, at: int) -> dict[str, str]:
    """The attributes from ``at`` on; empty where no bracket follows them."""
    fields = {}
    attribute = _ATTRIBUTES.match(line, at)
    while attribute is not None:
        fields[attribute[1]] = _unescape(attribute[2])
        at = attribute.end()
        attribute = _ATTRIBUTES.match(line, at)
    return fields if _END.match(line, at) else {}


def _unescape(value: str) -> str:
    """Decode escape sequences such as ``|n``, ``||`` and ``|0x00e9``."""
    return _ESCAPE.sub(lambda found: _character(found[1]), value) if "|" in value else value


def _character(escaped: str) -> str:
    return chr(int(escaped[2:], 16)) if len(escaped) > 1 else _ESCAPED.get(escaped, escaped)
