"""The backup of a journal that is written meanwhile."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import inlineCallbacks

from bbmeasure.errors import StorageError, StorageUnavailableError
from bbmeasure.model import Point, Query
from bbmeasure.storage.sqlite import backup
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from tests.unit.storage.examples import at, fill, in_build


def test_writes_during_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy has all points from before the backup, none of those written while the file is read, and is intact."""
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.write([Point("size", at(n), float(n), {}, in_build(n)) for n in range(5_000)])
        copied = subprocess.run

        def copy(*arguments: Any, **keywords: Any) -> Any:
            journal.write([Point("size", at(n), -1.0, {}, in_build(n)) for n in range(4_000, 9_000)])
            journal.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            done = copied(*arguments, **keywords)
            journal.write([Point("size", at(n), -2.0) for n in range(10_000, 11_000)])
            return done

        monkeypatch.setattr(subprocess, "run", copy)
        backup.backup(tmp_path / "j.sqlite", tmp_path / "copy.sqlite")
        assert len(journal.points(Query("size"), 20_000)) == 10_000
    with JournalReader(tmp_path / "copy.sqlite") as reader:
        assert [point.value for point in reader.points(Query("size"), 20_000)] == [float(n) for n in range(5_000)]
        assert reader.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert not (tmp_path / "copy.sqlite.new").exists()


def test_a_backup_that_fails(tmp_path: Path) -> None:
    """An existing target, a missing journal or folder, and a file of another program are errors that name it."""
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.write([Point("size", 1, 1.0)])
    (tmp_path / "taken").touch()
    with pytest.raises(StorageError, match="expected no file"):
        backup.backup(tmp_path / "j.sqlite", tmp_path / "taken")
    with pytest.raises(StorageUnavailableError, match="no such file"):
        backup.backup(tmp_path / "missing", tmp_path / "copy")
    with pytest.raises(StorageUnavailableError, match="folder"):
        backup.backup(tmp_path / "j.sqlite", tmp_path / "folder" / "copy")
    assert sorted(os.listdir(tmp_path)) == ["j.sqlite", "taken"]


def test_a_backup_beside_a_long_reader(tmp_path: Path) -> None:
    """While another process reads from the WAL the backup fails instead of copying half of a transaction."""
    with Journal(tmp_path / "j.sqlite") as journal, JournalReader(tmp_path / "j.sqlite") as reader:
        journal.write([Point("size", 1, 1.0)])
        reader.connection.execute("BEGIN")
        reader.connection.execute("SELECT count(*) FROM points").fetchone()
        journal.write([Point("size", 2, 1.0)])
        with pytest.raises(StorageUnavailableError, match="without a pause"):
            backup.backup(tmp_path / "j.sqlite", tmp_path / "copy", busy_timeout=0.001)


@inlineCallbacks
def test_the_backup_of_a_store(open_storage: Any, tmp_path: Path) -> Any:
    """``SQLiteStorage.backup`` fires when the copy is complete, and fails with a StorageError."""
    storage = open_storage()
    yield fill(storage, range(100))
    yield storage.backup(tmp_path / "copy.sqlite")
    with pytest.raises(StorageError, match="expected no file"):
        yield storage.backup(tmp_path / "copy.sqlite")
    with JournalReader(tmp_path / "copy.sqlite") as reader:
        assert len(reader.points(Query("size"), 200)) == 100
