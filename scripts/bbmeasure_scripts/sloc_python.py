"""The source lines of Python, where a string that is a statement is a docstring, and counts as a comment.

A look at each token would take twice as long.  The first pass replaces strings in triple quotes and strings of several
lines, which searches find; the second counts lines.
"""

from __future__ import annotations

import re
from typing import Iterator, List, Tuple

from bbmeasure_scripts.sloc_scanner import Long, Scan, Syntax

_COMMENT = rb"\#[^\n]*"
#: A string that is not in triple quotes; an unclosed one extends to the end of the line.
_STRING = (
    rb"(?:\"[^\"\\\n]*(?:\\.[^\"\\\n]*)*(?:\"|(?=\n|\Z))"
    rb"|'[^'\\\n]*(?:\\.[^'\\\n]*)*(?:'|(?=\n|\Z)))"
)
#: A comment, or a string; triple quotes that never close are neither.
_TOKEN = re.compile(rb"(" + _COMMENT + rb")|\"{3,}|'{3,}|" + _STRING, re.DOTALL)
#: A line that is a string; the group is the number of further lines of one that was replaced.
_STRING_LINE = re.compile(
    rb"\n[rRuUbBfFtT]{0,2}(?:\"\r([0-9]+)\"|" + _STRING + rb")[ \t\f\v]*(?:" + _COMMENT + rb")?(?=\n|\Z)", re.DOTALL
)
#: The last bytes of code that the next line continues: a string there is not a statement.
_CONTINUATIONS = frozenset(b"([{,=+-*/%&|<>.\\\"'@")
_LONG = {quotes: Long(quotes, quotes, b"\\") for quotes in (b'"""', b"'''")}


class _Python(Syntax):
    """The syntax of Python."""

    def count_lines(self, text: bytes) -> int:
        """The number of lines with code; ``text`` has no carriage returns, one marks a string that was replaced."""
        pieces: List[bytes] = []
        count = start = 0
        for begin, end in self._long_strings(text):
            further = sum(map(bool, map(bytes.strip, text[begin:end].split(b"\n")))) - 1
            count += further
            pieces += text[start:begin], b'"\r%d"' % further
            start = end
        pieces.append(text[start:])
        lines = b"\n".join([b"", *filter(None, map(bytes.strip, b"".join(pieces).split(b"\n")))])
        return count + lines.count(b"\n") - lines.count(b"\n#") - sum(_docstrings(lines))

    def _long_strings(self, text: bytes) -> Iterator[Tuple[int, int]]:
        """The start and end of each string that is in triple quotes or has several lines."""
        scan = Scan(text, self)
        next_of = dict.fromkeys((*_LONG, b"\\\n"), -1)
        position = 0
        while True:
            at = size = len(text)
            opener = b""
            for searched, found in next_of.items():
                if found < position:
                    found = text.find(searched, position)
                    next_of[searched] = found = size if found < 0 else found
                if found < at:
                    at, opener = found, searched
            if not opener:
                return
            start, end = _token_around(text, at, opener, position)
            if not end and opener in _LONG:
                start, end = at, _LONG[opener].token(scan, text, at, at + len(opener)).end
            if end and (start == at or text.find(b"\n", start, end) >= 0):
                yield start, end
            position = end or at + 1


def _token_around(text: bytes, at: int, opener: bytes, position: int) -> Tuple[int, int]:
    """The start and end of the comment or string that contains ``opener``; an end of 0 where none does.

    No token is open at ``position``.
    """
    line = max(text.rfind(b"\n", position, at) + 1, position)
    for found in _TOKEN.finditer(text, line, at + len(opener)):
        if found.start() >= at:
            break
        if found.end() > at:
            token = _TOKEN.match(text, found.start())
            return token.span() if token else (at, 0)
    return at, 0


def _docstrings(lines: bytes) -> Iterator[int]:
    """The number of lines of each docstring; each of ``lines`` begins with a line break, and none is blank."""
    is_statement = True
    end = 0
    for string in _STRING_LINE.finditer(lines):
        before = _code_before(lines, end, string.start())
        if before:  # else it is as the string before it
            is_statement = before[-1] not in _CONTINUATIONS
        if is_statement:
            yield 1 + int(string.group(1) or 0)
        end = string.end()


def _code_before(lines: bytes, start: int, end: int) -> bytes:
    """The last line between ``start`` and ``end`` that is not a comment, without the comment behind its code."""
    while end > start:
        line_end = end
        end = lines.rfind(b"\n", start, end)
        line = lines[end + 1 : line_end]
        if b"#" in line:
            comments = (found.start() for found in _TOKEN.finditer(line) if found.lastindex)
            line = line[: next(comments, len(line))].rstrip()
        if line:
            return line
    return b""


PYTHON = _Python()
