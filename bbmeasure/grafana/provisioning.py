"""Files that provision Grafana with a data source, the dashboards, and rules of alerting.

All files are JSON, which YAML parsers accept.  They contain no password: Grafana substitutes the environment variable
BBMEASURE_GRAFANA_PASSWORD.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Optional

from bbmeasure.grafana.alerting import alert_rules
from bbmeasure.grafana.dashboards import DashboardBuilder
from bbmeasure.grafana.panels import PROVISIONED_SOURCE, group_series
from bbmeasure.model import SeriesInfo
from bbmeasure.records import Kind, direction
from bbmeasure.urls import check_url

#: Default provisioning directory of Grafana's packages.
PROVISIONING = "/etc/grafana/provisioning"
#: Environment variable of Grafana with the data source's password or token.
PASSWORD = "BBMEASURE_GRAFANA_PASSWORD"  # noqa: S105  (name of a variable)


def known_series(document: Mapping[str, Any]) -> list[SeriesInfo]:
    """Return the series in the JSON API's response to ``series``."""
    return [
        SeriesInfo(one["name"], Kind(one["kind"]), one["unit"], direction(one["better"])) for one in document["series"]
    ]


def write_provisioning(
    out: Path,
    *,
    url: str,
    database: str = "buildbot",
    username: Optional[str] = None,
    token: bool = False,
    retention_policy: Optional[str] = None,
    master_url: Optional[str] = None,
    series: Iterable[SeriesInfo] = (),
    provisioning: str = PROVISIONING,
) -> list[Path]:
    """Write the provisioning files into the directory ``out`` and return their paths.

    Args:
        out: Directory to write to, created if necessary.
        url: URL of the InfluxDB for Grafana.
        database: Database to read.
        username: User name for the InfluxDB.
        token: Whether the environment variable holds a token instead of a password.
        retention_policy: Retention policy to read.
        master_url: URL of Buildbot's page, for links to builds.
        series: Known series, whose units and directions the dashboards use.
        provisioning: Provisioning directory on Grafana's machine.

    Raises QueryError for an invalid URL and OSError if a file cannot be written.
    """
    source = _source(check_url(url), database, username, token=token)
    page = None if master_url is None else check_url(master_url, "master_url") + "/"
    files = {
        "datasources/bbmeasure.yaml": {"apiVersion": 1, "datasources": [source]},
        "dashboards/bbmeasure.yaml": {"apiVersion": 1, "providers": [_provider(provisioning)]},
        "alerting/bbmeasure.yaml": alert_rules(retention_policy),
        **{
            f"dashboards/bbmeasure/{uid}.json": dashboard
            for uid, dashboard in DashboardBuilder(group_series(series), retention_policy, page).all().items()
        },
    }
    return [_write(out / name, content) for name, content in files.items()]


def _write(path: Path, content: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _source(url: str, database: str, username: Optional[str], *, token: bool) -> dict[str, Any]:
    """Return the data source; dollars in names are doubled, as Grafana substitutes variables."""

    def literal(text: str) -> str:
        return text.replace("$", "$$")

    source: dict[str, Any] = {
        "name": PROVISIONED_SOURCE,
        "uid": PROVISIONED_SOURCE,
        "type": "influxdb",
        "access": "proxy",
        "url": literal(url),
        "database": literal(database),
        "jsonData": {"dbName": literal(database), "httpMode": "POST"},
        "editable": False,
    }
    if token:
        source["jsonData"]["httpHeaderName1"] = "Authorization"
        source["secureJsonData"] = {"httpHeaderValue1": f"Token ${PASSWORD}"}
    elif username is not None:
        source["user"] = literal(username)
        source["secureJsonData"] = {"password": f"${PASSWORD}"}
    return source


def _provider(provisioning: str) -> dict[str, Any]:
    return {
        "name": "bbmeasure",
        "folder": "Buildbot",
        "type": "file",
        "allowUiUpdates": False,
        "options": {"path": f"{provisioning.rstrip('/')}/dashboards/bbmeasure"},
    }
