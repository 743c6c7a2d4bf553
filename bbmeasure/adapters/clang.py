"""clang: warnings and errors in a build log, by the option that enables them."""

from __future__ import annotations

from bbmeasure.adapters import _compiler, lint
from bbmeasure.adapters.lint import Issue
from bbmeasure.records import Record

#: The diagnostics are on stderr.
ON_STDERR = True


def issues(text: str) -> list[Issue]:
    """The distinct warnings and errors, none in an empty output: see :mod:`bbmeasure.adapters._compiler`."""
    return _compiler.issues(text)


def parse(text: str) -> list[Record]:
    """``clang`` and ``clang_by_category``."""
    return lint.parse("clang", text, issues)
