"""Corrections by a person: points of one build or builder are removed, running totals get another series' name."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Optional

from bbmeasure.model import EVERY_PROPOSAL, Query
from bbmeasure.storage.sqlite import overview, rollup
from bbmeasure.storage.sqlite.ingest import Ingest
from bbmeasure.storage.sqlite.selection import Stream, find
from bbmeasure.storage.validation import state_series

#: Points that are removed in one transaction, unless a chunk has more.
_POINTS_PER_STEP = 1_000
#: The times of a stream's points, of one build or of all.
_TIMES = """SELECT p.time FROM points p LEFT JOIN builds b ON b.id = p.build
    WHERE p.stream = :stream AND (:build IS NULL OR b.number = :build) ORDER BY p.time LIMIT :limit"""


def remove(ingest: Ingest, series: str, builder: Optional[str], build: Optional[int]) -> Generator[None, None, int]:
    """Remove the points of a series, of one builder, one build number or both; returns their number.

    The next build of each line replays it without the points, from its last decision.  Each step of the generator is
    one transaction.
    """
    removed = 0
    query = Query(series, builder=builder, proposal=EVERY_PROPOSAL)
    for stream in find(ingest.connection, query).streams:
        count = _POINTS_PER_STEP
        while count == _POINTS_PER_STEP:
            count = _remove_from(ingest, stream, build)
            removed += count
            if count:
                yield
    return removed


def _remove_from(ingest: Ingest, stream: Stream, build: Optional[int]) -> int:
    """Remove points of a stream, _POINTS_PER_STEP at most; returns their number."""
    connection = ingest.connection
    where = {"stream": stream.id, "build": build, "limit": _POINTS_PER_STEP}
    times = [time for (time,) in connection.execute(_TIMES, where)]
    if not times:
        return 0
    chunks = {}
    for time in times:
        chunk = rollup.chunk_at(connection, stream.id, time)
        if chunk is not None:
            chunks[chunk.start] = chunk.last
    rows = [(stream.id, time) for time in times]
    for table in ("points", "details", "strays"):
        connection.executemany(f"DELETE FROM {table} WHERE stream = ? AND time = ?", rows)
    for start, last in chunks.items():
        rollup.rebuild(connection, stream.id, start, last)
    overview.recount_meanings(connection, overview.recount_lines(connection, [stream.line]))
    ingest.mark_late((stream.line, time) for time in times)
    ingest.clear()
    return len(times)


def rename_totals(ingest: Ingest, old: str, new: str) -> None:
    """Give the running totals of a series another name."""
    rows = ingest.connection.execute("SELECT key, value FROM state").fetchall()
    for key, value in rows:
        if state_series(key) == old:
            mode, _, *rest = json.loads(key)
            renamed = json.dumps([mode, new, *rest], sort_keys=True)
            ingest.connection.execute("REPLACE INTO state VALUES (?, ?)", (renamed, value))
            ingest.connection.execute("DELETE FROM state WHERE key = ?", (key,))
