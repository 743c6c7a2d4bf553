"""What holds for any line: scale, sign, shift, order, and floats of any size."""

from __future__ import annotations

import itertools
import json
import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmeasure.analysis import ShiftDetector, State, change_points, partition, robust, verdicts

ANY_FLOAT = st.floats(allow_nan=False, allow_infinity=False)
EXTREME = st.sampled_from([1e308, -1e308, 1.7976931348623157e308, 5e-324, -5e-324, 0.0, 1.0, 1e-300, 2.0**53])
ANY_LINE = st.lists(st.one_of(ANY_FLOAT, EXTREME), max_size=120)


@st.composite
def lines(draw):
    """Whole numbers with steps, as a line has them: sums and halves of them are exact in any order."""
    levels = draw(st.lists(st.tuples(st.integers(-400, 400), st.integers(1, 40)), min_size=1, max_size=5))
    noise = draw(st.integers(0, 20))
    values = []
    for level, length in levels:
        offsets = draw(st.lists(st.integers(-noise, noise), min_size=length, max_size=length))
        values += [float(level + offset) for offset in offsets]
    return values


@given(lines(), st.integers(-60, 60))
def test_scale(values, power):
    """Values in another unit have the same verdicts and the same change points."""
    factor = 2.0**power
    scaled = [value * factor for value in values]
    for verdict, other in zip(verdicts(values, better="lower"), verdicts(scaled, better="lower")):
        assert (other.state, other.rule, other.since, other.change) == (
            verdict.state,
            verdict.rule,
            verdict.since,
            verdict.change,
        )
    found = change_points(values)
    assert [(one.index, one.change, one.score) for one in change_points(scaled)] == [
        (one.index, one.change, one.score) for one in found
    ]
    assert [one.after for one in change_points(scaled)] == [one.after * factor for one in found]


@given(lines())
def test_sign(values):
    """Values of the other sign are better where these are worse."""
    exchanged = {State.WORSE: State.BETTER, State.BETTER: State.WORSE}
    negative = [-value for value in values]
    for verdict, other in zip(verdicts(values, better="lower"), verdicts(negative, better="lower")):
        assert other.state == exchanged.get(verdict.state, verdict.state)
        assert (other.rule, other.since) == (verdict.rule, verdict.since)
    assert [one.index for one in change_points(negative)] == [one.index for one in change_points(values)]


@given(lines(), st.integers(-(10**6), 10**6))
def test_shift(values, offset):
    """The bare statistics do not depend on where zero is."""
    moved = [value + offset for value in values]
    assert robust.difference_sigma(moved) == robust.difference_sigma(values)
    for width in (1, 5, 8):
        pairs = zip(robust.sliding_medians(values, width), robust.sliding_medians(moved, width))
        for (center, spread), (other, other_spread) in pairs:
            assert (other, other_spread) == (center + offset, spread)
    if values:
        ordered = sorted(moved)
        assert robust.mad_sigma(ordered, robust.middle(ordered)) == robust.mad_sigma(
            sorted(values), robust.median(values)
        )
    noise = 10.0**4  # above the least spread of either, which alone depends on the level
    left, right = (3.0, 2.0, 8), (9.0, 4.0, 12)
    expected = partition.statistic(left, right, noise)
    assert partition.statistic((3.0 + offset, 2.0, 8), (9.0 + offset, 4.0, 12), noise) == pytest.approx(expected)


@given(lines(), st.integers(0, 150))
def test_prefix(values, count):
    """A verdict does not depend on what comes after it."""
    assert verdicts(values[:count], better="lower") == verdicts(values, better="lower")[:count]


@given(st.one_of(lines(), ANY_LINE))
def test_one_by_one(values):
    """A detector that is kept as JSON between builds has the verdicts of the whole line."""
    detector = ShiftDetector(better="higher", kind="duration", maximum_increase=0.1, limit=300)
    judged = []
    for value in values:
        judged.append(detector.add(value))
        detector = ShiftDetector.from_dict(json.loads(json.dumps(detector.to_dict())))
    assert judged == verdicts(values, better="higher", kind="duration", maximum_increase=0.1, limit=300)


@given(ANY_LINE)
def test_any_floats(values):
    """Every finite float is judged; no number of a verdict or a change is infinite or none."""
    judged = verdicts(values, better="lower", maximum_increase=0.1, maximum_decrease=0.1)
    assert len(judged) == len(values)
    for verdict in judged:
        for number in (verdict.baseline, verdict.low, verdict.high, verdict.change, verdict.after):
            assert number is None or math.isfinite(number)
    indices = []
    for change in change_points(values):
        indices.append(change.index)
        assert math.isfinite(change.before)
        assert math.isfinite(change.after)
        assert change.change is None or math.isfinite(change.change)
        assert math.isfinite(change.score)
    assert indices == sorted(set(indices))
    assert all(5 <= index <= len(values) - 5 for index in indices)


@given(ANY_LINE, ANY_FLOAT)
def test_any_proposal(values, value):
    """Every finite float is judged as a proposal, and an accepted or ignored level takes any value."""
    detector = ShiftDetector(better="lower")
    detector.replay(values)
    detector.propose(value, samples=[value, 0.0, 1e308], alert_open=True)
    detector.ignore()
    detector.add(value)
    detector.accept()
    detector.add(value)
    assert json.loads(json.dumps(detector.to_dict(), allow_nan=False))["version"] == 1


@given(ANY_LINE)
def test_state_is_bounded(values):
    """A detector holds no more than its baselines and one run, whatever it has seen."""
    detector = ShiftDetector()
    for value in values:
        detector.add(value, samples=[value] * 60)
    detector.ignore()
    detector.ignore()
    assert len(detector.levels) <= 4
    assert all(len(level.values) <= 40 for level in detector.levels)
    assert len(detector.run) <= 15
    assert all(len(build["samples"]) <= 25 for build in detector.to_dict()["open"])


@given(lines(), st.integers(1, 40))
def test_sliding_medians(values, width):
    """A window that slides has the medians and spreads of a window that is sorted anew."""
    expected = []
    for begin in range(len(values) - width + 1):
        ordered = sorted(values[begin : begin + width])
        expected.append((robust.middle(ordered), robust.mad_sigma(ordered, robust.middle(ordered))))
    assert list(robust.sliding_medians(values, width)) == (expected if len(values) >= width else [])


SHAPES = {
    "noise": lambda index: float((index * 7_919) % 1_009),
    "alternating": lambda index: (-1.0) ** index * 1e308,
    "ramp": float,
    "constant": lambda _: 5e-324,
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_many_points(shape):
    """Twenty thousand points are judged one by one and looked back over, of any shape."""
    count = 20_000
    values = [SHAPES[shape](index) for index in range(count)]
    assert len(verdicts(values)) == count
    assert len(change_points(values)) <= count // 5


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("judge", [verdicts, change_points])
def test_work_is_linear(judge, shape):
    """Twice as many points take twice as many function calls."""
    values = [SHAPES[shape](index) for index in range(1_000)]
    assert calls(judge, values) < 2.2 * calls(judge, values[:500])


def calls(function, values):
    """The number of calls and returns, of Python's functions too, while ``function`` runs."""
    events = itertools.count()
    before = sys.getprofile()
    sys.setprofile(lambda *_: next(events))
    try:
        function(values)
    finally:
        sys.setprofile(before)
    return next(events)
