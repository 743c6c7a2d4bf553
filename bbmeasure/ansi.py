"""Control sequences of terminals (ECMA-48) and characters that are not visible.  Runs on a worker's Python 3.7 too."""

from __future__ import annotations

import re
import unicodedata

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def strip_ansi(text: str) -> str:
    """``text`` without control sequences, such as those that set colours."""
    return _SEQUENCE.sub("", text) if "\x1b" in text else text


#: Categories of characters that change how others are shown, or are not shown at all: controls (C0 and C1), formats
#: (directions, zero width), line and paragraph separators, surrogates, private use.
_INVISIBLE = frozenset(["Cc", "Cf", "Zl", "Zp", "Cs", "Co"])


def visible(text: str) -> str:
    """``text`` with each character that is not visible as its escape, such as ``\\u202e``; line feeds and tabs stay.

    Text from a worker must not reorder or hide the rest of a summary, a log or a page.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) if unicodedata.category(char) in _INVISIBLE else char for char in text)


def _escaped(char: str) -> str:
    return char if char in "\n\t" else char.encode("unicode_escape", "surrogatepass").decode("ascii")
