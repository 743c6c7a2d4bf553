"""Captures the values of a step and judges them: reruns, verdicts in log and summary, and the result of the step."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from buildbot.process.results import CANCELLED, SUCCESS, WARNINGS
from twisted.internet import defer

from bbmeasure.capture.identity import Value
from bbmeasure.capture.state import state_of
from bbmeasure.reports.verdicts import BuildVerdicts
from bbmeasure_steps import judging
from bbmeasure_steps.judging import StepJudge, key_of
from bbmeasure_steps.reruns import Measurement, Reruns
from bbmeasure_steps.results import StepCapture


@defer.inlineCallbacks
def capture_judged(capture: StepCapture, values: Sequence[Value], measured: Measurement) -> Generator[Any, Any, None]:
    """Capture the values of a measurement, after the reruns that their gates ask for, and judge them."""
    step, results = capture.step, capture.results
    gates = state_of(step.master).gates.of_build(capture.context.buildid, capture.plan.baseline_builder)
    judge = StepJudge(step, capture.context, gates)
    results.notes += judge.register(values, capture.overrides.gate, capture.series_of(str(step.name)))
    succeeded = measured.result in (SUCCESS, WARNINGS)
    if not succeeded:
        judge.exclude(values)
    reruns = Reruns(step, judge, values)
    if succeeded and reruns.most:
        verdicts = yield reruns.run(measured)
        results.notes += reruns.notes
        if step.stopped:
            capture.discard(values)
            results.verdict = CANCELLED
            return
        values, judged = reruns.merged(), defer.succeed(verdicts)
    else:
        judged = judge.preview(values)
    yield capture.capture(values)
    verdicts = yield judged
    _attach(capture, values, judge, verdicts)


def _attach(capture: StepCapture, values: Sequence[Value], judge: StepJudge, verdicts: BuildVerdicts) -> None:
    """Add the verdicts of the stored values to the results of the step."""
    step, results = capture.step, capture.results
    lines = {line.key: line for line in verdicts.lines}
    last = {key_of(value): index for index, value in enumerate(values)}
    told = []
    for index, (value, captured) in enumerate(zip(values, results.captured)):
        key = key_of(value)
        line = lines.get(key) if captured.is_stored and last[key] == index else None
        if line is None:
            continue
        told.append(line)
        results.captured[index] = replace(
            captured,
            verdict=judging.summary(line, judge.gate_of(value), capture.context.build),
            reason=f"{line.verdict.state}: {line.verdict.reason}",
            measurements=judge.gates.measurements.get(key, ()),
        )
    if not verdicts.complete:
        results.notes.append("the verdicts were not there in time: see the counters of bbmeasure health")
    results.verdict = judging.result_of(told)
    judging.set_properties(step, judge.gates, told)
