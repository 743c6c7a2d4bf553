"""Grafana dashboards as dicts: overview, one builder, one series, the master's health.

Grafana does not quote variables in InfluxQL: an identifier is written ``${series:doublequote}``, a compared value
``/^${builder:regex}$/``.  Units and directions of the series are known when the dashboards are generated: each panel
has an override for each of them.  No panel shows points of proposals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from bbmeasure.grafana.panels import (
    DATA_SOURCE,
    Json,
    Row,
    SeriesGroup,
    bound_overrides,
    direction_text,
    layout,
    override,
    query_target,
    seconds_override,
    stat_panel,
    table_panel,
    time_series_panel,
)
from bbmeasure.grafana.variables import (
    OF_BRANCH,
    branch_variable,
    builder_variable,
    dashboards_menu,
    data_source_variable,
    grouping_variable,
    variable,
)
from bbmeasure.records import Direction

OVERVIEW, BUILDER, SERIES, MASTER = "bbmeasure-overview", "bbmeasure-builder", "bbmeasure-series", "bbmeasure-master"
_OWN = "/^(?!bbmeasure_(?:series|state|alerts|decisions|usual)$).+/"
_ALERTS, _DECISIONS, _USUAL = '"bbmeasure_alerts"', '"bbmeasure_decisions"', '"bbmeasure_usual"'
_OF_SERIES = '"series" =~ /^${series:regex}$/'
_OF_BUILDER = '"builder" =~ /^${builder:regex}$/'
_OF_WORKER = '"worker" =~ /^${worker:regex}$/'
_OF_MASTER = '"master" =~ /^${master:regex}$/'
#: The tag of proposals is missing.
_NOT_PROPOSED = "\"proposed\" = ''"
_OF_TAG = "${tag_key:doublequote} =~ /^${tag_value:regex}$/"
#: Maximum number of series in one panel of last values.
_SERIES_PER_PANEL = 20
_EACH_INTERVAL = "time($__interval)"


def _every_tag_but(name: str) -> str:
    """Return a regular expression without lookahead that matches each tag but ``name``."""
    length = len(name)
    other = [f"{'.' * at}[^{letter}]{'.' * (length - at - 1)}" for at, letter in enumerate(name)]
    return f"/^(.{{0,{length - 1}}}|.{{{length + 1},}}|{'|'.join(other)})$/"


#: Grouping by each combination of tags: no statistic is over different tags.
EVERY_TAG = _every_tag_but("proposed")
_LABELS = "${__field.labels}"


@dataclass(frozen=True)
class DashboardBuilder:
    """Builder of the dashboards for one database and one master.

    ``policy`` is the retention policy to read, None for the default; ``master_url`` the URL of Buildbot's page, None
    for no links to it.
    """

    groups: Sequence[SeriesGroup]
    policy: Optional[str] = None
    master_url: Optional[str] = None

    # queries and overrides

    def from_clause(self, measurement: str) -> str:
        """Return the operand of FROM for a quoted measurement or a regular expression."""
        if self.policy is None:
            return measurement
        quoted = self.policy.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}".{measurement}'

    def select(self, columns: str, measurement: str, *conditions: str, by: Sequence[str] = (), rest: str = "") -> str:
        """Return a SELECT of the dashboard's time range, without points of proposals."""
        where = " AND ".join((*conditions, _NOT_PROPOSED, "$timeFilter"))
        grouped = f" GROUP BY {', '.join(by)}" if by else ""
        return f"SELECT {columns} FROM {self.from_clause(measurement)} WHERE {where}{grouped}{rest}"  # noqa: S608 (Grafana's)

    def curve(self, measurement: str, *conditions: str, by: Sequence[str] = (EVERY_TAG,)) -> str:
        """Return the query of curves: the median of each interval, with few points each point; one for each tag."""
        intervals = (_EACH_INTERVAL, *by)
        return self.select('median("value")', measurement, *conditions, by=intervals, rest=" fill(none)")

    def measurements_link(self, series: str, builder: str) -> list[Json]:
        """Return the link to a series on Buildbot's Measurements page, for the dashboard's time range."""
        if self.master_url is None:
            return []
        where = f"builder={builder}&since=${{__from:date:iso}}&until=${{__to:date:iso}}"
        url = f"{self.master_url}#/measurements/{series}?{where}"
        return [{"title": "Builds of this series in Buildbot", "url": url, "targetBlank": True}]

    def build_override(self) -> list[Json]:
        """Return the override that links the column ``build`` to the build."""
        properties: list[Json] = [{"id": "unit", "value": "none"}, {"id": "decimals", "value": 0}]
        if self.master_url is not None:
            path = "#/builders/${__data.fields.builder:percentencode}/builds/${__data.fields.build}"
            link = {"title": "This build in Buildbot", "url": self.master_url + path, "targetBlank": True}
            properties.append({"id": "links", "value": [link]})
        return [override("byName", "build", *properties)]

    def unit_overrides(self) -> list[Json]:
        """Return the overrides for unit and direction of each known series."""
        overrides = []
        for group in self.groups:
            properties: list[Json] = [{"id": "unit", "value": group.unit}]
            if group.better is not Direction.NONE:
                properties.append({"id": "custom.axisLabel", "value": direction_text(group.better)})
                properties.append({"id": "description", "value": direction_text(group.better)})
            overrides.append(
                override("byRegexp", f"/^(?:{group.names_pattern})(?:{group.curves_pattern})/", *properties)
            )
        return overrides

    # dashboards

    def all(self) -> dict[str, Json]:
        """Return all dashboards by uid."""
        return {OVERVIEW: self.overview(), BUILDER: self.builder(), SERIES: self.series(), MASTER: self.master()}

    def overview(self) -> Json:
        """Return the dashboard of all builders: results, durations, and last value and change of every series."""
        results = self.select('count("value")', '"build_duration"', _OF_BUILDER, OF_BRANCH, by=('"result"',))
        builds = [
            stat_panel("Builds by result", [query_target(results, "$tag_result")], unit="short", height=4),
            *(
                time_series_panel(
                    title, [query_target(self.curve(name, _OF_BUILDER, OF_BRANCH))], unit="s", width=12, label=_LABELS
                )
                for title, name in (
                    ("Duration of builds", '"build_duration"'),
                    ("Waiting time of builds", '"queue_duration"'),
                )
            ),
        ]
        rows = [Row("Builds", builds), *(self._last_values(group) for group in self.groups)]
        variables = [builder_variable(multi=True), self._branch_variable("/.+/")]
        return self._dashboard(OVERVIEW, "Buildbot measurements", rows, variables)

    def _last_values(self, group: SeriesGroup) -> Row:
        """Return the row of the last values of a group's series, collapsed if it has more than one panel."""
        conditions = [f'"builder" =~ /^(?:{group.builders_pattern})$/'] if group.builders is not None else []
        panels = []
        for chunk in group.chunks(_SERIES_PER_PANEL):
            query = self.curve(f"/^(?:{chunk.names_pattern})$/", _OF_BUILDER, OF_BRANCH, *conditions)
            part = "" if len(chunk.names) == len(group.names) else f", from {chunk.names[0]}"
            title = f"{group.title}: last values{part}"
            panels.append(
                stat_panel(title, [query_target(query, "$m")], group=chunk, label=f"${{__series.name}} {_LABELS}")
            )
        return Row(group.title, panels, collapsed=len(panels) > 1)

    def builder(self) -> Json:
        """Return the dashboard of one builder: its builds, and all its series."""
        chosen = (_OF_BUILDER, _OF_WORKER, OF_BRANCH)
        builds = self.select(
            '"build", "builder", "worker", "branch", "result", "value"',
            '"build_duration"',
            *chosen,
            rest=" ORDER BY time DESC LIMIT 200",
        )
        steps = self.curve('"step_duration"', *chosen)
        each = self.curve("${series:doublequote}", *chosen)
        table = table_panel("Builds", [query_target(builds, table=True)], [*self.build_override(), seconds_override()])
        duration = time_series_panel("Duration of steps", [query_target(steps)], unit="s", width=24, label=_LABELS)
        curves = time_series_panel(
            "Values of $series",
            [query_target(each, "$m: $tag_builder")],
            overrides=self.unit_overrides(),
            links=self.measurements_link("${series:percentencode}", "${builder:percentencode}"),
            repeat="series",
            label=_LABELS,
        )
        rows = [
            Row("Builds", [table]),
            Row("Steps", [duration]),
            Row("Series, a panel for each", [curves], collapsed=True),
        ]
        variables = [
            builder_variable(),
            variable("worker", f'SHOW TAG VALUES WITH KEY = "worker" WHERE {_OF_BUILDER}', multi=True),
            variable("series", f"SHOW MEASUREMENTS WHERE {_OF_BUILDER}", regex=_OWN, multi=True, all_value=None),
            self._branch_variable("/.+/"),
        ]
        return self._dashboard(BUILDER, "Buildbot measurements of one builder", rows, variables)

    def series(self) -> Json:
        """Return the dashboard of one series: curve, statistics, points."""
        measurement, chosen = "${series:doublequote}", (_OF_BUILDER, _OF_WORKER, _OF_TAG, OF_BRANCH)
        grouped = "${group_by:doublequote}"
        figures = [
            query_target(self.select(call, measurement, *chosen, by=(grouped,)), f"$m: {name}", ref)
            for ref, (name, call) in zip("ABCDEF", _FIGURES.items())
        ]
        columns = '"build", "builder", "worker", "branch", "revision", "value", "text"'
        points = self.select(columns, measurement, *chosen, rest=" ORDER BY time DESC LIMIT 500")
        curve = time_series_panel(
            "Values of $series",
            [query_target(self.curve(measurement, *chosen, by=(grouped,)), "$m: $tag_builder"), *self._bounds()],
            overrides=[*self.unit_overrides(), *bound_overrides(BOUNDS)],
            links=self.measurements_link("${series:percentencode}", "${__field.labels.builder:percentencode}"),
            width=24,
            label=_LABELS,
        )
        statistics = stat_panel(
            "Statistics of $series in this range",
            figures,
            overrides=self.unit_overrides(),
            height=6,
            graph=False,
            label=f"${{__series.name}} {_LABELS}",
        )
        table = table_panel("Points", [query_target(points, table=True)], self.build_override())
        rows = [Row("Values", [curve]), Row("Statistics", [statistics]), Row("Points, the newest first", [table])]
        of_series = f"FROM {self.from_clause(measurement)}"
        tag_keys = f"SHOW TAG KEYS {of_series}"
        variables = [
            variable("series", "SHOW MEASUREMENTS", regex=_OWN, include_all=False),
            builder_variable(of_series, multi=True),
            variable("worker", f'SHOW TAG VALUES {of_series} WITH KEY = "worker"', multi=True),
            variable("tag_key", tag_keys, label="tag", regex="/^(?!proposed$)/", all_value='"builder"'),
            variable(
                "tag_value", f"SHOW TAG VALUES {of_series} WITH KEY = ${{tag_key:doublequote}}", label="is", multi=True
            ),
            grouping_variable(tag_keys, EVERY_TAG),
            self._branch_variable(measurement),
        ]
        return self._dashboard(SERIES, "Buildbot measurements of one series", rows, variables)

    def master(self) -> Json:
        """Return the dashboard of the master's own metrics (``trackMasterMetrics=True``)."""
        query = self.curve("${metric:doublequote}", _OF_MASTER)
        metric = time_series_panel("$metric", [query_target(query)], repeat="metric", label=_LABELS)
        waiting = time_series_panel(
            "Waiting time of builds", [query_target(self.curve('"queue_duration"'))], unit="s", width=24, label=_LABELS
        )
        metrics = r"SHOW MEASUREMENTS WITH MEASUREMENT =~ /^master\./"
        masters = r'SHOW TAG VALUES FROM /^master\./ WITH KEY = "master"'
        variables = [
            variable("master", masters, multi=True),
            variable("metric", metrics, multi=True, all_value=None),
        ]
        rows = [Row("Builds", [waiting]), Row("Metrics of the master, a panel for each", [metric])]
        return self._dashboard(MASTER, "Buildbot master's health", rows, variables, annotated=False)

    def _dashboard(
        self, uid: str, title: str, rows: Sequence[Row], variables: Sequence[Json], *, annotated: bool = True
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
            "links": [dashboards_menu()],
            "annotations": {"list": [self._failed_builds(), *self._alerts(uid)] if annotated else []},
            "templating": {"list": [data_source_variable(), *variables]},
            "panels": layout(rows),
        }

    def _branch_variable(self, measurement: str) -> Json:
        """Return the variable ``branch``: a field, whose values are read from points of the chosen builders."""
        return branch_variable(self.select('DISTINCT("branch")', measurement, _OF_BUILDER))

    def _bounds(self) -> list[Json]:
        """Return the queries of what is usual for the series, and of its limits."""
        grouped = (_EACH_INTERVAL, '"builder"', '"machine"', "${group_by:doublequote}")
        return [
            query_target(
                self.select(
                    f'median("{field}")', _USUAL, _OF_SERIES, _OF_BUILDER, OF_BRANCH, by=grouped, rest=" fill(none)"
                ),
                f"{words}: $tag_builder",
                ref,
            )
            for ref, (words, field) in zip("BCDE", BOUNDS.items())
        ]

    def _failed_builds(self) -> Json:
        failed = '"result" =~ /^(failure|error)$/'
        query = self.select('"build", "builder", "result", "value"', '"build_duration"', failed, _OF_BUILDER, OF_BRANCH)
        return _annotation("Failed builds", query, "red", "build", "builder,result")

    def _alerts(self, uid: str) -> list[Json]:
        """Return the annotations of alerts where they began and where they were decided.

        In the dashboard of a series they are those of that series alone.
        """
        conditions = (_OF_BUILDER, OF_BRANCH, *([_OF_SERIES] if uid == SERIES else []))
        columns = '"series", "builder", "outcome", "state", "reason", "by", "why"'
        return [
            _annotation(
                title, self.select(columns, measurement, *conditions, state), colour, text, "series,builder,state"
            )
            for title, colour, measurement, text, state in (
                ("Open alerts", "orange", _ALERTS, "reason", "\"state\" = 'open'"),
                ("Earlier changes", "purple", _ALERTS, "reason", "\"state\" != 'open'"),
                ("Accepted and ignored", "blue", _DECISIONS, "why", '"state" =~ /^(accepted|ignored)$/'),
                ("Resolved", "green", _DECISIONS, "why", "\"state\" = 'resolved'"),
            )
        ]


def _annotation(name: str, query: str, colour: str, text: str, tags: str) -> Json:
    """Return an annotation by a query; ``text`` and ``tags`` name its columns."""
    target = {
        "refId": "Anno",
        "fromAnnotations": True,
        "query": query,
        "rawQuery": True,
        "textColumn": text,
        "tagsColumn": tags,
        "limit": 100,  # required by the schema, as are the next three
        "matchAny": False,
        "tags": [],
        "type": "tags",
    }
    return {
        "name": name,
        "datasource": DATA_SOURCE,
        "enable": True,
        "hide": False,
        "iconColor": colour,
        "target": target,
    }


#: Fields of what is usual, by the beginning of the names of their curves.
BOUNDS = {"usual from": "low", "usual to": "high", "limit": "limit", "least allowed": "lower_limit"}

_FIGURES = {
    "average": 'mean("value")',
    "deviation": 'stddev("value")',
    "minimum": 'min("value")',
    "maximum": 'max("value")',
    "median": 'median("value")',
    "p95": 'percentile("value", 95)',
}
