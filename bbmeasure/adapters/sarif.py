"""SARIF 2.1.0, of most static analysers: results by level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bbmeasure.adapters import lint
from bbmeasure.adapters._json import Json
from bbmeasure.adapters._text import line_number
from bbmeasure.adapters.lint import Issue
from bbmeasure.errors import ParseError
from bbmeasure.records import Record

CATEGORIES = ("error", "warning", "note")

#: The status of most tools; the format does not define it.
FOUND_ISSUES = frozenset([1])

_JSON = Json("sarif")
_NOTIFICATIONS = ("toolExecutionNotifications", "toolConfigurationNotifications")

Fields = Mapping[str, Any]


def issues(text: str) -> list[Issue]:
    """The results of all runs that are failures, neither suppressed nor absent since the baseline.

    https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html, sections 3.27 (result) and 3.20 (invocation).
    A notification of level ``error``, such as for a file that the tool cannot parse, is an issue too.  A failed run
    without any issue is a ParseError.
    """
    document = _JSON.mapping(_JSON.load(text), "document")
    found: list[Issue] = []
    for run in _JSON.mappings(_JSON.required(document, "runs"), "runs"):
        found += _of_run(run)
    return found


def _of_run(run: Fields) -> list[Issue]:
    levels = _default_levels(run)
    found = [_issue(result, levels) for result in _JSON.mappings(run.get("results"), "results") if _counts(result)]
    for invocation in _JSON.mappings(run.get("invocations"), "invocations"):
        found += _notified(invocation)
        if invocation.get("executionSuccessful") is False and not found:
            raise ParseError("sarif", 0, "executionSuccessful is false: expected a successful run or results")
    return found


def _default_levels(run: Fields) -> dict[str, str]:
    """The default level of each rule (3.27.10, 3.49.14), also of extensions of the tool (3.18.3)."""
    tool = _JSON.inner(run, "tool")
    parts = [*_JSON.mappings(tool.get("extensions"), "extensions"), _JSON.inner(tool, "driver")]
    return {
        _JSON.text(rule, "id"): _JSON.text(_JSON.inner(rule, "defaultConfiguration"), "level", "warning")
        for part in parts
        for rule in _JSON.mappings(part.get("rules"), "rules")
    }


def _counts(result: Fields) -> bool:
    """Whether a result is a failure that is not suppressed (3.27.9, 3.27.23, 3.27.24)."""
    if _JSON.text(result, "kind", "fail") != "fail" or _JSON.text(result, "baselineState") == "absent":
        return False
    suppressions = _JSON.mappings(result.get("suppressions"), "suppressions")
    return not any(_JSON.text(suppression, "status", "accepted") == "accepted" for suppression in suppressions)


def _notified(invocation: Fields) -> Iterator[Issue]:
    """The notifications of level ``error``."""
    for key in _NOTIFICATIONS:
        for notification in _JSON.mappings(invocation.get(key), key):
            if _JSON.text(notification, "level", "warning") == "error":
                yield _issue(notification, {})


def _issue(result: Fields, levels: Mapping[str, str]) -> Issue:
    rule = _JSON.text(result, "ruleId") or _JSON.text(_JSON.inner(result, "rule"), "id")
    level = _JSON.text(result, "level", levels.get(rule, "warning"))
    for location in _JSON.mappings(result.get("locations"), "locations"):
        physical = _JSON.inner(location, "physicalLocation")
        file = _JSON.text(_JSON.inner(physical, "artifactLocation"), "uri")
        return Issue(level, file, line_number(_JSON.inner(physical, "region").get("startLine")), level)
    return Issue(level, severity=level)


def parse(text: str) -> list[Record]:
    """``sarif`` and ``sarif_by_category``."""
    return lint.parse("sarif", text, issues, CATEGORIES)
