"""TeamCity's service messages ``buildStatisticValue``: a series a key."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bbmeasure import units
from bbmeasure.adapters._records import Records
from bbmeasure.adapters._text import lines
from bbmeasure.errors import ParseError, UnitError
from bbmeasure.records import Record
from bbmeasure.units import excerpt

_BEGINNING = "##teamcity[buildStatisticValue"
_ATTRIBUTES = re.compile(r"[ \t]+([A-Za-z][\w-]{0,99})[ \t]*=[ \t]*'((?:[^'|]|\|.){0,4000})'")
_END = re.compile(r"[ \t]*\]")
_ESCAPE = re.compile(r"\|(0x[0-9A-Fa-f]{4}|.)")
_ESCAPED = {"n": "\n", "r": "\r", "x": "\u0085", "l": "\u2028", "p": "\u2029"}


def parse(text: str) -> list[Record]:
    """The last value of each key, a number without a unit or a direction; anything else may stand in the text.

    The format: "Service Messages Formats", "Escaped Values" and "Reporting Build Statistics" in
    https://www.jetbrains.com/help/teamcity/service-messages.html.  What looks like a message and is none (a shell's
    ``set -x`` repeats them with other quotes) is passed over, unless there is nothing else.
    """
    kept = Records()
    odd = (0, "")
    for number, line in lines(text):
        for at in _positions(line):
            fields = _attributes(line, at + len(_BEGINNING))
            try:
                kept.add(fields["key"], units.read_number(fields["value"]), latest=True)
            except (KeyError, UnitError):
                odd = odd if odd[0] else (number, line[at:])
    if odd[0] and not kept.listed:
        raise ParseError("teamcity", odd[0], f"{excerpt(odd[1])}: expected {_BEGINNING} key='NAME' value='NUMBER']")
    return kept.listed


def _positions(line: str) -> Iterator[int]:
    """Where messages begin in a line."""
    at = line.find(_BEGINNING)
    while at >= 0:
        yield at
        at = line.find(_BEGINNING, at + len(_BEGINNING))


def _attributes(line: str, at: int) -> dict[str, str]:
    """The attributes from ``at`` on; none where no bracket closes them."""
    fields = {}
    attribute = _ATTRIBUTES.match(line, at)
    while attribute is not None:
        fields[attribute[1]] = _unescape(attribute[2])
        at = attribute.end()
        attribute = _ATTRIBUTES.match(line, at)
    return fields if _END.match(line, at) else {}


def _unescape(value: str) -> str:
    """``|n``, ``||``, ``|0x00e9`` and the like as the characters they stand for."""
    return _ESCAPE.sub(lambda found: _character(found[1]), value) if "|" in value else value


def _character(escaped: str) -> str:
    return chr(int(escaped[2:], 16)) if len(escaped) > 1 else _ESCAPED.get(escaped, escaped)
