"""Serializers of the JSON API and of ``bbmeasure --json``: plain dicts of what the stores return.

Times are unix seconds, values are in base units, ``better`` is lower, higher or None.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional, Union

from bbmeasure import times
from bbmeasure.model import Bucket, Health, LineInfo, Point, Query, SeriesInfo
from bbmeasure.reports.selection import Selection
from bbmeasure.statistics import Value
from bbmeasure.storage.verdict_store import Line
from bbmeasure.urls import redact_credentials

Json = dict[str, Any]


def change_of(value: Any, previous: Any) -> Optional[float]:
    """The change from ``previous`` to ``value`` as a fraction of ``previous``.

    None if ``previous`` is None or 0, if either is a text, and if the change is not finite.
    """
    if isinstance(value, str) or isinstance(previous, str) or not previous:
        return None
    change = (value - previous) / abs(previous)
    return float(change) if math.isfinite(change) else None


def series_answer(infos: Iterable[SeriesInfo]) -> Json:
    """The answer of ``series``."""
    return {"series": [info_answer(info) for info in infos]}


def info_answer(info: SeriesInfo) -> Json:
    """One item of ``series``."""
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
        "last_builder": info.last_builder,
        "last_tags": None if info.last_tags is None else tags_answer(info.last_tags),
    }


def statistics_answer(selection: Selection, query: Query, count: int, values: Mapping[str, Optional[Value]]) -> Json:
    """The answer of ``statistics``; ``builder`` is None for all builders together, ``branch`` for all branches."""
    info = selection.info
    integral = {name: int(value) if name == "count" and value is not None else value for name, value in values.items()}
    return {
        "series": info.name,
        "builder": query.builder,
        "branch": query.branch,
        "unit": info.unit,
        "kind": info.kind.value,
        "count": count,
        "lines": selection.lines,
        "branches": list(selection.branches),
        "statistics": integral,
    }


def points_answer(info: SeriesInfo, points: Iterable[Point]) -> Json:
    """The answer of ``points``, oldest first."""
    return {"series": info.name, "unit": info.unit, "points": [point_answer(point) for point in points]}


def point_answer(point: Point) -> Json:
    """One item of ``points``; the fields of a build are None for a point outside builds."""
    build = point.build
    return {
        "time": _seconds(point.time),
        "value": point.value,
        "builder": build.builder if build else None,
        "build": build.build if build else None,
        "buildid": build.buildid if build and build.buildid > 0 else None,
        "worker": build.worker if build else None,
        "revision": build.revision if build else None,
        "branch": build.branch if build else None,
        "proposal": build.proposal or None if build else None,
        "tags": tags_answer(point.tags),
    }


def buckets_answer(info: SeriesInfo, buckets: Iterable[Bucket]) -> Json:
    """The answer of ``points`` with ``buckets``: equal intervals of time, also those without a point."""
    return {"series": info.name, "unit": info.unit, "buckets": [bucket_answer(bucket) for bucket in buckets]}


def bucket_answer(bucket: Bucket) -> Json:
    """One item of ``buckets``; the statistics are None if it has no number."""
    return {
        "time": _seconds(bucket.time),
        "count": bucket.count,
        "average": bucket.average,
        "minimum": bucket.minimum,
        "maximum": bucket.maximum,
    }


def records_answer(records: Iterable[tuple[Point, SeriesInfo, Optional[Point]]]) -> Json:
    """The answer of ``records``: each point of a build with its series and the point of the previous build."""
    return {"records": [record_answer(point, info, previous) for point, info, previous in records]}


def record_answer(point: Point, info: SeriesInfo, previous: Optional[Point]) -> Json:
    """One item of ``records``."""
    previous_value = previous.value if previous is not None else None
    return {
        "series": point.series,
        "step": point.build.step if point.build else None,
        "branch": point.build.branch if point.build else None,
        "proposal": point.build.proposal or None if point.build else None,
        "value": point.value,
        "unit": info.unit,
        "kind": info.kind.value,
        "better": info.better.word,
        "previous": previous_value,
        "change": change_of(point.value, previous_value),
        "tags": tags_answer(point.tags),
    }


def health_answer(
    now: float, counters: Mapping[str, int], stores: Sequence[Health], sinks: Sequence[Health] = ()
) -> Json:
    """The answer of ``health``: the counters of the capture pipeline, and the state of each store and exporter.

    ``now`` is unix seconds; ``age`` is the seconds that the oldest point has been queued, None if none is.
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
        "last_error": None if health.last_error is None else redact_credentials(health.last_error),
        "counters": dict(sorted(health.counters.items())),
    }


def line_answer(line: Union[Line, LineInfo]) -> Json:
    """The fields of a line in an alert and in a row of the overview."""
    return {
        "series": line.series,
        "kind": line.kind.value,
        "unit": line.unit,
        "better": line.better.word,
        "builder": line.builder,
        "branch": line.branch,
        "tags": tags_answer(line.tags),
        "machine_class": line.machine,
    }


def error_answer(message: str) -> Json:
    """The answer with an error status."""
    return {"message": message}


def tags_answer(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags without builder and worker, which have fields of their own."""
    return {key: value for key, value in tags.items() if key not in ("builder", "worker")}


def _seconds(nanoseconds: Optional[int]) -> Optional[float]:
    return None if nanoseconds is None else times.seconds(nanoseconds)
