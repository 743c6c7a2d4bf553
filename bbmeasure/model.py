"""The central value types: Point, BuildContext, SeriesInfo, Query, Bucket, Health."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional, TypedDict, Union

from bbmeasure import times
from bbmeasure.ansi import without_hidden
from bbmeasure.errors import MeasureError, QueryError
from bbmeasure.records import Direction, Kind, canonical_series, check_tags, choose
from bbmeasure.units import excerpt, find

if TYPE_CHECKING:
    from typing_extensions import Unpack

#: The ``proposal`` of a query that leaves no proposal out.
EVERY_PROPOSAL = "*"
#: The most points and buckets of one answer of a store.
MOST_POINTS = 1_000_000
MOST_BUCKETS = 2_000


@dataclass(frozen=True)
class BuildContext:
    """The build that a point belongs to; only the master sets it.

    ``build`` is the number within the builder, ``buildid`` the master's own; ``step`` is None for a value of the whole
    build.  ``branch`` is the branch that the build is judged on, None where it is unknown; ``proposal`` is the proposal
    that it builds, "" for none: see ``bbmeasure.capture.branches``.  ``machine`` is the worker's machine class,
    None where each worker is a class of its own.
    """

    builder: str
    worker: str
    build: int
    buildid: int
    step: Optional[str] = None
    revision: Optional[str] = None
    branch: Optional[str] = None
    project: Optional[str] = None
    proposal: str = ""
    machine: Optional[str] = None

    @property
    def machine_class(self) -> str:
        """The machine class: values of different classes are never compared."""
        return self.worker if self.machine is None else self.machine


#: Step, revision, branch, proposal, machine class and project of a build, and whether the step is a tag of the point.
BuildNames = tuple[Optional[str], Optional[str], Optional[str], str, Optional[str], Optional[str], bool]


@dataclass(frozen=True)
class Point:
    """A stored value of a series, in the series' base unit, with its time (nanoseconds) and its build.

    Its identity is (series, builder, worker, tags, time): a store keeps one point of an identity, with the value that
    was written last.  ``value`` is the median of ``samples`` measurements, ``spread`` their median absolute deviation.
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
    """Kind, unit and direction of a series, which belong to the series of one builder.

    In a declaration ``builders`` names that one builder, or none for points outside builds.
    :meth:`~bbmeasure.storage.base.Storage.series` returns one SeriesInfo for each name, kind and unit, with all
    builders that have it, and also sets the fields about its points (times in nanoseconds); ``better`` is NONE where
    the builders disagree.  ``last_builder`` and ``last_tags`` are those of the last value; None for a value outside
    builds, and for tags that a server does not tell.
    """

    name: str
    kind: Kind
    unit: str = "1"
    better: Direction = Direction.NONE
    builders: Sequence[str] = ()
    count: int = 0
    first: Optional[int] = None
    last: Optional[int] = None
    last_value: Union[float, str, None] = None
    last_builder: Optional[str] = field(default=None, compare=False)
    last_tags: Optional[Mapping[str, str]] = field(default=None, compare=False)


@dataclass(frozen=True)
class Query:
    """A selection of the points of ``series`` in [since, until), in nanoseconds, that match every field.

    A point matches ``tags`` if it has these values; it may have further tags unless ``exact_tags`` is set.  An empty
    builder, worker or tag value matches points that have none.  ``builders`` are the builders whose points may be
    shown, with ``""`` for points outside builds; None is all.

    ``branch`` is the branch that builds are judged on; None is every branch.  ``proposal`` is None for no point of a
    proposal, ``"*"`` for those of all proposals too, else the name of the only proposal whose points match.
    ``machine`` is a machine class.  ``kind`` and ``unit`` select one of several meanings that builders give one name.
    """

    series: str
    since: Optional[int] = None
    until: Optional[int] = None
    builder: Optional[str] = None
    worker: Optional[str] = None
    tags: Mapping[str, str] = field(default_factory=dict)
    exact_tags: bool = False
    builders: Optional[frozenset[str]] = None
    branch: Optional[str] = None
    proposal: Optional[str] = None
    machine: Optional[str] = None
    kind: Optional[Kind] = None
    unit: Optional[str] = None

    def __post_init__(self) -> None:
        if not isinstance(self.series, str) or not self.series:
            raise QueryError(f"series {excerpt(str(self.series))}: expected a name")
        if self.since is not None and self.until is not None and self.since > self.until:
            raise QueryError("since: expected a time that is not after until")


def line_query(series: str, tags: Mapping[str, str], build: Optional[BuildContext]) -> Optional[Query]:
    """The query of the line that a value of that build is compared with.

    Of a proposal it is its target's line.  None for a build whose target is unknown, which has nothing to compare with.
    """
    if build is None:
        return Query(series, builder="", tags=tags, exact_tags=True)
    if build.branch is None:
        return None
    return Query(
        series, builder=build.builder, tags=tags, exact_tags=True, branch=build.branch, machine=build.machine_class
    )


