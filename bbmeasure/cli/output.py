"""Text tables and numbers for the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from bbmeasure import units


def format_value(value: Any, unit: str, kind: str) -> str:
    """A value with its unit; a dash for None."""
    if value is None:
        return "\u2013"
    if isinstance(value, str):
        return clean(value)
    return clean(units.format(float(value), unit, kind))


def format_statistic(name: str, value: Any, unit: str, kind: str) -> str:
    """A statistic of values of that unit; a count has no unit of its own."""
    return format_value(value, "1", "count") if name == "count" else format_value(value, unit, kind)


def format_change(change: Optional[float]) -> str:
    """A change as a percentage with its sign; a dash for None."""
    return "\u2013" if change is None else units.format_change(change)


def format_mix(lines: int, branches: Sequence[Optional[str]]) -> str:
    """The sentence that says how many lines a statistic mixes; ``branches`` are those of the lines, None for none."""
    if len(branches) < 2:
        return f"mixes {lines} lines, which differ in builder, tags or machine"
    named = [clean(branch or "no branch", 40) for branch in branches[:MAX_BRANCHES]]
    more = f" and {len(branches) - MAX_BRANCHES} more" if len(branches) > MAX_BRANCHES else ""
    return f"mixes {lines} lines of {len(branches)} branches: {', '.join(named)}{more}; --branch selects one"


def clean(text: str, max_length: int = 60) -> str:
    """Untrusted text on one line of a terminal: control characters are replaced, and the text is cut to length."""
    printable = "".join(char if not unicodedata.category(char).startswith("C") else "\ufffd" for char in text)
    return printable if len(printable) <= max_length else printable[: max_length - 1] + "\u2026"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """A table with column heads; the first ``left`` columns are aligned left, the others right."""
    cells = [list(heads), *[list(row) for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    lines = []
    for row in cells:
        padded = [
            text.ljust(width) if column < left else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(padded).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


#: Branches that are named where a statistic mixes several.
MAX_BRANCHES = 5
#: Columns of the demo's overview.
OVERVIEW = ("series", "last", "change", "average", "deviation", "minimum", "maximum")


def overview_row(name: str, unit: str, kind: str, values: Mapping[str, Any], change: Optional[float]) -> list[str]:
    """A row of the overview, from the statistics of a series."""
    cells = [
        format_value(values.get(key), unit, kind) for key in ("last", "average", "deviation", "minimum", "maximum")
    ]
    return [clean(name, 40), cells[0], format_change(change), *cells[1:]]
