"""Text tables and numbers for people, as the command line prints them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from bbmeasure import units


def shown(value: Any, unit: str, kind: str) -> str:
    """A value as people write it; a dash where there is none."""
    if value is None:
        return "\u2013"
    if isinstance(value, str):
        return clean(value)
    return clean(units.format(float(value), unit, kind))


def statistic_shown(name: str, value: Any, unit: str, kind: str) -> str:
    """A statistic of values of that unit; how many they are has none."""
    return shown(value, "1", "count") if name == "count" else shown(value, unit, kind)


def change_shown(change: Optional[float]) -> str:
    """A change as a percentage with its sign; a dash where there is none."""
    return "\u2013" if change is None else f"{change * 100:+.1f} %"


def clean(text: str, most: int = 60) -> str:
    """A stranger's text on one line of a terminal: no control characters, cut to size."""
    printable = "".join(char if not unicodedata.category(char).startswith("C") else "\ufffd" for char in text)
    return printable if len(printable) <= most else printable[: most - 1] + "\u2026"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Columns under ``heads``, the first ``left`` of them to the left, the others to the right."""
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


#: The columns of the overview that the demo prints.
OVERVIEW = ("series", "last", "change", "average", "deviation", "minimum", "maximum")


def overview_row(name: str, unit: str, kind: str, values: Mapping[str, Any], change: Optional[float]) -> list[str]:
    """A row of the overview from the statistics of a series."""
    cells = [shown(values.get(key), unit, kind) for key in ("last", "average", "deviation", "minimum", "maximum")]
    return [clean(name, 40), cells[0], change_shown(change), *cells[1:]]
