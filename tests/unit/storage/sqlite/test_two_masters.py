"""Two masters that use one journal by mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import inlineCallbacks

from bbmeasure.errors import StorageError
from bbmeasure.model import Point, Query
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.storage.sqlite.master_lock import MasterLock
from tests.unit.storage.examples import at, fill, values_of
from tests.unit.storage.sqlite.helpers import until
from tests.unit.storage.sqlite.version_1 import make_version_1


@inlineCallbacks
def test_the_second_master_says_so(open_storage: Any) -> Any:
    """Its health names the first, it gets no totals, and its points are written."""
    first, second = open_storage(), open_storage()
    yield first.write([Point("size", at(0), 1.0)], {"total": 1.0})
    yield second.write([Point("size", at(1), 2.0)])
    assert "another master uses it (process" in second.health().last_error
    with pytest.raises(StorageError, match="takes no running totals"):
        yield second.recall(["total"])
    assert first.health().last_error is None
    assert (yield first.recall(["total"])) == {"total": 1.0}
    assert values_of((yield second.points(Query("size"), 9))) == [1.0, 2.0]


@inlineCallbacks
def test_the_second_master_gets_the_lock_when_the_first_ends(open_storage: Any) -> Any:
    """Within seconds after the first has closed the journal the second one uses its totals."""
    first, second = open_storage(), open_storage()
    yield first.write([Point("size", at(0), 1.0)], {"total": 1.0})
    yield fill(second, [2.0])
    yield first.close()
    yield until(lambda: second.health().last_error is None)
    assert (yield second.recall(["total"])) == {"total": 1.0}


@inlineCallbacks
def test_the_second_master_does_not_migrate(open_storage: Any, tmp_path: Path) -> Any:
    """A file of version 1 that another master has locked is not migrated before that one ends."""
    make_version_1(tmp_path / "j.sqlite", [Point("size", at(0), 1.0)])
    lock = MasterLock(tmp_path / "j.sqlite")
    assert lock.acquire()
    storage = open_storage()
    written = storage.write([Point("size", at(1), 2.0)])
    yield until(lambda: storage.health().counters["retries"])
    assert "it is migrated when that one has stopped" in storage.health().last_error
    assert not written.called
    lock.release()
    yield written
    assert values_of((yield storage.points(Query("size"), 9))) == [1.0, 2.0]


def test_a_killed_master_leaves_no_lock(tmp_path: Path) -> None:
    """The kernel releases the lock of a process that was killed, and of one whose children still run."""
    path = tmp_path / "j.sqlite"
    program = (
        "import subprocess, sys, time\n"
        "from bbmeasure.storage.sqlite.master_lock import MasterLock\n"
        "lock = MasterLock(sys.argv[1])\n"
        "assert lock.acquire()\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        lock = MasterLock(path)
        assert not lock.acquire()
        assert f"process {process.pid} on" in (lock.holder or "")
        process.kill()
        process.wait()
        try:
            assert lock.acquire()
            assert lock.holder is None
        finally:
            subprocess.run(["kill", str(child)], check=True)
            lock.release()


def test_a_folder_without_a_lock_file(tmp_path: Path) -> None:
    """Where no file can be created there is no lock, and no other master is assumed."""
    lock = MasterLock(tmp_path / "missing" / "j.sqlite")
    assert lock.acquire()
    assert lock.holder is None
    lock.release()


def test_commands_need_no_lock(tmp_path: Path) -> None:
    """A command writes beside the master that holds the lock."""
    lock = MasterLock(tmp_path / "j.sqlite")
    assert lock.acquire()
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.write([Point("size", at(0), 1.0)])
    lock.release()
