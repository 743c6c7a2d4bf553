"""The central value types: Point, BuildContext, SeriesInfo, Query, Bucket, Health."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional, Union

from bbmeasure import times
from bbmeasure.errors import QueryError
from bbmeasure.records import Direction, Kind, check_tags
from bbmeasure.units import excerpt

#: Points are kept at nanoseconds since 1970 in UTC.
NANOSECONDS = 10**9
#: The most points and buckets that one answer holds.
MOST_POINTS = 1_000_000
MOST_BUCKETS = 2_000


@dataclass(frozen=True)
class BuildContext:
    """Which build a point belongs to; the master alone fills it in.

    ``build`` is the number within the builder, ``buildid`` the master's own; ``step`` is None for what the whole build
    has.
    """

    builder: str
    worker: str
    build: int
    buildid: int
    step: Optional[str] = None
    revision: Optional[str] = None
    branch: Optional[str] = None
    project: Optional[str] = None


@dataclass(frozen=True)
class Point:
    """What a store keeps: a value of a series in its base unit, in its build, at a time of its own (nanoseconds).

    Its identity is (series, builder, worker, tags, time): written twice, it is kept once and the later value holds.
    ``samples`` says of how many measurements ``value`` is the median and ``spread`` their median absolute deviation.
    """

    series: str
    time: int
    value: Union[float, str]
    tags: Mapping[str, str] = field(default_factory=dict)
    build: Optional[BuildContext] = None
    samples: int = 1
    spread: Optional[float] = None

    @property
    def builder(self) -> Optional[str]:
        """The builder's name; None for a point outside builds."""
        return self.build.builder if self.build else None

    @property
    def worker(self) -> Optional[str]:
        """The worker's name; None for a point outside builds."""
        return self.build.worker if self.build else None


@dataclass(frozen=True)
class SeriesInfo:
    """What a series is, and for :meth:`~bbmeasure.storage.base.Storage.series` what it holds (times in nanoseconds)."""

    name: str
    kind: Kind
    unit: str = "1"
    better: Direction = Direction.NONE
    builders: Sequence[str] = ()
    count: int = 0
    first: Optional[int] = None
    last: Optional[int] = None
    last_value: Union[float, str, None] = None


@dataclass(frozen=True)
class Query:
    """Which points are meant: those of ``series`` in [since, until), in nanoseconds, that match all that is given.

    ``tags`` names tags and the value that each must have; a point with more tags matches too, unless ``exact_tags``.
    A value that is empty means none: no builder, no worker, no such tag.
    ``builders`` are the only ones whose points may be told of, ``""`` among them for points outside builds.
    """

    series: str
    since: Optional[int] = None
    until: Optional[int] = None
    builder: Optional[str] = None
    worker: Optional[str] = None
    tags: Mapping[str, str] = field(default_factory=dict)
    exact_tags: bool = False
    builders: Optional[frozenset[str]] = None

    def __post_init__(self) -> None:
        if not isinstance(self.series, str) or not self.series:
            raise QueryError(f"series {excerpt(str(self.series))}: expected a name")
        if self.since is not None and self.until is not None and self.since > self.until:
            raise QueryError("since: expected a time that is not after until")


@dataclass(frozen=True)
class Bucket:
    """One of the equal stretches of a time range; the statistics are None where it holds no point."""

    time: int
    count: int
    average: Optional[float]
    minimum: Optional[float]
    maximum: Optional[float]


@dataclass(frozen=True)
class Health:
    """What a store or sink says of itself: counters never go down while the master runs."""

    name: str
    backlog: int = 0
    oldest: Optional[int] = None
    last_error: Optional[str] = None
    counters: Mapping[str, int] = field(default_factory=dict)


def make_query(
    series: str,
    *,
    now: float,
    since: times.When = None,
    until: times.When = None,
    builder: Optional[str] = None,
    worker: Optional[str] = None,
    tags: Optional[Mapping[str, Any]] = None,
) -> Query:
    """The Query for what a person wrote; ``now`` in unix seconds.  QueryError says which argument was off."""
    for what, got in (("builder", builder), ("worker", worker)):
        if got is not None and not isinstance(got, str):
            raise QueryError(f"{what} {excerpt(str(got))}: expected a name")
    try:
        checked = check_tags(tags, reserved=False) if tags else {}
    except ValueError as error:
        raise QueryError(f"tags: {error}") from None
    begin, end = times.read(since, now, "since"), times.read(until, now, "until")
    return Query(series, begin, end, builder or None, worker or None, checked)
