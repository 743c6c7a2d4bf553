"""Deletes names that no row of the file has any longer, see the table ``texts``.

Nothing counts how often a name is used, since every write would pay for it.  So all rows that have names are read, a
slice at a time, and then the names that none of them has are deleted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from bbmeasure.storage.sqlite.ingest import Ingest

#: Rows that are read, and names that are examined, in a slice.
_ROWS_PER_SLICE = 5_000
#: The columns that have ids of names, by table with an id.
COLUMNS = {
    "series": ("name", "builder"),
    "meanings": ("name",),
    "lines": ("tags", "branch", "machine"),
    "streams": ("worker", "step"),
    "builds": ("builder", "worker", "branch", "machine"),
    "mutes": ("name", "builder"),
}
_STEPS = """SELECT stream, time, step FROM details WHERE (stream, time) > (?, ?) ORDER BY stream, time LIMIT ?"""


def delete_unused(ingest: Ingest) -> Iterator[bool]:
    """Delete unused names; yields true after each slice, which is a transaction of its own.

    Nothing is deleted if another process has written meanwhile, as it may use a name again; the next run does it.
    """
    connection = ingest.connection
    ingest.texts.clear()  # names that are used again from now on are in its cache
    (newest,) = connection.execute("SELECT ifnull(max(id), 0) FROM texts").fetchone()
    version, evicted = ingest.data_version, ingest.texts.evicted
    used: set[int] = set()
    for _ in _read_used(connection, used):
        yield True
    at = 0
    while at < newest and (version, evicted) == (ingest.data_version, ingest.texts.evicted):
        candidates = [
            id_
            for (id_,) in connection.execute(
                "SELECT id FROM texts WHERE id > ? AND id <= ? ORDER BY id LIMIT ?", (at, newest, _ROWS_PER_SLICE)
            )
        ]
        if not candidates:
            return
        at = candidates[-1]
        used |= ingest.texts.cached()
        unused = [(id_,) for id_ in candidates if id_ not in used]
        connection.executemany("DELETE FROM texts WHERE id = ?", unused)
        yield True


def _read_used(connection: sqlite3.Connection, used: set[int]) -> Iterator[None]:
    """Add the ids of all used names to ``used``."""
    for table, columns in COLUMNS.items():
        sql = f"SELECT id, {', '.join(columns)} FROM {table} WHERE id > ? ORDER BY id LIMIT ?"
        after: tuple[int, ...] = (-(2**62),)
        while rows := connection.execute(sql, (*after, _ROWS_PER_SLICE)).fetchall():
            used.update(text for _, *texts in rows for text in texts)
            after = rows[-1][:1]
            yield
    after = (-1, 0)
    while rows := connection.execute(_STEPS, (*after, _ROWS_PER_SLICE)).fetchall():
        used.update(step for _, _, step in rows)
        after = rows[-1][:2]
        yield
