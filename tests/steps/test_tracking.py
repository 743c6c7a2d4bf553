"""Builds of plain builders are captured however late, or not at all, the message queue tells of them."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

from buildbot.plugins import util
from buildbot.process.results import SUCCESS
from twisted.internet import defer, reactor, task
from twisted.trial import unittest

from bbmeasure.capture.state import state_of
from bbmeasure.master.tracking import events
from bbmeasure.master.tracking.finished_build import Times, read_build
from bbmeasure.model import BuildContext
from tests.steps.live import JOURNAL, Leaves, LiveCase, Waits, measured, pause, plain, read, sqlite

STEPS = (
    Leaves(name="test", statistics={"tests-failed": 3}, properties={"warnings-count": 7}),
    Leaves(name="next", statistics={"tests-failed": 0}),
)
ALL = {
    "trackBuildTimes": True,
    "trackStepTimes": True,
    "trackStatistics": True,
    "trackProperties": ["warnings-count"],
}
#: How many points a build of STEPS has of each series.
OF_A_BUILD = {"build_duration": 1, "queue_duration": 1, "step_duration": 2, "tests-failed": 2, "warnings-count": 1}


class Queues(Leaves):
    """Waits a while for its locks and works a while."""

    A_WHILE = 0.6

    @defer.inlineCallbacks
    def acquireLocks(self, res: Any = None) -> Any:
        yield pause(self.A_WHILE)
        yield super().acquireLocks(res)

    async def run(self) -> int:
        await pause(self.A_WHILE)
        return SUCCESS


class LateQueue:
    """Hands on what a master's queue is given after a while, in its order; ``lost`` are events that never arrive."""

    def __init__(self, mq: Any, seconds: float, lost: tuple[str, ...] = ()) -> None:
        self.seconds = seconds
        self.lost = lost
        self._mq, self._produce = mq, mq.produce
        self._waiting: deque[Any] = deque()
        mq.produce = self.produce

    def produce(self, key: Any, data: Any) -> None:
        if key[0] == "builds" and key[-1] in self.lost:
            return
        self._waiting.append((key, data))
        reactor.callLater(self.seconds, lambda: self._produce(*self._waiting.popleft()))  # type: ignore[attr-defined]

    @defer.inlineCallbacks
    def drained(self) -> Any:
        """From now on nothing is late; fires when nothing is on its way any longer."""
        while self._waiting:
            yield pause(0.01)
        self._mq.produce = self._produce


