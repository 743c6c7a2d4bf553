"""A journal that is deleted, moved or replaced while it is open, or loses its -wal; a read-only one."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import inlineCallbacks
from twisted.internet import defer

from bbmeasure.model import Point, Query, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.storage.sqlite import writer_thread
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.storage.sqlite.store import SQLiteStorage
from tests.unit.storage.examples import at, fill, values_of
from tests.unit.storage.sqlite.helpers import until

SIZE = SeriesInfo("size", Kind.SIZE, "bytes")


@pytest.fixture(autouse=True)
def frequent_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the files every few milliseconds."""
    monkeypatch.setattr(writer_thread, "_CHECK_INTERVAL", 0.02)


def files_of(path: Path) -> list[Path]:
    """The files of a journal that exist."""
    return [found for end in ("", "-wal", "-shm") if (found := Path(f"{path}{end}")).exists()]


@inlineCallbacks
def opened(open_storage: Any) -> Any:
    """A store with a declaration, an exporter, three points, and open readers."""
    storage = open_storage()
    yield storage.declare(SIZE)
    yield storage.attach_exporter("influx")
    yield fill(storage, [1.0, 2.0, 3.0])
    yield defer.gatherResults([storage.series(), storage.last(Query("size")), storage.points(Query("size"), 9)])
    return storage


@pytest.mark.parametrize("ends", [("",), ("", "-wal", "-shm")])
@inlineCallbacks
def test_a_deleted_file(open_storage: Any, tmp_path: Path, ends: tuple[str, ...]) -> Any:
    """It is noticed while nothing is written, said, and a new file is begun with declarations and exporters."""
    storage = yield opened(open_storage)
    for end in ends:
        Path(f"{tmp_path / 'j.sqlite'}{end}").unlink()
    yield until(lambda: storage.health().counters["lost_files"] and (tmp_path / "j.sqlite").exists())
    yield storage.write([Point("size", at(9), 9.0)])
    assert "was deleted or moved while it was open" in storage.health().last_error
    assert values_of((yield storage.points(Query("size"), 9))) == [9.0]
    assert [(info.kind, info.unit, info.count) for info in (yield storage.series())] == [(Kind.SIZE, "bytes", 1)]
    assert (yield storage.backlog("influx")).count == 1
    assert not files_of(tmp_path / "nothing")
    with Journal(tmp_path / "j.sqlite") as journal:
        assert journal.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("whole", [True, False])
@inlineCallbacks
def test_a_moved_file(open_storage: Any, tmp_path: Path, whole: bool) -> Any:
    """The moved file has every point from before, also where its -wal stayed behind; the new file has those after."""
    storage = yield opened(open_storage)
    for path in files_of(tmp_path / "j.sqlite") if whole else [tmp_path / "j.sqlite"]:
        path.rename(str(path).replace("j.sqlite", "moved"))
    yield storage.write([Point("size", at(9), 9.0)])
    assert values_of((yield storage.points(Query("size"), 9))) == [9.0]
    with JournalReader(tmp_path / "moved") as moved:
        assert values_of(moved.points(Query("size"), 9)) == [1.0, 2.0, 3.0]
        assert moved.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@inlineCallbacks
