"""What is tracked: what a MeasuredBuilderConfig was told, and the switches of the instances."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Optional, Union

from bbmeasure import units
from bbmeasure.capture import builtin_series
from bbmeasure.errors import RecordError
from bbmeasure.records import Direction, Kind, check_tags, check_text, choose, direction


@dataclass(frozen=True)
class Switches:
    """What is tracked without naming it; ``properties`` are patterns such as ``pylint-*``."""

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
        """Whether one of the patterns matches."""
        return any(fnmatchcase(name, pattern) for pattern in self.properties)

    @property
    def of_builds(self) -> bool:
        """Whether anything of a build is wanted."""
        return self.build_times or self.step_times or self.statistics or bool(self.properties)


#: What a ``series=`` may name in braces.
SERIES_FIELDS = ("builder", "step", "name", "project")


@dataclass(frozen=True)
class SeriesOverrides:
    """What master.cfg says of a value: its series' name and what it means.  None leaves that to the value."""

    series: Optional[str] = None
    kind: Optional[Kind] = None
    unit: Optional[str] = None
    better: Optional[Direction] = None
    tags: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(
        cls,
        series: Any = None,
        kind: Union[Kind, str, None] = None,
        unit: Optional[str] = None,
        better: Union[Direction, str, None] = None,
        tags: Optional[Mapping[str, Any]] = None,
    ) -> SeriesOverrides:
        """A SeriesOverrides from what a person wrote; a MeasureError says what was wanted."""
        if unit is not None:
            if not isinstance(unit, str):
                raise RecordError(f"unit {units.excerpt(repr(unit))}: expected a text, such as bytes")
            units.find(unit)
        if series is not None:
            check_series(series)
        return cls(
            series,
            None if kind is None else choose(Kind, kind, "kind"),
            unit,
            None if better is None else direction(better),
            check_tags({} if tags is None else tags),
        )


@dataclass(frozen=True)
class Track:
    """One track call: ``subject`` is the step's, property's or statistic's name."""

    subject: str
    overrides: SeriesOverrides = SeriesOverrides()
    step: Optional[str] = None


#: The switches that every instance takes.
SWITCHES = ("trackBuildTimes", "trackStepTimes", "trackStatistics", "trackProperties", "trackMasterMetrics")


def check_names(given: Iterable[str], known: Sequence[str]) -> None:
    """RecordError where an argument is not one of the known ones."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise RecordError(f"unknown argument {', '.join(unknown)}: expected one of {', '.join(known)}")


def check_flag(what: str, got: Any) -> bool:
    """``got`` as it is; RecordError where it is neither True nor False."""
    if not isinstance(got, bool):
        raise RecordError(f"{what} {got!r}: expected True or False")
    return got


def read_switches(
    *,
    trackBuildTimes: bool = False,
    trackStepTimes: bool = False,
    trackStatistics: bool = False,
    trackProperties: Any = (),
    trackMasterMetrics: bool = False,
) -> Switches:
    """The switches that every instance takes; RecordError where one is not what it must be."""
    for what, got in (
        ("trackBuildTimes", trackBuildTimes),
        ("trackStepTimes", trackStepTimes),
        ("trackStatistics", trackStatistics),
        ("trackMasterMetrics", trackMasterMetrics),
    ):
        check_flag(what, got)
    patterns = trackProperties
    if not isinstance(patterns, (list, tuple)) or not all(isinstance(one, str) and one for one in patterns):
        raise RecordError(f"trackProperties {patterns!r}: expected a list of patterns such as 'pylint-*'")
    return Switches(trackBuildTimes, trackStepTimes, trackStatistics, tuple(patterns), trackMasterMetrics)


def split_arguments(kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """An instance's own arguments, and its switches."""
    switches = {name: value for name, value in kwargs.items() if name.startswith("track")}
    return {name: value for name, value in kwargs.items() if name not in switches}, switches


#: What ``trackAll=True`` means.
ALL = Switches(True, True, True, builtin_series.PROPERTIES)


@dataclass(frozen=True)
class Plan:
    """All that one builder tracks; a running build keeps the one it started with."""

    step_times: tuple[Track, ...] = ()
    properties: tuple[Track, ...] = ()
    statistics: tuple[Track, ...] = ()
    custom: tuple[Track, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    only_tracked: bool = False
    switches: Switches = Switches()

    def custom_of(self, step: str) -> Optional[SeriesOverrides]:
        """What trackCustomStep said last of a measuring step; None where it said nothing."""
        for track in reversed(self.custom):
            if track.subject == step:
                return track.overrides
        return None


def check_series(series: Any) -> str:
    """A series' name or format, as it is; RecordError where it is none or names an unknown field."""
    check_text("series", series, 1000)
    try:
        named = [name for _, name, _, _ in string.Formatter().parse(series) if name is not None]
    except ValueError as error:
        raise RecordError(f"series {series!r}: expected a format ({error})") from None
    for name in named:
        if name not in SERIES_FIELDS:
            raise RecordError(f"series {series!r}: {{{name}}} is not one of {', '.join(SERIES_FIELDS)}")
    try:
        series.format(**dict.fromkeys(SERIES_FIELDS, ""))
    except (ValueError, LookupError) as error:  # such as {step:d}, which no name fits
        raise RecordError(f"series {series!r}: expected a format that names fit ({error})") from None
    return str(series)


def series_name(
    template: Optional[str], default: str, *, builder: str, step: Optional[str], project: Optional[str]
) -> str:
    """The series that ``template`` names for one value; ``default`` where there is no template."""
    if template is None:
        return default
    return template.format(builder=builder, step=step or "", name=default, project=project or "")
