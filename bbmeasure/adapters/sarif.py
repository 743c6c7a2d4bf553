"""SARIF 2.1.0, of most static analysers: results by level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Optional

from bbmeasure.adapters import lint
from bbmeasure.adapters._json import Json
from bbmeasure.adapters._sarif_rules import Rules
from bbmeasure.adapters._text import line_number
from bbmeasure.adapters.lint import Issue
from bbmeasure.errors import ParseError
from bbmeasure.records import Record
from bbmeasure.units import excerpt

CATEGORIES = ("error", "warning", "note")

#: The status of most tools; the format does not define it.
FOUND_ISSUES = frozenset([1])

SMALLER = "have the tool leave out code snippets and contents of files"

_JSON = Json("sarif")
_VERSION = "2.1.0"
_NOTIFICATIONS = ("toolExecutionNotifications", "toolConfigurationNotifications")

Fields = Mapping[str, Any]


def issues(text: str) -> list[Issue]:
    """The results of all runs that are failures, neither suppressed nor absent since the baseline.

    https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html, sections 3.27 (result) and 3.20 (invocation).
    A notification of level ``error``, such as for a file that the tool cannot parse, is an issue too.  A failed run
    without any issue, results that are missing or in other files, and another version of the format are ParseErrors:
    1.0.0 and the drafts of 2.0.0 name levels and suppressions in other ways.
    """
    document = _JSON.mapping(_JSON.load(text), "document")
    version = _JSON.text(document, "version")
    if version != _VERSION:
        raise ParseError("sarif", 0, f"version {excerpt(version)}: expected {_VERSION}")
    found: list[Issue] = []
    runs = list(_JSON.mappings(_JSON.required(document, "runs"), "runs"))
    for run in runs:
        found += _of_run(run)
    if runs and not found and all(run.get("results") is None for run in runs):
        raise ParseError("sarif", 0, "results: expected a list, got nothing")
    return found


def _of_run(run: Fields) -> list[Issue]:
    if _JSON.inner(run, "externalPropertyFileReferences").get("results"):
        raise ParseError("sarif", 0, "results are in files of their own: expected them in this file")
    rules = Rules(_JSON, run)
    found = [_issue(result, rules) for result in _JSON.mappings(run.get("results"), "results") if _counts(result)]
    for invocation in _JSON.mappings(run.get("invocations"), "invocations"):
        found += _notified(invocation)
        if invocation.get("executionSuccessful") is False and not found:
            raise ParseError("sarif", 0, "executionSuccessful is false: expected a successful run or results")
    return found


def _word(fields: Fields, key: str, default: str = "") -> str:
    """An enumerated value in lower case; some tools write them with a capital."""
    return _JSON.text(fields, key, default).lower()


def _counts(result: Fields) -> bool:
    """Whether a result is a failure that is not suppressed (3.27.9, 3.27.23, 3.27.24)."""
    if _word(result, "kind", "fail") != "fail" or _word(result, "baselineState") == "absent":
        return False
    suppressions = _JSON.mappings(result.get("suppressions"), "suppressions")
    return not any(_word(suppression, "status", "accepted") == "accepted" for suppression in suppressions)


def _notified(invocation: Fields) -> Iterator[Issue]:
    """The notifications of level ``error``."""
    for key in _NOTIFICATIONS:
        for notification in _JSON.mappings(invocation.get(key), key):
            if _word(notification, "level", "warning") == "error":
                yield _issue(notification, None)


def _issue(result: Fields, rules: Optional[Rules]) -> Issue:
    level = _word(result, "level") or (rules.level(result) if rules else "warning")
    for location in _JSON.mappings(result.get("locations"), "locations"):
        physical = _JSON.inner(location, "physicalLocation")
        file = _JSON.text(_JSON.inner(physical, "artifactLocation"), "uri")
        return Issue(level, file, line_number(_JSON.inner(physical, "region").get("startLine")), level)
    return Issue(level, severity=level)


def parse(text: str) -> list[Record]:
    """``sarif`` and ``sarif_by_category``."""
    return lint.parse("sarif", text, issues, CATEGORIES)
