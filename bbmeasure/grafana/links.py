"""Links to Grafana: front page, dashboard of a builder, dashboard of a series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional
from urllib.parse import quote, urlencode

from bbmeasure.errors import QueryError
from bbmeasure.grafana.dashboards import BUILDER, SERIES
from bbmeasure.units import excerpt


def check_dashboards(dashboards: Any) -> dict[str, str]:
    """Return the dashboards' paths by builder; raises QueryError for a wrong path or field."""
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
    """Links to one Grafana; ``dashboards`` are paths of user-defined dashboards by builder."""

    url: str
    dashboards: Mapping[str, str] = field(default_factory=dict)

    def link(
        self,
        builder: Optional[str] = None,
        series: Optional[str] = None,
        since: Optional[float] = None,
        until: Optional[float] = None,
    ) -> str:
        """Return the URL for a builder or series and a time range in unix seconds; without both, the front page."""
        if builder is None and series is None:
            return self.url
        path = self.dashboards.get(builder) if builder is not None else None
        if path is not None:
            quoted = {"builder": quote(builder or "", safe=""), "series": quote(series or "", safe="")}
            return self._url(path.format(**quoted), {}, since, until)
        given = {"var-series": series, "var-builder": builder}
        path = f"/d/{BUILDER}/builder" if series is None else f"/d/{SERIES}/series"
        return self._url(path, {key: value for key, value in given.items() if value is not None}, since, until)

    def _url(self, path: str, arguments: Mapping[str, str], since: Optional[float], until: Optional[float]) -> str:
        bounds = {"from": since, "to": until}
        times = {key: str(int(time * 1000)) for key, time in bounds.items() if time is not None}
        if since is not None and until is None:
            times["to"] = "now"
        query = urlencode({**arguments, **times}, quote_via=quote)
        return self.url + path + (("&" if "?" in path else "?") + query if query else "")
