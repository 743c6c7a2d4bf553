"""coverage.py, ``coverage json``: coverage of lines and branches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bbmeasure.adapters._json import Json
from bbmeasure.adapters._records import HIGHER, Records, check_rate
from bbmeasure.errors import ParseError
from bbmeasure.records import Record

#: ``coverage json --fail-under`` exits with 2 and writes the report nevertheless:
#: https://coverage.readthedocs.io/en/latest/config.html#report-fail-under
MEASURED_STATUSES = frozenset([2])

SMALLER = "capture the total alone: coverage report --format=total, with unit='%' in place of the parser"

_JSON = Json("coverage")


def parse(text: str) -> list[Record]:
    """``coverage``, the percentage of coverage.py (of lines and, with ``--branch``, branches together) as a ratio,
    ``coverage_lines``, ``coverage_missing_lines``, and with ``--branch`` ``coverage_branches`` and
    ``coverage_missing_branches``.

    The totals are those of ``JsonReporter`` in
    https://github.com/coveragepy/coveragepy/blob/main/coverage/jsonreport.py
    """
    if not text.strip():
        return []
    document = _JSON.mapping(_JSON.load(text), "document")
    totals = _JSON.mapping(document.get("totals"), "totals")
    records = Records()
    parts = [("percent", "percent_covered"), ("lines", "num_statements"), ("branches", "num_branches")]
    records.add_each([part for part in parts if part[1] in totals], lambda part: _add(records, totals, *part))
    if not records.listed:
        raise ParseError("coverage", 0, "totals: expected percent_covered and num_statements")
    return records.listed


def _add(records: Records, totals: Mapping[str, Any], what: str, total_key: str) -> None:
    """Add the percentage, or the covered ratio, 1 for a total of 0, and the missing count."""
    if what == "percent":
        percent = _JSON.number(totals, total_key)
        if math.isfinite(percent):
            check_rate(percent / 100)
            records.add("coverage", percent, unit="%", better=HIGHER)
        return
    total = _JSON.number(totals, total_key)
    records.add_coverage(what, 1.0, (_JSON.number(totals, f"covered_{what}"), total))
