"""Alerts: what opens, continues and resolves them, and what people decide."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from bbmeasure.capture.gates import Gate, Gates
from bbmeasure.model import Point
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.verdict_store import Mute, VerdictChanges
from bbmeasure.times import NANOSECONDS
from tests.unit.reports.judging import START, Judging, noise


def test_the_fifth_value_after_a_step_opens_the_only_alert(judging: Judging) -> None:
    """Noise is normal; a step of 8 % is confirmed by its fifth build, told once, and shown in each later one."""
    assert set(judging.states(judging.runs(noise(30)))) <= {"no_baseline", "normal", "unconfirmed"}
    step = judging.runs(noise(8, 108.0, seed=2))
    assert judging.states(step)[4:] == ["worse"] * 4
    assert "worse" not in judging.states(step)[:4]
    (alert,) = judging.alerts()
    assert (alert.state, alert.rule, alert.build, alert.buildid, alert.opened) == ("open", "shift", 31, 131, 135)
    assert alert.facts["last_buildid"] == 130
    assert [verdict.told for verdict in step] == [False] * 4 + [True] + [False] * 3
    assert [verdict.since_build for verdict in step[4:]] == [31] * 4
    assert {verdict.alert for verdict in step[4:]} == {alert.id}


def test_a_level_acts_until_the_alert_is_accepted(judging: Judging) -> None:
    """level="fail" applies to the confirming build and those after it; after the acceptance the next step is found."""
    judging.gates["size"] = Gate(level="fail")
    judging.runs(noise(30))
    assert [one.acts for one in judging.runs(noise(7, 108.0, seed=2))] == [False] * 4 + [True] * 3
    (alert,) = judging.alerts()
    assert alert.decided is None
    assert judging.journal.decide(alert.id, "accepted", "ann", "new compiler")
    decided = judging.alerts()[0].decided
    assert decided is not None
    assert decided > alert.time
    assert not any(one.acts for one in judging.runs(noise(20, 108.0, seed=3)))
    again = judging.runs(noise(6, 120.0, seed=4))
    assert again[-1].acts
    assert [one.state for one in judging.alerts()] == ["open", "accepted"]


def test_an_ignored_alert_makes_both_levels_usual(judging: Judging) -> None:
    """After ignoring, neither level raises an alert."""
    judging.runs(noise(30))
    judging.runs(noise(6, 108.0, seed=2))
    assert judging.journal.decide(judging.alerts()[0].id, "ignored", "ann", "two machines")
    judging.runs(noise(10, 100.0, seed=3))
    judging.runs(noise(10, 108.0, seed=4))
    assert [one.state for one in judging.alerts()] == ["ignored"]


def test_a_return_to_the_old_range_resolves(judging: Judging) -> None:
    """The change back resolves the alert and is no alert of its own."""
    judging.runs(noise(30))
    judging.runs(noise(10, 108.0, seed=2))
    judging.runs(noise(6, 100.0, seed=3))
    (alert,) = judging.alerts()
    assert (alert.state, alert.why) == ("resolved", "it came back")
    assert alert.decided in {(START + 60 * number) * NANOSECONDS for number in range(41, 47)}
    assert judging.run(100.0).verdict.state == "normal"


def test_an_exact_line_changes_and_returns_at_once(judging: Judging) -> None:
    """One byte more is worse at once and until it is gone; then the same change is found again."""
    judging.kind = Kind.COUNT
    judging.runs([1000.0] * 12)
    assert judging.states(judging.runs([1001.0, 1001.0])) == ["worse", "worse"]
    assert judging.run(1000.0).verdict.state == "normal"
    assert judging.run(1001.0).told
    assert [one.state for one in judging.alerts()] == ["open", "resolved"]


def test_a_limit_fails_its_own_build_without_a_baseline(judging: Judging) -> None:
    """The first value over a limit is worse; later ones are until one is within it."""
    judging.gates["size"] = Gate(limit=1000, level="fail")
    assert [one.acts for one in judging.runs([1000.0, 1001.0, 1001.0, 999.0, 1001.0])] == [
        False,
        True,
        True,
        False,
        True,
    ]
    assert [(one.state, one.rule) for one in judging.alerts()] == [("open", "limit"), ("resolved", "limit")]


def test_an_accepted_limit_is_broken_again_only_beyond_its_value(judging: Judging) -> None:
    """The accepted value does not act; one beyond it by the least change does."""
    judging.gates["size"] = Gate(limit=1000, level="fail")
    judging.run(1100.0)
    assert judging.journal.decide(judging.alerts()[0].id, "accepted", "ann", "")
    assert [one.acts for one in judging.runs([1100.0, 1110.0, 1200.0])] == [False, False, True]


def test_a_rule_and_the_shift_of_the_same_change_are_one_alert(judging: Judging) -> None:
    """An alert of maximumIncrease gets the level of the shift that its values confirm."""
    judging.gates["size"] = Gate(maximumIncrease="5 %")
    judging.runs(noise(30))
    judging.runs(noise(8, 110.0, seed=2))
    (alert,) = judging.alerts()
    assert (alert.rule, alert.state, alert.build) == ("increase", "open", 31)
    assert alert.change == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(("better", "outcome"), [(Direction.HIGHER, "better"), (Direction.NONE, "changed")])
def test_other_changes_are_kept_as_accepted(judging: Judging, better: Direction, outcome: str) -> None:
    """An improvement or a change without direction is told once, and the next values are normal."""
    judging.better = better
    judging.runs(noise(30))
    step = judging.runs(noise(10, 108.0, seed=2))
    (alert,) = judging.alerts()
    assert (alert.state, alert.outcome) == ("accepted", outcome)
    assert sum(one.told for one in step) == 1
    assert judging.states(step)[5:] == ["normal"] * 5


def test_a_mute_silences(judging: Judging) -> None:
    """A muted alert is kept and shown, told to nobody, and its level has no effect."""
    judging.gates["size"] = Gate(limit=1000, level="fail")
    judging.run(900.0)
    judging.journal.mute(Mute("size", "", START + 10, "ann", "known"))
    verdict = judging.run(1100.0)
    assert (verdict.verdict.state, verdict.muted, verdict.told, verdict.acts) == ("worse", True, False, False)
    assert judging.alerts(state="open")


def test_proposals_open_no_alert_and_enter_no_baseline(judging: Judging) -> None:
    """A proposal 20 % off is unconfirmed, with its measurements worse; at either level of an open alert normal."""
    judging.runs(noise(30))
    before = judging.reader.detectors([1])
    build = judging.store({"size": 120.0}, 50, proposal="refs/pull/1")
    assert judging.finish(build).lines[0].verdict.state == "unconfirmed"
    gates = Gates()
    gates.measurements["size", ()] = (120.0, 121.0, 119.0, 120.0, 120.5)
    assert judging.ask(build, gates=gates).verdicts.lines[0].verdict.state == "worse"
    assert not judging.alerts()
    assert judging.reader.detectors([1]) == before
    judging.runs(noise(6, 120.0, seed=2))
    assert judging.alerts(state="open")
    for value in (100.0, 120.0):
        build = judging.store({"size": value}, 60, proposal="refs/pull/2")
        assert judging.ask(build).verdicts.lines[0].verdict.state == "normal"


def test_a_proposal_cannot_change_what_is_better(judging: Judging) -> None:
    """Its values are judged by the direction of the target's series, whatever the proposal reports."""
    judging.runs(noise(30))
    build = judging.build(50, proposal="refs/pull/1")
    gates = Gates()
    gates.measurements["size", ()] = (120.0, 121.0, 119.0, 120.0, 120.5)
    gates.meanings["size"] = (Kind.NUMBER, "1", Direction.HIGHER)
    pending = [Point("size", START * 10**9, 120.0, build=build)]
    judged = judging.ask(build, gates=gates, pending=pending, series=frozenset({"size"}))
    assert judged.verdicts.lines[0].verdict.state == "worse"


