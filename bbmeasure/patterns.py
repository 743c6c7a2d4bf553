"""Finding values in text by a regular expression of a user's.

The text is a stranger's, and a pattern may need for ever to find nothing in it: Python's re would stand still with all
threads meanwhile.  So the library regex matches, which can give up, and lets other threads run.
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

#: The longest line that a pattern is tried on: a worker cuts lines at 4,095 bytes anyhow.
LONGEST_LINE = 4_096
#: Seconds that a pattern may take for a text.
PATIENCE = 10.0
#: Seconds that it may take for a line while no other thread runs, as Python lets any code do: to hand over for each
#: line would make a text of many lines wait for a busy reactor as often.
AT_ONCE = 0.005

# What regex reads otherwise than re: its fuzzy {e<=1}, where re has a brace as it is, and [[:alpha:]] within a set.
_PIECE = re.compile(
    r"\\N\{[^}]*\}|\\.|\(\?#[^)]*\)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<brace>\{(?!\d+(?:,\d*)?\}|,\d*\}))",
    re.DOTALL,
)
_IN_SET = re.compile(r"\\.|(?P<bracket>\[)", re.DOTALL)


@dataclass(frozen=True)
class Pattern:
    """An expression: as the user wrote it, compiled, and the number of each group that is a series."""

    pattern: str
    compiled: regex.Pattern[str]
    groups: Mapping[str, int]


def compile_pattern(pattern: str) -> Pattern:
    """The expression, in re's syntax; MeasureError where it is none, or has neither named groups nor a single one."""
    try:
        re.compile(pattern)
        if not isinstance(pattern, str):
            raise TypeError("expected a text")
        compiled = regex.compile(_PIECE.sub(_as_re_reads, pattern), regex.VERSION0)
    except (re.error, regex.error, TypeError, RecursionError, OverflowError) as error:
        raise MeasureError(f"pattern {pattern!r}: {error}") from None
    if not compiled.groupindex and compiled.groups != 1:
        raise MeasureError(f"pattern {pattern!r}: expected named groups or a single group")
    return Pattern(pattern, compiled, dict(compiled.groupindex))


def _as_re_reads(piece: re.Match[str]) -> str:
    if piece["brace"]:
        return r"\{"
    if piece["set"]:
        return "[" + _IN_SET.sub(lambda found: r"\[" if found["bracket"] else found[0], piece["set"][1:])
    return piece[0]


def parse(pattern: Pattern, text: str, own_name: str, *, own_is_text: bool = False) -> list[Record]:
    """A record of the last match of each named group, or of the only group under ``own_name``, tried line by line.

    What the group of ``own_name`` matches is a text where ``own_is_text`` says so, all else is a number.

    MeasureError where nothing matches or no number stands there; LimitError where it takes longer than PATIENCE.
    """
    texts: dict[str, str] = {}
    names = list((pattern.groups or {own_name: 1}).items())
    until = time.monotonic() + PATIENCE
    for number, line in enumerate(text.splitlines(), 1):
        try:
            for match in _matches(pattern.compiled, line[:LONGEST_LINE], until):
                for name, group in names:
                    if match.group(group) is not None:
                        texts[name] = match.group(group)
        except TimeoutError:
            raise LimitError(
                f"pattern {pattern.pattern!r}: took longer than {PATIENCE:g} s at line {number}, "
                f"{units.excerpt(line)}: expected one that fails sooner"
            ) from None
    if not texts:
        raise MeasureError(f"pattern {pattern.pattern!r}: expected a line that matches, got {units.excerpt(text)}")
    records = []
    for name, found in texts.items():
        if own_is_text and name == own_name:
            records.append(Record(name, found))
            continue
        quantity = units.parse(found)
        records.append(Record(name, quantity.value, unit=quantity.unit, kind=quantity.kind))
    return records


def _matches(pattern: regex.Pattern[str], line: str, until: float) -> list[regex.Match[str]]:
    """All matches in the line; TimeoutError after ``until``, on the clock of time.monotonic."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    try:
        return list(pattern.finditer(line, concurrent=False, timeout=min(AT_ONCE, left)))
    except TimeoutError:
        return list(pattern.finditer(line, concurrent=True, timeout=left))
