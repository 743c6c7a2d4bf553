"""BuildJudge: late and missing values, what is not judged, and what is kept."""

from __future__ import annotations

import random
from typing import Optional

import pytest

from bbmeasure.capture.gates import Gates
from bbmeasure.model import Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.reports import kept_verdicts
from bbmeasure.reports.judged_line import JudgedLine
from bbmeasure.reports.past import LearnRequest, learn, learn_all
from bbmeasure.storage.verdict_store import VerdictChanges
from bbmeasure.times import NANOSECONDS
from tests.unit.reports.judging import START, Judging, noise


def state_of(judging: Judging, line: int = 1) -> object:
    """The state of the detector of a line, without its checkpoints."""
    rules = Gates().of("size").rules(judging.kind, "1", judging.better)
    return JudgedLine.decode(judging.reader.detectors([line])[line], rules).detector.to_dict()


def test_values_in_any_order_give_one_detector(judging: Judging, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Builds that finish out of order, in one second or at equal times are replayed in order of time and number."""
    values = [*noise(30), *noise(3, 108.0, seed=2)]
    judging.runs(values)
    other = Judging(tmp_path_factory.mktemp("other"))
    order = list(range(33))
    mixed = random.Random(3)
    for at in range(0, 30, 3):
        part = order[at : at + 3]
        mixed.shuffle(part)
        order[at : at + 3] = part
    for at in order:
        other.finish(other.store({"size": values[at]}, at + 1))
    assert state_of(other) == state_of(judging)
    other.close()


def test_equal_times_are_ordered_by_number(judging: Judging, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two builds of two workers at one nanosecond are judged by their numbers."""
    other = Judging(tmp_path_factory.mktemp("other"))
    for one, order in ((judging, (20, 21)), (other, (21, 20))):
        one.runs(noise(15))
        for number in order:
            build = one.store({"size": float(number * 5)}, number, minute=20, worker=f"w{number}", machine="m")
            one.finish(build)
    assert state_of(judging, 2) == state_of(other, 2)
    other.close()


def test_a_build_is_judged_once(judging: Judging) -> None:
    """A second request at the end of a build returns what was kept, with its sentences."""
    judging.runs(noise(20))
    build = judging.store({"size": 130.0, "other": 1.0}, 21)
    first = judging.finish(build)
    before = state_of(judging)
    again = judging.ask(build, finish=True)
    assert again.changes is None
    assert [one.key for one in again.verdicts.lines] == [("other", ()), ("size", ())]
    kept = again.verdicts.lines[1]
    assert (kept.verdict.state, kept.verdict.reason) == ("unconfirmed", first.lines[1].verdict.reason)
    assert kept.verdict.baseline == pytest.approx(first.lines[1].verdict.baseline, rel=1e-5)
    assert state_of(judging) == before


def test_a_build_that_was_not_judged_is_caught_up(judging: Judging) -> None:
    """The points of a build before a crash count: the fifth build still confirms."""
    judging.runs(noise(30))
    step = noise(5, 108.0, seed=2)
    judging.runs(step[:2])
    judging.number += 1
    judging.store({"size": step[2]}, judging.number)
    assert judging.states(judging.runs(step[3:])) == ["unconfirmed", "worse"]
    assert judging.alerts()[0].build == 31


def test_running_builds_do_not_count_yet(judging: Judging) -> None:
    """The value of a build that has not ended enters the detector at its end only."""
    judging.runs(noise(20))
    running = judging.store({"size": 100.0}, 21)
    judging.finish(judging.store({"size": 101.0}, 22), running=frozenset({running.buildid}))
    judging.finish(running)
    rules = Gates().of("size").rules(judging.kind, "1", judging.better)
    judged = JudgedLine(rules)
    for value in judging.reader.history(1, None, 100):
        judged.add(value)
    assert state_of(judging) == judged.detector.to_dict()


@pytest.mark.parametrize("machine", [None, "fast"])
def test_a_point_of_a_judged_build_that_comes_late(
    judging: Judging, tmp_path_factory: pytest.TempPathFactory, machine: Optional[str]
) -> None:
    """A value of a lost worker, written after its build and others were judged, is replayed by the next build."""
    other = Judging(tmp_path_factory.mktemp("other"))
    values = noise(30)
    for one, order in ((judging, range(30)), (other, [*range(15), *range(16, 25), 15, *range(25, 30)])):
        for number in order:
            worker = f"w{number % 2}" if machine else "w"
            build = one.store({"size": values[number]}, number + 1, worker=worker, machine=machine)
            if one is judging or number != 15:
                one.finish(build)
    assert state_of(other) == state_of(judging)
    other.close()


def test_a_removed_value(judging: Judging, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The next build replays the line without it, from the last decision."""
    other = Judging(tmp_path_factory.mktemp("other"))
    for one in (judging, other):
        one.runs([*noise(30), *noise(6, 108.0, seed=2)])
        assert one.journal.decide(one.alerts()[0].id, "ignored", "ann", "two modes")
        one.runs(noise(5, 108.0, seed=3))
    judging.run(500.0)
    assert judging.journal.remove("size", None, judging.number) == 1
    other.number += 1
    for one in (judging, other):
        one.run(108.0)
    assert state_of(judging) == state_of(other)
    other.close()


def test_a_value_before_the_last_decision_changes_nothing(judging: Judging) -> None:
    """It is judged by itself."""
    judging.runs(noise(30))
    judging.runs(noise(6, 120.0, seed=2))
    before = state_of(judging)
    late = judging.store({"size": 500.0}, 90, minute=3)
    assert judging.finish(late).lines[0].verdict.state != "normal"
    assert state_of(judging) == before


def test_measurements_and_failed_commands_survive_a_replay(judging: Judging) -> None:
    """A late value replays the measurements of another build, and leaves out what a failed command measured."""
    judging.runs(noise(20))
    gates = Gates()
    gates.measurements["size", ()] = (104.0, 105.0, 106.0)
    gates.excluded.add(("other", ()))
    judging.finish(judging.store({"size": 105.0, "other": 5.0}, 22), gates=gates)
    judging.finish(judging.store({"size": 100.0}, 21))
    values = {value.build: value for value in judging.reader.history(1, None, 100)}
    assert list(values[22].samples) == [104.0, 105.0, 106.0]
    (other,) = judging.reader.history(2, None, 100)
    assert other.excluded


def test_what_is_not_judged(judging: Judging) -> None:
    """Texts, durations of what failed and running totals have no verdict."""
    build = judging.build(1)
    time = START * NANOSECONDS
    judging.journal.declare(SeriesInfo("compiler", Kind.TEXT, "1", Direction.NONE, ("b",)))
    points = [
        Point("compiler", time, "gcc 13", build=build),
        Point("d", time, 1.0, {"result": "failure"}, build),
        Point("d", time, 1.0, {"result": "success"}, build),
        Point("total", time, 5.0, build=build),
    ]
    judging.journal.write(points, {'["total", "total", "b", {}]': 5.0})
    verdicts = judging.finish(build)
    assert [(line.series, line.tags) for line in verdicts.lines] == [("d", {"result": "success"})]


def test_a_changed_unit_begins_the_line_anew(judging: Judging) -> None:
    """Numbers in another unit are not compared with those before."""
    judging.runs(noise(20))
    judging.journal.declare(
        SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER, ("b",)), override=True, override_unit=True
    )
    judging.kind = Kind.SIZE
    build = judging.build(21)
    judging.journal.write([Point("size", (START + 1260) * NANOSECONDS, 5e6, build=build)])
    assert judging.finish(build).lines[0].verdict.state == "no_baseline"


def test_a_forgotten_series_begins_anew(judging: Judging) -> None:
    """Its alerts are gone too, and their ids are not used again."""
    judging.runs(noise(30))
    judging.runs(noise(6, 120.0, seed=2))
    (alert,) = judging.alerts()
    judging.journal.forget("size")
    assert not judging.alerts()
    assert judging.run(100.0).verdict.state == "no_baseline"
    assert judging.reader.next_alert() == alert.id + 1


def test_retention_deletes_verdicts_and_detectors(judging: Judging) -> None:
    """With the points of builds and lines go their verdicts, told or not, remarks, detectors and alerts."""
    judging.runs(noise(29))
    gates = Gates()
    gates.measurements["size", ()] = (100.0, 101.0)
    judging.finish(judging.store({"size": 100.0, "other": 1.0}, 30), gates=gates)
    judging.store({"other": 1.0}, 31, minute=10**7)
    judging.journal.keep_verdicts(VerdictChanges(101, b"lines", untold=["reporter"]))
    assert judging.reader.kept_verdicts(101) is not None
    judging.journal.clean(0.0)
    assert judging.reader.kept_verdicts(101) is None
    assert judging.reader.untold("reporter", 10) == []
    assert judging.reader.detectors([1]) == {}
    assert judging.journal.connection.execute("SELECT count(*) FROM remarks").fetchone() == (0,)


def test_pending_points_are_judged(judging: Judging) -> None:
    """A value that is not stored yet is judged with the line that it will belong to."""
    judging.runs(noise(20))
    build = judging.build(21)
    pending = [Point("size", (START + 1260) * NANOSECONDS, 130.0), Point("new", 1, 1.0)]
    lines = judging.ask(build, pending=pending).verdicts.lines
    assert [(line.series, line.verdict.state.value) for line in lines] == [
        ("new", "no_baseline"),
        ("size", "unconfirmed"),
    ]


def test_the_past_begins_at_the_last_change_point(judging: Judging) -> None:
    """Lines are learned without an alert, and the next build is judged by the newest level."""
    values = [*noise(40), *noise(40, 130.0, seed=2)]
    for number, value in enumerate(values, start=1):
        judging.store({"size": value}, number)
    assert list(learn_all(judging.reader, judging.journal.keep_verdicts, Gates())) == [(1, 1)]
    assert learn(judging.reader, LearnRequest()).lines == 0
    assert not judging.alerts()
    judging.number = 80
    verdict = judging.run(130.0).verdict
    assert verdict.state == "normal"
    assert verdict.baseline == pytest.approx(130.0, rel=0.02)


def test_a_past_that_has_grown(judging: Judging) -> None:
    """A line without a baseline learns the builds before it; one with a baseline or judged meanwhile is left alone."""
    judging.number = 50
    judging.runs(noise(3))
    judging.number = 100
    judging.runs(noise(20, 5.0), builder="other")
    before = state_of(judging, 2)
    for number, value in enumerate(noise(30), start=1):
        judging.store({"size": value}, number)
    learned = learn(judging.reader, LearnRequest(again=True))
    assert [one.line for one in learned.changes.detectors] == [1]
    judging.journal.keep_verdicts(learned.changes)
    judging.number = 60
    assert judging.run(100.0).verdict.state == "normal"
    after = state_of(judging)
    judging.journal.keep_verdicts(learned.changes)
    assert (state_of(judging), state_of(judging, 2)) == (after, before)


def test_differences_of_an_alert(judging: Judging) -> None:
    """Worker and texts of the last build of the old level and the first of the new one are compared."""
    for number in range(1, 18):
        new = number > 12
        judging.declare("size")
        judging.journal.declare(SeriesInfo("compiler", Kind.TEXT, "1", Direction.NONE, ("b",)))
        build = judging.build(number, worker="w2" if new else "w1", machine="m")
        time = (START + number) * NANOSECONDS
        value = noise(17, seed=5)[number - 1] * (1.2 if new else 1.0)
        judging.journal.write(
            [Point("size", time, value, build=build), Point("compiler", time, "13" if new else "12", build=build)]
        )
        judging.finish(build)
    assert judging.alerts()[0].facts["differs"] == {"worker": ["w1", "w2"], "compiler": ["12", "13"]}


def test_the_encoding_of_verdicts(judging: Judging) -> None:
    """Verdicts of many lines take 15 to 20 bytes each."""
    values = {f"series_{number}": value for number, value in enumerate(noise(200))}
    for number in range(1, 13):
        build = judging.store({name: value * (1 + number % 3 / 50) for name, value in values.items()}, number)
        verdicts = judging.finish(build)
    kept = judging.reader.kept_verdicts(112)
    assert kept is not None
    assert len(kept.lines) / 200 < 20
    assert kept_verdicts.decode(112, kept).state == verdicts.state
