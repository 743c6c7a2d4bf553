"""ShiftDetector: its rules, its state, and what a master does with an alert."""

from __future__ import annotations

import json
import random

import pytest

from bbmeasure.analysis import Rules, ShiftDetector, State, verdicts
from bbmeasure.errors import QueryError
from bbmeasure.records import Direction, Kind


def _noise(count, seed=1, level=100.0):
    rng = random.Random(seed)
    return [level + rng.gauss(0.0, 1.0) for _ in range(count)]


def _detector(level=100.0, **rules):
    """A detector that has a baseline."""
    detector = ShiftDetector(better="lower", **rules)
    detector.replay(_noise(40, level=level))
    return detector


def _states(judged):
    return [str(verdict.state) for verdict in judged]


def test_usual_range():
    """A verdict has the median and what is usual around it, at least the least change."""
    detector = _detector(minimum_change=0.5)
    verdict = detector.add(101.0)
    assert verdict.baseline == pytest.approx(100, abs=0.5)
    assert (verdict.low, verdict.high) == pytest.approx((50, 150), abs=0.8)
    assert verdict.reason == f"101 is within what is usual, {verdict.low:.3g} to {verdict.high:.3g}."


def test_reasons_have_units():
    """The sentence of a verdict writes values as people do."""
    detector = ShiftDetector(better="lower", unit="bytes", kind="size", limit=4 * 1024 * 1024)
    detector.replay([2.0 * 1024 * 1024] * 12)
    assert detector.judge(5.0 * 1024 * 1024).reason == "5 MiB is above the limit of 4 MiB."
    assert detector.judge(3.0 * 1024 * 1024).rule == "exact"
    assert detector.judge(3.0 * 1024 * 1024).reason == "3 MiB is 50 % above 2 MiB, the value of all builds before."


@pytest.mark.parametrize(
    ("rules", "value", "rule"),
    [
        ({"limit": 105}, 106.0, "limit"),
        ({"lower_limit": 95}, 94.5, "lower_limit"),
        ({"maximum_increase": 0.05}, 106.0, "increase"),
        ({"maximum_decrease": 0.05}, 94.0, "decrease"),
    ],
)
@pytest.mark.parametrize("better", ["lower", "higher", None])
def test_rules(rules, value, rule, better):
    """A value that breaks a rule is worse at once, whatever direction is better."""
    detector = ShiftDetector(better=better, **rules)
    detector.replay(_noise(40))
    verdict = detector.add(value)
    assert (verdict.state, verdict.rule) == (State.WORSE, rule)
    assert verdict.reason.startswith(f"{value:g} is ")
    assert detector.add(100.0).state is State.NORMAL


def test_limits_need_no_baseline():
    """A limit acts from the first value on; an increase needs a baseline."""
    assert _states(verdicts([11.0, 9.0, 0.5], limit=10, lower_limit=1)) == ["worse", "no_baseline", "worse"]
    assert verdicts([10.0, 20.0], maximum_increase=0.1)[-1].state is State.NO_BASELINE


def test_value_at_the_limit():
    """A limit is the largest value that is allowed."""
    assert verdicts([10.0], limit=10)[0].state is State.NO_BASELINE
    assert verdicts([1.0], limit=0, kind="count")[0].state is State.WORSE


def test_rules_and_broken_values():
    """A broken value breaks a rule all the same, and enters no baseline."""
    detector = _detector(limit=1_000)
    assert detector.add(5_000.0).rule == "limit"
    assert detector.add(100.0).state is State.NORMAL
    assert detector.levels[-1].level == pytest.approx(100, abs=0.5)


def test_acknowledged_rule():
    """A rule whose alert is known is broken again only beyond the alert's value by the least change."""
    detector = _detector(limit=105)
    detector.acknowledge("limit", 110.0)
    assert detector.judge(111.0).rule is None
    assert detector.judge(113.0).rule == "limit"
    assert detector.propose(111.0).rule is None
    detector.withdraw("limit")
    assert detector.judge(111.0).rule == "limit"


def test_acknowledged_value_within_the_limit():
    """An alert's value that the rule allows by now changes nothing."""
    detector = _detector(limit=105)
    detector.acknowledge("limit", 90.0)
    assert detector.judge(104.0).rule is None
    assert detector.judge(106.0).rule == "limit"


def test_excluded_value():
    """The value of a failed command is judged, counted and forgotten."""
    detector = _detector()
    before = detector.to_dict()
    for _ in range(8):
        assert detector.add(150.0, excluded=True).state is State.UNCONFIRMED
    assert detector.count == 48
    assert {**detector.to_dict(), "count": 40} == before
    assert [detector.add(150.0).since for _ in range(5)][-1] == 48


