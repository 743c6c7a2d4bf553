"""BuildTracker: builds whose events the message queue delivers late or never."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from buildbot.plugins import util
from buildbot.process.results import SUCCESS
from twisted.internet import defer, reactor, task
from twisted.trial import unittest

from bbmeasure.capture.state import state_of
from bbmeasure.master.tracking import events
from bbmeasure.master.tracking.finished_build import Times, read_build
from bbmeasure.model import BuildContext
from bbmeasure.storage.sqlite.location import JOURNAL
from tests.steps.live import Leaves, LiveCase, Waits, measured, pause, plain, read, sqlite

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
#: The number of points of each series in a build of STEPS.
BUILD_POINTS = {
    "build_duration": 1,
    "queue_duration": 1,
    "step_duration": 2,
    "tests-failed": 2,
    "warnings-count": 1,
}


class Queues(Leaves):
    """Waits DELAY seconds for its locks and runs as long."""

    DELAY = 0.6

    @defer.inlineCallbacks
    def acquireLocks(self, res: Any = None) -> Any:
        yield pause(self.DELAY)
        yield super().acquireLocks(res)

    @defer.inlineCallbacks
    def run(self) -> Any:
        yield pause(self.DELAY)
        return SUCCESS


class LateQueue:
    """Delays the events of a master's queue; events of builds with a key in ``lost`` are never delivered."""

    def __init__(self, mq: Any, seconds: float, lost: tuple[str, ...] = ()) -> None:
        self.seconds = seconds
        self.lost = lost
        self._mq, self._produce = mq, mq.produce
        self._delayed: deque[Any] = deque()
        mq.produce = self.produce

    def produce(self, key: Any, data: Any) -> None:
        if key[0] == "builds" and key[-1] in self.lost:
            return
        self._delayed.append((key, data))
        reactor.callLater(self.seconds, lambda: self._produce(*self._delayed.popleft()))  # type: ignore[attr-defined]

    @defer.inlineCallbacks
    def drained(self) -> Any:
        """Deliver all delayed events, and stop delaying."""
        while self._delayed:
            yield pause(0.01)
        self._mq.produce = self._produce


class TestLateEvents(LiveCase):
    """A queue that delivers asynchronously, as WAMP does."""

    @defer.inlineCallbacks
    def counts(self) -> Any:
        counts = {}
        for series in BUILD_POINTS:
            counts[series] = len((yield self.points(series, JOURNAL)))
        return counts

    @defer.inlineCallbacks
    def check_builds(self, seconds: float) -> Any:
        yield self.start([plain(steps=STEPS), measured(steps=STEPS)], [sqlite(**ALL)])
        queue = LateQueue(self.master.mq, seconds)
        for builder in ("plain", "plain", "first", "plain"):
            yield self.build(builder)
        while len((yield self.points("build_duration", JOURNAL))) < 4:
            yield pause(0.01)
        yield queue.drained()
        assert (yield self.counts()) == {series: 4 * count for series, count in BUILD_POINTS.items()}
        for series in ("build_duration", "step_duration"):
            values = yield self.values(series, JOURNAL)
            assert all(0 < value < 20 and not value.is_integer() for value in values), (series, values)
        assert sorted((yield self.values("tests-failed", JOURNAL))) == [0] * 4 + [3] * 4
        assert "build_gone" not in self.pipeline.counters
        assert not state_of(self.master).component(events.BuildTracker)._builds

    def test_events_a_reactor_turn_late(self) -> Any:
        """Each build is captured once and completely where its events arrive a reactor turn later."""
        return self.check_builds(0)

    def test_events_after_the_build(self) -> Any:
        """Each build is captured once and completely where its events arrive long after its end."""
        return self.check_builds(0.05)

    @defer.inlineCallbacks
    def check_wait_for_locks(self, builder: Callable[..., Any]) -> Any:
        lock = util.MasterLock("lock")
        made = builder(steps=[Queues(name="queues", locks=[lock.access("exclusive")])])
        yield self.start([made], [sqlite(**ALL)])
        yield self.build(made.name)
        (worked,) = yield self.values("step_duration", JOURNAL)
        (whole,) = yield self.values("build_duration", JOURNAL)
        assert Queues.DELAY <= worked <= whole - Queues.DELAY

    def test_wait_for_locks(self) -> Any:
        """A step's duration excludes its wait for locks."""
        return self.check_wait_for_locks(measured)

    @pytest.mark.buildbot_since("3.11", "it does not record when a step has its locks")
    def test_wait_for_locks_of_a_plain_builder(self) -> Any:
        """A step's duration on a builder that is no MeasuredBuilderConfig excludes its wait for locks too."""
        return self.check_wait_for_locks(plain)

    @defer.inlineCallbacks
    def test_end_after_a_reconfig(self) -> Any:
        """A build that ends before a reconfig, and whose event arrives after it, is captured once."""
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
        assert (yield self.counts()) == {**BUILD_POINTS, "step_duration": 3}

    @defer.inlineCallbacks
    def test_missed_end(self) -> Any:
        """A build whose end the queue loses is captured after MISSED_AFTER, counted, freed, and not captured again."""
        self.patch(events, "MISSED_AFTER", 0.2)
        yield self.start([plain(steps=STEPS), measured(steps=STEPS)], [sqlite(**ALL)])
        queue = LateQueue(self.master.mq, 0, lost=("finished",))
        for builder in ("plain", "first"):
            yield self.master.data.control("force", {}, ("forceschedulers", f"force-{builder}"))
        while self.pipeline.counters["build_end_missed"] < 2 or len((yield self.points("build_duration", JOURNAL))) < 2:
            yield pause(0.01)
        assert (yield self.counts()) == {series: 2 * count for series, count in BUILD_POINTS.items()}
        assert self.pipeline.counters["build_end_missed"] == 2
        assert not state_of(self.master).component(events.BuildTracker)._builds
        before = yield self.points("build_duration", JOURNAL)
        queue.lost = ()
        for build in (yield self.master.data.get(("builds",))):
            self.master.mq.produce(("builds", str(build["buildid"]), "finished"), build)
        yield queue.drained()
        assert (yield self.points("build_duration", JOURNAL)) == before

    @defer.inlineCallbacks
    def test_last_instance_removed_before_the_end(self) -> Any:
        """A build that has ended is captured when the last instance is removed, and no timer is left."""
        yield self.start([plain(steps=STEPS)], [sqlite(**ALL)])
        queue = LateQueue(self.master.mq, 0, lost=("finished",))
        yield self.master.data.control("force", {}, ("forceschedulers", "force-plain"))
        tracker = state_of(self.master).component(events.BuildTracker)
        while not any(followed.times.finished for followed in tracker._builds.values()):
            yield pause(0.01)
        while self.master.botmaster.builders["plain"].building:
            yield pause(0.01)
        yield queue.drained()
        yield self.reconfigure([plain(steps=STEPS)])
        assert len(read(f"{self.master.basedir}/{JOURNAL}", "build_duration")) == 1
        assert (tracker._builds, tracker._timer) == ({}, None)

    @defer.inlineCallbacks
    def test_limit_of_followed_builds(self) -> Any:
        """A build over the limit is captured from Buildbot's record at its end."""
        self.patch(events, "MAX_BUILDS", 0)
        yield self.start([plain(steps=STEPS)], [sqlite(**ALL)])
        yield self.build("plain")
        assert (yield self.counts()) == {**BUILD_POINTS, "tests-failed": 0}
        assert self.pipeline.counters["build_gone"] == 1

    @defer.inlineCallbacks
    def test_freed_builds_and_other_masters(self) -> Any:
        """A freed build is captured from Buildbot's record and counted; another master's build is not captured."""
        steps = [Leaves(name="test", statistics={"tests-failed": 3}, properties={"warnings-count": 7, "branch": "b"})]
        yield self.start([plain(steps=steps), measured(steps=steps)])
        past = []
        for builder in ("plain", "first"):
            past.append((yield self.build(builder)))
        yield self.reconfigure([plain(steps=steps), measured(steps=steps)], [sqlite(**ALL)])

        def deliver(build: Any) -> None:
            self.master.mq.produce(("builds", str(build["buildid"]), "finished"), build)

        for build in past:
            deliver({**build, "masterid": build["masterid"] + 1})
        deliver(past[1])
        assert set((yield self.counts()).values()) == {0}
        deliver(past[0])
        assert (yield self.counts()) == {**BUILD_POINTS, "step_duration": 1, "tests-failed": 0}
        assert self.pipeline.counters["build_gone"] == 1
        (point,) = yield self.points("warnings-count", JOURNAL)
        # the property that a step set does not decide on the branch
        assert (point.build.build, point.build.worker, point.build.branch) == (past[0]["number"], "local1", "main")
        deliver(past[0])
        assert (yield self.counts())["build_duration"] == 1


