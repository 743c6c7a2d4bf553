"""Captures a finished build: durations of the build and its steps, statistics, properties."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from twisted.internet import defer

from bbmeasure.capture.branches import builder_name
from bbmeasure.capture.gates import key_of
from bbmeasure.capture.identity import recorded_context
from bbmeasure.capture.plan import Plan, Switches
from bbmeasure.capture.state import MasterState
from bbmeasure.master.tracking import builtin_steps
from bbmeasure.master.tracking.collector import (
    Collector,
    Finished,
    FinishedStep,
    collect_properties,
    collect_statistics,
    collect_times,
    result_word,
)
from bbmeasure.master.tracking.judged_build import judge_build
from bbmeasure.master.tracking.recorded_sources import recorded_branch
from bbmeasure.model import BuildContext
from bbmeasure.reports.judge import Judge
from bbmeasure.units import excerpt


@dataclass
class Times:
    """Start, end and step durations of a live build, finer than the whole seconds of Buildbot's database.

    ``steps`` holds durations in seconds by stepid.  ``unlocked`` are the steps whose durations exclude the wait for
    locks.
    """

    clock: Any
    started: Optional[float] = None
    finished: Optional[float] = None
    steps: dict[int, float] = field(default_factory=dict)
    unlocked: set[int] = field(default_factory=set)

    def build_started(self) -> None:
        """Note the start of the build."""
        self.started = self.clock.seconds()

    def build_finished(self) -> None:
        """Note the end of the build, once."""
        self.finished = self.finished or self.clock.seconds()

    def time_step(self, step: Any) -> None:
        """Wrap ``step.run`` to time it: the step without its wait for locks and without the master's bookkeeping."""
        run = step.run

        def timed() -> Any:
            start = self.clock.seconds()

            def ended(result: Any) -> Any:
                self.steps[step.stepid] = self.clock.seconds() - start
                return result

            return defer.maybeDeferred(run).addBoth(ended)

        step.run = timed


@defer.inlineCallbacks
def capture_build(
    state: MasterState, build: Any, plan: Plan, switches: Switches, times: Times, *, recorded: bool = False
) -> Generator[Any, Any, None]:
    """Capture what is tracked of a live build that has just ended.

    Statistics and properties are read from the live build at once, times of completion from Buildbot's record.  With
    ``recorded`` the record also gives durations of steps that ``times`` lacks, and the wait for locks of steps that
    ``times`` does not list as ``unlocked``.
    """
    if build.buildid is None or build.number is None:
        return
    has_captured = state.pipeline.branches.is_decided(build.buildid)
    context = state.pipeline.context_of(build)
    if not (switches.of_builds or plan.step_times or plan.properties or plan.statistics):
        if has_captured:
            judge_build(state, context)
        else:
            state.component(Judge).tell_empty(build.buildid)
        return
    properties = {name: value for name, (value, _) in build.getProperties().asDict().items()}
    live = {step.stepid: builtin_steps.statistics_of(step) for step in build.executedSteps if step.stepid is not None}
    submitted = _submitted(build)
    finished = yield read_build(state.master, context, live, times, submitted=submitted, recorded=recorded)
    if finished is None:
        state.pipeline.count("build_not_found", f"build {build.buildid}: expected it in the master's database")
        judge_build(state, context)
        return
    judge_build(state, context, _capture(state, finished, plan, switches, properties))


@defer.inlineCallbacks
def builders_of(master: Any, build: Mapping[str, Any]) -> Generator[Any, Any, tuple[str, str]]:
    """The builder of ``master.cfg`` that ran a build of the Data API, and that of the build's points, "" if removed.

    The builds of a virtual builder have the request of another builder.
    """
    request = yield master.data.get(("buildrequests", build["buildrequestid"]))
    ran = yield master.data.get(("builders", (request or build)["builderid"]))
    shown = yield master.data.get(("builders", build["builderid"]))
    name, shown_name = (builder["name"] if builder is not None else "" for builder in (ran, shown))
    return name, builder_name(name, shown_name, is_configured=shown_name in master.botmaster.builders)


@defer.inlineCallbacks
def _recorded_facts(
    state: MasterState, build: Mapping[str, Any], builder: str
) -> Generator[Any, Any, tuple[BuildContext, Optional[Mapping[str, Any]], dict[str, Any]]]:
    """The context of a build from its row of the Data API, the row of its request, and its properties by name."""
    get = state.master.data.get
    worker = yield get(("workers", build["workerid"]))
    request = yield get(("buildrequests", build["buildrequestid"]))
    with_sources = yield get(("builds", build["buildid"], "properties"))
    properties = {name: value for name, (value, _) in with_sources.items()}
    branch, machine = yield recorded_branch(state, build["buildid"], request, with_sources)
    worker_name = worker["name"] if worker else ""
    context = recorded_context(builder, worker_name, build["number"], build["buildid"], properties, branch, machine)
    return context, request, properties


