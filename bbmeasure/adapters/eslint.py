"""ESLint, ``--format json`` (or ``json-with-metadata``): messages by rule, without suppressed ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bbmeasure.adapters import lint
from bbmeasure.adapters._json import Json
from bbmeasure.adapters._text import line_number
from bbmeasure.adapters.lint import Issue
from bbmeasure.records import Record

#: 2 is a crash or an invalid configuration: https://eslint.org/docs/latest/use/command-line-interface#exit-codes
FOUND_ISSUES = frozenset([1])

_JSON = Json("eslint")


def issues(text: str) -> list[Issue]:
    """The messages of each file: https://eslint.org/docs/latest/use/formatters/#json.

    A message without a rule has the category ``fatal`` for a file that cannot be parsed, and ``no-rule`` for an ignored
    file or an unused directive.
    """
    found = []
    document = _JSON.load(text)
    with_metadata = isinstance(document, dict) and "metadata" in document
    results = _JSON.required(document if with_metadata else {"results": document}, "results")
    for result in _JSON.mappings(results, "results"):
        _JSON.present(result, "filePath")
        file = _JSON.text(result, "filePath")
        found += [_issue(message, file) for message in _JSON.mappings(_JSON.required(result, "messages"), "messages")]
    return found


def _issue(message: Mapping[str, Any], file: str) -> Issue:
    if "message" not in message:  # that of an ignored file has no ruleId before version 9
        _JSON.present(message, "ruleId")
    without = "fatal" if message.get("fatal") is True else "no-rule"
    return Issue(
        category=_JSON.text(message, "ruleId", without),
        file=file,
        line=line_number(message.get("line")),
        severity="error" if message.get("severity") == 2 else "warning",
    )


def parse(text: str) -> list[Record]:
    """``eslint`` and ``eslint_by_category``."""
    return lint.parse("eslint", text, issues)
