"""Checkstyle, ``-f xml``, and other linters with its format: errors by severity."""

from __future__ import annotations

from bbmeasure.adapters import lint
from bbmeasure.adapters._text import line_number
from bbmeasure.adapters._xml import elements
from bbmeasure.adapters.lint import Issue
from bbmeasure.errors import ParseError
from bbmeasure.records import Record
from bbmeasure.units import excerpt

CATEGORIES = ("error", "warning", "info")

#: The exit status is the number of errors; 254 and 255 are crashes and invalid use:
#: https://github.com/checkstyle/checkstyle/blob/master/src/main/java/com/puppycrawl/tools/checkstyle/Main.java
FOUND_ISSUES = frozenset(range(1, 254))


def issues(text: str) -> list[Issue]:
    """The errors of each file.

    The format is defined only by its implementation:
    https://github.com/checkstyle/checkstyle/blob/master/src/main/java/com/puppycrawl/tools/checkstyle/XMLLogger.java
    """
    found = []
    file = ""
    for element in elements("checkstyle", text, ("checkstyle",)):
        if element.name == "file":
            file = element.attributes.get("name", "")
        elif element.name == "error":
            severity = element.attributes.get("severity", "error")
            found.append(Issue(severity, file, line_number(element.attributes.get("line")), severity))
        elif element.name == "exception":
            raise ParseError("checkstyle", 0, f"exception in {excerpt(file)}: expected a file that could be checked")
    return found


def parse(text: str) -> list[Record]:
    """``checkstyle`` and ``checkstyle_by_category``."""
    return lint.parse("checkstyle", text, issues, CATEGORIES)
