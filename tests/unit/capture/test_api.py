"""captureData, to memory and to a journal on disk."""

from __future__ import annotations

import gc
import math
import threading
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from pytest_twisted import inlineCallbacks
from twisted.internet import reactor, task, threads

from bbmeasure import captureData
from bbmeasure.capture.deadlines import WRITE_TIMEOUT
from bbmeasure.capture.state import state_of
from bbmeasure.model import BuildContext
from bbmeasure.storage.sqlite.store import SQLiteStorage
from bbmeasure.testing import BrokenStorage, captured_points
from bbmeasure.times import NANOSECONDS
from tests.unit.capture.masters import Build, Master, read, stop, values_of, with_journal


class TestInBuilds:
    """The build of a point."""

    @inlineCallbacks
    def test_step(self, master: Master) -> Any:
        """The master sets build, builder, worker, revision and branch of a point."""
        step = SimpleNamespace(name="compile", build=Build(master), master=master)
        assert (yield captureData("size", 12, build=step, unit="KiB", better="lower", tags={"target": "core"})) is None
        (point,) = captured_points(master)
        context = BuildContext("first", "bot1", 7, 107, "compile", "abc", "main")
        assert (point.value, point.build, point.tags) == (12 * 1024, context, {"target": "core"})

    @inlineCallbacks
    def test_build(self, master: Master) -> Any:
        """The point of a build has no step."""
        yield captureData("size", 1, build=Build(master))
        (point,) = captured_points(master)
        assert point.build is not None
        assert point.build.step is None

    @inlineCallbacks
    def test_build_of_a_reporter(self, master: Master) -> Any:
        """The point has the reporter's build; a worker's name that a step set is ignored."""
        build = {"builder": {"name": "first"}, "number": 7, "buildid": 107, "results": 0}
        named = {"workername": ("bot1", "Worker"), "revision": ("abc", "Build"), "branch": (None, "Build")}
        for properties in (named, {**named, "workername": ("forged", "SetPropertyFromCommand Step")}, {}):
            yield captureData("size", 1, build={**build, "properties": properties}, master=master)
        assert [point.build for point in captured_points(master)] == [
            BuildContext("first", "bot1", 7, 107, revision="abc", branch="main"),
            BuildContext("first", "", 7, 107, revision="abc", branch="main"),
            BuildContext("first", "", 7, 107, branch="main"),
        ]

    @inlineCallbacks
    def test_build_without_builder(self, master: Master) -> Any:
        """A plain row of the Data API has no name of a builder: the value is refused and counted."""
        yield captureData("size", 1, build={"builderid": 1, "number": 7, "buildid": 107}, master=master)
        assert captured_points(master) == []
        assert state_of(master).pipeline.counters["failed"] == 1

    @pytest.mark.parametrize("build", [5, "first_builder", object()])
    @inlineCallbacks
    def test_not_a_build(self, build: Any, master: Master, logged: list[str]) -> Any:
        """The value is refused, and the message names the expected types."""
        yield captureData("size", 1, build=build, master=master)
        assert captured_points(master) == []
        assert state_of(master).pipeline.counters == {"failed": 1}
        assert any(repr(build)[:5] in line and "expected a build, a step" in line for line in logged)

    @inlineCallbacks
    def test_no_build(self, master: Master) -> Any:
        """Without a build a point has no builder."""
        yield captureData("size", 1)
        assert captured_points(master)[0].build is None

    @inlineCallbacks
    def test_text(self, master: Master) -> Any:
        """A text is stored as text."""
        yield captureData("compiler", "gcc 12")
        assert values_of(master) == ["gcc 12"]

    @inlineCallbacks
    def test_time(self, master: Master) -> Any:
        """``time`` is unix seconds, by default now."""
        yield captureData("size", 1, time=1_700_000_000.5)
        before = reactor.seconds()  # type: ignore[attr-defined]
        yield captureData("size", 2)
        first, second = captured_points(master)
        assert first.time == 1_700_000_000 * NANOSECONDS + NANOSECONDS // 2
        assert before <= second.time / NANOSECONDS <= reactor.seconds()  # type: ignore[attr-defined]


