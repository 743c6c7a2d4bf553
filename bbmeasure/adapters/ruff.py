"""Ruff, ``--output-format=json`` (or ``json-lines``): issues by the letters of their rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from bbmeasure.adapters import lint
from bbmeasure.adapters._json import Json
from bbmeasure.adapters._text import line_number
from bbmeasure.adapters.lint import Issue
from bbmeasure.records import Record

#: https://docs.astral.sh/ruff/linter/#exit-codes
FOUND_ISSUES = frozenset([1])

_JSON = Json("ruff")
_RULE = re.compile(r"([A-Z]+)[0-9]+\Z")


def issues(text: str) -> list[Issue]:
    """The diagnostics.  A syntax error has the code ``invalid-syntax``, in older versions none.

    https://docs.astral.sh/ruff/settings/#output-format, written by
    https://github.com/astral-sh/ruff/blob/main/crates/ruff_db/src/diagnostic/render/json.rs
    """
    return [_issue(diagnostic) for diagnostic in _diagnostics(text)]


def _diagnostics(text: str) -> Iterator[Mapping[str, Any]]:
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        return (diagnostic for _line, diagnostic in _JSON.load_lines(text))
    return _JSON.mappings(_JSON.whole(text), "diagnostics")


def _issue(diagnostic: Mapping[str, Any]) -> Issue:
    _JSON.present(diagnostic, "code", "filename")
    code = _JSON.text(diagnostic, "code", "invalid-syntax")
    rule = _RULE.match(code)
    return Issue(
        category=rule[1] if rule else code,
        file=_JSON.text(diagnostic, "filename"),
        line=line_number(_JSON.inner(diagnostic, "location").get("row")),
        severity=_JSON.text(diagnostic, "severity"),
    )


def parse(text: str) -> list[Record]:
    """``ruff`` and ``ruff_by_category``."""
    return lint.parse("ruff", text, issues)
