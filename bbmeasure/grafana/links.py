"""Links to a Grafana: its front page, a builder's dashboard, a series' dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional
from urllib.parse import quote, urlencode

from bbmeasure.errors import QueryError
from bbmeasure.grafana.dashboards import BUILDER, SERIES
from bbmeasure.units import excerpt


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
