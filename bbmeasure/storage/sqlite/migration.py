"""The migration of a journal of version 1: its content is copied into a new file, which then takes its place.

The new file is ``PATH.new`` until it is complete.  The old one stays as ``PATH.v1``: to go back, put it in the place of
the new one.  Meanwhile a transaction on the old file keeps other processes from writing it; readers are not blocked.

A migration that was broken off begins again: ``PATH.new`` is deleted while ``PATH`` is of version 1.  On a file system
without hard links ``PATH`` is missing for a moment; if the process is killed then, ``PATH.new`` is complete and is put
in place by the next.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from urllib.parse import quote

from twisted.logger import Logger

from bbmeasure.errors import StorageUnavailableError
from bbmeasure.storage.sqlite import copy_v1, lock_holders, schema

log = Logger()

#: Called with the number of points that were copied, and that of all.
Progress = Callable[[int, int], None]
#: Instructions of SQLite between two checks whether to stop.
_CHECK = 1_000_000


def ignore_progress(done: int, total: int) -> None:
    """Report nothing."""


def is_needed(path: schema.Path) -> bool:
    """Whether the file is of version 1, or a migration has to be finished."""
    name = os.fspath(path)
    if not os.path.exists(name):
        return os.path.exists(f"{name}.new") and os.path.exists(f"{name}.v1")
    connection = sqlite3.connect(_uri(name, "ro"), uri=True)
    try:
        schema.check_owner(connection, path)
        return schema.version(connection) == 1
    finally:
        connection.close()


def migrate(
    path: schema.Path,
    *,
    busy_timeout: float,
    progress: Progress = ignore_progress,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Migrate a file if it is of version 1.

    Raises StorageUnavailableError when ``stop()`` returned true or another process uses the file, and what sqlite3
    raises, such as for a full disk.  The old file is unchanged then.
    """
    name = os.fspath(path)
    if not os.path.exists(name):
        if _is_complete(f"{name}.new"):
            os.replace(f"{name}.new", name)
        return
    old = sqlite3.connect(name, timeout=busy_timeout, isolation_level=None)
    try:
        _lock(old, name)
        if schema.version(old) != 1:  # another process has migrated it
            return
        _log_other_processes(name)
        _delete(f"{name}.new")
        _copy(name, progress, stop)
    except BaseException:
        _delete(f"{name}.new")
        raise
    finally:
        old.close()
    _put_in_place(name)


def _lock(old: sqlite3.Connection, name: str) -> None:
    """Begin a write transaction on a file whose WAL is empty."""
    for _ in range(10):
        blocked, *_ = old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        old.execute("BEGIN IMMEDIATE")
        if not blocked and not _size(f"{name}-wal"):
            return
        old.execute("ROLLBACK")
    raise StorageUnavailableError(f"journal {name}: cannot be migrated while another process reads or writes it")


def _log_other_processes(name: str) -> None:
    """Log which other processes have the old file open; one of them may be a master of the former version."""
    for process in lock_holders.processes_using(name):
        log.warn(
            "bbmeasure: process {process} has the journal {path} open, which is migrated now; if it is a master of the "
            "former version, stop it: what it writes from now on is in {path}.v1 at most",
            process=process,
            path=name,
        )


def _copy(name: str, progress: Progress, stop: Callable[[], bool]) -> None:
    new = sqlite3.connect(f"{name}.new", isolation_level=None)
    try:
        # nothing reads the file before it is complete and synced
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "temp_store=FILE", "cache_size=-65536"):
            new.execute(f"PRAGMA {pragma}")
        new.set_progress_handler(stop, _CHECK)
        new.execute("ATTACH ? AS old", (name,))
        copy_v1.copy(new, progress)
        new.execute("DETACH old")
        new.set_progress_handler(None, 0)
        new.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
        new.execute(f"PRAGMA user_version={schema.VERSION}")
    except sqlite3.OperationalError as error:
        if stop():
            raise StorageUnavailableError(f"journal {name}: closed during its migration") from error
        raise
    finally:
        new.close()
    _sync(f"{name}.new")


def _put_in_place(name: str) -> None:
    if _size(f"{name}-wal"):
        _delete(f"{name}.new")
        raise StorageUnavailableError(f"journal {name}: another process wrote it at the end of its migration")
    # these belong to the old file; connections to it keep them open
    for end in ("-wal", "-shm"):
        _delete(f"{name}{end}")
    _delete(f"{name}.v1")
    try:
        os.link(name, f"{name}.v1")
    except OSError:
        os.rename(name, f"{name}.v1")
    os.replace(f"{name}.new", name)
    _sync(os.path.dirname(os.path.abspath(name)))


def _is_complete(name: str) -> bool:
    connection = sqlite3.connect(_uri(name, "ro"), uri=True)
    try:
        return schema.version(connection) == schema.VERSION
    finally:
        connection.close()


def _uri(name: str, mode: str) -> str:
    return f"file:{quote(os.path.abspath(name))}?mode={mode}"


def _size(name: str) -> int:
    return os.path.getsize(name) if os.path.exists(name) else 0


def _delete(name: str) -> None:
    if os.path.lexists(name):
        os.unlink(name)


def _sync(name: str) -> None:
    descriptor = os.open(name, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
