"""pylint, ``--output-format=json2`` (or ``json``): issues by pylint's type of message."""

from __future__ import annotations

from bbmeasure.adapters import lint
from bbmeasure.adapters._json import Json
from bbmeasure.adapters._text import line_number
from bbmeasure.adapters.lint import Issue
from bbmeasure.records import Record

CATEGORIES = ("fatal", "error", "warning", "refactor", "convention", "info")

#: Bits 2 to 16 say which types of message there are; 1 is a fatal one and 32 wrong use, and pylint did not do its work.
#: https://pylint.readthedocs.io/en/stable/user_guide/usage/run.html#exit-codes
FOUND_ISSUES = frozenset(range(2, 32, 2))

_JSON = Json("pylint")


def issues(text: str) -> list[Issue]:
    """The messages.  json2 has them under ``messages``, json is the bare list.

    Written by JSON2Reporter and JSONReporter in
    https://github.com/pylint-dev/pylint/blob/main/pylint/reporters/json_reporter.py
    """
    document = _JSON.load(text)
    messages = (
        document if isinstance(document, list) else _JSON.required(_JSON.mapping(document, "document"), "messages")
    )
    return [
        Issue(
            category=_JSON.text(message, "type"),
            file=_JSON.text(message, "path"),
            line=line_number(message.get("line")),
            severity=_JSON.text(message, "type"),
        )
        for message in _JSON.mappings(messages, "messages")
    ]


def parse(text: str) -> list[Record]:
    """``pylint`` and ``pylint_by_category``."""
    return lint.parse("pylint", text, issues, CATEGORIES)
