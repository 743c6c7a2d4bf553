"""bbmeasure measures what Buildbot builds.

The public names are loaded lazily, so that a program on a worker that imports ``bbmeasure.units`` loads nothing but the
standard library.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any  # not imported on a worker: it takes longer than the start of Python

__version__ = "0.1.0"

_PUBLIC = {
    "Record": "bbmeasure.records",
    "Kind": "bbmeasure.records",
    "Direction": "bbmeasure.records",
    "captureData": "bbmeasure.capture.api",
    "getAverage": "bbmeasure.reports.getters",
    "getDeviation": "bbmeasure.reports.getters",
    "getMinimum": "bbmeasure.reports.getters",
    "getMaximum": "bbmeasure.reports.getters",
    "getMedian": "bbmeasure.reports.getters",
    "getPercentile": "bbmeasure.reports.getters",
    "getCount": "bbmeasure.reports.getters",
    "getSum": "bbmeasure.reports.getters",
    "getFirst": "bbmeasure.reports.getters",
    "getLast": "bbmeasure.reports.getters",
    "Gate": "bbmeasure.capture.gates",
    "GitHubMeasurementsComment": "bbmeasure.master.reporters.instances",
    "GitLabMeasurementsComment": "bbmeasure.master.reporters.instances",
    "GrafanaInstance": "bbmeasure.master.services.grafana",
    "InfluxDBInstance": "bbmeasure.master.services.exporters",
    "MeasuredBuilderConfig": "bbmeasure.master.tracking.builder",
    "MeasurementsGenerator": "bbmeasure.master.reporters.generator",
    "MeasurementsMixin": "bbmeasure.master.reporters.message",
    "MeasurementPolicy": "bbmeasure.master.services.policy",
    "SQLiteInstance": "bbmeasure.master.services.sqlite",
    "VictoriaMetricsInstance": "bbmeasure.master.services.exporters",
}

__all__ = sorted(_PUBLIC)  # noqa: PLE0605  (computed from _PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