def test_points_that_wait_are_written_to_the_new_file(open_storage: Any, tmp_path: Path) -> Any:
    """What memory has when the file is deleted is written to the new one."""
    storage = yield opened(open_storage)
    other = sqlite3.connect(tmp_path / "j.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    written = [storage.write([Point("size", at(n), float(n))]) for n in range(10, 20)]
    for path in files_of(tmp_path / "j.sqlite"):
        path.unlink()
    yield defer.gatherResults(written)
    other.close()
    assert values_of((yield storage.points(Query("size"), 99))) == [float(n) for n in range(10, 20)]


@inlineCallbacks
def test_a_deleted_wal_file(open_storage: Any, tmp_path: Path) -> Any:
    """No point is lost: what was only in the -wal is written to the file, and a new -wal is begun."""
    storage = yield opened(open_storage)
    Path(tmp_path / "j.sqlite-wal").unlink()
    yield until(lambda: storage.health().counters["lost_files"])
    assert "its -wal file was deleted or moved" in storage.health().last_error
    yield storage.write([Point("size", at(9), 9.0)])
    assert values_of((yield storage.points(Query("size"), 9))) == [1.0, 2.0, 3.0, 9.0]
    with JournalReader(tmp_path / "j.sqlite") as other:
        assert values_of(other.points(Query("size"), 9)) == [1.0, 2.0, 3.0, 9.0]
        assert other.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@inlineCallbacks
def test_a_file_that_is_replaced(open_storage: Any, tmp_path: Path) -> Any:
    """A backup put in place of an open file is used, without the -wal of the former one."""
    with Journal(tmp_path / "backup") as backup:
        backup.write([Point("old", at(0), 5.0)])
    storage = yield opened(open_storage)
    os.replace(tmp_path / "backup", tmp_path / "j.sqlite")
    yield storage.write([Point("size", at(9), 9.0)])
    assert "was replaced by another file" in storage.health().last_error
    assert values_of((yield storage.points(Query("old"), 9))) == [5.0]
    assert values_of((yield storage.points(Query("size"), 9))) == [9.0]
    assert (yield storage.backlog("influx")).count == 1
    with Journal(tmp_path / "j.sqlite") as journal:
        assert journal.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@inlineCallbacks
def test_a_symbolic_link_to_another_file(open_storage: Any, tmp_path: Path) -> Any:
    """A link that names another file from now on is noticed as a replaced file is."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "j.sqlite").symlink_to(tmp_path / "a" / "j")
    storage = yield opened(open_storage)
    (tmp_path / "j.sqlite").unlink()
    (tmp_path / "j.sqlite").symlink_to(tmp_path / "b" / "j")
    yield storage.write([Point("size", at(9), 9.0)])
    with JournalReader(tmp_path / "b" / "j") as new, JournalReader(tmp_path / "a" / "j") as old:
        assert values_of(new.points(Query("size"), 9)) == [9.0]
        assert values_of(old.points(Query("size"), 9))[:3] == [1.0, 2.0, 3.0]


@inlineCallbacks
def test_a_folder_that_is_deleted(open_storage: Any, tmp_path: Path) -> Any:
    """Points wait until there is a folder again."""
    folder = tmp_path / "folder"
    folder.mkdir()
    storage = SQLiteStorage(folder / "j.sqlite", reactor=open_storage()._reactor)
    yield fill(storage, [1.0])
    shutil.rmtree(folder)
    written = storage.write([Point("size", at(9), 9.0)])
    yield until(lambda: storage.health().counters["retries"] > 1)
    assert not written.called
    folder.mkdir()
    yield written
    assert values_of((yield storage.points(Query("size"), 9))) == [9.0]
    yield storage.close()


def pool_has_reader(pool: Any) -> bool:
    return any(connection.reader is not None for connection in pool._connections)


@inlineCallbacks
def test_readers_are_closed_when_the_file_cannot_be_written(open_storage: Any, tmp_path: Path) -> Any:
    """Readers that were opened on a read-only disk are closed, so that the writer is not read-only for ever."""
    Journal(tmp_path / "j.sqlite").close()
    storage = open_storage()
    yield fill(storage, [1.0])
    yield defer.gatherResults([storage.series(), storage.last(Query("size")), storage.points(Query("size"), 9)])
    assert pool_has_reader(storage._readers)
    storage._close_readers()
    assert not pool_has_reader(storage._readers)
    assert not pool_has_reader(storage._internal_readers)
    assert not pool_has_reader(storage._overviews.pool)
    assert values_of((yield storage.points(Query("size"), 9))) == [1.0]
