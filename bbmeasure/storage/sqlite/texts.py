"""Ids of the names in a journal's file, see the table ``texts``; 0 is no name."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from typing import Optional

#: The id of no name.
NONE = 0
#: An id that no row has: what a query for an unknown name compares with.
UNKNOWN = -1
_MAX_CACHED = 20_000


def text_id(connection: sqlite3.Connection, text: Optional[str]) -> int:
    """The id of a name; NONE for None or an empty name, UNKNOWN for a name that is not in the file."""
    if not text:
        return NONE
    row = connection.execute("SELECT id FROM texts WHERE text = ?", (text,)).fetchone()
    return UNKNOWN if row is None else int(row[0])


def has_names(*names: tuple[str, Optional[str]]) -> tuple[str, list[str]]:
    """The condition that columns have the ids of names, "" of no name, and its parameters; None is any name."""
    conditions = ["1"]
    for column, name in names:
        if name is not None:
            conditions.append(f"{column} = (SELECT id FROM texts WHERE text = ?)" if name else f"{column} = {NONE}")
    return " AND ".join(conditions), [name for _, name in names if name]


class TextIds:
    """Finds or inserts names in a write transaction; the last used are cached."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._ids: OrderedDict[str, int] = OrderedDict()
        #: The number of names that were dropped from the cache.
        self.evicted = 0

    def clear(self) -> None:
        """Drop the cache."""
        self.evicted += len(self._ids)
        self._ids.clear()

    def cached(self) -> set[int]:
        """The ids in the cache."""
        return set(self._ids.values())

    def __call__(self, text: Optional[str]) -> int:
        """The id of a name, which is inserted if it is missing; NONE for None or an empty name."""
        if not text:
            return NONE
        id_ = self._ids.get(text)
        if id_ is not None:
            self._ids.move_to_end(text)
            return id_
        id_ = text_id(self._connection, text)
        if id_ == UNKNOWN:
            id_ = self._connection.execute("INSERT INTO texts(text) VALUES (?)", (text,)).lastrowid or NONE
        self._ids[text] = id_
        if len(self._ids) > _MAX_CACHED:
            self._ids.popitem(last=False)
            self.evicted += 1
        return id_
