"""Masters and builds of tests of captureData, and their journals."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pytest_twisted import inlineCallbacks
from twisted.internet import reactor

from bbmeasure.capture.state import state_of
from bbmeasure.model import Point, Query
from bbmeasure.storage.sqlite.journal import JournalReader
from bbmeasure.storage.sqlite.store import SQLiteStorage
from bbmeasure.testing import captured_points


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
