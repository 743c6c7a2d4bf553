"""The open journals of a master, and the file that records their path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import defer, reactor, task

from bbmeasure import captureData
from bbmeasure.capture.state import state_of
from bbmeasure.errors import StorageUnavailableError
from bbmeasure.master.services import journals
from bbmeasure.master.services.sqlite import SQLiteInstance
from bbmeasure.master.www.endpoints import Endpoints
from bbmeasure.master.www.streaming import JsonWriter
from bbmeasure.storage.sqlite.location import LOCATION_FILE, record_journal, recorded_journal
from bbmeasure.storage.sqlite.store import SQLiteStorage
from bbmeasure.testing.site import free_port
from tests.unit.master.services.test_exporters import FakeMaster, configured, influx, started

pytestmark = pytest.mark.usefixtures("long_deadlines")

inlineCallbacks = pytest_twisted.inlineCallbacks


@inlineCallbacks
def test_recorded_path_follows_the_journal(tmp_path: Path) -> Any:
    """The file exists while the journal has another path than the default, and holds that path."""
    folder = tmp_path / "master"
    folder.mkdir()
    master = FakeMaster(folder)
    service = SQLiteInstance()
    configured(master, service)
    yield started(master, service)
    recorded = [recorded_journal(folder)]
    for path in ("sub/../own.sqlite", str(tmp_path / "far.sqlite"), "../far.sqlite", "./bbmeasure.sqlite"):
        sibling = SQLiteInstance(path=path)
        configured(master, sibling)
        yield service.reconfigServiceWithSibling(sibling)
        recorded.append(recorded_journal(folder))
    assert recorded == [None, folder / "own.sqlite", tmp_path / "far.sqlite", tmp_path / "far.sqlite", None]
    yield state_of(master).pipeline.settle()
    yield service.stopService()
    yield task.deferLater(reactor, 0.02)


@inlineCallbacks
def test_first_of_two_stores_is_recorded(tmp_path: Path) -> Any:
    """Commands read the store that the configuration has first."""
    master = FakeMaster(tmp_path)
    first, second = SQLiteInstance(path="a.sqlite"), SQLiteInstance(name="second", path="b.sqlite")
    configured(master, first, second)
    yield started(master, first)
    yield started(master, second)
    assert (tmp_path / LOCATION_FILE).read_text() == "a.sqlite\n"
    yield first.stopService()
    yield second.stopService()
    yield task.deferLater(reactor, 0.02)


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A path that cannot be recorded does not keep the master from starting."""
    (tmp_path / f"{LOCATION_FILE}.new").mkdir()
    record_journal(tmp_path, tmp_path / "own.sqlite")
    assert recorded_journal(tmp_path) is None
    (tmp_path / LOCATION_FILE).mkdir()
    record_journal(tmp_path, tmp_path / "own.sqlite")
    with pytest.raises(StorageUnavailableError, match="bbmeasure.journal"):
        recorded_journal(tmp_path)


class Anybody:
    """A viewer with all permissions."""

    def visible(self) -> defer.Deferred[None]:
        return defer.succeed(None)


@inlineCallbacks
def test_health_of_an_abandoned_exporter(tmp_path: Path) -> Any:
    """An exporter whose instance was removed is reported with its backlog; one that is being replaced is not."""
    master = FakeMaster(tmp_path)
    store, sink = SQLiteInstance(), influx(url=f"http://127.0.0.1:{free_port()}", name="former")
    configured(master, store, sink)
    yield started(master, store)
    yield started(master, sink)
    yield captureData("size", 1.0, master=master)
    pipeline = state_of(master).pipeline
    endpoints = Endpoints(master, state_of(master), JsonWriter(reactor))

    def sinks() -> Any:
        body = endpoints.health({}, Anybody())
        return body.addCallback(lambda parts: {one["name"]: one for one in json.loads(b"".join(parts))["sinks"]})

    assert "no instance" not in str((yield sinks())["former"]["last_error"])
    yield sink.stopService()
    assert (yield sinks()) == {}  # configured still
    configured(master, store)
    health = (yield sinks())["former"]
    assert health["last_error"].startswith("no instance has that name any longer")
    assert health["last_error"].endswith("bbmeasure ship --master DIR --sink former --detach")
    assert (health["backlog"], health["counters"]) == (1, {"dropped": 0})
    yield pipeline.storage.detach_exporter("former")  # type: ignore[attr-defined]  # an attribute of this implementation
    assert (yield sinks()) == {}
    yield store.stopService()
    yield task.deferLater(reactor, 0.02)


@inlineCallbacks
def test_health_with_a_hanging_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A journal that does not list its exporters in time is counted."""
    monkeypatch.setattr(journals, "JOURNAL_TIMEOUT", 0.01)
    monkeypatch.setattr(SQLiteStorage, "exporters", lambda self: defer.Deferred())
    master = FakeMaster(tmp_path)
    store = SQLiteInstance()
    configured(master, store)
    yield started(master, store)
    pipeline = state_of(master).pipeline
    assert (yield journals.abandoned_exporters(state_of(master))) == []
    assert pipeline.counters["unknown_sinks"] == 1
    yield store.stopService()
    yield task.deferLater(reactor, 0.02)
