"""captureData, to memory and to a journal on disk."""

from __future__ import annotations

import gc
import math
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Optional

import pytest
from pytest_twisted import inlineCallbacks
from twisted.internet import defer, reactor, task, threads
from twisted.logger import globalLogPublisher

from bbmeasure import captureData
from bbmeasure.capture import state
from bbmeasure.capture.deadlines import WRITE_TIMEOUT
from bbmeasure.capture.state import state_of
from bbmeasure.model import BuildContext, Point, Query
from bbmeasure.storage.sqlite.journal import JournalReader
from bbmeasure.storage.sqlite.store import SQLiteStorage
from bbmeasure.testing import BrokenStorage, captured_points
from bbmeasure.times import NANOSECONDS


class Master:
    """The parts of a master that capture needs."""

    def __init__(self, clock: Any = reactor) -> None:
        self.reactor = clock
        self.running = True


class Build:
    """The parts of a build that a point needs."""

    def __init__(self, master: Any, builder: str = "first", **properties: Any) -> None:
        self.master = master
        self.builder = SimpleNamespace(name=builder)
        self.number, self.buildid = 7, 107
        self.getProperty = {"got_revision": {"": "abc"}, "branch": "main", **properties}.get

    def getWorkerName(self) -> str:
        return "bot1"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts without masters."""
    monkeypatch.setattr(state, "_registry", state.Registry())


@pytest.fixture
def master() -> Master:
    """The only running master."""
    made = Master()
    state_of(made)
    return made


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """The messages that are logged."""
    lines: list[str] = []

    def observe(event: Any) -> None:
        lines.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def values_of(master: Any) -> list[Any]:
    return [point.value for point in captured_points(master)]


@inlineCallbacks
def with_journal(path: Any) -> Any:
    """A master with an open journal."""
    made = Master()
    storage = SQLiteStorage(path, reactor=reactor)
    yield state_of(made).pipeline.attach(storage)
    return made


@inlineCallbacks
def stop(master: Any) -> Any:
    """Stop a master and close its journal."""
    master.running = False
    yield state_of(master).pipeline.storage.close()


def read(path: Any, series: str) -> list[Point]:
    """The points of a series, as another process reads them."""
    with JournalReader(path) as reader:
        return reader.points(Query(series), 1_000)


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


@pytest.mark.usefixtures("long_deadlines")
class TestModes:
    """Totals and differences."""

    @inlineCallbacks
    def test_accumulate(self, master: Master) -> Any:
        """The running total is stored, with ``abs_value`` that of absolute values."""
        for value in (5, -2, 4):
            yield captureData("total", value, accumulate=True)
            yield captureData("travelled", value, accumulate=True, abs_value=True)
        points = captured_points(master)
        assert [point.value for point in points if point.series == "total"] == [5, 3, 7]
        assert [point.value for point in points if point.series == "travelled"] == [5, 7, 11]

    @inlineCallbacks
    def test_diff(self, master: Master) -> Any:
        """The difference from the last reported value is stored, and nothing for the first."""
        for value in (10, 13, 13, 9):
            yield captureData("level", value, diff=True)
        assert values_of(master) == [3, 0, -4]

    @inlineCallbacks
    def test_units(self, master: Master) -> Any:
        """Totals are in the base unit, whatever the unit of each value."""
        yield captureData("spent", 1, accumulate=True, unit="min")
        yield captureData("spent", 500, accumulate=True, unit="ms")
        assert values_of(master) == [60, 60.5]

    def test_accumulate_with_diff(self, master: Master) -> None:
        """The combination is a ValueError."""
        with pytest.raises(ValueError, match="expected one of them"):
            captureData("x", 1, accumulate=True, diff=True)

    @inlineCallbacks
    def test_totals_are_separate(self, master: Master) -> Any:
        """Each series, builder and set of tags has a total; workers share it."""
        for number in (1, 10):
            yield captureData("n", number, accumulate=True)
            yield captureData("other", number, accumulate=True)
            yield captureData("n", number, accumulate=True, build=Build(master))
            yield captureData("n", number, accumulate=True, build=Build(master, "second"))
            yield captureData("n", number, accumulate=True, tags={"a": 1})
        assert values_of(master) == [1] * 5 + [11] * 5

    @inlineCallbacks
    def test_restart(self, tmp_path: Any) -> Any:
        """A new master with the same journal continues totals and differences."""
        path = tmp_path / "journal.sqlite"
        for value in (5, 7):
            made = yield with_journal(path)
            yield captureData("total", value, accumulate=True, master=made)
            yield captureData("travelled", -value, accumulate=True, abs_value=True, master=made)
            yield captureData("level", value, diff=True, build=Build(made))
            yield stop(made)
        assert [point.value for point in read(path, "total")] == [5, 12]
        assert [point.value for point in read(path, "travelled")] == [5, 12]
        assert [point.value for point in read(path, "level")] == [2]

    @inlineCallbacks
    def test_values_from_before_the_journal(self, tmp_path: Any) -> Any:
        """Values captured while master.cfg is read continue the totals in the journal, at each start."""
        path = tmp_path / "journal.sqlite"
        for value in (5, 7, 11):
            yield captureData("starts", 1, accumulate=True)
            yield captureData("level", value, diff=True)
            made = yield with_journal(path)
            yield captureData("starts", 1, accumulate=True)
            yield stop(made)
        assert [point.value for point in read(path, "starts")] == [1, 2, 3, 4, 5, 6]
        assert [point.value for point in read(path, "level")] == [2, 4]

    @inlineCallbacks
    def test_concurrent_values(self, tmp_path: Any) -> Any:
        """No value is lost when totals are captured faster than they are written."""
        path = tmp_path / "journal.sqlite"
        made = yield with_journal(path)
        yield defer.gatherResults([captureData("n", 1, accumulate=True, tags={"t": i % 2}) for i in range(1_000)])
        yield stop(made)
        assert max(point.value for point in read(path, "n")) == 500

    @inlineCallbacks
    def test_forget(self, tmp_path: Any) -> Any:
        """After ``bbmeasure forget`` in another process a total starts from zero, beside a running master."""
        from bbmeasure.cli.main import main

        path = tmp_path / "journal.sqlite"
        made = yield with_journal(path)
        for _ in range(2):
            yield captureData("n", 5, accumulate=True, unit="s")
        arguments = ["forget", "n", "--yes", "--master", str(tmp_path), "--journal", str(path)]
        assert (yield threads.deferToThread(main, arguments)) == 0
        yield captureData("n", 7, accumulate=True, unit="bytes")
        assert [point.value for point in read(path, "n")] == [7]
        yield stop(made)


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


BAD: dict[str, dict[str, Any]] = {
    "nan": {"value": math.nan},
    "inf": {"value": -math.inf},
    "too_large": {"value": 10**400},
    "none": {"value": None},
    "a_boolean": {"value": True},
    "a_list": {"value": [1]},
    "bytes": {"value": b"1"},
    "a_long_text": {"value": "x" * 10_000},
    "no_name": {"name": ""},
    "a_name_that_is_none": {"name": None},
    "a_name_with_a_line_break": {"name": "a\nb"},
    "a_long_name": {"name": "n" * 5_000},
    "unit": {"unit": "parsecs"},
    "a_unit_that_is_no_text": {"unit": 5},
    "kind": {"kind": "colour"},
    "better": {"better": "larger"},
    "tags": {"tags": ["a"]},
    "reserved_tag": {"tags": {"builder": "liar"}},
    "many_tags": {"tags": {f"k{n}": "v" for n in range(17)}},
    "a_time_that_is_a_text": {"time": "1700000000"},
    "a_time_that_is_nan": {"time": math.nan},
    "a_time_beyond_all": {"time": 1e300},
    "a_build_that_is_none": {"build": "first_builder"},
    "a_text_to_add": {"value": "x", "accumulate": True},
    "a_text_to_compare": {"value": "x", "diff": True},
}


@pytest.mark.parametrize("bad", list(BAD))
@inlineCallbacks
def test_bad_value(bad: str, master: Master, logged: list[str]) -> Any:
    """Nothing is raised, the Deferred fires with None, one counter is incremented, and a short line is logged."""
    arguments = {"name": "size", "value": 1, **BAD[bad]}
    assert (yield captureData(arguments.pop("name"), arguments.pop("value"), **arguments)) is None
    assert captured_points(master) == []
    counters = state_of(master).pipeline.counters
    assert counters["failed"] + counters["errors"] == 1
    told = [line for line in logged if line.startswith("bbmeasure: value of")]
    assert told
    assert all(len(line) < 1_500 for line in told)
    yield captureData("size", 2)
    assert values_of(master) == [2]


@inlineCallbacks
def test_conflicting_unit(master: Master) -> Any:
    """A value in another unit is refused and counted."""
    yield captureData("size", 1, unit="bytes")
    yield captureData("size", 1, unit="s")
    assert values_of(master) == [1]
    assert state_of(master).pipeline.counters["refused"] == 1


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
