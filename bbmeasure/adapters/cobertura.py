"""Cobertura XML, of coverage tools for many languages: coverage of lines and branches."""

from __future__ import annotations

from collections.abc import Mapping

from bbmeasure.adapters._records import Records
from bbmeasure.adapters._text import decimal
from bbmeasure.adapters._xml import read
from bbmeasure.errors import ParseError
from bbmeasure.records import Record
from bbmeasure.units import excerpt

#: ``--fail-under`` of coverage.py exits with 2, that of gcovr with 2, 4 or 6 by line, branch or both:
#: https://gcovr.com/en/stable/manpage.html
MEASURED_STATUSES = frozenset([2, 4, 6])

_TOOL = "cobertura"


def parse(text: str) -> list[Record]:
    """``coverage_lines``, and where the tool reports them ``coverage_missing_lines``, ``coverage_branches`` and
    ``coverage_missing_branches``: the same names as those of coverage.py.

    The root's attributes are those of https://github.com/cobertura/web/blob/master/htdocs/xml/coverage-04.dtd.  Counts
    are preferred to rates, which tools round.  What is not a number, such as a rate of NaN, is left out and the rest
    is kept; a rate outside 0 to 1 is a ParseError.
    """
    if not text.strip():
        return []
    records = Records()

    def start(_name: str, attributes: Mapping[str, str], depth: int) -> None:
        if depth == 0:
            _add_root(records, attributes)

    read(_TOOL, text, ("coverage",), start)
    return records.listed


def _add_root(records: Records, attributes: Mapping[str, str]) -> None:
    """Add the coverage of lines and branches; ParseError where there is none."""
    if "line-rate" not in attributes:
        raise ParseError(_TOOL, 1, "element coverage: expected an attribute line-rate")
    _add(records, attributes, "line", "lines")
    if attributes.get("branches-valid") != "0":
        _add(records, attributes, "branch", "branches")
    if not records.listed:
        rate = excerpt(attributes["line-rate"])
        raise ParseError(_TOOL, 1, f"line-rate {rate}: expected one number from 0 to 1")


def _add(records: Records, attributes: Mapping[str, str], one: str, many: str) -> None:
    """Add the covered ratio and the missing count."""
    rate = decimal(attributes.get(f"{one}-rate", "").replace(",", "."))  # some tools write the comma of their locale
    total, covered = (decimal(attributes.get(f"{many}-{what}", "")) for what in ("valid", "covered"))
    records.add_coverage(many, rate, None if total is None or covered is None else (covered, total))
