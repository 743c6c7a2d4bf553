"""Work in threads, and what becomes of work that never ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_twisted import inlineCallbacks
from twisted.internet import defer, reactor, task

from bbmeasure.capture import parser_pool
from bbmeasure.capture.parser_pool import MOST_AT_ONCE, ParserPool
from bbmeasure.errors import LimitError


class Hand(task.Clock):
    """Time that goes on by hand, with the real reactor's threads."""

    def getThreadPool(self) -> Any:
        return reactor.getThreadPool()  # type: ignore[attr-defined]

    def callFromThread(self, function: Any, *arguments: Any) -> None:
        reactor.callFromThread(function, *arguments)  # type: ignore[attr-defined]


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What work that hangs waits for; opened at the end."""
    opened = threading.Event()
    yield opened
    opened.set()


def pause() -> defer.Deferred[None]:
    """A moment of the reactor's time."""
    return task.deferLater(reactor, 0.005, lambda: None)  # type: ignore[arg-type]


@inlineCallbacks
def test_the_result_comes_back_from_another_thread() -> Any:
    """A function runs outside of the reactor's thread and outside of its pool."""
    result = yield ParserPool(reactor).run(20, threading.current_thread)
    assert result is not threading.main_thread()
    assert result.name == "bbmeasure-work"
    assert result.daemon


@inlineCallbacks
def test_an_exception_comes_back() -> Any:
    """What the function raises is what the caller gets, be it SystemExit."""
    for error in (ValueError("no"), SystemExit(3)):

        def fail(error: BaseException = error) -> None:
            raise error

        with pytest.raises(type(error), match=str(error)):
            yield ParserPool(reactor).run(20, fail)


@inlineCallbacks
def test_a_few_run_at_a_time(gate: threading.Event) -> Any:
    """More work than there are slots waits, and is done in the end."""
    running: list[int] = []
    workshop = ParserPool(reactor)
    done = [workshop.run(20, lambda n=n: (running.append(n), gate.wait(20), n)[2]) for n in range(5)]  # type: ignore[misc]
    while len(running) < MOST_AT_ONCE:
        yield pause()
    for _ in range(5):
        yield pause()
    assert sorted(running) == list(range(MOST_AT_ONCE))
    gate.set()
    assert (yield defer.gatherResults(done)) == [0, 1, 2, 3, 4]


@inlineCallbacks
def test_work_that_never_ends_is_given_up(gate: threading.Event) -> Any:
    """Past its limit a function is left alone: its caller hears of it, and other work goes on."""
    clock = Hand()
    workshop = ParserPool(clock)
    heard: list[Any] = []
    hanging = workshop.run(5, lambda: gate.wait(20)).addBoth(lambda result: heard.append(result) or result)
    clock.advance(4.9)
    assert not heard
    clock.advance(0.2)
    assert heard
    with pytest.raises(LimitError, match="not done after 5 s"):
        yield hanging
    assert workshop.stuck == 1
    assert (yield workshop.run(5, lambda: "other")) == "other"
    gate.set()
    while workshop.stuck:
        yield pause()


@inlineCallbacks
def test_too_much_that_never_ends_stops_the_workshop(gate: threading.Event) -> Any:
    """Once as many threads hang no more is begun, nor is what already waited; when they end, work goes on."""
    clock = Hand()
    workshop = ParserPool(clock)
    before = threading.active_count()
    begun: list[int] = []
    done = [workshop.run(5, lambda n=n: (begun.append(n), gate.wait(20))) for n in range(MOST_AT_ONCE + 20)]  # type: ignore[misc]
    clock.pump([6, 6])
    for one in done:
        with pytest.raises(LimitError):
            yield one
    assert len(begun) < 2 * MOST_AT_ONCE
    assert threading.active_count() < before + 2 * MOST_AT_ONCE
    with pytest.raises(LimitError, match="3 pieces of work never ended"):
        yield workshop.run(5, lambda: None)
    gate.set()
    while workshop.stuck:
        yield pause()
    assert (yield workshop.run(5, lambda: "again")) == "again"


@inlineCallbacks
def test_a_bounded_number_waits(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> Any:
    """More than MOST_WAITING pieces of work do not pile up."""
    monkeypatch.setattr(parser_pool, "MOST_WAITING", 3)
    workshop = ParserPool(reactor)
    done = [workshop.run(20, lambda: gate.wait(20)) for _ in range(MOST_AT_ONCE + 3)]
    with pytest.raises(LimitError, match="3 wait"):
        yield workshop.run(20, lambda: None)
    gate.set()
    yield defer.gatherResults(done)
