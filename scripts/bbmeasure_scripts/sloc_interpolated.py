"""Strings that contain code, such as templates of JavaScript, with the strings and comments in that code."""

from __future__ import annotations

import re
from typing import List, Pattern, Sequence, Tuple

from bbmeasure_scripts.sloc_scanner import NOTHING, Rule, Scan, Token, compiled

#: The most nested strings.
_MAX_NESTED = 100


class Interpolated(Rule):
    """A string that contains code in brackets: ``opens`` and ``closes`` of a string, the openers of code within it.

    ``inner`` are openers such as ``${``, whose last byte is a bracket.  A string ``within_line`` ends with the line.
    """

    _CLOSING = {b"{": b"}", b"(": b")"}

    def __init__(self, opens: bytes, closes: bytes, inner: Sequence[bytes], *, within_line: bool = False) -> None:
        super().__init__(opens)
        openers = b"|".join(re.escape(opener) for opener in inner)
        close = re.escape(closes) + (rb"|\n" if within_line else b"")
        self._inside = rb"(?P<inner>" + openers + rb")|(?P<escape>\\.)|(?P<close>" + close + rb")"

    @property
    def inside(self) -> Pattern[bytes]:
        """A regex of what ends a part of the string."""
        return compiled(self._inside)

    def token(self, scan: Scan, text: bytes, _at: int, opened: int) -> Token:
        """The string up to its closer, with the strings in the code within it."""
        if self in scan.dead:
            return NOTHING
        end = _Nested(scan, text).end(self, opened)
        if not end:
            scan.dead.add(self)
        return Token(end)


class _Nested:
    """The walk through an interpolated string, with a stack of strings and of code within them."""

    def __init__(self, scan: Scan, text: bytes) -> None:
        self._scan = scan
        self._text = text
        self._comments: List[Tuple[int, int]] = []
        #: Each string, or for code its brackets and their depth.
        self._strings: List[Interpolated] = []
        self._code: List[Tuple[bytes, bytes, int]] = []

    def end(self, rule: Interpolated, position: int) -> int:
        """The end of a string whose body starts at ``position``; 0 where it is unclosed."""
        self._strings.append(rule)
        while self._strings:
            position = self._in_code(position) if len(self._code) == len(self._strings) else self._in_string(position)
            if position < 0 or len(self._strings) > _MAX_NESTED:
                return 0
        self._scan.nested_comments.extend(self._comments)
        return position

    def _in_string(self, position: int) -> int:
        found = self._strings[-1].inside.search(self._text, position)
        if found is None:
            return -1
        if found.lastgroup == "close":
            self._strings.pop()
            self._scan.passed(found.end(), b'"')
        elif found.lastgroup == "inner":
            bracket = found.group()[-1:]
            self._code.append((bracket, Interpolated._CLOSING[bracket], 1))
            self._scan.passed(found.end(), bracket)
        return found.end()

    def _in_code(self, position: int) -> int:
        found = self._scan.syntax.nested.search(self._text, position)
        if found is None:
            return -1
        rule = self._scan.syntax.by_group.get(found.lastgroup)
        if rule is None:
            opens, closes, depth = self._code.pop()
            depth += (found.group() == opens) - (found.group() == closes)
            if depth:
                self._code.append((opens, closes, depth))
            return found.end()
        if isinstance(rule, Interpolated):
            self._strings.append(rule)
            return found.end()
        token = rule.token(self._scan, self._text, found.start(), found.end())
        if not token.end:
            return found.start() + 1
        if token.is_comment:
            self._comments.append((found.start(), token.end))
        self._scan.passed(token.end, b"" if token.is_comment else b'"')
        return token.end
