"""Model of a Grafana dashboard: interpolates variables and queries an InfluxDB.

The formats are those of ``formatRegistry`` in @grafana/scenes 9, the macros those of Grafana's InfluxDB data source.  A
custom value for "all" is interpolated without formatting.
"""

from __future__ import annotations

import re
from typing import Any, Optional, Union

ALL = "$__all"
Value = Union[str, list[str]]

_VARIABLE = re.compile(r"\$\{(?P<braced>\w+)(?::(?P<format>\w+))?\}|\$(?P<bare>\w+)")
_SPECIAL = re.compile(r"[\\^$*+?.()|\[\]{}/]")


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", text)


def _regex(value: Value) -> str:
    if isinstance(value, str):
        return _escape(value)
    escaped = [_escape(one) for one in value]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _doublequote(value: Value) -> str:
    values = [value] if isinstance(value, str) else value
    return ",".join('"' + one.replace('"', '\\"') + '"' for one in values)


_FORMATS = {"regex": _regex, "doublequote": _doublequote}


def panels_of(model: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels of a dashboard without rows, those of collapsed rows too."""
    every = (one for panel in model["panels"] for one in (panel, *panel.get("panels", ())))
    return [panel for panel in every if panel["type"] != "row"]


class Board:
    """A dashboard with values for its variables; ``query(text)`` returns a list of series with rows."""

    def __init__(self, model: dict[str, Any], query: Any, since: int, until: int) -> None:
        self.model = model
        self._query = query
        self._span = f"time >= {since // 10**6}ms and time <= {until // 10**6}ms"
        self.values: dict[str, Value] = {}

    @property
    def variables(self) -> list[dict[str, Any]]:
        """Variables of the dashboard, in order."""
        return self.model["templating"]["list"]

    @property
    def panels(self) -> list[dict[str, Any]]:
        """Panels of the dashboard without rows, those of collapsed rows too."""
        return panels_of(self.model)

    def variable(self, name: str) -> dict[str, Any]:
        """Return the variable of that name."""
        return next(one for one in self.variables if one["name"] == name)

    def replace(self, text: str, values: Optional[dict[str, Value]] = None) -> str:
        """Interpolate variables and macros; raises KeyError for an unknown variable."""
        given = {**self.values, **(values or {})}

        def put(match: re.Match[str]) -> str:
            name = match["braced"] or match["bare"]
            if name == "timeFilter":
                return self._span
            if name == "__interval":
                return "1h"
            value = given[name]
            if value in (ALL, [ALL]):
                own = self.variable(name).get("allValue")
                if own is not None:
                    return own
                value = self.options(name)
            return _FORMATS[match["format"]](value)

        return _VARIABLE.sub(put, text)

    def options(self, name: str) -> list[str]:
        """Return the possible values of a variable."""
        variable = self.variable(name)
        found = [row[-1] for series in self.ask(variable["query"]) for row in series["values"]]
        if variable["query"].startswith("SHOW TAG VALUES"):
            assert all(len(row) == 2 for series in self.ask(variable["query"]) for row in series["values"])
        wanted = variable["regex"]
        if wanted:
            assert wanted.startswith("/")
            assert wanted.endswith("/")
            found = [one for one in found if re.search(wanted[1:-1], one)]
        return sorted(set(found))

    def ask(self, text: str, values: Optional[dict[str, Value]] = None) -> list[dict[str, Any]]:
        """Interpolate and execute a query."""
        return self._query(self.replace(text, values))

    def choose(self, **chosen: Value) -> None:
        """Set the variables in order; those not given are "all", or the first value."""
        self.values = {}
        for variable in self.variables:
            name = variable["name"]
            if variable["type"] == "datasource":
                self.values[name] = variable["current"]["value"]
            elif name in chosen:
                self.values[name] = chosen[name]
            elif variable["includeAll"]:
                self.values[name] = [ALL] if variable["multi"] else ALL
            else:
                self.values[name] = self.options(name)[0]

    def answers(self) -> list[tuple[str, str, list[dict[str, Any]]]]:
        """Return title, query and result of every target of every panel, including repeated and collapsed panels."""
        found = []
        for panel in self.panels:
            repeat = panel.get("repeat")
            chosen = self.values.get(repeat) if repeat else None
            values = self.options(repeat) if chosen in (ALL, [ALL]) else chosen if chosen else [None]
            for value in values:
                given = {repeat: value} if repeat else None
                for target in panel["targets"]:
                    query = self.replace(target["query"], given)
                    found.append((panel["title"], query, self._query(query)))
        return found
