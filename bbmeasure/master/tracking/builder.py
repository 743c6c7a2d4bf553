"""MeasuredBuilderConfig: a builder configuration with track calls."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Optional

from buildbot.config import BuilderConfig
from buildbot.config.errors import error as config_error
from buildbot.interfaces import IRenderable

from bbmeasure.capture.plan import ALL, Plan, SeriesOverrides, Switches, Track, check_flag, check_names
from bbmeasure.errors import MeasureError, RecordError
from bbmeasure.master.tracking.build_class import measured_class
from bbmeasure.records import LONGEST_NAME, check_tags, check_text
from bbmeasure.units import excerpt

#: The track call of each list of a plan.
CALLS = {
    "step_times": "trackStepTimes",
    "properties": "trackProperties",
    "statistics": "trackStatistics",
    "custom": "trackCustomStep",
}
_NOUNS = {"properties": "property", "statistics": "statistic"}
#: Where patterns belong, for the calls that take none.
PATTERNS = {
    "properties": "patterns go into trackProperties=[...] of an instance in c['services']",
    "statistics": "trackStatistics=True of an instance in c['services'] takes all of them",
}


class MeasuredBuilderConfig(BuilderConfig):
    """A BuilderConfig whose builds are measured.

    ``measureTags`` are tags of every point of this builder.  Proposals that it builds are judged against the lines of
    ``baselineBuilder``, by default its own.  ``trackAll`` tracks build and step times, statistics and
    the numeric properties of stock steps.  With ``onlyTracked`` only the measuring steps that ``trackCustomStep`` names
    are captured.  Add the steps to the factory before the track calls, which check step names at once.  Builders that
    share a factory share no tracking, and a running build keeps the tracking that it started with.
    """

    name: str
    factory: Any

    def __init__(
        self,
        *args: Any,
        measureTags: Optional[Mapping[str, Any]] = None,
        onlyTracked: bool = False,
        trackAll: bool = False,
        baselineBuilder: Optional[str] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._plan = Plan()
        try:
            only, everything = check_flag("onlyTracked", onlyTracked), check_flag("trackAll", trackAll)
            if baselineBuilder is not None:
                check_text("baselineBuilder", baselineBuilder, LONGEST_NAME)
            switches = ALL if everything else Switches()
            self._plan = Plan(only_tracked=only, switches=switches, baseline_builder=baselineBuilder)
        except MeasureError as error:
            config_error(f"builder {self.name!r}: {error}")
        try:
            self._plan = replace(self._plan, tags=check_tags({} if measureTags is None else measureTags))
        except MeasureError as error:
            config_error(f"builder {self.name!r}: measureTags: {error}")
        if self.factory is not None:
            self._given_factory = self.factory
            self.factory = copy.copy(self.factory)
            self.factory.buildClass = measured_class(self.factory.buildClass)

    @property
    def measurePlan(self) -> Plan:
        """The tracking of this builder."""
        return self._plan

    def trackStepTimes(self, *steps: str, series: Optional[str] = None, **overrides: Any) -> None:
        """Track the duration of each of ``steps``, in a series named after the step, or by ``series``.

        ``tags``, ``better`` (default: lower) and ``gate`` apply to the series.  Calling it twice for a step makes two
        series.  NameError for a step that the factory does not have.
        """
        for name in steps:
            step = self._step(name)
            if series is None and getattr(step, "bbmeasure_measures", False):
                config_error(
                    f"builder {self.name!r}: trackStepTimes({name!r}): its own series has that name; give series="
                )
        for fixed in ("kind", "unit"):
            if fixed in overrides:
                config_error(f"builder {self.name!r}: trackStepTimes: expected no {fixed}=, a duration is in seconds")
                return
        overrides.setdefault("better", "lower")
        self._add("step_times", steps, series=series, **overrides)

    def trackProperties(self, *names: str, series: Optional[str] = None, **overrides: Any) -> None:
        """Track the value of each property at the end of the build, in a series of its name or by ``series``.

        Patterns are not names: they belong in ``trackProperties=[...]`` of an instance.
        """
        self._add("properties", names, series=series, **overrides)

    def trackStatistics(
        self, *names: str, step: Optional[str] = None, series: Optional[str] = None, **overrides: Any
    ) -> None:
        """Track each statistic that the steps, or one ``step``, set by ``setStatistic``; the step is a tag."""
        if step is not None:
            self._step(step)
        self._add("statistics", names, of_step=step, series=series, **overrides)

    def trackCustomStep(self, *steps: str, series: Optional[str] = None, **overrides: Any) -> None:
        """Track a measuring step; the arguments override its own."""
        for name in steps:
            step = self._step(name)
            if step is not None and not getattr(step, "bbmeasure_measures", False):
                config_error(f"builder {self.name!r}: trackCustomStep({name!r}): expected a measuring step")
        self._add("custom", steps, series=series, **overrides)

    def _add(self, call: str, subjects: tuple[str, ...], *, of_step: Optional[str] = None, **overrides: Any) -> None:
        name = CALLS[call]
        try:
            check_names(overrides, ("series", "kind", "unit", "better", "tags", "gate"))
            _check_subjects(call, subjects)
            read = SeriesOverrides.read(**overrides)
            if call != "custom" and read.gate is not None and read.gate.rerun:
                raise RecordError(f"gate: rerun {read.gate.rerun}: expected 0, only measuring steps measure again")
        except MeasureError as error:
            of = ", ".join(excerpt(str(subject)) for subject in subjects)
            config_error(f"builder {self.name!r}: {name}({of}): {error}")
            return
        tracks = tuple(Track(subject, read, of_step) for subject in subjects)
        self._plan = replace(self._plan, **{call: getattr(self._plan, call) + tracks})

    def _step(self, name: str) -> Any:
        """The step of that name as the factory builds it; NameError where the factory has none.

        None where the name of a step is rendered in the build, so that it cannot be checked.
        """
        found = list(named_steps(self._given_factory if self.factory is not None else None))
        steps = {unique: step for unique, step in found if unique is not None}
        if isinstance(name, str) and name in steps:
            return steps[name]
        if len(steps) < len(found):
            return None
        raise NameError(f"builder {self.name!r} has no step {name!r}: expected one of {', '.join(sorted(steps))}")


def named_steps(factory: Any) -> Iterator[tuple[Optional[str], Any]]:
    """The steps of a factory with the names that they have in a build; None for a name that is rendered there."""
    seen: set[str] = set()
    for step_factory in factory.steps if factory is not None else ():
        step = step_factory.buildStep() if hasattr(step_factory, "buildStep") else step_factory
        if IRenderable.providedBy(step.name):
            yield None, step
            continue
        unique, count = step.name, 0
        while unique in seen:
            count += 1
            unique = f"{step.name}_{count}"
        seen.add(unique)
        yield unique, step


def _check_subjects(call: str, subjects: tuple[str, ...]) -> None:
    """RecordError where a name is missing, or is a pattern."""
    noun = "step" if call in ("step_times", "custom") else _NOUNS[call]
    if not subjects:
        raise RecordError(f"expected the name of a {noun}")
    for subject in subjects:
        if not isinstance(subject, str) or not subject:
            raise RecordError(f"{excerpt(str(subject))}: expected the name of a {noun}")
        if call in PATTERNS and set("*?") & set(subject):
            raise RecordError(f"{excerpt(subject)}: expected the name of a {noun}; {PATTERNS[call]}")
