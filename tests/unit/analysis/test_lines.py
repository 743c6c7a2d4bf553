"""Lines of every kind that a master sees, by name: which values are a change, and which are not."""

from __future__ import annotations

import random

import pytest

from bbmeasure.analysis import State, change_points, verdicts
from bbmeasure.records import Kind

EXACT = [4096.0] * 30
CONSTANT = [0.0] * 30


def _noise(count, seed=1, sigma=1.0):
    rng = random.Random(seed)
    return [100.0 + rng.gauss(0.0, sigma) for _ in range(count)]


def _confirmed(values, **rules):
    """The position, the first build and the state of every confirmed change."""
    return [
        (position, verdict.since, str(verdict.state))
        for position, verdict in enumerate(verdicts(values, **rules))
        if verdict.confirmed
    ]


def _indices(values):
    return [change.index for change in change_points(values)]


def test_quiet_line():
    """Noise alone raises nothing, in any of many lines."""
    for seed in range(40):
        values = _noise(120, seed)
        assert _confirmed(values, better="lower") == []
        assert _indices(values) == []


def test_step():
    """A step is confirmed by its fifth value, and found where it began."""
    values = [*_noise(60), *(value + 8 for value in _noise(40, 2))]
    assert _confirmed(values, better="lower") == [(64, 60, "worse")]
    assert _confirmed(values, better="higher") == [(64, 60, "better")]
    assert _confirmed(values) == [(64, 60, "changed")]
    (change,) = change_points(values)
    assert change.index == 60
    assert change.before == pytest.approx(100, abs=0.5)
    assert change.after == pytest.approx(108, abs=0.5)
    assert change.change == pytest.approx(0.08, abs=0.01)
    assert change.score > 6


def test_step_after_values_that_are_hardly_off():
    """A run that began with slightly high values is confirmed all the same, and begins at the step."""
    values = [*_noise(40), *[101.8, 102.1, 101.7, 101.9, 102.2, 101.6, 101.9, 102.0], *[110.0 + i for i in range(5)]]
    assert _confirmed(values, better="lower") == [(51, 48, "worse")]


def test_states_around_a_step():
    """First no baseline, then normal, four times unconfirmed, worse once, and then the new level is the usual one."""
    values = [*_noise(60), *(value + 8 for value in _noise(40, 2))]
    states = [str(verdict.state) for verdict in verdicts(values, better="lower")]
    assert states == ["no_baseline"] * 10 + ["normal"] * 50 + ["unconfirmed"] * 4 + ["worse"] + ["normal"] * 35


def test_exact_line():
    """In a line whose values are equal, another value is a change at once; a very small one is not."""
    (verdict,) = verdicts([*EXACT, 4200.0], better="lower")[-1:]
    assert (verdict.state, verdict.rule, verdict.since) == (State.WORSE, "exact", 30)
    assert verdict.change == pytest.approx(104 / 4096)
    assert "2.54 %" in verdict.reason
    (verdict,) = verdicts([*EXACT, 4097.0], better="lower")[-1:]
    assert verdict.state is State.NORMAL


def test_exact_count():
    """One more of something that is counted is a change, in a line that had always as many."""
    assert _confirmed([*[7.0] * 12, 8.0], kind=Kind.COUNT, better="lower") == [(12, 12, "worse")]
    assert _confirmed([*[0.0] * 12, 1.0], kind="count", better="lower") == [(12, 12, "worse")]
    assert _confirmed([*[10_000.0] * 12, 10_001.0], kind="number", better="lower") == []


def test_exact_value_that_the_baseline_holds():
    """An exact line that had a value before is not changed by it."""
    values = [100.0] * 4 + [100.05] + [100.0] * 12 + [100.05]
    assert [str(verdict.state) for verdict in verdicts(values)[10:]] == ["normal"] * 8


def test_line_that_was_noisy_is_not_exact():
    """Ten equal values by chance make no exact line of one that has other values in its baseline."""
    values = [13.0, 14.0, 13.0, 15.0, 13.0, 14.0] * 4 + [13.0] * 12 + [14.0]
    assert _confirmed(values) == []


def test_durations_are_never_exact():
    """Durations in whole seconds are equal by rounding: one more second is no change, until it stays."""
    assert _confirmed([*[12.0] * 40, 13.0, *[12.0] * 10], kind="duration") == []
    assert _confirmed([*[12.0] * 40, *[13.0] * 5], kind="duration", better="lower") == [(44, 40, "worse")]


