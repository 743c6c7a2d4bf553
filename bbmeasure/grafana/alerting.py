"""Rules of Grafana's alerting, on the alerts of bbmeasure and on the limits of series.

The format is that of file provisioning:
https://grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources/file-provisioning/.
"""

from __future__ import annotations

from typing import Optional

from bbmeasure.grafana.panels import PROVISIONED_SOURCE, Json

#: Seconds back to which an open alert is found: its point is at the first build of the new level.
_ALERTS_RANGE = 90 * 86_400
#: Seconds within which a value beyond a limit counts.
_LIMITS_RANGE = 7 * 86_400


def alert_rules(policy: Optional[str] = None) -> Json:
    """Return the file with the rules; ``policy`` is the retention policy to read."""
    prefix = "" if policy is None else '"' + policy.replace("\\", "\\\\").replace('"', '\\"') + '".'
    is_open = "\"state\" = 'open' AND \"outcome\" = 'worse'"
    by = 'GROUP BY "builder", "series"'
    rules = [
        _rule(
            "bbmeasure-worse",
            "A measurement got worse",
            f'SELECT count("after") FROM {prefix}"bbmeasure_alerts" WHERE {is_open} AND $timeFilter {by}',  # noqa: S608 (Grafana's)
            _ALERTS_RANGE,
            "{{ $labels.series }} of {{ $labels.builder }} got worse, and nobody has accepted it",
        ),
        _rule(
            "bbmeasure-limit",
            "A measurement is beyond its limit",
            f'SELECT last("beyond") FROM {prefix}"bbmeasure_usual" WHERE $timeFilter {by}',  # noqa: S608 (Grafana's)
            _LIMITS_RANGE,
            "The last value of {{ $labels.series }} of {{ $labels.builder }} is beyond its limit",
        ),
    ]
    group = {"orgId": 1, "name": "bbmeasure", "folder": "Buildbot", "interval": "1m", "rules": rules}
    return {"apiVersion": 1, "groups": [group]}


def _rule(uid: str, title: str, query: str, seconds: int, summary: str) -> Json:
    """Return a rule that fires for each series of the query whose last value is above 0."""
    return {
        "uid": uid,
        "title": title,
        "condition": "C",
        "for": "0s",
        "noDataState": "OK",
        "execErrState": "Error",
        "annotations": {"summary": summary},
        "labels": {"source": "bbmeasure"},
        "data": [
            {
                "refId": "A",
                "datasourceUid": PROVISIONED_SOURCE,
                "relativeTimeRange": {"from": seconds, "to": 0},
                "model": {"refId": "A", "rawQuery": True, "query": query, "resultFormat": "time_series"},
            },
            _expression("B", {"type": "reduce", "expression": "A", "reducer": "last"}),
            _expression(
                "C",
                {
                    "type": "threshold",
                    "expression": "B",
                    "conditions": [{"evaluator": {"type": "gt", "params": [0]}}],
                },
            ),
        ],
    }


def _expression(ref: str, model: Json) -> Json:
    return {
        "refId": ref,
        "datasourceUid": "__expr__",
        "relativeTimeRange": {"from": 0, "to": 0},
        "model": {"refId": ref, **model},
    }
