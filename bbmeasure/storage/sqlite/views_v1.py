"""Version 2 as seen in a file of version 1: temporary tables and views with which every query of a reader works.

Readers answer from the old file while it is migrated, and command lines before.  All branches are unknown there, and no
build is a proposal.  The file must not be written meanwhile: names and totals are read once.
"""

from __future__ import annotations

import sqlite3

from bbmeasure.storage.sqlite import names_v1, overview, rollup, schema_v2

_TABLES = (
    *("builder_sets", "texts", "meanings", "totals", "series", "lines", "streams", "troubles"),
    *("alerts", "mutes", "verdicts", "untold", "remarks"),
)
_FILL = (
    # steps keep their ids, which the points have
    "INSERT INTO texts SELECT id, name FROM main.steps",
    """INSERT OR IGNORE INTO texts(text)
        SELECT text FROM names UNION SELECT builder FROM main.streams
        UNION SELECT worker FROM main.streams UNION SELECT tags FROM main.streams EXCEPT SELECT ''""",
    """INSERT INTO meanings(name, kind, unit, better, builders)
        SELECT n.id, s.kind, s.unit, s.better, 0
        FROM main.series s JOIN names c ON c.series = s.id JOIN texts n ON n.text = c.text""",
    """INSERT INTO series(name, builder, meaning, better, declared)
        SELECT DISTINCT n.id, ifnull(b.id, 0), m.id, s.better, s.declared
        FROM main.series s JOIN names c ON c.series = s.id JOIN texts n ON n.text = c.text
        JOIN meanings m ON m.name = n.id
        LEFT JOIN main.streams t ON t.series = s.id LEFT JOIN texts b ON b.text = t.builder""",
    """INSERT INTO lines(id, series, tags, branch, machine, proposed, count, first, last, newest)
        SELECT m.id, s.id, g.id, 0, ifnull(w.id, 0), 0, sum(c.count + c.texts), min(c.start), max(c.last), m.id
        FROM main.chunks c JOIN main.streams m ON m.id = c.stream JOIN names o ON o.series = m.series
        JOIN texts n ON n.text = o.text JOIN texts g ON g.text = m.tags LEFT JOIN texts b ON b.text = m.builder
        LEFT JOIN texts w ON w.text = m.worker JOIN series s ON s.name = n.id AND s.builder = ifnull(b.id, 0)
        GROUP BY c.stream""",
    "INSERT INTO streams SELECT id, id, machine, 0, 0 FROM lines",
    """CREATE TEMP VIEW points AS SELECT stream, time, value, build FROM main.points""",
    """CREATE TEMP VIEW details AS
        SELECT stream, time, ifnull(step, 0) AS step, samples, spread, text FROM main.points""",
    f"""CREATE TEMP VIEW builds AS
        SELECT id, number, revision, project, '' AS proposal, 0 AS builder, 0 AS worker, 0 AS branch, 0 AS machine,
            {rollup.LATEST} AS first, {rollup.EARLIEST} AS last FROM main.builds""",
    # every point of a build is found by the index of version 1
    "CREATE TEMP VIEW strays AS SELECT build, stream, time FROM main.points WHERE build IS NOT NULL",
)


def create(connection: sqlite3.Connection) -> None:
    """Create the tables and views on a connection to a file of version 1."""
    connection.execute("PRAGMA temp_store=FILE")
    connection.execute("BEGIN")
    for statement in schema_v2.STATEMENTS:
        kind, _, definition = statement.partition(" ")
        name = definition.split()[1].partition("(")[0]
        if definition.startswith("TABLE") and name in _TABLES:
            connection.execute(f"{kind} TEMP {definition}")
    names_v1.create(connection, "main")
    for statement in _FILL:
        connection.execute(statement)
    meanings = [id_ for (id_,) in connection.execute("SELECT id FROM meanings").fetchall()]
    overview.recount_meanings(connection, meanings)
    connection.execute("COMMIT")
