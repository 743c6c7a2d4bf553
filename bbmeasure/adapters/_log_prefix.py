"""Prefixes that build tools and log collectors put before each line of a compiler: times, step numbers, task names."""

from __future__ import annotations

import re

_CLOCK = r"\d{1,2}:\d\d:\d\d(?:[.,]\d{1,9})?"
_ZONE = r"(?:Z|[ ]?[+-]\d\d:?\d\d)?"
_DATE = r"\d{4}[-/.]\d\d[-/.]\d\d"
#: Each alternative ends in blanks, so that a file name that looks like a prefix stays whole.
_PREFIX = re.compile(
    r"(?:"
    rf"\[?(?:{_DATE}[T ])?{_CLOCK}{_ZONE}\]?"  # 12:34:56, [2026-01-02T03:04:05Z]
    r"|\#\d{1,6}[ ]\d{1,6}\.\d{1,9}"  # BuildKit: #9 1.234
    r"|=>(?:[ ]=>)*[ ]\#"  # BuildKit in a terminal
    r"|\[[ ]*\d{1,9}(?:\.\d{1,9})?s?\]"  # seconds since the start: [  12.345]
    r"|\[[ ]*\d{1,9}/\d{1,9}\]"  # Ninja, Bazel: [3/9]
    r"|\[[ ]*\d{1,3}%\]"  # CMake's Makefiles: [ 50%]
    r"|\[[A-Za-z][\w .:/-]{0,60}\]"  # Ant, Maven: [exec], [WARNING]
    r"|\#\#\[[a-z]{1,20}\]"  # Azure Pipelines: ##[warning]
    r"|\d{1,4}:?\d{0,4}>"  # MSBuild: 1>, 1:2>
    r"|[A-Za-z][\w.-]{0,60}[ ]{0,20}\|"  # Docker Compose: web_1  |
    r")[ \t]+|\s+|\d{1,4}>(?=\S)"
)
#: A clock where a place is expected: ``2026-01-01 12:34:56``.
_CLOCK_AT_END = re.compile(rf"(?:\A|[\sT\[(])(?:{_CLOCK}|\d{{1,2}}:\d\d)\Z")


def strip_prefixes(line: str) -> str:
    """``line`` from the first character that is not part of a prefix or a blank."""
    at = 0
    while True:
        prefix = _PREFIX.match(line, at)
        if prefix is None:
            return line[at:]
        at = prefix.end()


def is_clock(place: str) -> bool:
    """Whether ``place`` ends in a time of day instead of a line and column."""
    return _CLOCK_AT_END.search(place[-40:]) is not None
