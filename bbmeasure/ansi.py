"""Control sequences of terminals (ECMA-48) and characters that are not visible.  Runs on a worker's Python 3.7 too."""

from __future__ import annotations

import re
import unicodedata

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def strip_ansi(text: str) -> str:
    """``text`` without control sequences, such as those that set colours."""
    return _SEQUENCE.sub("", text) if "\x1b" in text else text


#: Characters that have no width, change the direction of others or control a terminal; not line breaks and tabs.
#: A set of its own, the same on every Python, as names in which these are replaced are kept for years.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)


def without_hidden(text: str) -> str:
    """``text`` with U+FFFD for each character that is not shown or changes how others are shown.

    What a worker reports is stored like this, so that no page, file or terminal has to take care of it.
    """
    return text if text.isascii() and text.isprintable() else _HIDDEN.sub("\ufffd", text)


#: Categories of characters that change how others are shown, or are not shown at all: controls (C0 and C1), formats
#: (directions, zero width), line and paragraph separators, surrogates, private use.
_INVISIBLE = frozenset(["Cc", "Cf", "Zl", "Zp", "Cs", "Co"])
#: ASCII text without such characters, for which the check of each is not needed.
_PLAIN = re.compile(r"[\t\n\x20-\x7e]*")


def visible(text: str) -> str:
    """``text`` with each character that is not visible as its escape, such as ``\\u202e``; line feeds and tabs stay.

    Text from a worker must not reorder or hide the rest of a summary, a log or a page.
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_escaped(char) if _is_invisible(char) else char for char in text)


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in _INVISIBLE or _HIDDEN.match(char) is not None


def _escaped(char: str) -> str:
    return char if char in "\n\t" else char.encode("unicode_escape", "surrogatepass").decode("ascii")