def test_looking_back_moves_the_first_build(judging: Judging) -> None:
    """Every 20 builds the first build of an open alert moves to the change point of the line."""
    judging.runs(noise(34))
    judging.runs(noise(5, 108.0, seed=2))
    (alert,) = judging.alerts()
    moved = replace(alert, build=31, buildid=131, facts={**alert.facts, "last_buildid": 130})
    judging.journal.keep_verdicts(VerdictChanges(alerts=[moved]))
    judging.run(108.0)
    (alert,) = judging.alerts()
    assert (alert.build, alert.buildid, alert.facts["last_buildid"]) == (35, 135, 134)


def test_a_decision_made_while_a_build_is_judged_wins(judging: Judging) -> None:
    """What was read before an alert was accepted does not open it again."""
    judging.gates["size"] = Gate(limit=1000)
    judging.run(1100.0)
    judged = judging.ask(judging.store({"size": 900.0}, 9), finish=True)
    (alert,) = judging.alerts()
    assert judging.journal.decide(alert.id, "accepted", "ann", "fine")
    assert judged.changes is not None
    judging.journal.keep_verdicts(judged.changes)
    (kept,) = judging.alerts()
    assert (kept.state, kept.who, kept.applied) == ("accepted", "ann", False)
    assert not judging.journal.decide(alert.id, "ignored", "bob", "")
    assert replace(kept, state="open")


def test_a_decision_is_never_earlier_than_its_alert(judging: Judging) -> None:
    """The time of a decision is in whole seconds; that of the value may be later in the same second."""
    judging.gates["size"] = Gate(limit=1000)
    later = (time.time() - START) / 60 + 1
    judging.run(1100.0, minute=later)
    (alert,) = judging.alerts()
    assert judging.journal.decide(alert.id, "accepted", "ann", "fine")
    (decided,) = judging.alerts()
    assert decided.decided == alert.time + 1
