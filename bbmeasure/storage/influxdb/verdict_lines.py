"""Line protocol of alerts, of their decisions, and of what is usual, each a measurement of its own.

``bbmeasure_alerts`` has one point for each alert, at the time of the first build at the new level.  Its state is a
field: a decision overwrites it.  ``bbmeasure_decisions`` has one point for each alert that is no longer open, at the
time of its decision.  ``bbmeasure_usual`` has one point for each judged value, at its time.  Sent again, a point
replaces itself.  None has a field that points have, so that no query for points selects them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Optional, Union

from bbmeasure.records import canonical_series, canonical_tag
from bbmeasure.storage.influxdb.line_protocol import ALERTS, DECISIONS, USUAL, clean_tags, quote_string, series_key
from bbmeasure.storage.verdict_store import Alert, Line

#: Tags of these measurements that a tag of a user does not replace.
_OWN_TAGS = ("series", "builder", "machine", "rule", "outcome")
#: Suspects that are named.
_MAX_SUSPECTS = 5
#: Nanoseconds that keep decisions of several alerts of a line in one second apart.
_APART = 1_000

Field = Union[float, int, str, None]


@dataclass(frozen=True)
class Usual:
    """A judged value of a line, what is usual for it, and the limits that it is checked by; None for none."""

    line: Line
    value: float
    verdict: str
    low: Optional[float] = None
    high: Optional[float] = None
    limit: Optional[float] = None
    lower_limit: Optional[float] = None

    @property
    def beyond(self) -> Optional[float]:
        """By how much the value is beyond its limits, negative where it is within; None without limits."""
        above = None if self.limit is None else self.value - self.limit
        below = None if self.lower_limit is None else self.lower_limit - self.value
        return max((part for part in (above, below) if part is not None), default=None)


def alert_lines(alert: Alert) -> str:
    """Return the line of an alert and that of its decision, if it has one, each with its newline."""
    decided = alert.decided
    if decided is None:
        return _alert_line(alert)
    fields: dict[str, Field] = {
        "id": alert.id,
        "state": alert.state,
        "change": alert.change,
        "first_build": alert.build,
        "branch": alert.line.branch,
        "by": alert.who,
        "why": alert.why,
    }
    return _alert_line(alert) + _line(DECISIONS, _alert_tags(alert), fields, decided + alert.id % _APART)


def _alert_line(alert: Alert) -> str:
    suspects = [
        " ".join(str(suspect.get(name) or "") for name in ("revision", "author", "subject")).strip()
        for suspect in alert.facts.get("suspects", ())[:_MAX_SUSPECTS]
    ]
    fields: dict[str, Field] = {
        "id": alert.id,
        "state": alert.state,
        "before": alert.before,
        "after": alert.after,
        "change": alert.change,
        "first_build": alert.build,
        "branch": alert.line.branch,
        "reason": alert.facts.get("reason"),
        "suspects": "; ".join(suspects),
        "by": alert.who,
        "why": alert.why,
    }
    return _line(ALERTS, _alert_tags(alert), fields, alert.time)


def usual_line(usual: Usual, time: int) -> str:
    """Return the line of what is usual at ``time`` in nanoseconds, with its newline."""
    fields: dict[str, Field] = {
        "measured": usual.value,
        "verdict": usual.verdict,
        "low": usual.low,
        "high": usual.high,
        "limit": usual.limit,
        "lower_limit": usual.lower_limit,
        "beyond": usual.beyond,
        "branch": usual.line.branch,
    }
    return _line(USUAL, _tags(usual.line), fields, time)


def _alert_tags(alert: Alert) -> dict[str, str]:
    return _tags(alert.line, rule=alert.rule, outcome=alert.outcome)


def _tags(line: Line, **more: str) -> dict[str, str]:
    own = {"series": canonical_series(line.series), "builder": line.builder, "machine": line.machine or "", **more}
    users = {key: value for key, value in line.tags.items() if canonical_tag(key) not in (*_OWN_TAGS, "time")}
    return clean_tags({**users, **{key: canonical_tag(value) for key, value in own.items()}})


def _line(measurement: str, tags: Mapping[str, str], fields: Mapping[str, Field], time: int) -> str:
    written = ",".join(f"{name}={text}" for name, value in fields.items() if (text := _field(value)))
    return f"{series_key(measurement, tags)} {written} {time}\n"


def _field(value: Field) -> str:
    """Return the text of a field; empty for one that is left out."""
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        return quote_string(" ".join(value.split()))
    if isinstance(value, int):
        return f"{value}i"
    return repr(float(value)) if isfinite(value) else ""
