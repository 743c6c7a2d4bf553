"""Pylint, ``--output-format=json2`` (or ``json``): messages by type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bbmeasure.adapters import lint
from bbmeasure.adapters._json import Json
from bbmeasure.adapters._text import line_number
from bbmeasure.adapters.lint import Issue
from bbmeasure.errors import ParseError
from bbmeasure.records import Record

CATEGORIES = ("fatal", "error", "warning", "refactor", "convention", "info")

#: Bits 2 to 16 are types of messages; bit 1 is a fatal message and 32 invalid use, after which results are incomplete.
#: https://pylint.readthedocs.io/en/stable/user_guide/usage/run.html#exit-codes
FOUND_ISSUES = frozenset(range(2, 32, 2))

_JSON = Json("pylint")


def issues(text: str) -> list[Issue]:
    """The messages: under ``messages`` in json2, the whole document in json.

    Written by JSON2Reporter and JSONReporter in
    https://github.com/pylint-dev/pylint/blob/main/pylint/reporters/json_reporter.py
    """
    document = _JSON.load(text)
    messages = (
        document if isinstance(document, list) else _JSON.required(_JSON.mapping(document, "document"), "messages")
    )
    found = [_issue(message) for message in _JSON.mappings(messages, "messages")]
    if not found and isinstance(document, dict) and _JSON.inner(document, "statistics").get("modulesLinted") == 0:
        raise ParseError("pylint", 0, "modulesLinted is 0: expected a module")
    return found


def _issue(message: Mapping[str, Any]) -> Issue:
    _JSON.present(message, "path", "symbol")
    kind = _JSON.named(message, "type")
    return Issue(kind, _JSON.text(message, "path"), line_number(message.get("line")), kind)


def parse(text: str) -> list[Record]:
    """``pylint`` and ``pylint_by_category``."""
    return lint.parse("pylint", text, issues, CATEGORIES)
