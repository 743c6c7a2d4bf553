"""Panels and rows of Grafana dashboards, as dicts in Grafana's JSON model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from bbmeasure.grafana.units import grafana_unit, unit_words
from bbmeasure.model import SeriesInfo
from bbmeasure.records import Direction, Kind, canonical_series

Json = dict[str, Any]

#: Uid and name of the provisioned data source.
PROVISIONED_SOURCE = "bbmeasure"
DATA_SOURCE = {"type": "influxdb", "uid": "${datasource}"}
#: Series of the instances' switches, which have a unit before the first measurement.
BUILTIN_SERIES = tuple(
    SeriesInfo(name, Kind.DURATION, "s", Direction.LOWER)
    for name in ("build_duration", "queue_duration", "step_duration")
)

_SPECIAL = re.compile(r"[\\^$*+?.()|\[\]{}/]")


def escape_regex(text: str) -> str:
    """Escape ``text`` for a regular expression of InfluxQL and JavaScript, as ``${name:regex}`` does."""
    return _SPECIAL.sub(lambda match: "\\" + match.group(), text)


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
        """Title in words, from unit and direction."""
        return ", ".join(part for part in (unit_words(self.unit), direction_text(self.better)) if part)

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


def bound_overrides(names: Iterable[str]) -> list[Json]:
    """Return the override of curves whose names begin with ``names``: dashed, grey, not in the legend."""
    properties: list[Json] = [
        {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [6, 4]}},
        {"id": "custom.fillOpacity", "value": 0},
        {"id": "custom.showPoints", "value": "never"},
        {"id": "custom.hideFrom", "value": {"legend": True, "tooltip": False, "viz": False}},
        {"id": "color", "value": {"mode": "fixed", "fixedColor": "gray"}},
    ]
    return [override("byRegexp", f"/^(?:{'|'.join(names)}): /", *properties)]


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
    label: Optional[str] = None,
) -> Json:
    """Return a panel of curves.

    ``repeat`` names a variable that repeats the panel for each of its values, ``label`` is the name of a curve in the
    legend; the overrides match the query's alias.
    """
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
        fieldConfig={
            "defaults": {"unit": unit, "custom": custom, "links": list(links), **_display_name(label)},
            "overrides": list(overrides),
        },
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
    label: Optional[str] = None,
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
    defaults: Json = {"unit": group.unit if group else unit, **_display_name(label)}
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


def _display_name(label: Optional[str]) -> Json:
    return {"displayName": label} if label else {}


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


@dataclass(frozen=True)
class Row:
    """Row of panels under a title; a long one is collapsed."""

    title: str
    panels: Sequence[Json]
    collapsed: bool = False


def layout(rows: Sequence[Row]) -> list[Json]:
    """Return the rows and their panels with ids and positions, left to right in 24 columns."""
    y = 0
    positioned: list[Json] = []
    for row in rows:
        header: Json = {
            "type": "row",
            "title": row.title,
            "collapsed": row.collapsed,
            "gridPos": {"x": 0, "y": y, "w": 24, "h": 1},
            "panels": [],
        }
        panels, y = _place(row.panels, y + 1)
        if row.collapsed:
            header["panels"] = panels
            y = header["gridPos"]["y"] + 1
        positioned.append(header)
        positioned.extend([] if row.collapsed else panels)
    every = (one for panel in positioned for one in (panel, *panel.get("panels", ())))
    for number, panel in enumerate(every, start=1):
        panel["id"] = number
    return positioned


def _place(panels: Sequence[Json], y: int) -> tuple[list[Json], int]:
    """Return the panels with positions from the line ``y``, and the line below them."""
    x = row_height = 0
    placed = []
    for panel in panels:
        size = panel["gridPos"]
        if x + size["w"] > 24:
            x, y, row_height = 0, y + row_height, 0
        placed.append({**panel, "gridPos": {**size, "x": x, "y": y}})
        x, row_height = x + size["w"], max(row_height, size["h"])
    return placed, y + row_height
