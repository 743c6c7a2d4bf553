"""The current error of each exporter, kept in the journal so that it is known while the master is down."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Optional

from bbmeasure.storage.sqlite.connection import WriteConnection
from bbmeasure.times import NANOSECONDS

#: The longest error that is kept, in characters.
MAX_ERROR = 2_000
_SINK = "(SELECT id FROM sinks WHERE name = ?)"


@dataclass(frozen=True)
class Trouble:
    """An error and the time since which it lasts, in nanoseconds."""

    time: int
    error: str


def trouble(connection: sqlite3.Connection, name: str) -> Optional[Trouble]:
    """The error of an exporter; None where it has none, or none was met since it was attached."""
    found = connection.execute(f"SELECT at, error FROM troubles WHERE sink = {_SINK}", (name,)).fetchone()
    return None if found is None else Trouble(found[0] * NANOSECONDS, found[1])


def note(ingest: WriteConnection, name: str, error: Optional[str]) -> None:
    """Keep the error of an exporter, None for none; no change for an exporter that is not attached."""
    ingest.connection.execute(f"DELETE FROM troubles WHERE sink = {_SINK}", (name,))
    if error is not None:
        ingest.connection.execute(
            "INSERT INTO troubles SELECT id, ?, ? FROM sinks WHERE name = ?", (ingest.now(), error[:MAX_ERROR], name)
        )
