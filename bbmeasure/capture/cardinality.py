"""How many series a builder may have, so that what workers send cannot fill a store with names."""

from __future__ import annotations

from typing import Any

from bbmeasure.errors import LimitError
from bbmeasure.model import Point
from bbmeasure.units import excerpt

#: Limits of one builder: series, and series with their tags told apart.
MOST_SERIES = 2_000
MOST_STREAMS = 20_000
#: Seconds after which these are counted anew.
LIMITS_FOR = 86_400.0


class Limits:
    """Counts the series of each builder for a day at a time."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._streams: dict[str, set[int]] = {}
        self._series: dict[str, set[str]] = {}
        self._since = clock.seconds()

    def check(self, point: Point) -> None:
        """LimitError where the builder would have too many series of a day, or too many tags in them."""
        now = self._clock.seconds()
        if not 0 <= now - self._since < LIMITS_FOR:
            self._streams.clear()
            self._series.clear()
            self._since = now
        builder = point.builder or ""
        streams = self._streams.setdefault(builder, set())
        stream = hash((point.series, frozenset(point.tags.items())))  # what a worker may send is not kept as it is
        if stream in streams:
            return
        names = self._series.setdefault(builder, set())
        if point.series not in names and len(names) >= MOST_SERIES:
            raise LimitError(f"series {excerpt(point.series)}: expected at most {MOST_SERIES} series of one builder")
        if len(streams) >= MOST_STREAMS:
            raise LimitError(f"series {excerpt(point.series)}: expected at most {MOST_STREAMS} series with their tags")
        names.add(point.series)
        streams.add(stream)
