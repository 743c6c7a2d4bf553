"""Checks of the gates of a master.cfg against the series that its journal has."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from bbmeasure import units
from bbmeasure.capture.gates import Gate, Level, acts_after_build
from bbmeasure.model import SeriesInfo
from bbmeasure.records import Direction, Kind, canonical_series


def gate_problems(
    given: Sequence[Mapping[str, Any]], series: Sequence[SeriesInfo], tracked: Collection[str]
) -> Iterator[str]:
    """Problems of the gates that ``given_gates`` lists: rules without a series, limits that do not fit, idle levels.

    ``series`` are those of the journal, ``tracked`` the names of series that are configured.  Without a series in the
    journal nothing was measured yet, and only what master.cfg says is checked.
    """
    own = {(one["builder"], canonical_series(one["series"])) for one in given if one["series"] is not None}
    patterns: list[str] = []
    for one in given:
        gate, where = Gate(**one["gate"]), one["where"]
        if one["pattern"] is None:
            yield from _own(one, gate, series)
        elif series:
            matching = [info for info in series if fnmatchcase(info.name, one["pattern"])]
            applies = [info for info in matching if _is_left(info, own, patterns)]
            if not matching and not any(fnmatchcase(name, one["pattern"]) for name in tracked):
                yield f"{where}: no series has such a name; misspelt?"
            elif matching and not applies:
                yield f"{where}: never applies, other gates apply to each series that it matches"
            yield from _of_series(where, gate, applies)
        if one["pattern"] is not None:
            patterns.append(one["pattern"])


def _is_left(info: SeriesInfo, own: Collection[tuple[str, str]], earlier: Sequence[str]) -> bool:
    """Whether neither an earlier pattern nor a gate of its own takes a series."""
    if any(fnmatchcase(info.name, pattern) for pattern in earlier):
        return False
    return not info.builders or any((builder, info.name) not in own for builder in info.builders)


def _own(one: Mapping[str, Any], gate: Gate, series: Sequence[SeriesInfo]) -> Iterator[str]:
    """The problems of a gate of a step or track call, by the journal or else by what master.cfg says."""
    name = None if one["series"] is None else canonical_series(one["series"])
    found = [info for info in series if info.name == name and one["builder"] in info.builders]
    if not found and (one["unit"] or one["kind"]):
        unit = units.find(one["unit"] or "1")
        kind = Kind(one["kind"] or unit.kind)
        found = [SeriesInfo(name or "", kind, unit.base, Direction.LOWER)]  # the direction is not known
    if one["better"] is not None:
        found = [info for info in found if info.better is not Direction.NONE] or [
            SeriesInfo(info.name, info.kind, info.unit, Direction(one["better"])) for info in found
        ]
    yield from _of_series(one["where"], gate, found)


def _of_series(where: str, gate: Gate, series: Sequence[SeriesInfo]) -> Iterator[str]:
    """The problems of a gate with the series that it applies to."""
    misfits = [(info, message) for info in series for message in gate.misfits(info.kind, info.unit)]
    if misfits:
        info, message = misfits[0]
        names = {info.name for info, _ in misfits}
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield f"{where}: {message}: {info.name}{more}"
    if gate.level is Level.INFO or not series:
        return
    idle = f"{where}: level {str(gate.level)!r} has no effect"
    if all(info.kind is Kind.TEXT for info in series):
        yield f"{idle}: texts are not judged"
    elif all(acts_after_build(info.name) for info in series):
        yield f"{idle}: the values of {series[0].name} are known only after a build"
    elif not gate.has_rule and all(info.better is Direction.NONE for info in series):
        yield f"{idle}: {series[0].name} has no better direction; give better= or a limit"
