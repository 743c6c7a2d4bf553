"""Values of the finished steps of a running build."""

from __future__ import annotations

from typing import Any

from buildbot.process.buildstep import BuildStep
from buildbot.process.results import FAILURE, SUCCESS
from twisted.internet import defer

from bbmeasure import Gate
from bbmeasure.capture.gates import line_key
from bbmeasure.capture.state import state_of
from bbmeasure.model import Point
from tests.steps.live import Leaves, LiveCase, measured, pause, sqlite


class Asks(BuildStep):  # type: ignore[misc]
    """A step that asks what its build has measured so far, twice."""

    found: list[Point]
    gates: Any
    stored: set[Any]

    @defer.inlineCallbacks
    def run(self) -> Any:
        state = state_of(self.master)
        yield self.build.measure_so_far()
        Asks.gates = state.gates.of_build(self.build.buildid)
        while len(Asks.gates.captured) < 3:
            yield pause()
        Asks.found = yield self.build.measure_so_far()
        Asks.stored = set(Asks.gates.captured)
        return SUCCESS


class TestSoFar(LiveCase):
    """A step in the middle of a build."""

    def builder(self) -> Any:
        """A builder that tracks the steps around ``asks``."""
        steps = [
            Leaves(name="compile", statistics={"warnings": 3}, properties={"p": 5}),
            Leaves(name="test", statistics={"tests-failed": 2}, result=FAILURE, flunkOnFailure=False),
            Asks(name="asks"),
            Leaves(name="last", statistics={"warnings": 4}, properties={"p": 6}),
        ]
        builder = measured(steps=steps)
        builder.trackStepTimes("compile", "last", series="{step}_time", gate=Gate(limit="5 min", level="fail"))
        builder.trackStatistics("warnings", "tests-failed", gate=Gate(limit=9))
        builder.trackProperties("p", "missing", gate=Gate(limit=8))
        return builder

    @defer.inlineCallbacks
    def test_values(self) -> Any:
        """Durations and statistics of finished steps, and properties by now; at the end each point is stored once."""
        yield self.start([self.builder()], [sqlite(trackBuildTimes=True)])
        yield self.build("first")
        so_far = {(point.series, point.tags.get("step", "")): point.value for point in Asks.found}
        duration = so_far.pop(("compile_time", ""))
        assert so_far == {("warnings", "compile"): 3.0, ("tests-failed", "test"): 2.0, ("p", ""): 5.0}
        assert [point.value for point in (yield self.points("compile_time"))] == [duration]
        assert sorted((yield self.values("warnings"))) == [3.0, 4.0]
        assert (yield self.values("p")) == [6.0]
        assert len((yield self.points("build_duration"))) == 1
        waits = yield self.points("lock_duration")  # none before Buildbot 4.0
        assert self.pipeline.counters["captured"] == 8 + len(waits)

    @defer.inlineCallbacks
    def test_identity(self) -> Any:
        """The points are on disk before the build ends, at the times that they have afterwards."""
        yield self.start([self.builder()], [sqlite()])
        yield self.build("first")
        times = {(point.series, point.time) for point in Asks.found if point.series != "p"}
        assert {(key[0], time) for key, time in Asks.stored} == times
        stored = []
        for series in ("compile_time", "warnings", "tests-failed"):
            stored += yield self.points(series)
        assert times <= {(point.series, point.time) for point in stored}

    @defer.inlineCallbacks
    def test_gates(self) -> Any:
        """The gates of the track calls are those of their series; values of a step that failed enter no baseline."""
        yield self.start([self.builder()], [sqlite()])
        yield self.build("first")
        yield self.settle()
        gates = Asks.gates
        names = ("compile_time", "last_time", "warnings", "tests-failed", "p", "other")
        limits = [gates.of(name).limit and gates.of(name).limit.value for name in names]
        assert limits == [300.0, 300.0, 9.0, 9.0, 8.0, None]
        assert gates.excluded == {line_key("tests-failed", {"step": "test"})}
