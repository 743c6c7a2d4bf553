"""What Buildbot's own steps leave behind, what it is, and which way of it is good.

Most set statistics or properties.  Trial, SubunitShellCommand and HLint leave only text for people; their counts are
read from the live step, under the names that the Test family uses.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Optional

from buildbot.steps.python_twisted import HLint, Trial
from buildbot.steps.subunit import SubunitShellCommand

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


def statistics_of(step: Any) -> dict[str, Any]:
    """The statistics of a live step, with those that a stock step keeps to itself."""
    found = dict(step.statistics)
    if isinstance(step, Trial):
        found.update(_of_trial(step))
    elif isinstance(step, SubunitShellCommand):
        observer = step._observer
        failed = len(observer.failures) + len(observer.errors)
        found.update(_tests(observer.testsRun, failed, len(observer.skips) + len(getattr(observer, "skipped", ()))))
    elif isinstance(step, HLint) and step.results is not None:
        found["warnings"] = step.warnings
    return found


def _of_trial(step: Any) -> dict[str, int]:
    counts = getattr(step.observer, "counts", {})
    if counts.get("total") is None:
        return {}
    return _tests(counts["total"], counts["failures"] + counts["errors"], counts["skips"])


def _tests(total: int, failed: int, skipped: int) -> dict[str, int]:
    return {
        "tests-total": total,
        "tests-failed": failed,
        "tests-passed": max(0, total - failed - skipped),
        "tests-skipped": skipped,
    }
