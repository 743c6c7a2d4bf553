"""LineAlerts: when a verdict opens, continues or resolves an alert of its line.

.. code-block:: text

   worse, confirmed or by a rule --> open --> accepted   (a person: the new level is expected)
                                          --> ignored    (a person: both levels are usual)
                                          --> resolved   (back in the old range, or within the limit)
   better or changed, confirmed  --> accepted
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Optional

from bbmeasure.analysis import Rules, State, Verdict, change_points
from bbmeasure.analysis.reasons import percent
from bbmeasure.reports.judged_line import JudgedLine
from bbmeasure.storage.verdict_store import ACCEPTED, IGNORED, OPEN, RESOLVED, Alert, Line, LineValue

#: Rules with a bound that a single value can break.
_UPPER, _LOWER = ("limit", "increase"), ("lower_limit", "decrease")
#: Values in the old range, one after the other, that resolve a shift.
NEEDED_TO_RESOLVE = 5
#: Builds by which looking back over a line moves the first build of an open alert at most.
MOST_MOVED = 8
#: Values of a line among which the first of a run is searched.
RECENT = 60

#: The newest values of a line up to a value, oldest first.
Recent = Callable[[], Sequence[LineValue]]


class LineAlerts:
    """The alerts of one line while a build is judged; ``changed`` are those to write, ``opened`` the new
    ones, ``moved`` those with another first build."""

    def __init__(self, line: Line, alerts: Sequence[Alert], next_id: Callable[[], int]) -> None:
        self.line = line
        self._known = {alert.id: alert for alert in alerts}
        self._next_id = next_id
        self.changed: dict[int, Alert] = {}
        self.opened: list[Alert] = []
        self.moved: list[Alert] = []

    @property
    def open(self) -> list[Alert]:
        """The open alerts, the newest first."""
        return sorted((one for one in self._known.values() if one.state == OPEN), key=lambda one: -one.id)

    def _put(self, alert: Alert) -> Alert:
        self._known[alert.id] = self.changed[alert.id] = alert
        return alert

    def apply_decisions(self, judged: JudgedLine) -> None:
        """Let the detector know what people have decided since the last build."""
        for alert in [one for one in self._known.values() if not one.applied]:
            run = not alert.facts.get("confirmed")
            if alert.state == IGNORED:
                judged.detector.ignore(run=run)
            elif alert.state == RESOLVED:
                judged.detector.withdraw(alert.rule)
            elif alert.state == ACCEPTED:
                judged.detector.accept(run=run)
            judged.save_decision()
            self._put(replace(alert, applied=True))

    # one verdict

    def follow(self, value: LineValue, verdict: Verdict, judged: JudgedLine, recent: Recent, buildid: int) -> None:
        """Resolve what has come back, and open what is new, which the build ``buildid`` then tells."""
        resolved = [alert for alert in self.open if self._came_back(alert, value, verdict, judged.rules, recent)]
        for alert in resolved:
            self._resolve(alert, value, judged, verdict)
        broken = verdict.rule in (*_UPPER, *_LOWER) and verdict.state is State.WORSE
        if not (verdict.confirmed or broken) or value.excluded:
            return
        if verdict.state is not State.WORSE and resolved:
            return
        covering = self._covering(value, verdict)
        if covering is not None:
            self._put(_extended(covering, verdict))
        else:
            alert = self._new(value, verdict, judged.rules, recent, buildid)
            if alert.rule in (*_UPPER, *_LOWER):
                judged.detector.acknowledge(alert.rule, value.value)
            judged.save_decision()
            self.opened.append(self._put(alert))

    def _came_back(self, alert: Alert, value: LineValue, verdict: Verdict, rules: Rules, recent: Recent) -> bool:
        bound = _bound(alert, rules)
        if alert.rule in (*_UPPER, *_LOWER):
            return bound is None or not _beyond(alert.rule, value.value, bound)
        if verdict.confirmed and verdict.after is not None:
            return not at_new_level(alert, verdict.after)
        if at_new_level(alert, value.value):
            return False
        if alert.rule == "exact":
            return True
        newest = [one for one in recent() if not one.excluded][-NEEDED_TO_RESOLVE:]
        back = [one for one in newest if not at_new_level(alert, one.value) and one.time > alert.time]
        return len(back) == NEEDED_TO_RESOLVE

    def _resolve(self, alert: Alert, value: LineValue, judged: JudgedLine, verdict: Verdict) -> None:
        facts = {**alert.facts, "decided": value.time}
        self._put(replace(alert, state=RESOLVED, why="it came back", facts=facts))
        if alert.rule in (*_UPPER, *_LOWER):
            judged.detector.withdraw(alert.rule)
        elif not verdict.confirmed:
            judged.detector.revert()
        judged.save_decision()

    def _covering(self, value: LineValue, verdict: Verdict) -> Optional[Alert]:
        """The open alert that told of the same change before: by a rule in the run, or at the same level."""
        if not verdict.confirmed or verdict.after is None or verdict.state is not State.WORSE:
            return None
        since = value.build if verdict.since is None else verdict.since
        for alert in self.open:
            rises = verdict.baseline is not None and verdict.after > verdict.baseline
            if alert.rule in (_UPPER if rises else _LOWER) and alert.rule != verdict.rule and alert.build >= since:
                return alert
        return None

    def _new(self, value: LineValue, verdict: Verdict, rules: Rules, recent: Recent, buildid: int) -> Alert:
        """A new alert; an improvement or a change without direction is accepted at once."""
        rule = verdict.rule or "shift"
        first, last = self._edges(value, verdict, recent)
        facts: dict[str, Any] = {
            "low": verdict.low,
            "high": verdict.high,
            "confirmed": verdict.confirmed,
            "bound": _bound_now(rule, verdict, rules),
            "reason": verdict.reason,
            "value": value.value,
            "last_buildid": None if last is None else last.buildid,
        }
        return Alert(
            self._next_id(),
            self.line,
            rule,
            OPEN if verdict.state is State.WORSE else ACCEPTED,
            verdict.state.value,
            first.build,
            first.buildid,
            first.time,
            buildid,
            verdict.baseline,
            value.value if verdict.after is None else verdict.after,
            verdict.change,
            facts=facts,
        )

    @staticmethod
    def _edges(value: LineValue, verdict: Verdict, recent: Recent) -> tuple[LineValue, Optional[LineValue]]:
        """The first value of the new level and the last of the old one."""
        before = [one for one in recent() if one.position < value.position]
        since = value.build if verdict.since is None else verdict.since
        at = next((at for at, one in enumerate(before) if one.build == since), len(before))
        first = before[at] if at < len(before) else value
        return first, before[at - 1] if at else None

    def move(self, values: Sequence[LineValue], minimum_change: float) -> None:
        """Move the first build of open shifts to the nearest change point of the line's newest values."""
        changes = change_points([one.value for one in values], minimum_change=minimum_change)
        for alert in self.open:
            at = next((at for at, one in enumerate(values) if one.build == alert.build), None)
            if alert.rule != "shift" or alert.before is None or at is None:
                continue
            rises = alert.after > alert.before
            near = [
                change.index
                for change in changes
                if (change.after > change.before) == rises and abs(change.index - at) <= MOST_MOVED
            ]
            first = min(near, key=lambda index: abs(index - at), default=at)
            if first not in (0, at):
                self.moved.append(self._put(_moved(alert, values[first], values[first - 1])))

    # values at the level of an open alert

    def shown(self, value: LineValue, verdict: Verdict, rules: Rules) -> tuple[Verdict, Optional[Alert]]:
        """The verdict as it is told: worse at the level of an open alert, which is returned too."""
        for alert in self.open:
            if _is_at_level(alert, value.value, rules):
                if verdict.state in (State.WORSE, State.BROKEN):
                    return verdict, alert
                return _still_worse(alert, value, verdict, rules), alert
        left = [alert for alert in self._known.values() if alert.state in (OPEN, RESOLVED) and alert.before is not None]
        if verdict.state is State.NO_BASELINE and left:
            return _back(left[-1], value, rules), None
        return verdict, None


