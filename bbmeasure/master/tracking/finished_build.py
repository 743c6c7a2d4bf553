"""Captures a finished build: durations of the build and its steps, statistics, properties."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional, Union

from buildbot.process import results as codes
from twisted.internet import defer

from bbmeasure import units
from bbmeasure.capture import builtin_series
from bbmeasure.capture.gates import Gates
from bbmeasure.capture.identity import Value, identity_time, recorded_context
from bbmeasure.capture.plan import Plan, SeriesOverrides, Switches, fixed_by, series_name
from bbmeasure.capture.state import MasterState
from bbmeasure.errors import MeasureError
from bbmeasure.master.tracking import builtin_steps
from bbmeasure.master.tracking.recorded_sources import recorded_branch
from bbmeasure.model import BuildContext
from bbmeasure.records import Direction, Kind, Record
from bbmeasure.units import excerpt

#: The tag ``result`` for each result of Buildbot: OpenTelemetry's values of the attribute cicd.pipeline.result.
RESULTS = {
    codes.SUCCESS: "success",
    codes.WARNINGS: "success",
    codes.FAILURE: "failure",
    codes.EXCEPTION: "error",
    codes.RETRY: "error",
    codes.CANCELLED: "cancellation",
    codes.SKIPPED: "skip",
}


def result_word(results: Optional[int]) -> str:
    """The tag ``result`` for a result of Buildbot; ``error`` for an unknown one."""
    return RESULTS.get(results, "error") if results is not None else "error"


#: Steps that Buildbot itself adds to a build.
BOOKKEEPING = frozenset(["worker_preparation", "locks_acquire"])

_NO_OVERRIDES = SeriesOverrides()


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


@dataclass(frozen=True)
class Finished:
    """A finished build.  Times are in seconds; ``second`` is the completion in whole unix seconds."""

    context: BuildContext
    master: str
    second: int
    result: str
    duration: Optional[float]
    queued: Optional[float]
    locks: Optional[float]
    steps: tuple[FinishedStep, ...] = ()


@dataclass(frozen=True)
class FinishedStep:
    """A finished step; ``duration`` is None for a step that did not run."""

    name: str
    number: int
    second: int
    result: str
    duration: Optional[float]
    statistics: Mapping[str, Any] = field(default_factory=dict)


class Collector:
    """Collects the values of a finished build, each with a time that is the same in live capture and back-fill."""

    def __init__(self, build: Finished, tags: Mapping[str, str], gates: Optional[Gates] = None) -> None:
        """``gates`` gets the gates of the values' series."""
        self.build = build
        self.tags = tags
        self.gates = Gates() if gates is None else gates
        self.values: list[Value] = []
        self.refused: list[str] = []

    def add(
        self,
        default: str,
        value: Any,
        overrides: SeriesOverrides = _NO_OVERRIDES,
        *,
        kind: Union[Kind, str, None] = None,
        unit: Optional[str] = None,
        better: Union[Direction, str, None] = None,
        step: Optional[FinishedStep] = None,
        master_tags: Optional[Mapping[str, str]] = None,
    ) -> None:
        """Add a value to its series; one that makes no valid Record is added to ``refused``."""
        context = replace(self.build.context, step=step.name if step else None)
        try:
            name = series_name(
                overrides.series, default, builder=context.builder, step=context.step, project=context.project
            )
            record = Record(
                name,
                value,
                kind=overrides.kind or (None if overrides.unit else kind),
                unit=overrides.unit or unit,
                better=overrides.better or better,
                tags={**self.tags, **overrides.tags},
            )
        except MeasureError as error:
            of = f"builder {excerpt(context.builder)}" + (f", step {excerpt(step.name)}" if step else "")
            self.refused.append(f"{excerpt(str(default))} of {of}: {error}")
            return
        tags = {**record.tags, **(master_tags or {})}
        second = step.second if step else self.build.second
        number = step.number if step else None
        time = identity_time(second, self.build.master, context.buildid, number, record.name, tags)
        captured = fixed_by(Value(record, context, time, master_tags=master_tags), overrides)
        if unit == "s":  # a duration is one whatever a worker reported by that name
            captured = captured._replace(fixed_kind=True, fixed_unit=True)
        self.gates.set(record.name, overrides.gate)
        self.values.append(captured)


def collect_times(collector: Collector, plan: Plan, switches: Switches) -> None:
    """Collect the durations of the build and its steps."""
    build = collector.build
    if switches.build_times:
        durations = (("build", build.duration), ("queue", build.queued), ("lock", build.locks))
        for what, seconds in durations:
            if seconds is not None:
                tags = {"result": build.result}
                collector.add(f"{what}_duration", seconds, unit="s", better="lower", master_tags=tags)
    for step in build.steps:
        if step.duration is None or step.result == "skip" or step.name in BOOKKEEPING:
            continue
        for track in plan.step_times:
            if track.subject == step.name:
                tags = {"result": step.result}
                collector.add(step.name, step.duration, track.overrides, unit="s", step=step, master_tags=tags)
        if switches.step_times:
            tags = {"step": step.name, "result": step.result}
            collector.add("step_duration", step.duration, unit="s", better="lower", step=step, master_tags=tags)


