"""codespell: misspelled words, by their correction."""

from __future__ import annotations

import re

from bbmeasure.adapters import lint
from bbmeasure.adapters._text import line_number, lines
from bbmeasure.adapters.lint import Issue
from bbmeasure.errors import ParseError
from bbmeasure.records import Record
from bbmeasure.units import excerpt

#: EX_DATAERR, https://github.com/codespell-project/codespell/blob/main/codespell_lib/_codespell.py
FOUND_ISSUES = frozenset([65])

_ISSUE = re.compile(r"(?P<file>.+?):(?P<line>[0-9]+): \S+ ==> (?P<meant>\S+)")


def issues(text: str) -> list[Issue]:
    """Return an issue for each misspelled word; empty output has none.  Format: parse_lines in the same file."""
    found = []
    for number, line in lines(text):
        match = _ISSUE.match(line)
        if match is None:
            raise ParseError("codespell", number, f"{excerpt(line)}: expected file:line: word ==> word")
        found.append(Issue(match["meant"].rstrip(","), match["file"], line_number(match["line"])))
    return found


def parse(text: str) -> list[Record]:
    """Return the records of ``codespell`` and ``codespell_by_category``."""
    return lint.parse("codespell", text, issues)
