"""The schema of the journal's file: its versions, creating and opening it.

The version is ``PRAGMA user_version``; the statements of each are in a module of its own.  A file of a newer version,
or of another program, is refused and not changed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Union
from urllib.parse import quote

from bbmeasure.errors import StorageUnavailableError
from bbmeasure.storage.sqlite import schema_v1, schema_v2, views_v1

#: "bbme", the application id in the file's header.
APPLICATION_ID = 0x62626D65

#: The version of new files, and the statements that create them.
VERSION = 2
STATEMENTS: Mapping[int, Sequence[str]] = {1: schema_v1.STATEMENTS, 2: schema_v2.STATEMENTS}

Path = Union[str, "os.PathLike[str]"]


def open_for_writing(path: Path, *, busy_timeout: float = 1.0) -> sqlite3.Connection:
    """A writing connection to a file, which is created if it is missing; ``busy_timeout`` in seconds.

    Every commit is synced (``synchronous=FULL``), so that neither a killed process nor a power cut loses acknowledged
    points.  That takes about 3 ms in the writer's thread, once for all points that arrived meanwhile.
    """
    connection = sqlite3.connect(os.fspath(path), timeout=busy_timeout, isolation_level=None, check_same_thread=False)
    try:
        check_owner(connection, path)
        if version(connection) not in (0, VERSION):
            raise _version_error(path, version(connection))
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "journal_size_limit=67108864", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        create(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path, *, busy_timeout: float = 1.0) -> sqlite3.Connection:
    """A read-only connection, whether or not a master has the file open.

    In a read-only folder SQLite cannot create the ``-shm`` file that readers share.  The file is then opened as
    immutable, provided that there is no ``-wal`` file with points beside it.  Raises StorageUnavailableError when the
    file does not exist.
    """
    name = os.fspath(path)
    if not os.path.exists(name):
        raise StorageUnavailableError(f"journal {name}: no such file")
    try:
        return _connect_for_reading(name, busy_timeout, "mode=ro")
    except sqlite3.OperationalError as error:
        wal = f"{name}-wal"
        if "unable to open" not in str(error) and "readonly" not in str(error):
            raise
        if os.path.exists(wal) and os.path.getsize(wal):
            raise StorageUnavailableError(
                f"journal {name}: its folder is read-only and {wal} has points that are not in the file yet; copy both "
                "to a writable folder and read them there"
            ) from error
        return _connect_for_reading(name, busy_timeout, "immutable=1")


def _connect_for_reading(name: str, busy_timeout: float, mode: str) -> sqlite3.Connection:
    uri = f"file:{quote(os.path.abspath(name))}?{mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=busy_timeout, isolation_level=None, check_same_thread=False)
    try:
        check_owner(connection, name)
        actual = version(connection)
        if actual == 1:
            views_v1.create(connection)
        elif actual != VERSION:
            raise _version_error(name, actual)
        else:
            connection.execute("PRAGMA temp_store=MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection


def version(connection: sqlite3.Connection) -> int:
    """The version of the file's schema; 0 for a new file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_owner(connection: sqlite3.Connection, path: Path) -> None:
    """Raise StorageUnavailableError when the file belongs to another program."""
    # in this order: a process that is creating the journal commits the id together with the tables
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    if owner != APPLICATION_ID and (owner or tables):
        raise StorageUnavailableError(
            f"journal {os.fspath(path)}: got a database of another program (application id {owner}, {tables} tables), "
            "expected a journal of bbmeasure or no file"
        )


def create(connection: sqlite3.Connection, path: Path, wanted: int = VERSION) -> None:
    """Create the tables of an empty file in one transaction; no change where another process has created them."""
    if version(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        actual = version(connection)  # again, now that no other process can create them
        if actual not in (0, wanted):
            raise _version_error(path, actual)
        for statement in STATEMENTS[wanted] if not actual else ():
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={wanted}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version_error(path: Path, actual: int) -> StorageUnavailableError:
    name = os.fspath(path)
    if actual > VERSION:
        return StorageUnavailableError(
            f"journal {name}: version {actual}, expected at most {VERSION}: it was written by a newer bbmeasure, "
            "which is needed to read it"
        )
    if actual == 0:
        return StorageUnavailableError(f"journal {name}: an empty file, nothing was written to it yet")
    return StorageUnavailableError(
        f"journal {name}: version {actual}, expected {VERSION}: it is migrated when a master opens it"
    )
