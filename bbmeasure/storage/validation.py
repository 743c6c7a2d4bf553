"""Checks and rules that every store applies alike: points, tags, limits, declarations."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional, cast

from bbmeasure.errors import QueryError, SeriesConflictError, StorageError
from bbmeasure.model import MOST_BUCKETS, MOST_POINTS, Bucket, Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.statistics import Moments, Statistic, Value
from bbmeasure.units import excerpt

#: The bound of times, nanoseconds: 64-bit integers with room for arithmetic.
_MAX_TIME = 2**62
_MAX_BUILD = 2**54
#: The most builders that an error names.
_MAX_NAMED = 5


def check_point(point: Point) -> None:
    """Raise StorageError for a point that a store could not return unchanged: its value, time, names or build."""
    value = point.value
    if isinstance(value, str):
        _check_text("value", value)
    elif not isinstance(value, (int, float)) or not _is_finite(value):
        raise StorageError(f"value {excerpt(str(value))} of {excerpt(str(point.series))}: expected a finite number")
    check_time(point.time)
    if not point.series:
        raise StorageError("series '': expected a name")
    build = point.build
    if build is not None and not (abs(build.buildid) < _MAX_BUILD and abs(build.build) < _MAX_TIME):
        raise StorageError(f"build {build.build} with id {build.buildid}: expected numbers below {_MAX_BUILD}")


def check_time(time: Any) -> None:
    """Raise StorageError unless the time is an integer number of nanoseconds that a store can hold."""
    if not isinstance(time, int) or not -_MAX_TIME < time < _MAX_TIME:
        raise StorageError(f"time {excerpt(str(time))}: expected nanoseconds since 1970")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False


def check_stream(point: Point) -> None:
    """Raise StorageError for the names and tags of a point, which all points of its stream share."""
    _check_text("series", point.series)
    for text in (point.builder, point.worker):
        if text is not None:
            _check_text("builder or worker", text)
    for key, value in point.tags.items():
        _check_text("tag name", key)
        _check_text(f"value of tag {excerpt(str(key))}", value)


def _check_text(what: str, text: Any) -> None:
    if not isinstance(text, str):
        raise StorageError(f"{what} {excerpt(str(text))}: expected a text")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise StorageError(f"{what} {excerpt(text)}: expected a text without lone surrogates") from error


def canonical_tags(tags: Mapping[str, str]) -> str:
    """Tags as JSON, equal for equal tags in any order; tags with an empty value are left out."""
    return json.dumps({key: tags[key] for key in sorted(tags) if tags[key]}, ensure_ascii=False) if tags else "{}"


def tags_match(tags: Mapping[str, str], wanted: Mapping[str, str], exact: bool) -> bool:
    """Whether a point with ``tags`` matches; an empty wanted value matches points without that tag."""
    if any(tags.get(key, "") != value for key, value in wanted.items()):
        return False
    return not exact or set(tags) <= set(wanted)


def state_key(mode: str, series: str, builder: Optional[str], tags: Mapping[str, str]) -> str:
    """The key in ``state`` of a running total (``mode`` total) or of the last reported value (last)."""
    return json.dumps([mode, series, builder, dict(tags)], sort_keys=True)


def state_series(key: str) -> Optional[str]:
    """The series of a key of ``state``, the second item of a JSON list; None for any other key."""
    try:
        items = json.loads(key)
    except ValueError:
        return None
    return str(items[1]) if isinstance(items, list) and len(items) > 1 else None


def check_limit(limit: int) -> int:
    """The limit of returned points; raises QueryError unless it is from 1 to MOST_POINTS."""
    return _check_range("limit", limit, MOST_POINTS)


def check_buckets(count: int) -> int:
    """The number of buckets; raises QueryError unless it is from 1 to MOST_BUCKETS."""
    return _check_range("buckets", count, MOST_BUCKETS)


def _check_range(name: str, number: int, maximum: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= maximum:
        raise QueryError(f"{name} {excerpt(str(number))}: expected an integer from 1 to {maximum}")
    return number


def bucket_edges(first: int, end: int, count: int) -> Sequence[int]:
    """``count + 1`` times, in nanoseconds, that divide [first, end) into intervals of equal length."""
    return [first + (end - first) * index // count for index in range(count + 1)]


def make_buckets(edges: Sequence[int], points: Sequence[Point]) -> list[Bucket]:
    """The buckets between ``edges`` of points ordered by time."""
    times = [point.time for point in points]
    marks = [bisect_left(times, edge) for edge in edges]
    return [_bucket(edge, points[marks[at] : marks[at + 1]]) for at, edge in enumerate(edges[:-1])]


def _bucket(time: int, points: Sequence[Point]) -> Bucket:
    moments = Moments.of(point.value for point in points if not isinstance(point.value, str))
    if not moments.count:
        return Bucket(time, len(points), None, None, None)
    return Bucket(time, len(points), moments.mean, moments.minimum, moments.maximum)


def declaring_builder(info: SeriesInfo) -> str:
    """The builder of a declaration, "" outside builds; raises StorageError for a declaration of several."""
    if len(info.builders) > 1:
        raise StorageError(f"series {excerpt(info.name)}: expected the declaration of one builder, got {info.builders}")
    return info.builders[0] if info.builders else ""


def group_series(infos: Iterable[SeriesInfo]) -> list[SeriesInfo]:
    """One SeriesInfo for each name, kind and unit of those of single builders, ordered by these."""
    groups: dict[tuple[str, str, str], list[SeriesInfo]] = {}
    for info in infos:
        groups.setdefault((info.name, info.kind.value, info.unit), []).append(info)
    return [_merge_series(group) for _, group in sorted(groups.items())]


def _merge_series(infos: Sequence[SeriesInfo]) -> SeriesInfo:
    if len(infos) == 1:
        return infos[0]
    directions = {info.better for info in infos} - {Direction.NONE}
    filled = [info for info in infos if info.count]
    newest = max(filled or infos, key=lambda info: info.last or 0)
    return replace(
        newest,
        better=directions.pop() if len(directions) == 1 else Direction.NONE,
        builders=tuple(sorted({builder for info in infos for builder in info.builders})),
        count=sum(info.count for info in infos),
        first=min((info.first for info in filled if info.first is not None), default=None),
    )


def one_meaning(series: str, meanings: Collection[tuple[str, Kind, str]]) -> Optional[tuple[Kind, str]]:
    """The kind and unit that all builders of a query share, from (builder, kind, unit); None where nothing matches.

    Raises QueryError where they disagree: values of different kinds or units have no statistic in common.
    """
    distinct = {(kind, unit) for _, kind, unit in meanings}
    if len(distinct) > 1:
        named = sorted(f"{kind.value} in {unit} of {builder or 'no builder'}" for builder, kind, unit in meanings)
        shown = ", ".join(named[:_MAX_NAMED]) + (", ..." if len(named) > _MAX_NAMED else "")
        raise QueryError(f"series {excerpt(series)}: expected one kind and unit, got {shown}; name a builder or a unit")
    return distinct.pop() if distinct else None


def check_text_statistics(series: str, kind: Kind, statistics: Sequence[Statistic]) -> None:
    """Raise QueryError for a statistic of numbers on a series of texts."""
    wrong = [statistic.name for statistic in statistics if not statistic.of_text]
    if kind is Kind.TEXT and wrong:
        raise QueryError(f"{', '.join(wrong)} of {excerpt(series)}: a series of texts has only count, first and last")


def compute(statistic: Statistic, values: Sequence[Value], numbers: Sequence[float]) -> Optional[Value]:
    """A statistic of ``values`` ordered by time, of which ``numbers`` are those that are not texts."""
    return statistic.function(cast("Sequence[float]", values) if statistic.of_text else numbers)


def reconcile(
    current: SeriesInfo, new: SeriesInfo, *, override: bool = False, override_unit: bool = False
) -> SeriesInfo:
    """The declaration in effect after a new one; raises SeriesConflictError when they disagree.

    NUMBER agrees with every kind of number, so that a script need not repeat the kind, and COUNT with a series of
    NUMBER, which keeps its kind.  With ``override`` the new kind replaces the current one, with ``override_unit`` the
    new unit, with its kind.  A text never becomes a number.
    """
    is_text, was_text = new.kind is Kind.TEXT, current.kind is Kind.TEXT
    agrees = new.kind in (current.kind, Kind.NUMBER) or (new.kind, current.kind) == (Kind.COUNT, Kind.NUMBER)
    changes_unit = new.unit != current.unit
    replaces_kind = override or (override_unit and changes_unit)
    if (changes_unit and not override_unit) or is_text != was_text or not (agrees or replaces_kind):
        raise SeriesConflictError(
            f"series {excerpt(current.name)}: got {new.kind.value} in {new.unit}, expected {current.kind.value} in "
            f"{current.unit} as before; `bbmeasure forget` starts a series anew"
        )
    better = current.better if new.better is Direction.NONE else new.better
    return replace(current, kind=new.kind if replaces_kind else current.kind, unit=new.unit, better=better)
