"""Captures what is tracked of the finished steps of a running build, so that it can be judged before the end."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from twisted.internet import defer

from bbmeasure.capture.gates import Gates, key_of
from bbmeasure.capture.identity import Value, point_of
from bbmeasure.capture.plan import Plan, Switches
from bbmeasure.capture.state import MasterState
from bbmeasure.master.tracking import builtin_steps
from bbmeasure.master.tracking.collector import (
    Collector,
    Finished,
    collect_properties,
    collect_statistics,
    collect_times,
)
from bbmeasure.master.tracking.finished_build import Times, finished_steps
from bbmeasure.model import Point
from bbmeasure.units import excerpt


@defer.inlineCallbacks
def capture_finished_steps(
    state: MasterState, build: Any, plan: Plan, switches: Switches, times: Times
) -> Generator[Any, Any, list[Point]]:
    """Capture durations and statistics of the finished steps under their final identity.

    Returns their points, and those that the tracked properties would have now, which are captured at the end of the
    build.
    """
    gates = state.gates.of_build(build.buildid, plan.baseline_builder)
    context = state.pipeline.context_of(build)
    assert context is not None
    live = {step.stepid: builtin_steps.statistics_of(step) for step in build.executedSteps if step.stepid is not None}
    rows = yield state.master.data.get(("builds", build.buildid, "steps"))
    second = int(state.pipeline.clock.seconds())
    steps = finished_steps(rows, live, times, recorded=False)
    so_far = Finished(context, state.master.name, second, "success", None, None, None, steps)
    collector = Collector(so_far, plan.tags, gates)
    collect_times(collector, plan, replace(switches, build_times=False))
    collect_statistics(collector, plan, switches)
    final = list(collector.values)
    properties: Mapping[str, Any] = {name: value for name, (value, _) in build.getProperties().asDict().items()}
    list(collect_properties(collector, plan, switches, properties))
    _capture(state, gates, final)
    return [point_of(value, value.time or 0) for value in collector.values]


def _capture(state: MasterState, gates: Gates, values: list[Value]) -> None:
    """Capture values that the build has not captured before, and note those that are on disk."""
    new = [value for value in values if (key_of(value), value.time) not in gates.captured]
    for value, captured in zip(new, state.pipeline.capture_all(new)):
        captured.addCallback(_note, gates, value)
        state.pipeline.suppress_errors(captured, f"value of {excerpt(value.record.name)}")


def _note(_: None, gates: Gates, value: Value) -> None:
    gates.captured.add((key_of(value), value.time))
