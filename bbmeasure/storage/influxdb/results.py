"""Conversion of InfluxDB's results to the types of a store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Optional

from bbmeasure.model import Bucket, BuildContext, LineInfo, Point, Query, SeriesInfo
from bbmeasure.records import Direction, Kind, canonical_series, canonical_tag
from bbmeasure.statistics import Moments, Statistic, Value
from bbmeasure.storage.influxdb import influxql
from bbmeasure.storage.influxdb.line_protocol import (
    FIELDS,
    OUTSIDE,
    PROPOSED,
    RESERVED,
)
from bbmeasure.storage.influxdb.server import PARSE_ERRORS
from bbmeasure.storage.validation import canonical_tags, declaring_builder, group_series

#: The series that one statement returns.
Result = Sequence[Mapping[str, Any]]


#: A measurement and a builder, "" for points outside builds.  Of no builder is metadata of version 0.1, which is valid
#: for builders that have none of their own.
MetadataKey = tuple[str, Optional[str]]


@dataclass(frozen=True)
class StoredMetadata:
    """Metadata of a series on a server: time of the last write, and the master that wrote it (empty: unknown)."""

    info: SeriesInfo
    time: int
    master: str = ""


def read_metadata(result: Iterable[Mapping[str, Any]]) -> dict[MetadataKey, StoredMetadata]:
    """Return the metadata of series, without rows of another format."""
    found: dict[MetadataKey, StoredMetadata] = {}
    for series in result:
        try:
            time, kind, unit, better, name, master = series["values"][0]
            tags = series["tags"]
            measurement, builder = str(tags["series"]), str(tags.get("builder") or "")
            builders = (builder,) if builder else ()
            info = SeriesInfo(str(name or measurement), Kind(kind), str(unit or "1"), Direction(better), builders)
            owner = builder if builder or tags.get(OUTSIDE) else None
            found[measurement, owner] = StoredMetadata(info, int(time), str(master or ""))
        except PARSE_ERRORS:  # another program's measurement of that name
            continue
    return found


def metadata_key(info: SeriesInfo) -> MetadataKey:
    """Return the key of the metadata that a declaration has on a server."""
    return canonical_series(info.name), canonical_tag(declaring_builder(info))


def find_info(metadata: Mapping[MetadataKey, StoredMetadata], measurement: str, builder: str) -> Optional[SeriesInfo]:
    """Return the metadata that is valid for a builder, under its name."""
    stored = metadata.get((measurement, builder)) or metadata.get((measurement, None))
    return None if stored is None else replace(stored.info, builders=(builder,) if builder else ())


def known_builders(
    metadata: Mapping[MetadataKey, StoredMetadata], names: Result, outside: Result, query: Query
) -> Optional[dict[str, SeriesInfo]]:
    """Return the metadata of a query's series by builder, of all builders that it may match.

    ``names`` and ``outside`` are the results of :func:`influxql.builder_names`.  None if a builder has no metadata.
    """
    visible = None if query.builders is None else {canonical_tag(name) for name in query.builders}
    builder = None if query.builder is None else canonical_tag(query.builder)
    found = {str(row[1]) for series in names for row in series["values"]}
    wanted = {name for name in found if builder in (None, name) and (visible is None or name in visible)}
    wanted |= {""} if outside else set()
    infos = {name: find_info(metadata, canonical_series(query.series), name) for name in wanted}
    known = {name: info for name, info in infos.items() if info is not None}
    return known if len(known) == len(infos) else None


def of_meaning(query: Query, infos: Mapping[str, SeriesInfo]) -> dict[str, SeriesInfo]:
    """Return the metadata of those builders that have the query's kind and unit."""
    return {
        builder: info
        for builder, info in infos.items()
        if query.kind in (None, info.kind) and query.unit in (None, info.unit)
    }


def read_builders(
    metadata: Mapping[MetadataKey, StoredMetadata], contents: Result, measurement: str
) -> dict[str, SeriesInfo]:
    """Return the metadata of a series by builder, for those in the response to :func:`influxql.builder_contents`.

    A builder without metadata has numbers or texts.
    """
    found = {}
    for series in contents:
        builder = str(series["tags"]["builder"])
        _, number, _ = series["values"][0]
        kind = Kind.TEXT if number is None else Kind.NUMBER
        found[builder] = find_info(metadata, measurement, builder) or SeriesInfo(measurement, kind)
    return found


def read_points(series: str, chunk: Mapping[str, Any]) -> list[Point]:
    """Return the points in a chunk of the response to :func:`influxql.points`, ``records`` or ``lines``."""
    columns: list[str] = chunk["columns"]
    field_columns = {name[1:]: at for at, name in enumerate(columns) if name.startswith(influxql.PREFIX)}
    missing = dict.fromkeys(FIELDS)
    tag_columns = [(at, name) for at, name in enumerate(columns) if at and not name.startswith(influxql.PREFIX)]
    points = []
    for row in chunk["values"]:
        fields = {**missing, **{name: row[at] for name, at in field_columns.items()}}
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
    builder, worker, build_tag, proposed = (tags.pop(name, "") for name in influxql.OWN_TAGS)
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
        fields["proposal"] or proposed,
        fields["machine"],
    )


