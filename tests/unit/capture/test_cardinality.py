"""The budgets of a builder's series and lines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from twisted.internet import defer, task

from bbmeasure.capture import cardinality
from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.errors import LimitError, StorageFullError, StorageUnavailableError
from bbmeasure.model import BuildContext, Point
from bbmeasure.storage.memory import MemoryStorage
from tests.unit.capture.stores import BUILD, result_of, value_of

REQUEST = replace(BUILD, buildid=108, branch="main", proposal="refs/pull/1")


class StoreOfOthers(MemoryStorage):
    """A store whose lines are read when ``reading`` fires."""

    def __init__(self) -> None:
        super().__init__()
        self.reading: list[defer.Deferred[None]] = []

    def held_lines(self, builder: str) -> Any:
        self.reading.append(defer.Deferred())
        return self.reading[-1].addCallback(lambda _: MemoryStorage.held_lines(self, builder))


def restarted(storage: MemoryStorage, clock: task.Clock) -> Pipeline:
    """A pipeline of a new process, with the store of the one before."""
    pipeline = Pipeline(clock)
    pipeline.attach(storage)
    return pipeline


def refused(capture: Pipeline, *names: str, build: Any = BUILD, **record: Any) -> list[str]:
    """The names that are refused for their number."""
    results = {name: result_of(capture.capture(value_of(name, build=build, **record))) for name in names}
    assert {type(result) for result in results.values()} <= {type(None), LimitError}
    return [name for name, result in results.items() if result is not None]


def test_series_limit(capture: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """One series too many is refused; known series and other builders are not."""
    monkeypatch.setattr(cardinality, "MAX_SERIES", 3)
    for name in "abc":
        capture.capture(value_of(name))
    error = result_of(capture.capture(value_of("d")))
    assert isinstance(error, LimitError)
    assert "at most 3 series of one builder" in str(error)
    for value in (value_of("a"), value_of("d", build=None), value_of("d", build=BuildContext("other", "w", 1, 1))):
        assert result_of(capture.capture(value)) is None
    assert capture.counters["refused"] == 1


def test_line_limit(capture: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag with ever new values is refused at the limit, also for a running total."""
    monkeypatch.setattr(cardinality, "MAX_LINES", 3)
    for number in range(3):
        capture.capture(value_of(tags={"commit": str(number)}))
    error = result_of(capture.capture(value_of(tags={"commit": "3"})))
    assert "at most 3 series with their tags of one builder" in str(error)
    assert isinstance(result_of(capture.accumulate(value_of(tags={"commit": "4"}), absolute=False)), LimitError)
    assert result_of(capture.capture(value_of(tags={"commit": "1"}))) is None


