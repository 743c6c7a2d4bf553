"""Percentiles and the median of many points, exactly, without sorting them all.

A random sample of the values gives two bounds that the wanted rank very likely lies between; one pass counts what is
below them, and only the values between are sorted (Floyd and Rivest, *Expected Time Bounds for Selection*, 1975).
Where the sample was an unlucky one, everything is sorted.  All of it runs inside of SQLite, which lets go of Python's
lock, so that the reactor is not held up.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Optional

from bbmeasure.storage.statistics import Statistic, percentile_rank

#: Up to so many values are sorted as they are.
SORTED = 20_000
_SAMPLE = 10_000
#: How far from the expected place in the sample the bounds are, in its items: some five standard deviations.
_MARGIN = 250

_RANGE = """FROM json_each(:streams) m CROSS JOIN points p
    ON p.stream = m.value AND p.time >= :since AND p.time < :until WHERE p.value IS NOT NULL"""


def percentiles(
    connection: sqlite3.Connection,
    streams: Sequence[int],
    since: int,
    until: int,
    count: int,
    wanted: Sequence[Statistic],
) -> dict[str, Optional[float]]:
    """The ``wanted`` percentiles (the median among them) of the ``count`` numbers in a range, by their names."""
    ranks = {one.name: _ranks(one, count) for one in wanted}
    values = _Values(connection, {"streams": json.dumps(list(streams)), "since": since, "until": until}, count)
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


class _Values:
    """The numbers of a range, to be asked for those of some ranks."""

    def __init__(self, connection: sqlite3.Connection, where: dict[str, object], count: int) -> None:
        self._connection = connection
        self._where = where
        self._count = count
        self._sample: list[float] = []

    def at(self, ranks: Sequence[int]) -> dict[int, float]:
        """The values of ``ranks``, which ascend."""
        if not ranks:
            return {}
        if self._count <= SORTED:
            values = sorted(value for (value,) in self._connection.execute(f"SELECT p.value {_RANGE}", self._where))
            return {rank: values[rank - 1] for rank in ranks}
        every = max(1, self._count // _SAMPLE)
        sampled = f"SELECT p.value {_RANGE} AND random() % {every} = 0"
        self._sample = sorted(value for (value,) in self._connection.execute(sampled, self._where))
        found: dict[int, float] = {}
        for rank in ranks:
            if rank not in found:
                found.update(self._near(rank, [other for other in ranks if other >= rank]))
        return found

    def _near(self, rank: int, ranks: Sequence[int]) -> dict[int, float]:
        """The value of ``rank``, and those of ``ranks`` that came to light with it."""
        place = rank * len(self._sample) // self._count
        low = self._sample[place - _MARGIN] if place >= _MARGIN else None
        high = self._sample[place + _MARGIN] if place + _MARGIN < len(self._sample) else None
        below = 0 if low is None else self._number_of("p.value < :low", low=low)
        if low is not None and low == high:
            same = self._number_of("p.value = :low", low=low)
            hit = {other: low for other in ranks if below < other <= below + same}
        else:
            hit = self._between(low, high, below, ranks)
        return hit if rank in hit else self._between(None, None, 0, ranks)

    def _number_of(self, condition: str, **given: float) -> int:
        counted = f"SELECT count(*) {_RANGE} AND {condition}"
        return int(self._connection.execute(counted, {**self._where, **given}).fetchone()[0])

    def _between(
        self, low: Optional[float], high: Optional[float], below: int, ranks: Sequence[int]
    ) -> dict[int, float]:
        """The values of those ``ranks`` that lie between the bounds, ``below`` being how many lie under ``low``."""
        bounds = "" if low is None else " AND p.value >= :low"
        bounds += "" if high is None else " AND p.value <= :high"
        self._connection.execute("DROP TABLE IF EXISTS temp.ordered")
        self._connection.execute(
            f"CREATE TEMP TABLE ordered AS SELECT p.value {_RANGE}{bounds} ORDER BY p.value",
            {**self._where, "low": low, "high": high},
        )
        rows = self._connection.execute(
            "SELECT rowid, value FROM temp.ordered WHERE rowid IN (SELECT value FROM json_each(?))",
            (json.dumps([rank - below for rank in ranks]),),
        ).fetchall()
        self._connection.execute("DROP TABLE temp.ordered")
        return {rowid + below: value for rowid, value in rows}