def test_excluded_value_confirms_nothing():
    """The value of a failed command breaks rules, and confirms no change of its own or of an open run."""
    detector = _detector(limit=200)
    detector.replay([120.0] * 4)
    assert detector.add(120.0, excluded=True).state is State.UNCONFIRMED
    assert detector.add(300.0, excluded=True).rule == "limit"
    assert detector.add(120.0).confirmed
    exact = ShiftDetector(better="lower", kind="size")
    exact.replay([1000.0] * 20)
    verdict = exact.add(1100.0, excluded=True)
    assert (verdict.state, verdict.confirmed, verdict.rule) == (State.UNCONFIRMED, False, None)
    assert exact.add(1000.0).state is State.NORMAL


def test_builds_have_numbers():
    """``since`` is the number of the build where the run began, where builds are given numbers."""
    detector = _detector()
    judged = [detector.add(120.0, build=number) for number in range(900, 905)]
    assert (judged[-1].state, judged[-1].since) == (State.WORSE, 900)


def test_samples_confirm_in_one_build():
    """Five measurements of one build confirm a change; its value counts once in the next baseline."""
    detector = _detector()
    assert detector.judge(120.0).state is State.UNCONFIRMED
    assert detector.judge(120.0, samples=[120.0, 121.0, 119.0]).state is State.UNCONFIRMED
    verdict = detector.add(120.0, samples=[120.0, 121.0, 119.0, 120.5, 120.0])
    assert (verdict.state, verdict.since, verdict.after) == (State.WORSE, 40, 120.0)
    assert detector.levels[-1].values == [120.0]
    assert _states(detector.replay([120.0] * 5)) == ["no_baseline"] * 4 + ["normal"]


def test_samples_clear_a_spike():
    """Further measurements that are usual end the run of a spike."""
    detector = _detector()
    verdict = detector.add(100.0, samples=[130.0, 100.2, 99.8, 100.1, 99.9])
    assert verdict.state is State.NORMAL
    assert detector.run == ()
    assert detector.levels[-1].values[-1] == 100.0


def test_judge_and_propose_change_nothing():
    """A detector judges without a change of its state."""
    detector = _detector()
    detector.replay([120.0] * 3)
    before = detector.to_dict()
    detector.judge(120.0)
    detector.propose(0.0)
    detector.propose(120.0, samples=[120.0] * 5, alert_open=True)
    assert detector.to_dict() == before


def test_proposal_has_its_own_run():
    """The open run of a branch confirms nothing of a proposal, and its samples do."""
    detector = _detector()
    detector.replay([120.0] * 4)
    assert detector.propose(120.0).state is State.UNCONFIRMED
    assert detector.propose(100.0).state is State.NORMAL
    assert detector.propose(120.0, samples=[120.0] * 5).state is State.WORSE


def test_proposal_while_an_alert_is_open():
    """While the base has an open alert, both of its levels are normal for a proposal."""
    detector = _detector()
    detector.replay(_noise(20, level=120.0))
    assert detector.propose(100.0).state is State.UNCONFIRMED
    assert detector.propose(100.0, alert_open=True).state is State.NORMAL
    assert detector.propose(120.0, alert_open=True).state is State.NORMAL
    assert detector.propose(140.0, alert_open=True).state is State.UNCONFIRMED


def test_proposal_of_an_exact_line():
    """One value decides in an exact line."""
    detector = ShiftDetector(better="lower", kind="size")
    detector.replay([1000.0] * 20)
    assert detector.propose(1100.0).rule == "exact"
    assert detector.propose(1000.0).state is State.NORMAL


def test_run_ends_without_confirmation():
    """A run that is not confirmed ends after 15 builds, and its values enter the baseline."""
    values = [100.0 + 0.1 * (index % 3) for index in range(40)]
    detector = ShiftDetector(better="lower")
    detector.replay(values)
    judged = detector.replay([101.0] * 14)
    assert len(detector.run) == 14
    assert detector.levels[-1].values == values
    judged += [detector.add(101.0)]
    assert detector.run == ()
    assert detector.levels[-1].values[-15:] == [101.0] * 15
    assert set(_states(judged)) == {"normal"}


def test_accept_makes_the_run_the_baseline():
    """An open run that is accepted is the baseline, before it was confirmed."""
    detector = _detector(maximum_increase=0.1)
    assert detector.add(120.0).rule == "increase"
    detector.accept()
    assert detector.run == ()
    assert _states(detector.replay([120.0] * 6)) == ["no_baseline"] * 4 + ["normal"] * 2
    assert detector.add(125.0).rule is None


def test_accept_of_a_confirmed_change():
    """A confirmed level is the baseline already; accepted, the level before it is not usual."""
    detector = _detector()
    detector.replay(_noise(20, level=120.0))
    detector.accept()
    assert detector.add(100.0).state is State.UNCONFIRMED


