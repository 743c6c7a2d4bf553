"""Statistics of a series: the definition of each, and its name in InfluxQL.

A store that has no faster implementation of its own calls the function of the statistic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable, Dict, Iterable, List, Optional, Sequence, Tuple, Union

from bbmeasure.errors import QueryError
from bbmeasure.units import excerpt

Value = Union[float, str]


@dataclass(frozen=True)
class Statistic:
    """A statistic.  ``percentile`` (0 to 100) is set for percentiles only; ``of_text`` if it exists for texts."""

    name: str
    function: Callable[[Sequence[float]], Optional[float]]
    influxql: str
    percentile: Optional[float] = None
    of_text: bool = False

    @property
    def is_percentile(self) -> bool:
        """Whether it needs the sorted values, as percentiles and the median do."""
        return self.percentile is not None or self.name == "median"


@dataclass(frozen=True)
class Moments:
    """Count, mean, sum of squared differences from the mean (M2), minimum and maximum of some values.

    The moments of two sets of values merge into those of their union without cancellation, as for values near 1e9
    with a small noise: Chan, Golub, LeVeque, *Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances*, 1979.  An overflow (values near 1e308 are valid) is infinite inside and None in an answer; it never
    raises and never yields NaN.
    """

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf

    @classmethod
    def of(cls, values: Iterable[float]) -> Moments:
        """The moments of ``values``, in two passes."""
        numbers = list(values)
        if not numbers:
            return cls()
        mean = _sum(numbers) / len(numbers)
        m2 = _sum((value - mean) * (value - mean) for value in numbers)
        return cls(len(numbers), mean, m2, min(numbers), max(numbers))

    def add(self, value: float) -> Moments:
        """The moments with one more value, as if merged."""
        if not self.count:
            return Moments(1, value, 0.0, value, value)
        count = self.count + 1
        delta = value - self.mean
        return Moments(
            count,
            _no_nan(self.mean + delta / count),
            _no_nan(self.m2 + delta * delta * self.count / count),
            value if value < self.minimum else self.minimum,
            value if value > self.maximum else self.maximum,
        )

    def merge(self, other: Moments) -> Moments:
        """The moments of the union of both sets of values."""
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        delta = other.mean - self.mean
        return Moments(
            count,
            _no_nan(self.mean + delta * other.count / count),
            _no_nan(self.m2 + other.m2 + delta * delta * self.count * other.count / count),
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
        )

    @property
    def deviation(self) -> Optional[float]:
        """The sample standard deviation (n - 1); None for fewer than two values."""
        return _finite(math.sqrt(max(0.0, self.m2) / (self.count - 1))) if self.count > 1 else None

    def answer(self, statistic: Statistic) -> Optional[float]:
        """The value of ``statistic``; QueryError if the moments do not determine it."""
        if statistic.name == "count":
            return float(self.count)
        if statistic.name == "deviation":
            return self.deviation
        if statistic.name not in _MOMENT_STATISTICS:
            raise QueryError(f"{statistic.name}: expected one of {', '.join(_MOMENT_STATISTICS)}")
        if not self.count:
            return None
        if statistic.name == "sum":
            return _finite(self.mean * self.count)
        return _finite({"average": self.mean, "minimum": self.minimum, "maximum": self.maximum}[statistic.name])


_MOMENT_STATISTICS = ("average", "deviation", "minimum", "maximum", "count", "sum")


def needs_only_moments(statistic: Statistic) -> bool:
    """Whether :meth:`Moments.answer` computes it."""
    return statistic.name in _MOMENT_STATISTICS


def _sum(values: Iterable[float]) -> float:
    """The correctly rounded sum; infinite on overflow."""
    try:
        return _no_nan(math.fsum(values))
    except (OverflowError, ValueError):  # an overflow, or infinities of both signs
        return math.inf


def _no_nan(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _finite(value: float) -> Optional[float]:
    return value if math.isfinite(value) else None


def average(values: Sequence[float]) -> Optional[float]:
    """The arithmetic mean; None for no values."""
    return _finite(_sum(values) / len(values)) if values else None


def deviation(values: Sequence[float]) -> Optional[float]:
    """The sample standard deviation (n - 1); None for fewer than two values."""
    return Moments.of(values).deviation


def median(values: Sequence[float]) -> Optional[float]:
    """The middle value, or the mean of the two middle ones; None for no values."""
    if not values:
        return None
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else ordered[half - 1] / 2 + ordered[half] / 2


def percentile_rank(count: int, percentile: float) -> Optional[int]:
    """The rank, from 1, of a percentile among ``count`` sorted values: floor(n*p/100 + .5).

    This is the nearest rank of InfluxDB's ``percentile()``; None if it is 0.
    """
    return min(count, int(math.floor(count * percentile / 100.0 + 0.5))) or None


def percentile_of(values: Sequence[float], percentile: float) -> Optional[float]:
    """The item at floor(n*p/100 + .5) of the sorted values; None if that is 0."""
    rank = percentile_rank(len(values), percentile)
    return sorted(values)[rank - 1] if rank else None


def _statistics() -> Dict[str, Statistic]:
    all_statistics: List[Statistic] = [
        Statistic("average", average, "mean"),
        Statistic("deviation", deviation, "stddev"),
        Statistic("minimum", lambda values: min(values, default=None), "min"),
        Statistic("maximum", lambda values: max(values, default=None), "max"),
        Statistic("median", median, "median"),
        Statistic("count", lambda values: float(len(values)), "count", of_text=True),
        Statistic("sum", lambda values: _finite(_sum(values)) if values else None, "sum"),
        Statistic("first", lambda values: values[0] if values else None, "first", of_text=True),
        Statistic("last", lambda values: values[-1] if values else None, "last", of_text=True),
    ]
    return {statistic.name: statistic for statistic in all_statistics}


STATISTICS = _statistics()


def percentile(p: float) -> Statistic:
    """The percentile ``p``, 0 to 100; QueryError for another number."""
    if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0 <= p <= 100:
        raise QueryError(f"percentile {excerpt(str(p))}: expected a number from 0 to 100")
    name = f"p{p:.10f}".rstrip("0").rstrip(".")
    return Statistic(name, lambda values: percentile_of(values, p), "percentile", percentile=float(p))


def find(name: str) -> Statistic:
    """The statistic called ``name``, such as ``average`` or ``p99.9``; QueryError if there is none."""
    if name in STATISTICS:
        return STATISTICS[name]
    if name[:1] == "p" and name[1:].replace(".", "", 1).isdigit() and len(name) <= 12 and name.isascii():
        return percentile(float(name[1:]))
    raise QueryError(f"statistic {excerpt(name)}: expected one of {', '.join(STATISTICS)} or p0 to p100")


def find_all(names: Iterable[str]) -> Tuple[Statistic, ...]:
    """The statistics with those names, in that order and without duplicates."""
    return tuple({name: find(name) for name in names}.values())
