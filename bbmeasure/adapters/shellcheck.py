"""ShellCheck, ``--format=json1`` (or ``json``): comments by level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bbmeasure.adapters import lint
from bbmeasure.adapters._json import Json
from bbmeasure.adapters._text import line_number
from bbmeasure.adapters.lint import Issue
from bbmeasure.records import Record

CATEGORIES = ("error", "warning", "info", "style")

#: 2 is an unreadable file, 3 and 4 are invalid use: "RETURN VALUES" in
#: https://github.com/koalaman/shellcheck/blob/master/shellcheck.1.md
FOUND_ISSUES = frozenset([1])

_JSON = Json("shellcheck")


def issues(text: str) -> list[Issue]:
    """The comments: under ``comments`` in json1, the whole document in json.  See "FORMATS" in
    https://github.com/koalaman/shellcheck/blob/master/shellcheck.1.md."""
    document = _JSON.load(text)
    comments = (
        document if isinstance(document, list) else _JSON.required(_JSON.mapping(document, "document"), "comments")
    )
    return [_issue(comment) for comment in _JSON.mappings(comments, "comments")]


def _issue(comment: Mapping[str, Any]) -> Issue:
    level = _JSON.named(comment, "level")
    _JSON.number(comment, "code")
    return Issue(level, _JSON.named(comment, "file"), line_number(comment.get("line")), level)


def parse(text: str) -> list[Record]:
    """``shellcheck`` and ``shellcheck_by_category``."""
    return lint.parse("shellcheck", text, issues, CATEGORIES)