class TestLateEvents(LiveCase):
    """A queue that is not synchronous, as WAMP's."""

    @defer.inlineCallbacks
    def counts(self) -> Any:
        found = {}
        for series in OF_A_BUILD:
            found[series] = len((yield self.points(series, JOURNAL)))
        return found

    @defer.inlineCallbacks
    def check_builds(self, seconds: float) -> Any:
        yield self.start([plain(steps=STEPS), measured(steps=STEPS)], [sqlite(**ALL)])
        queue = LateQueue(self.master.mq, seconds)
        for builder in ("plain", "plain", "first", "plain"):
            yield self.build(builder)
        while len((yield self.points("build_duration", JOURNAL))) < 4:
            yield pause(0.01)
        yield queue.drained()
        assert (yield self.counts()) == {series: 4 * count for series, count in OF_A_BUILD.items()}
        for series in ("build_duration", "step_duration"):
            values = yield self.values(series, JOURNAL)
            assert all(0 < value < 20 and not value.is_integer() for value in values), (series, values)
        assert sorted((yield self.values("tests-failed", JOURNAL))) == [0] * 4 + [3] * 4
        assert "build_gone" not in self.pipeline.counters
        assert not state_of(self.master).component(events.BuildTracker)._builds

    def test_a_turn_of_the_reactor(self) -> Any:
        """Each build is captured once and whole where its events arrive a turn of the reactor later."""
        return self.check_builds(0)

    def test_a_twentieth_of_a_second(self) -> Any:
        """Each build is captured once and whole where its events arrive long after the build has ended."""
        return self.check_builds(0.05)

    @defer.inlineCallbacks
    def test_waiting_for_locks(self) -> Any:
        """A step's duration is that of its work, below the second, on both kinds of builder."""
        lock = util.MasterLock("lock")
        steps = [Queues(name="queues", locks=[lock.access("exclusive")])]
        yield self.start([plain(steps=steps), measured(steps=steps)], [sqlite(**ALL)])
        for number, builder in enumerate(("plain", "first")):
            yield self.build(builder)
            worked = yield self.values("step_duration", JOURNAL)
            whole = yield self.values("build_duration", JOURNAL)
            assert Queues.A_WHILE <= worked[number] <= whole[number] - Queues.A_WHILE

    @defer.inlineCallbacks
    def test_a_late_end_across_a_reconfig(self) -> Any:
        """A build that ends before a reconfig and is told of after it is captured once."""
        Waits.close()
        steps = [Waits(name="wait"), *STEPS]
        yield self.start([plain(steps=steps)], [sqlite(**ALL)])
        yield self.master.data.control("force", {}, ("forceschedulers", "force-plain"))
        yield Waits.begun
        queue = LateQueue(self.master.mq, 0.3)
        Waits.gate.callback(None)
        while self.master.botmaster.builders["plain"].building:
            yield pause(0.01)
        assert not (yield self.points("build_duration", JOURNAL))
        yield self.reconfigure([plain("other", steps=STEPS)], [sqlite(**ALL)])
        while not (yield self.points("build_duration", JOURNAL)):
            yield pause(0.01)
        yield queue.drained()
        assert (yield self.counts()) == {**OF_A_BUILD, "step_duration": 3}

    @defer.inlineCallbacks
    def test_an_end_that_is_never_told(self) -> Any:
        """A build whose end the queue loses is captured a while later, counted, let go of, and not captured again."""
        self.patch(events, "LATE", 0.2)
        yield self.start([plain(steps=STEPS), measured(steps=STEPS)], [sqlite(**ALL)])
        queue = LateQueue(self.master.mq, 0, lost=("finished",))
        for builder in ("plain", "first"):
            yield self.master.data.control("force", {}, ("forceschedulers", f"force-{builder}"))
        while self.pipeline.counters["build_end_untold"] < 2 or len((yield self.points("build_duration", JOURNAL))) < 2:
            yield pause(0.01)
        assert (yield self.counts()) == {series: 2 * count for series, count in OF_A_BUILD.items()}
        assert self.pipeline.counters["build_end_untold"] == 2
        assert not state_of(self.master).component(events.BuildTracker)._builds
        before = yield self.points("build_duration", JOURNAL)
        queue.lost = ()
        for build in (yield self.master.data.get(("builds",))):
            self.master.mq.produce(("builds", str(build["buildid"]), "finished"), build)
        yield queue.drained()
        assert (yield self.points("build_duration", JOURNAL)) == before

    @defer.inlineCallbacks
    def test_the_last_instance_goes_before_the_end_is_told(self) -> Any:
        """A build that has ended is captured by then, and nothing waits for its end any longer."""
        yield self.start([plain(steps=STEPS)], [sqlite(**ALL)])
        queue = LateQueue(self.master.mq, 0, lost=("finished",))
        yield self.master.data.control("force", {}, ("forceschedulers", "force-plain"))
        tracker = state_of(self.master).component(events.BuildTracker)
        while not any(one.times.finished for one in tracker._builds.values()):
            yield pause(0.01)
        while self.master.botmaster.builders["plain"].building:
            yield pause(0.01)
        yield queue.drained()
        yield self.reconfigure([plain(steps=STEPS)])
        assert len(read(f"{self.master.basedir}/{JOURNAL}", "build_duration")) == 1
        assert (tracker._builds, tracker._timer) == ({}, None)

    @defer.inlineCallbacks
    def test_no_more_are_followed_than_a_bound(self) -> Any:
        """A build beyond it is captured from Buildbot's record at its end."""
        self.patch(events, "MOST_RUNNING", 0)
        yield self.start([plain(steps=STEPS)], [sqlite(**ALL)])
        yield self.build("plain")
        assert (yield self.counts()) == {**OF_A_BUILD, "tests-failed": 0}
        assert self.pipeline.counters["build_gone"] == 1

    @defer.inlineCallbacks
    def test_builds_that_are_gone_and_those_of_other_masters(self) -> Any:
        """Of a build that is gone Buildbot's record is captured, and that is counted; of another master's nothing."""
        steps = [Leaves(name="test", statistics={"tests-failed": 3}, properties={"warnings-count": 7, "branch": "b"})]
        yield self.start([plain(steps=steps), measured(steps=steps)])
        past = []
        for builder in ("plain", "first"):
            past.append((yield self.build(builder)))
        yield self.reconfigure([plain(steps=steps), measured(steps=steps)], [sqlite(**ALL)])

        def tell(build: Any) -> None:
            self.master.mq.produce(("builds", str(build["buildid"]), "finished"), build)

        for build in past:
            tell({**build, "masterid": build["masterid"] + 1})
        tell(past[1])
        assert set((yield self.counts()).values()) == {0}
        tell(past[0])
        assert (yield self.counts()) == {**OF_A_BUILD, "step_duration": 1, "tests-failed": 0}
        assert self.pipeline.counters["build_gone"] == 1
        (point,) = yield self.points("warnings-count", JOURNAL)
        assert (point.build.build, point.build.worker, point.build.branch) == (past[0]["number"], "local1", "b")
        tell(past[0])
        assert (yield self.counts())["build_duration"] == 1


