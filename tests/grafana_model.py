"""What Grafana does with a dashboard, as far as tests need it: puts variables in, and asks an InfluxDB.

The formats are those of ``formatRegistry`` in @grafana/scenes 9, the macros those of Grafana's InfluxDB source; a value
for "all" of the dashboard's own is put in as it is.
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


class Board:
    """A dashboard that somebody looks at; ``query(text)`` asks the database for a list of series of rows."""

    def __init__(self, model: dict[str, Any], query: Any, since: int, until: int) -> None:
        self.model = model
        self._query = query
        self._span = f"time >= {since // 10**6}ms and time <= {until // 10**6}ms"
        self.values: dict[str, Value] = {}

    @property
    def variables(self) -> list[dict[str, Any]]:
        """The variables in their order."""
        return self.model["templating"]["list"]

    def variable(self, name: str) -> dict[str, Any]:
        """The variable of that name."""
        return next(one for one in self.variables if one["name"] == name)

    def replace(self, text: str, values: Optional[dict[str, Value]] = None) -> str:
        """``text`` with variables and macros put in; an AssertionError where there is no such variable."""
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
        """What a variable can be, as the database says now."""
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
        """What the database answers to a query of the dashboard."""
        return self._query(self.replace(text, values))

    def choose(self, **chosen: Value) -> None:
        """Choose values in the order of the variables; those not named are "all", or the first there is."""
        self.values = {}
        for variable in self.variables:
            name = variable["name"]
            if name in chosen:
                self.values[name] = chosen[name]
            elif variable["includeAll"]:
                self.values[name] = [ALL] if variable["multi"] else ALL
            else:
                self.values[name] = self.options(name)[0]

    def answers(self) -> list[tuple[str, str, list[dict[str, Any]]]]:
        """Title, query and answer of every target of every panel, of each repetition of a repeated one."""
        found = []
        for panel in self.model["panels"]:
            repeat = panel.get("repeat")
            chosen = self.values.get(repeat) if repeat else None
            values = self.options(repeat) if chosen in (ALL, [ALL]) else chosen if chosen else [None]
            for value in values:
                given = {repeat: value} if repeat else None
                for target in panel["targets"]:
                    query = self.replace(target["query"], given)
                    found.append((panel["title"], query, self._query(query)))
        return found
