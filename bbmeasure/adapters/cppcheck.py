"""Cppcheck, ``--xml`` (on stderr, or with ``--output-file``): errors by severity."""

from __future__ import annotations

from collections.abc import Mapping

from bbmeasure.adapters import lint
from bbmeasure.adapters._text import line_number
from bbmeasure.adapters._xml import read
from bbmeasure.adapters.lint import Issue
from bbmeasure.errors import ParseError
from bbmeasure.records import Record

#: The document is on stderr.
ON_STDERR = True

CATEGORIES = ("error", "warning", "style", "performance", "portability", "information")

#: The status of ``--error-exitcode=1``; without that option it is 0.
FOUND_ISSUES = frozenset([1])

#: The IDs of messages about the run rather than the code.
_ABOUT_THE_RUN = frozenset(["checkersReport", "logChecker"])


def issues(text: str) -> list[Issue]:
    """The errors; the file and line are those of the first location.

    The format is version 2 of "XML output" in https://cppcheck.sourceforge.io/manual.html, written by
    https://github.com/danmar/cppcheck/blob/main/lib/errorlogger.cpp.  Lines such as
    ``Checking ...`` within it are character data.
    """
    found: list[Issue] = []
    is_open = is_cppcheck = False

    def start(name: str, attributes: Mapping[str, str], _depth: int) -> None:
        nonlocal is_open, is_cppcheck
        is_cppcheck = is_cppcheck or "version" in attributes or name == "errors"
        if name == "error":
            severity = attributes.get("severity", "")
            if not severity:
                raise ParseError("cppcheck", 0, "element error: expected an attribute severity")
            is_open = attributes.get("id") not in _ABOUT_THE_RUN and severity != "none"
            if is_open:
                found.append(Issue(severity, severity=severity))
        elif name == "location" and is_open:
            file, line = attributes.get("file", ""), line_number(attributes.get("line"))
            found[-1] = Issue(found[-1].category, file, line, found[-1].severity)
            is_open = False

    read("cppcheck", text, ("results",), start)
    if not is_cppcheck:
        raise ParseError("cppcheck", 0, "element results: expected an attribute version or an element errors")
    return found


def parse(text: str) -> list[Record]:
    """``cppcheck`` and ``cppcheck_by_category``."""
    return lint.parse("cppcheck", text, issues, CATEGORIES)
