"""Statistics, compared with Python's own module, and at the limits of floats."""

from __future__ import annotations

import math
import random
import statistics as python

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmeasure import statistics
from bbmeasure.errors import QueryError
from bbmeasure.statistics import Moments

_VALUES = st.lists(st.floats(min_value=-1e9, max_value=1e9), min_size=1, max_size=60)
_HUGE = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20)


def _compute(name, values):
    return statistics.find(name).function(values)


@given(_VALUES)
def test_agrees_with_python(values):
    """Average, median, minimum, maximum, sum, count, first and last equal those of Python."""
    assert _compute("average", values) == pytest.approx(python.fmean(values), rel=1e-12, abs=1e-6)
    assert _compute("median", values) == pytest.approx(python.median(values), rel=1e-15, abs=1e-300)
    assert _compute("minimum", values) == min(values)
    assert _compute("maximum", values) == max(values)
    assert _compute("sum", values) == math.fsum(values)
    assert _compute("count", values) == len(values)
    assert (_compute("first", values), _compute("last", values)) == (values[0], values[-1])


@given(_VALUES)
def test_the_deviation_is_that_of_a_sample(values):
    """Deviation divides by n - 1, as Python's stdev does, and is None for one value."""
    if len(values) == 1:
        assert _compute("deviation", values) is None
    else:
        assert _compute("deviation", values) == pytest.approx(python.stdev(values), rel=1e-9, abs=1e-5)


@pytest.mark.parametrize(
    "name", ["average", "deviation", "minimum", "maximum", "median", "sum", "first", "last", "p95"]
)
def test_statistics_of_no_values(name):
    """Every statistic is None, except the count, which is 0."""
    assert _compute(name, []) is None
    assert _compute("count", []) == 0


@pytest.mark.parametrize("pieces", [1, 2, 1000])
def test_a_small_noise_on_a_large_offset_keeps_its_deviation(pieces):
    """The deviation of 1e9 plus a small noise is exact for any partition into moments."""
    noise = random.Random(5)
    values = [1e9 + noise.gauss(0, 0.01) for _ in range(2000)]
    moments = Moments()
    for start in range(0, len(values), len(values) // pieces):
        moments = moments.merge(Moments.of(values[start : start + len(values) // pieces]))
    assert moments.count == len(values)
    assert moments.deviation == pytest.approx(python.stdev(values), rel=1e-4)
    assert moments.mean == pytest.approx(python.fmean(values), rel=1e-15)


@given(_VALUES, _VALUES)
def test_moments_merge(one, other):
    """Merged moments are those of all values, in either order; empty moments are neutral."""
    whole, merged = Moments.of(one + other), Moments.of(one).merge(Moments.of(other))
    assert (merged.count, merged.minimum, merged.maximum) == (whole.count, whole.minimum, whole.maximum)
    assert merged.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-5)
    assert merged.m2 == pytest.approx(whole.m2, rel=1e-9, abs=1e-3)
    assert Moments.of(one).merge(Moments()) == Moments().merge(Moments.of(one)) == Moments.of(one)


@given(_HUGE)
def test_a_value_added_to_moments_is_merged(values):
    """Adding a value equals merging the moments of that value, also where a sum overflows."""
    added = merged = Moments()
    for value in values:
        added, merged = added.add(value), merged.merge(Moments(1, value, 0.0, value, value))
    assert added == merged


@given(_VALUES)
def test_moments_equal_the_functions(values):
    """Moments and the function of a statistic return the same."""
    moments = Moments.of(values)
    for statistic in statistics.STATISTICS.values():
        if statistics.needs_only_moments(statistic):
            expected = statistic.function(values)
            got = moments.answer(statistic)
            assert got is expected is None or got == pytest.approx(expected, rel=1e-9, abs=1e-5)


def test_moments_do_not_determine_every_statistic():
    """Other statistics raise a QueryError that lists those that moments determine."""
    for name in ("median", "first", "last", "p95"):
        assert not statistics.needs_only_moments(statistics.find(name))
        with pytest.raises(QueryError, match="expected one of average, deviation"):
            Moments().answer(statistics.find(name))
    assert Moments().answer(statistics.find("average")) is None
    assert Moments().answer(statistics.find("count")) == 0


@given(_HUGE, _HUGE)
def test_values_at_the_limits_of_floats_raise_nothing(one, other):
    """Values near 1e308 are valid: no statistic of them raises or is NaN; an overflow is None."""
    merged = Moments.of(one).merge(Moments.of(other))
    assert not any(math.isnan(value) for value in (merged.mean, merged.m2))
    for name in [*statistics.STATISTICS, "p50"]:
        statistic = statistics.find(name)
        answers = [statistic.function(one + other)]
        if statistics.needs_only_moments(statistic):
            answers.append(merged.answer(statistic))
        assert all(answer is None or math.isfinite(answer) for answer in answers)


def test_an_overflow_is_none():
    """Two values of 1.7e308 have a median, but no finite sum, average and deviation."""
    values = [1.7e308, 1.7e308]
    assert [_compute(name, values) for name in ("sum", "average", "median")] == [None, None, 1.7e308]
    assert _compute("deviation", [1e200, -1e200]) is None
    assert Moments.of(values).answer(statistics.find("sum")) is None


@pytest.mark.parametrize(
    ("count", "percent", "rank"),
    [(10, 0, None), (10, 4, None), (10, 5, 1), (10, 50, 5), (10, 95, 10), (10, 100, 10), (1, 49, None), (1, 50, 1)],
)
def test_a_percentile_is_the_nearest_rank(count, percent, rank):
    """The percentile is the item at floor(n*p/100 + .5) of the sorted values, None if that is 0."""
    values = list(range(count, 0, -1))
    assert statistics.percentile_rank(count, percent) == rank
    assert statistics.percentile(percent).function(values) == rank


@pytest.mark.parametrize(
    ("name", "percent"), [("p95", 95), ("p99.9", 99.9), ("p0", 0), ("p100", 100), ("p99.99999", 99.99999), ("p.5", 0.5)]
)
def test_a_percentile_by_its_name(name, percent):
    """The name of a percentile is p and a number, of which it keeps every digit."""
    found = statistics.find(name)
    assert found.percentile == percent
    assert float(found.name[1:]) == percent
    assert found.is_percentile
    assert statistics.find(found.name).name == found.name


@pytest.mark.parametrize(
    "name", ["", "mean", "p", "p.", "p101", "p-1", "p1e1", "p\u0665", "p1.2.3", "p" + "9" * 50, "AVERAGE"]
)
def test_an_unknown_statistic_is_refused(name):
    """An unknown name raises a QueryError that lists the known ones."""
    with pytest.raises(QueryError, match="expected"):
        statistics.find(name)


@pytest.mark.parametrize("percent", [-0.1, 100.1, math.nan, math.inf, True, "95", None])
def test_a_percentile_is_a_number_from_0_to_100(percent):
    """Anything else raises QueryError."""
    with pytest.raises(QueryError, match="from 0 to 100"):
        statistics.percentile(percent)


def test_find_all_removes_duplicates():
    """The order is kept."""
    assert [found.name for found in statistics.find_all(["p95", "average", "p95"])] == ["p95", "average"]
