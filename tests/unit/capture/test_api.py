"""captureData, from master.cfg's code to memory and to a journal on disk."""

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
    """As much of a master as capturing needs."""

    def __init__(self, clock: Any = reactor) -> None:
        self.reactor = clock
        self.running = True


class Build:
    """As much of a build as a point needs."""

    def __init__(self, master: Any, builder: str = "first", **properties: Any) -> None:
        self.master = master
        self.builder = SimpleNamespace(name=builder)
        self.number, self.buildid = 7, 107
        self.getProperty = {"got_revision": {"": "abc"}, "branch": "main", **properties}.get

    def getWorkerName(self) -> str:
        return "bot1"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No master of another test is known."""
    monkeypatch.setattr(state, "_registry", state.Registry())


@pytest.fixture
def master() -> Master:
    """The only running master; it captures."""
    made = Master()
    state_of(made)
    return made


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What is logged, as people read it."""
    lines: list[str] = []

    def hear(event: Any) -> None:
        lines.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(hear)
    yield lines
    globalLogPublisher.removeObserver(hear)


def values_of(master: Any) -> list[Any]:
    return [point.value for point in captured_points(master)]


@inlineCallbacks
def with_journal(path: Any) -> Any:
    """A master whose journal is there, as after a start."""
    made = Master()
    storage = SQLiteStorage(path, reactor=reactor)
    yield state_of(made).pipeline.attach(storage)
    return made


@inlineCallbacks
def stop(master: Any) -> Any:
    """The master ends."""
    master.running = False
    yield state_of(master).pipeline.storage.close()


def read(path: Any, series: str) -> list[Point]:
    """What another process finds in the journal."""
    with JournalReader(path) as reader:
        return reader.points(Query(series), 1_000)


