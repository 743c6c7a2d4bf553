"""Memory: the newest points of a master without an InfluxDBInstance, and the statistics of them."""

from __future__ import division, unicode_literals

import math
from collections import OrderedDict, deque

from bbmeasure_eight.records import median

#: The most series, and the most points of one series.
MOST_SERIES = 1000
MOST_POINTS = 1000


class Memory(object):
    """Points by series; the series that got no point for longest is dropped first."""

    def __init__(self):
        self._series = OrderedDict()

    def add(self, point):
        """Keep a point."""
        points = self._series.pop(point.series, None)
        self._series[point.series] = points = deque(maxlen=MOST_POINTS) if points is None else points
        points.append(point)
        if len(self._series) > MOST_SERIES:
            self._series.popitem(last=False)

    def take(self):
        """All points, which are then no longer kept."""
        taken = [point for points in self._series.values() for point in points]
        self._series.clear()
        return taken

    def values(self, selection):
        """The values that a Selection selects, in the order of their times."""
        points = [point for point in self._series.get(selection.series, ()) if selection.matches(point)]
        return [point.value for point in sorted(points, key=lambda point: point.time)]


def _deviation(values):
    """The deviation of a sample; None of fewer than two values."""
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def percentile(values, percent):
    """The item at floor(n * p / 100 + .5) of the sorted values, as InfluxDB counts; None where there is none."""
    at = int(math.floor(len(values) * percent / 100 + 0.5)) - 1
    return sorted(values)[at] if 0 <= at < len(values) else None


#: The statistics of values ordered by time, by their names in InfluxQL.
STATISTICS = {
    "mean": lambda values: math.fsum(values) / len(values),
    "stddev": _deviation,
    "min": min,
    "max": max,
    "median": median,
    "count": lambda values: float(len(values)),
    "sum": math.fsum,
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
}
