"""Groups: the statistics of a series by builder, branch, worker, machine class or tags.

As in :mod:`~bbmeasure.reports.series_statistics` nothing here performs I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from bbmeasure.errors import QueryError
from bbmeasure.model import LineInfo, Query
from bbmeasure.reports.selection import Selection, select
from bbmeasure.reports.series_statistics import StatisticsRequest
from bbmeasure.statistics import Statistic, Value
from bbmeasure.units import excerpt

#: What points are grouped by, besides tags.
FIELDS = ("builder", "branch", "machine", "worker")
#: The prefix of a tag that is named like one of FIELDS.
TAG_PREFIX = "tag."
#: The most groups of one answer.
MAX_GROUPS = 500
#: The most tags that a message lists.
MAX_TAGS = 20

Json = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """The points of one combination; ``values`` are None where its points have no such tag, builder or branch."""

    values: Mapping[str, Optional[str]]
    request: StatisticsRequest

    def answer(self, values: Mapping[str, Optional[Value]]) -> Json:
        """One item of ``groups``, from the values that the store computed."""
        whole = self.request.answer(values)
        return {"by": dict(self.values), **{key: whole[key] for key in ("count", "lines", "branches", "statistics")}}


def read_by(text: str) -> tuple[str, ...]:
    """The names in a text such as ``builder,target``; QueryError for a name that is empty or repeated."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise QueryError(f"by {excerpt(text)}: expected names such as builder,TAG, each once")
    return names


def make_groups(
    query: Query, lines: Sequence[LineInfo], by: Sequence[str], statistics: tuple[Statistic, ...]
) -> list[Group]:
    """The groups of the lines that match a query without its range; ``worker`` is left to :func:`of_workers`.

    Raises QueryError for a tag that no line has, for too many groups, and for lines of several kinds or units.
    """
    _check_names(by, lines)
    members: dict[tuple[Optional[str], ...], list[LineInfo]] = {}
    for line in lines:
        members.setdefault(tuple(_value(line, name) for name in by if name != "worker"), []).append(line)
    _check_number(by, len(members))
    names = [name for name in by if name != "worker"]
    groups = []
    for key in sorted(members, key=lambda values: [(value is not None, value or "") for value in values]):
        narrowed = query
        for name, value in zip(names, key):
            narrowed = _narrow(narrowed, name, value, members[key])
        selection = select(narrowed, members[key])
        if selection is not None and selection.lines:
            groups.append(Group(dict(zip(names, key)), StatisticsRequest(selection, narrowed, statistics)))
    return groups


def of_workers(groups: Sequence[Group], workers: Sequence[Sequence[str]], by: Sequence[str]) -> list[Group]:
    """The groups divided by the workers of their points, "" for points without one; QueryError for too many."""
    divided = []
    for group, of_group in zip(groups, workers):
        for worker in of_group:
            values = {**group.values, "worker": worker or None}
            request = replace(group.request, query=replace(group.request.query, worker=worker))
            divided.append(Group({name: values[name] for name in by}, request))
    _check_number(by, len(divided))
    return divided


def groups_answer(selection: Selection, by: Sequence[str], groups: Sequence[Json]) -> Json:
    """The answer of the JSON API and of ``report --by --json``; groups without points in the range are left out."""
    found = [group for group in groups if group["count"]]
    info = selection.info
    return {
        "series": info.name,
        "unit": info.unit,
        "kind": info.kind.value,
        "by": list(by),
        "count": sum(group["count"] for group in found),
        "lines": selection.lines,
        "branches": list(selection.branches),
        "groups": found,
    }


def _check_number(by: Sequence[str], number: int) -> None:
    if number > MAX_GROUPS:
        raise QueryError(f"by {','.join(by)}: {number} groups, expected at most {MAX_GROUPS}; filter by one")


def _check_names(by: Sequence[str], lines: Sequence[LineInfo]) -> None:
    tags = sorted({key for line in lines for key in line.tags})
    for name in by:
        if name not in FIELDS and _tag(name) not in tags:
            known = ", ".join([*FIELDS, *tags[:MAX_TAGS]])
            raise QueryError(f"by {excerpt(name)}: no point has such a tag; expected some of {known}")


def _tag(name: str) -> str:
    return name[len(TAG_PREFIX) :] if name.startswith(TAG_PREFIX) else name


def _value(line: LineInfo, name: str) -> Optional[str]:
    if name in FIELDS:
        value: Optional[str] = getattr(line, name)
        return value
    return line.tags.get(_tag(name))


def _narrow(query: Query, name: str, value: Optional[str], lines: Sequence[LineInfo]) -> Query:
    """The query for the points of one value."""
    if name not in FIELDS:
        return replace(query, tags={**query.tags, _tag(name): value or ""})
    if name == "builder":
        return replace(query, builder=value or "")
    if value is not None:
        return replace(query, branch=value) if name == "branch" else replace(query, machine=value)
    if any(line.builder is not None for line in lines):
        raise QueryError(f"by {name}: some builds have none; --builder or --branch leaves them out")
    return replace(query, builder="")
