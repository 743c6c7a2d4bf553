"""The values of a finished build, read from Buildbot's own record of it.

The same for a build that has just ended and for one read from its pickle: their points are equal.
"""

from __future__ import unicode_literals

import sys
from collections import namedtuple
from fnmatch import fnmatchcase

from bbmeasure_eight import texts, units
from bbmeasure_eight.errors import MeasureError
from bbmeasure_eight.points import LONGEST_FIELD, BuildContext, field_text, identity_time, point_of
from bbmeasure_eight.records import Record

#: The tag ``result`` of SUCCESS, WARNINGS, FAILURE, SKIPPED, EXCEPTION and RETRY, in the order of their numbers.
RESULTS = ("success", "success", "failure", "skip", "error", "error")
#: Kinds and directions of properties that Buildbot's own steps set.
_COUNTS = (("warnings-count", "lower"), ("pylint-*", "lower"), ("pyflakes-*", "lower"))

#: What an instance captures of every build; ``properties`` are patterns.
Switches = namedtuple(str("Switches"), str("build_times step_times properties"))
#: One subject of a track call, with the arguments of the call.
Track = namedtuple(str("Track"), str("subject series kind unit better tags"))
#: What a builder tracks: lists of Track, and tags of all values.
Plan = namedtuple(str("Plan"), str("step_times properties custom tags"))
NO_PLAN = Plan((), (), (), {})


def result_word(results):
    """The tag ``result`` for a result of Buildbot."""
    return RESULTS[results] if isinstance(results, int) and 0 <= results < len(RESULTS) else "error"


def context_of(build_or_step, default_branch="main"):
    """The BuildContext of a build, a step, or the status of a build."""
    step = None
    if getattr(build_or_step, "build", None) is not None and not hasattr(build_or_step, "getSourceStamps"):
        step, build_or_step = texts.decode(build_or_step.name), build_or_step.build
    status = getattr(build_or_step, "build_status", build_or_step)
    if not hasattr(status, "getSourceStamps"):
        raise MeasureError("build %r: expected a build or a step" % (build_or_step,))
    return status_context(status, texts.decode(status.getBuilder().getName()), default_branch)._replace(step=step)


def status_context(status, builder, default_branch="main"):
    """The BuildContext of a BuildStatus."""
    properties = status.properties
    branch, proposal = branch_of(status.sources or (), default_branch)
    return BuildContext(
        builder,
        texts.decode(status.slavename),
        status.number,
        None,
        field_text(properties.getProperty("got_revision")) or field_text(properties.getProperty("revision")),
        branch,
        field_text(properties.getProperty("project")),
        proposal,
    )


def branch_of(sources, default_branch):
    """The branch that a build is judged on, and its proposal: ``try`` with a patch, else empty."""
    branches, proposal = [], ""
    for source in sorted(sources, key=lambda source: source.codebase):
        branch = texts.decode(source.branch or "")
        branch = branch[len("refs/heads/") :] if branch.startswith("refs/heads/") else branch
        proposal = "try" if source.patch else proposal
        if branch and branch != default_branch and branch not in branches:
            branches.append(branch)
    return field_text("+".join(branches)[:LONGEST_FIELD]) or default_branch, proposal


def number_or_text(value):
    """The number of a property that is a number or a text with one, else its text; None for neither."""
    if isinstance(value, (bool, int, long, float)):  # noqa: F821
        return float(value) if abs(value) < sys.float_info.max else None
    if isinstance(value, texts.STRINGS):
        text = texts.decode(value)
        try:
            quantity = units.parse(text)
        except MeasureError:
            return text
        return quantity.value if (quantity.unit, quantity.kind) == ("1", "number") else text
    return texts.decode(str(value))[: units.LONGEST_QUANTITY]


class Collector(object):
    """Collects the points of one finished build; ``refused`` holds the reasons of values that make none."""

    def __init__(self, status, builder, master, plan, default_branch="main"):
        self.status = status
        self.plan = plan
        self.points = []
        self.refused = []
        self._master = master
        self._context = status_context(status, builder, default_branch)

    def collect(self, switches):
        """Collect durations and properties; returns the points."""
        if switches.build_times:
            self._add_build_times()
        for step in self.status.steps:
            self._add_step_times(step, switches)
        self._add_properties(switches)
        return self.points

    def _add_build_times(self):
        started, finished = self.status.started, self.status.finished
        if started is not None and finished is not None:
            tags = {"result": result_word(self.status.results)}
            self._add("build_duration", max(0.0, finished - started), unit="s", better="lower", master_tags=tags)

    def _add_step_times(self, step, switches):
        result = result_word(step.results)
        if step.started is None or step.finished is None or result == "skip":
            return
        name, duration = texts.decode(step.name), max(0.0, step.finished - step.started)
        for track in self.plan.step_times:
            if track.subject == name:
                track = track._replace(better=track.better or "lower")
                self._add(name, duration, track, unit="s", step=step, master_tags={"result": result})
        if switches.step_times:
            tags = {"step": name, "result": result}
            self._add("step_duration", duration, unit="s", better="lower", step=step, master_tags=tags)

    def _add_properties(self, switches):
        values = dict((texts.decode(name), value[0]) for name, value in self.status.properties.properties.items())
        for track in self.plan.properties:
            if values.get(track.subject) is not None:
                self._add_property(track.subject, number_or_text(values[track.subject]), track)
        named = set(track.subject for track in self.plan.properties if track.series is None)
        for name, value in values.items():
            value = number_or_text(value)
            if isinstance(value, float) and name not in named and _any_matches(name, switches.properties):
                self._add_property(name, value, None)

    def _add_property(self, name, value, track):
        better = [direction for pattern, direction in _COUNTS if fnmatchcase(name, pattern)]
        kind = "count" if better and isinstance(value, float) else None
        unit = "KiB" if name == "tree-size-KiB" and isinstance(value, float) else None
        if name == "tree-size-KiB":
            better = ["lower"]
        self._add(name, value, track, kind=kind, unit=unit, better=better[0] if better else None)

    def _add(self, default, value, track=None, kind=None, unit=None, better=None, step=None, master_tags=None):
        name = texts.decode(step.name) if step is not None else None
        context = self._context._replace(step=name)
        track = track or Track(default, None, None, None, None, {})
        try:
            record = Record(
                series_name(track.series, default, context),
                value,
                kind=track.kind or (None if track.unit else kind),
                unit=track.unit or unit,
                better=track.better or better,
                tags=texts.merged(self.plan.tags, track.tags),
            )
        except MeasureError as error:
            what = (texts.excerpt(default), context.builder, texts.message(error))
            self.refused.append("%s of builder %s: %s" % what)
            return
        second = int(step.finished if step is not None else self.status.finished)
        number = step.step_number if step is not None else None
        tags = texts.merged(record.tags, master_tags or {})
        at = identity_time(second, self._master, context.builder, context.build, number, record.name, tags)
        self.points.append(point_of(record, at, context, master_tags))


def series_name(template, default, context):
    """The series of one value by a ``series=`` format; ``default`` without a format."""
    if template is None:
        return default
    step, project = context.step or "", context.project or ""
    return template.format(builder=context.builder, step=step, name=default, project=project)


def _any_matches(name, patterns):
    return any(fnmatchcase(name, pattern) for pattern in patterns)
