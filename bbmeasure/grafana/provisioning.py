"""The files that provision a Grafana with a data source and the dashboards.

The files are JSON, the ``.yaml`` ones too, which YAML parsers read.  No password is in them: Grafana substitutes the
environment variable BBMEASURE_GRAFANA_PASSWORD.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Optional

from bbmeasure.grafana.dashboards import DashboardBuilder
from bbmeasure.grafana.panels import groups_of
from bbmeasure.model import SeriesInfo
from bbmeasure.records import Kind, direction
from bbmeasure.urls import check_url

#: Where Grafana's packages look for what is provisioned.
PROVISIONING = "/etc/grafana/provisioning"
#: What in a Grafana's environment holds the password, or the token, for the source.
PASSWORD = "BBMEASURE_GRAFANA_PASSWORD"  # noqa: S105  (a variable's name)


def known_series(answer: Mapping[str, Any]) -> list[SeriesInfo]:
    """The series in what the JSON API's ``series`` answers."""
    return [
        SeriesInfo(one["name"], Kind(one["kind"]), one["unit"], direction(one["better"])) for one in answer["series"]
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
    """Write what Grafana reads at its start into the folder ``out``; the files that were written.

    ``url`` is the InfluxDB's as Grafana reaches it, ``master_url`` Buildbot's as people reach it, for links to builds;
    ``token`` where the server takes a token instead of a password.  ``series`` are those that are known by now: their
    units and directions get into the dashboards.  ``provisioning`` is where the files will lie on Grafana's machine.
    QueryError for an address that is none, OSError where a file cannot be written.
    """
    source = _source(check_url(url), database, username, token=token)
    page = None if master_url is None else check_url(master_url, "master_url") + "/"
    made = {
        "datasources/bbmeasure.yaml": {"apiVersion": 1, "datasources": [source]},
        "dashboards/bbmeasure.yaml": {"apiVersion": 1, "providers": [_provider(provisioning)]},
        **{
            f"dashboards/bbmeasure/{uid}.json": dashboard
            for uid, dashboard in DashboardBuilder(groups_of(series), retention_policy, page).all().items()
        },
    }
    written = []
    for name, content in made.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        written.append(path)
    return written


def _source(url: str, database: str, username: Optional[str], *, token: bool) -> dict[str, Any]:
    """The source; Grafana replaces what stands behind a dollar, so those in names are doubled."""

    def literal(text: str) -> str:
        return text.replace("$", "$$")

    source: dict[str, Any] = {
        "name": "bbmeasure",
        "uid": "bbmeasure",
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
