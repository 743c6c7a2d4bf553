"""Robust statistics against what they estimate, and changes that floats cannot hold."""

from __future__ import annotations

import random
import statistics

import pytest

from bbmeasure.analysis import robust


def test_median():
    """The median is that of Python's own module."""
    for count in range(1, 12):
        values = [float((7 * index) % 11) for index in range(count)]
        assert robust.median(values) == statistics.median(values)


@pytest.mark.parametrize("count", [3, 5, 7, 9, 12, 40])
def test_small_samples(count):
    """The median absolute deviation of few normal values is their standard deviation on average."""
    rng = random.Random(count)
    found = []
    for _ in range(4_000):
        ordered = sorted(rng.gauss(0, 3) for _ in range(count))
        found.append(robust.mad_sigma(ordered, robust.middle(ordered)))
    assert statistics.fmean(found) == pytest.approx(3, rel=0.05)


def test_differences():
    """The spread of successive differences is that of the noise, with steps and drift in the line."""
    rng = random.Random(1)
    values = [rng.gauss(0, 3) + 0.01 * index + 50 * (index // 1_000) for index in range(4_000)]
    assert robust.difference_sigma(values) == pytest.approx(3, rel=0.05)
    assert robust.difference_sigma([1.0]) == 0.0


@pytest.mark.parametrize(
    ("value", "base", "expected"),
    [
        (110.0, 100.0, 0.1),
        (-110.0, -100.0, -0.1),
        (5.0, 0.0, None),
        (1e308, 5e-324, None),
        (-1e308, 1e308, -2.0),
        (5e-324, 1e308, -1.0),
        (1e-323, 5e-324, 1.0),
        (0.0, 5e-324, -1.0),
    ],
)
def test_fraction(value, base, expected):
    """A change is a fraction of its base, None where no float can hold it."""
    assert robust.fraction(value, base) == (None if expected is None else pytest.approx(expected))
