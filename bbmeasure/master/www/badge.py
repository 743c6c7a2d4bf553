"""Badge: the newest value of a series with its verdict, as an SVG image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Optional

from bbmeasure import units
from bbmeasure.analysis import State
from bbmeasure.model import Point, SeriesInfo

#: Path of the badge, and its media type.
BADGE, SVG = "badge.svg", b"image/svg+xml"
#: Characters of each of the two texts.
MAX_TEXT = 60
#: Background colours that white text can be read on.
LABEL_COLOUR = "#555"
GREY, RED, GREEN = "#6b6b6b", "#b3261e", "#1a6e34"
_COLOURS: Mapping[Optional[State], str] = {State.WORSE: RED, State.BETTER: GREEN}

_HEIGHT, _PADDING, _CHARACTER = 20, 6, 6.6
#: Characters that XML 1.0 does not allow.
_INVALID = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def badge_text(info: SeriesInfo, point: Optional[Point]) -> str:
    """Return the text for the newest value of a series."""
    if point is None:
        return "no values"
    return point.value if isinstance(point.value, str) else units.format(point.value, info.unit, info.kind.value)


def badge(label: str, text: str, state: Optional[State] = None) -> bytes:
    """Return the image of a label and a text, with the state of the verdict where it is worse or better.

    Long texts are truncated.
    """
    colour = _COLOURS.get(state, GREY)
    label, text = _shown(label), _shown(text if colour == GREY else f"{text} {state}")
    left, right = _width(label), _width(text)
    described = f"{label}: {text}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{_HEIGHT}" role="img" '
        f'aria-label="{described}"><title>{described}</title>'
        f'<rect width="{left}" height="{_HEIGHT}" fill="{LABEL_COLOUR}"/>'
        f'<rect x="{left}" width="{right}" height="{_HEIGHT}" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f"{_text(label, 0, left)}{_text(text, left, right)}</g></svg>"
    ).encode()


def _shown(text: str) -> str:
    """Return the text without invalid characters, truncated and escaped."""
    cleaned = " ".join(_INVALID.sub("\ufffd", text).split())
    return escape(cleaned if len(cleaned) <= MAX_TEXT else cleaned[: MAX_TEXT - 1] + "\u2026")


def _width(escaped: str) -> int:
    return round(_length(escaped) * _CHARACTER) + 2 * _PADDING


def _length(escaped: str) -> int:
    return len(re.sub("&[^;]+;", "_", escaped))


def _text(escaped: str, x: int, width: int) -> str:
    """Return the text element; ``textLength`` fits it into its rectangle in any font."""
    return f'<text x="{x + _PADDING}" y="14" textLength="{width - 2 * _PADDING}">{escaped}</text>'
