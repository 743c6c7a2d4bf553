"""Cobertura XML, which coverage tools of most languages can write: how much of the code runs."""

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
    ``coverage_missing_branches``: the names that the adapter of coverage.py uses.

    The root's attributes are those of https://github.com/cobertura/web/blob/master/htdocs/xml/coverage-04.dtd.  Exact
    counts, where they are there, are preferred to the rate, which tools round.
    """
    if not text.strip():
        return []
    kept = Records()
    for element in elements(_TOOL, text, ("coverage",)):
        if element.depth == 0:
            if "line-rate" not in element.attributes:
                raise ParseError(_TOOL, 1, "element coverage: expected an attribute line-rate")
            _add(kept, element.attributes, "line", "lines")
            if element.attributes.get("branches-valid") != "0":
                _add(kept, element.attributes, "branch", "branches")
    return kept.listed


def _add(kept: Records, attributes: Mapping[str, str], one: str, many: str) -> None:
    """The covered part, and what is missing."""
    rate, valid, covered = (attributes.get(key, "") for key in (f"{one}-rate", f"{many}-valid", f"{many}-covered"))
    ratio = number(_TOOL, rate) if rate else None
    if valid and covered:
        all_of_it, covered_part = number(_TOOL, valid), number(_TOOL, covered)
        ratio = covered_part / all_of_it if all_of_it else ratio
        kept.add(f"coverage_missing_{many}", all_of_it - covered_part, kind=Kind.COUNT, better=LOWER)
    if ratio is not None:
        kept.add(f"coverage_{many}", ratio, kind=Kind.RATIO, better=HIGHER)
