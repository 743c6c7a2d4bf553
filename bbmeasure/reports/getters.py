"""Getters: one function for each statistic of a series.

Each getter takes ``(series, *, since, until, builder, worker, branch, proposal, kind, unit, tags, source, master)``.
``since`` and ``until`` are unix seconds, ISO 8601, an age such as ``"7d"`` or a datetime; the range is [since, until).
Points of proposals are left out unless ``proposal`` is the name of one, or ``"*"`` for all.  ``kind`` and ``unit``
select one of several meanings that builders give a name.  ``source`` is the name of an instance whose server answers
in place of the journal; ``master`` is needed if several masters run.

Each returns a Deferred of a number, or of None if no point matches.  It fails with QueryError for an invalid argument
and with StorageUnavailableError if the store does not answer.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Optional, TypeVar

from twisted.internet import defer

from bbmeasure import statistics
from bbmeasure.capture.state import running_state
from bbmeasure.errors import QueryError
from bbmeasure.model import Filters, make_query
from bbmeasure.statistics import Statistic, Value
from bbmeasure.storage.base import Storage
from bbmeasure.units import excerpt

if TYPE_CHECKING:
    from typing_extensions import Unpack

Getter = TypeVar("Getter", bound=Callable[..., Any])


class GetterArguments(Filters, total=False):
    """The keyword arguments of each getter."""

    source: Optional[str]
    master: Any


def select_storage(source: Optional[str] = None, master: Any = None) -> Storage:
    """The store of the instance named ``source``, by default the journal; QueryError if that instance has none."""
    state = running_state(master)
    if source is None:
        return state.answering or state.pipeline.storage
    if source not in state.sources:
        known = ", ".join(sorted(state.sources)) or "none"
        raise QueryError(f"source {excerpt(str(source))}: expected the name of an instance that answers ({known})")
    return state.sources[source]


def summarize(
    series: str,
    requested: Sequence[Statistic],
    *,
    source: Optional[str] = None,
    master: Any = None,
    **filters: Unpack[Filters],
) -> defer.Deferred[dict[str, Optional[Value]]]:
    """Several statistics of one series by their names, computed from the same points."""
    try:
        now = running_state(master).pipeline.clock.seconds()
        return select_storage(source, master).summarize(make_query(series, now=now, **filters), requested)
    except QueryError as error:
        return defer.fail(error)


def _getter(function: Getter) -> Getter:
    """Show the fields of GetterArguments in the signature of a getter."""
    signature = inspect.signature(function)
    parameters = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    for name, reference in GetterArguments.__annotations__.items():
        annotation = getattr(reference, "__forward_arg__", reference)
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation))
    function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return function


def _get(statistic: Statistic, series: str, arguments: GetterArguments) -> defer.Deferred[Optional[Value]]:
    return summarize(series, [statistic], **arguments).addCallback(lambda values: values.get(statistic.name))


@_getter
def getAverage(series: str, **arguments: Unpack[GetterArguments]) -> defer.Deferred[Optional[Value]]:
    """Return the arithmetic mean, in the series' base unit."""
    return _get(statistics.STATISTICS["average"], series, arguments)


@_getter
def getDeviation(series: str, **arguments: Unpack[GetterArguments]) -> defer.Deferred[Optional[Value]]:
    """Return the sample standard deviation (n - 1)."""
    return _get(statistics.STATISTICS["deviation"], series, arguments)


@_getter
def getMinimum(series: str, **arguments: Unpack[GetterArguments]) -> defer.Deferred[Optional[Value]]:
    """Return the smallest value."""
    return _get(statistics.STATISTICS["minimum"], series, arguments)


@_getter
def getMaximum(series: str, **arguments: Unpack[GetterArguments]) -> defer.Deferred[Optional[Value]]:
    """Return the largest value."""
    return _get(statistics.STATISTICS["maximum"], series, arguments)


@_getter
def getMedian(series: str, **arguments: Unpack[GetterArguments]) -> defer.Deferred[Optional[Value]]:
    """Return the middle value, or the mean of the two values in the middle."""
    return _get(statistics.STATISTICS["median"], series, arguments)


@_getter
def getCount(series: str, **arguments: Unpack[GetterArguments]) -> defer.Deferred[Optional[Value]]:
    """Return the number of points, 0 if there is none."""
    return _get(statistics.STATISTICS["count"], series, arguments)


@_getter
def getSum(series: str, **arguments: Unpack[GetterArguments]) -> defer.Deferred[Optional[Value]]:
    """Return the sum of all values."""
    return _get(statistics.STATISTICS["sum"], series, arguments)


@_getter
def getFirst(series: str, **arguments: Unpack[GetterArguments]) -> defer.Deferred[Optional[Value]]:
    """Return the oldest value, a text for a series of texts."""
    return _get(statistics.STATISTICS["first"], series, arguments)


@_getter
def getLast(series: str, **arguments: Unpack[GetterArguments]) -> defer.Deferred[Optional[Value]]:
    """Return the newest value, a text for a series of texts."""
    return _get(statistics.STATISTICS["last"], series, arguments)


@_getter
def getPercentile(
    series: str, percentile: float, **arguments: Unpack[GetterArguments]
) -> defer.Deferred[Optional[Value]]:
    """Return the item at floor(n*p/100 + .5) of the sorted values, None if that is 0; ``percentile`` is 0 to 100."""
    try:
        statistic = statistics.percentile(percentile)
    except QueryError as error:
        return defer.fail(error)
    return _get(statistic, series, arguments)
