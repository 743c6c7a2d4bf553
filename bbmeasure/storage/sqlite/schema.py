"""The journal's file: how it is opened, what tables it has, and how an older one is brought up to date.

The version is ``PRAGMA user_version``; ``MIGRATIONS[n]`` brings version n to n + 1, each in one transaction, so that a
master killed in the middle finds the older version whole.  A file of a newer version, or of another program, is
refused and left as it is.

The tables, and why they are so:

- ``series`` and ``streams`` give every (series, builder, worker, tags) a small number; no builder and no worker is an
  empty text.  A series without a name was forgotten and waits for its points to be deleted.
- ``builds`` holds what is true of a whole build, once.  Its key is ``buildid * 256 + variant`` (the revision may become
  known in the middle of a build), so that an earlier build has a smaller key and no join is needed to tell.
- ``points`` is clustered by (stream, time): a range of one series is one stretch of the file.  A text is in ``text``
  with NULL in ``value``, so that SQL's aggregates pass over it.
- ``chunks`` holds the moments of some 256 consecutive points each: see :mod:`bbmeasure.storage.sqlite.rollup`.
- ``sinks``, ``outbox`` and ``dead_letters``: see :mod:`bbmeasure.storage.sqlite.outbox`.  A sink
  without a name was detached.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from typing import Union
from urllib.parse import quote

from bbmeasure.errors import StorageError, StorageUnavailableError

#: "bbme", in the file's header, says whose file it is.
APPLICATION_ID = 0x62626D65

_FIRST = (
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

#: Element n brings version n to n + 1.  Released ones are never edited.
MIGRATIONS: tuple[Sequence[str], ...] = (_FIRST,)

Path = Union[str, "os.PathLike[str]"]


def open_for_writing(
    path: Path,
    *,
    busy_timeout: float = 1.0,
    migrations: Sequence[Sequence[str]] = MIGRATIONS,
) -> sqlite3.Connection:
    """A writing connection to a file, which is created or migrated if needed; ``busy_timeout`` in seconds.

    Every commit is synced (``synchronous=FULL``): 3 ms in the writer's thread, shared by all points that came
    meanwhile, and neither a killed process nor a power cut loses what was acknowledged.
    """
    connection = sqlite3.connect(os.fspath(path), timeout=busy_timeout, isolation_level=None, check_same_thread=False)
    try:
        check_owner(connection, path)
        if version(connection) > len(migrations):
            raise _wrong_version(path, version(connection), len(migrations))
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "journal_size_limit=67108864", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        migrate(connection, path, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path, *, busy_timeout: float = 1.0) -> sqlite3.Connection:
    """A connection that cannot write, whether or not a master has the file open.

    In a folder that cannot be written SQLite cannot make the ``-shm`` file that readers share; the file is then read
    as one that nobody changes, which holds where no ``-wal`` file waits beside it.  StorageUnavailableError where
    there is no such file.
    """
    name = os.fspath(path)
    if not os.path.exists(name):
        raise StorageUnavailableError(f"journal {name}: no such file")
    try:
        return _connect_for_reading(name, busy_timeout, "mode=ro")
    except sqlite3.OperationalError as error:
        waiting = f"{name}-wal"
        if "unable to open" not in str(error) and "readonly" not in str(error):
            raise
        if os.path.exists(waiting) and os.path.getsize(waiting):
            raise StorageUnavailableError(
                f"journal {name}: its folder cannot be written and {waiting} holds points that are not in the file "
                "yet; copy both to a folder of your own and read them there"
            ) from error
        return _connect_for_reading(name, busy_timeout, "immutable=1")


def _connect_for_reading(name: str, busy_timeout: float, mode: str) -> sqlite3.Connection:
    uri = f"file:{quote(os.path.abspath(name))}?{mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=busy_timeout, isolation_level=None, check_same_thread=False)
    try:
        check_owner(connection, name)
        connection.execute("PRAGMA temp_store=MEMORY")
        found = version(connection)
        if found != len(MIGRATIONS):
            raise _wrong_version(name, found, len(MIGRATIONS))
    except BaseException:
        connection.close()
        raise
    return connection


def version(connection: sqlite3.Connection) -> int:
    """The version of the file's schema; 0 for a new file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_owner(connection: sqlite3.Connection, path: Path) -> None:
    """StorageError where the file belongs to another program."""
    # in this order: where another process is just making the journal, its tables do not come before its id
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    if owner != APPLICATION_ID and (owner or tables):
        raise StorageError(
            f"journal {os.fspath(path)}: a database of another program (application id {owner}, {tables} tables), "
            "expected a journal of bbmeasure or no file"
        )


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> int:
    """Bring the file to the last version, one committed step after the other; how many steps that took."""
    steps = 0
    while version(connection) != len(migrations):
        connection.execute("BEGIN IMMEDIATE")
        try:
            found = version(connection)  # again, now that no other process can be migrating
            if found > len(migrations):
                raise _wrong_version(path, found, len(migrations))
            for statement in migrations[found] if found < len(migrations) else ():
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={min(found + 1, len(migrations))}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        steps += 1
    return steps


def _wrong_version(path: Path, found: int, known: int) -> StorageError:
    name = os.fspath(path)
    if found > known:
        return StorageError(
            f"journal {name}: version {found}, expected at most {known}: it was written by a newer bbmeasure, "
            "which is the one to read it with"
        )
    if found == 0:
        return StorageUnavailableError(f"journal {name}: nothing was written to it yet")
    return StorageUnavailableError(
        f"journal {name}: version {found}, expected {known}: it is brought up to date when a master opens it"
    )