class TestRecord(unittest.TestCase):
    """What Buildbot's record says of a build's steps."""

    def read(self, recorded: bool, steps: dict[int, float], *unlocked: int, told: bool = True) -> list[Any]:
        def at(second: int) -> datetime:
            return datetime.fromtimestamp(1_700_000_000 + second, timezone.utc)

        row = {"name": "a", "number": 0, "results": SUCCESS, "locks_acquired_at": None, "complete_at": at(9)}
        rows = [
            {**row, "stepid": 1, "started_at": at(2), "locks_acquired_at": at(2) if told else None},
            {**row, "stepid": 2, "started_at": at(2), "locks_acquired_at": at(5) if told else None},
            {**row, "stepid": 3, "started_at": None},
            {**row, "stepid": 4, "started_at": at(2)},
        ]
        build = {"started_at": at(0), "complete_at": at(10), "results": SUCCESS}
        answers = {("builds", 7): build, ("builds", 7, "steps"): rows}
        master = SimpleNamespace(name="m", data=SimpleNamespace(get=lambda path: defer.succeed(answers[path])))
        times = Times(task.Clock())
        times.steps = steps
        times.unlocked.update(unlocked)
        found: Any = self.successResultOf(
            read_build(master, BuildContext("b", "w", 1, 7), {}, times, None, recorded=recorded)
        )
        return [one.duration for one in found.steps]

    def test_steps_that_nobody_saw(self) -> None:
        """Their durations are the record's whole seconds, without waiting for locks; one that never began has none."""
        assert self.read(True, {}) == [7, 4, None, None]
        assert self.read(False, {}) == [None] * 4

    def test_steps_seen_from_their_start(self) -> None:
        """The time that the queue saw is without that for which a step waited for its locks."""
        assert self.read(True, {1: 7.25, 2: 7.25}) == [7.25, 4.25, None, None]
        assert self.read(True, {1: 7.25, 2: 3.75}, 2) == [7.25, 3.75, None, None]
        assert self.read(False, {1: 7.25, 2: 7.25}) == [7.25, 7.25, None, None]

    def test_a_step_that_never_had_its_locks(self) -> None:
        """What was stopped while it waited did no work; a release that does not tell leaves what was seen."""
        assert self.read(True, {4: 7.25})[3] is None
        assert self.read(True, {4: 7.25}, told=False) == [7, 7, None, 7.25]
