"""The note in a master's folder that says where its journal is."""

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
from tests.servers import free_port
from tests.unit.master.services.test_exporters import FakeMaster, configured, influx, started

pytestmark = pytest.mark.usefixtures("long_deadlines")

inlineCallbacks = pytest_twisted.inlineCallbacks


@inlineCallbacks
def test_the_note_follows_the_journal(tmp_path: Path) -> Any:
    """There is one while the journal is another than that by default, wherever that is, and one alone."""
    folder = tmp_path / "master"
    folder.mkdir()
    master = FakeMaster(folder)
    service = SQLiteInstance()
    configured(master, service)
    yield started(master, service)
    noted = [recorded_journal(folder)]
    for path in ("sub/../own.sqlite", str(tmp_path / "far.sqlite"), "../far.sqlite", "./bbmeasure.sqlite"):
        sibling = SQLiteInstance(path=path)
        configured(master, sibling)
        yield service.reconfigServiceWithSibling(sibling)
        noted.append(recorded_journal(folder))
    assert noted == [None, folder / "own.sqlite", tmp_path / "far.sqlite", tmp_path / "far.sqlite", None]
    yield state_of(master).pipeline.settle()
    yield service.stopService()
    yield task.deferLater(reactor, 0.02)


@inlineCallbacks
def test_the_first_of_two_stores_is_noted(tmp_path: Path) -> Any:
    """What the commands read is what the page shows: the store that the configuration has first."""
    master = FakeMaster(tmp_path)
    first, second = SQLiteInstance(path="a.sqlite"), SQLiteInstance(name="second", path="b.sqlite")
    configured(master, first, second)
    yield started(master, first)
    yield started(master, second)
    assert (tmp_path / LOCATION_FILE).read_text() == "a.sqlite\n"
    yield first.stopService()
    yield second.stopService()
    yield task.deferLater(reactor, 0.02)


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """The note is a help to the commands and no reason for a master not to start."""
    (tmp_path / f"{LOCATION_FILE}.new").mkdir()
    record_journal(tmp_path, tmp_path / "own.sqlite")
    assert recorded_journal(tmp_path) is None
    (tmp_path / LOCATION_FILE).mkdir()
    record_journal(tmp_path, tmp_path / "own.sqlite")
    with pytest.raises(StorageUnavailableError, match="bbmeasure.journal"):
        recorded_journal(tmp_path)


class Anybody:
    """Who may see everything."""

    def visible(self) -> defer.Deferred[None]:
        return defer.succeed(None)


@inlineCallbacks
def test_health_tells_of_a_sink_that_no_instance_ships(tmp_path: Path) -> Any:
    """One that was renamed or removed is told with what waits for it, one that is being exchanged is not."""
    master = FakeMaster(tmp_path)
    store, sink = SQLiteInstance(), influx(url=f"http://127.0.0.1:{free_port()}", name="former")
    configured(master, store, sink)
    yield started(master, store)
    yield started(master, sink)
    yield captureData("size", 1.0, master=master)
    pipeline = state_of(master).pipeline
    answering = Endpoints(master, state_of(master), JsonWriter(reactor))

    def sinks() -> Any:
        told = answering.health({}, Anybody())
        return told.addCallback(lambda parts: {one["name"]: one for one in json.loads(b"".join(parts))["sinks"]})

    assert "no instance" not in str((yield sinks())["former"]["last_error"])
    yield sink.stopService()
    assert (yield sinks()) == {}  # configured still
    configured(master, store)
    told = (yield sinks())["former"]
    assert told["last_error"].startswith("no instance has that name any longer")
    assert told["last_error"].endswith("bbmeasure ship --master DIR --sink former --detach")
    assert (told["backlog"], told["counters"]) == (1, {"dropped": 0})
    yield pipeline.storage.detach_exporter("former")  # type: ignore[attr-defined]  # an attribute of this implementation
    assert (yield sinks()) == {}
    yield store.stopService()
    yield task.deferLater(reactor, 0.02)


@inlineCallbacks
def test_health_waits_for_no_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A journal that does not say which sinks it has is counted, and the rest is told."""
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