def test_a_series_that_master_cfg_names(capture: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no new series, whatever a worker has reported before; its tags count."""
    monkeypatch.setattr(cardinality, "MAX_SERIES", 1)
    monkeypatch.setattr(cardinality, "MAX_LINES", 2)
    assert refused(capture, "a", "b") == ["b"]
    named = value_of("own")._replace(named=True)
    assert result_of(capture.capture(named)) is None
    tagged = value_of("own", tags={"commit": "1"})._replace(named=True)
    assert isinstance(result_of(capture.capture(tagged)), LimitError)


def test_proposals_have_a_budget_of_their_own(capture: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """All proposals of a builder share it; what they use up is not taken from the trusted builds, nor the reverse."""
    monkeypatch.setattr(cardinality, "MAX_SERIES", 2)
    monkeypatch.setattr(cardinality, "MAX_PROPOSED_SERIES", 2)
    other = replace(REQUEST, buildid=109, proposal="refs/pull/2")
    assert refused(capture, "a", "b", build=REQUEST) == []
    assert refused(capture, "c", build=other) == ["c"]
    assert refused(capture, "d", "e", "f") == ["f"]
    assert refused(capture, "a", "d", build=other) == []
    assert refused(capture, "a", "b") == []
    error = result_of(capture.capture(value_of("g", build=REQUEST)))
    assert "at most 2 series of the proposals of one builder" in str(error)


def test_a_proposal_cannot_use_up_the_budget_of_a_builder_over_a_restart(
    capture: Pipeline, clock: task.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart the random names of a proposal are refused, the series in the store and new honest ones not."""
    monkeypatch.setattr(cardinality, "MAX_SERIES", 8)
    monkeypatch.setattr(cardinality, "MAX_PROPOSED_SERIES", 5)
    storage = MemoryStorage()
    capture.attach(storage)
    honest = [f"honest{number}" for number in range(6)]
    assert refused(capture, *honest) == []
    for restart in range(3):
        capture = restarted(storage, clock)
        random = [f"random{restart}-{number}" for number in range(20)]
        assert refused(capture, *random, build=REQUEST) == random[0 if restart else 5 :]
        assert refused(capture, *honest) == []
    assert refused(capture, "new1", "new2", "new3") == ["new3"]


def test_the_store_is_read_once(capture: Pipeline, clock: task.Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values wait for the lines of their builder and are are stored at their own times; it is reread a day later."""
    monkeypatch.setattr(cardinality, "MAX_SERIES", 1)
    storage = StoreOfOthers()
    storage.write([Point("held", 1, 1.0, {}, BUILD)])
    capture.attach(storage)
    first, second, third = (capture.capture(value_of(name)) for name in ("held", "new", "held"))
    before = int(clock.seconds())
    clock.advance(10)
    assert len(storage.reading) == 1
    storage.reading[0].callback(None)
    assert (result_of(first), type(result_of(second)), result_of(third)) == (None, LimitError, None)
    times = [point.time // 10**9 for point in storage._by_series["held"][0].points]
    assert times == [0, before, before]
    clock.advance(cardinality.PERIOD)
    storage.forget("held")
    answer = capture.capture(value_of("new"))
    storage.reading[1].callback(None)
    assert (result_of(answer), len(storage.reading)) == (None, 2)


def test_a_store_that_cannot_be_read(capture: Pipeline, clock: task.Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is refused, since the store may contain it; the store is read again some seconds later."""
    monkeypatch.setattr(cardinality, "MAX_SERIES", 1)
    storage = StoreOfOthers()
    capture.attach(storage)
    answers = [capture.capture(value_of(name)) for name in ("a", "b")]
    storage.reading[0].errback(StorageUnavailableError("busy"))
    assert [result_of(answer) for answer in answers] == [None, None]
    assert capture.counters["budget_unknown"] == 1
    clock.advance(cardinality.RETRY)
    answers = [capture.capture(value_of(name)) for name in ("a", "c")]
    storage.reading[1].callback(None)
    assert [type(result_of(answer)) for answer in answers] == [type(None), LimitError]


def test_a_store_that_never_answers(capture: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limited number of values waits for it, also if it is replaced meanwhile."""
    monkeypatch.setattr(cardinality, "MAX_QUEUED", 2)
    storage, other = StoreOfOthers(), StoreOfOthers()
    capture.attach(storage)
    answers = [capture.capture(value_of(name)) for name in ("a", "b", "c")]
    assert isinstance(result_of(answers[2]), StorageFullError)
    capture.attach(other)
    capture.detach(storage)
    storage.reading[0].callback(None)
    other.reading[0].callback(None)
    assert [result_of(answer) for answer in answers[:2]] == [None, None]
    assert list(other._by_series) == ["a", "b"]


def test_the_budget_of_a_master(capture: Pipeline, clock: task.Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of all builders together are limited, those of proposals apart, also after a restart."""
    monkeypatch.setattr(cardinality, "MAX_TOTAL", 3)
    monkeypatch.setattr(cardinality, "MAX_PROPOSED_TOTAL", 2)
    storage = MemoryStorage()
    capture.attach(storage)
    others = [BuildContext(f"b{number}", "w", 1, number) for number in range(4)]
    assert [refused(capture, "n", build=build) for build in others] == [[], [], [], ["n"]]
    capture = restarted(storage, clock)
    assert [refused(capture, "n", build=build) for build in others] == [[], [], [], ["n"]]
    requests = [replace(build, proposal="try") for build in others]
    assert [refused(capture, "m", build=build) for build in requests] == [[], [], ["m"], ["m"]]


def test_memory_per_line(capture: Pipeline) -> None:
    """A line is remembered as one integer, however long its tags are."""
    tags = {f"key{n}": "x" * 1000 for n in range(16)}
    for number in range(50):
        capture.capture(value_of(tags={**tags, "key0": str(number)}))
    lines = capture._budgets._builders["first"].trusted.lines
    assert len(lines) == 50
    assert all(isinstance(line, int) for line in lines)
