"""Checkstyle, ``-f xml``, and other linters with its format: errors by severity."""

from __future__ import annotations

from collections.abc import Mapping

from bbmeasure.adapters import lint
from bbmeasure.adapters._text import line_number
from bbmeasure.adapters._xml import read
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
    found: list[Issue] = []
    file = ""

    def start(name: str, attributes: Mapping[str, str], _depth: int) -> None:
        nonlocal file
        if name == "file":
            file = attributes.get("name", "")
        elif name == "error":
            severity = attributes.get("severity", "error")
            found.append(Issue(severity, file, line_number(attributes.get("line")), severity))
        elif name == "exception":
            raise ParseError("checkstyle", 0, f"exception in {excerpt(file)}: expected a file that could be checked")

    read("checkstyle", text, ("checkstyle",), start)
    return found


def parse(text: str) -> list[Record]:
    """``checkstyle`` and ``checkstyle_by_category``."""
    return lint.parse("checkstyle", text, issues, CATEGORIES)
