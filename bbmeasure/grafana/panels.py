"""Panels, variables and units of Grafana dashboards, as dicts in Grafana's JSON model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from bbmeasure.model import SeriesInfo
from bbmeasure.records import Direction, Kind, canonical_series

Json = dict[str, Any]

DATA_SOURCE = {"type": "influxdb", "uid": "bbmeasure"}
#: The branch is a field, which points outside builds do not have.  For "all" the variable's value closes the expression
#: and adds a condition on a tag, which every point meets.
OF_BRANCH = '("branch" =~ /^${branch:regex}$/)'
_EVERY_BRANCH = '.*$/ OR "builder" =~ /^.*'
#: Series of the instances' switches, which have a unit before the first measurement.
BUILTIN_SERIES = tuple(
    SeriesInfo(name, Kind.DURATION, "s", Direction.LOWER)
    for name in ("build_duration", "queue_duration", "step_duration")
)

_GRAFANA_UNITS = {
    "s": "s",
    "bytes": "bytes",
    "bytes/s": "binBps",
    "1": "short",
    "1/s": "hertz",
    "J": "joule",
    "W": "watt",
    "Cel": "celsius",
}
_SPECIAL = re.compile(r"[\\^$*+?.()|\[\]{}/]")


def escape_regex(text: str) -> str:
    """Escape ``text`` for a regular expression of InfluxQL and JavaScript, as ``${name:regex}`` does."""
    return _SPECIAL.sub(lambda match: "\\" + match.group(), text)


def grafana_unit(unit: str, kind: Kind) -> str:
    """Return Grafana's name of a base unit; a user-defined unit becomes a suffix."""
    if kind is Kind.RATIO and unit == "1":
        return "percentunit"
    return _GRAFANA_UNITS.get(unit, f"suffix: {unit.strip('{}')}")


def direction_text(better: Direction) -> str:
    """Return a description of the direction, empty for none."""
    return "" if better is Direction.NONE else f"{better.value} is better"


@dataclass(frozen=True)
class SeriesGroup:
    """Series with the same unit and direction; ``builders`` are set where other builders have another unit."""

    unit: str
    better: Direction
    names: tuple[str, ...]
    builders: Optional[tuple[str, ...]] = None

    @property
    def names_pattern(self) -> str:
        """Alternatives of a regular expression that matches the series' names."""
        return "|".join(escape_regex(name) for name in self.names)

    @property
    def builders_pattern(self) -> str:
        """Alternatives of a regular expression that matches the builders' names."""
        return "|".join(escape_regex(name) for name in self.builders or ())

    @property
    def curves_pattern(self) -> str:
        """Alternatives of a regular expression that matches what follows the series' name in the name of a curve."""
        return ": |$" if self.builders is None else f": (?:{self.builders_pattern})(?: |$)"

    @property
    def title(self) -> str:
        """Title from unit and direction."""
        return ", ".join(part for part in (self.unit, direction_text(self.better)) if part)

    def chunks(self, size: int) -> list[SeriesGroup]:
        """Return the series in groups of at most ``size``."""
        return [replace(self, names=self.names[at : at + size]) for at in range(0, len(self.names), size)]


def group_series(series: Iterable[SeriesInfo]) -> list[SeriesGroup]:
    """Group the numeric series by unit and direction, under their measurement names.

    A series whose builders have different units is in a group of its own for each unit.
    """
    meanings: dict[str, list[SeriesInfo]] = {info.name: [info] for info in BUILTIN_SERIES}
    for name, infos in _by_name(series).items():
        meanings[name] = infos
    found: dict[tuple[str, Direction, Optional[tuple[str, ...]]], set[str]] = {}
    for name, infos in meanings.items():
        for info in infos:
            if info.kind is not Kind.TEXT and not name.startswith("master."):
                builders = None if len(infos) == 1 else tuple(info.builders)
                key = (grafana_unit(info.unit, info.kind), info.better, builders)
                found.setdefault(key, set()).add(canonical_series(name))
    return [
        SeriesGroup(unit, better, tuple(sorted(names)), builders)
        for (unit, better, builders), names in sorted(
            found.items(), key=lambda item: (item[0][0], item[0][1].value, item[0][2] or ())
        )
    ]


def _by_name(series: Iterable[SeriesInfo]) -> dict[str, list[SeriesInfo]]:
    found: dict[str, list[SeriesInfo]] = {}
    for info in series:
        found.setdefault(info.name, []).append(info)
    return found


def query_target(query: str, alias: str = "", ref: str = "A", *, table: bool = False) -> Json:
    """Return the query of a panel; ``alias`` names its curves."""
    return {
        "refId": ref,
        "datasource": DATA_SOURCE,
        "rawQuery": True,
        "query": query,
        "alias": alias,
        "resultFormat": "table" if table else "time_series",
    }


def override(matcher: str, options: str, *properties: Json) -> Json:
    """Return a field override; ``matcher`` is ``byName`` or ``byRegexp``."""
    return {"matcher": {"id": matcher, "options": options}, "properties": list(properties)}


def seconds_override() -> Json:
    """Return the override that shows the column ``value`` as a duration."""
    return override("byName", "value", {"id": "unit", "value": "s"}, {"id": "displayName", "value": "duration"})


