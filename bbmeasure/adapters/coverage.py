"""coverage.py, ``coverage json``: how much of the code runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bbmeasure.adapters._json import Json
from bbmeasure.adapters._records import HIGHER, LOWER, Records
from bbmeasure.records import Kind, Record

_JSON = Json("coverage")


def parse(text: str) -> list[Record]:
    """``coverage``, coverage.py's own percentage (of lines and, with ``--branch``, branches together) as a ratio,
    ``coverage_lines``, ``coverage_missing_lines``, and with ``--branch`` ``coverage_branches`` and
    ``coverage_missing_branches``.

    The totals are those of ``JsonReporter`` in
    https://github.com/coveragepy/coveragepy/blob/main/coverage/jsonreport.py
    """
    if not text.strip():
        return []
    document = _JSON.mapping(_JSON.load(text), "document")
    totals = _JSON.mapping(document.get("totals"), "totals")
    kept = Records()
    kept.add("coverage", _JSON.number(totals, "percent_covered"), unit="%", better=HIGHER)
    _add(kept, totals, "lines", "num_statements")
    if "num_branches" in totals:
        _add(kept, totals, "branches", "num_branches")
    return kept.listed


def _add(kept: Records, totals: Mapping[str, Any], what: str, whole: str) -> None:
    """The covered part of a whole, and what is missing; nothing to cover is covered."""
    all_of_it = _JSON.number(totals, whole)
    covered = _JSON.number(totals, f"covered_{what}")
    ratio = covered / all_of_it if all_of_it else 1.0
    kept.add(f"coverage_{what}", ratio, kind=Kind.RATIO, better=HIGHER)
    kept.add(f"coverage_missing_{what}", _JSON.number(totals, f"missing_{what}"), kind=Kind.COUNT, better=LOWER)