class TestRecord(unittest.TestCase):
    """Step durations from Buildbot's record."""

    def read(self, recorded: bool, steps: dict[int, float], *unlocked: int, records_locks: bool = True) -> list[Any]:
        def at(second: int) -> datetime:
            return datetime.fromtimestamp(1_700_000_000 + second, timezone.utc)

        row = {"name": "a", "number": 0, "results": SUCCESS, "locks_acquired_at": None, "complete_at": at(9)}
        rows = [
            {**row, "stepid": 1, "started_at": at(2), "locks_acquired_at": at(2) if records_locks else None},
            {**row, "stepid": 2, "started_at": at(2), "locks_acquired_at": at(5) if records_locks else None},
            {**row, "stepid": 3, "started_at": None},
            {**row, "stepid": 4, "started_at": at(2)},
        ]
        build = {"started_at": at(0), "complete_at": at(10), "results": SUCCESS}
        answers = {("builds", 7): build, ("builds", 7, "steps"): rows}
        master = SimpleNamespace(name="m", data=SimpleNamespace(get=lambda path: defer.succeed(answers[path])))
        times = Times(task.Clock())
        times.steps = steps
        times.unlocked.update(unlocked)
        finished: Any = self.successResultOf(
            read_build(master, BuildContext("b", "w", 1, 7), {}, times, None, recorded=recorded)
        )
        return [step.duration for step in finished.steps]

    def test_steps_without_times(self) -> None:
        """Durations are the record's whole seconds without the wait for locks; a step that did not start has none."""
        assert self.read(True, {}) == [7, 4, None, None]
        assert self.read(False, {}) == [None] * 4

    def test_steps_with_times(self) -> None:
        """The wait for locks is subtracted from durations that include it."""
        assert self.read(True, {1: 7.25, 2: 7.25}) == [7.25, 4.25, None, None]
        assert self.read(True, {1: 7.25, 2: 3.75}, 2) == [7.25, 3.75, None, None]
        assert self.read(False, {1: 7.25, 2: 7.25}) == [7.25, 7.25, None, None]

    def test_step_that_never_acquired_its_locks(self) -> None:
        """It has no duration; a release that does not record locks leaves the measured duration."""
        assert self.read(True, {4: 7.25})[3] is None
        assert self.read(True, {4: 7.25}, records_locks=False) == [7, 7, None, 7.25]
