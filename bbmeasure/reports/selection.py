"""Selection: the kind and unit of the points that a query selects, and the lines and branches that it mixes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import methodcaller
from typing import Any, Callable, Optional

from bbmeasure.errors import UnknownSeriesError
from bbmeasure.model import EVERY_PROPOSAL, LineInfo, Query, SeriesInfo
from bbmeasure.storage.query_chain import QueryChain
from bbmeasure.storage.validation import one_meaning
from bbmeasure.units import excerpt


@dataclass(frozen=True)
class Selection:
    """Kind and unit that the points of a query share, with the number of their lines and their branches.

    ``info`` has the name, kind, unit and direction of the series.  A branch is None for builds whose target is unknown
    and for points outside builds.
    """

    info: SeriesInfo
    lines: int = 0
    branches: tuple[Optional[str], ...] = ()


def without_range(query: Query) -> Query:
    """The query of the lines that :func:`select` takes: a store answers it from totals."""
    return query if query.since is None and query.until is None else replace(query, since=None, until=None)


def every_line(query: Query) -> Query:
    """The query of all lines of the series, which say what the series is where no line matches the query itself."""
    return Query(query.series, proposal=EVERY_PROPOSAL)


def select(query: Query, lines: Sequence[LineInfo]) -> Optional[Selection]:
    """The selection of a query, from the lines that match :func:`without_range`; None where none matches.

    It counts the lines that reach into the range of the query.  Raises QueryError for lines of several kinds or units.
    """
    if not lines:
        return None
    one_meaning(query.series, {(line.builder or "", line.kind, line.unit) for line in lines})
    inside = [line for line in lines if _reaches(line, query)]
    branches = {line.branch for line in inside}
    ordered = sorted(branches, key=lambda branch: (branch is None, branch or ""))
    return Selection(_series(lines), len(inside), tuple(ordered))


def read_selected(
    query: Query, read: Callable[[Selection], Optional[Callable[[Any], Any]]]
) -> QueryChain[Optional[tuple[Selection, Sequence[LineInfo], Any]]]:
    """The selection of a query, its lines, and the result of the call that ``read`` returns; None where none matches.

    ``read`` may return None for no call.
    """
    lines: Sequence[LineInfo] = yield methodcaller("lines", without_range(query))
    selection = select(query, lines)
    if selection is None:
        return None
    call = read(selection)
    return selection, lines, None if call is None else (yield call)


def select_nothing(query: Query, lines: Sequence[LineInfo]) -> Selection:
    """The empty selection of a series with those lines; UnknownSeriesError where it has none."""
    if not lines:
        raise UnknownSeriesError(f"series {excerpt(query.series)}: no such series")
    return Selection(_series(lines))


def _reaches(line: LineInfo, query: Query) -> bool:
    return (query.since is None or line.last >= query.since) and (query.until is None or line.first < query.until)


def _series(lines: Sequence[LineInfo]) -> SeriesInfo:
    """The series of lines; of several kinds and units those of the newest point."""
    newest = max(lines, key=lambda line: line.last)
    return SeriesInfo(newest.series, newest.kind, newest.unit, newest.better)