def test_constant_line():
    """A line of zeros, and one that never moves, are normal for ever."""
    assert [str(verdict.state) for verdict in verdicts(CONSTANT)[10:]] == ["normal"] * 20
    assert _indices(CONSTANT) == _indices(EXACT) == []


def test_two_valued_line():
    """A line that has one of two values again and again is never changed by either."""
    rng = random.Random(3)
    values = [rng.choice((10.0, 11.0)) for _ in range(200)]
    assert _confirmed(values) == []
    assert _indices(values) == []


@pytest.mark.parametrize("share", [0.2, 0.3, 0.4, 0.5])
def test_two_moded_line(share):
    """A line that swings between far levels by chance raises next to nothing in 4,000 builds.

    Five values in one mode confirm no change; only a run that is rarer than that does.
    """
    found = 0
    for seed in range(20):
        rng = random.Random(seed)
        values = [(20_000.0 if rng.random() < share else 530.0) * rng.uniform(0.995, 1.005) for _ in range(200)]
        found += len(_confirmed(values, better="lower"))
    assert found <= 3


def test_modes_are_normal():
    """A value that is far off is normal where the line often has such values."""
    values = [130.0 if index % 4 == 0 else 100.0 + 0.1 * (index % 3) for index in range(60)]
    judged = verdicts([*values, 130.0, 160.0])
    assert [str(verdict.state) for verdict in judged[20:]] == ["normal"] * 41 + ["unconfirmed"]
    assert judged[60].reason == "130 is off the usual 98.1 to 102, but this line often has such values."


def test_line_that_changes_its_mode_for_long():
    """Of a line that was at one level and stays at another that it had rarely, the change is confirmed."""
    rng = random.Random(5)
    values = [(150.0 if index in (7, 19) else 100.0) + rng.gauss(0, 1) for index in range(40)]
    values += [150.0 + rng.gauss(0, 1) for _ in range(20)]
    assert _confirmed(values, better="lower") == [(45, 40, "worse")] or _confirmed(values)[0][0] <= 46


def test_one_sided_line():
    """Noise that only ever adds time raises nothing."""
    for seed in range(20):
        rng = random.Random(seed)
        values = [100.0 + rng.lognormvariate(0, 0.8) for _ in range(150)]
        assert _confirmed(values, better="lower") == []
        assert _indices(values) == []


def test_drifting_line():
    """A drift too slow for a run is confirmed against the level where it began, again and again as it goes on."""
    values = [value + 0.03 * index for index, value in enumerate(_noise(400))]
    found = _confirmed(values, better="lower")
    assert 1 <= len(found) <= 3
    assert {state for _, _, state in found} == {"worse"}
    (first, *_) = [verdict for verdict in verdicts(values, better="lower") if verdict.confirmed]
    assert first.change is not None
    assert 0.05 <= first.change < 0.08
    assert "drifted" in first.reason


def test_slope_is_no_step():
    """Change points are steps: a long slope has none, as no build made it."""
    values = [value + min(20.0, max(0.0, 0.1 * (index - 50))) for index, value in enumerate(_noise(300))]
    assert _indices(values) == []


def test_spiky_line():
    """Single spikes are unconfirmed, and raise nothing."""
    values = _noise(100)
    for position in (30, 47, 48, 71, 90):
        values[position] = 160.0
    judged = verdicts(values, better="lower")
    assert {position for position, verdict in enumerate(judged) if verdict.state is State.UNCONFIRMED} == {
        30,
        47,
        48,
        71,
        90,
    }
    assert _confirmed(values) == []
    assert _indices(values) == []


def test_broken_value():
    """A zero, or ten times off, is broken where the line never had it, and enters no baseline."""
    for value in (0.0, 2_000.0, 5.0, -100.0):
        values = [*_noise(30), value, *_noise(10, 2)]
        judged = verdicts(values, better="lower")
        assert judged[30].state is State.BROKEN
        assert judged[30].reason.endswith("never measured in this line before: the measurement looks broken.")
        assert [str(verdict.state) for verdict in judged[31:]] == ["normal"] * 10
        assert judged[-1].baseline == pytest.approx(100, abs=1)


