"""Baseline: the accepted values of a line, their level, and what is usual for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf, sqrt
from typing import Any, Optional

from bbmeasure.analysis import robust

#: Accepted values that a baseline needs; fewer after a confirmed change.
NEEDED = 10
NEEDED_AFTER_CHANGE = 5
#: A line is exact where so many of its newest accepted values are equal.
EXACT_VALUES = 10
#: Spreads off the level at which a value is unusual.
UNUSUAL = 4.0
#: Dominance of one full baseline over another between which a line has drifted.
DRIFT_DOMINANCE = 0.8
#: A baseline of fewer values says little about how often the line has others.
FEW = 20
#: Magnitude of a value, where the level has one of about 1, above which only the sign matters.
MOST = 1e300


class Baseline:
    """The newest accepted values of one level of a line.

    The level is their median m, the spread s = max(1.4826 c(n) MAD, spread of successive differences, 1e-4 |m|)
    sqrt(1 + 1.57 / n): the last factor is the error of m itself (variance of a median, pi / 2 sigma^2 / n).
    """

    def __init__(self, values: Iterable[float] = (), *, needed: int = NEEDED, history: int = 40) -> None:
        self.needed = needed
        self.history = history
        self.values = list(values)[-history:]
        self._summary: Optional[tuple[int, float, float]] = None

    def copy(self) -> Baseline:
        """An independent baseline of the same values."""
        other = Baseline(self.values, needed=self.needed, history=self.history)
        other._summary = self._summary
        return other

    def to_dict(self) -> dict[str, Any]:
        """The values as data that JSON can hold."""
        return {"values": list(self.values), "needed": self.needed}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any], history: int) -> Baseline:
        """The baseline of that state."""
        return cls(state["values"], needed=state["needed"], history=history)

    def extend(self, values: Iterable[float]) -> None:
        """Accept ``values``; the oldest leave where there are more than ``history``."""
        self.values = [*self.values, *values][-self.history :]
        self._summary = None

    @property
    def ready(self) -> bool:
        """Whether there are enough values to judge by."""
        return len(self.values) >= self.needed

    def exact(self, change: float) -> bool:
        """Whether the newest accepted values are equal, and none is off by that fraction: another value is a change."""
        newest = self.values[-EXACT_VALUES:]
        if len(newest) < EXACT_VALUES or newest.count(newest[0]) < EXACT_VALUES:
            return False
        return not any(value != newest[0] and self.off(value, change) for value in self.values)

    def _summarize(self) -> tuple[int, float, float]:
        """Power of two that the values are scaled by, and their level and spread at that scale."""
        if self._summary is None:
            power = robust.exponent(self.values)
            values = [robust.scaled(value, power) for value in self.values]
            ordered = sorted(values)
            level = robust.middle(ordered)
            sigma = max(
                robust.mad_sigma(ordered, level),
                robust.difference_sigma(values),
                robust.LEAST_SPREAD * abs(level),
            )
            self._summary = power, level, sigma * sqrt(1.0 + robust.MEDIAN_VARIANCE / len(values))
        return self._summary

    @property
    def level(self) -> float:
        """Median of the accepted values."""
        power, level, _ = self._summarize()
        return robust.finite(level, -power)

    def deviation(self, value: float) -> float:
        """The distance of ``value`` above the level, in spreads; infinite where the line has no spread."""
        power, level, spread = self._summarize()
        difference = robust.scaled(value, power) - level
        if spread:
            return difference / spread
        return inf * difference if difference else 0.0

    def usual(self, change: float) -> tuple[float, float]:
        """Least and largest usual value, where a change below that fraction is usual too."""
        power, level, spread = self._summarize()
        width = max(UNUSUAL * spread, change * abs(level))
        return robust.finite(level - width, -power), robust.finite(level + width, -power)

    def off(self, value: float, change: float) -> bool:
        """Whether ``value`` differs from the level by at least that fraction of the smaller of both.

        So a change and its return count alike.
        """
        power, level, _ = self._summarize()
        off = robust.scaled(value, power)
        difference = abs(off - level)
        return difference > 0.0 and difference >= change * min(abs(level), abs(off))

    def fit(self, values: Sequence[float], change: float) -> float:
        """The sum by which ``values`` are closer to their median than to this level, in spreads of the level.

        0 where their median is off by less than that fraction of the level.
        """
        power, level, spread = self._summarize()
        if not self.off(robust.median(values), change):
            return 0.0
        if not spread:
            return inf
        scaled = [max(-MOST, min(MOST, robust.scaled(value, power))) for value in values]
        center = robust.median(scaled)
        return sum(abs(value - level) - abs(value - center) for value in scaled) / spread

    def share(self, value: float) -> float:
        """Share of the accepted values that are off like ``value``: a line with two modes often has such values."""
        return self._known(value) / len(self.values)

    def chance(self, values: Sequence[float]) -> float:
        """Chance that so many of ``values`` are as far off as they are, drawn from the accepted values.

        Of few accepted values the share is uncertain; Laplace's rule of succession estimates it.
        """
        center = robust.median(values)
        power, level, _ = self._summarize()
        off = robust.count_most_of_the_way(
            [robust.scaled(value, power) for value in values], level, robust.scaled(center, power)
        )
        known, count = self._known(center), len(self.values)
        share = (known + 1) / (count + 2) if count < FEW else known / count
        return robust.chance(off, len(values), share)

    def _known(self, center: float) -> int:
        """The number of accepted values that lie most of the way to ``center``."""
        power, level, _ = self._summarize()
        accepted = [robust.scaled(value, power) for value in self.values]
        return robust.count_most_of_the_way(accepted, level, robust.scaled(center, power))

    def drifted(self, now: Baseline, change: float) -> bool:
        """Whether the level ``now`` is off by that fraction, unusual for both, and few values of both overlap."""
        level = now.level
        if not self.off(level, change) or min(abs(self.deviation(level)), abs(now.deviation(self.level))) < UNUSUAL:
            return False
        return abs(robust.dominance(sorted(self.values), sorted(now.values))) >= DRIFT_DOMINANCE


def nearest(levels: Sequence[Baseline], value: float) -> Baseline:
    """The level that ``value`` deviates least from."""
    return levels[0] if len(levels) == 1 else min(levels, key=lambda level: abs(level.deviation(value)))
