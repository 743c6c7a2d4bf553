"""ParserThreads: threads, time limits, stuck threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_twisted import inlineCallbacks
from twisted.internet import defer, reactor, task

from bbmeasure.capture import parser_threads
from bbmeasure.capture.parser_threads import MAX_THREADS, ParserThreads
from bbmeasure.errors import LimitError


class ThreadClock(task.Clock):
    """A fake clock with the real reactor's threads."""

    def getThreadPool(self) -> Any:
        return reactor.getThreadPool()  # type: ignore[attr-defined]

    def callFromThread(self, function: Any, *arguments: Any) -> None:
        reactor.callFromThread(function, *arguments)  # type: ignore[attr-defined]


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """An event that hanging functions wait for; set at the end."""
    event = threading.Event()
    yield event
    event.set()


def pause() -> defer.Deferred[None]:
    """Let the reactor run."""
    return task.deferLater(reactor, 0.005, lambda: None)  # type: ignore[arg-type]


@inlineCallbacks
def test_runs_in_a_daemon_thread() -> Any:
    """A function runs neither in the reactor's thread nor in its pool."""
    result = yield ParserThreads(reactor).run(20, threading.current_thread)
    assert result is not threading.main_thread()
    assert result.name == "bbmeasure-parser"
    assert result.daemon


@inlineCallbacks
def test_exception() -> Any:
    """The caller gets the exception of the function, also SystemExit."""
    for error in (ValueError("no"), SystemExit(3)):

        def fail(error: BaseException = error) -> None:
            raise error

        with pytest.raises(type(error), match=str(error)):
            yield ParserThreads(reactor).run(20, fail)


@inlineCallbacks
def test_number_of_threads(gate: threading.Event) -> Any:
    """Functions over MAX_THREADS wait, and run in the end."""
    running: list[int] = []
    pool = ParserThreads(reactor)
    done = [pool.run(20, lambda n=n: (running.append(n), gate.wait(20), n)[2]) for n in range(5)]  # type: ignore[misc]
    while len(running) < MAX_THREADS:
        yield pause()
    for _ in range(5):
        yield pause()
    assert sorted(running) == list(range(MAX_THREADS))
    gate.set()
    assert (yield defer.gatherResults(done)) == [0, 1, 2, 3, 4]


@inlineCallbacks
def test_time_limit(gate: threading.Event) -> Any:
    """A function that passes its limit fails with LimitError, and others run."""
    clock = ThreadClock()
    pool = ParserThreads(clock)
    results: list[Any] = []
    hanging = pool.run(5, lambda: gate.wait(20)).addBoth(lambda result: results.append(result) or result)
    clock.advance(4.9)
    assert not results
    clock.advance(0.2)
    assert results
    with pytest.raises(LimitError, match="not done after 5 s"):
        yield hanging
    assert pool.stuck == 1
    assert (yield pool.run(5, lambda: "other")) == "other"
    gate.set()
    while pool.stuck:
        yield pause()


@inlineCallbacks
def test_stuck_threads(gate: threading.Event) -> Any:
    """With MAX_THREADS stuck threads nothing is started, not even what waits; when they end, functions run again."""
    clock = ThreadClock()
    pool = ParserThreads(clock)
    before = threading.active_count()
    started: list[int] = []
    done = [pool.run(5, lambda n=n: (started.append(n), gate.wait(20))) for n in range(MAX_THREADS + 20)]  # type: ignore[misc]
    clock.pump([6, 6])
    for result in done:
        with pytest.raises(LimitError):
            yield result
    assert len(started) < 2 * MAX_THREADS
    assert threading.active_count() < before + 2 * MAX_THREADS
    with pytest.raises(LimitError, match="3 parsers never ended"):
        yield pool.run(5, lambda: None)
    gate.set()
    while pool.stuck:
        yield pause()
    assert (yield pool.run(5, lambda: "again")) == "again"


@inlineCallbacks
def test_queue_is_bounded(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> Any:
    """At most MAX_QUEUED functions wait."""
    monkeypatch.setattr(parser_threads, "MAX_QUEUED", 3)
    pool = ParserThreads(reactor)
    done = [pool.run(20, lambda: gate.wait(20)) for _ in range(MAX_THREADS + 3)]
    with pytest.raises(LimitError, match="3 wait"):
        yield pool.run(20, lambda: None)
    gate.set()
    yield defer.gatherResults(done)
