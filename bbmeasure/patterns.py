"""Records from text by the regular expression of a user.

The text is not trusted, and a pattern may need exponential time on it.  Python's re would block all threads meanwhile:
this module uses the library regex, which has a timeout and can release the interpreter lock.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

import regex

from bbmeasure import units
from bbmeasure.errors import LimitError, MeasureError
from bbmeasure.records import Record

#: The part of a line that is searched, in characters: a worker cuts lines at 4,095 bytes.
LONGEST_LINE = 4_096
#: The time limit of a pattern for a text, in seconds.
TIME_LIMIT = 10.0
#: Seconds for which matching a line may hold the interpreter lock.  Releasing the lock for each line would make a text
#: of many lines wait for a busy reactor as often.
MAX_BLOCKING_SECONDS = 0.005

# Syntax that regex interprets unlike re: its fuzzy {e<=1}, a literal brace to re, and [[:alpha:]] within a set.
_PIECE = re.compile(
    r"\\N\{[^}]*\}|\\.|\(\?#[^)]*\)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<brace>\{(?!\d+(?:,\d*)?\}|,\d*\}))",
    re.DOTALL,
)
_IN_SET = re.compile(r"\\.|(?P<bracket>\[)", re.DOTALL)


@dataclass(frozen=True)
class Pattern:
    """A regular expression: its source, its compiled form, and the number of each named group."""

    pattern: str
    compiled: regex.Pattern[str]
    groups: Mapping[str, int]


def compile_pattern(pattern: str) -> Pattern:
    """Compile an expression in the syntax of re; MeasureError where it is invalid or has no named or single group."""
    try:
        re.compile(pattern)
        if not isinstance(pattern, str):
            raise TypeError("expected a string")
        compiled = regex.compile(_PIECE.sub(_to_re_syntax, pattern), regex.VERSION0)
    except (re.error, regex.error, TypeError, RecursionError, OverflowError) as error:
        raise MeasureError(f"pattern {pattern!r}: {error}") from None
    if not compiled.groupindex and compiled.groups != 1:
        raise MeasureError(f"pattern {pattern!r}: expected named groups or a single group")
    return Pattern(pattern, compiled, dict(compiled.groupindex))


def _to_re_syntax(piece: re.Match[str]) -> str:
    if piece["brace"]:
        return r"\{"
    if piece["set"]:
        return "[" + _IN_SET.sub(lambda match: r"\[" if match["bracket"] else match[0], piece["set"][1:])
    return piece[0]


def parse(pattern: Pattern, text: str, own_name: str, *, own_is_text: bool = False) -> list[Record]:
    """A record of the last match of each named group, or of the only group under ``own_name``, searched line by line.

    A match is a number with an optional unit; with ``own_is_text`` that of the group ``own_name`` is a text.  Raises
    MeasureError where nothing matches or a match is no number, LimitError after TIME_LIMIT.
    """
    texts: dict[str, str] = {}
    names = list((pattern.groups or {own_name: 1}).items())
    deadline = time.monotonic() + TIME_LIMIT
    for number, line in enumerate(text.splitlines(), 1):
        try:
            for match in _matches(pattern.compiled, line[:LONGEST_LINE], deadline):
                for name, group in names:
                    if match.group(group) is not None:
                        texts[name] = match.group(group)
        except TimeoutError:
            raise LimitError(
                f"pattern {pattern.pattern!r}: took longer than {TIME_LIMIT:g} s at line {number}, "
                f"{units.excerpt(line)}: expected a pattern without exponential backtracking"
            ) from None
    if not texts:
        raise MeasureError(f"pattern {pattern.pattern!r}: expected a matching line, got {units.excerpt(text)}")
    records = []
    for name, match_text in texts.items():
        if own_is_text and name == own_name:
            records.append(Record(name, match_text))
            continue
        quantity = units.parse(match_text)
        records.append(Record(name, quantity.value, unit=quantity.unit, kind=quantity.kind))
    return records


def _matches(pattern: regex.Pattern[str], line: str, deadline: float) -> list[regex.Match[str]]:
    """All matches in the line; TimeoutError at ``deadline``, on the clock of time.monotonic."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    try:
        return list(pattern.finditer(line, concurrent=False, timeout=min(MAX_BLOCKING_SECONDS, remaining)))
    except TimeoutError:
        return list(pattern.finditer(line, concurrent=True, timeout=remaining))
