"""The capture pipeline of a master, against stores in memory that are slow, fail or hang as they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional

import pytest
from twisted.internet import defer, task
from twisted.logger import globalLogPublisher

from bbmeasure.capture import cardinality
from bbmeasure.capture import pipeline as module
from bbmeasure.capture.deadlines import PATIENCE
from bbmeasure.capture.identity import Value
from bbmeasure.capture.outgoing import MOST_TOGETHER
from bbmeasure.capture.pipeline import CARRIED_AT_ONCE, KNOWN_FOR, Pipeline
from bbmeasure.capture.plan import Switches
from bbmeasure.errors import (
    LimitError,
    MeasureError,
    SeriesConflictError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
)
from bbmeasure.model import NANOSECONDS, BuildContext, Point, Query, SeriesInfo
from bbmeasure.records import Direction, Kind, Record
from bbmeasure.storage.memory import MemoryStorage
from bbmeasure.testing import BrokenStorage


class SlowStorage(MemoryStorage):
    """Does what it is asked when :meth:`go` lets it, in the order in which it was asked."""

    def __init__(self) -> None:
        super().__init__("slow")
        self.asked: list[tuple[str, Callable[[], Any], defer.Deferred[Any]]] = []
        self.writes: list[int] = []

    def _later(self, what: str, call: Callable[[], Any]) -> Any:
        answer: defer.Deferred[Any] = defer.Deferred()
        self.asked.append((what, call, answer))
        return answer

    def go(self, steps: Optional[int] = None) -> list[str]:
        """Do the next ``steps`` things, or all until none is left."""
        done = []
        while self.asked and (steps is None or len(done) < steps):
            what, call, answer = self.asked.pop(0)
            done.append(what)
            result = call()
            if not answer.called:
                result.chainDeferred(answer)
        return done

    def fail(self, error: Exception) -> None:
        """Fail all that is asked now."""
        asked, self.asked = self.asked, []
        for _, _, answer in asked:
            if not answer.called:
                answer.errback(error)

    def declare(self, info: SeriesInfo, *, override: bool = False) -> Any:
        return self._later("declare", lambda: MemoryStorage.declare(self, info, override=override))

    def write(self, points: Sequence[Point], state: Optional[Mapping[str, float]] = None) -> Any:
        self.writes.append(len(points))
        return self._later("write", lambda: MemoryStorage.write(self, points, state))

    def recall(self, keys: Sequence[str]) -> Any:
        return self._later("recall", lambda: MemoryStorage.recall(self, keys))


@pytest.fixture
def clock() -> task.Clock:
    clock = task.Clock()
    clock.advance(1_700_000_000.0)
    return clock


@pytest.fixture
def capture(clock: task.Clock) -> Pipeline:
    return Pipeline(clock)


@pytest.fixture
def slow(capture: Pipeline) -> SlowStorage:
    """A slow store that the capture pipeline writes to."""
    storage = SlowStorage()
    capture.attach(storage)
    return storage


BUILD = BuildContext("first", "bot1", 7, 107)


def value_of(name: str = "size", value: Any = 1.0, *, build: Optional[BuildContext] = BUILD, **record: Any) -> Value:
    """A value on its way."""
    return Value(Record(name, value, **record), build, limited=True)


def result_of(deferred: defer.Deferred[Any]) -> Any:
    """What a Deferred has fired with, an exception as it is; ``waiting`` where it has not fired."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    if not results:
        return "waiting"
    return getattr(results[0], "value", results[0])


def points_of(storage: Any, series: str = "size") -> list[Point]:
    return list(result_of(MemoryStorage.points(storage, Query(series), 1_000_000)))


def values_in(storage: Any, series: str = "size") -> list[Any]:
    return [point.value for point in points_of(storage, series)]


def info_of(storage: Any, series: str = "size") -> Optional[SeriesInfo]:
    infos = result_of(MemoryStorage.series(storage))
    return next((info for info in infos if info.name == series), None)


