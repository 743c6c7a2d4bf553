"""GrafanaInstance: where people find the Grafana that shows what was measured."""

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
    """Gives the page, the panels and the JSON API their links to a Grafana, and keeps nothing itself.

    ``url`` is its address for people; ``dashboards`` are paths of one's own dashboards by builder, with the fields
    ``{builder}`` and ``{series}``, in place of those that ``bbmeasure grafana`` writes.
    """

    grafana: Optional[Grafana] = None

    def checkConfig(self, **given: Any) -> None:
        """Check the arguments, those of :meth:`reconfigService`; a configuration error says what was wanted."""
        try:
            check_names(given, ("url", "dashboards"))
            if "url" not in given:
                raise QueryError("expected url=, such as https://grafana.example.org")
            check_url(given["url"], example=_EXAMPLE)
            _read(given.get("dashboards"))
        except MeasureError as error:
            config_error(f"{self.name}: {error}")

    def reconfigService(  # type: ignore[override]
        self, *, url: str, dashboards: Optional[Mapping[str, str]] = None
    ) -> Any:
        """Take the arguments."""
        self.grafana = Grafana(check_url(url, example=_EXAMPLE), _read(dashboards))

    def measure_links(
        self,
        builder: Optional[str] = None,
        series: Optional[str] = None,
        since: Optional[float] = None,
        until: Optional[float] = None,
    ) -> dict[str, Optional[str]]:
        """The link for the API's ``links``; times in unix seconds."""
        return {"grafana": self.grafana.link(builder, series, since, until) if self.grafana else None}


def _read(dashboards: Optional[Mapping[str, str]]) -> dict[str, str]:
    return {} if dashboards is None else check_dashboards(dashboards)