def _is_at_level(alert: Alert, value: float, rules: Rules) -> bool:
    if alert.rule not in (*_UPPER, *_LOWER):
        return at_new_level(alert, value)
    bound = _bound(alert, rules)
    return bound is not None and _beyond(alert.rule, value, bound)


def at_new_level(alert: Alert, value: float) -> bool:
    """Whether a value is on the side of the new level, which may lie within what was usual before."""
    low, high = alert.facts.get("low"), alert.facts.get("high")
    if low is None or high is None or alert.before is None:
        return True
    if alert.rule == "exact":
        low = high = alert.before
    middle = alert.before + (alert.after - alert.before) / 2
    return bool(value > min(high, middle) if alert.after > alert.before else value < max(low, middle))


def _beyond(rule: str, value: float, bound: float) -> bool:
    return value > bound if rule in _UPPER else value < bound


def _bound(alert: Alert, rules: Rules) -> Optional[float]:
    """The bound that an alert of a rule was opened for; None where master.cfg has no such rule now."""
    present = {
        "limit": rules.limit,
        "lower_limit": rules.lower_limit,
        "increase": rules.maximum_increase,
        "decrease": rules.maximum_decrease,
    }.get(alert.rule)
    if present is None or alert.rule in ("limit", "lower_limit"):
        return present
    bound: Optional[float] = alert.facts.get("bound")
    return bound


