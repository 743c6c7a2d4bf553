"""Lines of a builder and of the whole file, for the budgets."""

from __future__ import annotations

import json
import sqlite3

from bbmeasure.storage.base import HeldLine

_HELD = """SELECT DISTINCT n.text, t.text, l.proposed
    FROM series s JOIN texts n ON n.id = s.name CROSS JOIN lines l ON l.series = s.id LEFT JOIN texts t ON t.id = l.tags
    WHERE s.builder = ifnull((SELECT id FROM texts WHERE text = nullif(:builder, '')), :missing) AND l.count > 0
    ORDER BY n.text, t.text, l.proposed"""
_COUNTS = """SELECT l.proposed, count(*) FROM lines l JOIN series s ON s.id = l.series
    WHERE s.name IS NOT NULL AND l.count > 0 GROUP BY l.proposed"""


def held_lines(connection: sqlite3.Connection, builder: str) -> list[HeldLine]:
    """Series and tags of a builder, see :meth:`~bbmeasure.storage.base.CaptureStorage.held_lines`."""
    rows = connection.execute(_HELD, {"builder": builder, "missing": -1 if builder else 0})
    return [HeldLine(series, json.loads(tags) if tags else {}, bool(proposed)) for series, tags, proposed in rows]


def count_lines(connection: sqlite3.Connection) -> tuple[int, int]:
    """The number of lines that are not of proposals, and of those that are."""
    counts = dict(connection.execute(_COUNTS).fetchall())
    return counts.get(0, 0), counts.get(1, 0)
