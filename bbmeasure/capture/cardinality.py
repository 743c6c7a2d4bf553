"""SeriesLimits: how many series a builder may have, so that workers cannot fill a store with names."""

from __future__ import annotations

from typing import Any

from bbmeasure.errors import LimitError
from bbmeasure.model import Point
from bbmeasure.units import excerpt

#: The most series of one builder, and the most streams: series with different tags.
MAX_SERIES = 2_000
MAX_STREAMS = 20_000
#: Seconds after which both are counted from zero.
PERIOD = 86_400.0


class SeriesLimits:
    """Limits the number of series and streams that each builder has in a day."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._streams: dict[str, set[int]] = {}
        self._series: dict[str, set[str]] = {}
        self._since = clock.seconds()

    def check(self, point: Point) -> None:
        """LimitError for a point of a new series or stream over the limit of its builder."""
        now = self._clock.seconds()
        if not 0 <= now - self._since < PERIOD:
            self._streams.clear()
            self._series.clear()
            self._since = now
        builder = point.builder or ""
        streams = self._streams.setdefault(builder, set())
        stream = hash((point.series, frozenset(point.tags.items())))  # small, whatever a worker sends
        if stream in streams:
            return
        names = self._series.setdefault(builder, set())
        if point.series not in names and len(names) >= MAX_SERIES:
            raise LimitError(f"series {excerpt(point.series)}: expected at most {MAX_SERIES} series of one builder")
        if len(streams) >= MAX_STREAMS:
            raise LimitError(f"series {excerpt(point.series)}: expected at most {MAX_STREAMS} series with their tags")
        names.add(point.series)
        streams.add(stream)
