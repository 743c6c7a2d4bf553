"""What a store takes: the last check before a point is kept, alike in every store."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional, cast

from bbmeasure.errors import QueryError, SeriesConflictError, StorageError
from bbmeasure.model import MOST_BUCKETS, MOST_POINTS, Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.statistics import Statistic, Value
from bbmeasure.units import excerpt

#: Times are 64-bit integers, with room for arithmetic.
_LATEST = 2**62
_LARGEST_BUILD = 2**54


def check_point(point: Point) -> None:
    """StorageError where a store could not give the point back as it is: no number, no time, a name that is no text."""
    value = point.value
    if isinstance(value, str):
        _check_text("value", value)
    elif not isinstance(value, (int, float)) or not _is_finite(value):
        raise StorageError(f"value {excerpt(str(value))} of {excerpt(str(point.series))}: expected a finite number")
    check_time(point.time)
    if not point.series:
        raise StorageError("series '': expected a name")
    build = point.build
    if build is not None and not (abs(build.buildid) < _LARGEST_BUILD and abs(build.build) < _LATEST):
        raise StorageError(f"build {build.build} with id {build.buildid}: expected numbers below {_LARGEST_BUILD}")


def check_time(time: Any) -> None:
    """StorageError for a time that is not an integer number of nanoseconds which a store can hold."""
    if not isinstance(time, int) or not -_LATEST < time < _LATEST:
        raise StorageError(f"time {excerpt(str(time))}: expected nanoseconds since 1970")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond any float
        return False


def check_stream(point: Point) -> None:
    """The same for the names and tags that a whole stream of points has in common."""
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
    """Tags as one text: equal tags are equal texts, whatever their order; a tag without a value is no tag."""
    return json.dumps({key: tags[key] for key in sorted(tags) if tags[key]}, ensure_ascii=False) if tags else "{}"


def tags_match(tags: Mapping[str, str], wanted: Mapping[str, str], exact: bool) -> bool:
    """Whether a point with ``tags`` is meant; a wanted value that is empty means that there is no such tag."""
    if any(tags.get(key, "") != value for key, value in wanted.items()):
        return False
    return not exact or set(tags) <= set(wanted)


def state_series(key: str) -> Optional[str]:
    """The series that a key of ``state`` belongs to: the second item of a JSON list; None for another key."""
    try:
        items = json.loads(key)
    except ValueError:
        return None
    return str(items[1]) if isinstance(items, list) and len(items) > 1 else None


def check_limit(limit: int) -> int:
    """How many points an answer may hold; QueryError where that is not 1 to MOST_POINTS."""
    return _check_range("limit", limit, MOST_POINTS)


def check_buckets(count: int) -> int:
    """How many buckets a range may be cut in; QueryError where that is not 1 to MOST_BUCKETS."""
    return _check_range("buckets", count, MOST_BUCKETS)


def _check_range(what: str, number: int, most: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= most:
        raise QueryError(f"{what} {excerpt(str(number))}: expected a whole number from 1 to {most}")
    return number


def bucket_edges(first: int, end: int, count: int) -> Sequence[int]:
    """``count + 1`` times, in nanoseconds, that cut [first, end) in equal stretches."""
    return [first + (end - first) * index // count for index in range(count + 1)]


def check_text_statistics(info: SeriesInfo, statistics: Sequence[Statistic]) -> None:
    """QueryError where the series is one of texts and a statistic makes sense for numbers alone."""
    wrong = [one.name for one in statistics if not one.of_text]
    if info.kind is Kind.TEXT and wrong:
        raise QueryError(
            f"{', '.join(wrong)} of {excerpt(info.name)}: a series of texts has count, first and last alone"
        )


def answer(statistic: Statistic, values: Sequence[Value], numbers: Sequence[float]) -> Optional[Value]:
    """A statistic of points in the order of their time, ``numbers`` being those ``values`` that are no texts."""
    return statistic.function(cast("Sequence[float]", values) if statistic.of_text else numbers)


def reconcile(held: SeriesInfo, said: SeriesInfo, *, override: bool = False) -> SeriesInfo:
    """What a series is after somebody said what it is; SeriesConflictError where that cannot be.

    A plain number fits every kind of number, so that a script need not repeat the kind, and a count fits a series of
    plain numbers, which it stays.  With ``override`` the kind that is said holds; a unit never changes, nor does a text
    become a number.
    """
    texts = (held.kind is Kind.TEXT, said.kind is Kind.TEXT)
    fits = said.kind in (held.kind, Kind.NUMBER) or (said.kind, held.kind) == (Kind.COUNT, Kind.NUMBER) or override
    if said.unit != held.unit or texts[0] != texts[1] or not fits:
        raise SeriesConflictError(
            f"series {excerpt(held.name)}: got {said.kind.value} in {said.unit}, expected {held.kind.value} in "
            f"{held.unit} as before; `bbmeasure forget` starts a series anew"
        )
    better = held.better if said.better is Direction.NONE else said.better
    return replace(held, kind=said.kind if override else held.kind, better=better)