@dataclass(frozen=True)
class LineInfo:
    """A line, which is what one curve shows, with the meaning of its series and a description of its points.

    ``builder`` is None outside builds, ``branch`` where it is unknown.  ``proposed`` lines hold the points of
    proposals.  Times are in nanoseconds.
    """

    series: str
    builder: Optional[str]
    tags: Mapping[str, str]
    branch: Optional[str]
    machine: Optional[str]
    proposed: bool
    kind: Kind
    unit: str
    better: Direction
    count: int
    first: int
    last: int
    last_value: Union[float, str]

    @classmethod
    def of(cls, newest: Point, info: SeriesInfo, count: int, first: int) -> LineInfo:
        """The line of ``count`` points of a series, of which the first is at the time ``first``."""
        build = newest.build
        return cls(
            newest.series,
            newest.builder,
            newest.tags,
            build.branch if build else None,
            build.machine_class if build else None,
            bool(build and build.proposal),
            info.kind,
            info.unit,
            info.better,
            count,
            first,
            newest.time,
            newest.value,
        )


@dataclass(frozen=True)
class OverviewQuery:
    """A selection of lines that are not of proposals: the rows from ``offset``, at most ``limit``, of an overview.

    ``search`` are words that the name of the series must contain; ``since`` leaves out lines without a point from that
    time on, in nanoseconds.  ``values`` is the number of builds whose values each row has.  The other fields are as in
    :class:`Query`.
    """

    series: Optional[str] = None
    search: tuple[str, ...] = ()
    since: Optional[int] = None
    builder: Optional[str] = None
    branch: Optional[str] = None
    kind: Optional[Kind] = None
    unit: Optional[str] = None
    builders: Optional[frozenset[str]] = None
    offset: int = 0
    limit: int = 500
    values: int = 30


@dataclass(frozen=True)
class OverviewRow:
    """A line with the values of its newest builds, oldest first, one value a build; no values of a series of texts.

    ``build`` and ``buildid`` are those of the newest point, None outside builds.  ``line_id`` is the id of the line in
    a store that keeps verdicts.
    """

    line: LineInfo
    build: Optional[int] = None
    buildid: Optional[int] = None
    values: tuple[float, ...] = ()
    line_id: Optional[int] = field(default=None, compare=False)


@dataclass(frozen=True)
class Overview:
    """One page of an overview, and the number of all rows."""

    total: int
    rows: Sequence[OverviewRow]


@dataclass(frozen=True)
class Bucket:
    """One of the equal intervals of a time range; its statistics are None if it has no point."""

    time: int
    count: int
    average: Optional[float]
    minimum: Optional[float]
    maximum: Optional[float]


@dataclass(frozen=True)
class Health:
    """The state of a store or exporter; counters do not decrease while the master runs."""

    name: str
    backlog: int = 0
    oldest: Optional[int] = None
    last_error: Optional[str] = None
    counters: Mapping[str, int] = field(default_factory=dict)


class Filters(TypedDict, total=False):
    """The keyword arguments that select points of a series, as a person writes them."""

    since: times.When
    until: times.When
    builder: Optional[str]
    worker: Optional[str]
    branch: Optional[str]
    proposal: Optional[str]
    kind: Union[Kind, str, None]
    unit: Optional[str]
    tags: Optional[Mapping[str, Any]]


class SeriesFilters(TypedDict):
    """The keyword arguments that select the points that a list of series describes."""

    branch: Optional[str]
    proposal: Optional[str]


def series_filters(branch: Optional[str] = None, proposal: Optional[str] = None) -> SeriesFilters:
    """The filters of a list of series; as in a Query, points of proposals count only if ``proposal`` selects them."""
    return {"branch": branch or None, "proposal": proposal or None}


#: The names of the filters with one value each.
SCALAR_FILTERS = tuple(name for name in Filters.__annotations__ if name != "tags")


def make_query(series: str, *, now: float, **filters: Unpack[Filters]) -> Query:
    """The Query of filters that a person wrote; ``now`` in unix seconds.  QueryError names an invalid argument."""
    unknown = filters.keys() - Filters.__annotations__.keys()
    if unknown:
        raise TypeError(f"unknown arguments {sorted(unknown)}: expected some of {', '.join(Filters.__annotations__)}")
    names: dict[str, Any] = {name: filters.get(name) or None for name in ("builder", "worker", "branch", "proposal")}
    for argument, name in names.items():
        if name is not None and not isinstance(name, str):
            raise QueryError(f"{argument} {excerpt(str(name))}: expected a name")
    tags = filters.get("tags")
    try:
        checked_tags = check_tags(tags, reserved=False) if tags else {}
    except ValueError as error:
        raise QueryError(f"tags: {error}") from None
    since = times.read(filters.get("since"), now, "since")
    until = times.read(filters.get("until"), now, "until")
    series = canonical_series(without_hidden(series)) if isinstance(series, str) and series else series
    kind, unit = _meaning(filters.get("kind"), filters.get("unit"))
    return Query(series, since, until, tags=checked_tags, kind=kind, unit=unit, **names)


def _meaning(kind: Union[Kind, str, None], unit: Optional[str]) -> tuple[Optional[Kind], Optional[str]]:
    """Kind and base unit of arguments, each None where it is not given."""
    if unit and not isinstance(unit, str):
        raise QueryError(f"unit {excerpt(str(unit))}: expected a unit such as bytes")
    try:
        return choose(Kind, kind, "kind") if kind else None, find(unit).base if unit else None
    except MeasureError as error:
        raise QueryError(str(error)) from None
