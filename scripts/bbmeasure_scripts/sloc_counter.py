"""The bundled counter of source lines: physical lines with more than blanks, comments and docstrings.

In Python a docstring is any string that is a statement.  Other counters differ: sloccount treats a string in double
quotes at the beginning of a line as a comment, cloc and scc one in triple quotes, tokei none.

Files are read as bytes and not decoded: invalid encodings do not matter.
"""

from __future__ import annotations

import os
import re
from itertools import chain
from operator import itemgetter, methodcaller
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from bbmeasure_scripts import file_walk, sloc_languages
from bbmeasure_scripts.sloc_languages import Span, Syntax

#: The largest file that is counted, in bytes: larger ones are not written by people.
LARGEST_FILE = 16 * 1024 * 1024
#: A file with a NUL among so many first bytes is binary, as for git.
_BINARY_PREFIX = 8000

_FIRST = itemgetter(slice(0, 1))
_BACKSLASH = ord("\\")
#: The last bytes of a line whose expression continues in the next: a string there is not a statement.
_CONTINUATIONS = frozenset(b"([{,=+-*/%&|<>.\\\"'@")
_BEFORE_STRING = re.compile(rb"[ \t\f]*[rRuUbBfF]{0,2}\Z")
_STRING_LINE = re.compile(rb"(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')[ \t\r\f]*(?:#.*)?\Z")


class Count:
    """Lines and files by language."""

    def __init__(self) -> None:
        self.lines: Dict[str, int] = {}
        self.files: Dict[str, int] = {}

    def add(self, language: str, lines: int) -> None:
        """Add one file."""
        self.lines[language] = self.lines.get(language, 0) + lines
        self.files[language] = self.files.get(language, 0) + 1


def count_tree(roots: Sequence[str], excluded: file_walk.Excluded, notes: file_walk.Notes) -> Count:
    """Count the source lines of all files of known languages below ``roots``."""
    count = Count()
    for folder, names, statuses in file_walk.walk(roots, excluded, notes):
        for name, status in zip(names, statuses):
            language = sloc_languages.by_name(name)
            if language is None and not sloc_languages.may_be_script(name):
                continue
            path = os.path.join(folder, name)
            if status.st_size > LARGEST_FILE:
                if language is not None:
                    notes.add(f"larger than {LARGEST_FILE >> 20} MiB", path)
                continue
            try:
                _count_file(path, language, count, notes)
            except OSError as error:
                file_walk.note_error(error, path, notes)
    return count


def _count_file(path: str, language: Optional[str], count: Count, notes: file_walk.Notes) -> None:
    with open(path, "rb", buffering=0) as file:
        content = file.read(_BINARY_PREFIX if language is None else LARGEST_FILE) or b""
        if language is None:
            language = sloc_languages.by_first_line(content)
            if language is None:
                return
            content += file.read(LARGEST_FILE) or b""
    text = normalize(content)
    if b"\0" in text[:_BINARY_PREFIX]:
        notes.add("binary", path)
        return
    if text.startswith(b"<?xml"):
        notes.add("XML", path)
        return
    count.add(language, count_lines(text, sloc_languages.SYNTAXES[language]))


def normalize(text: bytes) -> bytes:
    """Text with line feeds as line ends, without a byte order mark, and UTF-16 converted to UTF-8."""
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = text.decode("utf-16", "replace").encode("utf-8", "replace")
    elif text.startswith(b"\xef\xbb\xbf"):
        text = text[3:]
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in text else text


def count_lines(text: bytes, syntax: Syntax) -> int:
    """The number of lines of ``text`` that contain code."""
    scan = _Scan(text, syntax)
    return _count_plain(scan.code(), syntax) + scan.within_strings


