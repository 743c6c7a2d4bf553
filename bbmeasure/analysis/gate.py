"""Shift detector: judges the values of a line one build at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Optional

from bbmeasure.analysis import reasons, robust
from bbmeasure.analysis.baseline import NEEDED_AFTER_CHANGE, UNUSUAL, Baseline, nearest
from bbmeasure.analysis.runs import Build, Run
from bbmeasure.analysis.verdict import Rules, State, Verdict, number_of, numbers_of
from bbmeasure.errors import QueryError
from bbmeasure.records import Kind
from bbmeasure.units import excerpt

#: Builds after which a run that is not confirmed ends.
LONGEST_RUN = 15
#: Measurements of one build that count for a run.
MOST_SAMPLES = 25
#: Levels that can be usual at the same time.
MOST_LEVELS = 4
#: A value so many times off the level is broken.
BROKEN_FACTOR = 10.0
#: Slow drift: the first full baseline of a level against the present one, off by so many least changes.
DRIFT_CHANGES = 2.5
#: Share of the accepted values that lie near an unusual one, above which it is one of the line's modes.
MODE_SHARE = 0.1
#: Version of the kept state.
STATE_VERSION = 1


class ShiftDetector:
    """Judges the values of one line in the order of its builds, and keeps what it needs for the next one.

    ``rules`` or the fields of :class:`.Rules` by name say what the line is judged by.  A detector holds at most
    ``history`` values of each usual level, the level before the last change and 15 builds of a run; :meth:`to_dict`
    gives them as plain data, and :meth:`from_dict` goes on from there.
    """

    def __init__(self, rules: Optional[Rules] = None, **named: Any) -> None:
        self.rules = Rules(**named) if rules is None else replace(rules, **named)
        self.count = 0
        self.levels = [Baseline(history=self.rules.history)]
        self.previous: Optional[Baseline] = None
        self.reference: Optional[Baseline] = None
        self.acknowledged: dict[str, float] = {}
        self._rising = Run(1)
        self._falling = Run(-1)
        self._open: list[Build] = []
        self._least: Optional[float] = None
        self._most: Optional[float] = None
        self._suspect = False

    @property
    def run(self) -> tuple[float, ...]:
        """The values of the builds that are not accepted yet."""
        return tuple(build.value for build in self._open)

    def add(
        self, value: float, *, samples: Sequence[float] = (), excluded: bool = False, build: Optional[int] = None
    ) -> Verdict:
        """Judge the value of the next build, and remember it.

        ``samples`` are the measurements of a build that measured several times: each counts for the run, ``value``
        once for the baseline.  An ``excluded`` value (its command failed) is judged by itself and forgotten: it can
        break a rule, and confirms nothing.  ``build`` is the number that ``since`` gives; the count of the values
        before it where there is none.
        """
        value = number_of(value)
        measured = tuple(numbers_of(samples[:MOST_SAMPLES], "sample")) or (value,)
        number = self.count if build is None else build
        self.count += 1
        if excluded:
            verdict = self.propose(value)
            if verdict.confirmed and verdict.rule in ("shift", "exact"):
                return reasons.unconfirmed(self.rules, value, nearest(self.levels, value))
            return verdict
        level = nearest(self.levels, value)
        rule = self._broken_rule(value, level)
        verdict = self._assess(Build(number, value, measured), level)
        if rule is None:
            return verdict
        return replace(verdict, state=State.WORSE, rule=rule, reason=reasons.broken_rule(self.rules, rule, verdict))

    def judge(self, value: float, *, samples: Sequence[float] = ()) -> Verdict:
        """Judge a value as :meth:`add` would, and change nothing."""
        return self.copy().add(value, samples=samples)

    def propose(self, value: float, *, samples: Sequence[float] = (), alert_open: bool = False) -> Verdict:
        """Judge the value of a proposal against this line, and change nothing.

        The run of a proposal is its own measurements.  With ``alert_open`` the level before the last change is usual
        too: whichever of them a proposal has, the change is not its doing.
        """
        trial = self.copy()
        trial._end_runs()
        trial._suspect = False
        trial._open = []
        if alert_open and trial.previous is not None:
            trial.levels = [trial.previous, *trial.levels]
        return replace(trial.add(value, samples=samples), since=None)

    def copy(self) -> ShiftDetector:
        """An independent detector in the same state."""
        other = ShiftDetector(self.rules)
        other.count = self.count
        other.levels = [level.copy() for level in self.levels]
        other.previous = self.previous and self.previous.copy()
        other.reference = self.reference and self.reference.copy()
        other.acknowledged = dict(self.acknowledged)
        other._rising, other._falling = replace(self._rising), replace(self._falling)
        other._open = list(self._open)
        other._least, other._most, other._suspect = self._least, self._most, self._suspect
        return other

    def to_dict(self) -> dict[str, Any]:
        """The state as data that JSON can hold."""
        return {
            "version": STATE_VERSION,
            "rules": self.rules.to_dict(),
            "count": self.count,
            "levels": [level.to_dict() for level in self.levels],
            "previous": self.previous and self.previous.to_dict(),
            "reference": self.reference and self.reference.to_dict(),
            "acknowledged": dict(self.acknowledged),
            "runs": [asdict(self._rising), asdict(self._falling)],
            "open": [asdict(build) for build in self._open],
            "seen": [self._least, self._most],
            "suspect": self._suspect,
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any], rules: Optional[Rules] = None) -> ShiftDetector:
        """The detector of a state of :meth:`to_dict`; ``rules`` replace its rules.  QueryError for other data."""
        try:
            if state["version"] != STATE_VERSION:
                raise QueryError(f"detector state of version {state['version']!r}: expected {STATE_VERSION}")
            detector = cls(Rules(**state["rules"]) if rules is None else rules)
            history = detector.rules.history
            detector.count = state["count"]
            detector.levels = [Baseline.from_dict(level, history) for level in state["levels"]]
            if not detector.levels:
                raise ValueError("no level")
            detector.previous = state["previous"] and Baseline.from_dict(state["previous"], history)
            detector.reference = state["reference"] and Baseline.from_dict(state["reference"], history)
            detector.acknowledged = dict(state["acknowledged"])
            detector._rising, detector._falling = (Run(**run) for run in state["runs"])
            detector._open = [
                Build(**{**one, "samples": tuple(one["samples"]), "deviations": tuple(one["deviations"])})
                for one in state["open"]
            ]
            detector._least, detector._most = state["seen"]
            detector._suspect = state["suspect"]
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, QueryError):
                raise
            raise QueryError(f"detector state {excerpt(str(state))}: expected what to_dict returned") from error
        return detector

    def replay(self, values: Iterable[float]) -> list[Verdict]:
        """Add each value in turn."""
        return [self.add(value) for value in values]

    def accept(self, *, run: bool = True) -> None:
        """Make an open run the baseline, unless ``run`` is false, and the confirmed level the only usual one."""
        if run:
            self._begin_open_level()
        self.levels = self.levels[-1:]

    def ignore(self, *, run: bool = True) -> None:
        """Make the level before the last change, or an open run unless ``run`` is false, usual beside the present."""
        if run:
            self._begin_open_level()
        if self.previous is not None:
            self.levels = [self.previous, *self.levels][-MOST_LEVELS:]
            self.previous = None

    def revert(self) -> None:
        """Make the level before the last change the only usual one again, and end an open run."""
        self._open = []
        self._end_runs()
        if self.previous is not None:
            self.levels, self.previous, self.reference = [self.previous], None, None

    def acknowledge(self, rule: str, value: float) -> None:
        """Let ``rule`` be broken again only by values beyond ``value`` by the least change."""
        self.acknowledged[rule] = number_of(value)

    def withdraw(self, rule: str) -> None:
        """Let any value break ``rule`` again."""
        self.acknowledged.pop(rule, None)

    def _broken_rule(self, value: float, level: Baseline) -> Optional[str]:
        """The first rule that ``value`` breaks."""
        for rule, bound, sign in self._bounds(level):
            known = self.acknowledged.get(rule)
            if known is not None and (known - bound) * sign > 0:
                bound = known + sign * self.rules.shift_change * abs(known)
            if (value - bound) * sign > 0:
                return rule
        return None

    def _bounds(self, level: Baseline) -> Iterable[tuple[str, float, int]]:
        """Each rule that applies now: its name, its bound, and 1 where values above break it or -1."""
        rules = self.rules
        if rules.limit is not None:
            yield "limit", rules.limit, 1
        if rules.lower_limit is not None:
            yield "lower_limit", rules.lower_limit, -1
        if level.ready and rules.maximum_increase is not None:
            yield "increase", level.level + rules.maximum_increase * abs(level.level), 1
        if level.ready and rules.maximum_decrease is not None:
            yield "decrease", level.level - rules.maximum_decrease * abs(level.level), -1

    def _assess(self, build: Build, level: Baseline) -> Verdict:
        """Judge a build without its rules."""
        value = build.value
        if not level.ready:
            level.extend([value])
            self._see(value)
            return reasons.no_baseline(value, level)
        if self._is_broken(value, level):
            self._suspect = True
            return reasons.broken(self.rules, value, level)
        self._suspect = False
        self._see(value)
        least = self.rules.exact_change
        if least is not None and level.exact(least):
            if value in level.values:
                self._accept(build)
                return reasons.normal(self.rules, value, level)
            if level.off(value, least):
                return self._confirm([build], level, "exact")
        return self._continue(build, level)

    def _continue(self, build: Build, level: Baseline) -> Verdict:
        """Add a build to the runs; confirm one, or end those that are too long."""
        deviations = [nearest(self.levels, sample).deviation(sample) for sample in build.samples]
        self._open.append(replace(build, deviations=tuple(deviations)))
        for run in (self._rising, self._falling):
            run.add(deviations, len(self._open) - 1)
        for run in (self._rising, self._falling):
            confirmed = run.confirmed(self._open, self.levels, self.rules.shift_change)
            if confirmed is not None:
                return self._confirm(*confirmed, "shift")
        self._settle()
        if not self._open and self._has_drifted():
            return self._confirm_drift(build)
        low, high = level.usual(self.rules.shift_change)
        unusual = max(map(abs, deviations)) >= UNUSUAL and not low < build.value < high
        if unusual and level.share(build.value) <= MODE_SHARE:
            return reasons.unconfirmed(self.rules, build.value, level)
        return reasons.normal(self.rules, build.value, level)

    def _confirm(self, builds: Sequence[Build], base: Baseline, rule: str) -> Verdict:
        """Confirm a change of level by ``builds``, and seed the next baseline with them."""
        after = robust.median(sample for build in builds for sample in build.samples)
        returned = False
        if self.previous is not None and self.previous.ready:
            low, high = self.previous.usual(self.rules.shift_change)
            returned = low <= after <= high
        verdict = reasons.confirmed(self.rules, builds[-1].value, base, after, rule, len(builds))
        new = {id(build) for build in builds}
        base.extend(build.value for build in self._open if id(build) not in new)
        self.levels = [base]
        self._begin_level([build.value for build in builds])
        return replace(verdict, since=builds[0].number, returned=returned)

    def _has_drifted(self) -> bool:
        """Whether the baseline has left the first one of this level slowly; the first full one becomes that one."""
        level = self.levels[-1]
        if len(self.levels) > 1 or len(level.values) < self.rules.history:
            return False
        if self.reference is None:
            self.reference = level.copy()
        return self.reference.drifted(level, DRIFT_CHANGES * self.rules.shift_change)

    def _confirm_drift(self, build: Build) -> Verdict:
        """Confirm that the level has drifted; the present baseline goes on and is compared with from now on."""
        level = self.levels[-1]
        base, self.reference = self.reference or level, level.copy()
        verdict = reasons.drifted(self.rules, build.value, base, level.level)
        self.previous = base
        return replace(verdict, since=build.number)

    def _begin_level(self, values: Sequence[float]) -> None:
        """Leave the newest level for one that begins with ``values``."""
        self.previous = self.levels[-1]
        self.levels = [Baseline(values, needed=NEEDED_AFTER_CHANGE, history=self.rules.history)]
        self.reference = None
        self._open = []
        self._end_runs()

    def _begin_open_level(self) -> None:
        """Begin a level with the values of the open run that is nearer to its decision, where there is one."""
        run = max((self._rising, self._falling), key=lambda run: run.score)
        if run.first is not None:
            self._begin_level([build.value for build in self._open[run.first :]])

    def _end_runs(self) -> None:
        self._rising.end()
        self._falling.end()

    def _settle(self) -> None:
        """End the runs that are too long, and accept the builds before those that are left."""
        for run in (self._rising, self._falling):
            if run.first is not None and len(self._open) - run.first >= LONGEST_RUN:
                run.end()
        firsts = [run.first for run in (self._rising, self._falling) if run.first is not None]
        accepted = min(firsts, default=len(self._open))
        for build in self._open[:accepted]:
            self._accept(build)
        self._open = self._open[accepted:]
        for run in (self._rising, self._falling):
            if run.first is not None:
                run.first -= accepted

    def _accept(self, build: Build) -> None:
        nearest(self.levels, build.value).extend([build.value])

    def _see(self, value: float) -> None:
        """Widen the range of the values that this line had."""
        self._least = value if self._least is None else min(value, self._least)
        self._most = value if self._most is None else max(value, self._most)

    def _is_broken(self, value: float, level: Baseline) -> bool:
        """Whether ``value`` is zero or ten times off as never before; the second in a row is an ordinary value."""
        if self.rules.kind is Kind.COUNT or self._suspect or self._least is None or self._most is None:
            return False
        if scale_between(value, self._least, self._most):
            return False
        change = robust.fraction(value, level.level)
        if change is None:
            return level.level != 0.0
        factor = 1.0 + change if level.level > 0 else 1.0 - change
        return value == 0.0 or factor >= BROKEN_FACTOR or factor <= 1 / BROKEN_FACTOR


def scale_between(value: float, least: float, most: float) -> bool:
    """Whether ``value`` is between two others, or off by less than a factor of two."""
    if least <= value <= most:
        return True
    near = least if value < least else most
    return value * near > 0 and abs(near) / 2 <= abs(value) <= 2 * abs(near)