class Heard:
    """What was logged, as people read it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, event: Any) -> None:
        self.lines.append(event["log_format"].format(**event))


@pytest.fixture
def heard() -> Any:
    observer = Heard()
    globalLogPublisher.addObserver(observer)
    yield observer.lines
    globalLogPublisher.removeObserver(observer)


class TestSwitches:
    """What is tracked without naming it."""

    def test_switches_of_instances_go_together(self) -> None:
        """What one instance wants is tracked, and no pattern twice."""
        both = Switches(True, properties=("a-*", "b")) | Switches(False, True, properties=("b", "c"))
        assert both == Switches(True, True, properties=("a-*", "b", "c"))

    def test_patterns_of_properties(self) -> None:
        """A pattern is a shell's, and tells capitals apart."""
        switches = Switches(properties=("pylint-*", "exact"))
        assert [name for name in ("pylint-error", "PyLint-x", "exact", "exactly") if switches.wants_property(name)] == [
            "pylint-error",
            "exact",
        ]

    @pytest.mark.parametrize("one", ["build_times", "step_times", "statistics"])
    def test_what_needs_builds(self, one: str) -> None:
        """Each switch but that of the master's metrics needs builds to be followed."""
        assert Switches(**{one: True}).of_builds
        assert Switches(properties=("x",)).of_builds
        assert not Switches(master_metrics=True).of_builds


class TestTime:
    """Each point has a time of its own."""

    def test_no_two_points_share_a_time(self, capture: Pipeline) -> None:
        """While the clock stands still, times go on by a nanosecond each."""
        times = [capture.now() for _ in range(100)]
        assert times == list(range(times[0], times[0] + 100))

    def test_a_clock_set_back_a_little_does_not_show(self, capture: Pipeline, clock: task.Clock) -> None:
        """Within a second times go on, so that the last value stays the last."""
        before = capture.now()
        clock.rightNow -= 0.9
        assert capture.now() == before + 1

    def test_a_clock_set_back_for_good_is_believed(self, capture: Pipeline, clock: task.Clock) -> None:
        """Past a second the clock was wrong before, and is right now."""
        capture.now()
        clock.rightNow -= 3600
        assert capture.now() == int(clock.seconds() * NANOSECONDS)

    def test_a_time_that_is_given_holds(self, capture: Pipeline) -> None:
        """A value that brings its time keeps it."""
        capture.capture(Value(Record("size", 1.0), BUILD, time=5))
        assert points_of(capture.memory)[0].time == 5


