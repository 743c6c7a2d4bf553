"""Conversion of InfluxDB's results to the types of a store."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from bbmeasure.model import Bucket, BuildContext, Point, SeriesInfo
from bbmeasure.records import Direction, Kind, canonical_tag
from bbmeasure.statistics import Moments, Statistic, Value
from bbmeasure.storage.influxdb import influxql
from bbmeasure.storage.influxdb.line_protocol import (
    FIELDS,
    METADATA,
    STATE,
)
from bbmeasure.storage.influxdb.server import PARSE_ERRORS

#: The series that one statement returns.
Result = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class StoredMetadata:
    """Metadata of a series on a server: time of the last write, and the master that wrote it (empty: unknown)."""

    info: SeriesInfo
    time: int
    master: str = ""


def read_metadata(result: Iterable[Mapping[str, Any]]) -> dict[str, StoredMetadata]:
    """Return the metadata of series by measurement, without rows of another format."""
    found = {}
    for series in result:
        try:
            time, kind, unit, better, name, master = series["values"][0]
            measurement = str(series["tags"]["series"])
            info = SeriesInfo(str(name or measurement), Kind(kind), str(unit or "1"), Direction(better))
            found[measurement] = StoredMetadata(info, int(time), str(master or ""))
        except PARSE_ERRORS:  # another program's measurement of that name
            continue
    return found


def read_points(series: str, chunk: Mapping[str, Any]) -> list[Point]:
    """Return the points in a chunk of the response to :func:`influxql.points` or :func:`influxql.records`."""
    columns: list[str] = chunk["columns"]
    field_columns = {name: columns.index(influxql.PREFIX + name) for name in FIELDS}
    tag_columns = [(at, name) for at, name in enumerate(columns) if at and not name.startswith(influxql.PREFIX)]
    points = []
    for row in chunk["values"]:
        fields = {name: row[at] for name, at in field_columns.items()}
        value: Value = fields["text"] if fields["value"] is None else fields["value"]
        if value is None:
            continue
        tags = {name: row[at] for at, name in tag_columns if row[at]}
        build = _pop_build(tags, fields)
        points.append(
            Point(
                series,
                row[0],
                value if isinstance(value, str) else float(value),
                tags,
                build,
                1 if fields["samples"] is None else fields["samples"],
                None if fields["spread"] is None else float(fields["spread"]),
            )
        )
    return points


def _pop_build(tags: dict[str, str], fields: Mapping[str, Any]) -> Optional[BuildContext]:
    """Return the build of a point; removes the master's own tags from ``tags``."""
    builder, worker, build_tag = (tags.pop(name, "") for name in ("builder", "worker", "build"))
    number = build_tag if fields["build"] is None else fields["build"]
    if fields["buildid"] is None and not builder:
        return None
    return BuildContext(
        builder,
        worker,
        int(number or 0),
        int(fields["buildid"] or 0),
        fields["step"] or tags.get("step"),
        fields["revision"],
        fields["branch"],
        fields["project"],
    )


def total_count(result: Result) -> int:
    """Return the sum of all counts in a result."""
    return sum(count or 0 for series in result for row in series["values"] for count in row[1:])


def read_statistics(row: Sequence[Any], statistics: Sequence[Statistic]) -> dict[str, Optional[Value]]:
    """Return the statistics in a row of the response to :func:`influxql.summarize`; without data the row is empty."""
    numbers, texts, *values = row or [0, 0]
    number_statistics = values[: len(statistics)]
    text_statistics = iter(values[len(statistics) :])
    found: dict[str, Optional[Value]] = {}
    for at, statistic in enumerate(statistics):
        number = number_statistics[at] if numbers else None
        text = next(text_statistics, None) if statistic.of_text else None
        if statistic.name == "count":
            found[statistic.name] = float((numbers or 0) + (texts or 0))
        elif number is None:
            found[statistic.name] = text
        else:
            found[statistic.name] = float(number)
    return found


def read_series(
    infos: Mapping[str, SeriesInfo], contents: Sequence[Result], only: Optional[frozenset[str]] = None
) -> list[SeriesInfo]:
    """Return all series with their contents: results of :func:`influxql.series_contents`, ``infos`` by measurement.

    A measurement without metadata is a series of numbers or texts if it has any.  With builders ``only``, series
    without points of these are omitted.
    """
    shown = None if only is None else {canonical_tag(name) for name in only}
    counts, builders, *ends = contents
    by_name: dict[str, SeriesInfo] = dict(infos)
    for series in counts:
        name, count = series["name"], total_count([series])
        if not count or name in (METADATA, STATE):
            continue
        kind = Kind.NUMBER if series["values"][0][1] else Kind.TEXT
        by_name[name] = replace(by_name.get(name) or SeriesInfo(name, kind), count=count)
    for series in builders:
        name = series["name"]
        if name in by_name:
            names = tuple(sorted(row[1] for row in series["values"] if row[1] and (shown is None or row[1] in shown)))
            by_name[name] = replace(by_name[name], builders=names)
    for at, result in enumerate(ends):
        for series in result:
            name = series["name"]
            if name in by_name:
                time, value = series["values"][0]
                by_name[name] = _with_end(by_name[name], time, value, is_last=at % 2 == 1)
    return [info for info in by_name.values() if info.count or only is None]


def _with_end(info: SeriesInfo, time: int, value: Value, *, is_last: bool) -> SeriesInfo:
    if not is_last:
        return replace(info, first=time if info.first is None else min(info.first, time))
    if info.last is not None and info.last >= time:
        return info
    return replace(info, last=time, last_value=value if isinstance(value, str) else float(value))


def buckets_of_points(edges: Sequence[int], points: Sequence[Point]) -> list[Bucket]:
    """Return the buckets between ``edges`` for points sorted by time."""
    times = [point.time for point in points]
    marks = [bisect_left(times, edge) for edge in edges]
    buckets = []
    for at, edge in enumerate(edges[:-1]):
        inside = points[marks[at] : marks[at + 1]]
        moments = Moments.of(point.value for point in inside if not isinstance(point.value, str))
        aggregates = (moments.mean, moments.minimum, moments.maximum) if moments.count else (None, None, None)
        buckets.append(Bucket(edge, len(inside), *aggregates))
    return buckets


def buckets_of_rows(edges: Sequence[int], width: int, rows: Sequence[Sequence[Any]]) -> list[Bucket]:
    """Return the buckets between ``edges`` for the server's rows of ``width`` nanoseconds.

    The width is rounded down: rows after the last bucket are merged into it.
    """
    buckets = [Bucket(edge, 0, None, None, None) for edge in edges[:-1]]
    for time, numbers, texts, average, minimum, maximum in rows:
        at = min((time - edges[0]) // width, len(buckets) - 1)
        numbers, bucket = numbers or 0, buckets[at]
        moments = Moments(numbers, average or 0.0, 0.0, *((minimum, maximum) if numbers else ()))
        if bucket.average is not None:
            earlier = Moments(bucket.count, bucket.average, 0.0, bucket.minimum or 0.0, bucket.maximum or 0.0)
            moments = earlier.merge(moments)
        aggregates: tuple[Optional[float], ...] = (None, None, None)
        if moments.count:
            aggregates = (float(moments.mean), float(moments.minimum), float(moments.maximum))
        buckets[at] = Bucket(edges[at], bucket.count + numbers + (texts or 0), *aggregates)
    return buckets
