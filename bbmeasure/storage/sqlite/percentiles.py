"""Exact percentiles and the median of many points, without sorting all of them.

A sample of the values gives bounds that very likely contain a wanted rank.  One pass counts the values below them, and
only the values between them are sorted (Floyd and Rivest, *Expected Time Bounds for Selection*, 1975).  If a rank lies
outside its bounds, all values are sorted.  It all runs inside SQLite, which releases the GIL, so that the reactor is
not blocked.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from bbmeasure.statistics import Statistic, percentile_rank
from bbmeasure.storage.sqlite.rollup import CHUNK

#: The number of values up to which all are sorted.
SORTED = 20_000
#: The sample consists of the first and the last point of about so many chunks.
_SAMPLED_CHUNKS = 5_000
#: The distance of a bound from the expected position in the sample, in standard deviations of the median's position.
_MARGIN = 5.0

_RANGE = """FROM json_each(:streams) m CROSS JOIN points p
    ON p.stream = m.value AND p.time >= :since AND p.time < :until WHERE p.value IS NOT NULL"""
_SAMPLE = """SELECT p.value FROM json_each(:streams) m
    CROSS JOIN chunks c ON c.stream = m.value AND c.start >= :since AND c.start < :until
    CROSS JOIN points p ON p.stream = c.stream AND p.time IN (c.start, c.last)
    WHERE c.last < :until AND random() % :every = 0 AND p.value IS NOT NULL ORDER BY p.value"""


def percentiles(
    connection: sqlite3.Connection,
    where: Mapping[str, Any],
    count: int,
    wanted: Sequence[Statistic],
) -> dict[str, Optional[float]]:
    """The ``wanted`` percentiles and median of the ``count`` numbers in a range, by name.

    ``where`` is the range: ``streams`` (ids as JSON), ``since`` and ``until``.
    """
    ranks_of = {statistic.name: _ranks(statistic, count) for statistic in wanted}
    selection = _Selection(connection, where, count)
    values = selection.at(sorted({rank for ranks in ranks_of.values() for rank in ranks}))
    return {
        name: sum(values[rank] / len(ranks) for rank in ranks) if ranks else None for name, ranks in ranks_of.items()
    }


def _ranks(statistic: Statistic, count: int) -> Sequence[int]:
    """The ranks, from 1, of the values whose mean is the statistic."""
    if statistic.percentile is not None:
        rank = percentile_rank(count, statistic.percentile)
        return [rank] if rank else []
    if not count:
        return []
    return [(count + 1) // 2] if count % 2 else [count // 2, count // 2 + 1]


@dataclass
class _Interval:
    """The ``size`` values from ``low`` to ``high``; ``below`` values are smaller."""

    low: float
    high: float
    below: int = 0
    size: int = 0

    def contains(self, rank: int) -> bool:
        return self.below < rank <= self.below + self.size


class _Selection:
    """Selects values of a range by rank."""

    def __init__(self, connection: sqlite3.Connection, where: Mapping[str, Any], count: int) -> None:
        self._connection = connection
        self._where = where
        self._count = count

    def at(self, ranks: Sequence[int]) -> dict[int, float]:
        """The values of ``ranks``, which must ascend."""
        if not ranks:
            return {}
        if self._count <= SORTED:
            ordered = sorted(value for (value,) in self._execute(f"SELECT p.value {_RANGE}"))
            return {rank: ordered[rank - 1] for rank in ranks}
        values = self._select(self._intervals(ranks), ranks)
        missed = [rank for rank in ranks if rank not in values]
        if missed:
            values.update(self._select([_Interval(-math.inf, math.inf, 0, self._count)], missed))
        return values

    def _execute(self, sql: str, **parameters: Any) -> sqlite3.Cursor:
        return self._connection.execute(sql, {**self._where, **parameters})

    def _intervals(self, ranks: Sequence[int]) -> list[_Interval]:
        """Disjoint intervals that very likely contain the values of ``ranks``."""
        every = max(1, self._count // CHUNK // _SAMPLED_CHUNKS)
        sample = [-math.inf, *(value for (value,) in self._execute(_SAMPLE, every=every)), math.inf]
        margin = 1 + int(_MARGIN * math.sqrt(len(sample)) / 2)
        intervals: list[_Interval] = []
        for rank in ranks:
            position = rank * len(sample) // self._count
            low, high = sample[max(0, position - margin)], sample[min(len(sample) - 1, position + margin)]
            if intervals and low <= intervals[-1].high:
                intervals[-1].high = high
            else:
                intervals.append(_Interval(low, high))
        self._count_values(intervals)
        return intervals

    def _count_values(self, intervals: Sequence[_Interval]) -> None:
        columns = ", ".join(f"total(p.value < :low{at}), total(p.value <= :high{at})" for at in range(len(intervals)))
        counts = self._execute(f"SELECT {columns} {_RANGE}", **_bounds(intervals)).fetchone()
        for at, interval in enumerate(intervals):
            interval.below = int(counts[2 * at])
            interval.size = int(counts[2 * at + 1]) - interval.below

    def _select(self, intervals: Sequence[_Interval], ranks: Sequence[int]) -> dict[int, float]:
        """The values of those ``ranks`` that one of the intervals contains."""
        values: dict[int, float] = {}
        to_sort: list[_Interval] = []
        rank_at: dict[int, int] = {}
        sorted_before = 0
        for interval in intervals:
            inside = [rank for rank in ranks if interval.contains(rank)]
            if interval.low == interval.high:
                values.update(dict.fromkeys(inside, interval.low))
            elif inside:
                rank_at.update({sorted_before + rank - interval.below: rank for rank in inside})
                sorted_before += interval.size
                to_sort.append(interval)
        if to_sort:
            values.update({rank_at[position]: value for position, value in self._sorted(to_sort, list(rank_at))})
        return values

    def _sorted(self, intervals: Sequence[_Interval], positions: Sequence[int]) -> list[tuple[int, float]]:
        """The values at ``positions``, from 1, in the sorted values of all intervals."""
        within = " OR ".join(f"p.value BETWEEN :low{at} AND :high{at}" for at in range(len(intervals)))
        self._connection.execute("DROP TABLE IF EXISTS temp.ordered")
        self._execute(
            f"CREATE TEMP TABLE ordered AS SELECT p.value {_RANGE} AND ({within}) ORDER BY p.value",
            **_bounds(intervals),
        )
        rows = self._connection.execute(
            "SELECT rowid, value FROM temp.ordered WHERE rowid IN (SELECT value FROM json_each(?))",
            (json.dumps(positions),),
        ).fetchall()
        self._connection.execute("DROP TABLE temp.ordered")
        return rows


def _bounds(intervals: Sequence[_Interval]) -> dict[str, float]:
    bounds = {f"low{at}": interval.low for at, interval in enumerate(intervals)}
    bounds.update({f"high{at}": interval.high for at, interval in enumerate(intervals)})
    return bounds
