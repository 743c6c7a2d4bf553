"""The parts of Grafana's dashboards: panels, variables, units, as the plain dicts that they are in JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from bbmeasure.model import SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.influxdb.line_protocol import clean_series

Json = dict[str, Any]

SOURCE = {"type": "influxdb", "uid": "bbmeasure"}
#: Series that the instances' switches make, so that they have units before anything was measured.
STOCK = tuple(
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
    """``text`` in a regular expression between slashes, for InfluxQL and for JavaScript: as ``${name:regex}`` does."""
    return _SPECIAL.sub(lambda match: "\\" + match.group(), text)


def grafana_unit(unit: str, kind: Kind) -> str:
    """What Grafana calls a base unit; one of a user's own is shown behind the number."""
    if kind is Kind.RATIO and unit == "1":
        return "percentunit"
    return _GRAFANA_UNITS.get(unit, f"suffix: {unit.strip('{}')}")


def direction_text(better: Direction) -> str:
    """The direction for people; empty where there is none."""
    return "" if better is Direction.NONE else f"{better.value} is better"


@dataclass(frozen=True)
class Group:
    """The series of one unit and direction."""

    unit: str
    better: Direction
    names: tuple[str, ...]

    @property
    def names_pattern(self) -> str:
        """The series' names, escaped and joined for a regular expression."""
        return "|".join(escape_regex(name) for name in self.names)

    @property
    def title(self) -> str:
        """What the series have in common."""
        return ", ".join(part for part in (self.unit, direction_text(self.better)) if part)

    def cut(self, most: int) -> list[Group]:
        """The same series as groups of ``most`` at the most."""
        return [replace(self, names=self.names[at : at + most]) for at in range(0, len(self.names), most)]


def groups_of(series: Iterable[SeriesInfo]) -> list[Group]:
    """The series of numbers by unit and direction, by the names they have in InfluxDB."""
    found: dict[tuple[str, Direction], list[str]] = {}
    for info in {info.name: info for info in (*STOCK, *series)}.values():
        if info.kind is not Kind.TEXT and not info.name.startswith("master."):
            found.setdefault((grafana_unit(info.unit, info.kind), info.better), []).append(clean_series(info.name))
    return [
        Group(unit, better, tuple(sorted(names)))
        for (unit, better), names in sorted(found.items(), key=lambda item: (item[0][0], item[0][1].value))
    ]


def target(query: str, alias: str = "", ref: str = "A", *, table: bool = False) -> Json:
    """A panel's query; ``alias`` names what it gives, as lines or as a ``table``."""
    return {
        "refId": ref,
        "datasource": SOURCE,
        "rawQuery": True,
        "query": query,
        "alias": alias,
        "resultFormat": "table" if table else "time_series",
    }


def override(matcher: str, what: str, *properties: Json) -> Json:
    """What is different for the fields that ``matcher`` (``byName``, ``byRegexp``) finds."""
    return {"matcher": {"id": matcher, "options": what}, "properties": list(properties)}


def seconds_override() -> Json:
    """The column ``value`` is a duration."""
    return override("byName", "value", {"id": "unit", "value": "s"}, {"id": "displayName", "value": "duration"})


def panel(kind: str, title: str, targets: Sequence[Json], size: tuple[int, int], **more: Any) -> Json:
    """A panel of a size in columns, of which there are 24, and rows."""
    width, height = size
    return {
        "type": kind,
        "title": title,
        "datasource": SOURCE,
        "targets": list(targets),
        "gridPos": {"x": 0, "y": 0, "w": width, "h": height},
        **more,
    }


def time_series(
    title: str,
    targets: Sequence[Json],
    *,
    unit: str = "short",
    overrides: Sequence[Json] = (),
    links: Sequence[Json] = (),
    width: int = 12,
    repeat: Optional[str] = None,
) -> Json:
    """Lines over time; ``repeat`` a variable for each value of which there is such a panel."""
    custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 5, "showPoints": "auto", "spanNulls": True}
    if unit == "s":
        custom["axisLabel"] = direction_text(Direction.LOWER)
    legend = {"showLegend": True, "displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "median"]}
    repeated = {"repeat": repeat, "repeatDirection": "h", "maxPerRow": 2} if repeat else {}
    return panel(
        "timeseries",
        title,
        targets,
        (width, 9),
        fieldConfig={"defaults": {"unit": unit, "custom": custom, "links": list(links)}, "overrides": list(overrides)},
        options={"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}},
        **repeated,
    )


def stat(
    title: str,
    targets: Sequence[Json],
    *,
    unit: str = "short",
    group: Optional[Group] = None,
    overrides: Sequence[Json] = (),
    height: int = 6,
    graph: bool = True,
) -> Json:
    """Tiles of last values; those of a ``group`` say how they changed, the good direction in green."""
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
    return panel(
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


def table(title: str, targets: Sequence[Json], overrides: Sequence[Json]) -> Json:
    """Rows and columns as the query gives them."""
    options = {"showHeader": True, "cellHeight": "sm", "frameIndex": 0}
    defaults = {"custom": {"align": "auto", "filterable": True, "inspect": False, "cellOptions": {"type": "auto"}}}
    return panel(
        "table",
        title,
        targets,
        (24, 9),
        fieldConfig={"defaults": defaults, "overrides": list(overrides)},
        options=options,
    )


def placed(panels: Sequence[Json]) -> list[Json]:
    """The panels one after the other in rows of 24, with ids."""
    x = y = row = 0
    placed = []
    for number, panel in enumerate(panels, start=1):
        size = panel["gridPos"]
        if x + size["w"] > 24:
            x, y, row = 0, y + row, 0
        placed.append({"id": number, **panel, "gridPos": {**size, "x": x, "y": y}})
        x, row = x + size["w"], max(row, size["h"])
    return placed


def builder_variable(of: str = "", *, multi: bool = False) -> Json:
    """The builders that there are in the measurement of the clause ``of``, or at all."""
    space = " " if of else ""
    return variable("builder", f'SHOW TAG VALUES {of}{space}WITH KEY = "builder"', multi=multi, include_all=multi)


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
    """A variable that is asked for anew when the time range changes."""
    made: Json = {
        "type": "query",
        "name": name,
        "label": label or name,
        "datasource": SOURCE,
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
        made["current"] = {"text": ["All"] if multi else "All", "value": ["$__all"] if multi else "$__all"}
        if all_value is not None:
            made["allValue"] = all_value
    return made


def other_dashboards() -> Json:
    """A menu of all dashboards of bbmeasure's that keeps what is chosen."""
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
