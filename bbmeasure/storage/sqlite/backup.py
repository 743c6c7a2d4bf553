"""Copies a journal while it is written, about as fast as ``cp``."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing

from bbmeasure.errors import StorageError, StorageUnavailableError
from bbmeasure.storage.sqlite import schema

_ATTEMPTS = 20


def backup(path: schema.Path, target: schema.Path, *, busy_timeout: float = 1.0) -> None:
    """Copy the journal ``path`` to the new file ``target``, which is complete and synced afterwards.

    While a reader uses no frame of the WAL, no checkpoint writes into the file itself.  So when the WAL is empty, a
    read transaction is begun, and the file is copied as it is; others write to the WAL meanwhile.  A process of its own
    reads the file, since closing it here would release the locks of this process.
    """
    name, copy = os.path.abspath(path), os.path.abspath(target)
    if os.path.exists(copy):
        raise StorageError(f"backup {copy}: expected no file")
    if not os.path.exists(name):
        raise StorageUnavailableError(f"journal {name}: no such file")
    try:
        with (
            closing(sqlite3.connect(name, timeout=busy_timeout, isolation_level=None)) as writer,
            closing(sqlite3.connect(name, timeout=busy_timeout, isolation_level=None)) as reader,
        ):
            schema.check_owner(writer, path)
            _freeze(writer, reader, name)
            _copy_file(name, f"{copy}.new")
    except (sqlite3.Error, OSError) as error:
        raise StorageUnavailableError(f"backup {copy}: {error}") from error
    os.replace(f"{copy}.new", copy)


def _freeze(writer: sqlite3.Connection, reader: sqlite3.Connection, name: str) -> None:
    """Begin a read transaction of ``reader`` while the WAL is empty."""
    for _ in range(_ATTEMPTS):
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        writer.execute("BEGIN IMMEDIATE")
        try:
            if not os.path.exists(f"{name}-wal") or not os.path.getsize(f"{name}-wal"):
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
                return
        finally:
            writer.execute("ROLLBACK")
    raise StorageUnavailableError(f"journal {name}: others read or write it without a pause")


def _copy_file(name: str, copy: str) -> None:
    done = subprocess.run(["cp", "--", name, copy], stderr=subprocess.PIPE, check=False, text=True)
    if done.returncode:
        if os.path.exists(copy):
            os.unlink(copy)
        raise OSError(done.stderr.strip() or f"cp ended with status {done.returncode}")
    descriptor = os.open(copy, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
