"""The statistics of a live step.

Trial, SubunitShellCommand and HLint set no statistics; their counts are read from the step, under the names that
Buildbot's Test step uses.
"""

from __future__ import annotations

from typing import Any

from buildbot.steps.python_twisted import HLint, Trial
from buildbot.steps.subunit import SubunitShellCommand


def statistics_of(step: Any) -> dict[str, Any]:
    """The statistics of a live step, and the counts of a stock step that sets none."""
    statistics = dict(step.statistics)
    if isinstance(step, Trial):
        statistics.update(_of_trial(step))
    elif isinstance(step, SubunitShellCommand):
        observer = step._observer
        failed = len(observer.failures) + len(observer.errors)
        statistics.update(
            _tests(observer.testsRun, failed, len(observer.skips) + len(getattr(observer, "skipped", ())))
        )
    elif isinstance(step, HLint) and step.results is not None:
        statistics["warnings"] = step.warnings
    return statistics


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