def _moved(alert: Alert, first: LineValue, last: LineValue) -> Alert:
    facts = {**alert.facts, "last_buildid": last.buildid}
    return replace(alert, build=first.build, buildid=first.buildid, time=first.time, facts=facts)


def _bound_now(rule: str, verdict: Verdict, rules: Rules) -> Optional[float]:
    base = verdict.baseline
    if rule == "increase" and base is not None and rules.maximum_increase is not None:
        return base + rules.maximum_increase * abs(base)
    if rule == "decrease" and base is not None and rules.maximum_decrease is not None:
        return base - rules.maximum_decrease * abs(base)
    return {"limit": rules.limit, "lower_limit": rules.lower_limit}.get(rule)


def _extended(alert: Alert, verdict: Verdict) -> Alert:
    """The alert of a rule whose values are a confirmed change now."""
    facts = {**alert.facts, "low": verdict.low, "high": verdict.high, "confirmed": True}
    after = alert.after if verdict.after is None else verdict.after
    return replace(alert, before=verdict.baseline, after=after, change=verdict.change, facts=facts)


def _still_worse(alert: Alert, value: LineValue, verdict: Verdict, rules: Rules) -> Verdict:
    """The verdict of a value while the alert of its level is open."""
    base, low, high = alert.before, alert.facts.get("low"), alert.facts.get("high")
    if base is None:
        base, low, high = verdict.baseline, verdict.low, verdict.high
    change = None if not base else (value.value - base) / abs(base)
    off = ""
    if base is not None:
        amount = "" if change is None else f" {percent(change)}"
        off = f",{amount} {'above' if value.value > base else 'below'} the usual {rules.shown(base)}"
    reason = f"{rules.shown(value.value)}{off}: alert {alert.id} is open since build {alert.build}."
    return replace(
        verdict,
        state=State.WORSE,
        baseline=base,
        low=low,
        high=high,
        change=change,
        rule=alert.rule,
        reason=reason,
        confirmed=False,
    )


def _back(alert: Alert, value: LineValue, rules: Rules) -> Verdict:
    """The verdict of a value in the range before an alert, where the level after it has no baseline yet."""
    base, low, high = alert.before, alert.facts.get("low"), alert.facts.get("high")
    reason = f"{rules.shown(value.value)} is back at what was usual before alert {alert.id}."
    change = None if not base else (value.value - base) / abs(base)
    return Verdict(State.NORMAL, value.value, base, low, high, change, reason=reason)
