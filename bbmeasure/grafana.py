"""Grafana: links to its dashboards, and the files that provision it with a source and dashboards of bbmeasure's.

The files are JSON, the ``.yaml`` ones too, which YAML's readers take.  No password is in them: Grafana puts in what
its environment holds in BBMEASURE_GRAFANA_PASSWORD.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional
from urllib.parse import quote, urlencode, urlsplit

from bbmeasure.dashboards import BUILDER, SERIES, Maker
from bbmeasure.errors import QueryError
from bbmeasure.panels import groups_of
from bbmeasure.records import Kind, direction
from bbmeasure.storage.base import SeriesInfo
from bbmeasure.units import excerpt

#: Where Grafana's packages look for what is provisioned.
PROVISIONING = "/etc/grafana/provisioning"
#: What in a Grafana's environment holds the password, or the token, for the source.
PASSWORD = "BBMEASURE_GRAFANA_PASSWORD"  # noqa: S105  (a variable's name)


def check_url(url: Any, what: str = "url") -> str:
    """The address of a server without a slash at its end; QueryError where it is none, or has a password in it."""
    if not isinstance(url, str):
        raise QueryError(f"{what} {excerpt(str(url))}: expected an address, https://grafana.example.org")
    shown = what if "@" in url else f"{what} {excerpt(url)}"  # what is before an @ may be a password
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise QueryError(f"{shown}: expected an address, https://grafana.example.org") from None
    if parts.username is not None or parts.password is not None:
        raise QueryError(f"{what}: expected it without user and password, as everybody gets to see it")
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or any(char <= " " for char in url):
        raise QueryError(f"{shown}: expected an address, https://grafana.example.org")
    if "?" in url or "#" in url:
        raise QueryError(f"{shown}: expected nothing behind its path")
    return url.rstrip("/")


def check_dashboards(dashboards: Any) -> dict[str, str]:
    """Paths of dashboards by builder; QueryError where one is none, or has another field than ``{builder}``."""
    if not isinstance(dashboards, Mapping):
        raise QueryError(f"dashboards {excerpt(str(dashboards))}: expected a mapping of builders to paths")
    for builder, path in dashboards.items():
        if not isinstance(builder, str) or not isinstance(path, str) or not path.startswith("/"):
            raise QueryError(f"dashboards[{excerpt(str(builder))}]: expected a path such as /d/abc/first")
        try:
            path.format(builder=builder, series="")
        except (LookupError, ValueError, AttributeError):
            raise QueryError(
                f"dashboards[{excerpt(builder)}] {excerpt(path)}: expected no field but {{builder}} and {{series}}"
            ) from None
    return dict(dashboards)


@dataclass(frozen=True)
class Grafana:
    """Links to one Grafana; ``dashboards`` are the paths of a user's own ones by builder."""

    url: str
    dashboards: Mapping[str, str] = field(default_factory=dict)

    def link(
        self,
        builder: Optional[str] = None,
        series: Optional[str] = None,
        since: Optional[float] = None,
        until: Optional[float] = None,
    ) -> str:
        """Where a builder or a series is shown between two times (unix seconds); without either, the front page."""
        if builder is None and series is None:
            return self.url
        own = self.dashboards.get(builder) if builder is not None else None
        if own is not None:
            quoted = {"builder": quote(builder or "", safe=""), "series": quote(series or "", safe="")}
            return self._address(own.format(**quoted), {}, since, until)
        given = {"var-series": series, "var-builder": builder}
        path = f"/d/{BUILDER}/builder" if series is None else f"/d/{SERIES}/series"
        return self._address(path, {key: value for key, value in given.items() if value is not None}, since, until)

    def _address(self, path: str, arguments: Mapping[str, str], since: Optional[float], until: Optional[float]) -> str:
        span = {"from": since, "to": until}
        times = {key: str(int(at * 1000)) for key, at in span.items() if at is not None}
        if since is not None and until is None:
            times["to"] = "now"
        query = urlencode({**arguments, **times}, quote_via=quote)
        return self.url + path + (("&" if "?" in path else "?") + query if query else "")


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
            for uid, dashboard in Maker(groups_of(series), retention_policy, page).all().items()
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
