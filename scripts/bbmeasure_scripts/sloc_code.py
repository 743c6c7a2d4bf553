"""The code in a text: the text without its comments, each section in the syntax of its language."""

from __future__ import annotations

from typing import Iterator, List, Tuple

from bbmeasure_scripts.sloc_scanner import Scan, Sections, Syntax


def code_of(text: bytes, syntax: Syntax) -> bytes:
    """``text`` without comments; one of several lines leaves a line break."""
    if syntax.sections is not None:
        return b"".join(_section_pieces(text, syntax, syntax.sections))
    return _without(text, Scan(text, syntax).comments())


def _without(text: bytes, comments: Iterator[Tuple[int, int]]) -> bytes:
    pieces: List[bytes] = []
    start = 0
    for begin, end in comments:
        pieces.append(text[start:begin])
        if text.find(b"\n", begin, end) >= 0:
            pieces.append(b"\n")
        start = end
    pieces.append(text[start:])
    return b" ".join(pieces)


def _section_pieces(text: bytes, syntax: Syntax, sections: Sections) -> Iterator[bytes]:
    """The code between sections in the syntax of the file, and in each section in its own."""
    outer = Syntax(*syntax.rules)
    position = start = 0
    lower = text.lower()
    while True:
        opened = sections.opens.search(text, position)
        comment = outer.openers.search(text, position)
        if opened is None:
            break
        if comment is not None and comment.start() < opened.start():
            end = text.find(b"-->", comment.end())
            position = end + 3 if end >= 0 else comment.end()
            continue
        end = lower.find(b"</" + opened.group(1).lower(), opened.end())
        end = len(text) if end < 0 else end
        inner = sections.syntax_of(opened.group())
        yield code_of(text[start : opened.end()], outer)
        body = text[opened.end() : end]
        yield code_of(body, inner or outer)
        start = position = end
    yield code_of(text[start:], outer)
