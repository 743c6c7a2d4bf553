"""Plan and Switches: what a MeasuredBuilderConfig and the instances track."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Optional, Union

from bbmeasure import units
from bbmeasure.capture import builtin_series
from bbmeasure.capture.gates import Gate, check_gate
from bbmeasure.capture.identity import Value
from bbmeasure.errors import RecordError
from bbmeasure.records import Direction, Kind, check_kind, check_tags, check_text, choose, direction


@dataclass(frozen=True)
class Switches:
    """The switches of an instance; ``properties`` are patterns such as ``pylint-*``."""

    build_times: bool = False
    step_times: bool = False
    statistics: bool = False
    properties: tuple[str, ...] = ()
    master_metrics: bool = False

    def __or__(self, other: Switches) -> Switches:
        return Switches(
            self.build_times or other.build_times,
            self.step_times or other.step_times,
            self.statistics or other.statistics,
            tuple(dict.fromkeys(self.properties + other.properties)),
            self.master_metrics or other.master_metrics,
        )

    def wants_property(self, name: str) -> bool:
        """Whether one of the patterns matches the property."""
        return any(fnmatchcase(name, pattern) for pattern in self.properties)

    @property
    def of_builds(self) -> bool:
        """Whether builds have to be followed."""
        return self.build_times or self.step_times or self.statistics or bool(self.properties)


#: The fields of a ``series=`` format.
SERIES_FIELDS = ("builder", "step", "name", "project")


@dataclass(frozen=True)
class SeriesOverrides:
    """Overrides of a value's series, kind, unit, direction and tags in master.cfg; None keeps the value's own.

    ``gate`` is the gate of the series; None leaves it to the policy.
    """

    series: Optional[str] = None
    kind: Optional[Kind] = None
    unit: Optional[str] = None
    better: Optional[Direction] = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    gate: Optional[Gate] = None

    @classmethod
    def read(
        cls,
        series: Any = None,
        kind: Union[Kind, str, None] = None,
        unit: Optional[str] = None,
        better: Union[Direction, str, None] = None,
        tags: Optional[Mapping[str, Any]] = None,
        gate: Optional[Gate] = None,
    ) -> SeriesOverrides:
        """The overrides in arguments of master.cfg; a MeasureError names the expected value."""
        if unit is not None:
            if not isinstance(unit, str):
                raise RecordError(f"unit {units.excerpt(repr(unit))}: expected a text, such as bytes")
            units.find(unit)
            if kind is not None:
                check_kind(choose(Kind, kind, "kind"), unit)
        if series is not None:
            check_series(series)
        gate = check_gate(gate)
        return cls(
            series,
            None if kind is None else choose(Kind, kind, "kind"),
            unit,
            None if better is None else direction(better),
            check_tags({} if tags is None else tags),
            None if gate is None else gate.in_unit(unit),
        )


def fixed_by(value: Value, overrides: SeriesOverrides) -> Value:
    """The value, which wins over what a worker reports in what master.cfg gives: kind, unit and direction."""
    return value._replace(
        fixed_kind=value.fixed_kind or overrides.kind is not None,
        fixed_unit=value.fixed_unit or overrides.unit is not None,
        fixed_better=value.fixed_better or overrides.better is not None,
    )


@dataclass(frozen=True)
class Track:
    """One subject of a track call: the name of a step, property or statistic."""

    subject: str
    overrides: SeriesOverrides = SeriesOverrides()
    step: Optional[str] = None


#: The arguments that every instance takes.
SWITCHES = ("trackBuildTimes", "trackStepTimes", "trackStatistics", "trackProperties", "trackMasterMetrics")


def check_names(given: Iterable[str], known: Sequence[str]) -> None:
    """RecordError for an argument that is not one of ``known``."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise RecordError(f"unknown argument {', '.join(unknown)}: expected one of {', '.join(known)}")


def check_flag(name: str, value: Any) -> bool:
    """``value``; RecordError where it is neither True nor False."""
    if not isinstance(value, bool):
        raise RecordError(f"{name} {value!r}: expected True or False")
    return value


def read_switches(
    *,
    trackBuildTimes: bool = False,
    trackStepTimes: bool = False,
    trackStatistics: bool = False,
    trackProperties: Any = (),
    trackMasterMetrics: bool = False,
) -> Switches:
    """The switches in an instance's arguments; RecordError for a wrong value."""
    for name, value in (
        ("trackBuildTimes", trackBuildTimes),
        ("trackStepTimes", trackStepTimes),
        ("trackStatistics", trackStatistics),
        ("trackMasterMetrics", trackMasterMetrics),
    ):
        check_flag(name, value)
    patterns = trackProperties
    if not isinstance(patterns, (list, tuple)) or not all(isinstance(pattern, str) and pattern for pattern in patterns):
        raise RecordError(f"trackProperties {patterns!r}: expected a list of patterns such as 'pylint-*'")
    return Switches(trackBuildTimes, trackStepTimes, trackStatistics, tuple(patterns), trackMasterMetrics)


def split_arguments(kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments of an instance without its switches, and its switches."""
    switches = {name: value for name, value in kwargs.items() if name.startswith("track")}
    return {name: value for name, value in kwargs.items() if name not in switches}, switches


#: The switches of ``trackAll=True``.
ALL = Switches(True, True, True, builtin_series.PROPERTIES)


@dataclass(frozen=True)
class Plan:
    """The tracking of one builder; a running build keeps the plan that it started with."""

    step_times: tuple[Track, ...] = ()
    properties: tuple[Track, ...] = ()
    statistics: tuple[Track, ...] = ()
    custom: tuple[Track, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    only_tracked: bool = False
    switches: Switches = Switches()
    baseline_builder: Optional[str] = None

    def custom_of(self, step: str) -> Optional[SeriesOverrides]:
        """The overrides of the last trackCustomStep for a measuring step; None without one."""
        for track in reversed(self.custom):
            if track.subject == step:
                return track.overrides
        return None


def check_series(series: Any) -> str:
    """``series``, the name or format of a series; RecordError for an invalid format or an unknown field."""
    check_text("series", series, 1000)
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(series) if name is not None]
    except ValueError as error:
        raise RecordError(f"series {series!r}: expected a format ({error})") from None
    for name in fields:
        if name not in SERIES_FIELDS:
            raise RecordError(f"series {series!r}: {{{name}}} is not one of {', '.join(SERIES_FIELDS)}")
    try:
        series.format(**dict.fromkeys(SERIES_FIELDS, ""))
    except (ValueError, LookupError) as error:  # such as {step:d}, which fits no name
        raise RecordError(f"series {series!r}: expected a format that names fit ({error})") from None
    return str(series)


def series_name(
    template: Optional[str], default: str, *, builder: str, step: Optional[str], project: Optional[str]
) -> str:
    """The series of one value by a format; ``default`` without a format."""
    if template is None:
        return default
    return template.format(builder=builder, step=step or "", name=default, project=project or "")
