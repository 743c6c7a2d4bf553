"""Robust statistics of numbers: medians, spreads, and medians over a window that slides.

Every function works on values that :func:`scaled` brought near one, so that no difference, square or product of the
largest or smallest floats overflows or vanishes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from math import comb, copysign, frexp, inf, isfinite, ldexp, sqrt
from sys import float_info
from typing import Optional

#: Standard deviation of normal noise over its median absolute deviation: 1 / Phi^-1(3/4).
MAD_TO_SIGMA = 1.4826
#: Variance of the median of n normal values, over that of one value and times n: pi / 2 for large n.
MEDIAN_VARIANCE = 1.5708
#: The least spread that is assumed, as a fraction of the level: what is closer is the same value.
LEAST_SPREAD = 1e-4
#: A value belongs to a mode of a line where it lies this far on the way from the level to it.
MODE_REACH = 0.7

# Small-sample factors of the median absolute deviation of n values: Croux and Rousseeuw 1992, "Time-efficient
# algorithms for two highly robust estimators of scale", their b_n; n / (n - 0.8) above 9.
_MAD_FACTORS = (1.0, 1.0, 1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107)


def exponent(values: Iterable[float]) -> int:
    """The power of two that brings the largest magnitude of ``values`` between 0.5 and 1; 0 where all are zero."""
    return -frexp(max(map(abs, values), default=0.0))[1]


def scaled(value: float, power: int) -> float:
    """``value`` times two to ``power``, infinite where it is too large for a float."""
    try:
        return ldexp(value, power)
    except OverflowError:
        return copysign(inf, value)


def finite(value: float, power: int) -> float:
    """``value`` times two to ``power``, the largest float where it is too large for one."""
    big = scaled(value, power)
    return big if isfinite(big) else copysign(float_info.max, big)


def fraction(value: float, base: float) -> Optional[float]:
    """Change from ``base`` to ``value`` as a fraction of ``base``; None where it is not a finite number."""
    if not base:
        return None
    power = exponent((value, base))
    small, unit = ldexp(value, power), ldexp(base, power)
    if not unit:
        return None
    change = (small - unit) / abs(unit)
    return change if isfinite(change) else None


def middle(ordered: Sequence[float]) -> float:
    """Median of values that are sorted and not empty."""
    half = len(ordered) >> 1
    return ordered[half] if len(ordered) & 1 else 0.5 * ordered[half - 1] + 0.5 * ordered[half]


def median(values: Iterable[float]) -> float:
    """Median of values that are not empty."""
    return middle(sorted(values))


def mad_factor(count: int) -> float:
    """Small-sample factor of the median absolute deviation of ``count`` values."""
    return _MAD_FACTORS[count] if count < len(_MAD_FACTORS) else count / (count - 0.8)


def mad_sigma(ordered: Sequence[float], center: float) -> float:
    """Standard deviation by the median absolute deviation of sorted values from ``center``, their median."""
    deviations = sorted([abs(value - center) for value in ordered])
    return MAD_TO_SIGMA * mad_factor(len(ordered)) * middle(deviations)


def difference_sigma(values: Sequence[float]) -> float:
    """Standard deviation by the median absolute difference of successive values; 0 where there is none.

    Steps and slow drift do not enlarge it: von Neumann 1941, "Distribution of the ratio of the mean square successive
    difference to the variance", with the median in place of the mean.
    """
    differences = sorted([abs(after - before) for before, after in zip(values, values[1:])])
    return MAD_TO_SIGMA / sqrt(2.0) * middle(differences) if differences else 0.0


def dominance(left: Sequence[float], right: Sequence[float]) -> float:
    """Share of pairs of sorted values that rise from ``left`` to ``right``, less the share that fall.

    Cliff 1993, "Dominance statistics: ordinal analyses to answer ordinal questions".
    """
    size = len(right)
    pairs = sum(size - bisect_right(right, value) - bisect_left(right, value) for value in left)
    return pairs / (len(left) * size)


def count_most_of_the_way(values: Sequence[float], level: float, center: float) -> int:
    """The number of ``values`` that lie most of the way from ``level`` to ``center``, or beyond it."""
    edge = level + MODE_REACH * (center - level)
    return sum(value >= edge if center > level else value <= edge for value in values)


def chance(least: int, count: int, share: float) -> float:
    """Chance that at least so many of ``count`` independent values are of a kind that has that share of all values.

    Upper tail of the binomial distribution.
    """
    tail = (comb(count, k) * share**k * (1.0 - share) ** (count - k) for k in range(least, count + 1))
    return min(1.0, sum(tail))


def sliding_medians(values: Sequence[float], width: int) -> Iterator[tuple[float, float]]:
    """Median and :func:`mad_sigma` of each ``width`` successive values.

    The window stays sorted: a step removes one value and inserts one.
    """
    window = sorted(values[:width])
    for leaving in range(len(values) - width + 1):
        center = middle(window)
        yield center, mad_sigma(window, center)
        if leaving + width < len(values):
            del window[bisect_left(window, values[leaving])]
            insort(window, values[leaving + width])
