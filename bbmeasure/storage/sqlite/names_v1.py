"""The names that the series of a file of version 1 have from now on.

Version 1 kept every name as it was written.  Names are canonical now, see :func:`~bbmeasure.records.canonical_series`,
and a query finds no other.  Two series whose names become one stay apart: the later one gets a number.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

from bbmeasure.records import canonical_series


def create(connection: sqlite3.Connection, old: str) -> None:
    """Create the temporary table ``names`` (series, text) for the series of the schema ``old`` of a connection."""
    rows = connection.execute(f"SELECT id, name FROM {old}.series WHERE name IS NOT NULL ORDER BY id").fetchall()
    connection.execute("CREATE TEMP TABLE names(series INTEGER PRIMARY KEY, old TEXT NOT NULL, text TEXT NOT NULL)")
    connection.executemany("INSERT INTO names VALUES (?, ?, ?)", _renamed(rows))


def _renamed(rows: list[tuple[int, str]]) -> Iterator[tuple[int, str, str]]:
    """Id, old and new name of each series; those whose name stays come first."""
    taken: set[str] = set()
    for id_, name in sorted(rows, key=lambda row: canonical_series(row[1]) != row[1]):
        text, number = canonical_series(name), 1
        while text in taken:
            number += 1
            text = f"{canonical_series(name)}_{number}"
        taken.add(text)
        yield id_, name, text


def log_renamed(connection: sqlite3.Connection) -> None:
    """Log which series get another name; needs :func:`create`."""
    from twisted.logger import Logger  # commands and the process that judges start faster without it

    log = Logger()
    for name, text in connection.execute("SELECT old, text FROM names WHERE old != text"):
        log.warn("bbmeasure: the series {name} is {text} from now on", name=repr(name), text=repr(text))


def renamed_state(connection: sqlite3.Connection, old: str) -> Iterator[tuple[str, float]]:
    """The running totals of the schema ``old``, with the new names of their series; needs :func:`create`."""
    names = dict(connection.execute("SELECT old, text FROM names WHERE old != text").fetchall())
    for key, value in connection.execute(f"SELECT key, value FROM {old}.state").fetchall():
        yield _renamed_key(key, names), value


def _renamed_key(key: str, names: dict[str, str]) -> str:
    try:
        items = json.loads(key)
    except ValueError:
        return key
    if not isinstance(items, list) or len(items) < 2 or items[1] not in names:
        return key
    items[1] = names[items[1]]
    return json.dumps(items, sort_keys=True)
