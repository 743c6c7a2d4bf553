"""Kind, unit and direction of the statistics and properties that Buildbot's own steps set."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Optional

from bbmeasure.records import Kind

#: Properties of stock steps that are numbers.
PROPERTIES = ("warnings-count", "tree-size-KiB", "pylint-*", "pyflakes-*", "cppcheck-*")

#: The unit of a stock statistic or property that has one.
UNITS = {"tree-size-KiB": "KiB"}

#: Statistics and properties that count something, whatever the step.
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
    """Which way of a stock statistic or property is good; None where neither is or it is not known."""
    return next((direction for pattern, direction in _BETTER if fnmatchcase(name, pattern)), None)


def kind(name: str) -> Optional[Kind]:
    """COUNT for a stock statistic or property that counts; None where its unit or nobody says what it is."""
    return Kind.COUNT if any(fnmatchcase(name, pattern) for pattern in COUNTS) else None
