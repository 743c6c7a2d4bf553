"""Version 1 of the journal's schema, as written before 0.1.0 was released: never changed.

- ``series`` and ``streams`` give every (series, builder, worker, tags) a small id; no builder and no worker is an empty
  text.  A series whose name is NULL was forgotten.
- ``builds`` has one row for each build and variant of its facts, with the key ``buildid * 256 + variant``.
- ``points`` is clustered by (stream, time), ``chunks`` has the moments of about 256 consecutive points.
- ``sinks``, ``outbox`` and ``dead_letters`` are the exporters, as in version 2.
"""

STATEMENTS = (
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
