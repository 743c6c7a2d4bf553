"""MeasuredBuilderConfig: a builder that says what of its builds is tracked."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Optional

from buildbot.config import BuilderConfig
from buildbot.config.errors import error as config_error
from buildbot.interfaces import IRenderable

from bbmeasure.capture.plan import ALL, Plan, SeriesOverrides, Switches, Track, check_flag, check_names
from bbmeasure.errors import MeasureError, RecordError
from bbmeasure.master.tracking.build_class import measured_class
from bbmeasure.records import check_tags
from bbmeasure.units import excerpt

#: The call that fills each list of a plan.
CALLS = {
    "step_times": "trackStepTimes",
    "properties": "trackProperties",
    "statistics": "trackStatistics",
    "custom": "trackCustomStep",
}
#: Who takes patterns, where a call does not.
PATTERNS = {
    "properties": "patterns go into trackProperties=[...] of an instance in c['services']",
    "statistics": "trackStatistics=True of an instance in c['services'] takes all of them",
}


class MeasuredBuilderConfig(BuilderConfig):
    """A BuilderConfig whose builds are measured.

    ``measureTags`` are tags of every point of this builder.  ``trackAll`` tracks build and step times, statistics and
    the numeric properties of stock steps; ``onlyTracked`` keeps of measuring steps only what ``trackCustomStep`` names.
    Add the steps to the factory first: a track call checks names at once.  Builders that share a factory share no
    tracking, and a running build keeps the tracking that it started with.
    """

    name: str
    factory: Any

    def __init__(
        self,
        *args: Any,
        measureTags: Optional[Mapping[str, Any]] = None,
        onlyTracked: bool = False,
        trackAll: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._plan = Plan()
        try:
            only, everything = check_flag("onlyTracked", onlyTracked), check_flag("trackAll", trackAll)
            self._plan = Plan(only_tracked=only, switches=ALL if everything else Switches())
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
        """What is tracked."""
        return self._plan

    def trackStepTimes(self, *steps: str, series: Optional[str] = None, **overrides: Any) -> None:
        """Keep the duration of each of ``steps`` as a series named after the step, or by ``series``.

        ``tags`` and ``better`` (lower where it is not given) say more of it.  Called twice for a step, it keeps two
        series.  NameError for a step that the factory does not have.
        """
        for step in steps:
            found = self._step(step)
            if series is None and getattr(found, "bbmeasure_measures", False):
                config_error(
                    f"builder {self.name!r}: trackStepTimes({step!r}): its own series has that name; give series="
                )
        for fixed in ("kind", "unit"):
            if fixed in overrides:
                config_error(f"builder {self.name!r}: trackStepTimes: expected no {fixed}=, a duration is in seconds")
                return
        overrides.setdefault("better", "lower")
        self._add("step_times", steps, series=series, **overrides)

    def trackProperties(self, *names: str, series: Optional[str] = None, **overrides: Any) -> None:
        """Keep each property, as it is when a build ends, as a series of its name or of ``series``.

        Names are taken as they are: patterns go into ``trackProperties=[...]`` of an instance.
        """
        self._add("properties", names, series=series, **overrides)

    def trackStatistics(
        self, *names: str, step: Optional[str] = None, series: Optional[str] = None, **overrides: Any
    ) -> None:
        """Keep each statistic that steps (or one ``step``) set by ``setStatistic``, tagged with the step."""
        if step is not None:
            self._step(step)
        self._add("statistics", names, of_step=step, series=series, **overrides)

    def trackCustomStep(self, *steps: str, series: Optional[str] = None, **overrides: Any) -> None:
        """Keep what a measuring step measures, under another name or meaning where one is given."""
        for step in steps:
            found = self._step(step)
            if found is not None and not getattr(found, "bbmeasure_measures", False):
                config_error(f"builder {self.name!r}: trackCustomStep({step!r}): expected a measuring step")
        self._add("custom", steps, series=series, **overrides)

    def _add(self, what: str, subjects: tuple[str, ...], *, of_step: Optional[str] = None, **overrides: Any) -> None:
        call = CALLS[what]
        try:
            check_names(overrides, ("series", "kind", "unit", "better", "tags"))
            _check_subjects(what, subjects)
            read = SeriesOverrides.read(**overrides)
        except MeasureError as error:
            of = ", ".join(excerpt(str(subject)) for subject in subjects)
            config_error(f"builder {self.name!r}: {call}({of}): {error}")
            return
        tracks = tuple(Track(subject, read, of_step) for subject in subjects)
        self._plan = replace(self._plan, **{what: getattr(self._plan, what) + tracks})

    def _step(self, wanted: str) -> Any:
        """The step of that name as the factory makes it; NameError where there is none.

        None where a step's name is known only in a build, so that nothing can be checked.
        """
        steps: dict[str, Any] = {}
        unknown_names = False
        for step_factory in self._given_factory.steps if self.factory is not None else ():
            step = step_factory.buildStep() if hasattr(step_factory, "buildStep") else step_factory
            name = step.name
            if IRenderable.providedBy(name):
                unknown_names = True
                continue
            taken, count = name, 0
            while taken in steps:
                count += 1
                taken = f"{name}_{count}"
            steps[taken] = step
        if isinstance(wanted, str) and wanted in steps:
            return steps[wanted]
        if unknown_names:
            return None
        raise NameError(f"builder {self.name!r} has no step {wanted!r}: expected one of {', '.join(sorted(steps))}")


def _check_subjects(what: str, subjects: tuple[str, ...]) -> None:
    """RecordError where there is no name, or one that is none."""
    wanted = "step" if what in ("step_times", "custom") else {"properties": "property", "statistics": "statistic"}[what]
    if not subjects:
        raise RecordError(f"expected the name of a {wanted}")
    for subject in subjects:
        if not isinstance(subject, str) or not subject:
            raise RecordError(f"{excerpt(str(subject))}: expected the name of a {wanted}")
        if what in PATTERNS and set("*?") & set(subject):
            raise RecordError(f"{excerpt(subject)}: expected the name of a {wanted}; {PATTERNS[what]}")