class TestValues:
    """Values on their way into the store."""

    def test_a_value_in_its_build(self, capture: Pipeline) -> None:
        """A point has its build, the tags of record and master, and how far the record's samples spread."""
        record = Record("size", samples=[1.0, 2.0, 9.0], unit="ms", tags={"target": "core"})
        assert result_of(capture.capture(Value(record, BUILD, master_tags={"result": "success"}))) is None
        (point,) = points_of(capture.memory)
        assert point.build == BUILD
        assert point.tags == {"target": "core", "result": "success"}
        assert (point.value, point.samples, point.spread) == (0.002, 3, 0.001)

    def test_the_first_to_come_says_what_a_series_is(self, capture: Pipeline) -> None:
        """Kind, unit and direction are the first record's."""
        capture.capture(value_of(unit="bytes", better="lower"))
        info = info_of(capture.memory)
        assert info is not None
        assert (info.kind, info.unit, info.better) == (Kind.SIZE, "bytes", Direction.LOWER)

    def test_one_that_disagrees_is_refused(self, capture: Pipeline) -> None:
        """Another unit or kind is refused with both named, and is not mixed in."""
        capture.capture(value_of(value=1, unit="bytes"))
        for wrong in (
            value_of(value=2, unit="s"),
            value_of(value="text"),
            value_of(value=3, unit="bytes", kind="count"),
        ):
            error = result_of(capture.capture(wrong))
            assert isinstance(error, SeriesConflictError)
            assert "expected size in bytes" in str(error)
        assert values_in(capture.memory) == [1]
        assert capture.counters["refused"] == 3

    def test_a_plain_number_fits_every_kind_of_number(self, capture: Pipeline) -> None:
        """A script need not repeat the kind."""
        capture.capture(value_of(value=1, kind="count"))
        assert result_of(capture.capture(value_of(value=2))) is None
        assert values_in(capture.memory) == [1, 2]

    def test_a_kind_from_master_cfg_holds(self, capture: Pipeline) -> None:
        """A kind that master.cfg gives replaces the one before, but makes no number of a text."""
        capture.capture(value_of(value=1, kind="count"))
        capture.capture(value_of("words", "text"))
        assert result_of(capture.capture(Value(Record("size", 2, kind="number"), BUILD, fixed_kind=True))) is None
        error = result_of(capture.capture(Value(Record("words", 2, kind="count"), BUILD, fixed_kind=True)))
        assert isinstance(error, SeriesConflictError)
        info = info_of(capture.memory)
        assert info is not None
        assert info.kind is Kind.NUMBER

    def test_a_direction_replaces_the_one_before(self, capture: Pipeline) -> None:
        """Who says which way is better is believed; who says nothing changes nothing."""
        for better, holds in ((None, "none"), ("lower", "lower"), (None, "lower"), ("higher", "higher")):
            capture.capture(value_of(better=better))
            info = info_of(capture.memory)
            assert info is not None
            assert info.better.value == holds

    def test_one_refused_value_leaves_the_others(self, capture: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each value has an answer of its own, in the order of the values."""
        monkeypatch.setattr(cardinality, "MOST_SERIES", 2)
        answers = capture.capture_all([value_of("a"), value_of("b"), value_of("c"), value_of("a", 2.0)])
        results = [result_of(answer) for answer in answers]
        assert [type(result) for result in results] == [type(None), type(None), LimitError, type(None)]
        assert values_in(capture.memory, "a") == [1.0, 2.0]

    def test_values_of_known_series_are_one_write(self, capture: Pipeline, slow: SlowStorage) -> None:
        """Many values cost one write once their series are known."""
        capture.capture_all([value_of("a"), value_of("b")])
        slow.go()
        slow.writes.clear()
        answers = capture.capture_all([value_of("a", 2.0), value_of("b", 3.0), value_of("new")])
        assert slow.writes == [2]
        slow.go()
        assert [result_of(answer) for answer in answers] == [None] * 3

    def test_a_new_series_is_asked_for_once(self, capture: Pipeline, slow: SlowStorage) -> None:
        """A hundred values of a series that nobody knows make one question."""
        answers = [capture.capture(value_of(value=n)) for n in range(100)]
        assert [what for what, _, _ in slow.asked] == ["declare"]
        slow.go()
        assert [result_of(answer) for answer in answers] == [None] * 100
        assert values_in(slow) == list(range(100))

    def test_two_that_disagree_at_once(self, capture: Pipeline, slow: SlowStorage) -> None:
        """Of two first values with different units the first holds."""
        answers = [capture.capture(value_of(value=1, unit="s")), capture.capture(value_of(value=2, unit="bytes"))]
        slow.go()
        assert result_of(answers[0]) is None
        assert isinstance(result_of(answers[1]), SeriesConflictError)

    def test_a_forgotten_series_starts_anew(self, capture: Pipeline, slow: SlowStorage, clock: task.Clock) -> None:
        """What another process made the store forget may have another unit at once, and is declared again soon."""
        capture.capture(value_of(value=1, unit="bytes"))
        slow.go()
        slow.forget("size")
        assert result_of(capture.capture(value_of(value=2, unit="s"))) == "waiting"
        slow.go()
        assert values_in(slow) == [2]
        slow.forget("size")
        clock.advance(KNOWN_FOR)
        capture.capture(value_of(value=3, unit="s", better="lower"))
        slow.go()
        info = info_of(slow)
        assert info is not None
        assert (info.unit, info.better) == ("s", Direction.LOWER)

    def test_every_store_gets_every_point(self, capture: Pipeline) -> None:
        """A second store gets what the first gets; its trouble is counted and nobody else's."""
        first, second, broken = MemoryStorage(), MemoryStorage(), BrokenStorage()
        for storage in (first, second, broken):
            capture.attach(storage)
        assert result_of(capture.capture(value_of())) is None
        assert values_in(first) == values_in(second) == [1.0]
        assert capture.counters["copy_failed"] == 2  # its series, its point
        capture.detach(first)
        assert capture.storage is second


class TestLimits:
    """A builder's series, and their tags, are bounded."""

    def test_most_series_of_a_builder(self, capture: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
        """One series too many is refused with the limit; those that are known and other builders go on."""
        monkeypatch.setattr(cardinality, "MOST_SERIES", 3)
        for name in "abc":
            capture.capture(value_of(name))
        error = result_of(capture.capture(value_of("d")))
        assert isinstance(error, LimitError)
        assert "at most 3 series of one builder" in str(error)
        for value in (value_of("a"), value_of("d", build=None), value_of("d", build=BuildContext("other", "w", 1, 1))):
            assert result_of(capture.capture(value)) is None
        assert capture.counters["refused"] == 1

    def test_most_tags_of_a_builder(self, capture: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
        """A tag with ever new values is refused at its limit, also where a running total is meant."""
        monkeypatch.setattr(cardinality, "MOST_STREAMS", 3)
        for number in range(3):
            capture.capture(value_of(tags={"commit": str(number)}))
        assert isinstance(result_of(capture.capture(value_of(tags={"commit": "3"}))), LimitError)
        assert isinstance(result_of(capture.accumulate(value_of(tags={"commit": "4"}), absolute=False)), LimitError)
        assert result_of(capture.capture(value_of(tags={"commit": "1"}))) is None

    def test_what_is_remembered_of_tags_is_small(self, capture: Pipeline) -> None:
        """However long a worker's tags are, a stream costs the master a number."""
        tags = {f"key{n}": "x" * 1000 for n in range(16)}
        for number in range(50):
            capture.capture(value_of(tags={**tags, "key0": str(number)}))
        assert all(isinstance(stream, int) for streams in capture._limits._streams.values() for stream in streams)
        assert len(capture._limits._streams["first"]) == 50


class TestGroups:
    """Values that come while others are on their way."""

    @pytest.fixture(autouse=True)
    def known(self, capture: Pipeline, slow: SlowStorage) -> None:
        """The store has said what the series is."""
        capture.capture(value_of(value=0))
        slow.go()
        slow.writes.clear()

    def test_a_burst_is_two_writes(self, capture: Pipeline, slow: SlowStorage) -> None:
        """The first goes at once, the others together when it has arrived; each has its answer."""
        answers = [capture.capture(value_of(value=n)) for n in range(1, 100)]
        assert slow.writes == [1]
        slow.go(1)
        assert slow.writes == [1, 98]
        assert [result_of(answer) for answer in answers] == [None] + ["waiting"] * 98
        slow.go()
        assert all(answer.called for answer in answers)
        assert values_in(slow) == list(range(100))

    def test_a_store_is_given_all_but_the_last(self, capture: Pipeline, slow: SlowStorage) -> None:
        """One that hangs knows how much waits, so that its own limit holds."""
        for number in range(2 * MOST_TOGETHER + 5):
            capture.capture(value_of(value=number))
        assert slow.writes == [1, MOST_TOGETHER, MOST_TOGETHER]

    def test_one_that_cannot_be_kept_fails_alone(
        self, capture: Pipeline, slow: SlowStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the store refuses one of a group the others are kept; each is counted once."""
        write = slow.write

        def particular(points: Sequence[Point], state: Optional[Mapping[str, float]] = None) -> Any:
            if any(point.value == 2 for point in points):
                return defer.fail(StorageError("no twos"))
            return write(points, state)

        monkeypatch.setattr(slow, "write", particular)
        answers = [capture.capture(value_of(value=number)) for number in range(1, 5)]
        slow.go()
        results = [result_of(answer) for answer in answers]
        assert isinstance(results.pop(1), StorageError)
        assert results == [None, None, None]
        assert values_in(slow) == [0, 1, 3, 4]
        assert capture.counters["captured"] == 5

    def test_what_no_store_can_hold_is_refused_before(self, capture: Pipeline, slow: SlowStorage) -> None:
        """It costs its group nothing, and leaves no series that is empty."""
        bad = Value(Record("new", 5.0), BUILD, time=10**30, limited=True)
        answers = [capture.capture(value) for value in (value_of(value=1), bad, value_of(value=2))]
        assert isinstance(result_of(answers[1]), StorageError)
        slow.go()
        assert slow.writes == [1, 1]
        assert values_in(slow) == [0, 1, 2]
        assert info_of(slow, "new") is None
        assert (capture.counters["captured"], capture.counters["refused"]) == (3, 1)

    def test_a_store_that_raises_is_asked_again(
        self, capture: Pipeline, slow: SlowStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A mistake of a store fails the value, not those that come later."""

        def broken(*_: Any) -> Any:
            raise ValueError("a mistake")

        with monkeypatch.context() as patched:
            patched.setattr(slow, "write", broken)
            assert isinstance(result_of(capture.capture(value_of(value=1))), ValueError)
        answer = capture.capture(value_of(value=2))
        slow.go()
        assert result_of(answer) is None
        assert values_in(slow) == [0, 2]

    def test_a_full_store_is_not_asked_again(self, capture: Pipeline, slow: SlowStorage) -> None:
        """The whole group is told, and the next value is a new try."""
        answers = [capture.capture(value_of(value=n)) for n in range(3)]
        slow.go(1)
        slow.fail(StorageFullError("full"))
        assert [isinstance(result_of(answer), StorageFullError) for answer in answers] == [False, True, True]
        assert slow.writes == [1, 2]
        capture.capture(value_of(value=9))
        assert slow.writes == [1, 2, 1]

    def test_a_stop_waits_for_what_is_not_written_yet(self, capture: Pipeline, slow: SlowStorage) -> None:
        """It is written as soon as it asks; what comes then is waited for."""
        capture.capture(value_of(value=1))
        capture.capture(value_of(value=2))
        assert result_of(capture.settle()) is None
        assert slow.writes == [1, 1]
        capture.capture(value_of(value=3))
        work: defer.Deferred[None] = defer.Deferred()
        capture.follow(work)
        settled = capture.settle()
        capture.capture(value_of(value=4))
        work.callback(None)
        assert result_of(settled) == "waiting"
        slow.go()
        assert result_of(settled) is None
        assert values_in(slow) == [0, 1, 2, 3, 4]

    def test_a_store_that_goes_gets_what_came_before(self, capture: Pipeline, slow: SlowStorage) -> None:
        """A stop closes it after that; what comes later is for the one that takes its place."""
        for number in range(1, 4):
            capture.capture(value_of(value=number))
        capture.detach(slow)
        assert slow.writes == [1, 2]
        answer = capture.capture(value_of(value=9))
        assert result_of(answer) is None
        slow.go()
        assert values_in(slow) == [0, 1, 2, 3]
        assert values_in(capture.memory) == [9]


class TestTrouble:
    """A store that fails, hangs, or answers late."""

    def test_a_failing_store_is_told(self, capture: Pipeline) -> None:
        """Who asks hears what the store said."""
        capture.attach(BrokenStorage("fail"))
        error = result_of(capture.capture(value_of()))
        assert isinstance(error, StorageUnavailableError)
        assert str(error) == "broken: told to fail"

    def test_patience_has_an_end(self, capture: Pipeline, slow: SlowStorage, clock: task.Clock) -> None:
        """What callers wait for fires after PATIENCE; the point goes on and gets there."""
        answer = capture.capture(value_of(), capture.promise("value of", "size"))
        clock.advance(PATIENCE - 0.1)
        assert result_of(answer) == "waiting"
        clock.advance(0.2)
        assert result_of(answer) is None
        assert capture.counters["late"] == 1
        slow.go()
        assert values_in(slow) == [1.0]

    def test_what_fails_after_all_is_counted(self, capture: Pipeline, slow: SlowStorage, clock: task.Clock) -> None:
        """A point that nobody waits for any longer and that is lost then is not lost in silence."""
        capture.capture(value_of(), capture.promise("value of", "size"))
        capture.never_fail(capture.accumulate(value_of("total"), absolute=False), "value of")
        clock.advance(PATIENCE + 1)
        slow.fail(StorageUnavailableError("gone"))
        assert capture.counters["failed_late"] == 2

    def test_one_timer_for_all(self, capture: Pipeline, slow: SlowStorage, clock: task.Clock) -> None:
        """A thousand that wait cost one timer, each is late in its own time, and none is left when nobody waits."""
        answers = []
        for _ in range(1000):
            answers.append(capture.capture(value_of(), capture.promise("value of", "size")))
            clock.advance(0.001)
        assert len(clock.getDelayedCalls()) == 1
        clock.advance(PATIENCE - 0.5)
        late = [answer for answer in answers if answer.called]
        assert 400 < len(late) < 600
        assert late == answers[: len(late)]
        slow.go()
        assert all(answer.called for answer in answers)
        assert clock.getDelayedCalls() == []
        assert not capture._waiting

    def test_who_stops_waiting_stops_nothing(self, capture: Pipeline, slow: SlowStorage) -> None:
        """A Deferred that is cancelled leaves its value on its way, be the series known or not."""
        for number in range(2):
            answer = capture.capture(value_of(value=number))
            answer.addErrback(lambda _: None)
            answer.cancel()
            slow.go()
        assert values_in(slow) == [0.0, 1.0]

    def test_a_caller_that_cancels_is_no_error(self, capture: Pipeline, slow: SlowStorage) -> None:
        """Who cancels what captureData gave hears nothing, and it is counted."""
        answer = capture.capture(value_of(), capture.promise("value of", "size"))
        answer.cancel()
        assert result_of(answer) is None
        assert capture.counters["cancelled"] == 1
        slow.go()

    def test_values_that_wait_for_an_answer_are_bounded(
        self, capture: Pipeline, slow: SlowStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A store that never says what a series is, or where a total stands, holds so many values and no more."""
        monkeypatch.setattr(module, "MOST_HELD", 10)
        answers = [capture.capture(value_of(value=n)) for n in range(8)]
        answers += [capture.accumulate(value_of("total", n), absolute=False) for n in range(8)]
        results = [result_of(answer) for answer in answers]
        assert results[:10] == ["waiting"] * 10
        assert all(isinstance(result, StorageFullError) for result in results[10:])
        assert len(slow.asked) == 2
        slow.go()
        assert values_in(slow) == list(range(8))
        assert values_in(slow, "total") == [0, 1]
        assert capture._held == 0

    def test_an_unexpected_error_is_logged(self, capture: Pipeline, heard: list[str]) -> None:
        """A mistake in a store or in here is counted apart, with its place in the log."""
        assert result_of(capture.never_fail(defer.fail(ZeroDivisionError("oops")), "value of", "size")) is None
        assert capture.counters["errors"] == 1
        assert any("ZeroDivisionError: oops" in line for line in heard)

    def test_a_repeated_trouble_does_not_fill_the_log(self, capture: Pipeline, heard: list[str]) -> None:
        """The first ten are said, then each thousandth."""
        for _ in range(2_500):
            capture.count("failed", "the same again")
        assert len([line for line in heard if "the same again" in line]) == 12
        assert capture.counters["failed"] == 2_500
        capture.count("failed", "many at once", by=10_000)
        assert heard[-1] == "bbmeasure: many at once (failed 12500)"

    def test_what_is_said_once(self, capture: Pipeline, heard: list[str]) -> None:
        """Counted each time, said once for each builder and property."""
        for builder in ("a", "b", "a"):
            capture.count_once("missing", (builder, "prop"), "not set")
        assert capture.counters["missing"] == 3
        assert [line for line in heard if "not set" in line] == [
            "bbmeasure: a prop: not set",
            "bbmeasure: b prop: not set",
        ]


class TestTotals:
    """Running totals and differences."""

    def total(self, capture: Pipeline, value: float, name: str = "size", absolute: bool = False, **more: Any) -> Any:
        return capture.accumulate(value_of(name, value, **more), absolute=absolute)

    def test_a_total_runs(self, capture: Pipeline) -> None:
        """Each value stores the total so far, that of absolute values where it is wanted."""
        for value in (5, -2, 4):
            self.total(capture, value)
            self.total(capture, value, "absolute", absolute=True)
        assert values_in(capture.memory) == [5, 3, 7]
        assert values_in(capture.memory, "absolute") == [5, 7, 11]

    def test_a_difference(self, capture: Pipeline) -> None:
        """The first value stores nothing, each later one the difference from the one before."""
        for value in (10, 13, 9):
            assert result_of(capture.difference(value_of(value=value))) is None
        assert values_in(capture.memory) == [3, -4]

    def test_each_series_builder_and_tags_has_its_own(self, capture: Pipeline) -> None:
        """Totals are not mixed."""
        other = BuildContext("second", "bot1", 1, 1)
        for more in ({}, {"tags": {"a": "b"}}, {"build": other}, {"build": None}):
            self.total(capture, 1, **more)
            self.total(capture, 10, **more)
        self.total(capture, 5, "other")
        assert sorted(values_in(capture.memory)) == [1] * 4 + [11] * 4
        assert values_in(capture.memory, "other") == [5]

    def test_another_worker_goes_on_with_the_total(self, capture: Pipeline) -> None:
        """A total is its builder's, whichever worker built."""
        self.total(capture, 1)
        self.total(capture, 1, build=BuildContext("first", "bot2", 8, 108))
        assert values_in(capture.memory) == [1, 2]

    def test_values_that_come_at_once_are_added_one_after_the_other(self, capture: Pipeline, slow: SlowStorage) -> None:
        """A thousand values while the store has not yet said where the total stands make as many steps."""
        MemoryStorage.write(slow, [], {'["total", "size", "first", {}]': 100.0})
        answers = [self.total(capture, 1) for _ in range(1_000)]
        slow.go()
        assert [result_of(answer) for answer in answers] == [None] * 1_000
        assert values_in(slow) == list(range(101, 1_101))

    def test_nothing_is_remembered_that_is_on_disk(self, capture: Pipeline, slow: SlowStorage) -> None:
        """What another process makes the store forget starts anew, and old totals take no memory."""
        for _ in range(2):
            self.total(capture, 5)
            self.total(capture, 5)
            slow.go()
            assert values_in(slow) == [5, 10]
            slow.forget("size")
        assert not capture._totals._queues
        assert not capture._totals._unwritten

    def test_a_total_whose_write_failed_is_not_lost(self, capture: Pipeline, slow: SlowStorage) -> None:
        """The point is, but what it added is in the next."""
        first = self.total(capture, 5)
        slow.go(2)
        slow.fail(StorageFullError("full"))
        assert isinstance(result_of(first), StorageFullError)
        self.total(capture, 1)
        slow.go()
        assert values_in(slow) == [6]

    def test_a_text_is_no_number(self, capture: Pipeline) -> None:
        """A text has no total."""
        for call in (lambda value: capture.accumulate(value, absolute=False), capture.difference):
            with pytest.raises(MeasureError, match="expected a number to accumulate or compare"):
                call(value_of(value="text"))

    def test_a_total_stays_a_number(self, capture: Pipeline) -> None:
        """What no float holds is refused, and the total stays where it was."""
        self.total(capture, 1e308)
        assert isinstance(result_of(self.total(capture, 1e308)), MeasureError)
        self.total(capture, -1e308)
        assert values_in(capture.memory) == [1e308, 0]


class TestStoresComeAndGo:
    """Points wait in memory until there is a store."""

    def test_what_waited_is_carried_over(self, capture: Pipeline) -> None:
        """Points, what their series are, and totals are in the store, and memory is empty."""
        capture.capture(value_of(value=1, unit="bytes", better="lower"))
        capture.accumulate(value_of("total", 5), absolute=False)
        storage = MemoryStorage()
        assert result_of(capture.attach(storage)) is None
        assert values_in(storage) == [1]
        info = info_of(storage)
        assert info is not None
        assert (info.unit, info.better) == ("bytes", Direction.LOWER)
        capture.accumulate(value_of("total", 2), absolute=False)
        assert values_in(storage, "total") == [5, 7]
        assert capture.memory.is_empty()
        assert not capture.opted_out

    def test_totals_from_before_the_store_was_there_go_on(self, capture: Pipeline, clock: task.Clock) -> None:
        """After a restart, what was captured before the journal was open counts on from what it holds."""
        storage = MemoryStorage()
        before = Pipeline(clock)
        before.attach(storage)
        for value in (90, 10):
            before.accumulate(value_of("runs", value), absolute=False)
            before.difference(value_of("level", value))
        clock.advance(60)
        capture.accumulate(value_of("runs", 1), absolute=False)
        capture.accumulate(value_of("runs", 1), absolute=False)
        capture.accumulate(value_of("runs", 1, tags={"other": "tags"}), absolute=False)
        capture.difference(value_of("level", 14))
        capture.difference(value_of("level", 12))
        capture.attach(storage)
        capture.accumulate(value_of("runs", 1), absolute=False)
        capture.difference(value_of("level", 20))
        assert values_in(storage, "runs") == [90, 100, 101, 102, 1, 103]
        assert values_in(storage, "level") == [-80, 4, -2, 8]

    def test_one_series_in_conflict_loses_itself_alone(self, capture: Pipeline) -> None:
        """A series that the store knows as something else is refused, counted, and takes no other with it."""
        storage = MemoryStorage()
        storage.declare(SeriesInfo("a", Kind.SIZE, "bytes"))
        for name in ("a", "b"):
            capture.capture(value_of(name, 1, unit="s"))
        capture.attach(storage)
        assert values_in(storage, "a") == []
        assert values_in(storage, "b") == [1]
        assert capture.counters["carry_over_failed"] == 1

    def test_many_points_are_carried_in_slices(self, capture: Pipeline) -> None:
        """The reactor gets its turn after each so many points."""
        for number in range(2 * CARRIED_AT_ONCE + 1):
            capture.capture(value_of(value=number))
        slow = SlowStorage()
        capture.attach(slow)
        slow.go()
        assert slow.writes == [CARRIED_AT_ONCE, CARRIED_AT_ONCE, 1, 0]
        assert values_in(slow) == list(range(2 * CARRIED_AT_ONCE + 1))

    def test_what_cannot_be_carried_over_is_counted(self, capture: Pipeline) -> None:
        """A store that fails loses what waited, and says how much."""
        for number in range(5):
            capture.capture(value_of(value=number))
        assert result_of(capture.attach(BrokenStorage("fail"))) is None
        assert capture.counters["carry_over_failed"] == 5

    def test_totals_wait_for_what_is_carried_over(self, capture: Pipeline) -> None:
        """Values that come while memory is carried over, of however many series, are added after it."""
        capture.accumulate(value_of(value=5), absolute=False)
        slow = SlowStorage()
        capture.attach(slow)
        answers = [capture.accumulate(value_of(name, 1), absolute=False) for name in ["size", *map(str, range(1_000))]]
        slow.go()
        assert [result_of(answer) for answer in answers] == [None] * 1_001
        assert values_in(slow) == [5, 6]

    def test_a_store_that_goes_leaves_memory(self, capture: Pipeline) -> None:
        """Without a store values wait in memory, for the next one."""
        first, second = MemoryStorage(), MemoryStorage()
        capture.attach(first)
        capture.detach(first)
        assert capture.opted_out
        capture.capture(value_of())
        assert values_in(first) == []
        capture.attach(second)
        assert values_in(second) == [1.0]

    def test_a_store_that_goes_while_it_is_asked(self, capture: Pipeline, slow: SlowStorage) -> None:
        """Values whose series or total it was asked for go to the one that takes its place, declared there."""
        answers = [capture.capture(value_of(value=1, unit="bytes"))]
        answers.append(capture.accumulate(value_of("total", 5), absolute=False))
        other = MemoryStorage()
        MemoryStorage.write(other, [], {'["total", "total", "first", {}]': 100.0})
        capture.detach(slow)
        capture.attach(other)
        slow.fail(StorageUnavailableError("closed"))
        assert result_of(answers[0]) is None
        assert values_in(other) == [1]
        info = info_of(other)
        assert info is not None
        assert info.unit == "bytes"
        assert isinstance(result_of(answers[1]), StorageUnavailableError) or values_in(other, "total") == [105]

    def test_a_store_is_there_once(self, capture: Pipeline) -> None:
        """Attached twice, it gets each point once."""
        first, storage = MemoryStorage(), MemoryStorage()
        for one in (first, storage, storage):
            capture.attach(one)
        assert capture.stores == [first, storage]

    def test_adopt(self, capture: Pipeline, clock: task.Clock) -> None:
        """A pipeline adopts the points, counters and totals of another that kept them in memory."""
        capture.accumulate(value_of(value=5), absolute=False)
        capture.counters["failed"] = 3
        other = Pipeline(clock)
        other.adopt(capture)
        other.accumulate(value_of(value=1), absolute=False)
        assert values_in(other.storage) == [5, 6]
        assert other.counters["failed"] == 3
        assert other.opted_out


class TestSettling:
    """What a stop waits for."""

    def test_nothing_to_wait_for(self, capture: Pipeline) -> None:
        """With nothing on its way a stop waits for nothing."""
        assert result_of(capture.settle()) is None

    def test_followed_work_is_waited_for(self, capture: Pipeline) -> None:
        """Work that nobody else waits for, also that which it leads to."""
        works: list[defer.Deferred[None]] = [defer.Deferred(), defer.Deferred()]
        works[0].addCallback(lambda _: capture.follow(works[1]))
        capture.follow(works[0])
        settled = capture.settle()
        works[0].callback(None)
        assert result_of(settled) == "waiting"
        works[1].errback(ValueError("a mistake"))
        assert result_of(settled) is None
        assert capture.counters["errors"] == 1

    def test_questions_are_waited_for(self, capture: Pipeline, slow: SlowStorage) -> None:
        """Values that are held until the store has answered reach it before a stop closes it."""
        capture.capture(value_of())
        capture.accumulate(value_of("total"), absolute=False)
        settled = capture.settle()
        slow.go(1)
        assert result_of(settled) == "waiting"
        slow.go(2)
        assert result_of(settled) == "waiting"
        slow.go(1)
        assert result_of(settled) is None
        assert slow.writes == [1, 1]

    def test_waiting_may_be_given_up(self, capture: Pipeline, slow: SlowStorage) -> None:
        """Who cancels hears no more of it."""
        capture.capture(value_of())
        settled = capture.settle()
        settled.addErrback(lambda _: "given up")
        settled.cancel()
        assert result_of(settled) == "given up"
        slow.go()


def test_an_answer_that_does_not_come_is_an_error(capture: Pipeline, clock: task.Clock) -> None:
    """What is asked beside a build fails after PATIENCE, in words."""
    asked = capture.within_patience(defer.Deferred())
    clock.advance(PATIENCE + 0.1)
    assert str(result_of(asked)) == "no answer within 1 s"


def test_points_of_a_bad_day_fail_alone(capture: Pipeline) -> None:
    """A value that the store cannot hold fails, and the next one is kept."""
    impossible = Value(Record("size", 1.0), BUILD, time=10**30)
    error = result_of(capture.capture(impossible))
    assert isinstance(error, MeasureError)
    assert result_of(capture.capture(value_of(value=2))) is None
    assert values_in(capture.memory) == [2]
