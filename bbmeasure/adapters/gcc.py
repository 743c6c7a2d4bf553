"""gcc's warnings and errors in a build log, by the option that asked for them."""

from __future__ import annotations

from bbmeasure.adapters import _compiler, lint
from bbmeasure.adapters.lint import Issue
from bbmeasure.records import Record

#: It speaks on standard error.
ON_STDERR = True


def issues(text: str) -> list[Issue]:
    """Each distinct warning and error: see :mod:`bbmeasure.adapters._compiler`; silence is none."""
    return _compiler.issues(text)


def parse(text: str) -> list[Record]:
    """``gcc`` and ``gcc_by_category``."""
    return lint.parse("gcc", text, issues)