class _Scan:
    """One pass over a text that removes block comments and docstrings, and shortens multi-line strings.

    It searches for the openers of spans, and tokenizes only the lines that contain one, to find whether the opener is
    within a short string or a line comment.
    """

    def __init__(self, text: bytes, syntax: Syntax) -> None:
        self._text = text
        self._syntax = syntax
        self._next = [-1] * len(syntax.spans)
        self._last = b""
        #: Lines within multi-line strings, without their first and last.
        self.within_strings = 0

    def code(self) -> bytes:
        """The text without comments; a removed span of several lines leaves a line break."""
        return b"".join(self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        text, start, position = self._text, 0, 0
        while True:
            begin, span = self._opener(position)
            if span is None:
                break
            token_end = self._enclosing_token_end(begin, position)
            if token_end:
                position = token_end
                continue
            end = find_end(text, begin, span)
            is_comment = span.is_comment
            if self._syntax.docstrings and self._is_docstring(start, begin, end):
                begin = max(start, text.rfind(b"\n", start, begin) + 1)
                is_comment = True
            yield text[start:begin]
            yield self._replacement(text[begin:end], is_comment)
            start = position = end
        yield text[start:]

    def _opener(self, position: int) -> Tuple[int, Optional[Span]]:
        """The first span that opens at ``position`` or later; caches the next opener of each kind."""
        end = len(self._text)
        first: Tuple[int, Optional[Span]] = (end, None)
        for number, span in enumerate(self._syntax.spans):
            at = self._next[number]
            if at < position:
                at = span.find(self._text, position)
                self._next[number] = at = end if at < 0 else at
            if at < first[0]:
                first = (at, span)
        return first

    def _enclosing_token_end(self, at: int, position: int) -> int:
        """The end of the string or comment that contains the opener at ``at``; 0 where there is none."""
        text = self._text
        line = max(text.rfind(b"\n", position, at) + 1, position)
        while line - 2 >= position and text[line - 2] == _BACKSLASH:
            line = max(text.rfind(b"\n", position, line - 1) + 1, position)
        while line < at:
            token = self._syntax.token.search(text, line)
            if token is None or token.start() >= at:
                return 0
            line = max(token.end(), line + 1)
        return line if line > at else 0

    def _replacement(self, body: bytes, is_comment: bool) -> bytes:
        lines = body.split(b"\n")
        if is_comment:
            return b"\n" if len(lines) > 1 else b" "
        self._last = b'"'
        self.within_strings += sum(map(bool, map(bytes.strip, lines[1:-1])))
        if len(lines) == 1:
            return b'""'
        return b'""\n""' if lines[-1].strip() else b'""\n'  # an unclosed string may end in a blank line

    def _is_docstring(self, start: int, begin: int, end: int) -> bool:
        """Whether a Python string is a statement: its lines contain nothing else, and the line before is complete."""
        text = self._text
        line = max(start, text.rfind(b"\n", start, begin) + 1)
        last = _last_code(text[start:line], self._syntax)
        if last:
            self._last = last
        if (line == start and start > 0) or not _BEFORE_STRING.match(text, line, begin):
            return False
        after = text.find(b"\n", end)
        rest = text[end : after if after >= 0 else len(text)].strip()
        return (not rest or rest.startswith(b"#")) and (not self._last or self._last[0] not in _CONTINUATIONS)


def find_end(text: bytes, begin: int, span: Span) -> int:
    """The end of the span that opens at ``begin``, after its closing bytes; the end of the text if it is unclosed."""
    opened, closes = span.opening(text, begin)
    at = opened - closes.startswith(b"\n")
    depth = 1
    while depth:
        end = text.find(closes, at)
        if end < 0:
            return len(text)
        if span.nests:
            depth += text.count(span.opens, at, end)
        at = end + len(closes)
        depth -= 1
        if span.escapes and _is_escaped(text, end, opened):
            at, depth = end + 1, 1
    return at


def _is_escaped(text: bytes, at: int, start: int) -> bool:
    """Whether an odd number of backslashes precedes ``at``."""
    first = at
    while first > start and text[first - 1] == _BACKSLASH:
        first -= 1
    return (at - first) % 2 == 1


def _last_code(text: bytes, syntax: Syntax) -> bytes:
    """The last byte of code in complete lines; empty where there is none."""
    while text:
        text = text.rstrip()
        begin = text.rfind(b"\n") + 1
        line = text[begin:]
        if any(word in line for word in syntax.line_comments):
            line = _without_comment(line, syntax).rstrip()
        if line:
            return line[-1:]
        text = text[:begin]
    return b""


def _without_comment(line: bytes, syntax: Syntax) -> bytes:
    for token in syntax.token.finditer(line):
        if token.group().startswith(syntax.line_comments):
            return line[: token.start()]
    return line


def _count_plain(text: bytes, syntax: Syntax) -> int:
    """The number of lines without spans that are neither blank nor a comment; loops in C, as most lines are here."""
    lines = list(map(bytes.lstrip, text.split(b"\n")))
    firsts = list(map(_FIRST, lines))
    count = len(lines) - firsts.count(b"")
    for first in {word[:1] for word in syntax.line_comments}:
        words = tuple(word for word in syntax.line_comments if word.startswith(first))
        if first in words:
            count -= firsts.count(first)
        elif first in firsts:
            count -= sum(map(methodcaller("startswith", words), (lines[at] for at in _indexes(firsts, first))))
    if syntax.docstrings:
        count -= sum(_is_string_statement(lines, at) for at in chain(_indexes(firsts, b'"'), _indexes(firsts, b"'")))
    return count


def _indexes(firsts: List[bytes], first: bytes) -> Iterator[int]:
    at = -1
    try:
        while True:
            at = firsts.index(first, at + 1)
            yield at
    except ValueError:
        return


def _is_string_statement(lines: Sequence[bytes], at: int) -> bool:
    """Whether a line is a short Python string that is a statement."""
    before = lines[at - 1].rstrip() if at else b""
    if before and before[-1] in _CONTINUATIONS and b"#" not in before or not _STRING_LINE.match(lines[at]):
        return False
    for number in range(at - 1, -1, -1):
        last = _last_code(lines[number], sloc_languages.SYNTAXES["Python"])
        if last:
            return last[0] not in _CONTINUATIONS
    return True