class TestJournal:
    """The journal on disk."""

    @pytest.mark.usefixtures("long_deadlines")
    @inlineCallbacks
    def test_fires_when_on_disk(self, tmp_path: Any) -> Any:
        """Another process reads the point as soon as the Deferred has fired."""
        path = tmp_path / "journal.sqlite"
        made = yield with_journal(path)
        for number in range(3):
            yield captureData("size", number, unit="bytes", build=Build(made))
            points = read(path, "size")
            assert [point.value for point in points] == list(range(number + 1))
        assert points[0].build == BuildContext("first", "bot1", 7, 107, None, "abc", "main")
        yield stop(made)

    @inlineCallbacks
    def test_fires_when_in_memory_before_an_instance(self, tmp_path: Any) -> Any:
        """Without an instance it fires once the value is in memory, from where the first instance's journal gets it."""
        made = Master()
        written = captureData("size", 1, master=made)
        assert written is not None
        assert written.called
        storage = SQLiteStorage(tmp_path / "j.sqlite", reactor=reactor)
        yield state_of(made).pipeline.attach(storage)
        assert [point.value for point in read(tmp_path / "j.sqlite", "size")] == [1.0]
        yield stop(made)

    @inlineCallbacks
    def test_closed_journal(self, tmp_path: Any, logged: list[str]) -> Any:
        """A value after the journal was closed is counted and logged, and raises nothing."""
        made = yield with_journal(tmp_path / "journal.sqlite")
        yield stop(made)
        assert (yield captureData("size", 1, master=made)) is None
        assert state_of(made).pipeline.counters["failed"] == 1
        assert any("closed" in line for line in logged)

    def test_hanging_store(self) -> None:
        """The Deferred fires after WRITE_TIMEOUT."""
        clock = task.Clock()
        made = Master(clock)
        state_of(made).pipeline.attach(BrokenStorage("hang"))
        fired: list[Any] = []
        for arguments in ({}, {"accumulate": True}, {"diff": True}):
            captureData("n", 1, master=made, **arguments).addBoth(fired.append)  # type: ignore[arg-type,union-attr]
        clock.advance(WRITE_TIMEOUT - 0.1)
        assert fired == []
        clock.advance(0.2)
        assert fired == [None] * 3
        assert state_of(made).pipeline.counters["late"] == 3
        assert clock.getDelayedCalls() == []


class TestThreads:
    """Calls from other threads."""

    @inlineCallbacks
    def test_other_thread(self, master: Master) -> Any:
        """A value from another thread is stored by the reactor's thread; the caller gets None and no Deferred."""
        kept_in: list[threading.Thread] = []
        pipeline = state_of(master).pipeline
        write = pipeline.memory.write
        pipeline.memory.write = lambda *given: (kept_in.append(threading.current_thread()), write(*given))[1]  # type: ignore[method-assign]
        for _ in range(3):
            answer = yield threads.deferToThread(captureData, "n", 1, accumulate=True, master=master)
            assert answer is None
        yield threads.deferToThread(captureData, "n", math.nan)
        yield task.deferLater(reactor, 0, lambda: None)  # type: ignore[arg-type]
        assert values_of(master) == [1, 2, 3]
        assert set(kept_in) == {threading.current_thread()}
        assert pipeline.counters["failed"] == 1

    @inlineCallbacks
    def test_value_error_in_another_thread(self, master: Master) -> Any:
        """A ValueError is raised in the calling thread."""
        with pytest.raises(ValueError, match="expected one of them"):
            yield threads.deferToThread(captureData, "n", 1, accumulate=True, diff=True)
        other = Master()
        state_of(other)
        with pytest.raises(ValueError, match="2 masters run"):
            yield threads.deferToThread(captureData, "n", 1)

    @inlineCallbacks
    def test_master_cfg_thread(self) -> Any:
        """Buildbot reads master.cfg in a thread, before any master captures."""
        yield threads.deferToThread(captureData, "n", 1)
        yield task.deferLater(reactor, 0, lambda: None)  # type: ignore[arg-type]
        made = Master()
        assert values_of(made) == [1]


class TestMasters:
    """The choice of the master."""

    @inlineCallbacks
    def test_before_the_first_master(self) -> Any:
        """Values wait in memory for the first master."""
        for value in (5, 6):
            yield captureData("n", value, accumulate=True)
        yield captureData("n", math.nan)
        made = Master()
        assert values_of(made) == [5, 11]
        assert state_of(made).pipeline.counters["failed"] == 1
        yield captureData("n", 1, accumulate=True)
        assert values_of(made) == [5, 11, 12]
        assert values_of(Master()) == []

    def test_several_masters(self, master: Master) -> None:
        """With several running masters, ``master`` or ``build`` must name one; stopped masters do not count."""
        other = Master()
        state_of(other)
        with pytest.raises(ValueError, match="2 masters run in this process: expected master= to say which"):
            captureData("n", 1)
        captureData("n", 2, master=master)
        captureData("n", 3, build=Build(other))
        other.running = False
        captureData("n", 4)
        assert values_of(master) == [2, 4]
        assert values_of(other) == [3]

    def test_freed_master(self, master: Master) -> None:
        """captureData keeps no master alive."""
        other: Optional[Master] = Master()
        state_of(other)
        del other
        gc.collect()
        captureData("n", 1)
        assert values_of(master) == [1]
