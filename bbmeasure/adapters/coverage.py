"""coverage.py, ``coverage json``: coverage of lines and branches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bbmeasure.adapters._json import Json
from bbmeasure.adapters._records import HIGHER, LOWER, Records
from bbmeasure.records import Kind, Record

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
    records.add("coverage", _JSON.number(totals, "percent_covered"), unit="%", better=HIGHER)
    _add(records, totals, "lines", "num_statements")
    if "num_branches" in totals:
        _add(records, totals, "branches", "num_branches")
    return records.listed


def _add(records: Records, totals: Mapping[str, Any], what: str, total_key: str) -> None:
    """Add the covered ratio, 1 for a total of 0, and the missing count."""
    total = _JSON.number(totals, total_key)
    covered = _JSON.number(totals, f"covered_{what}")
    ratio = covered / total if total else 1.0
    records.add(f"coverage_{what}", ratio, kind=Kind.RATIO, better=HIGHER)
    records.add(f"coverage_missing_{what}", _JSON.number(totals, f"missing_{what}"), kind=Kind.COUNT, better=LOWER)
