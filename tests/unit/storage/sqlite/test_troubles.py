"""The current error of an exporter in the journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bbmeasure.cli import main
from bbmeasure.model import Point
from bbmeasure.storage.sqlite import schema
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.storage.sqlite.troubles import MAX_ERROR
from bbmeasure.times import NANOSECONDS
from tests.unit.storage.examples import at
from tests.unit.storage.sqlite.version_1 import make_version_1


def test_an_error_is_kept_until_it_is_cleared(tmp_path: Path) -> None:
    """A journal keeps the last error of each attached exporter with its time."""
    with Journal(tmp_path / "j.sqlite", clock=lambda: 1_000.5) as journal:
        journal.attach_exporter("influx")
        journal.attach_exporter("other")
        assert journal.trouble("influx") is None
        journal.note_trouble("influx", "401")
        journal.note_trouble("influx", "x" * 10_000)
        journal.note_trouble("unknown", "lost")
        found = journal.trouble("influx")
        assert found is not None
        assert (found.time, found.error) == (1_000 * NANOSECONDS, "x" * MAX_ERROR)
        assert (journal.trouble("other"), journal.trouble("unknown")) == (None, None)
        journal.note_trouble("influx", None)
        assert journal.trouble("influx") is None


def test_attaching_and_detaching_clear_it(tmp_path: Path) -> None:
    """An exporter that starts has met no error yet; a detached one leaves no row."""
    with Journal(tmp_path / "j.sqlite") as journal:
        for end in (journal.attach_exporter, journal.detach_exporter):
            journal.attach_exporter("influx")
            journal.note_trouble("influx", "401")
            end("influx")
            assert journal.trouble("influx") is None
        assert journal.connection.execute("SELECT count(*) FROM troubles").fetchone() == (0,)


def test_an_old_file_has_none(tmp_path: Path) -> None:
    """A reader of a file of version 1 knows no error."""
    make_version_1(tmp_path / "j.sqlite", [Point("size", at(0), 1.0)], ["influx"])
    with JournalReader(tmp_path / "j.sqlite") as reader:
        assert schema.version(reader.connection) == 1
        assert reader.trouble("influx") is None


def test_health_shows_it_while_the_master_is_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``bbmeasure health --master`` reads the error from the journal."""
    with Journal(tmp_path / "bbmeasure.sqlite") as journal:
        journal.attach_exporter("influx")
        journal.write([Point("size", at(0), 1.0)])
        journal.note_trouble("influx", "http://bob:hunter2@h:8086: no answer")
    assert main.main(["health", "--master", str(tmp_path), "--json"]) == 0
    (sink,) = json.loads(capsys.readouterr().out)["sinks"]
    assert (sink["backlog"], sink["last_error"]) == (1, "http://***@h:8086: no answer")
    assert main.main(["health", "--master", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "no answer" in shown
    assert "hunter2" not in shown
