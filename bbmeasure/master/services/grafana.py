"""GrafanaInstance: service that provides links to Grafana."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from buildbot.config.errors import error as config_error

from bbmeasure.capture.plan import check_names
from bbmeasure.errors import MeasureError, QueryError
from bbmeasure.grafana.links import Grafana, check_dashboards
from bbmeasure.master.services.base import MeasureInstance
from bbmeasure.urls import check_url

_EXAMPLE = "https://grafana.example.org"


class GrafanaInstance(MeasureInstance):
    """Provides the links to Grafana on the page, in the panels and in the JSON API.

    Args:
        url: URL of Grafana for people.
        dashboards: Paths of user-defined dashboards by builder, with the fields ``{builder}`` and ``{series}``, instead
            of the dashboards that ``bbmeasure grafana`` writes.
    """

    grafana: Optional[Grafana] = None

    def checkConfig(self, **given: Any) -> None:
        """Report invalid arguments as configuration errors."""
        try:
            check_names(given, ("url", "dashboards"))
            if "url" not in given:
                raise QueryError("expected url=, such as https://grafana.example.org")
            check_url(given["url"], example=_EXAMPLE)
            _check_dashboards(given.get("dashboards"))
        except MeasureError as error:
            config_error(f"{self.name}: {error}")

    def reconfigService(  # type: ignore[override]
        self, *, url: str, dashboards: Optional[Mapping[str, str]] = None
    ) -> Any:
        """Replace the links."""
        self.grafana = Grafana(check_url(url, example=_EXAMPLE), _check_dashboards(dashboards))

    def measure_links(
        self,
        builder: Optional[str] = None,
        series: Optional[str] = None,
        since: Optional[float] = None,
        until: Optional[float] = None,
    ) -> dict[str, Optional[str]]:
        """Return the link for the API's ``links``; times are in unix seconds."""
        return {"grafana": self.grafana.link(builder, series, since, until) if self.grafana else None}


def _check_dashboards(dashboards: Optional[Mapping[str, str]]) -> dict[str, str]:
    return {} if dashboards is None else check_dashboards(dashboards)
