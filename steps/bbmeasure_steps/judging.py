"""StepJudge: verdicts of the values of a step while its build runs, and the result, text and properties they give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Optional

from buildbot.process.results import FAILURE, SUCCESS, WARNINGS
from twisted.internet import defer

from bbmeasure import units
from bbmeasure.analysis import State
from bbmeasure.capture.gates import Gate, Gates, Level, LineKey, line_key
from bbmeasure.capture.identity import Value, point_of
from bbmeasure.capture.state import state_of
from bbmeasure.model import BuildContext
from bbmeasure.reports.judge import Judge
from bbmeasure.reports.verdicts import STATES, BuildVerdicts, LineVerdict

#: The properties of a build that measuring steps set.
VERDICT_PROPERTY = "measurements-verdict"
WORSE_PROPERTY = "measurements-worse"
#: The result of a step with a worse value, by its level.
RESULTS: dict[Level, int] = {Level.INFO: SUCCESS, Level.WARN: WARNINGS, Level.FAIL: FAILURE}
#: Rules by the names of the arguments of a gate.
ARGUMENTS = {
    "limit": "limit",
    "lower_limit": "lowerLimit",
    "increase": "maximumIncrease",
    "decrease": "maximumDecrease",
}
#: States that a summary shows.
SHOWN = (State.WORSE, State.BETTER, State.CHANGED, State.UNCONFIRMED, State.BROKEN)


class StepJudge:
    """Judges the values of one step by the gates of its build.  Never fails: errors are counted by the judge."""

    def __init__(self, step: Any, context: BuildContext, gates: Gates) -> None:
        self.step = step
        self.pipeline = step.pipeline
        self.context = context
        self.gates = gates

    def register(self, values: Sequence[Value], gate: Optional[Gate], own: str) -> list[str]:
        """Give the step's own series its ``gate``, or all its series where it has no value of its own.

        Returns a message for each limit that a series cannot be compared with.
        """
        series = {value.record.name for value in values}
        for name in {own} & series or series:
            self.gates.set(name, gate)
        for value in values:
            self.gates.measured(value.record)
        messages = [
            f"{value.record.name}: gate: {message}"
            for value in values
            if is_number(value)
            for message in self.gate_of(value).misfits(value.record.kind, value.record.unit)
        ]
        for message in messages:
            self.pipeline.count_once("gate_misfit", (self.context.builder, message), message)
        return list(dict.fromkeys(messages))

    def exclude(self, values: Sequence[Value]) -> None:
        """Keep the values of a command that failed out of every baseline."""
        self.gates.excluded.update(map(key_of, values))

    def gate_of(self, value: Value) -> Gate:
        """The gate of the series of a value."""
        return self.gates.of(value.record.name)

    def preview(self, values: Sequence[Value]) -> defer.Deferred[BuildVerdicts]:
        """The verdicts of values that need not be stored yet; changes nothing."""
        judged = [value for value in values if is_number(value)]
        if not judged:
            return defer.succeed(BuildVerdicts(self.context.buildid))
        now = int(self.pipeline.clock.seconds() * 1e9)
        return preview(
            self.step,
            self.context,
            self.gates,
            series={value.record.name for value in judged},
            pending=[point_of(value, now) for value in judged],
        )


def is_number(value: Value) -> bool:
    """Whether a value is judged: a text is not."""
    return not isinstance(value.record.value, str)


def preview(step: Any, context: BuildContext, gates: Gates, **values: Any) -> defer.Deferred[BuildVerdicts]:
    """The verdicts of ``values``, arguments of :meth:`.Judge.preview`; none after an error, which is counted."""

    def failed(why: Any) -> BuildVerdicts:
        step.pipeline.count("verdict_errors", f"step {step.name}: {why.type.__name__}: {why.value}")
        return BuildVerdicts(context.buildid, complete=False)

    work: defer.Deferred[BuildVerdicts] = defer.maybeDeferred(judge_of(step).preview, context, gates, **values)
    return work.addErrback(failed)


def judge_of(step: Any) -> Judge:
    """The judge of the step's master."""
    return state_of(step.master).component(Judge)


def key_of(value: Value) -> LineKey:
    """The line of a value among those of its build."""
    return line_key(value.record.name, {**value.record.tags, **(value.master_tags or {})})


def result_of(lines: Iterable[LineVerdict]) -> int:
    """The result of a step with these verdicts."""
    levels = {line.level for line in lines if line.acts}
    return RESULTS[next((level for level in (Level.FAIL, Level.WARN) if level in levels), Level.INFO)]


def set_properties(step: Any, gates: Gates, lines: Sequence[LineVerdict]) -> None:
    """Set the properties of the build: the state of all that was judged so far, and the series that are worse."""
    gates.states.update({line.key: line.verdict.state for line in lines})
    if not gates.states:
        return
    found = set(gates.states.values())
    worse = sorted({series for (series, _), state in gates.states.items() if state is State.WORSE})
    step.setProperty(VERDICT_PROPERTY, str(next(state for state in STATES if state in found)), "bbmeasure")
    step.setProperty(WORSE_PROPERTY, worse, "bbmeasure")


def summary(line: LineVerdict, gate: Gate, build: Optional[int] = None) -> str:
    """The verdict in a summary: ``worse: usual 1.2 s to 1.3 s, +8.0 %, shift``; an empty text for a usual value.

    ``build`` is the number of the present build.
    """
    verdict = line.verdict
    if verdict.state not in SHOWN:
        return ""
    parts = [usual(line), "" if verdict.change is None else units.format_change(verdict.change)]
    parts.append(_rule(verdict.rule, gate) if verdict.rule else "")
    if line.since_build is not None and line.since_build != build:
        parts.append(f"since build {line.since_build}")
    told = ", ".join(filter(None, parts))
    return f"{verdict.state}: {told}" if told else str(verdict.state)


def usual(line: LineVerdict) -> str:
    """The range of usual values, such as ``usual 1.2 s to 1.3 s``; an empty text without a baseline."""
    verdict = line.verdict
    if verdict.low is None or verdict.high is None:
        return ""
    low, high = (units.format(value, line.unit, line.kind.value) for value in (verdict.low, verdict.high))
    return f"usual {low}" if low == high else f"usual {low} to {high}"


def _rule(rule: str, gate: Gate) -> str:
    """A rule with its bound, such as ``limit 10 MiB``."""
    name = ARGUMENTS.get(rule)
    if name is None:
        return rule
    limit = {"limit": gate.limit, "lower_limit": gate.lower_limit}.get(rule)
    if limit is not None:
        return f"{name} {limit.text}"
    fraction = gate.maximum_increase if rule == "increase" else gate.maximum_decrease
    return name if fraction is None else f"{name} {fraction * 100:g} %"
