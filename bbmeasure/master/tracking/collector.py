"""Collector: the values of a build that Buildbot itself knows, as records with times that a back-fill gives too."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Optional, Union

from buildbot.process import results as codes

from bbmeasure import units
from bbmeasure.capture import builtin_series
from bbmeasure.capture.gates import Gates, key_of
from bbmeasure.capture.identity import Value, identity_time
from bbmeasure.capture.plan import Plan, SeriesOverrides, Switches, fixed_by, series_name
from bbmeasure.errors import MeasureError
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
        context = replace(self.build.context, step=step.name) if step else self.build.context
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
        fixed = unit == "s"  # a duration is one whatever a worker reported by that name
        captured = Value(record, context, time, fixed_kind=fixed, fixed_unit=fixed, master_tags=master_tags)
        if overrides is not _NO_OVERRIDES:
            captured = fixed_by(captured, overrides)
        self.values.append(captured)
        self._register(captured, overrides, step)

    def _register(self, value: Value, overrides: SeriesOverrides, step: Optional[FinishedStep]) -> None:
        """Give the gates of the build what it has measured; the value of a step that failed enters no baseline."""
        self.gates.set(value.record.name, overrides.gate)
        self.gates.measured(value.record)
        if step is not None and step.result != "success":
            self.gates.excluded.add(key_of(value))


def collect_times(collector: Collector, plan: Plan, switches: Switches) -> None:
    """Collect the durations of the build and its steps."""
    build = collector.build
    if switches.build_times:
        durations = (("build", build.duration), ("queue", build.queued), ("lock", build.locks))
        for what, seconds in durations:
            if seconds is not None:
                tags = {"result": build.result}
                collector.add(f"{what}_duration", seconds, unit="s", better=Direction.LOWER, master_tags=tags)
    for step in build.steps:
        if step.duration is None or step.result == "skip" or step.name in BOOKKEEPING:
            continue
        for track in plan.step_times:
            if track.subject == step.name:
                tags = {"result": step.result}
                collector.add(step.name, step.duration, track.overrides, unit="s", step=step, master_tags=tags)
        if switches.step_times:
            tags = {"step": step.name, "result": step.result}
            collector.add("step_duration", step.duration, unit="s", better=Direction.LOWER, step=step, master_tags=tags)


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
