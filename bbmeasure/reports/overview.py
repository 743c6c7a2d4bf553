"""Serializer of the overview: one row a line."""

from __future__ import annotations

from typing import Any

from bbmeasure import times
from bbmeasure.model import OverviewRow
from bbmeasure.reports.serialize import change_of, line_answer

#: Significant digits of the values for a sparkline.
DIGITS = 6


def row_answer(row: OverviewRow) -> dict[str, Any]:
    """One item of ``rows``; ``values`` are of the newest builds, oldest first, and ``previous`` is the last but one."""
    line = row.line
    previous = row.values[-2] if len(row.values) > 1 else None
    return {
        **line_answer(line),
        "count": line.count,
        "first": times.seconds(line.first),
        "time": times.seconds(line.last),
        "build": row.build,
        "buildid": row.buildid,
        "value": line.last_value,
        "previous": previous,
        "change": change_of(line.last_value, previous),
        "values": [float(f"{value:.{DIGITS}g}") for value in row.values],
    }
