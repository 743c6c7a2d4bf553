"""The Storage protocol: what every store of points provides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Protocol, TypeVar, Union

from bbmeasure.model import Bucket, Health, LineInfo, Overview, OverviewQuery, Point, Query, SeriesInfo

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from bbmeasure.statistics import Statistic
    from bbmeasure.storage.query_chain import QueryChain

Result = TypeVar("Result")


class Storage(Protocol):
    """A store of points.

    Every Deferred fails with a StorageError, a QueryError or, from :meth:`declare`, a SeriesConflictError, and with no
    other exception.  Cancelling the Deferred of a query interrupts the query.
    """

    def declare(self, info: SeriesInfo, *, override: bool = False, override_unit: bool = False) -> Deferred[SeriesInfo]:
        """Declare the kind, unit and direction of a series of one builder; fires with the declaration in effect.

        ``info.builders`` holds the builder's name, nothing for points outside builds.  The first declaration decides.
        A later one with another kind or unit fails with SeriesConflictError; with ``override`` its kind replaces the
        former, with ``override_unit`` its unit does, and points keep their numbers.  A direction, if given, replaces
        the former.
        """
        ...

    def write(self, points: Sequence[Point], state: Mapping[str, float] = ...) -> Deferred[None]:
        """Write points and the running totals ``state`` in one transaction; fires when they are durable.

        A key of ``state`` is a JSON list whose second item is the name of its series, so that :meth:`forget` finds it.
        Cancelling the Deferred does not undo the write.
        """
        ...

    def recall(self, keys: Sequence[str]) -> Deferred[dict[str, float]]:
        """The last ``state`` written under each of ``keys`` that has one."""
        ...

    def series(
        self,
        builders: Optional[frozenset[str]] = None,
        *,
        branch: Optional[str] = None,
        proposal: Optional[str] = None,
    ) -> Deferred[list[SeriesInfo]]:
        """All series, one for each name, kind and unit, ordered by these, with counts, times and last values.

        With ``builders`` only the series that have points of these builders, described by these points alone.  ``""``
        stands for points outside builds.  ``branch`` and ``proposal`` select points as in a Query.  A series without
        points is listed without these filters if a trusted build or master.cfg declared it, and with ``"*"`` for
        ``proposal`` alone if a proposal did.
        """
        ...

    def lines(self, query: Query) -> Deferred[list[LineInfo]]:
        """The lines that the matching points are of, ordered by builder, tags, branch and machine class."""
        ...

    def workers(self, query: Query) -> Deferred[list[str]]:
        """The workers of the matching points, sorted, ``""`` for points without one.

        It may contain workers whose points match except for the range of time.
        """
        ...

    def last(self, query: Query, before: Optional[int] = None) -> Deferred[Optional[Point]]:
        """The newest point; with ``before``, the newest of another build with a smaller buildid."""
        ...

    def records(self, buildid: int) -> Deferred[list[Point]]:
        """All points of a build, ordered by time."""
        ...

    def summarize(self, query: Query, statistics: Sequence[Statistic]) -> Deferred[dict[str, Union[float, str, None]]]:
        """The statistics by name; None for those that no point defines.

        ``first`` and ``last`` are by the time of the points.  QueryError for a statistic that texts do not have, and,
        as from :meth:`points` and :meth:`buckets`, where the matching series have different kinds or units.
        """
        ...

    def points(self, query: Query, limit: int) -> Deferred[list[Point]]:
        """The newest ``limit`` points, oldest first."""
        ...

    def buckets(self, query: Query, count: int) -> Deferred[list[Bucket]]:
        """``count`` intervals of equal length; empty when no point matches.

        They reach from the query's ``since``, or the first point, to its ``until``, or the last point.
        """
        ...

    def run_chain(self, chain: QueryChain[Result]) -> Deferred[Result]:
        """The result of a chain of queries; a store that reads in a thread runs all of it at once there."""
        ...

    def forget(self, series: str) -> Deferred[int]:
        """Remove a series with its points, declaration and state; fires with the number of points."""
        ...

    def health(self) -> Health:
        """Counters and the last error, from memory."""
        ...

    def close(self) -> Deferred[None]:
        """Write what is pending, and end threads and connections; fires within the store's own timeout."""
        ...


class HeldLine(NamedTuple):
    """Series and tags of points that a store contains, and whether they are of proposals."""

    series: str
    tags: Mapping[str, str]
    proposed: bool


class CaptureStorage(Storage, Protocol):
    """A store that values are captured into."""

    def declare(
        self, info: SeriesInfo, *, override: bool = False, override_unit: bool = False, proposed: bool = False
    ) -> Deferred[SeriesInfo]:
        """:meth:`Storage.declare`, of a proposal with ``proposed``.

        The first declaration of a trusted build replaces one of proposals, whatever that was; a proposal does not
        change the direction that a trusted build has declared.
        """
        ...

    def held_lines(self, builder: str) -> Deferred[list[HeldLine]]:
        """The series and tags of all points of a builder, of ``""`` those outside builds; each combination once."""
        ...

    def count_lines(self) -> Deferred[tuple[int, int]]:
        """The number of lines that are not of proposals, and of those that are."""
        ...

    def overview(self, query: OverviewQuery) -> Deferred[Overview]:
        """One page of the lines that match, ordered by series, kind, unit, builder, tags, branch and machine class."""
        ...

    def compute(self, function: Callable[..., Result], *arguments: Any) -> Deferred[Result]:
        """Call a pure function of bounded duration off the reactor, where the store has threads that read."""
        ...
