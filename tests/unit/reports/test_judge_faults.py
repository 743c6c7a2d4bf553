"""Judging when the store hangs, a build has too many lines, or points are deleted before they are usual."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_twisted import blockon, inlineCallbacks
from twisted.internet import defer, reactor

from bbmeasure.capture.gates import Gate, Gates
from bbmeasure.capture.state import MasterState
from bbmeasure.reports import build_judge, judge_queue
from bbmeasure.reports import judge as judge_module
from bbmeasure.reports.build_judge import BuildJudge, JudgeRequest
from bbmeasure.reports.judge import Judge
from bbmeasure.storage.sqlite.store import SQLiteStorage
from bbmeasure.storage.verdict_store import VerdictChanges
from tests.unit.reports.judging import START, Judging, noise

GATES = Gates(own={"size": Gate(limit=1000)})


class HangingStorage(SQLiteStorage):
    """A journal that keeps no verdicts until :attr:`answers` fires."""

    answers: defer.Deferred[None]

    def keep_verdicts(self, changes: VerdictChanges) -> defer.Deferred[None]:
        return self.answers.addCallback(lambda _: super(HangingStorage, self).keep_verdicts(changes))


@pytest.fixture
def storage(judging: Judging) -> Iterator[HangingStorage]:
    """The journal of ``judging``, which hangs at the verdict."""
    made = HangingStorage(judging.path, reactor=reactor)
    made.answers = defer.Deferred()
    yield made
    blockon(made.close())


@pytest.fixture
def judge(storage: HangingStorage) -> Iterator[Judge]:
    """The judge of a master with that journal."""
    state = MasterState(reactor)
    blockon(state.pipeline.attach(storage))
    made = state.component(Judge)
    yield made
    made.stop()


@inlineCallbacks
def test_a_store_that_hangs_at_the_verdict(
    judge: Judge, judging: Judging, storage: HangingStorage, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Callers get their answer at the deadline, later ones at once; all is counted; builds are judged afterwards."""
    monkeypatch.setattr(judge_module, "DEADLINE", 0.2)
    monkeypatch.setattr(judge_queue, "STUCK_AFTER", 0.1)
    counters = judge.state.pipeline.counters
    verdicts = yield judge.finish(judging.store({"size": 1.0}, 1), GATES)
    assert (verdicts.complete, counters["verdicts_late"]) == (False, 1)
    monkeypatch.setattr(judge_module, "DEADLINE", 1000.0)
    verdicts = yield judge.preview(judging.store({"size": 1.0}, 2), GATES)
    assert (verdicts.complete, counters["verdicts_failed"]) == (False, 1)
    waiting = judge.finish(judging.store({"size": 1.0}, 3), GATES)
    monkeypatch.setattr(judge_queue, "MAX_QUEUED", 1)
    verdicts = yield judge.finish(judging.store({"size": 1.0}, 4), GATES)
    assert (verdicts.complete, counters["verdicts_failed"]) == (False, 2)
    storage.answers.callback(None)
    verdicts = yield waiting
    assert verdicts.complete
    assert judging.reader.kept_verdicts(101) is not None
    assert len(judging.reader.detectors([1])) == 1


@inlineCallbacks
def test_a_master_that_stops_while_builds_wait(judge: Judge, judging: Judging, storage: HangingStorage) -> Any:
    """What waits is refused and counted, and no process is started again."""
    first = judge.finish(judging.store({"size": 1.0}, 1), GATES)
    second = judge.finish(judging.store({"size": 1.0}, 2), GATES)
    while judge._queue._process is None:
        yield defer.succeed(None)
    judge.stop()
    verdicts = yield second
    assert not verdicts.complete
    storage.answers.callback(None)
    yield first
    yield judge.state.pipeline.settle()
    assert judge._queue._process is None
    assert judge.state.pipeline.counters["judge_crashes"] == 0


def test_a_build_with_too_many_lines(judging: Judging, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work is bounded in lines and in time; the values that were left out count for the next build."""
    monkeypatch.setattr(build_judge, "MAX_LINES", 8)
    values = {f"series_{number}": 1.0 for number in range(10)}
    verdicts = judging.finish(judging.store(values, 1))
    assert (len(verdicts.lines), verdicts.complete) == (8, False)
    ticks = iter(range(1000))
    build = judging.store(values, 2)
    judged = BuildJudge(judging.reader, lambda: float(next(ticks))).judge(
        JudgeRequest(build, Gates(), START, finish=True)
    )
    assert 0 < len(judged.verdicts.lines) < 8
    assert not judged.verdicts.complete
    assert judged.changes is not None
    judging.journal.keep_verdicts(judged.changes)
    monkeypatch.setattr(build_judge, "MAX_LINES", 10)
    verdicts = judging.finish(judging.store(values, 3))
    assert {line.verdict.reason for line in verdicts.lines} == {
        "A baseline needs 10 values; there were 2 before this one."
    }


def test_retention_shorter_than_the_baseline(judging: Judging) -> None:
    """The accepted values outlive their points."""
    judging.runs(noise(20))
    judging.journal.ingest._clock = lambda: START + 60.0 * 20
    judging.journal.clean(90.0)
    assert len(judging.reader.history(1, None, 100)) == 2
    verdict = judging.run(120.0).verdict
    assert (verdict.state, round(verdict.baseline or 0)) == ("unconfirmed", 100)
