"""Makes journals of version 1, from its schema as it was released."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bbmeasure.model import Point
from bbmeasure.storage.sqlite import rollup, schema
from bbmeasure.storage.validation import canonical_tags
from bbmeasure.times import NANOSECONDS
from tests.unit.storage.examples import START


def make_version_1(path: Path, points: Iterable[Point], exporters: Iterable[str] = ()) -> None:
    """Make a journal of version 1 with these points, all queued for the exporters.

    The declaration of a series is that of its first point: a size in bytes, or a text.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    schema.create(connection, path, 1)
    connection.execute("BEGIN")
    for name in exporters:
        connection.execute("INSERT INTO sinks(name, next, count, bytes, trimmed) VALUES (?, 1, 0, 0, 0)", (name,))
    for point in points:
        _insert(connection, point)
    connection.execute('INSERT INTO state VALUES (\'["total", "size"]\', 7.5)')
    _make_chunks(connection)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _id(connection: sqlite3.Connection, table: str, **row: Any) -> int:
    """The id of a row, which is inserted if it is missing."""
    names = list(row)
    where = " AND ".join(f"{name} IS :{name}" for name in names)
    found = connection.execute(f"SELECT id FROM {table} WHERE {where}", row).fetchone()
    if found is None:
        columns, values = ", ".join(names), ", ".join(f":{name}" for name in names)
        found = (connection.execute(f"INSERT INTO {table}({columns}) VALUES ({values})", row).lastrowid,)
    return int(found[0])


def _insert(connection: sqlite3.Connection, point: Point) -> None:
    is_text = isinstance(point.value, str)
    series = connection.execute("SELECT id FROM series WHERE name = ?", (point.series,)).fetchone()
    if series is None:
        meaning = {"kind": "text", "unit": "1"} if is_text else {"kind": "size", "unit": "bytes"}
        series = (_id(connection, "series", name=point.series, better="lower", declared=1, **meaning),)
    build, number, step = point.build, None, None
    names = {"builder": point.builder or "", "worker": point.worker or "", "tags": canonical_tags(point.tags)}
    stream = _id(connection, "streams", series=series[0], **names)
    if build is not None:
        facts = (build.build, build.revision, build.branch, build.project)
        number = build.buildid * 256
        while True:
            row = connection.execute("SELECT number, revision, branch, project FROM builds WHERE id = ?", (number,))
            found = row.fetchone()
            if found is None:
                connection.execute("INSERT INTO builds VALUES (?, ?, ?, ?, ?)", (number, *facts))
            if found in (None, facts):
                break
            number += 1
        step = None if build.step is None else _id(connection, "steps", name=build.step)
    row_ = (None, point.value) if is_text else (point.value, None)
    samples = None if point.samples == 1 else point.samples
    connection.execute(
        "REPLACE INTO points VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (stream, point.time, row_[0], number, step, samples, point.spread, row_[1]),
    )
    connection.execute(
        "INSERT INTO outbox SELECT id, next, ?, ?, 1700000000, 100 FROM sinks WHERE name IS NOT NULL",
        (stream, point.time),
    )
    connection.execute("UPDATE sinks SET next = next + 1, count = count + 1, bytes = bytes + 100")


def _make_chunks(connection: sqlite3.Connection) -> None:
    for (stream,) in connection.execute("SELECT id FROM streams").fetchall():
        rows = connection.execute("SELECT time, value FROM points WHERE stream = ? ORDER BY time", (stream,)).fetchall()
        for chunk in rollup.cut([time for time, _ in rows], [value for _, value in rows]):
            connection.execute("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", chunk.row(stream))


def make_large_version_1(path: Path, builders: int, series: int, builds: int) -> int:
    """Make a journal of version 1 with a point of each series and build of each builder; returns their number."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=OFF")
    schema.create(connection, path, 1)
    connection.execute("BEGIN")
    connection.execute("INSERT INTO steps VALUES (1, 'compile')")
    connection.executemany(
        "INSERT INTO series VALUES (?, ?, 'size', 'bytes', 'lower', 1)", ((n + 1, f"series {n}") for n in range(series))
    )
    numbers = range(1, builders * builds + 1)
    branches = ("main", "main", "main", "refs/pull/12/merge")
    connection.executemany(
        "INSERT INTO builds VALUES (?, ?, ?, ?, NULL)",
        ((n * 256, n // builders, f"{n:040x}", branches[n // builders % 4]) for n in numbers),
    )
    for stream in range(builders * series):
        builder = stream // series
        names = (stream + 1, stream % series + 1, f"builder {builder}", f"bot{builder % 10}")
        connection.execute("INSERT INTO streams VALUES (?, ?, ?, ?, '{}')", names)
        made = range(builder + 1, builders * builds + 1, builders)
        times = [START + (n * 3600 + stream % series) * NANOSECONDS for n in made]
        rows = [(stream + 1, time, float(n % 97), n * 256, 1, None, None, None) for n, time in zip(made, times)]
        connection.executemany("INSERT INTO points VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        for chunk in rollup.cut(times, [row[2] for row in rows]):
            connection.execute("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", chunk.row(stream + 1))
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return builders * builds * series
