"""Cobertura XML, of coverage tools for many languages: coverage of lines and branches."""

from __future__ import annotations

from collections.abc import Mapping

from bbmeasure.adapters._records import HIGHER, LOWER, Records
from bbmeasure.adapters._text import number
from bbmeasure.adapters._xml import elements
from bbmeasure.errors import ParseError
from bbmeasure.records import Kind, Record

_TOOL = "cobertura"


def parse(text: str) -> list[Record]:
    """``coverage_lines``, and where the tool reports them ``coverage_missing_lines``, ``coverage_branches`` and
    ``coverage_missing_branches``: the same names as those of coverage.py.

    The root's attributes are those of https://github.com/cobertura/web/blob/master/htdocs/xml/coverage-04.dtd.  Counts
    are preferred to rates, which tools round.
    """
    if not text.strip():
        return []
    records = Records()
    for element in elements(_TOOL, text, ("coverage",)):
        if element.depth == 0:
            if "line-rate" not in element.attributes:
                raise ParseError(_TOOL, 1, "element coverage: expected an attribute line-rate")
            _add(records, element.attributes, "line", "lines")
            if element.attributes.get("branches-valid") != "0":
                _add(records, element.attributes, "branch", "branches")
    return records.listed


def _add(records: Records, attributes: Mapping[str, str], one: str, many: str) -> None:
    """Add the covered ratio and the missing count."""
    rate, valid, covered = (attributes.get(key, "") for key in (f"{one}-rate", f"{many}-valid", f"{many}-covered"))
    ratio = number(_TOOL, rate) if rate else None
    if valid and covered:
        total, covered_count = number(_TOOL, valid), number(_TOOL, covered)
        ratio = covered_count / total if total else ratio
        records.add(f"coverage_missing_{many}", total - covered_count, kind=Kind.COUNT, better=LOWER)
    if ratio is not None:
        records.add(f"coverage_{many}", ratio, kind=Kind.RATIO, better=HIGHER)
