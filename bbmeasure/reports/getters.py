"""Statistics over what was captured: one function each, and what the page, the API and the command line ask for.

Each getter takes ``(series, *, since, until, builder, worker, tags, source, master)``: ``since`` and ``until`` as unix
seconds, ISO 8601, an age such as ``"7d"`` or a datetime, the range being [since, until).  Each returns a Deferred of a
number, None where there is no data; it fails with a QueryError for a question that makes no sense and with a
StorageUnavailableError where the source does not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional, Union

from twisted.internet import defer

from bbmeasure import statistics, times
from bbmeasure.capture.state import running_state
from bbmeasure.errors import QueryError
from bbmeasure.model import make_query
from bbmeasure.statistics import Statistic
from bbmeasure.storage.base import Storage
from bbmeasure.units import excerpt

Answer = Union[float, str, None]


def source_of(source: Optional[str] = None, master: Any = None) -> Storage:
    """The store that answers: the journal, or that of the instance named ``source``; QueryError where none has it."""
    state = running_state(master)
    if source is None:
        return state.answering or state.pipeline.storage
    if source not in state.sources:
        known = ", ".join(sorted(state.sources)) or "none"
        raise QueryError(f"source {excerpt(str(source))}: expected the name of an instance that answers ({known})")
    return state.sources[source]


def summarize(
    series: str, statistics_: Sequence[Statistic], *, source: Optional[str] = None, master: Any = None, **where: Any
) -> defer.Deferred[dict[str, Answer]]:
    """Several statistics of one series by their names, in one question."""
    try:
        now = running_state(master).pipeline.clock.seconds()
        storage = source_of(source, master)
        return storage.summarize(make_query(series, now=now, **where), statistics_)
    except QueryError as error:
        return defer.fail(error)


def _getter(name: str, statistic: Statistic, what: str) -> Callable[..., defer.Deferred[Answer]]:
    def get(
        series: str,
        *,
        since: times.When = None,
        until: times.When = None,
        builder: Optional[str] = None,
        worker: Optional[str] = None,
        tags: Optional[Mapping[str, Any]] = None,
        source: Optional[str] = None,
        master: Any = None,
    ) -> defer.Deferred[Answer]:
        return _one(
            statistic,
            series,
            since=since,
            until=until,
            builder=builder,
            worker=worker,
            tags=tags,
            source=source,
            master=master,
        )

    get.__name__ = get.__qualname__ = name
    get.__doc__ = what
    return get


def _one(statistic: Statistic, series: str, **where: Any) -> defer.Deferred[Answer]:
    asked = summarize(series, [statistic], **where)
    return asked.addCallback(lambda answers: answers.get(statistic.name))


_ALL = statistics.STATISTICS
getAverage = _getter("getAverage", _ALL["average"], "The arithmetic mean, in the series' base unit.")
getDeviation = _getter("getDeviation", _ALL["deviation"], "The sample's standard deviation (n - 1).")
getMinimum = _getter("getMinimum", _ALL["minimum"], "The smallest value.")
getMaximum = _getter("getMaximum", _ALL["maximum"], "The largest value.")
getMedian = _getter("getMedian", _ALL["median"], "The middle value, or the mean of the two in the middle.")
getCount = _getter("getCount", _ALL["count"], "How many points there are; 0 where there is none.")
getSum = _getter("getSum", _ALL["sum"], "The sum of all values.")
getFirst = _getter("getFirst", _ALL["first"], "The oldest value, a text for a series of texts.")
getLast = _getter("getLast", _ALL["last"], "The newest value, a text for a series of texts.")


def getPercentile(
    series: str,
    percentile: float,
    *,
    since: times.When = None,
    until: times.When = None,
    builder: Optional[str] = None,
    worker: Optional[str] = None,
    tags: Optional[Mapping[str, Any]] = None,
    source: Optional[str] = None,
    master: Any = None,
) -> defer.Deferred[Answer]:
    """The item at floor(n*p/100 + .5) of the sorted values, for ``percentile`` from 0 to 100; None where that is 0."""
    try:
        statistic = statistics.percentile(percentile)
    except QueryError as error:
        return defer.fail(error)
    return _one(
        statistic,
        series,
        since=since,
        until=until,
        builder=builder,
        worker=worker,
        tags=tags,
        source=source,
        master=master,
    )
