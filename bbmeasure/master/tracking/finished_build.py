"""What a finished build is known to have been: its durations, its steps' durations, its statistics and properties."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Optional, Union

from buildbot.process import results as codes
from twisted.internet import defer

from bbmeasure import units
from bbmeasure.capture import builtin_series
from bbmeasure.capture.identity import Value, context_of, identity_time, recorded_context
from bbmeasure.capture.plan import Plan, SeriesOverrides, Switches, series_name
from bbmeasure.capture.state import MasterState
from bbmeasure.errors import MeasureError
from bbmeasure.master.tracking import builtin_steps
from bbmeasure.model import BuildContext
from bbmeasure.records import Direction, Kind, Record
from bbmeasure.units import excerpt

#: Buildbot's results in OpenTelemetry's words (attribute cicd.pipeline.result).
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
    """OpenTelemetry's word for a result of Buildbot; ``error`` for one that is not known."""
    return RESULTS.get(results, "error") if results is not None else "error"


#: Steps that Buildbot adds to a build itself.
BOOKKEEPING = frozenset(["worker_preparation", "locks_acquire"])

_NO_OVERRIDES = SeriesOverrides()


@dataclass
class Times:
    """When a live build and its steps ran, below the second.  ``steps`` holds seconds by stepid.

    ``unlocked`` are the steps whose seconds are known to be without waiting for locks.
    """

    clock: Any
    started: Optional[float] = None
    finished: Optional[float] = None
    steps: dict[int, float] = field(default_factory=dict)
    unlocked: set[int] = field(default_factory=set)

    def build_started(self) -> None:
        """The build starts now."""
        self.started = self.clock.seconds()

    def build_finished(self) -> None:
        """The build has ended, if it was not said before."""
        self.finished = self.finished or self.clock.seconds()

    def watch(self, step: Any) -> None:
        """Note how long ``step.run`` takes: the step without its waiting for locks and the master's bookkeeping."""
        run = step.run

        def timed() -> Any:
            began = self.clock.seconds()

            def ended(result: Any) -> Any:
                self.steps[step.stepid] = self.clock.seconds() - began
                return result

            return defer.maybeDeferred(run).addBoth(ended)

        step.run = timed


@dataclass(frozen=True)
class Finished:
    """A finished build as Buildbot knows it.  Times in seconds; ``second`` is its completion, whole."""

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
    """A finished step; ``duration`` is None for one that did not run."""

    name: str
    number: int
    second: int
    result: str
    duration: Optional[float]
    statistics: Mapping[str, Any] = field(default_factory=dict)


