"""Capture of finished builds: durations, statistics, properties, each once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from buildbot.process import results as codes
from buildbot.process.properties import Interpolate
from buildbot.process.results import EXCEPTION, FAILURE, SKIPPED, SUCCESS, WARNINGS
from twisted.internet import defer, task
from twisted.trial import unittest

from bbmeasure.capture.identity import Value
from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.capture.plan import ALL, Plan, SeriesOverrides, Switches, Track
from bbmeasure.master.tracking.collector import (
    Collector,
    Finished,
    FinishedStep,
    collect_properties,
    collect_statistics,
    collect_times,
    read_property,
    result_word,
)
from bbmeasure.master.tracking.finished_build import Times
from bbmeasure.model import BuildContext
from bbmeasure.records import Direction, Kind, Record
from bbmeasure.storage.sqlite.location import JOURNAL
from bbmeasure.testing import BrokenStorage
from bbmeasure.times import NANOSECONDS
from tests.steps.live import Leaves, LiveCase, Waits, measured, plain, sqlite

CONTEXT = BuildContext("first", "bot1", 7, 107, project="proj")


def finished(*steps: FinishedStep, **fields: Any) -> Finished:
    values = {"second": 1_700_000_000, "result": "success", "duration": 12.5, "queued": 3.0, "locks": None, **fields}
    return Finished(CONTEXT, "master", steps=steps, **values)


def step(name: str = "compile", number: int = 1, duration: Any = 1.25, **more: Any) -> FinishedStep:
    return FinishedStep(name, number, 1_699_999_990 + number, more.pop("result", "success"), duration, more)


def times_of(build: Finished, plan: Plan = Plan(), switches: Switches = Switches()) -> Collector:  # noqa: B008
    collector = Collector(build, plan.tags)
    collect_times(collector, plan, switches)
    return collector


def values_of(collector: Collector) -> list[tuple[str, Any, dict[str, str]]]:
    """Series, value and all tags of each value."""
    return [
        (value.record.name, value.record.value, {**value.record.tags, **(value.master_tags or {})})
        for value in collector.values
    ]


class TestCollecting(unittest.TestCase):
    """The values of a finished build."""

    def test_result_words(self) -> None:
        """Each result of Buildbot, also an unknown one, has a value of OpenTelemetry."""
        words = [result_word(code) for code in range(len(codes.Results))]
        assert dict(zip(codes.Results, words)) == {
            "success": "success",
            "warnings": "success",
            "failure": "failure",
            "skipped": "skip",
            "exception": "error",
            "retry": "error",
            "cancelled": "cancellation",
        }
        assert (result_word(None), result_word(99)) == ("error", "error")

    def test_durations_win_over_a_worker(self) -> None:
        """A worker that reported a count by the name of a tracked step does not prevent its duration."""
        pipeline = Pipeline(task.Clock())
        pipeline.capture(Value(Record("compile", 3, kind="count"), CONTEXT, limited=True))
        for value in times_of(finished(step()), Plan(step_times=(Track("compile"),))).values:
            self.successResultOf(pipeline.capture(value))
        info = pipeline.memory._infos["compile", "first"]
        assert (info.kind, info.unit) == (Kind.DURATION, "s")

    def test_durations_of_a_build(self) -> None:
        """Durations are in seconds, and lower is better."""
        collector = times_of(finished(), switches=Switches(build_times=True))
        tags = {"result": "success"}
        assert values_of(collector) == [("build_duration", 12.5, tags), ("queue_duration", 3.0, tags)]
        for value in collector.values:
            assert (value.record.kind, value.record.unit, value.record.better) == (Kind.DURATION, "s", Direction.LOWER)
            assert value.context == CONTEXT

    def test_durations_of_steps(self) -> None:
        """A track call uses its own series, the switch ``step_duration``; a step that did not run has no duration."""
        tracks = (
            Track("compile"),
            Track("compile", SeriesOverrides("{builder}.{step}.{project}", tags={"phase": "x"})),
        )
        build = finished(
            step(result="failure"), step("never", 2, None), step("skipped", 3, result="skip"), step("other", 4)
        )
        collector = times_of(build, Plan(step_times=tracks, tags={"on": "linux"}), Switches(step_times=True))
        failed = {"on": "linux", "result": "failure"}
        assert values_of(collector) == [
            ("compile", 1.25, failed),
            ("first.compile.proj", 1.25, {**failed, "phase": "x"}),
            ("step_duration", 1.25, {**failed, "step": "compile"}),
            ("step_duration", 1.25, {"on": "linux", "result": "success", "step": "other"}),
        ]
        assert {value.context.step for value in collector.values if value.context} == {"compile", "other"}

    def test_statistics(self) -> None:
        """Tracked statistics of all steps or one; the switch takes all others."""
        build = finished(step("a", 1, failed=3, passed=5), step("b", 2, failed=4))
        plan = Plan(statistics=(Track("failed"), Track("failed", SeriesOverrides("of_b"), "b")))
        collector = Collector(build, {})
        collect_statistics(collector, plan, Switches(statistics=True))
        assert values_of(collector) == [
            ("failed", 3, {"step": "a"}),
            ("passed", 5, {"step": "a"}),
            ("failed", 4, {"step": "b"}),
            ("of_b", 4, {"step": "b"}),
        ]

    def test_properties(self) -> None:
        """Tracked properties with their values, and the names of missing ones; patterns take numbers only."""
        properties = {"warnings-count": 7, "pylint-error": "12", "pylint-text": "x", "text": "gcc", "none": None}
        plan = Plan(properties=(Track("warnings-count"), Track("text"), Track("none"), Track("unset")))
        collector = Collector(finished(), {})
        missing = list(collect_properties(collector, plan, Switches(properties=("pylint-*", "warn*")), properties))
        assert missing == ["none", "unset"]
        assert values_of(collector) == [("warnings-count", 7, {}), ("text", "gcc", {}), ("pylint-error", 12, {})]

    def test_read_property(self) -> None:
        """A number, also from a text, else a text; None for a number that no float holds."""
        properties = [True, 5, "1_024", " 2.5 ", "1,024", "5 s", "", [1, 2], 10**400, float("nan"), "x" * 10_000]
        assert [read_property(value) for value in properties[:8]] == [1, 5, 1024, 2.5, "1,024", "5 s", "", "[1, 2]"]
        assert read_property(properties[8]) is None
        assert read_property(properties[9]) is None
        assert isinstance(read_property(properties[10]), str)

    def test_refused_statistic(self) -> None:
        """A statistic that is no value is refused, with builder and step in the message; others are collected."""
        collector = Collector(finished(step("a", 1, bad=[1], worse=float("nan"), good=1)), {})
        collect_statistics(collector, Plan(), Switches(statistics=True))
        assert [name for name, _, _ in values_of(collector)] == ["good"]
        assert len(collector.refused) == 2
        assert all("expected" in why for why in collector.refused)
        assert collector.refused[0].startswith(f"'bad' of builder {collector.build.context.builder!r}, step 'a': ")

    def test_times_of_points_are_reproducible(self) -> None:
        """The same build gives the same times within its second; another step, tag, series or build gives others."""
        plan = Plan(step_times=(Track("a"), Track("a", SeriesOverrides("x")), Track("b")))
        build = finished(step("a", 1), step("b", 2), step("b", 3))
        first, again = (times_of(build, plan, ALL).values for _ in range(2))
        assert first == again
        seconds = [value.time // NANOSECONDS for value in first if value.time]
        assert sorted(set(seconds)) == [1_699_999_991, 1_699_999_992, 1_699_999_993, 1_700_000_000]
        times = [value.time for value in first]
        assert len(set(times)) == len(times) == 9
        other = times_of(finished(step("a", 1), result="failure"), plan, ALL).values
        assert not {value.time for value in other if value.record.name == "build_duration"} & set(times)


class TestTimes(unittest.TestCase):
    """Timing of builds and steps."""

    def run_step(self, run: Any) -> tuple[Times, Any, task.Clock]:
        class Step:
            stepid = 5

        clock, step = task.Clock(), Step()
        step.run = run  # type: ignore[attr-defined]
        times = Times(clock)
        times.time_step(step)
        return times, step, clock

    def test_duration_of_a_step(self) -> None:
        """From the call of ``run`` until its Deferred fires, finer than a second."""
        done: defer.Deferred[int] = defer.Deferred()
        times, step, clock = self.run_step(lambda: done)
        clock.advance(100)
        running = step.run()
        clock.advance(1.25)
        done.callback(SUCCESS)
        assert self.successResultOf(running) == SUCCESS
        assert times.steps == {5: 1.25}

    def test_step_that_raises(self) -> None:
        """Its duration is kept, and the exception is passed on."""

        def run() -> int:
            raise ZeroDivisionError("oops")

        times, step, _ = self.run_step(run)
        self.failureResultOf(step.run(), ZeroDivisionError)
        assert times.steps == {5: 0}

    def test_coroutine_step(self) -> None:
        """``async def run`` is timed too."""
        done: defer.Deferred[int] = defer.Deferred()

        async def run() -> int:
            return await done

        times, step, clock = self.run_step(run)
        running = step.run()
        clock.advance(2)
        done.callback(WARNINGS)
        assert self.successResultOf(running) == WARNINGS
        assert times.steps == {5: 2}

    def test_first_end_counts(self) -> None:
        """A second call of build_finished() changes nothing."""
        times = Times(task.Clock())
        times.clock.advance(5)
        times.build_started()
        times.clock.advance(2.5)
        times.build_finished()
        times.clock.advance(10)
        times.build_finished()
        assert (times.started, times.finished) == (5, 7.5)


STEPS = (
    Leaves(name="test", statistics={"tests-failed": 3}, properties={"warnings-count": 7}),
    Leaves(name="next", statistics={"tests-failed": 0}, result=WARNINGS),
)


class TestBuilds(LiveCase):
    """Builds of a real master."""

    @defer.inlineCallbacks
    def test_measured_and_plain_builder(self) -> Any:
        """Each build is captured once: by itself in a measured builder, by the message queue in a plain one."""
        first = measured(steps=STEPS, measureTags={"platform": "linux"})
        first.trackStepTimes("test")
        first.trackStatistics("tests-failed", series="failed")
        first.trackProperties("warnings-count", series="{builder}.warnings")
        yield self.start(
            [first, plain(steps=STEPS)],
            [sqlite(trackBuildTimes=True, trackStepTimes=True, trackStatistics=True, trackProperties=["warn*"])],
        )
        for builder in ("first", "plain"):
            build = yield self.build(builder)
            assert build["results"] == WARNINGS
        for series in ("build_duration", "queue_duration"):
            points = yield self.points(series, JOURNAL)
            assert sorted(point.builder or "" for point in points) == ["first", "plain"]
            assert {point.tags["result"] for point in points} == {"success"}
        steps = yield self.points("step_duration", JOURNAL)
        assert sorted((point.builder, point.tags["step"], point.tags.get("platform")) for point in steps) == [
            ("first", "next", "linux"),
            ("first", "test", "linux"),
            ("plain", "next", None),
            ("plain", "test", None),
        ]
        assert (yield self.values("test", JOURNAL))[0] < 5
        assert sorted((yield self.values("failed", JOURNAL))) == [0, 3]
        assert sorted((yield self.values("tests-failed", JOURNAL))) == [0, 0, 3, 3]
        assert (yield self.values("first.warnings", JOURNAL)) == [7]
        assert (yield self.values("warnings-count", JOURNAL)) == [7, 7]

    @defer.inlineCallbacks
    def test_opted_out(self) -> Any:
        """Without an instance points stay in memory, and no file is created."""
        first = measured(steps=STEPS, trackAll=True)
        yield self.start([first, plain(steps=STEPS)])
        yield self.build("first")
        yield self.build("plain")
        assert self.pipeline.opted_out
        assert sorted((yield self.values("tests-failed"))) == [0, 3]
        assert (yield self.values("warnings-count")) == [7]
        assert len((yield self.values("build_duration"))) == 1

    @defer.inlineCallbacks
    def check_results(self, builders: Sequence[Any], expected: Sequence[tuple[str, int, str]]) -> Any:
        """Each builder's build has its result, and the value of the tag ``result``."""
        yield self.start(builders, [sqlite()])
        for builder, result, word in expected:
            build = yield self.build(builder)
            assert build["results"] == result
            points = yield self.points("build_duration", JOURNAL)
            assert {(point.builder, point.tags["result"]) for point in points} >= {(builder, word)}

    @defer.inlineCallbacks
    def test_results_of_builds(self) -> Any:
        """A build that fails, and one whose step raises, have their values of ``result``."""
        fails = measured("fails", [Leaves(name="a", result=FAILURE)], trackAll=True)
        raises = measured("raises", [Leaves(name="a", result=ZeroDivisionError("oops"))], trackAll=True)
        # The last raises: Buildbot gives the worker no build for ten seconds after it.
        expected = (("fails", FAILURE, "failure"), ("raises", EXCEPTION, "error"))
        yield self.check_results([fails, raises], expected)
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1

    @pytest.mark.buildbot_since("4.3", "a builder has no do_build_if, and no build is skipped")
    def test_result_of_a_skipped_build(self) -> Any:
        """A build that is skipped has its value of ``result``."""
        skips = measured("skips", [Leaves(name="a")], trackAll=True, do_build_if=lambda _: False)
        return self.check_results([skips], [("skips", SKIPPED, "skip")])

    @defer.inlineCallbacks
    def test_missing_property(self) -> Any:
        """A missing property is counted at each build."""
        first = measured(steps=STEPS)
        first.trackProperties("unset")
        yield self.start([first], [sqlite()])
        for _ in range(2):
            yield self.build("first")
        yield self.pipeline.settle()
        assert self.pipeline.counters["missing_property"] == 2

    @defer.inlineCallbacks
    def test_failing_store(self) -> Any:
        """A store that fails or hangs does not change the build; the lost values are counted."""
        yield self.start([measured(steps=STEPS, trackAll=True)])
        for mode in ("fail", "hang"):
            self.pipeline.attach(BrokenStorage(mode))
            build = yield self.build("first")
            assert build["results"] == WARNINGS
            if mode == "fail":
                yield self.settle()
                assert self.pipeline.counters["failed"] > 0
            self.pipeline.detach(self.pipeline.storage)

    @defer.inlineCallbacks
    def test_running_build_keeps_its_tracking(self) -> Any:
        """A reconfig applies from the next build on; the running build is captured once, as it started."""
        Waits.close()

        def builder(series: str) -> Any:
            config = measured(steps=[Waits(name="wait"), Leaves(name="after")])
            config.trackStepTimes("wait", "after", series=series)
            return config

        yield self.start([builder("old")], [sqlite(trackBuildTimes=True)])
        running = self.build("first")
        yield Waits.begun
        yield self.reconfigure([builder("new")], [sqlite(trackBuildTimes=True)])
        Waits.gate.callback(None)
        yield running
        assert len((yield self.values("old", JOURNAL))) == 2
        assert (yield self.values("new", JOURNAL)) == []
        Waits.close()
        Waits.gate.callback(None)
        yield self.build("first")
        assert len((yield self.values("new", JOURNAL))) == 2
        assert len((yield self.values("build_duration", JOURNAL))) == 2

    @defer.inlineCallbacks
    def test_plain_build_across_a_reconfig(self) -> Any:
        """The switches at its end apply; times from before it was followed come from Buildbot's record."""
        for before, after, durations in ((True, True, 1), (False, True, 2), (True, False, 2)):
            Waits.close()
            instances = [sqlite(trackBuildTimes=switch, trackStepTimes=switch) for switch in (before, after)]
            if before is after:
                yield self.start([plain(steps=[Waits(name="wait")])], instances[:1])
            else:
                yield self.reconfigure([plain(steps=[Waits(name="wait")])], instances[:1])
            running = self.build("plain")
            yield Waits.begun
            yield self.reconfigure([plain(steps=[Waits(name="wait")])], instances[1:])
            Waits.gate.callback(None)
            yield running
            assert len((yield self.values("build_duration", JOURNAL))) == durations
        assert len((yield self.values("step_duration", JOURNAL))) == 2

    @defer.inlineCallbacks
    def test_rendered_step_name(self) -> Any:
        """The step is tracked under its rendered name."""
        first = measured(steps=[Leaves(name=Interpolate("on-%(prop:buildername)s"))])
        first.trackStepTimes("on-first", series="time")
        yield self.start([first], [sqlite()])
        yield self.build("first")
        assert len((yield self.values("time", JOURNAL))) == 1
