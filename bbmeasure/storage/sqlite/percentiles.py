"""Percentiles and the median of many points, exactly, without sorting them all.

A sample of the values gives bounds that a wanted rank very likely lies between; one pass counts what is below them, and
only the values between are sorted (Floyd and Rivest, *Expected Time Bounds for Selection*, 1975).  Where the sample
misled, everything is sorted.  All of it runs inside of SQLite, which lets go of Python's lock meanwhile, so that the
reactor is not held up.
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

#: Up to so many values are sorted as they are.
SORTED = 20_000
#: The sample is the first and the last point of about so many chunks.
_SAMPLED_CHUNKS = 5_000
#: How far from its expected place in the sample a bound is, in standard deviations of the median's place.
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
    """The ``wanted`` percentiles (the median among them) of the ``count`` numbers in a range, by their names.

    ``where`` holds the range: ``streams`` (numbers as JSON), ``since`` and ``until``.
    """
    ranks = {one.name: _ranks(one, count) for one in wanted}
    values = _Values(connection, where, count)
    found = values.at(sorted({rank for some in ranks.values() for rank in some}))
    return {name: sum(found[rank] / len(some) for rank in some) if some else None for name, some in ranks.items()}


def _ranks(statistic: Statistic, count: int) -> Sequence[int]:
    """The ranks, from 1, whose values the statistic is the mean of."""
    if statistic.percentile is not None:
        rank = percentile_rank(count, statistic.percentile)
        return [rank] if rank else []
    if not count:
        return []
    return [(count + 1) // 2] if count % 2 else [count // 2, count // 2 + 1]


@dataclass
class _Stretch:
    """Values from ``low`` to ``high``, ``size`` of them, with ``below`` smaller ones."""

    low: float
    high: float
    below: int = 0
    size: int = 0

    def has(self, rank: int) -> bool:
        return self.below < rank <= self.below + self.size


class _Values:
    """The numbers of a range, to be asked for those of some ranks."""

    def __init__(self, connection: sqlite3.Connection, where: Mapping[str, Any], count: int) -> None:
        self._connection = connection
        self._where = where
        self._count = count

    def at(self, ranks: Sequence[int]) -> dict[int, float]:
        """The values of ``ranks``, which ascend."""
        if not ranks:
            return {}
        if self._count <= SORTED:
            ordered = sorted(value for (value,) in self._execute(f"SELECT p.value {_RANGE}"))
            return {rank: ordered[rank - 1] for rank in ranks}
        found = self._look_up(self._stretches(ranks), ranks)
        missed = [rank for rank in ranks if rank not in found]
        if missed:
            found.update(self._look_up([_Stretch(-math.inf, math.inf, 0, self._count)], missed))
        return found

    def _execute(self, sql: str, **given: Any) -> sqlite3.Cursor:
        return self._connection.execute(sql, {**self._where, **given})

    def _stretches(self, ranks: Sequence[int]) -> list[_Stretch]:
        """Where the values of ``ranks`` very likely are; none overlaps another."""
        every = max(1, self._count // CHUNK // _SAMPLED_CHUNKS)
        sample = [-math.inf, *(value for (value,) in self._execute(_SAMPLE, every=every)), math.inf]
        margin = 1 + int(_MARGIN * math.sqrt(len(sample)) / 2)
        stretches: list[_Stretch] = []
        for rank in ranks:
            place = rank * len(sample) // self._count
            low, high = sample[max(0, place - margin)], sample[min(len(sample) - 1, place + margin)]
            if stretches and low <= stretches[-1].high:
                stretches[-1].high = high
            else:
                stretches.append(_Stretch(low, high))
        self._count_stretches(stretches)
        return stretches

    def _count_stretches(self, stretches: Sequence[_Stretch]) -> None:
        counted = ", ".join(f"total(p.value < :low{at}), total(p.value <= :high{at})" for at in range(len(stretches)))
        counts = self._execute(f"SELECT {counted} {_RANGE}", **_bounds(stretches)).fetchone()
        for at, stretch in enumerate(stretches):
            stretch.below = int(counts[2 * at])
            stretch.size = int(counts[2 * at + 1]) - stretch.below

    def _look_up(self, stretches: Sequence[_Stretch], ranks: Sequence[int]) -> dict[int, float]:
        """The values of those ``ranks`` that lie in one of the stretches."""
        found: dict[int, float] = {}
        to_sort: list[_Stretch] = []
        places: dict[int, int] = {}
        sorted_before = 0
        for stretch in stretches:
            inside = [rank for rank in ranks if stretch.has(rank)]
            if stretch.low == stretch.high:
                found.update(dict.fromkeys(inside, stretch.low))
            elif inside:
                places.update({sorted_before + rank - stretch.below: rank for rank in inside})
                sorted_before += stretch.size
                to_sort.append(stretch)
        if to_sort:
            found.update({places[place]: value for place, value in self._sorted(to_sort, list(places))})
        return found

    def _sorted(self, stretches: Sequence[_Stretch], places: Sequence[int]) -> list[tuple[int, float]]:
        """What stands at ``places``, from 1, of all values of the stretches in order."""
        within = " OR ".join(f"p.value BETWEEN :low{at} AND :high{at}" for at in range(len(stretches)))
        self._connection.execute("DROP TABLE IF EXISTS temp.ordered")
        self._execute(
            f"CREATE TEMP TABLE ordered AS SELECT p.value {_RANGE} AND ({within}) ORDER BY p.value",
            **_bounds(stretches),
        )
        rows = self._connection.execute(
            "SELECT rowid, value FROM temp.ordered WHERE rowid IN (SELECT value FROM json_each(?))",
            (json.dumps(places),),
        ).fetchall()
        self._connection.execute("DROP TABLE temp.ordered")
        return rows


def _bounds(stretches: Sequence[_Stretch]) -> dict[str, float]:
    bounds = {f"low{at}": stretch.low for at, stretch in enumerate(stretches)}
    bounds.update({f"high{at}": stretch.high for at, stretch in enumerate(stretches)})
    return bounds
