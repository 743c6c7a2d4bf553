"""The schema of the journal's file: its tables, its versions, opening and migrating it.

The version is ``PRAGMA user_version``.  ``MIGRATIONS[n]`` migrates version n to n + 1, each in one transaction, so that
a master killed during a migration leaves the older version intact.  A file of a newer version, or of another program,
is refused and not changed.

The tables:

- ``series`` and ``streams`` give every (series, builder, worker, tags) a small id; no builder and no worker is an empty
  text.  A series whose name is NULL was forgotten; its points are yet to be deleted.
- ``builds`` has one row for each build and variant of its facts (the revision may become known during the build).  Its
  key is ``buildid * 256 + variant``, so that earlier builds have smaller keys and are found without a join.
- ``points`` is clustered by (stream, time), so that a range of one stream is contiguous.  A text is in ``text`` with
  NULL in ``value``, which SQL's aggregate functions skip.
- ``chunks`` has the moments of about 256 consecutive points in each row, see :mod:`bbmeasure.storage.sqlite.rollup`.
- ``sinks`` (the exporters), ``outbox`` and ``dead_letters``: see :mod:`bbmeasure.storage.sqlite.outbox`.  An exporter
  whose name is NULL was detached.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from typing import Union
from urllib.parse import quote

from bbmeasure.errors import StorageError, StorageUnavailableError

#: "bbme", the application id in the file's header.
APPLICATION_ID = 0x62626D65

_VERSION_1 = (
    """CREATE TABLE series(
        id INTEGER PRIMARY KEY, name TEXT UNIQUE, kind TEXT NOT NULL, unit TEXT NOT NULL, better TEXT NOT NULL,
        declared INTEGER NOT NULL)""",
    """CREATE TABLE streams(
        id INTEGER PRIMARY KEY, series INTEGER NOT NULL REFERENCES series(id), builder TEXT NOT NULL,
        worker TEXT NOT NULL, tags TEXT NOT NULL, UNIQUE(series, builder, worker, tags))""",
    """CREATE TABLE builds(
        id INTEGER PRIMARY KEY, number INTEGER NOT NULL, revision TEXT, branch TEXT, project TEXT)""",
    "CREATE TABLE steps(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE points(
        stream INTEGER NOT NULL, time INTEGER NOT NULL, value REAL, build INTEGER, step INTEGER, samples INTEGER,
        spread REAL, text TEXT, PRIMARY KEY(stream, time)) WITHOUT ROWID""",
    "CREATE INDEX points_build ON points(build) WHERE build IS NOT NULL",
    """CREATE TABLE chunks(
        stream INTEGER NOT NULL, start INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL,
        texts INTEGER NOT NULL, mean REAL NOT NULL, m2 REAL NOT NULL, minimum REAL NOT NULL, maximum REAL NOT NULL,
        total REAL NOT NULL, PRIMARY KEY(stream, start)) WITHOUT ROWID""",
    "CREATE TABLE state(key TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID",
    """CREATE TABLE sinks(
        id INTEGER PRIMARY KEY, name TEXT UNIQUE, next INTEGER NOT NULL, count INTEGER NOT NULL,
        bytes INTEGER NOT NULL, trimmed INTEGER NOT NULL)""",
    """CREATE TABLE outbox(
        sink INTEGER NOT NULL, seq INTEGER NOT NULL, stream INTEGER NOT NULL, time INTEGER NOT NULL,
        queued INTEGER NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY(sink, seq)) WITHOUT ROWID""",
    """CREATE TABLE dead_letters(
        id INTEGER PRIMARY KEY, sink INTEGER NOT NULL, at INTEGER NOT NULL, point TEXT NOT NULL, why TEXT NOT NULL)""",
    "CREATE INDEX dead_letters_sink ON dead_letters(sink, id)",
)

#: The statements that migrate version n to n + 1.  Those of released versions are never changed.
MIGRATIONS: tuple[Sequence[str], ...] = (_VERSION_1,)

Path = Union[str, "os.PathLike[str]"]


def open_for_writing(
    path: Path,
    *,
    busy_timeout: float = 1.0,
    migrations: Sequence[Sequence[str]] = MIGRATIONS,
) -> sqlite3.Connection:
    """A writing connection to a file, which is created or migrated if needed; ``busy_timeout`` in seconds.

    Every commit is synced (``synchronous=FULL``), so that neither a killed process nor a power cut loses acknowledged
    points.  That takes about 3 ms in the writer's thread, once for all points that arrived meanwhile.
    """
    connection = sqlite3.connect(os.fspath(path), timeout=busy_timeout, isolation_level=None, check_same_thread=False)
    try:
        check_owner(connection, path)
        if version(connection) > len(migrations):
            raise _version_error(path, version(connection), len(migrations))
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "journal_size_limit=67108864", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        migrate(connection, path, migrations)
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
        connection.execute("PRAGMA temp_store=MEMORY")
        actual = version(connection)
        if actual != len(MIGRATIONS):
            raise _version_error(name, actual, len(MIGRATIONS))
    except BaseException:
        connection.close()
        raise
    return connection


def version(connection: sqlite3.Connection) -> int:
    """The version of the file's schema; 0 for a new file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_owner(connection: sqlite3.Connection, path: Path) -> None:
    """Raise StorageError when the file belongs to another program."""
    # in this order: a process that is creating the journal commits the id together with the tables
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    if owner != APPLICATION_ID and (owner or tables):
        raise StorageError(
            f"journal {os.fspath(path)}: got a database of another program (application id {owner}, {tables} tables), "
            "expected a journal of bbmeasure or no file"
        )


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> int:
    """Migrate the file to the last version, one transaction a version; returns the number of versions migrated."""
    steps = 0
    while version(connection) != len(migrations):
        connection.execute("BEGIN IMMEDIATE")
        try:
            actual = version(connection)  # again, now that no other process can migrate it
            if actual > len(migrations):
                raise _version_error(path, actual, len(migrations))
            for statement in migrations[actual] if actual < len(migrations) else ():
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={min(actual + 1, len(migrations))}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        steps += 1
    return steps


def _version_error(path: Path, actual: int, known: int) -> StorageError:
    name = os.fspath(path)
    if actual > known:
        return StorageError(
            f"journal {name}: version {actual}, expected at most {known}: it was written by a newer bbmeasure, "
            "which is needed to read it"
        )
    if actual == 0:
        return StorageUnavailableError(f"journal {name}: an empty file, nothing was written to it yet")
    return StorageUnavailableError(
        f"journal {name}: version {actual}, expected {known}: it is migrated when a master opens it"
    )
