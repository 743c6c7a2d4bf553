"""Flake8, the default format or ``--format=pylint``: issues by the letters of their codes."""

from __future__ import annotations

import re

from bbmeasure.adapters import lint
from bbmeasure.adapters._text import is_cut, line_number, lines
from bbmeasure.adapters.lint import Issue
from bbmeasure.errors import ParseError
from bbmeasure.records import Record
from bbmeasure.units import excerpt

#: A crash exits with 1 too: https://flake8.pycqa.org/en/latest/user/invocation.html
FOUND_ISSUES = frozenset([1])
LINE_BASED = True

# The formats are `default` and `pylint` of
# https://github.com/PyCQA/flake8/blob/main/src/flake8/formatting/default.py
_ISSUE = re.compile(r"(.[^:]*(?::[^:]*)*?):([0-9]+):(?:[0-9]+:)? \[?([A-Z]{1,3})[0-9]{0,4}\]? ")
_CRASH = ("Traceback (most recent call last):", "There was a critical error during execution of Flake8:")


def issues(text: str) -> list[Issue]:
    """The lines that are issues; an empty output has none.

    Source, statistics and count (``--show-source --statistics --count``) are ignored.  ParseError for a text without
    any issue, unless it is only the count.
    """
    found = []
    last = (0, "")
    for number, line in lines(text):
        match = _ISSUE.match(line)
        if match is not None:
            file, line_text, letters = match.groups()
            found.append(Issue(letters, file, line_number(line_text), letters))
        elif line in _CRASH:
            raise ParseError("flake8", number, f"{excerpt(line)}: Flake8 itself failed")
        else:
            last = number, line
    if last[0] and last[1] != "0" and (not found or (is_cut(text, last[0]) and not last[1].isdigit())):
        raise ParseError("flake8", last[0], f"{excerpt(last[1])}: expected file:line:column: CODE message")
    return found


def parse(text: str) -> list[Record]:
    """``flake8`` and ``flake8_by_category``."""
    return lint.parse("flake8", text, issues)
