"""Runs: successive values on one side of a baseline, and when they confirm a change of level.

Cumulative sum of deviations: Page 1954, "Continuous inspection schemes".  Each measurement adds its deviation in
spreads, at most ``UNUSUAL``, less the allowance.  A run is confirmed where the sum reaches the decision, which takes
five measurements at least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from bbmeasure.analysis import robust
from bbmeasure.analysis.baseline import UNUSUAL, Baseline, nearest

ALLOWANCE = 1.5
DECISION = 12.0
#: Chance that a confirmed run is drawn from the accepted values, where the line has several modes: at most this.
CHANCE = 1e-5


@dataclass(frozen=True)
class Build:
    """A build that is not accepted yet: its number, its value, and each of its measurements with its deviation."""

    number: int
    value: float
    samples: tuple[float, ...]
    deviations: tuple[float, ...] = ()


@dataclass
class Run:
    """Cumulative sum in one direction, and the position of the open build where it left zero."""

    sign: int
    score: float = 0.0
    first: Optional[int] = None

    def add(self, deviations: Sequence[float], position: int) -> None:
        """Add the deviations of one build."""
        for deviation in deviations:
            self.score = max(0.0, self.score + self._gain(deviation))
            if not self.score:
                self.first = None
            elif self.first is None:
                self.first = position

    def _gain(self, deviation: float) -> float:
        return min(self.sign * deviation, UNUSUAL) - ALLOWANCE

    def end(self) -> None:
        """Return to zero."""
        self.score, self.first = 0.0, None

    def confirmed(
        self, builds: Sequence[Build], levels: Sequence[Baseline], change: float
    ) -> Optional[tuple[Sequence[Build], Baseline]]:
        """The builds of a confirmed change of at least that fraction, and the level that they left.

        A run may begin with values that are hardly off: it is confirmed where one of its ends reaches the decision by
        itself, and the change lies where the values after it fit their median best beside the level before.
        """
        if self.first is None or self.score < DECISION:
            return None
        ends = [builds[first:] for first in range(self.first, len(builds))]
        for end in ends:
            samples = [sample for build in end for sample in build.samples]
            base = nearest(levels, robust.median(samples))
            if self._decides(end) and base.fit(samples, change) and base.chance(samples) <= CHANCE:
                break
        else:
            return None
        fits = [base.fit([sample for build in end for sample in build.samples], change) for end in ends]
        return ends[fits.index(max(fits))], base

    def _decides(self, builds: Sequence[Build]) -> bool:
        return sum(self._gain(deviation) for build in builds for deviation in build.deviations) >= DECISION
