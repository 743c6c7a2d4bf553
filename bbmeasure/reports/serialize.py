"""What the JSON API and ``bbmeasure --json`` say: plain dicts made of what the stores answer.

Times are unix seconds, values are in base units, and ``better`` is lower, higher or None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional, Union

from bbmeasure import statistics, times
from bbmeasure.errors import QueryError
from bbmeasure.model import MOST_BUCKETS, Bucket, Health, Point, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.statistics import Statistic
from bbmeasure.units import excerpt

Json = dict[str, Any]
Answer = Union[float, str, None]

#: What is told where nobody said which statistics are wanted; of texts, those that make sense.
DEFAULT_STATISTICS = (
    "average",
    "deviation",
    "minimum",
    "maximum",
    "median",
    "p95",
    "count",
    "sum",
    "first",
    "last",
)
#: The most statistics of one answer.
MOST_STATISTICS = 32
#: How many points an answer holds where nobody said, and the most; ``until`` asks for what is before them.
DEFAULT_POINTS = 10_000
MOST_POINTS_ANSWERED = 100_000

_WHOLE = re.compile(r"[0-9]{1,18}\Z", re.ASCII)
_CREDENTIALS = re.compile(r"(?<=//)[^/@\s]+@")


def read_statistics(text: Optional[str], kind: Kind = Kind.NUMBER) -> tuple[Statistic, ...]:
    """The statistics in a text such as ``"average,p95"``; all that make sense for ``kind`` where it is None or empty.

    QueryError says which there are.
    """
    if text is None or not text.strip():
        listed = (statistics.find(name) for name in DEFAULT_STATISTICS)
        return tuple(one for one in listed if one.of_text or kind is not Kind.TEXT)
    names = [name.strip() for name in text.split(",")]
    if len(names) > MOST_STATISTICS:
        raise QueryError(f"statistics: got {len(names)}, expected at most {MOST_STATISTICS}")
    return statistics.find_all(names)


def read_limit(text: Optional[str]) -> int:
    """How many points are wanted; QueryError where that is not 1 to MOST_POINTS_ANSWERED."""
    return DEFAULT_POINTS if text is None else read_whole(text, "limit", 1, MOST_POINTS_ANSWERED)


def read_buckets(text: str) -> int:
    """In how many stretches a range is to be cut; QueryError where that is not 1 to MOST_BUCKETS."""
    return read_whole(text, "buckets", 1, MOST_BUCKETS)


def read_whole(text: str, what: str, least: int, most: int) -> int:
    """A whole number in plain digits; QueryError where it is not from ``least`` to ``most``."""
    number = int(text) if _WHOLE.match(text) else -1
    if not least <= number <= most:
        raise QueryError(f"{what} {excerpt(text)}: expected a whole number from {least} to {most}")
    return number


def change_of(value: Any, previous: Any) -> Optional[float]:
    """The change from ``previous`` to ``value`` as a fraction of ``previous``.

    None where there is none, where it is 0, and where no float holds the change.
    """
    if isinstance(value, str) or isinstance(previous, str) or not previous:
        return None
    change = (value - previous) / abs(previous)
    return float(change) if math.isfinite(change) else None


def series_answer(infos: Iterable[SeriesInfo]) -> Json:
    """``series``: what each is and what it holds."""
    return {"series": [info_answer(info) for info in infos]}


def info_answer(info: SeriesInfo) -> Json:
    """One of the ``series``."""
    return {
        "name": info.name,
        "kind": info.kind.value,
        "unit": info.unit,
        "better": info.better.word,
        "builders": list(info.builders),
        "count": info.count,
        "first": _seconds(info.first),
        "last": _seconds(info.last),
        "last_value": info.last_value,
    }


def statistics_answer(info: SeriesInfo, builder: Optional[str], count: int, answers: Mapping[str, Answer]) -> Json:
    """``statistics``: of the builder that was asked for, None for all together."""
    told = {name: int(value) if name == "count" and value is not None else value for name, value in answers.items()}
    return {
        "series": info.name,
        "builder": builder,
        "unit": info.unit,
        "kind": info.kind.value,
        "count": count,
        "statistics": told,
    }


def points_answer(info: SeriesInfo, points: Iterable[Point]) -> Json:
    """``points``: oldest first."""
    return {"series": info.name, "unit": info.unit, "points": [point_answer(point) for point in points]}


def point_answer(point: Point) -> Json:
    """One of the ``points``; what a point outside builds does not have is None."""
    build = point.build
    return {
        "time": _seconds(point.time),
        "value": point.value,
        "builder": build.builder if build else None,
        "build": build.build if build else None,
        "buildid": build.buildid if build else None,
        "worker": build.worker if build else None,
        "revision": build.revision if build else None,
        "tags": tags_answer(point.tags),
    }


def buckets_answer(info: SeriesInfo, buckets: Iterable[Bucket]) -> Json:
    """``points`` with ``buckets``: equal stretches of time, those without a point too."""
    return {"series": info.name, "unit": info.unit, "buckets": [bucket_answer(bucket) for bucket in buckets]}


def bucket_answer(bucket: Bucket) -> Json:
    """One of the ``buckets``; the statistics are None where it holds no number."""
    return {
        "time": _seconds(bucket.time),
        "count": bucket.count,
        "average": bucket.average,
        "minimum": bucket.minimum,
        "maximum": bucket.maximum,
    }


def records_answer(records: Iterable[tuple[Point, SeriesInfo, Optional[Point]]]) -> Json:
    """``records``: each point of a build with what its series is and the point of the build before."""
    return {"records": [record_answer(point, info, previous) for point, info, previous in records]}


def record_answer(point: Point, info: SeriesInfo, previous: Optional[Point]) -> Json:
    """One of the ``records``."""
    before = previous.value if previous is not None else None
    return {
        "series": point.series,
        "step": point.build.step if point.build else None,
        "value": point.value,
        "unit": info.unit,
        "kind": info.kind.value,
        "better": info.better.word,
        "previous": before,
        "change": change_of(point.value, before),
        "tags": tags_answer(point.tags),
    }


def health_answer(
    now: float, counters: Mapping[str, int], stores: Sequence[Health], sinks: Sequence[Health] = ()
) -> Json:
    """``health``: the counters of the capture pipeline, and what each store and sink says of itself.

    ``now`` is unix seconds; ``age`` the seconds that the oldest point has waited, None where none waits.
    """
    return {
        "counters": dict(sorted(counters.items())),
        "stores": [_health(now, health) for health in stores],
        "sinks": [_health(now, health) for health in sinks],
    }


def _health(now: float, health: Health) -> Json:
    return {
        "name": health.name,
        "backlog": health.backlog,
        "age": None if health.oldest is None else max(0.0, now - times.seconds(health.oldest)),
        "last_error": None if health.last_error is None else _CREDENTIALS.sub("***@", health.last_error),
        "counters": dict(sorted(health.counters.items())),
    }


def error_answer(message: str) -> Json:
    """What is said instead of an answer."""
    return {"message": message}


def tags_answer(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags without the two that have places of their own."""
    return {key: value for key, value in tags.items() if key not in ("builder", "worker")}


def _seconds(nanoseconds: Optional[int]) -> Optional[float]:
    return None if nanoseconds is None else times.seconds(nanoseconds)
