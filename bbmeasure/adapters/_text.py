"""Lines, names and numbers of an output, in the form that records accept."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from typing import Optional

from bbmeasure import units
from bbmeasure.ansi import strip_ansi
from bbmeasure.errors import ParseError, UnitError
from bbmeasure.records import LONGEST_NAME, LONGEST_TAG_KEY, LONGEST_TAG_VALUE, MOST_TAGS, RESERVED_TAGS

_UNFIT = re.compile("[\x00-\x1f\x7f\u2028\u2029]+")
_SURROGATES = re.compile("[\ud800-\udfff]")
_PLAIN = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?\Z")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3}){1,5}(?:\.[0-9]*)?\Z")
_THOUSANDS_IN_POINTS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3}){1,5},[0-9]*\Z")
_LARGEST_LINE_NUMBER = 2**31


def lines(text: str) -> Iterator[tuple[int, str]]:
    """The non-blank lines with their numbers from 1, without control sequences; only a line feed ends a line."""
    for number, line in enumerate(io.StringIO(strip_ansi(text), newline="\n"), start=1):
        stripped = line.rstrip("\r\n \t\0")
        if stripped:
            yield number, stripped


def is_cut(text: str, number: int) -> bool:
    """Whether line ``number`` is the last of ``text`` and has no line break: it may be truncated."""
    return not text.endswith("\n") and text.count("\n") < number


def clean(text: str, longest: int = LONGEST_NAME, empty: str = "unnamed") -> str:
    """``text`` as a valid name: control characters become a space, a name that is too long ends in a hash of it."""
    if text.isprintable() and len(text) <= longest:
        return text.strip() or empty
    cleaned = _SURROGATES.sub("\ufffd", _UNFIT.sub(" ", text[: 4 * longest])).strip()
    if not cleaned:
        return empty
    if len(text) <= longest:
        return cleaned
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{cleaned[: longest - 10].rstrip()}\u2026 {digest}"


def clean_tag(text: str, empty: str = "unnamed") -> str:
    """``text`` as a valid value of a tag."""
    return clean(text, LONGEST_TAG_VALUE, empty)


def clean_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The first sixteen of ``tags`` by name, as valid tags; ``_`` is appended to reserved names."""
    cleaned = {}
    for name in sorted(tags)[:MOST_TAGS]:
        key = clean(name, LONGEST_TAG_KEY - 1).lstrip("_") or "unnamed"
        cleaned[f"{key}_" if key in RESERVED_TAGS else key] = clean_tag(tags[name])
    return cleaned


def number(tool: str, text: str, line: int = 0) -> float:
    """Parse a finite number; ParseError for any other text."""
    if _PLAIN.match(text):
        return float(text)
    try:
        return units.read_number(text)
    except UnitError:
        raise ParseError(tool, line, f"{units.excerpt(text)}: expected one number") from None


def decimal(text: str) -> Optional[float]:
    """A finite number of which the decimal or thousands separator may be a comma; None where it is none.

    ``1,002.5`` is 1002.5, and so is ``1.002,5``; ``61,123456`` and ``0,123`` have a decimal comma.
    """
    text = text.strip()
    if _PLAIN.match(text):
        return float(text)
    if _THOUSANDS.match(text):
        text = text.replace(",", "")
    elif _THOUSANDS_IN_POINTS.match(text):
        text = text.replace(".", "").replace(",", ".")
    elif text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    try:
        return units.read_number(text)
    except UnitError:
        return None


def line_number(value: object) -> int:
    """A line number from a string or a number; 0 where it is invalid."""
    if isinstance(value, str):
        number = int(value) if value.isascii() and value.isdigit() and len(value) <= 10 else 0
        return number if number < _LARGEST_LINE_NUMBER else 0
    return int(value) if isinstance(value, (int, float)) and 0 <= value < _LARGEST_LINE_NUMBER else 0


def split_position(head: str) -> tuple[str, int]:
    """Split ``file``, ``file:line`` or ``file:line:column`` into file and line; the line is 0 where there is none."""
    parts = head.rsplit(":", 4)
    position = 0
    while len(parts) > 1 and parts[-1].isascii() and parts[-1].isdigit():
        position = line_number(parts.pop())
    return ":".join(parts), position
