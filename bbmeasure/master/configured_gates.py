"""Gates in a master.cfg: where each is given, and what of them never has an effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, Optional

from bbmeasure.capture import builtin_series
from bbmeasure.capture.gates import Gate, Level, Patterns
from bbmeasure.capture.plan import Plan, Switches, Track, series_name
from bbmeasure.master.tracking.builder import CALLS, named_steps

#: What to do about a tracked value whose level has no step that it can act on.
ADD = "add steps.CheckMeasurements() as the last step"


class GivenGate(NamedTuple):
    """A gate and where it is given.

    ``series`` is None where its name depends on the build.  ``unit``, ``kind`` and ``better`` are None where
    master.cfg does not say them; ``pattern`` is that of a gate of the policy.
    """

    where: str
    gate: Gate
    builder: Optional[str] = None
    series: Optional[str] = None
    pattern: Optional[str] = None
    unit: Optional[str] = None
    kind: Optional[str] = None
    better: Optional[str] = None

    def to_dict(self) -> dict[str, Any]:
        """The gate with its arguments, for JSON."""
        return {**self._asdict(), "gate": self.gate.arguments()}


def given_gates(builders: Sequence[Any], patterns: Patterns) -> Iterator[GivenGate]:
    """All gates of a configuration, in the order in which they apply."""
    for builder in builders:
        yield from _of_tracks(builder)
        yield from _of_steps(builder)
    for pattern, gate in patterns:
        yield GivenGate(f"MeasurementPolicy: gates[{pattern!r}]", gate, pattern=pattern)


def _of_tracks(builder: Any) -> Iterator[GivenGate]:
    for call, track in _tracks(builder):
        gate, overrides = track.overrides.gate, track.overrides
        if gate is None:
            continue
        unit, kind, better = overrides.unit, overrides.kind, overrides.better
        if call == "step_times":
            unit = "s"
        yield GivenGate(
            f"builder {builder.name}: {CALLS[call]}({track.subject!r})",
            gate,
            builder.name,
            _series(builder.name, track, call),
            unit=unit or (builtin_series.UNITS.get(track.subject) if call == "properties" else None),
            kind=kind.value if kind is not None else None,
            better=better.word if better is not None else None,
        )


def _of_steps(builder: Any) -> Iterator[GivenGate]:
    plan = getattr(builder, "measurePlan", Plan())
    for name, step in named_steps(builder.factory):
        if name is None:
            continue
        gate = getattr(step, "given_gate", None)
        tracked = plan.custom_of(name)
        if gate is None or (tracked is not None and tracked.gate is not None):
            continue
        template = (tracked and tracked.series) or step.series
        known = template is None or (isinstance(template, str) and "{project" not in template)
        series = series_name(template, name, builder=builder.name, step=name, project=None) if known else None
        unit = step.given_unit or step.measured_unit
        yield GivenGate(f"builder {builder.name}: step {name!r}", gate, builder.name, series, unit=unit)


def measuring_steps(builders: Sequence[Any]) -> list[str]:
    """The names of the measuring steps of all builders."""
    found = [pair for builder in builders for pair in named_steps(builder.factory)]
    return sorted({name for name, step in found if name is not None and getattr(step, "bbmeasure_measures", False)})


def ineffective_gates(builders: Sequence[Any], switches: Switches, patterns: Patterns) -> Iterator[str]:
    """A message, with what to do, for each level that acts on no step, and for each builder that does not exist."""
    names = {builder.name for builder in builders}
    for builder in builders:
        baseline = getattr(builder, "measurePlan", Plan()).baseline_builder
        if baseline is not None and baseline not in names:
            yield f"builder {builder.name}: baselineBuilder {baseline!r}: no builder has that name"
        yield from _levels(builder, switches, patterns)


def _levels(builder: Any, switches: Switches, patterns: Patterns) -> Iterator[str]:
    """The levels of tracked values that no CheckMeasurements judges."""
    judged = _judged_steps(builder)
    for call, track in _tracks(builder):
        gate = track.overrides.gate
        if call == "custom" or gate is None or gate.level is Level.INFO:
            continue
        step = track.subject if call == "step_times" else track.step
        if judged is None or (step is not None and step not in judged):
            after = "" if judged is None else f" after {step!r}"
            yield (
                f"builder {builder.name}: {CALLS[call]}({track.subject!r}): level {str(gate.level)!r} acts on no step; "
                f"{ADD}{after}"
            )
    if judged is not None:
        return
    plan = getattr(builder, "measurePlan", None)
    tracked = {} if plan is None else {_series(builder.name, track, call): call for call, track in _tracks(builder)}
    if plan is not None and (switches | plan.switches).step_times:
        tracked["step_duration"] = "step_times"
    for pattern, gate in patterns:
        found = [name for name, call in tracked.items() if call != "custom" and fnmatchcase(name or "", pattern)]
        if gate.level is not Level.INFO and found:
            yield (
                f"builder {builder.name}: gates[{pattern!r}]: level {str(gate.level)!r} acts on no step for "
                f"{found[0]}; {ADD}"
            )


def _judged_steps(builder: Any) -> Optional[set[str]]:
    """The steps before the last CheckMeasurements; None without one."""
    names: list[str] = []
    judged: Optional[set[str]] = None
    for name, step in named_steps(builder.factory):
        if getattr(step, "bbmeasure_judges", False):
            judged = set(names)
        names += [name] if name is not None else []
    return judged


def _tracks(builder: Any) -> Iterator[tuple[str, Track]]:
    plan = getattr(builder, "measurePlan", None)
    for call in CALLS if plan is not None else ():
        for track in getattr(plan, call):
            yield call, track


def _series(builder: str, track: Track, call: str) -> Optional[str]:
    """The series of a track; None where its name depends on the build."""
    step = track.subject if call in ("step_times", "custom") else track.step
    template = track.overrides.series
    if template is not None and ("{project" in template or ("{step" in template and step is None)):
        return None
    return series_name(template, track.subject, builder=builder, step=step, project=None)
