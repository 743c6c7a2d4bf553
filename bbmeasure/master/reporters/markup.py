"""Text of untrusted origin, such as names of series and tags, in Markdown, HTML and plain messages.

In a code span and in a ``code`` element GitHub, GitLab and Zulip neither interpret Markdown nor notify who is mentioned
nor link numbers of issues.
"""

from __future__ import annotations

import re
from html import escape

#: The most characters of a name in a message.
MAX_NAME = 100
#: The most characters of a status: GitHub answers 422 to a longer one.
MAX_STATUS = 140

_INVISIBLE = re.compile(
    "[\x00-\x20\x7f-\xa0\xad\u200b-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u206f\ud800-\udfff\ufeff]+"
)
_MARKUP = re.compile(r"[`*~\[\]\\|$]|(?<![^\W_])_|_(?![^\W_])")
_BACKTICKS = re.compile("`+")


def cut(text: str, most: int) -> str:
    """Return the text on one line, at most ``most`` characters, without characters that hide or reorder others."""
    shown = _INVISIBLE.sub(" ", text).strip()
    return shown if len(shown) <= most else f"{shown[: most - 1]}\u2026"


def plain_name(text: str) -> str:
    """Return a name for a message without markup; a space behind ``@`` keeps services from notifying anybody."""
    return cut(text, MAX_NAME).replace("@", "@ ")


def code_span(text: str) -> str:
    """Return a name as a code span of Markdown."""
    shown = cut(text, MAX_NAME)
    longest = max(map(len, _BACKTICKS.findall(shown)), default=0)
    fence = "`" * (longest + 1)
    space = " " if longest or not shown else ""
    return f"{fence}{space}{shown}{space}{fence}"


def html_code(text: str) -> str:
    """Return a name as an element of HTML, also inside of Markdown."""
    return f"<code>{html_text(cut(text, MAX_NAME))}</code>"


def html_text(text: str) -> str:
    """Return a text for HTML and Markdown that is markup in neither, and notifies nobody."""
    return _MARKUP.sub(lambda match: f"&#{ord(match.group())};", escape(text)).replace("@", "@ ")
