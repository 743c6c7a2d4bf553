"""Kind, unit and direction of the statistics and properties of Buildbot's own steps."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Optional

from bbmeasure.records import Kind

#: Numeric properties of stock steps.
PROPERTIES = ("warnings-count", "tree-size-KiB", "pylint-*", "pyflakes-*", "cppcheck-*")

#: The units of stock properties.
UNITS = {"tree-size-KiB": "KiB"}

#: Statistics and properties that are counts.
COUNTS = (
    "tests-total",
    "tests-failed",
    "tests-passed",
    "tests-warnings",
    "tests-skipped",
    "projects",
    "files",
    "warnings",
    "errors",
    "warnings-count",
    "pylint-*",
    "pyflakes-*",
    "cppcheck-*",
)

_BETTER = (
    ("tests-passed", "higher"),
    ("tests-failed", "lower"),
    ("tests-warnings", "lower"),
    ("tests-skipped", "lower"),
    ("warnings", "lower"),
    ("errors", "lower"),
    *((pattern, "lower") for pattern in PROPERTIES),
)


def better(name: str) -> Optional[str]:
    """The better direction of a stock statistic or property; None where it has none or is unknown."""
    return next((direction for pattern, direction in _BETTER if fnmatchcase(name, pattern)), None)


def kind(name: str) -> Optional[Kind]:
    """COUNT for a stock statistic or property that is a count; None for others."""
    return Kind.COUNT if any(fnmatchcase(name, pattern) for pattern in COUNTS) else None