@defer.inlineCallbacks
def recorded_build_context(
    state: MasterState, build: Mapping[str, Any], builder: str
) -> Generator[Any, Any, BuildContext]:
    """The context of a build, which may still run, from its row of the Data API."""
    context, _, _ = yield _recorded_facts(state, build, builder)
    return context  # type: ignore[no-any-return]


@defer.inlineCallbacks
def capture_recorded(
    state: MasterState, build: Mapping[str, Any], builder: str, switches: Switches
) -> Generator[Any, Any, None]:
    """Capture a finished build from its row of the Data API: no statistics, and durations in whole seconds."""
    context, request, properties = yield _recorded_facts(state, build, builder)
    submitted = _seconds(request["submitted_at"]) if request else None
    no_times = Times(state.master.reactor)
    finished = yield read_build(state.master, context, {}, no_times, submitted=submitted, recorded=True)
    if finished is not None:
        judge_build(state, context, _capture(state, finished, Plan(), switches, properties))


def _capture(
    state: MasterState, finished: Finished, plan: Plan, switches: Switches, properties: Mapping[str, Any]
) -> list[defer.Deferred[None]]:
    """Capture the values of a finished build; each of the Deferreds fires when a value is on disk."""
    pipeline = state.pipeline
    gates = state.gates.of_build(finished.context.buildid, plan.baseline_builder)
    collector = Collector(finished, plan.tags, gates)
    collect_times(collector, plan, switches)
    collect_statistics(collector, plan, switches)
    builder = finished.context.builder
    for missing in collect_properties(collector, plan, switches, properties):
        pipeline.count_once("missing_property", (builder, missing), f"property {excerpt(missing)}: not set")
    for why in collector.refused:
        pipeline.count("refused", why)
    values = [value for value in collector.values if (key_of(value), value.time) not in gates.captured]
    return [
        pipeline.suppress_errors(captured, f"value of {excerpt(value.record.name)}")
        for value, captured in zip(values, pipeline.capture_all(values))
    ]


def _submitted(build: Any) -> Optional[float]:
    """The time of the build's first request, in unix seconds."""
    times = [request.submittedAt for request in build.requests if request.submittedAt is not None]
    return min(times) if times else None


@defer.inlineCallbacks
def read_build(
    master: Any,
    context: Any,
    live: Mapping[int, Mapping[str, Any]],
    times: Times,
    submitted: Optional[float],
    *,
    recorded: bool = False,
) -> Generator[Any, Any, Optional[Finished]]:
    """The finished build from the master's Data API, with the times and statistics of the live build."""
    build = yield master.data.get(("builds", context.buildid))
    if build is None or build["complete_at"] is None:
        return None
    rows = yield master.data.get(("builds", context.buildid, "steps"))
    steps = finished_steps(rows, live, times, recorded=recorded)
    started = _seconds(build["started_at"]) if build["started_at"] is not None else None
    duration = None
    if times.started is not None and times.finished is not None:
        duration = max(0.0, times.finished - times.started)
    elif started is not None:
        duration = float(max(0, _seconds(build["complete_at"]) - started))
    return Finished(
        context,
        master.name,
        _seconds(build["complete_at"]),
        result_word(build["results"]),
        duration,
        max(0.0, started - submitted) if started is not None and submitted is not None else None,
        build.get("locks_duration_s"),
        steps,
    )


def finished_steps(
    rows: Sequence[Mapping[str, Any]], live: Mapping[int, Mapping[str, Any]], times: Times, *, recorded: bool
) -> tuple[FinishedStep, ...]:
    """The steps that have ended, from their rows of the Data API."""
    records_locks = any(row.get("locks_acquired_at") is not None for row in rows)
    steps = []
    for row in rows:
        if row["complete_at"] is None:
            continue
        duration = times.steps.get(row["stepid"])
        if recorded:
            if records_locks and row["locks_acquired_at"] is None:  # it never acquired them, and did not run
                duration = None
            elif duration is None:
                duration = _recorded_duration(row)
            elif row["stepid"] not in times.unlocked:
                duration = max(0.0, duration - _lock_wait(row))
        result, statistics = result_word(row["results"]), live.get(row["stepid"], {})
        second = _seconds(row["complete_at"])
        steps.append(FinishedStep(row["name"], row["number"], second, result, duration, statistics))
    return tuple(steps)


def _lock_wait(step: Mapping[str, Any]) -> int:
    """Whole seconds that a step waited for locks."""
    started, acquired = step["started_at"], step.get("locks_acquired_at")
    return 0 if started is None or acquired is None else max(0, _seconds(acquired) - _seconds(started))


def _recorded_duration(step: Mapping[str, Any]) -> Optional[float]:
    """Whole seconds that a step ran; None for one that did not start."""
    started = step["started_at"] if step.get("locks_acquired_at") is None else step["locks_acquired_at"]
    return None if started is None else float(max(0, _seconds(step["complete_at"]) - _seconds(started)))


def _seconds(when: Any) -> int:
    """Whole unix seconds of a time of the Data API, which is a datetime or a number."""
    return int(when.timestamp()) if hasattr(when, "timestamp") else int(when)
