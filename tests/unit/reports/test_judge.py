"""Judge: verdicts of builds by the process that judges, and what goes wrong with it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import blockon, inlineCallbacks
from twisted.internet import defer, reactor

from bbmeasure.capture.gates import Gate, Gates
from bbmeasure.capture.state import MasterState
from bbmeasure.reports import judge as judge_module
from bbmeasure.reports import judge_queue
from bbmeasure.reports.judge import Judge
from bbmeasure.reports.verdicts import BuildVerdicts
from bbmeasure.storage.sqlite.store import SQLiteStorage
from tests.unit.reports.judging import Judging, noise


@pytest.fixture
def judge(judging: Judging) -> Iterator[Judge]:
    """The judge of a master whose journal is that of ``judging``."""
    state = MasterState(reactor)
    storage = SQLiteStorage(judging.path, reactor=reactor)
    blockon(state.pipeline.attach(storage))
    made = state.component(Judge)
    yield made
    made.stop()
    blockon(storage.close())


GATES = Gates(own={"size": Gate(limit=1000, level="fail")})


@inlineCallbacks
def test_a_build_is_judged_kept_and_told(judge: Judge, judging: Judging) -> Any:
    """A preview changes nothing; the end of the build keeps verdicts and alert, and tells them once."""
    told: list[BuildVerdicts] = []
    judge.subscribe(told.append)
    explained: list[int] = []

    def explain(alert: Any) -> Any:
        explained.append(alert.id)
        return defer.succeed({"suspects": [{"revision": "abc"}]})

    judge.explain = explain
    build = judging.store({"size": 1100.0, **{f"s{number}": 1.0 for number in range(120)}}, 1)
    preview = yield judge.preview(build, GATES, series=["size"])
    assert ([line.acts for line in preview.lines], preview.complete) == ([True], True)
    assert preview.lines[0].alert is None
    assert not judging.alerts()
    verdicts = yield judge.finish(build, GATES)
    assert (len(verdicts.lines), verdicts.state, verdicts.worse, verdicts.level) == (121, "worse", ("size",), "fail")
    again = yield judge.finish(build, GATES)
    kept = yield judge.verdicts_of(build.buildid)
    assert len(again.lines) == len(kept.lines) == 121
    assert told == [verdicts]
    (alert,) = judging.alerts()
    assert explained == [alert.id]
    assert alert.facts["suspects"] == [{"revision": "abc"}]


@inlineCallbacks
def test_what_a_reporter_has_not_told_is_kept(judge: Judge, judging: Judging) -> Any:
    """The store has the builds that a reporter tells, those of proposals or the others, until it has told them."""
    store = judge.store
    assert store is not None
    judge.reporters = {"comments": True, "influx": False}
    for number, proposal in ((1, ""), (2, "refs/pull/7"), (3, "")):
        yield judge.finish(judging.store({"size": 1.0}, number, proposal=proposal), GATES)
    yield judge.preview(judging.store({"size": 1.0}, 4), GATES)
    yield judge.finish(judging.build(5), GATES)  # a build without measurements
    assert (yield judge.verdicts_of(105)) == BuildVerdicts(105)
    assert (yield store.untold("comments", 10)) == [102]
    assert (yield store.untold("influx", 10)) == [101, 103]
    assert (yield store.untold("influx", 1)) == [101]
    yield store.told("influx", [101, 102])
    assert (yield store.untold("influx", 10)) == [103]
    assert (yield store.untold("comments", 10)) == [102]
    yield judge.finish(judging.build(1), GATES)  # is judged already
    assert (yield store.untold("influx", 10)) == [103]
    yield judge.keep_reporters(["comments", "more"])
    assert judge.reporters == {"comments": True}
    assert (yield store.untold("influx", 10)) == []
    assert (yield store.untold("comments", 10)) == [102]


@inlineCallbacks
def test_builds_without_values(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> Any:
    """They are told; as the store keeps nothing of them, the newest are remembered."""
    monkeypatch.setattr(judge_module, "MAX_EMPTY", 2)
    told: list[BuildVerdicts] = []
    judge.subscribe(told.append)
    for buildid in (1, 2, 3):
        judge.tell_empty(buildid)
    assert told == [BuildVerdicts(1), BuildVerdicts(2), BuildVerdicts(3)]
    kept = yield defer.gatherResults([judge.verdicts_of(buildid) for buildid in (1, 2, 3)])
    assert kept == [None, BuildVerdicts(2), BuildVerdicts(3)]


@inlineCallbacks
def test_the_process_is_replaced(judge: Judge, judging: Judging) -> Any:
    """A killed process is counted, the build is not hurt, and the next one is judged."""
    first = judging.store({"size": 1.0}, 1)
    yield judge.finish(first, GATES)
    process = judge._queue._process
    assert process is not None
    process.transport.signalProcess("STOP")
    waiting = judge.finish(judging.store({"size": 1.0}, 2), GATES)
    process.transport.signalProcess(signal.SIGKILL.name[3:])
    verdicts = yield waiting
    assert not verdicts.complete
    counters = judge.state.pipeline.counters
    assert (counters["judge_crashes"], counters["verdicts_failed"]) == (1, 1)
    verdicts = yield judge.finish(judging.store({"size": 1.0}, 3), GATES)
    assert verdicts.complete


@inlineCallbacks
def test_a_process_that_hangs_is_killed(judge: Judge, judging: Judging, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The caller gets its answer at the deadline; the process is killed at the time limit of a request."""
    monkeypatch.setattr(judge_module, "DEADLINE", 0.1)
    monkeypatch.setattr(judge_queue, "REQUEST_TIMEOUT", 1.0)
    yield judge.finish(judging.store({"size": 1.0}, 1), GATES)
    process = judge._queue._process
    assert process is not None
    process.transport.signalProcess("STOP")
    verdicts = yield judge.preview(judging.store({"size": 1.0}, 2), GATES)
    assert not verdicts.complete
    assert judge.state.pipeline.counters["verdicts_late"] >= 1
    monkeypatch.setattr(judge_queue, "REQUEST_TIMEOUT", 60.0)
    monkeypatch.setattr(judge_module, "DEADLINE", 60.0)
    verdicts = yield judge.finish(judging.store({"size": 1.0}, 3), GATES)
    assert verdicts.complete
    assert judge.state.pipeline.counters["judge_timeouts"] == 1


