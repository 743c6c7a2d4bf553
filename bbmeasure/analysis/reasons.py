"""Verdicts with the sentence that says why."""

from __future__ import annotations

from bbmeasure.analysis import robust
from bbmeasure.analysis.baseline import Baseline
from bbmeasure.analysis.verdict import Rules, State, Verdict


def _judged(rules: Rules, state: State, value: float, level: Baseline, reason: str) -> Verdict:
    """A verdict of ``value`` against a level that is ready."""
    low, high = level.usual(rules.shift_change)
    return Verdict(state, value, level.level, low, high, robust.fraction(value, level.level), reason=reason)


def _range(rules: Rules, level: Baseline) -> str:
    low, high = level.usual(rules.shift_change)
    return f"{rules.shown(low)} to {rules.shown(high)}"


def no_baseline(value: float, level: Baseline) -> Verdict:
    """Verdict of a value that has too few values before it; it is among those that ``level`` has now."""
    reason = f"A baseline needs {level.needed} values; there were {len(level.values) - 1} before this one."
    return Verdict(State.NO_BASELINE, value, reason=reason)


def normal(rules: Rules, value: float, level: Baseline) -> Verdict:
    """Verdict of a usual value."""
    low, high = level.usual(rules.shift_change)
    shown = rules.shown(value)
    if low <= value <= high:
        reason = f"{shown} is within what is usual, {_range(rules, level)}."
    else:
        reason = f"{shown} is off the usual {_range(rules, level)}, but this line often has such values."
    return _judged(rules, State.NORMAL, value, level, reason)


def unconfirmed(rules: Rules, value: float, level: Baseline) -> Verdict:
    """Verdict of an unusual value that the next values have to confirm."""
    side = "above" if value > level.level else "below"
    reason = f"{rules.shown(value)} is {side} what is usual, {_range(rules, level)}; one value confirms no change."
    return _judged(rules, State.UNCONFIRMED, value, level, reason)


def broken(rules: Rules, value: float, level: Baseline) -> Verdict:
    """Verdict of a value that looks like a failed measurement."""
    shown = rules.shown(value)
    what = f"{shown} was" if value == 0.0 else f"{shown} is ten times off or more, which was"
    reason = f"{what} never measured in this line before: the measurement looks broken."
    return _judged(rules, State.BROKEN, value, level, reason)


def confirmed(rules: Rules, value: float, base: Baseline, after: float, rule: str, builds: int) -> Verdict:
    """Verdict of the value that confirms a change of level from ``base`` to ``after``."""
    rises = after > base.level
    change = robust.fraction(after, base.level)
    amount = "" if change is None else f" {percent(change)}"
    side = "above" if rises else "below"
    if rule == "exact":
        reason = f"{rules.shown(after)} is{amount} {side} {rules.shown(base.level)}, the value of all builds before."
    else:
        count = "measurements of one build" if builds == 1 else f"{builds} builds since the change"
        reason = f"The {count} are at {rules.shown(after)},{amount} {side} the usual {rules.shown(base.level)}."
    return _confirmed(rules, value, base, after, rule, reason)


def drifted(rules: Rules, value: float, base: Baseline, after: float) -> Verdict:
    """Verdict of the value that confirms a slow drift from ``base`` to ``after``."""
    change = robust.fraction(after, base.level)
    amount = "" if change is None else f" by {percent(change)}"
    reason = f"What is usual drifted slowly{amount}, from {rules.shown(base.level)} to {rules.shown(after)}."
    return _confirmed(rules, value, base, after, "shift", reason)


def _confirmed(rules: Rules, value: float, base: Baseline, after: float, rule: str, reason: str) -> Verdict:
    low, high = base.usual(rules.shift_change)
    change = robust.fraction(after, base.level)
    state = rules.state_of(after > base.level)
    return Verdict(state, value, base.level, low, high, change, None, rule, reason, confirmed=True, after=after)


def broken_rule(rules: Rules, rule: str, verdict: Verdict) -> str:
    """The sentence about a value that breaks a rule."""
    bound = {"limit": rules.limit, "lower_limit": rules.lower_limit}.get(rule)
    if bound is not None:
        shown, of = _apart(rules, verdict.value, bound)
        return f"{shown} is {'above' if rule == 'limit' else 'below'} the limit of {of}."
    most = rules.maximum_increase if rule == "increase" else rules.maximum_decrease
    side = "above" if rule == "increase" else "below"
    base = rules.shown(verdict.baseline or 0.0)
    return f"{rules.shown(verdict.value)} is more than {percent(most or 0.0)} {side} the usual {base}."


def _apart(rules: Rules, value: float, bound: float) -> tuple[str, str]:
    """Two different values as texts that differ."""
    shown, of = rules.shown(value), rules.shown(bound)
    return (shown, of) if shown != of else (_exact(value, rules.unit), _exact(bound, rules.unit))


def _exact(value: float, unit: str) -> str:
    return f"{value!r} {unit}" if unit not in ("1", "") else repr(value)


def percent(fraction: float) -> str:
    """A fraction as a percentage without its sign."""
    return f"{abs(fraction) * 100:.3g} %"
