"""The journal's file: created, migrated, refused, and read in a read-only folder."""

from __future__ import annotations

import os
import sqlite3
import stat
import tempfile
from pathlib import Path
from typing import Any, Callable

import pytest

from bbmeasure.errors import StorageError, StorageUnavailableError
from bbmeasure.model import Point, Query
from bbmeasure.storage.sqlite import schema
from bbmeasure.storage.sqlite.journal import Journal, JournalReader


def versions(path: Path) -> tuple[int, int]:
    """The file's application id and version."""
    connection = sqlite3.connect(path)
    try:
        return tuple(connection.execute(f"PRAGMA {what}").fetchone()[0] for what in ("application_id", "user_version"))  # type: ignore[return-value]
    finally:
        connection.close()


def set_version(path: Path, version: int) -> None:
    """Set the version in the header of a file, and leave no other file beside it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.execute(f"PRAGMA user_version={version}")
    connection.close()


def make_journal(path: Path, values: int = 3) -> None:
    with Journal(path) as journal:
        journal.write([Point("size", n, float(n)) for n in range(values)])


def test_a_new_file_has_application_id_and_version(tmp_path: Path) -> None:
    """The header of a new journal has the application id and the version."""
    make_journal(tmp_path / "j.sqlite")
    assert versions(tmp_path / "j.sqlite") == (schema.APPLICATION_ID, schema.VERSION)


def test_an_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    """An empty file is used as a new journal."""
    (tmp_path / "j.sqlite").touch()
    make_journal(tmp_path / "j.sqlite")
    with JournalReader(tmp_path / "j.sqlite") as reader:
        assert len(reader.points(Query("size"), 10)) == 3


def test_two_processes_create_one_file(tmp_path: Path) -> None:
    """The second process finds the tables and changes nothing."""
    path = tmp_path / "j.sqlite"
    first = sqlite3.connect(path, isolation_level=None)
    second = sqlite3.connect(path, isolation_level=None)
    for connection in (first, second):
        schema.create(connection, path)
        assert schema.version(connection) == schema.VERSION
        connection.close()


@pytest.mark.parametrize("open_it", [Journal, JournalReader])
def test_a_newer_file_is_refused_and_not_changed(tmp_path: Path, open_it: Callable[[Path], Any]) -> None:
    """The error names both versions, and the file does not change."""
    path = tmp_path / "j.sqlite"
    make_journal(path)
    set_version(path, schema.VERSION + 1)
    before = path.read_bytes()
    with pytest.raises(StorageError, match=f"version {schema.VERSION + 1}, expected .*newer bbmeasure"):
        open_it(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("open_it", [Journal, JournalReader])
def test_a_database_of_another_program_is_refused_and_not_changed(
    tmp_path: Path, open_it: Callable[[Path], Any]
) -> None:
    """A database with another application id, or with tables and no id, is not taken for a journal."""
    for name, statement in (("id", "PRAGMA application_id=77"), ("tables", "CREATE TABLE theirs(x)")):
        path = tmp_path / name
        connection = sqlite3.connect(path)
        connection.execute(statement)
        connection.commit()
        connection.close()
        before = path.read_bytes()
        with pytest.raises(StorageError, match="another program"):
            open_it(path)
        assert path.read_bytes() == before


@pytest.mark.parametrize("open_it", [Journal, JournalReader])
def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path, open_it: Callable[[Path], Any]) -> None:
    """The StorageError names the file."""
    path = tmp_path / "j.sqlite"
    path.write_bytes(b"these are no tables" * 1000)
    with pytest.raises(StorageError, match=r"j\.sqlite: file is not a database"):
        open_it(path)


def test_a_reader_creates_no_file(tmp_path: Path) -> None:
    """A missing journal is unavailable, and still missing afterwards."""
    with pytest.raises(StorageUnavailableError, match="no such file"):
        JournalReader(tmp_path / "j.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_unavailable_to_a_reader(tmp_path: Path) -> None:
    """The error for an empty file says that nothing was written to it."""
    (tmp_path / "j.sqlite").touch()
    with pytest.raises(StorageUnavailableError, match="nothing was written"):
        JournalReader(tmp_path / "j.sqlite")


def test_a_path_with_special_characters_of_urls(tmp_path: Path) -> None:
    """A question mark, a hash, a percent sign and a space in the file's name are part of it."""
    path = tmp_path / "a ?b#c%20d.sqlite"
    make_journal(path)
    with JournalReader(path) as reader:
        assert reader.series()[0].count == 3
    assert path.exists()


def as_nobody(work: Callable[[], str]) -> str:
    """The result of ``work``, or its exception, in a process without any right to write."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        result = "died"
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            result = work()
        except BaseException as error:  # noqa: BLE001  (reported to the parent)
            result = f"{type(error).__name__}: {error}"
        finally:
            os.write(writes, result.encode())
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as answers:
        result = answers.read()
    os.waitpid(child, 0)
    return result


@pytest.fixture
def sealed() -> Any:
    """A function that makes a folder and its files read-only for the duration of the test."""
    sealed_paths: list[Path] = []

    def seal(folder: Path) -> None:
        for path in (*folder.iterdir(), folder):
            sealed_paths.append(path)
            path.chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH | (0o111 if path.is_dir() else 0))
        for parent in folder.parents:
            if parent.stat().st_uid == os.geteuid() and parent.is_relative_to(tempfile.gettempdir()):
                parent.chmod(parent.stat().st_mode | 0o555)

    yield seal
    for path in reversed(sealed_paths):
        path.chmod(0o755)


def count_points(path: Path) -> str:
    with JournalReader(path) as reader:
        return str(len(reader.points(Query("size"), 100)))


def test_a_journal_in_a_read_only_folder_is_read(tmp_path: Path, sealed: Any) -> None:
    """A reader needs write permission neither for the folder nor for the file."""
    path = tmp_path / "j.sqlite"
    make_journal(path)
    sealed(tmp_path)
    assert as_nobody(lambda: count_points(path)) == "3"


def test_points_in_the_wal_file_of_a_read_only_folder(tmp_path: Path, sealed: Any) -> None:
    """When points in the WAL file cannot be read without writing, the reader fails instead of omitting them."""
    source, folder = tmp_path / "source", tmp_path / "copy"
    source.mkdir()
    folder.mkdir()
    with Journal(source / "j.sqlite") as journal:
        journal.write([Point("size", 1, 1.0)])
        for name in ("j.sqlite", "j.sqlite-wal"):
            (folder / name).write_bytes((source / name).read_bytes())
    sealed(folder)
    message = as_nobody(lambda: count_points(folder / "j.sqlite"))
    assert message.startswith("StorageUnavailableError")
    assert "copy both" in message
