"""What every store speaks: Point, SeriesInfo, Query, Bucket and the Storage protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Optional, Protocol, Union

from bbmeasure.errors import QueryError, SeriesConflictError
from bbmeasure.records import Direction, Kind
from bbmeasure.units import excerpt

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from bbmeasure.storage.statistics import Statistic

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
    """What a series is, and for :meth:`Storage.series` what it holds (times in nanoseconds)."""

    name: str
    kind: Kind
    unit: str = "1"
    better: Direction = Direction.NONE
    builders: Sequence[str] = ()
    count: int = 0
    first: Optional[int] = None
    last: Optional[int] = None
    last_value: Union[float, str, None] = None


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


class Storage(Protocol):
    """A store of points.

    Each Deferred fails with a StorageError, a QueryError or, of :meth:`declare`, a SeriesConflictError, and with
    nothing else; cancelling the Deferred of a question breaks the question off.
    """

    def declare(self, info: SeriesInfo, *, override: bool = False) -> Deferred[SeriesInfo]:
        """Say what a series is; the answer is what holds.

        The first to declare a series decides.  SeriesConflictError where kind or unit differ from what holds, unless
        ``override``: then the new kind holds (a unit never changes).  A direction that is given replaces one before it.
        """
        ...

    def write(self, points: Sequence[Point], state: Mapping[str, float] = ...) -> Deferred[None]:
        """Keep points, and the running totals ``state`` with them, all or nothing; fires when they are safe.

        A key of ``state`` is a JSON list whose second item is the name of its series, so that :meth:`forget` finds it.
        Who cancels the Deferred waits no longer; the points are kept all the same.
        """
        ...

    def recall(self, keys: Sequence[str]) -> Deferred[dict[str, float]]:
        """The last ``state`` written under each of ``keys`` that has one."""
        ...

    def series(self, builders: Optional[frozenset[str]] = None) -> Deferred[list[SeriesInfo]]:
        """All series by name, with what they hold.

        With ``builders`` only those that hold something of these, and what that is: nothing of the answer is of others.
        ``""`` among them stands for points outside builds.
        """
        ...

    def last(self, query: Query, before: Optional[int] = None) -> Deferred[Optional[Point]]:
        """The newest point; with ``before``, the newest of another build whose buildid is smaller than that."""
        ...

    def records(self, buildid: int) -> Deferred[list[Point]]:
        """All points of a build, in the order of their time."""
        ...

    def summarize(self, query: Query, statistics: Sequence[Statistic]) -> Deferred[dict[str, Union[float, str, None]]]:
        """Each statistic by its name; None where there is no data.

        Points in the order of their time make ``first`` and ``last``.  QueryError where a statistic makes no sense for
        text.
        """
        ...

    def points(self, query: Query, limit: int) -> Deferred[list[Point]]:
        """The newest ``limit`` points, oldest first."""
        ...

    def buckets(self, query: Query, count: int) -> Deferred[list[Bucket]]:
        """``count`` equal stretches from the first point (or ``since``) to the last (or ``until``); [] for no data."""
        ...

    def forget(self, series: str) -> Deferred[int]:
        """Remove a series with its points, declaration and state; how many points that were."""
        ...

    def health(self) -> Health:
        """How it is, from memory alone."""
        ...

    def close(self) -> Deferred[None]:
        """Write what waits and let go of threads and files; fires within its own time limit."""
        ...
