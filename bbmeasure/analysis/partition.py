"""Candidate change points of a line, and the division into levels that fits it best."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from math import hypot, inf, sqrt

from bbmeasure.analysis import robust

#: Builds on each side of a split that are compared.
WINDOWS = (5, 8, 12, 20, 32, 50)
#: The least number of builds of a level.
LEAST_SIDE = 5
#: What the statistic of two windows must reach for a candidate; the tests after the division are stricter.
CANDIDATE = 5.0
#: Standardised rank sum of a candidate.
RANK_CANDIDATE = 4.5
#: Builds of one rank scan, which bounds its time: scans of a longer line overlap by half.
RANK_BLOCK = 400
#: Cost of one more level, in spreads.
LEVEL_COST = 12.0
#: Candidates before a candidate at which its level may begin, which bounds the time.
LOOK_BACK = 40


def statistic(left: tuple[float, float, int], right: tuple[float, float, int], noise: float) -> float:
    """Difference of two medians over its standard error; each side is its median, its spread and its size.

    |m1 - m2| / sqrt(1.57 (s1^2 / n1 + s2^2 / n2)): the variance of a median is pi / 2 sigma^2 / n.  A spread is at
    least ``noise``, that of the successive differences of the line.
    """
    (before, spread1, count1), (after, spread2, count2) = left, right
    spread1 = max(spread1, noise, robust.LEAST_SPREAD * abs(before))
    spread2 = max(spread2, noise, robust.LEAST_SPREAD * abs(after))
    error = sqrt(robust.MEDIAN_VARIANCE) * hypot(spread1 / sqrt(count1), spread2 / sqrt(count2))
    if error:
        return abs(after - before) / error
    return inf if after != before else 0.0


def candidates(values: Sequence[float], noise: float) -> list[int]:
    """Splits of a line that may be change points, in order, each with enough builds on both sides."""
    found = set(_window_maxima(values, noise))
    last = max(1, len(values) - RANK_BLOCK // 2)
    for begin in range(0, last, RANK_BLOCK // 2):
        found.update(_rank_splits(values, begin, min(len(values), begin + RANK_BLOCK)))
    return sorted(at for at in found if LEAST_SIDE <= at <= len(values) - LEAST_SIDE)


def _window_maxima(values: Sequence[float], noise: float) -> Iterable[int]:
    """Splits at which the statistic of two windows has a local maximum."""
    for width in WINDOWS:
        if len(values) < 2 * width:
            return
        sides = [(center, spread, width) for center, spread in robust.sliding_medians(values, width)]
        scores = [statistic(left, right, noise) for left, right in zip(sides, sides[width:])]
        near = max(2, width // 2)
        for split, score in enumerate(scores):
            if score >= CANDIDATE and score == max(scores[max(0, split - near) : split + near + 1]):
                yield split + width


def _rank_splits(values: Sequence[float], begin: int, end: int) -> Iterable[int]:
    """Splits of a part by the largest standardised rank sum, then of its halves.

    Pettitt 1979, "A non-parametric approach to the change-point problem": the rank sum of the first k of n values has
    mean k (n + 1) / 2 and variance k (n - k) (n + 1) / 12 where nothing changed.
    """
    parts = [(begin, end)]
    while parts:
        first, last = parts.pop()
        count = last - first
        if count < 2 * LEAST_SIDE:
            continue
        total, best, at = 0.0, 0.0, 0
        for size, rank in enumerate(_centered_ranks(values[first:last])[: count - LEAST_SIDE], 1):
            total += rank
            if size >= LEAST_SIDE:
                score = total * total / (size * (count - size))
                if score > best:
                    best, at = score, size
        if sqrt(best * 12.0 / (count + 1)) >= RANK_CANDIDATE:
            yield first + at
            parts += [(first, first + at), (first + at, last)]


def _centered_ranks(values: Sequence[float]) -> list[float]:
    """Rank of each value less the mean rank; equal values share one."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    first = 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and values[order[last + 1]] == values[order[first]]:
            last += 1
        for position in order[first : last + 1]:
            ranks[position] = 0.5 * (first + last) - 0.5 * (len(values) - 1)
        first = last + 1
    return ranks


def divide(values: Sequence[float], splits: Sequence[int], noise: float) -> list[int]:
    """Those of ``splits`` that together fit the line best.

    Dynamic programming over the sum of absolute deviations from each level's median, in units of ``noise``, plus
    ``LEVEL_COST`` a level.  A beginning is dropped once it costs more than the best division up to a split: Killick,
    Fearnhead and Eckley 2012, "Optimal detection of changepoints with a linear computational cost".
    """
    cuts = [0, *splits, len(values)]
    best = [0.0] + [inf] * (len(cuts) - 1)
    origin = [0] * len(cuts)
    alive = [0]
    for end in range(1, len(cuts)):
        costs = []
        for begin, deviation in _deviations(values, cuts, alive, end):
            cost = best[begin] + (deviation / noise if noise else inf if deviation else 0.0)
            costs.append((begin, cost))
            if cost + LEVEL_COST < best[end]:
                best[end], origin[end] = cost + LEVEL_COST, begin
        considered = {begin for begin, cost in costs if cost > best[end]}
        alive = [begin for begin in alive if begin not in considered][-LOOK_BACK:]
        alive.append(end)
    divided = []
    at = origin[-1]
    while at:
        divided.append(cuts[at])
        at = origin[at]
    return divided[::-1]


def _deviations(
    values: Sequence[float], cuts: Sequence[int], begins: Sequence[int], end: int
) -> Iterable[tuple[int, float]]:
    """Sum of absolute deviations from the median, from each of ``begins`` that leaves a level of enough builds."""
    ordered: list[float] = []
    first = cuts[end]
    for begin in reversed(begins):
        for position in range(cuts[begin], first):
            insort(ordered, values[position])
        first = cuts[begin]
        if len(ordered) >= LEAST_SIDE:
            half = len(ordered) >> 1
            yield begin, sum(ordered[len(ordered) - half :]) - sum(ordered[:half])
