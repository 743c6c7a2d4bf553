"""A capture pipeline with a fake clock, a slow store, a master, and the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet import task
from twisted.logger import globalLogPublisher

from bbmeasure.capture import state
from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.capture.state import Registry, state_of
from tests.unit.capture.masters import Master
from tests.unit.capture.stores import SlowStorage


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts without masters."""
    monkeypatch.setattr(state, "_registry", Registry())


@pytest.fixture
def master() -> Master:
    """The only running master."""
    made = Master()
    state_of(made)
    return made


@pytest.fixture
def clock() -> task.Clock:
    """A clock in 2023."""
    clock = task.Clock()
    clock.advance(1_700_000_000.0)
    return clock


@pytest.fixture
def capture(clock: task.Clock) -> Pipeline:
    """A pipeline without a store."""
    return Pipeline(clock)


@pytest.fixture
def slow(capture: Pipeline, clock: task.Clock) -> SlowStorage:
    """A slow store that the pipeline writes to."""
    storage = SlowStorage(clock)
    capture.attach(storage)
    return storage


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """The messages that are logged."""
    lines: list[str] = []

    def observe(event: Any) -> None:
        lines.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)
