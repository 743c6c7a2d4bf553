"""Grafana's dashboards as plain dicts: an overview, one builder, one series, the master's health.

Grafana does not quote what it puts into InfluxQL: an identifier is written ``${series:doublequote}``, a value that is
compared ``/^${builder:regex}$/``.  What a series is measured in is known when these are made: each panel has an
override for the series of one unit and direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from bbmeasure.grafana.panels import (
    SOURCE,
    Group,
    Json,
    builder_variable,
    direction_text,
    other_dashboards,
    override,
    placed,
    seconds_override,
    stat,
    table,
    target,
    time_series,
    variable,
)
from bbmeasure.records import Direction

OVERVIEW, BUILDER, SERIES, MASTER = "bbmeasure-overview", "bbmeasure-builder", "bbmeasure-series", "bbmeasure-master"
_OWN = "/^(?!bbmeasure_(?:series|state)$).+/"
_OF_BUILDER = '"builder" =~ /^${builder:regex}$/'
_OF_WORKER = '"worker" =~ /^${worker:regex}$/'
_OF_MASTER = '"master" =~ /^${master:regex}$/'
_OF_TAG = "${tag_key:doublequote} =~ /^${tag_value:regex}$/"
#: Series whose last values stand in one panel.
_A_PANEL = 20
_EACH_INTERVAL = "time($__interval)"


@dataclass(frozen=True)
class DashboardBuilder:
    """Makes the dashboards for one database and one master.

    ``policy`` is the retention policy that is read, None for the default one; ``master_url`` the address of Buildbot's
    page, without which there are no links to it.
    """

    groups: Sequence[Group]
    policy: Optional[str] = None
    master_url: Optional[str] = None

    # parts

    def source(self, measurement: str) -> str:
        """What stands behind FROM for a measurement that is quoted already, or a regular expression."""
        if self.policy is None:
            return measurement
        quoted = self.policy.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}".{measurement}'

    def select(self, what: str, measurement: str, *conditions: str, by: Sequence[str] = (), rest: str = "") -> str:
        """One SELECT of the time range that is shown."""
        where = " AND ".join((*conditions, "$timeFilter"))
        grouped = f" GROUP BY {', '.join(by)}" if by else ""
        return f"SELECT {what} FROM {self.source(measurement)} WHERE {where}{grouped}{rest}"  # noqa: S608 (Grafana's)

    def curve(self, measurement: str, *conditions: str, by: Sequence[str] = ('"builder"',)) -> str:
        """The median of each interval; where few points are shown, each of them."""
        intervals = (_EACH_INTERVAL, *by)
        return self.select('median("value")', measurement, *conditions, by=intervals, rest=" fill(none)")

    def measurements_link(self, series: str, builder: str) -> list[Json]:
        """A link to the Measurements page of Buildbot, of one series in the time range that is shown."""
        if self.master_url is None:
            return []
        where = f"builder={builder}&since=${{__from:date:iso}}&until=${{__to:date:iso}}"
        url = f"{self.master_url}#/measurements/{series}?{where}"
        return [{"title": "Builds of this series in Buildbot", "url": url, "targetBlank": True}]

    def build_override(self) -> list[Json]:
        """The column ``build`` links to the build."""
        whole: list[Json] = [{"id": "unit", "value": "none"}, {"id": "decimals", "value": 0}]
        if self.master_url is not None:
            path = "#/builders/${__data.fields.builder:percentencode}/builds/${__data.fields.build}"
            link = {"title": "This build in Buildbot", "url": self.master_url + path, "targetBlank": True}
            whole.append({"id": "links", "value": [link]})
        return [override("byName", "build", *whole)]

    def unit_overrides(self) -> list[Json]:
        """Unit and direction of each known series, for fields that begin with its name."""
        made = []
        for group in self.groups:
            properties: list[Json] = [{"id": "unit", "value": group.unit}]
            if group.better is not Direction.NONE:
                properties.append({"id": "custom.axisLabel", "value": direction_text(group.better)})
                properties.append({"id": "description", "value": direction_text(group.better)})
            made.append(override("byRegexp", f"/^(?:{group.names_pattern})(?:: |$)/", *properties))
        return made

    # dashboards

    def all(self) -> dict[str, Json]:
        """Every dashboard by its uid."""
        return {OVERVIEW: self.overview(), BUILDER: self.builder(), SERIES: self.series(), MASTER: self.master()}

    def overview(self) -> Json:
        """All builders: how long they take, and the last value of every series beside its change."""
        results = self.select('count("value")', '"build_duration"', _OF_BUILDER, by=('"result"',))
        panels = [
            stat("Builds by result", [target(results, "$tag_result")], unit="short", height=4),
            *(
                time_series(title, [target(self.curve(name, _OF_BUILDER), "$tag_builder")], unit="s", width=12)
                for title, name in (("Build duration", '"build_duration"'), ("Queue duration", '"queue_duration"'))
            ),
        ]
        for group in (part for whole in self.groups for part in whole.cut(_A_PANEL)):
            query = self.curve(f"/^(?:{group.names_pattern})$/", _OF_BUILDER)
            panels.append(stat(f"Last values ({group.title})", [target(query, "$m: $tag_builder")], group=group))
        variables = [builder_variable(multi=True)]
        return self._dashboard(OVERVIEW, "Buildbot measurements", panels, variables)

    def builder(self) -> Json:
        """One builder: its builds, and every series that it has."""
        builds = self.select(
            '"build", "builder", "worker", "result", "value"',
            '"build_duration"',
            _OF_BUILDER,
            _OF_WORKER,
            rest=" ORDER BY time DESC LIMIT 200",
        )
        steps = self.curve('"step_duration"', _OF_BUILDER, _OF_WORKER, by=('"step"',))
        each = self.curve("${series:doublequote}", _OF_BUILDER, _OF_WORKER, by=('"worker"',))
        panels = [
            table("Builds", [target(builds, table=True)], [*self.build_override(), seconds_override()]),
            time_series("Step duration", [target(steps, "$tag_step")], unit="s", width=24),
            time_series(
                "$series",
                [target(each, "$m: $tag_worker")],
                overrides=self.unit_overrides(),
                links=self.measurements_link("${series:percentencode}", "${builder:percentencode}"),
                repeat="series",
            ),
        ]
        variables = [
            builder_variable(),
            variable("worker", f'SHOW TAG VALUES WITH KEY = "worker" WHERE {_OF_BUILDER}', multi=True),
            variable("series", f"SHOW MEASUREMENTS WHERE {_OF_BUILDER}", regex=_OWN, multi=True, all_value=None),
        ]
        return self._dashboard(BUILDER, "Buildbot measurements of one builder", panels, variables)

    def series(self) -> Json:
        """One series: over time, its statistics, its points."""
        measurement, chosen = "${series:doublequote}", (_OF_BUILDER, _OF_WORKER, _OF_TAG)
        curve = self.curve(measurement, *chosen, by=('"builder"', '"worker"'))
        figures = [
            target(self.select(call, measurement, *chosen), f"$m: {name}", ref)
            for ref, (name, call) in zip("ABCDEF", _FIGURES.items())
        ]
        columns = '"build", "builder", "worker", "revision", "value", "text"'
        points = self.select(columns, measurement, *chosen, rest=" ORDER BY time DESC LIMIT 500")
        panels = [
            time_series(
                "$series",
                [target(curve, "$m: $tag_builder $tag_worker")],
                overrides=self.unit_overrides(),
                links=self.measurements_link("${series:percentencode}", "${__field.labels.builder:percentencode}"),
                width=24,
            ),
            stat("Statistics of this range", figures, overrides=self.unit_overrides(), height=4, graph=False),
            table("Points", [target(points, table=True)], self.build_override()),
        ]
        of_series = f"FROM {self.source(measurement)}"
        variables = [
            variable("series", "SHOW MEASUREMENTS", regex=_OWN, include_all=False),
            builder_variable(of_series, multi=True),
            variable("worker", f'SHOW TAG VALUES {of_series} WITH KEY = "worker"', multi=True),
            variable("tag_key", f"SHOW TAG KEYS {of_series}", label="tag", all_value='"builder"'),
            variable(
                "tag_value", f"SHOW TAG VALUES {of_series} WITH KEY = ${{tag_key:doublequote}}", label="is", multi=True
            ),
        ]
        return self._dashboard(SERIES, "Buildbot measurements of one series", panels, variables)

    def master(self) -> Json:
        """The master's own metrics (``trackMasterMetrics=True``)."""
        query = self.curve("${metric:doublequote}", _OF_MASTER, by=('"master"',))
        panels = [
            time_series("$metric", [target(query, "$m: $tag_master")], repeat="metric"),
            time_series(
                "Queue duration of builds",
                [target(self.curve('"queue_duration"'), "$tag_builder")],
                unit="s",
                width=24,
            ),
        ]
        metrics = r"SHOW MEASUREMENTS WITH MEASUREMENT =~ /^master\./"
        masters = r'SHOW TAG VALUES FROM /^master\./ WITH KEY = "master"'
        variables = [
            variable("master", masters, multi=True),
            variable("metric", metrics, multi=True, all_value=None),
        ]
        return self._dashboard(MASTER, "Buildbot master's health", panels, variables, annotated=False)

    def _dashboard(
        self, uid: str, title: str, panels: Sequence[Json], variables: Sequence[Json], *, annotated: bool = True
    ) -> Json:
        return {
            "uid": uid,
            "title": title,
            "tags": ["bbmeasure"],
            "editable": True,
            "graphTooltip": 1,
            "schemaVersion": 39,
            "refresh": "1m",
            "time": {"from": "now-30d", "to": "now"},
            "timezone": "browser",
            "links": [other_dashboards()],
            "annotations": {"list": [self._failed_builds()] if annotated else []},
            "templating": {"list": list(variables)},
            "panels": placed(panels),
        }

    def _failed_builds(self) -> Json:
        failed = '"result" =~ /^(failure|error)$/'
        query = self.select('"build", "builder", "result", "value"', '"build_duration"', failed, _OF_BUILDER)
        target = {
            "refId": "Anno",
            "fromAnnotations": True,
            "query": query,
            "rawQuery": True,
            "textColumn": "build",
            "tagsColumn": "builder,result",
            "limit": 100,  # these four are Grafana's own source's, and wanted by its schema
            "matchAny": False,
            "tags": [],
            "type": "tags",
        }
        return {
            "name": "Failed builds",
            "datasource": SOURCE,
            "enable": True,
            "hide": False,
            "iconColor": "red",
            "target": target,
        }


_FIGURES = {
    "average": 'mean("value")',
    "deviation": 'stddev("value")',
    "minimum": 'min("value")',
    "maximum": 'max("value")',
    "median": 'median("value")',
    "p95": 'percentile("value", 95)',
}
