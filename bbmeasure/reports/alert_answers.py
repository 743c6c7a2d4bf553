"""Serializers of alerts and verdicts for the JSON API and ``bbmeasure --json``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from bbmeasure import times
from bbmeasure.errors import QueryError
from bbmeasure.records import canonical_series
from bbmeasure.reports.serialize import line_answer
from bbmeasure.reports.verdicts import NO_LIMITS, Limits, LineVerdict
from bbmeasure.storage.verdict_store import ACCEPTED, IGNORED, STATES, Alert, AlertQuery, Mute
from bbmeasure.units import excerpt

#: The states that people give an alert.
DECISIONS = (ACCEPTED, IGNORED)
#: The longest reason of a decision.
MAX_WHY = 1_000


def alert_answer(alert: Alert, mutes: Sequence[Mute], now: float) -> dict[str, Any]:
    """One alert; ``bound`` is the limit that it passed, ``until`` the end of its series' mute in unix seconds."""
    line = alert.line
    ends = [mute.until for mute in mutes if mute.covers(line, now)]
    return {
        "id": alert.id,
        **line_answer(line),
        "rule": alert.rule,
        "bound": alert.facts.get("bound"),
        "outcome": alert.outcome,
        "before": alert.before,
        "after": alert.after,
        "change": alert.change,
        "usual": usual(alert.facts.get("low"), alert.facts.get("high")),
        "state": alert.state,
        "build": alert.build,
        "buildid": alert.buildid if alert.buildid > 0 else None,
        "time": times.seconds(alert.time),
        "reason": alert.facts.get("reason", ""),
        "suspects": list(alert.facts.get("suspects", ())),
        "differs": dict(alert.facts.get("differs", {})),
        "by": alert.who or None,
        "why": alert.why or None,
        "until": float(max(ends)) if ends else None,
    }


def usual(low: Optional[float], high: Optional[float]) -> Optional[list[float]]:
    """The range of usual values; None without a baseline."""
    return None if low is None or high is None else [low, high]


def verdict_answer(line: Optional[LineVerdict], limits: Limits = NO_LIMITS) -> dict[str, Any]:
    """The fields of a verdict in a record or a row of the overview; each None where it has none.

    ``limits`` are those of a value that is not judged yet.
    """
    if line is None:
        fields = dict.fromkeys(("verdict", "usual", "baseline", "since_build", "reason", "alert"))
        return {**fields, "limits": _limits(limits)}
    verdict = line.verdict
    return {
        "verdict": verdict.state.value,
        "usual": usual(verdict.low, verdict.high),
        "limits": _limits(line.limits),
        "baseline": verdict.baseline,
        "since_build": line.since_build,
        "reason": verdict.reason,
        "alert": line.alert,
    }


def _limits(limits: Limits) -> Optional[list[Optional[float]]]:
    return None if limits == NO_LIMITS else list(limits)


def alert_query(
    *,
    now: float,
    state: Optional[str] = None,
    series: Optional[str] = None,
    builder: Optional[str] = None,
    branch: Optional[str] = None,
    since: times.When = None,
) -> AlertQuery:
    """The query of filters that a person wrote; QueryError names an invalid one."""
    if state is not None and state not in STATES:
        raise QueryError(f"state {excerpt(state)}: expected one of {', '.join(STATES)}")
    name = None if series is None else canonical_series(series)
    return AlertQuery(state, name, builder, branch, times.read(since, now, "since"))


def check_decision(state: Any, why: Any) -> tuple[str, str]:
    """State and reason of a decision; QueryError names an invalid one."""
    if state not in DECISIONS:
        raise QueryError(f"state {excerpt(str(state))}: expected one of {', '.join(DECISIONS)}")
    return str(state), check_why(why)


def check_why(why: Any) -> str:
    """The reason of a decision or mute; QueryError for one that is empty or too long."""
    if not isinstance(why, str) or not why.strip() or len(why) > MAX_WHY:
        raise QueryError(f"why: expected a text of 1 to {MAX_WHY} characters")
    return why.strip()
