"""LineBudgets: how many series and lines a builder may have, so that workers cannot fill a store with names.

The trusted builds of a builder have one budget, all its proposals together another.  What the store contains counts,
so that a budget is the same after a restart, but is never refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet import defer
from twisted.python.failure import Failure

from bbmeasure.capture.deadlines import PendingWrites
from bbmeasure.errors import LimitError, StorageFullError
from bbmeasure.model import Point
from bbmeasure.storage.base import CaptureStorage, HeldLine
from bbmeasure.units import excerpt

#: The most series of one builder, its most lines, which are series with different tags, and the most of a master.
MAX_SERIES = 2_000
MAX_LINES = 20_000
MAX_TOTAL = 1_000_000
#: The same of the proposals of a builder, and of a master, beside the former.
MAX_PROPOSED_SERIES = 200
MAX_PROPOSED_LINES = 2_000
MAX_PROPOSED_TOTAL = 100_000
#: Seconds after which the store is read again: retention and ``forget`` remove lines.
PERIOD = 86_400.0
#: Seconds after which it is read again where it failed.
RETRY = 5.0
#: The most values that wait for the lines of their builder.
MAX_QUEUED = 100_000


class _Lines:
    """The series and lines of trusted builds, or of proposals, each as one integer, whatever a worker sends."""

    def __init__(self) -> None:
        self.series: set[int] = set()
        self.lines: set[int] = set()


class _BuilderLines:
    """The lines of one builder; without ``is_complete`` the store could not be read, and nothing is refused."""

    def __init__(self, expires: float, *, is_complete: bool) -> None:
        self.expires = expires
        self.is_complete = is_complete
        self.trusted = _Lines()
        self.proposed = _Lines()

    def add(self, line: HeldLine) -> None:
        """Add a line that the store contains."""
        lines = self.proposed if line.proposed else self.trusted
        lines.series.add(hash(line.series))
        lines.lines.add(_line(line.series, line.tags))


class LineBudgets:
    """The budgets of all builders of one master; the lines of a builder are read from the store at its first value."""

    def __init__(self, pending: PendingWrites, store: Callable[[], CaptureStorage]) -> None:
        """``store`` returns the store that points are written to now."""
        self._pending = pending
        self._store = store
        self._builders: dict[str, _BuilderLines] = {}
        self._loading: dict[str, list[defer.Deferred[None]]] = {}
        self._totals: dict[bool, int] = {}
        self._totals_expire = 0.0
        #: The number of values that wait for the lines of their builder.
        self.queued = 0

    def clear(self) -> None:
        """Forget what is known, for another store."""
        self._builders.clear()
        self._totals.clear()
        self._totals_expire = 0.0

    def is_loaded(self, builder: str) -> bool:
        """Whether the lines of a builder are known; else :meth:`load` reads them."""
        lines = self._builders.get(builder)
        return lines is not None and self._pending.clock.seconds() < lines.expires

    def load(self, builder: str) -> defer.Deferred[None]:
        """Read the lines of a builder; fires also where the store fails, so that no value is refused for that."""
        if self.queued >= MAX_QUEUED:
            return defer.fail(StorageFullError(f"{self.queued} values wait for a store that does not answer"))
        answer: defer.Deferred[None] = defer.Deferred()
        self.queued += 1
        if builder in self._loading:
            self._loading[builder].append(answer)
            return answer
        self._loading[builder] = [answer]
        self._pending.begin()
        self._load(builder)
        return answer

    def _load(self, builder: str) -> None:
        store = self._store()
        questions: list[defer.Deferred[Any]] = [store.held_lines(builder)]
        if self._pending.clock.seconds() >= self._totals_expire:
            questions.append(store.count_lines())
        reading = defer.gatherResults(questions, consumeErrors=True)
        reading.addBoth(self._loaded, store, builder)

    def _loaded(self, result: Any, store: CaptureStorage, builder: str) -> None:
        if store is not self._store():  # it was replaced meanwhile
            self._load(builder)
            return
        now = self._pending.clock.seconds()
        failed = isinstance(result, Failure)
        lines = self._builders[builder] = _BuilderLines(now + (RETRY if failed else PERIOD), is_complete=not failed)
        if failed:
            self._pending.count("budget_unknown", f"the lines of builder {excerpt(builder)} cannot be read: {result}")
        else:
            for trusted, proposed in result[1:]:
                self._totals = {False: trusted, True: proposed}
                self._totals_expire = now + PERIOD
            for line in result[0]:
                lines.add(line)
        waiting = self._loading.pop(builder)
        self.queued -= len(waiting)
        for answer in waiting:
            answer.callback(None)
        self._pending.end()

    def check(self, point: Point, *, named: bool = False) -> None:
        """LimitError for a point of a new series or line over the budget of its builder; else it is counted.

        With ``named`` master.cfg names the series, and only its lines count.
        """
        lines = self._builders.get(point.builder or "")
        if lines is None or not lines.is_complete:
            return
        is_proposed = bool(point.build and point.build.proposal)
        used = lines.proposed if is_proposed else lines.trusted
        line = _line(point.series, point.tags)
        if line in used.lines:
            return
        series = hash(point.series)
        if line not in lines.trusted.lines and line not in lines.proposed.lines:
            is_new = not named and series not in lines.trusted.series and series not in lines.proposed.series
            total = self._totals.get(is_proposed, 0)
            counts = (len(used.series) if is_new else -1, len(used.lines), total)
            _check_counts(point, counts, is_proposed=is_proposed)
            self._totals[is_proposed] = total + 1
        used.lines.add(line)
        used.series.add(series)


def _check_counts(point: Point, counts: tuple[int, int, int], *, is_proposed: bool) -> None:
    """LimitError where the series and lines of the builder, or the lines of the master, have reached their limit."""
    limits = (MAX_PROPOSED_SERIES, MAX_PROPOSED_LINES, MAX_PROPOSED_TOTAL) if is_proposed else _trusted_limits()
    for count, most, what in zip(counts, limits, _COUNTED):
        if count >= most:
            whose = "the proposals of " if is_proposed else ""
            raise LimitError(f"series {excerpt(point.series)}: expected at most {most} {what.format(whose)}")


def _trusted_limits() -> tuple[int, int, int]:
    return MAX_SERIES, MAX_LINES, MAX_TOTAL


_COUNTED = (
    "series of {}one builder",
    "series with their tags of {}one builder",
    "series with their tags of {}a master",
)


def _line(series: str, tags: Mapping[str, str]) -> int:
    kept = tags if all(tags.values()) else {key: value for key, value in tags.items() if value}
    return hash((series, frozenset(kept.items())))