@inlineCallbacks
def test_builders_take_turns(judge: Judge, judging: Judging) -> Any:
    """The build of another builder does not wait for all builds of one."""
    judging.runs(noise(3))
    ended: list[str] = []
    waiting = []
    for number in range(10, 20):
        build = judging.store({f"s{one}": 1.0 for one in range(20)}, number)
        waiting.append(judge.finish(build, GATES).addCallback(lambda _: ended.append("b")))
    other = judging.store({"size": 1.0}, 30, builder="other")
    waiting.append(judge.finish(other, GATES).addCallback(lambda _: ended.append("other")))
    yield defer.gatherResults(waiting)
    assert ended.index("other") <= 2


@inlineCallbacks
def test_without_a_journal_nothing_is_judged(judging: Judging) -> Any:
    """A master that keeps its points in memory has no verdicts."""
    judge = MasterState(reactor).component(Judge)
    verdicts = yield judge.finish(judging.build(1), GATES)
    assert verdicts == BuildVerdicts(101)
    assert (yield judge.verdicts_of(101)) is None


@inlineCallbacks
def test_a_listener_and_a_search_for_suspects_that_fail(judge: Judge, judging: Judging) -> Any:
    """They are counted, and the verdicts are kept."""

    def fail(_: Any) -> Any:
        raise RuntimeError("broken")

    judge.subscribe(fail)
    judge.explain = fail
    verdicts = yield judge.finish(judging.store({"size": 1100.0}, 1), GATES)
    assert verdicts.complete
    counters = judge.state.pipeline.counters
    assert (counters["verdict_listeners_failed"], counters["suspects_failed"]) == (1, 1)


@inlineCallbacks
def test_suspects_are_searched_once_for_two_builds(judge: Judge, judging: Judging) -> Any:
    """Of many alerts between the same two builds; verdicts are told before, as the search may take long."""
    told: list[BuildVerdicts] = []
    explained: list[tuple[int, int]] = []

    def explain(alert: Any) -> Any:
        explained.append((alert.id, len(told)))
        return defer.succeed({"suspects": [{"revision": "abc"}]})

    judge.subscribe(told.append)
    judge.explain = explain
    gates = Gates([("size*", Gate(limit=1000))])
    yield judge.finish(judging.store({f"size{number}": 1100.0 for number in range(3)}, 1), gates)
    assert explained == [(1, 1)]
    assert [alert.facts["suspects"] for alert in judging.alerts()] == [[{"revision": "abc"}]] * 3


@inlineCallbacks
def test_a_missing_journal_is_an_error(judging: Judging, tmp_path: Path) -> Any:
    """Without a file there is no verdict, and the reason is counted."""
    state = MasterState(reactor)
    storage = SQLiteStorage(tmp_path / "missing" / "j.sqlite", reactor=reactor)
    state.pipeline.stores = [storage]
    judge = state.component(Judge)
    verdicts = yield judge.preview(judging.build(1), GATES)
    assert not verdicts.complete
    assert state.pipeline.counters["verdicts_failed"] == 1
    judge.stop()
    yield storage.close()