def test_second_broken_value_is_ordinary():
    """What is measured twice in a row is a value: a step of that size is confirmed a build later."""
    values = [*_noise(30), *[2_000.0 + index for index in range(8)]]
    states = [str(verdict.state) for verdict in verdicts(values, better="lower")[30:]]
    assert states == ["broken", *["unconfirmed"] * 4, "worse", "normal", "normal"]


def test_counts_are_never_broken():
    """A count may be zero."""
    values = [*[20.0, 21.0] * 10, 0.0]
    assert verdicts(values, kind="count")[-1].state is State.UNCONFIRMED
    assert verdicts(values)[-1].state is State.BROKEN


def test_values_that_the_line_had_are_not_broken():
    """A line that is zero now and then has broken nothing."""
    values = [0.0, *_noise(30), 0.0]
    assert verdicts(values)[-1].state is State.UNCONFIRMED


def test_change_and_return():
    """A change back is confirmed too, and known as a return."""
    values = [*_noise(40), *(value + 10 for value in _noise(30, 2)), *_noise(30, 3)]
    found = [verdict for verdict in verdicts(values, better="lower") if verdict.confirmed]
    assert [(str(verdict.state), verdict.returned) for verdict in found] == [("worse", False), ("better", True)]
    assert _indices(values) == [40, 70]


def test_swings_are_all_found():
    """A line that swings in long runs has a change point at each, though wrong candidates lie beside all of them."""
    rng = random.Random(7)
    lengths = [30, 9, 14, 22, 8, 40, 12, 16, 25]
    values = [100.0 + 12 * (run % 2) + rng.gauss(0, 0.7) for run, length in enumerate(lengths) for _ in range(length)]
    assert _indices(values) == [sum(lengths[:run]) for run in range(1, len(lengths))]


def test_short_swings_are_all_found():
    """Levels of seven builds are found, all of them or none: one that is doubtful does not hide its neighbours."""
    rng = random.Random(1)
    values = [(100 if (index // 7) % 2 else 120) + rng.gauss(0, 1) for index in range(210)]
    assert set(range(14, 200, 7)) - set(_indices(values)) == set()


def test_jumps_by_chance_are_no_levels():
    """A line that jumps to a far level by chance, now and then for some builds, has no change points."""
    for seed in range(40):
        rng = random.Random(seed)
        values = [100.0 + 10 * (rng.random() < 0.3) + rng.gauss(0, 0.5) for _ in range(100)]
        assert _indices(values) == []


def test_change_and_return_count_alike():
    """A change of just the least size is found together with its return, which is a smaller fraction."""
    values = [*[50.0 + 0.001 * (i % 3) for i in range(30)], *[51.01 + 0.001 * (i % 3) for i in range(30)]]
    values += values[:30]
    assert _indices(values) == [30, 60]
    assert [since for _, since, _ in _confirmed(values)] == [30, 60]
    first, second = change_points(values)
    assert first.change is not None
    assert second.change is not None
    assert -second.change < 0.02 < first.change


def test_tiny_levels():
    """A step between levels that are tiny beside one spike has a finite score."""
    values = [1e-200] * 20 + [2e-200] * 20
    values[5] = 1.0
    (change,) = change_points(values)
    assert change.index == 20
    assert 6 < change.score < 1e6


def test_ramp_is_no_step():
    """A line that rises evenly, without noise, has no change points."""
    assert _indices([float(index) for index in range(500)]) == []


def test_short_lines():
    """Nothing is found in a line too short for two levels."""
    assert change_points([]) == []
    assert verdicts([]) == []
    assert change_points([1.0, 1.0, 1.0, 1.0, 9.0, 9.0, 9.0, 9.0, 9.0]) == []
    assert [str(verdict.state) for verdict in verdicts([1.0] * 11)] == ["no_baseline"] * 10 + ["normal"]


def test_least_change():
    """A certain change below the least change is none, and is one where less is asked for."""
    values = [*_noise(60, sigma=0.1), *(value + 1 for value in _noise(40, 2, 0.1))]
    assert _confirmed(values) == []
    assert _indices(values) == []
    assert _confirmed(values, minimum_change=0.005) == [(64, 60, "changed")]
    assert [change.index for change in change_points(values, minimum_change=0.005)] == [60]
