"""A migration that is killed, refused, or has other processes beside it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import capturedLogs, formatEvent

from bbmeasure.errors import StorageFullError, StorageUnavailableError
from bbmeasure.storage.sqlite import copy_v1, lock_holders, migration, schema
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from tests.unit.storage.sqlite.migration_examples import check, examples, migrated
from tests.unit.storage.sqlite.version_1 import make_version_1

ROOT = Path(__file__).parents[4]


class Killed(BaseException):
    """Stands for SIGKILL at a point of the migration."""


@pytest.mark.parametrize("call", ["link", "replace", "rename"])
def test_a_migration_that_is_killed_while_files_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Before and after each change of a name the next start finds the old or the new file complete."""
    points = examples(50)
    for after in (False, True):
        path = tmp_path / f"{call}{after}.sqlite"
        make_version_1(path, points)
        with monkeypatch.context() as patch:
            if call == "rename":
                patch.setattr(os, "link", _refuse)
            original = getattr(os, call)

            def kill(*args: Any, original: Any = original, after: bool = after) -> None:
                if after:
                    original(*args)
                raise Killed

            patch.setattr(os, call, kill)
            with pytest.raises(Killed):
                Journal(path, migrate=True)
        with Journal(path, migrate=True) as journal:
            check(journal, [migrated(point) for point in points])
        assert not Path(f"{path}.new").exists()
        assert Path(f"{path}.v1").exists()


def _refuse(*_: Any) -> None:
    raise OSError("no hard links here")


@pytest.mark.slow
def test_a_migration_that_is_killed_in_the_middle(tmp_path: Path) -> None:
    """After SIGKILL at several moments the next start migrates everything."""
    path, points = tmp_path / "j.sqlite", examples(4_000)
    make_version_1(path, points)
    program = (
        "import sys, time\n"
        "from bbmeasure.storage.sqlite import copy_v1\n"
        "from bbmeasure.storage.sqlite.journal import Journal\n"
        "copy_v1._SLICE = 300\n"
        "def progress(done, total):\n"
        "    print(done, flush=True)\n"
        "    time.sleep(0.01)\n"
        "Journal(sys.argv[1], migrate=True, progress=progress)\n"
    )
    for lines in (1, 3, 7):
        with subprocess.Popen(
            [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        ) as process:
            assert process.stdout is not None
            for _ in range(lines):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert (tmp_path / "j.sqlite.new").exists()
        with JournalReader(path) as reader:
            assert schema.version(reader.connection) == 1
    with Journal(path, migrate=True) as journal:
        check(journal, [migrated(point) for point in points])
    assert sorted(os.listdir(tmp_path)) == ["j.sqlite", "j.sqlite.v1"]


def test_a_full_disk_during_a_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is a StorageFullError, which the writer retries; the old file stays, and no other is left."""
    path, points = tmp_path / "j.sqlite", examples(500)
    make_version_1(path, points)
    with monkeypatch.context() as patch:
        original = copy_v1.copy

        def copy(new: sqlite3.Connection, progress: migration.Progress) -> None:
            new.execute("PRAGMA max_page_count=40")
            original(new, progress)

        patch.setattr(copy_v1, "copy", copy)
        with pytest.raises(StorageFullError, match="full"):
            Journal(path, migrate=True)
    assert os.listdir(tmp_path) == ["j.sqlite"]
    with Journal(path, migrate=True) as journal:
        check(journal, [migrated(point) for point in points])


def test_another_process_that_writes(tmp_path: Path) -> None:
    """A file that another process is writing is not migrated; during a migration others cannot write it."""
    path, points = tmp_path / "j.sqlite", examples(50)
    make_version_1(path, points)
    other = sqlite3.connect(path, timeout=0.01, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailableError, match="locked|another process"):
        Journal(path, migrate=True, busy_timeout=0.01)
    other.execute("ROLLBACK")
    refused = []

    def write_meanwhile(done: int, total: int) -> None:
        try:
            other.execute("INSERT INTO state VALUES ('lost', 1)")
        except sqlite3.OperationalError as error:
            refused.append(str(error))

    with Journal(path, migrate=True, progress=write_meanwhile) as journal:
        check(journal, [migrated(point) for point in points])
    assert set(refused) == {"database is locked"}
    other.close()


def test_a_process_that_has_the_old_file_open(tmp_path: Path) -> None:
    """It is logged with its number: what a master of the former version writes later is not migrated."""
    path, points = tmp_path / "j.sqlite", examples(50)
    make_version_1(path, points)
    program = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1])\n"
        "print(connection.execute('SELECT count(*) FROM points').fetchone()[0], flush=True)\n"
        "sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == len(points)
        assert lock_holders.processes_using(path) == [process.pid]
        with capturedLogs() as logged, Journal(path, migrate=True) as journal:
            check(journal, [migrated(point) for point in points])
        process.communicate("\n")
    told = [formatEvent(event) for event in logged if "process" in event]
    assert len(told) == 1
    assert f"process {process.pid} has the journal" in told[0]
    assert lock_holders.processes_using(tmp_path / "missing") == []


def test_an_old_and_a_new_program_in_turn(tmp_path: Path) -> None:
    """What the old program wrote after going back is migrated; the old one refuses the new file by its version."""
    path, points = tmp_path / "j.sqlite", examples(60)
    make_version_1(path, points[:50])
    Journal(path, migrate=True).close()
    connection = sqlite3.connect(path)
    assert schema.version(connection) == 2
    connection.close()
    os.unlink(path)
    make_version_1(path, points)
    with Journal(path, migrate=True) as journal:
        check(journal, [migrated(point) for point in points])


def test_a_new_file_beside_a_missing_one(tmp_path: Path) -> None:
    """An incomplete new file does not take the place of a file that a person removed."""
    path = tmp_path / "j.sqlite"
    (tmp_path / "j.sqlite.new").write_bytes(b"")
    (tmp_path / "j.sqlite.v1").write_bytes(b"")
    with Journal(path, migrate=True) as journal:
        assert journal.series() == []
