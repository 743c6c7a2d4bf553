"""Statistics of one series, as the JSON API and the command line answer them from any store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from bbmeasure import statistics
from bbmeasure.errors import QueryError
from bbmeasure.model import Query
from bbmeasure.records import Kind
from bbmeasure.reports import serialize
from bbmeasure.reports.selection import Selection
from bbmeasure.statistics import Statistic, Value

#: The statistics of an answer by default; of a series of texts, those that exist for texts.
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
_DEFAULTS = statistics.find_all(DEFAULT_STATISTICS)
#: The most statistics of one answer.
MAX_STATISTICS = 32


def read_statistics(text: Optional[str], kind: Kind = Kind.NUMBER) -> tuple[Statistic, ...]:
    """The statistics in a text such as ``"average,p95"``; the default ones for ``kind`` if it is None or blank.

    QueryError if a statistic is unknown or there are too many.
    """
    if text is None or not text.strip():
        return tuple(statistic for statistic in _DEFAULTS if statistic.of_text or kind is not Kind.TEXT)
    names = [name.strip() for name in text.split(",")]
    if len(names) > MAX_STATISTICS:
        raise QueryError(f"statistics: got {len(names)}, expected at most {MAX_STATISTICS}")
    return statistics.find_all(names)


@dataclass(frozen=True)
class StatisticsRequest:
    """A request for statistics of the points that match a query.

    It performs no I/O, so that it serves blocking readers and stores that return Deferreds: the caller passes ``query``
    and ``statistics`` to the ``summarize`` method of either, and the result to :meth:`answer`.
    """

    selection: Selection
    query: Query
    requested: tuple[Statistic, ...]

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """The statistics that the store must compute: the requested ones and the count."""
        return (*self.requested, statistics.STATISTICS["count"])

    def answer(self, values: Mapping[str, Optional[Value]]) -> dict[str, Any]:
        """The answer of the JSON API, from the values that the store computed."""
        requested = {statistic.name: values[statistic.name] for statistic in self.requested}
        return serialize.statistics_answer(self.selection, self.query, int(values["count"] or 0), requested)