def collect_statistics(collector: Collector, plan: Plan, switches: Switches) -> None:
    """Collect the statistics that steps set by setStatistic."""
    for step in collector.build.steps:
        for name, value in step.statistics.items():
            tags = {"step": step.name}
            kind = None if isinstance(value, str) else builtin_series.kind(str(name))
            better = builtin_series.better(str(name))
            tracked = [track for track in plan.statistics if track.subject == name and track.step in (None, step.name)]
            for track in tracked:
                collector.add(name, value, track.overrides, kind=kind, better=better, step=step, master_tags=tags)
            if switches.statistics and not any(track.overrides.series is None for track in tracked):
                collector.add(str(name), value, kind=kind, better=better, step=step, master_tags=tags)


def collect_properties(
    collector: Collector, plan: Plan, switches: Switches, properties: Mapping[str, Any]
) -> Iterator[str]:
    """Collect the tracked properties; yields the names of those that are not set."""
    for track in plan.properties:
        if properties.get(track.subject) is None:
            yield track.subject
            continue
        value = read_property(properties[track.subject])
        text = isinstance(value, str)
        kind = None if text else builtin_series.kind(track.subject)
        unit = None if text else builtin_series.UNITS.get(track.subject)
        collector.add(
            track.subject, value, track.overrides, kind=kind, unit=unit, better=builtin_series.better(track.subject)
        )
    named = {track.subject for track in plan.properties if track.overrides.series is None}
    for name, value in properties.items():
        if name not in named and switches.wants_property(name):
            number = read_property(value)
            if isinstance(number, float):
                unit = builtin_series.UNITS.get(name)
                collector.add(
                    name, number, kind=builtin_series.kind(name), unit=unit, better=builtin_series.better(name)
                )


def read_property(value: Any) -> Any:
    """The number of a property that is a number or a text with a number, else its text."""
    if isinstance(value, (bool, int, float)):
        return float(value) if abs(value) < sys.float_info.max else None
    if isinstance(value, str):
        try:
            return units.read_number(value)
        except MeasureError:
            return value
    return str(value)[: units.LONGEST_QUANTITY]


# builds of this master


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
    if not (switches.of_builds or plan.step_times or plan.properties or plan.statistics):
        return
    properties = {name: value for name, (value, _) in build.getProperties().asDict().items()}
    live = {step.stepid: builtin_steps.statistics_of(step) for step in build.executedSteps if step.stepid is not None}
    context = state.pipeline.context_of(build)
    submitted = _submitted(build)
    finished = yield read_build(state.master, context, live, times, submitted=submitted, recorded=recorded)
    if finished is None:
        state.pipeline.count("build_not_found", f"build {build.buildid}: expected it in the master's database")
        return
    _capture(state, finished, plan, switches, properties)


@defer.inlineCallbacks
def builder_of(master: Any, build: Mapping[str, Any]) -> Generator[Any, Any, Optional[Mapping[str, Any]]]:
    """The builder of ``master.cfg`` that ran a build, both rows of the Data API; None for a removed builder.

    The builds of a virtual builder have the request of another builder.
    """
    request = yield master.data.get(("buildrequests", build["buildrequestid"]))
    builder: Optional[Mapping[str, Any]] = yield master.data.get(("builders", (request or build)["builderid"]))
    return builder


@defer.inlineCallbacks
def capture_recorded(
    state: MasterState, build: Mapping[str, Any], builder: str, switches: Switches
) -> Generator[Any, Any, None]:
    """Capture a finished build from its row of the Data API: no statistics, and durations in whole seconds."""
    get = state.master.data.get
    worker = yield get(("workers", build["workerid"]))
    request = yield get(("buildrequests", build["buildrequestid"]))
    with_sources = yield get(("builds", build["buildid"], "properties"))
    properties = {name: value for name, (value, _) in with_sources.items()}
    branch, machine = yield recorded_branch(state, build["buildid"], request, with_sources)
    worker_name = worker["name"] if worker else ""
    context = recorded_context(builder, worker_name, build["number"], build["buildid"], properties, branch, machine)
    submitted = _seconds(request["submitted_at"]) if request else None
    no_times = Times(state.master.reactor)
    finished = yield read_build(state.master, context, {}, no_times, submitted=submitted, recorded=True)
    if finished is not None:
        _capture(state, finished, Plan(), switches, properties)


def _capture(
    state: MasterState, finished: Finished, plan: Plan, switches: Switches, properties: Mapping[str, Any]
) -> None:
    """Capture the values of a finished build."""
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
    for value, captured in zip(collector.values, pipeline.capture_all(collector.values)):
        pipeline.suppress_errors(captured, f"value of {excerpt(value.record.name)}")


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
    steps = _finished_steps(rows, live, times, recorded=recorded)
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


def _finished_steps(
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
