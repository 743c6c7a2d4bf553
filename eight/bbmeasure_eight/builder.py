"""MeasuredBuilderConfig: a BuilderConfig that says what of its builds is captured."""

from __future__ import unicode_literals

from buildbot import config
from buildbot.config import BuilderConfig

from bbmeasure_eight import builds, texts, units
from bbmeasure_eight.builds import NO_PLAN, Track
from bbmeasure_eight.errors import MeasureError
from bbmeasure_eight.records import DIRECTIONS, KINDS, LONGEST_NAME, check_kind, check_tags, check_text, choose
from bbmeasure_eight.points import BuildContext

_OVERRIDES = ("series", "kind", "unit", "better", "tags")


class MeasuredBuilderConfig(BuilderConfig):
    """A BuilderConfig with track calls; ``measureTags`` are tags of all values of its builds.

    Track calls check names of steps when they are called: add the steps to the factory first.
    """

    def __init__(self, name=None, measureTags=None, **kwargs):
        BuilderConfig.__init__(self, name=name, **kwargs)
        self.measurePlan = NO_PLAN
        try:
            self.measurePlan = NO_PLAN._replace(tags=check_tags(measureTags or {}))
        except MeasureError as error:
            self._error("measureTags", error)

    def trackStepTimes(self, *steps, **overrides):
        """Track the duration of each of ``steps``, in a series named after the step, or by ``series=``.

        NameError for a step that the factory does not have.
        """
        for name in steps:
            step = self._step(name)
            if getattr(step, "bbmeasure_measures", False) and "series" not in overrides:
                self._error("trackStepTimes", "step %s: its own series has that name; give series=" % name)
        if set(overrides) & set(["kind", "unit"]):
            self._error("trackStepTimes", "expected no kind= and no unit=, a duration is in seconds")
        self._add("step_times", "trackStepTimes", steps, overrides)

    def trackProperties(self, *names, **overrides):
        """Track the value of each property at the end of the build, in a series of its name or by ``series=``."""
        self._add("properties", "trackProperties", names, overrides)

    def trackCustomStep(self, *steps, **overrides):
        """Track a measuring step; ``series``, ``kind``, ``unit``, ``better`` and ``tags`` override its own."""
        for name in steps:
            if not getattr(self._step(name), "bbmeasure_measures", False):
                self._error("trackCustomStep", "step %s: expected a measuring step" % name)
        self._add("custom", "trackCustomStep", steps, overrides)

    def _error(self, call, why):
        text = "builder %s: %s: %s" % (texts.decode(self.name), call, texts.message(why))
        config.error(text.encode("utf-8"))

    def _add(self, kind, call, subjects, overrides):
        try:
            if not subjects or not all(isinstance(name, texts.STRINGS) and name for name in subjects):
                raise MeasureError("expected names, got %r" % (subjects,))
            read = read_overrides(overrides)
        except MeasureError as error:
            self._error(call, error)
            return
        tracks = tuple(Track(texts.decode(name), **read) for name in subjects)
        self.measurePlan = self.measurePlan._replace(**{str(kind): getattr(self.measurePlan, kind) + tracks})

    def _step(self, name):
        """The step of that name, as a build of the factory names it; NameError where there is none."""
        steps = {}
        for factory in self.factory.steps if self.factory is not None else ():
            step = factory.buildStep()
            unique, count = step.name, 0
            while unique in steps:
                count += 1
                unique = "%s_%d" % (step.name, count)
            steps[unique] = step
        if name in steps:
            return steps[name]
        known = ", ".join(sorted(texts.decode(step) for step in steps if isinstance(step, texts.STRINGS)))
        text = "builder %s has no step %s: expected one of %s" % (texts.decode(self.name), texts.decode(name), known)
        raise NameError(text.encode("utf-8"))


def read_overrides(given):
    """The arguments of a track call or a measuring step, checked; MeasureError names the expected value."""
    unknown = sorted(set(given) - set(_OVERRIDES))
    if unknown:
        raise MeasureError("unknown argument %s: expected one of %s" % (", ".join(unknown), ", ".join(_OVERRIDES)))
    read = dict.fromkeys(map(str, _OVERRIDES))
    read.update((name, texts.decode(value)) for name, value in given.items())
    if read["unit"] is not None:
        units.find(read["unit"])
    if read["kind"] is not None:
        choose(KINDS, read["kind"], "kind")
    if read["kind"] is not None and read["unit"] is not None:
        check_kind(read["kind"], read["unit"])
    if read["better"] is not None:
        choose(DIRECTIONS, read["better"], "better")
    if read["series"] is not None:
        _check_series(read["series"])
    read["tags"] = check_tags(read["tags"] or {})
    return read


def _check_series(series):
    check_text("series", series, LONGEST_NAME)
    try:
        builds.series_name(series, "", BuildContext("", "", 0, "", None, None, "", ""))
    except (ValueError, LookupError, AttributeError):
        raise MeasureError(
            "series %s: expected a format with {builder}, {step}, {name} and {project}" % texts.excerpt(series)
        )
