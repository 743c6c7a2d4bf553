"""Rules of a SARIF run, and the level that a result has by them.

Sections 3.27.5 to 3.27.10 (how a result refers to its rule), 3.52 (reference by index, GUID and ID), 3.20.5 and 3.51
(overrides of an invocation) of https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Optional

from bbmeasure.adapters._json import Json

Fields = Mapping[str, Any]


class _Component:
    """The rules of the driver or an extension, by index, GUID and ID."""

    def __init__(self, json: Json, fields: Fields) -> None:
        self.name = json.text(fields, "name")
        self.guid = json.text(fields, "guid").lower()
        self.rules = list(json.mappings(fields.get("rules"), "rules"))
        self.by_guid = {json.text(rule, "guid").lower(): rule for rule in self.rules if rule.get("guid")}
        self.by_id: dict[str, Fields] = {}
        for rule in self.rules:
            self.by_id.setdefault(json.text(rule, "id"), rule)


class Rules:
    """The rules of the tool of one run, and the overrides of its invocations."""

    def __init__(self, json: Json, run: Fields) -> None:
        self._json = json
        tool = json.inner(run, "tool")
        self._driver = _Component(json, json.inner(tool, "driver"))
        self._extensions = [_Component(json, part) for part in json.mappings(tool.get("extensions"), "extensions")]
        self._overrides = [self._levels(one) for one in json.mappings(run.get("invocations"), "invocations")]

    def level(self, result: Fields) -> str:
        """The level of a result without one: that of an override of its invocation, else the default of its rule."""
        rule = self._of_result(result)
        if rule is None:
            return "warning"
        override = self._overridden(result).get(id(rule))
        return override or self._level_of(self._json.inner(rule, "defaultConfiguration")) or "warning"

    def _level_of(self, configuration: Fields) -> str:
        return self._json.text(configuration, "level").lower()

    def _levels(self, invocation: Fields) -> dict[int, str]:
        """The levels that an invocation overrides, by the identity of the rule."""
        levels = {}
        key = "ruleConfigurationOverrides"
        for override in self._json.mappings(invocation.get(key), key):
            rule = self._referred(self._json.inner(override, "descriptor"))
            level = self._level_of(self._json.inner(override, "configuration"))
            if rule is not None and level:
                levels[id(rule)] = level
        return levels

    def _overridden(self, result: Fields) -> dict[int, str]:
        """The overrides of the invocation that a result names, or of the only one."""
        index = _index(self._json.inner(result, "provenance"), "invocationIndex")
        if index is None:
            return self._overrides[0] if len(self._overrides) == 1 else {}
        return self._overrides[index] if index < len(self._overrides) else {}

    def _of_result(self, result: Fields) -> Optional[Fields]:
        reference = self._json.inner(result, "rule")
        identifier = self._json.text(result, "ruleId") or self._json.text(reference, "id")
        index = _index(result, "ruleIndex")
        merged = {**reference, "id": identifier}
        return self._referred(merged if index is None else {**merged, "index": float(index)})

    def _referred(self, reference: Fields) -> Optional[Fields]:
        """The rule of a reference: by its index, else its GUID, else its ID or the ID above that."""
        components = list(self._components(reference))
        index = _index(reference, "index")
        if index is not None and components and index < len(components[0].rules):
            return components[0].rules[index]
        guid = self._json.text(reference, "guid").lower()
        for component in components:
            if guid in component.by_guid:
                return component.by_guid[guid]
        return self._by_id(components, self._json.text(reference, "id"))

    @staticmethod
    def _by_id(components: list[_Component], identifier: str) -> Optional[Fields]:
        """The rule of an ID; ``CA1000/1`` is a part of the rule ``CA1000`` where there is no rule of that ID."""
        while identifier:
            for component in components:
                if identifier in component.by_id:
                    return component.by_id[identifier]
            identifier = identifier.rpartition("/")[0]
        return None

    def _components(self, reference: Fields) -> Iterator[_Component]:
        """The components that may have a rule: the one that the reference names, else all, the driver first."""
        named = self._json.inner(reference, "toolComponent")
        index = _index(named, "index")
        if index is not None and index < len(self._extensions):
            yield self._extensions[index]
            return
        name, guid = self._json.text(named, "name"), self._json.text(named, "guid").lower()
        everywhere = [self._driver, *self._extensions]
        chosen = [one for one in everywhere if (guid and one.guid == guid) or (name and one.name == name)]
        yield from chosen or everywhere


def _index(fields: Fields, key: str) -> Optional[int]:
    """An index; None where it is missing or -1, which means the same."""
    value = fields.get(key)
    return int(value) if isinstance(value, float) and 0 <= value < 1e9 else None
