"""The Storage protocol: what every store of points provides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Optional, Protocol, Union

from bbmeasure.model import Bucket, Health, Point, Query, SeriesInfo

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from bbmeasure.statistics import Statistic


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
