"""shellcheck, ``--format=json1`` (or ``json``): comments by their level."""

from __future__ import annotations

from bbmeasure.adapters import lint
from bbmeasure.adapters._json import Json
from bbmeasure.adapters._text import line_number
from bbmeasure.adapters.lint import Issue
from bbmeasure.records import Record

CATEGORIES = ("error", "warning", "info", "style")

#: 2 says that a file could not be read, 3 and 4 wrong use: "RETURN VALUES" in
#: https://github.com/koalaman/shellcheck/blob/master/shellcheck.1.md
FOUND_ISSUES = frozenset([1])

_JSON = Json("shellcheck")


def issues(text: str) -> list[Issue]:
    """The comments.  json1 has them under ``comments``, json is the bare list: "FORMATS" in
    https://github.com/koalaman/shellcheck/blob/master/shellcheck.1.md."""
    document = _JSON.load(text)
    comments = (
        document if isinstance(document, list) else _JSON.required(_JSON.mapping(document, "document"), "comments")
    )
    return [
        Issue(
            category=_JSON.text(comment, "level"),
            file=_JSON.text(comment, "file"),
            line=line_number(comment.get("line")),
            severity=_JSON.text(comment, "level"),
        )
        for comment in _JSON.mappings(comments, "comments")
    ]


def parse(text: str) -> list[Record]:
    """``shellcheck`` and ``shellcheck_by_category``."""
    return lint.parse("shellcheck", text, issues, CATEGORIES)
