"""The note in a master's folder that says where its journal is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor, task

from bbmeasure import capture, sources
from bbmeasure.errors import StorageUnavailableError
from bbmeasure.master import journals
from bbmeasure.master.instances import SQLiteInstance
from tests.unit.master.test_influx_services import FakeMaster, configured, started

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
    noted = [sources.noted_journal(folder)]
    for path in ("sub/../own.sqlite", str(tmp_path / "far.sqlite"), "../far.sqlite", "./bbmeasure.sqlite"):
        sibling = SQLiteInstance(path=path)
        configured(master, sibling)
        yield service.reconfigServiceWithSibling(sibling)
        noted.append(sources.noted_journal(folder))
    assert noted == [None, folder / "own.sqlite", tmp_path / "far.sqlite", tmp_path / "far.sqlite", None]
    yield capture.for_master(master).settle()
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
    assert (tmp_path / sources.NOTE).read_text() == "a.sqlite\n"
    yield first.stopService()
    yield second.stopService()
    yield task.deferLater(reactor, 0.02)


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """The note is a help to the commands and no reason for a master not to start."""
    (tmp_path / f"{sources.NOTE}.new").mkdir()
    journals.note(tmp_path, tmp_path / "own.sqlite")
    assert sources.noted_journal(tmp_path) is None
    (tmp_path / sources.NOTE).mkdir()
    journals.note(tmp_path, tmp_path / "own.sqlite")
    with pytest.raises(StorageUnavailableError, match="bbmeasure.journal"):
        sources.noted_journal(tmp_path)