class Collector:
    """Turns a finished build into values, each at the time that makes it the same point whoever captures it."""

    def __init__(self, build: Finished, tags: Mapping[str, str]) -> None:
        self.build = build
        self.tags = tags
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
        """One value under its series; what cannot be a record is refused with a word."""
        context = replace(self.build.context, step=step.name if step else None)
        try:
            name = series_name(
                overrides.series,
                default,
                builder=context.builder,
                step=step.name if step else None,
                project=context.project,
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
        self.values.append(Value(record, context, time, overrides.kind is not None, master_tags))


def collect_times(collector: Collector, plan: Plan, switches: Switches) -> None:
    """Durations of the build and its steps."""
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
    """What steps set by setStatistic."""
    for step in collector.build.steps:
        for name, value in step.statistics.items():
            tags = {"step": step.name}
            kind = None if isinstance(value, str) else builtin_series.kind(str(name))
            better = builtin_series.better(str(name))
            tracked = [one for one in plan.statistics if one.subject == name and one.step in (None, step.name)]
            for track in tracked:
                collector.add(name, value, track.overrides, kind=kind, better=better, step=step, master_tags=tags)
            if switches.statistics and not any(track.overrides.series is None for track in tracked):
                collector.add(str(name), value, kind=kind, better=better, step=step, master_tags=tags)


def collect_properties(
    collector: Collector, plan: Plan, switches: Switches, properties: Mapping[str, Any]
) -> Iterator[str]:
    """Tracked properties as they are; yields the names of those that are missing."""
    for track in plan.properties:
        if properties.get(track.subject) is None:
            yield track.subject
            continue
        value = number_of(properties[track.subject])
        text = isinstance(value, str)
        kind = None if text else builtin_series.kind(track.subject)
        unit = None if text else builtin_series.UNITS.get(track.subject)
        collector.add(
            track.subject, value, track.overrides, kind=kind, unit=unit, better=builtin_series.better(track.subject)
        )
    named = {track.subject for track in plan.properties if track.overrides.series is None}
    for name, value in properties.items():
        if name not in named and switches.wants_property(name):
            number = number_of(value)
            if isinstance(number, float):
                unit = builtin_series.UNITS.get(name)
                collector.add(
                    name, number, kind=builtin_series.kind(name), unit=unit, better=builtin_series.better(name)
                )


def number_of(value: Any) -> Any:
    """A number where ``value`` is one or a text that reads as one, else a text."""
    if isinstance(value, (bool, int, float)):
        return float(value) if abs(value) < sys.float_info.max else None
    if isinstance(value, str):
        try:
            return units.read_number(value)
        except MeasureError:
            return value
    return str(value)[: units.LONGEST_QUANTITY]


# a build of this master's, live or as its record


@defer.inlineCallbacks
def capture_build(
    state: MasterState, build: Any, plan: Plan, switches: Switches, times: Times, *, recorded: bool = False
) -> Generator[Any, Any, None]:
    """Capture what is tracked of a build that has just ended.

    Statistics and properties are read from the live build at once, the times of completion from Buildbot's own record;
    with ``recorded`` those of steps too that ``times`` does not know, and how long those waited for locks that
    ``times`` does not know to be without.
    """
    if build.buildid is None or build.number is None:
        return
    wanted = switches.of_builds or plan.step_times or plan.properties or plan.statistics
    if not wanted:
        return
    properties = {name: value for name, (value, _) in build.getProperties().asDict().items()}
    live = {step.stepid: builtin_steps.statistics_of(step) for step in build.executedSteps if step.stepid is not None}
    context = context_of(build)
    submitted = _submitted(build)
    finished = yield read_build(state.master, context, live, times, submitted=submitted, recorded=recorded)
    if finished is None:
        state.pipeline.count("build_not_found", f"build {build.buildid}: expected it in the master's database")
        return
    _capture(state, finished, plan, switches, properties)


@defer.inlineCallbacks
def builder_of(master: Any, build: Mapping[str, Any]) -> Generator[Any, Any, Optional[Mapping[str, Any]]]:
    """The builder of ``master.cfg`` that ran a build, both rows of the Data API; None where there is none any longer.

    A virtual builder's builds were requested of another.
    """
    request = yield master.data.get(("buildrequests", build["buildrequestid"]))
    builder: Optional[Mapping[str, Any]] = yield master.data.get(("builders", (request or build)["builderid"]))
    return builder


@defer.inlineCallbacks
def capture_recorded(
    state: MasterState, build: Mapping[str, Any], builder: str, switches: Switches
) -> Generator[Any, Any, None]:
    """Capture of a finished build, a row of the Data API's, what that knows: all but statistics, in whole seconds."""
    get = state.master.data.get
    worker = yield get(("workers", build["workerid"]))
    request = yield get(("buildrequests", build["buildrequestid"]))
    found = yield get(("builds", build["buildid"], "properties"))
    properties = {name: value for name, (value, _) in found.items()}
    context = recorded_context(builder, worker["name"] if worker else "", build["number"], build["buildid"], properties)
    submitted = _seconds(request["submitted_at"]) if request else None
    nothing = Times(state.master.reactor)
    finished = yield read_build(state.master, context, {}, nothing, submitted=submitted, recorded=True)
    if finished is not None:
        _capture(state, finished, Plan(), switches, properties)


def _capture(
    state: MasterState, finished: Finished, plan: Plan, switches: Switches, properties: Mapping[str, Any]
) -> None:
    """Turn it into values and hand them on."""
    pipeline = state.pipeline
    collector = Collector(finished, plan.tags)
    collect_times(collector, plan, switches)
    collect_statistics(collector, plan, switches)
    builder = finished.context.builder
    for missing in collect_properties(collector, plan, switches, properties):
        pipeline.count_once("missing_property", (builder, missing), f"property {excerpt(missing)}: not set")
    for why in collector.refused:
        pipeline.count("refused", why)
    for value, kept in zip(collector.values, pipeline.capture_all(collector.values)):
        pipeline.suppress_errors(kept, f"value of {excerpt(value.record.name)}")


def _submitted(build: Any) -> Optional[float]:
    """When the first of the build's requests was made, in unix seconds."""
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
    """The build from the master's Data API, with live times and statistics where there are such."""
    build = yield master.data.get(("builds", context.buildid))
    if build is None or build["complete_at"] is None:
        return None
    rows = yield master.data.get(("builds", context.buildid, "steps"))
    locks_are_told = any(row.get("locks_acquired_at") is not None for row in rows)
    steps = []
    for row in rows:
        if row["complete_at"] is None:
            continue
        duration = times.steps.get(row["stepid"])
        if recorded:
            if locks_are_told and row["locks_acquired_at"] is None:  # it waited for them, and never began its work
                duration = None
            elif duration is None:
                duration = _recorded_duration(row)
            elif row["stepid"] not in times.unlocked:
                duration = max(0.0, duration - _waited(row))
        statistics = live.get(row["stepid"], {})
        result = result_word(row["results"])
        steps.append(
            FinishedStep(row["name"], row["number"], _seconds(row["complete_at"]), result, duration, statistics)
        )
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
        tuple(steps),
    )


def _waited(step: Mapping[str, Any]) -> int:
    """Whole seconds that a step waited for locks."""
    began, acquired = step["started_at"], step.get("locks_acquired_at")
    return 0 if began is None or acquired is None else max(0, _seconds(acquired) - _seconds(began))


def _recorded_duration(step: Mapping[str, Any]) -> Optional[float]:
    """Whole seconds that a step worked; None for one that never began."""
    began = step["started_at"] if step.get("locks_acquired_at") is None else step["locks_acquired_at"]
    return None if began is None else float(max(0, _seconds(step["complete_at"]) - _seconds(began)))


def _seconds(when: Any) -> int:
    """Whole unix seconds of what the Data API gives: a datetime or a number."""
    return int(when.timestamp()) if hasattr(when, "timestamp") else int(when)