def make_panel(kind: str, title: str, targets: Sequence[Json], size: tuple[int, int], **options: Any) -> Json:
    """Return a panel; ``size`` is its width in columns, of 24, and its height in rows."""
    width, height = size
    return {
        "type": kind,
        "title": title,
        "datasource": DATA_SOURCE,
        "targets": list(targets),
        "gridPos": {"x": 0, "y": 0, "w": width, "h": height},
        **options,
    }


def time_series_panel(
    title: str,
    targets: Sequence[Json],
    *,
    unit: str = "short",
    overrides: Sequence[Json] = (),
    links: Sequence[Json] = (),
    width: int = 12,
    repeat: Optional[str] = None,
) -> Json:
    """Return a panel of curves; ``repeat`` names a variable that repeats the panel for each of its values."""
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 5, "showPoints": "auto", "spanNulls": True}
    if unit == "s":
        custom["axisLabel"] = direction_text(Direction.LOWER)
    legend = {"showLegend": True, "displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "median"]}
    repeated = {"repeat": repeat, "repeatDirection": "h", "maxPerRow": 2} if repeat else {}
    return make_panel(
        "timeseries",
        title,
        targets,
        (width, 9),
        fieldConfig={"defaults": {"unit": unit, "custom": custom, "links": list(links)}, "overrides": list(overrides)},
        options={"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}},
        **repeated,
    )


def stat_panel(
    title: str,
    targets: Sequence[Json],
    *,
    unit: str = "short",
    group: Optional[SeriesGroup] = None,
    overrides: Sequence[Json] = (),
    height: int = 6,
    graph: bool = True,
) -> Json:
    """Return a panel of last values; those of a ``group`` show the change, green in the better direction."""
    options: Json = {
        "reduceOptions": {"calcs": ["lastNotNull"], "values": False},
        "colorMode": "none",
        "graphMode": "area" if graph else "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
        "wideLayout": True,
        "showPercentChange": group is not None,
        "percentChangeColorMode": "standard",
    }
    defaults: Json = {"unit": group.unit if group else unit}
    if group is not None:
        options["percentChangeColorMode"] = _CHANGE_COLOURS[group.better]
        defaults["description"] = direction_text(group.better)
    return make_panel(
        "stat",
        title,
        targets,
        (24, height),
        fieldConfig={"defaults": defaults, "overrides": list(overrides)},
        options=options,
    )


_CHANGE_COLOURS: Mapping[Direction, str] = {
    Direction.LOWER: "inverted",
    Direction.HIGHER: "standard",
    Direction.NONE: "same_as_value",
}


def table_panel(title: str, targets: Sequence[Json], overrides: Sequence[Json]) -> Json:
    """Return a table of the query's rows and columns."""
    options = {"showHeader": True, "cellHeight": "sm", "frameIndex": 0}
    defaults = {"custom": {"align": "auto", "filterable": True, "inspect": False, "cellOptions": {"type": "auto"}}}
    return make_panel(
        "table",
        title,
        targets,
        (24, 9),
        fieldConfig={"defaults": defaults, "overrides": list(overrides)},
        options=options,
    )


def layout(panels: Sequence[Json]) -> list[Json]:
    """Return the panels with ids and positions, left to right in rows of 24 columns."""
    x = y = row_height = 0
    positioned = []
    for number, panel in enumerate(panels, start=1):
        size = panel["gridPos"]
        if x + size["w"] > 24:
            x, y, row_height = 0, y + row_height, 0
        positioned.append({"id": number, **panel, "gridPos": {**size, "x": x, "y": y}})
        x, row_height = x + size["w"], max(row_height, size["h"])
    return positioned


def builder_variable(from_clause: str = "", *, multi: bool = False) -> Json:
    """Return the variable ``builder``, with the builders of one measurement or of all."""
    space = " " if from_clause else ""
    return variable(
        "builder", f'SHOW TAG VALUES {from_clause}{space}WITH KEY = "builder"', multi=multi, include_all=multi
    )


def branch_variable(query: str) -> Json:
    """Return the variable ``branch`` with the values that ``query`` selects."""
    return variable("branch", query, multi=True, all_value=_EVERY_BRANCH)


def variable(
    name: str,
    query: str,
    *,
    label: Optional[str] = None,
    regex: str = "",
    multi: bool = False,
    include_all: bool = True,
    all_value: Optional[str] = ".*",
) -> Json:
    """Return a query variable that is refreshed when the time range changes."""
    model: Json = {
        "type": "query",
        "name": name,
        "label": label or name,
        "datasource": DATA_SOURCE,
        "query": query,
        "regex": regex,
        "refresh": 2,
        "sort": 1,
        "multi": multi,
        "includeAll": include_all,
        "hide": 0,
        "skipUrlSync": False,
    }
    if include_all:
        model["current"] = {"text": ["All"] if multi else "All", "value": ["$__all"] if multi else "$__all"}
        if all_value is not None:
            model["allValue"] = all_value
    return model


def dashboards_menu() -> Json:
    """Return a menu of bbmeasure's dashboards that keeps variables and time range."""
    return {
        "type": "dashboards",
        "title": "Buildbot",
        "tags": ["bbmeasure"],
        "asDropdown": True,
        "icon": "external link",
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "tooltip": "",
        "url": "",
    }
