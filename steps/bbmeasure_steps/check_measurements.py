"""CheckMeasurements: judges all that a build has measured so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from typing import Any

from buildbot.process.buildstep import BuildStep
from buildbot.process.results import SUCCESS, statusToString
from twisted.internet import defer

from bbmeasure import units
from bbmeasure.analysis import State
from bbmeasure.ansi import visible
from bbmeasure.capture.gates import Gates
from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.capture.plan import Plan
from bbmeasure.capture.state import state_of
from bbmeasure.model import Point
from bbmeasure.reports.verdicts import STATES, BuildVerdicts, LineVerdict
from bbmeasure_steps import judging

#: How many worse values a summary shows.
MAX_SUMMARY_VALUES = 3
#: How many values the log lists.
MAX_LISTED = 1_000


class CheckMeasurements(BuildStep):
    """Judges all values that the build has so far: of measuring steps, durations, statistics and tracked properties.

    The last step of a build, or of the part that it judges.  On a MeasuredBuilderConfig it first captures durations and
    statistics of the finished steps; a tracked property is judged by its value so far.  The step is WARNINGS or FAILURE
    where a worse value has a gate of level ``warn`` or ``fail``.  It alone does that for tracked values.
    """

    #: Marks the step that judges tracked values, for ``bbmeasure check``.
    bbmeasure_judges = True
    name = "measurements"
    warnOnWarnings = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._verdicts: BuildVerdicts = BuildVerdicts(0)
        self._gates = Gates()

    @property
    def pipeline(self) -> Pipeline:
        """The capture pipeline of this step's master."""
        return state_of(self.master).pipeline

    @defer.inlineCallbacks
    def run(self) -> Generator[Any, Any, int]:
        """Judge the values, set the properties of the build, and add the log ``measurements``."""
        plan = getattr(self.build, "measurePlan", None) or Plan()
        context = self.pipeline.context_of(self)
        self._gates = state_of(self.master).gates.of_build(self.build.buildid, plan.baseline_builder)
        pending = yield self._measured()
        assert context is not None
        self._verdicts = yield judging.preview(self, context, self._gates, pending=pending)
        judging.set_properties(self, self._gates, self._verdicts.lines)
        yield self.addCompleteLog("measurements", self._shown(self._log_text()))
        return judging.result_of(self._verdicts.lines)

    @defer.inlineCallbacks
    def _measured(self) -> Generator[Any, Any, list[Point]]:
        """The tracked values so far; none on a builder that is not measured.  An error is counted."""
        measure_so_far = getattr(self.build, "measure_so_far", None)
        if measure_so_far is None:
            return []
        try:
            points: list[Point] = yield self.pipeline.with_timeout(measure_so_far())
        except Exception as error:  # noqa: BLE001  (counted: it must not fail the build)
            self.pipeline.count("errors", f"step {self.name}: tracked values: {type(error).__name__}: {error}")
            return []
        return [point for point in points if not isinstance(point.value, str)]

    def getResultSummary(self) -> dict[str, str]:
        """The worse values, else how many values there are of each state."""
        if self.results is None:
            return super().getResultSummary()  # type: ignore[no-any-return]
        lines = _ordered(self._verdicts.lines)
        worse = [line for line in lines if line.verdict.state is State.WORSE]
        shown = [self._line(line) for line in worse[:MAX_SUMMARY_VALUES]]
        if len(worse) > MAX_SUMMARY_VALUES:
            shown.append(f"and {len(worse) - MAX_SUMMARY_VALUES} more")
        text = ", ".join(shown) or f"{self.name}: {_counts(lines)}"
        if not self._verdicts.complete:
            text += ", not all judged in time"
        if self.results != SUCCESS:
            text += f" ({statusToString(self.results)})"
        return {"step": self._shown(text)}

    def _line(self, line: LineVerdict) -> str:
        tags = " ".join(f"{key}={value}" for key, value in line.tags.items())
        name = f"{line.series} [{tags}]" if tags else line.series
        shown = judging.summary(line, self._gates.of(line.series), self.build.number)
        value = units.format(line.value, line.unit, line.kind.value)
        return f"{name}: {value}" + (f" ({shown})" if shown else "")

    def _log_text(self) -> str:
        """A line for each value, the worst states first."""
        lines = _ordered(self._verdicts.lines)
        texts = [f"{self._line(line)}: {line.verdict.state}: {line.verdict.reason}" for line in lines[:MAX_LISTED]]
        if len(lines) > MAX_LISTED:
            texts.append(f"{len(lines) - MAX_LISTED} more values")
        if not self._verdicts.complete:
            texts.append("the verdicts were not there in time: see the counters of bbmeasure health")
        return "\n".join(texts or ["nothing was measured"]) + "\n"

    def _shown(self, text: str) -> str:
        return visible(str(self.build.properties.cleanupTextFromSecrets(text)))


def _ordered(lines: Sequence[LineVerdict]) -> list[LineVerdict]:
    return sorted(lines, key=lambda line: (STATES.index(line.verdict.state), line.key))


def _counts(lines: Sequence[LineVerdict]) -> str:
    """The number of values in each state, such as ``12 normal, 1 unconfirmed``."""
    counts = Counter(line.verdict.state for line in lines)
    shown = [f"{counts[state]} {state}" for state in reversed(STATES) if counts[state]]
    return ", ".join(shown) or "nothing was measured"
