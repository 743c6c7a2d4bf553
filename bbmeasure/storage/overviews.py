"""Overviews of lines: what the stores have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Optional

from bbmeasure.model import LineInfo, Overview, OverviewQuery, OverviewRow, Point, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.storage.validation import canonical_tags, group_series


def last_of_builds(points: Iterable[tuple[int, float, Optional[int]]], count: int) -> tuple[float, ...]:
    """The values of the last ``count`` builds of points (time, value, buildid) in order; each outside builds counts."""
    values: list[float] = []
    for buildid, group in groupby(points, key=itemgetter(2)):
        inside = [value for _, value, _ in group]
        values += inside if buildid is None else inside[-1:]
    return tuple(values[-count:]) if count else ()


def matches_overview(line: LineInfo, query: OverviewQuery) -> bool:
    """Whether a line belongs into an overview."""
    name = line.series.lower()
    return (
        not line.proposed
        and query.series in (None, line.series)
        and query.builder in (None, line.builder or "")
        and query.branch in (None, line.branch or "")
        and query.kind in (None, line.kind)
        and query.unit in (None, line.unit)
        and (query.since is None or line.last >= query.since)
        and (query.builders is None or (line.builder or "") in query.builders)
        and all(word.lower() in name for word in query.search)
    )


def make_overview(lines: Iterable[tuple[LineInfo, Sequence[Point]]], query: OverviewQuery) -> Overview:
    """The overview of lines in memory, each with its points ordered by time."""
    matching = [(line, points) for line, points in lines if matches_overview(line, query)]
    matching.sort(key=lambda item: _order(item[0]))
    page = matching[query.offset : query.offset + query.limit]
    return Overview(len(matching), [_row(line, points, query.values) for line, points in page])


def series_of_lines(lines: Iterable[LineInfo]) -> list[SeriesInfo]:
    """The series that lines are of, described by these lines alone."""
    newest_first = sorted(lines, key=lambda line: line.last, reverse=True)
    return group_series(
        SeriesInfo(
            line.series,
            line.kind,
            line.unit,
            line.better,
            (line.builder,) if line.builder else (),
            line.count,
            line.first,
            line.last,
            line.last_value,
            line.builder,
            dict(line.tags),
        )
        for line in newest_first
    )


def _order(line: LineInfo) -> tuple[str, ...]:
    names = (line.series, line.kind.value, line.unit, line.builder or "", canonical_tags(line.tags))
    return (*names, line.branch or "", line.machine or "")


def _row(line: LineInfo, points: Sequence[Point], count: int) -> OverviewRow:
    build = points[-1].build
    numbers = [
        (point.time, point.value, point.build.buildid if point.build else None)
        for point in points
        if not isinstance(point.value, str)
    ]
    values = () if line.kind is Kind.TEXT else last_of_builds(numbers, count)
    return OverviewRow(
        line, build.build if build else None, build.buildid if build and build.buildid > 0 else None, values
    )