def test_ignore_keeps_both_levels():
    """After an ignored change both levels are normal, and a third one is a change."""
    detector = _detector()
    detector.replay(_noise(20, level=120.0))
    detector.ignore()
    rng = random.Random(4)
    judged = detector.replay(rng.choice((100.0, 120.0)) + rng.uniform(-2, 2) for _ in range(200))
    assert set(_states(judged)) == {"normal"}
    judged = detector.replay(_noise(6, level=140.0))
    assert "worse" in _states(judged)


def test_ignore_of_a_line_that_went_back():
    """A change is measured against the level that the line left, not against the newest one."""
    detector = _detector()
    detector.replay(_noise(20, level=150.0))
    detector.ignore()
    detector.replay(_noise(20, 2))
    confirmed = [verdict for verdict in detector.replay(_noise(8, 3, 112.0)) if verdict.confirmed]
    assert [verdict.state for verdict in confirmed] == [State.WORSE]
    assert confirmed[0].baseline == pytest.approx(100, abs=1)


def test_confirmed_shift_and_rule():
    """A value that breaks a rule is worse by that rule, though it confirms a change at the same time."""
    detector = _detector(limit=110)
    judged = detector.replay([120.0] * 6)
    assert [(verdict.rule, verdict.confirmed) for verdict in judged] == [("limit", index == 4) for index in range(6)]
    better = ShiftDetector(better="higher", limit=110)
    better.replay(_noise(40))
    verdict = better.replay([120.0] * 5)[-1]
    assert (verdict.state, verdict.rule, verdict.confirmed, verdict.since) == (State.WORSE, "limit", True, 40)


def test_reason_of_a_limit_that_is_hardly_passed():
    """The value and the limit of a sentence are never the same text."""
    (verdict,) = verdicts([105.0001], limit=105.0)
    assert verdict.reason == "105.0001 is above the limit of 105.0."


def test_state_can_be_kept():
    """A detector goes on from its state as JSON, at any build."""
    values = [*_noise(45), *_noise(4, 2, 120.0), 0.0, *_noise(30, 3, 120.0), 120.0, 140.0]
    whole = ShiftDetector(better="lower", kind="duration", maximum_increase=0.3)
    kept = ShiftDetector(better="lower", kind="duration", maximum_increase=0.3)
    for value in values:
        expected = whole.add(value)
        text = json.dumps(kept.to_dict())
        assert len(text) < 6_000
        kept = ShiftDetector.from_dict(json.loads(text))
        assert kept.add(value) == expected
    assert kept.to_dict() == whole.to_dict()


def test_state_under_other_rules():
    """Rules that have changed since apply to what is added from then on."""
    detector = ShiftDetector.from_dict(_detector().to_dict(), Rules(better="lower", limit=50, history=20))
    assert detector.add(100.0).rule == "limit"
    assert len(detector.levels[-1].values) == 20


def test_unknown_state():
    """A state that is none is refused."""
    state = _detector().to_dict()
    with pytest.raises(QueryError, match="version 99: expected 1"):
        ShiftDetector.from_dict({**state, "version": 99})
    for bad in (
        {**state, "levels": 5},
        {},
        {"version": 1},
        {**state, "levels": []},
        {**state, "rules": {"nonsense": 1}},
    ):
        with pytest.raises(QueryError, match="detector state"):
            ShiftDetector.from_dict(bad)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"minimum_change": -0.1}, "minimum_change -0.1: expected a fraction"),
        ({"maximum_increase": -1}, "maximum_increase -1: expected a fraction"),
        ({"limit": float("nan")}, "limit nan: expected a finite number"),
        ({"history": 5}, "history 5: expected a whole number from 10"),
        ({"history": True}, "history True"),
        ({"better": "more"}, "better 'more': expected one of lower, higher"),
        ({"kind": "weight"}, "kind 'weight': expected one of count"),
        ({"unit": "furlong"}, "unit 'furlong'"),
    ],
)
def test_bad_rules(rules, message):
    """Rules that make no sense are refused where they are made."""
    with pytest.raises(ValueError, match=message):
        Rules(**rules)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "5", None, True])
def test_bad_values(value):
    """Only finite numbers are judged."""
    with pytest.raises(QueryError, match="value"):
        ShiftDetector().add(value)
    with pytest.raises(QueryError, match="sample 1"):
        ShiftDetector().add(1.0, samples=[1.0, value])


def test_words_of_rules():
    """Kinds and directions may be given as words."""
    rules = Rules(kind="size", better="higher")
    assert (rules.kind, rules.better) == (Kind.SIZE, Direction.HIGHER)
    assert Rules(**rules.to_dict()) == rules
    assert Rules(**Rules().to_dict()) == Rules()


def test_states_are_text():
    """A state is the text of its name."""
    assert State.WORSE == "worse"  # type: ignore[comparison-overlap]  # a str enum
    assert f"{State.NO_BASELINE} {State.WORSE!s}" == "no_baseline worse"
    assert json.dumps(State.BROKEN) == '"broken"'