class Lines:
    """Collects the lines of points that arrive ordered by time."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, ...], tuple[int, int, Point]] = {}

    def add(self, points: Iterable[Point]) -> None:
        """Count points, which are not before those that were added."""
        for point in points:
            build = point.build
            shared = (build.branch or "", build.machine_class, "x" if build.proposal else "") if build else ("", "", "")
            key = (point.builder or "", canonical_tags(point.tags), *shared)
            count, first, _ = self._found.get(key, (0, point.time, point))
            self._found[key] = (count + 1, first, point)

    def infos(self, builders: Mapping[str, SeriesInfo]) -> list[LineInfo]:
        """Return the lines, with the kind, unit and direction that ``builders`` have."""
        return [
            LineInfo.of(newest, builders[key[0]], count, first)
            for key, (count, first, newest) in sorted(self._found.items())
        ]


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
    metadata: Mapping[MetadataKey, StoredMetadata],
    contents: Sequence[Result],
    *,
    with_empty: bool,
) -> list[SeriesInfo]:
    """Return all series with their contents, which are the results of :func:`influxql.series_contents`.

    A measurement without metadata is a series of numbers or texts if it has any.  Series without points are omitted
    unless ``with_empty``; those that only proposals have measured are no such series.
    """
    counts, *ends = contents[:5]
    found: dict[tuple[str, str], SeriesInfo] = {}
    for series in counts:
        name, builder, count = series["name"], series["tags"]["builder"], total_count([series])
        if count and name not in RESERVED:
            kind = Kind.NUMBER if series["values"][0][1] else Kind.TEXT
            info = find_info(metadata, name, builder) or SeriesInfo(name, kind, builders=(builder,) if builder else ())
            found[name, builder] = replace(info, count=count)
    for at, result in enumerate(ends):
        for series in result:
            key = series["name"], series["tags"]["builder"]
            if key in found:
                time, value = series["values"][0]
                found[key] = _with_end(found[key], key[1], time, value, is_last=at % 2 == 1)
    if with_empty:
        proposed = {(one["name"], one["tags"]["builder"]) for result in contents[5:] for one in result}
        _add_empty(found, metadata, proposed)
    return group_series(info for _, info in sorted(found.items()))


def _add_empty(
    found: dict[tuple[str, str], SeriesInfo],
    metadata: Mapping[MetadataKey, StoredMetadata],
    proposed: Set[tuple[str, str]],
) -> None:
    """Add the series that have metadata and no points, except those of ``proposed``."""
    for (name, builder), stored in metadata.items():
        if builder is not None and (name, builder) not in proposed:
            found.setdefault((name, builder), stored.info)
    with_builders = {name for name, _ in (*found, *proposed)}
    for (name, builder), stored in metadata.items():
        if builder is None and name not in with_builders:
            found[name, ""] = stored.info


def _with_end(info: SeriesInfo, builder: str, time: int, value: Value, *, is_last: bool) -> SeriesInfo:
    if not is_last:
        return replace(info, first=time if info.first is None else min(info.first, time))
    if info.last is not None and info.last >= time:
        return info
    last_value = value if isinstance(value, str) else float(value)
    return replace(info, last=time, last_value=last_value, last_builder=builder or None)


def read_twins(chunks: Result, points: Iterable[Point]) -> list[tuple[int, dict[str, str]]]:
    """Return time and tags of those rows of :func:`influxql.twins` that are ``points`` except for the tag ``proposed``.

    The tags are all that the series has, so that a missing one is empty.
    """
    wanted = {(point.time, _identity(tags_of(point))) for point in points}
    found = []
    for chunk in chunks:
        names = [(at, name) for at, name in enumerate(chunk["columns"]) if at and not name.startswith(influxql.PREFIX)]
        for row in chunk["values"]:
            tags = {name: row[at] or "" for at, name in names}
            if (row[0], _identity(tags)) in wanted:
                found.append((int(row[0]), tags))
    return found


def tags_of(point: Point) -> dict[str, str]:
    """Return the tags of a point as the server has them; builder and worker are empty outside builds."""
    names = {"builder": point.builder or "", "worker": point.worker or ""}
    return {canonical_tag(key): canonical_tag(value) for key, value in {**point.tags, **names}.items()}


def _identity(tags: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset((key, value) for key, value in tags.items() if value and key not in ("build", PROPOSED))


def read_workers(result: Result) -> list[str]:
    """Return the workers of the counts of :func:`influxql.workers`, "" for points without one."""
    return sorted(series["tags"]["worker"] for series in result if total_count([series]))


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
