"""Cppcheck, ``--xml`` (on stderr, or with ``--output-file``): errors by severity."""

from __future__ import annotations

from bbmeasure.adapters import lint
from bbmeasure.adapters._text import line_number
from bbmeasure.adapters._xml import elements
from bbmeasure.adapters.lint import Issue
from bbmeasure.records import Record

#: The document is on stderr.
ON_STDERR = True

CATEGORIES = ("error", "warning", "style", "performance", "portability", "information")

#: The IDs of messages about the run rather than the code.
_ABOUT_THE_RUN = frozenset(["checkersReport", "logChecker"])


def issues(text: str) -> list[Issue]:
    """The errors; the file and line are those of the first location.

    The format is version 2 of "XML output" in https://cppcheck.sourceforge.io/manual.html, written by
    https://github.com/danmar/cppcheck/blob/main/lib/errorlogger.cpp.  Lines such as
    ``Checking ...`` within it are character data.
    """
    found: list[Issue] = []
    is_open = False
    for element in elements("cppcheck", text, ("results",)):
        if element.name == "error":
            severity = element.attributes.get("severity", "")
            is_open = element.attributes.get("id") not in _ABOUT_THE_RUN and severity != "none"
            if is_open:
                found.append(Issue(severity, severity=severity))
        elif element.name == "location" and is_open:
            file, line = element.attributes.get("file", ""), line_number(element.attributes.get("line"))
            found[-1] = Issue(found[-1].category, file, line, found[-1].severity)
            is_open = False
    return found


def parse(text: str) -> list[Record]:
    """``cppcheck`` and ``cppcheck_by_category``."""
    return lint.parse("cppcheck", text, issues, CATEGORIES)