class TestInBuilds:
    """Who measured."""

    @inlineCallbacks
    def test_a_value_of_a_step(self, master: Master) -> Any:
        """The step's build, builder, worker, revision and branch are the master's to say."""
        step = SimpleNamespace(name="compile", build=Build(master), master=master)
        assert (yield captureData("size", 12, build=step, unit="KiB", better="lower", tags={"target": "core"})) is None
        (point,) = captured_points(master)
        context = BuildContext("first", "bot1", 7, 107, "compile", "abc", "main")
        assert (point.value, point.build, point.tags) == (12 * 1024, context, {"target": "core"})

    @inlineCallbacks
    def test_a_value_of_a_build(self, master: Master) -> Any:
        """A build has no step."""
        yield captureData("size", 1, build=Build(master))
        (point,) = captured_points(master)
        assert point.build is not None
        assert point.build.step is None

    @inlineCallbacks
    def test_a_value_of_what_a_reporter_is_given(self, master: Master) -> Any:
        """It is of that build; a worker's name is Buildbot's own, not one that a step set."""
        build = {"builder": {"name": "first"}, "number": 7, "buildid": 107, "results": 0}
        named = {"workername": ("bot1", "Worker"), "revision": ("abc", "Build"), "branch": (None, "Build")}
        for properties in (named, {**named, "workername": ("forged", "SetPropertyFromCommand Step")}, {}):
            yield captureData("size", 1, build={**build, "properties": properties}, master=master)
        assert [point.build for point in captured_points(master)] == [
            BuildContext("first", "bot1", 7, 107, revision="abc"),
            BuildContext("first", "", 7, 107, revision="abc"),
            BuildContext("first", "", 7, 107),
        ]

    @inlineCallbacks
    def test_a_value_of_a_build_that_says_too_little(self, master: Master) -> Any:
        """A build of the Data API alone has no builder's name: it is refused, and counted."""
        yield captureData("size", 1, build={"builderid": 1, "number": 7, "buildid": 107}, master=master)
        assert captured_points(master) == []
        assert state_of(master).pipeline.counters["failed"] == 1

    @pytest.mark.parametrize("build", [5, "first_builder", object()])
    @inlineCallbacks
    def test_a_value_of_what_is_no_build(self, build: Any, master: Master, logged: list[str]) -> Any:
        """It is refused with a word of what was wanted, which is no error of ours."""
        yield captureData("size", 1, build=build, master=master)
        assert captured_points(master) == []
        assert state_of(master).pipeline.counters == {"failed": 1}
        assert any(repr(build)[:5] in line and "expected a build, a step" in line for line in logged)

    @inlineCallbacks
    def test_a_value_of_nothing(self, master: Master) -> Any:
        """Without a build a point has no builder."""
        yield captureData("size", 1)
        assert captured_points(master)[0].build is None

    @inlineCallbacks
    def test_a_text(self, master: Master) -> Any:
        """A text is kept as one."""
        yield captureData("compiler", "gcc 12")
        assert values_of(master) == ["gcc 12"]

    @inlineCallbacks
    def test_a_time(self, master: Master) -> Any:
        """``time`` is unix seconds; else it is now."""
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
        """The difference from the last reported value is stored, nothing for the first."""
        for value in (10, 13, 13, 9):
            yield captureData("level", value, diff=True)
        assert values_of(master) == [3, 0, -4]

    @inlineCallbacks
    def test_units_are_based_first(self, master: Master) -> Any:
        """What is added is in the base unit, whatever each value came in."""
        yield captureData("spent", 1, accumulate=True, unit="min")
        yield captureData("spent", 500, accumulate=True, unit="ms")
        assert values_of(master) == [60, 60.5]

    def test_both_together_make_no_sense(self, master: Master) -> None:
        """A total of differences is a mistake of who wrote it, and said at once."""
        with pytest.raises(ValueError, match="expected one of them"):
            captureData("x", 1, accumulate=True, diff=True)

    @inlineCallbacks
    def test_each_series_builder_and_tags_counts_for_itself(self, master: Master) -> Any:
        """Nothing is mixed, and a worker is no difference."""
        for number in (1, 10):
            yield captureData("n", number, accumulate=True)
            yield captureData("other", number, accumulate=True)
            yield captureData("n", number, accumulate=True, build=Build(master))
            yield captureData("n", number, accumulate=True, build=Build(master, "second"))
            yield captureData("n", number, accumulate=True, tags={"a": 1})
        assert values_of(master) == [1] * 5 + [11] * 5

    @inlineCallbacks
    def test_both_go_on_after_a_restart(self, tmp_path: Any) -> Any:
        """A new master on the same journal counts on from where the last one stood."""
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
    def test_both_go_on_though_they_came_before_the_journal_was_open(self, tmp_path: Any) -> Any:
        """What master.cfg captures while it is read adds to what the journal holds, each time."""
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
    def test_many_at_once(self, tmp_path: Any) -> Any:
        """Totals that are captured faster than they are written miss nothing."""
        path = tmp_path / "journal.sqlite"
        made = yield with_journal(path)
        yield defer.gatherResults([captureData("n", 1, accumulate=True, tags={"t": i % 2}) for i in range(1_000)])
        yield stop(made)
        assert max(point.value for point in read(path, "n")) == 500

    @inlineCallbacks
    def test_what_is_forgotten_starts_anew(self, tmp_path: Any) -> Any:
        """After ``bbmeasure forget`` in another process, beside a running master, a total begins again."""
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
    """On disk."""

    @pytest.mark.usefixtures("long_deadlines")
    @inlineCallbacks
    def test_it_fires_when_the_point_is_on_disk(self, tmp_path: Any) -> Any:
        """Another process finds the point when the Deferred has fired."""
        path = tmp_path / "journal.sqlite"
        made = yield with_journal(path)
        for number in range(3):
            yield captureData("size", number, unit="bytes", build=Build(made))
            points = read(path, "size")
            assert [point.value for point in points] == list(range(number + 1))
        assert points[0].build == BuildContext("first", "bot1", 7, 107, None, "abc", "main")
        yield stop(made)

    @inlineCallbacks
    def test_a_closed_journal_is_counted(self, tmp_path: Any, logged: list[str]) -> Any:
        """What comes when the journal is closed is counted and logged, and fails nobody."""
        made = yield with_journal(tmp_path / "journal.sqlite")
        yield stop(made)
        assert (yield captureData("size", 1, master=made)) is None
        assert state_of(made).pipeline.counters["failed"] == 1
        assert any("closed" in line for line in logged)

    def test_a_hanging_store_keeps_nobody_waiting(self) -> None:
        """The Deferred fires after WRITE_TIMEOUT, whatever becomes of the value."""
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
    "a_tag_of_the_masters": {"tags": {"builder": "liar"}},
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
def test_a_bad_value_is_counted_and_logged(bad: str, master: Master, logged: list[str]) -> Any:
    """Nothing raises, the Deferred fires with None, one counter goes up, and a short line says why."""
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
def test_one_that_disagrees_with_its_series_is_counted(master: Master) -> Any:
    """A value in another unit is not mixed in."""
    yield captureData("size", 1, unit="bytes")
    yield captureData("size", 1, unit="s")
    assert values_of(master) == [1]
    assert state_of(master).pipeline.counters["refused"] == 1


class TestThreads:
    """From any thread."""

    @inlineCallbacks
    def test_a_foreign_thread_gets_no_answer(self, master: Master) -> Any:
        """A value from a thread is kept by the reactor's; its caller gets None and no Deferred."""
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
    def test_a_mistake_is_raised_in_the_thread(self, master: Master) -> Any:
        """What is a ValueError is one there too."""
        with pytest.raises(ValueError, match="expected one of them"):
            yield threads.deferToThread(captureData, "n", 1, accumulate=True, diff=True)
        other = Master()
        state_of(other)
        with pytest.raises(ValueError, match="2 masters run"):
            yield threads.deferToThread(captureData, "n", 1)

    @inlineCallbacks
    def test_what_master_cfg_captures_reaches_the_first_master(self) -> Any:
        """Buildbot reads master.cfg in a thread, before there is any master that captures."""
        yield threads.deferToThread(captureData, "n", 1)
        yield task.deferLater(reactor, 0, lambda: None)  # type: ignore[arg-type]
        made = Master()
        assert values_of(made) == [1]


class TestMasters:
    """Which master is meant."""

    @inlineCallbacks
    def test_before_there_is_a_master(self) -> Any:
        """Values wait in memory, and the first master has them."""
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
        """Where several run, who captures must say which; a build says it, and one that has stopped does not count."""
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

    def test_a_master_that_is_gone_is_forgotten(self, master: Master) -> None:
        """The layer keeps no master alive."""
        other: Optional[Master] = Master()
        state_of(other)
        del other
        gc.collect()
        captureData("n", 1)
        assert values_of(master) == [1]
