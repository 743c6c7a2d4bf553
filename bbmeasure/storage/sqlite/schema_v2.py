"""Version 2 of the journal's schema.

- ``texts`` gives every name a small id: series, builders, workers, tags (as JSON), branches, machine classes, steps.
  Id 0, which no row has, stands for no name.
- ``series`` has a row for each name and builder, ``meanings`` one for each name, kind and unit, whose builders are a
  row of ``builder_sets`` (as JSON; 0 is none), since many meanings have the same.  ``listed`` is 0 where only proposals
  have declared or measured a meaning.  A series whose name is NULL was forgotten; its points are yet to be deleted.
- ``lines`` has a row for each series, set of tags, branch and machine class, apart for proposals; ``machine`` is the
  worker's name where it has no class.  ``streams`` divides a line by worker; ``named`` is 1 where the worker has a
  class, ``step`` the step of most of its points.  Thousands of proposals share a line.
- ``count``, ``first``, ``last`` and ``newest`` of ``lines``, and of ``totals`` (those of a meaning, without proposals),
  are updated with every point.  ``newest`` is the stream of the newest point.
- ``builds`` has one row for each build and variant of its facts (the revision may become known during the build).  Its
  key is ``buildid * 256 + variant``, so that earlier builds have smaller keys and are found without a join.  The points
  of a row are in the streams of its line and worker from ``first`` to ``last``, or listed in ``strays``.
- ``points`` is clustered by (stream, time), so that a range of one stream is contiguous.  The value of a text is NULL,
  which SQL's aggregate functions skip.
- ``details`` has what few points have: a text, samples and spread, a step other than their stream's (0 is no step).
- ``chunks`` has the moments of about 256 consecutive points in each row, see :mod:`bbmeasure.storage.sqlite.rollup`.
- ``sinks`` (the exporters), ``outbox`` and ``dead_letters``: see :mod:`bbmeasure.storage.sqlite.outbox`.  An exporter
  whose name is NULL was detached.
- ``troubles`` has the current error of an exporter, see :mod:`bbmeasure.storage.sqlite.troubles`.
- ``verdicts`` and ``untold`` (by buildid), ``detectors`` (by line), ``remarks``, ``alerts`` and ``mutes``: see
  :mod:`bbmeasure.storage.sqlite.verdicts`.
"""

STATEMENTS = (
    "CREATE TABLE texts(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",
    """CREATE TABLE meanings(
        id INTEGER PRIMARY KEY, name INTEGER NOT NULL, kind TEXT NOT NULL, unit TEXT NOT NULL, better TEXT NOT NULL,
        builders INTEGER NOT NULL, listed INTEGER NOT NULL DEFAULT 0, UNIQUE(name, kind, unit))""",
    "CREATE INDEX meanings_builders ON meanings(builders)",
    "CREATE TABLE builder_sets(id INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE)",
    """CREATE TABLE totals(
        meaning INTEGER PRIMARY KEY, count INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
        newest INTEGER NOT NULL)""",
    """CREATE TABLE series(
        id INTEGER PRIMARY KEY, name INTEGER, builder INTEGER NOT NULL, meaning INTEGER NOT NULL, better TEXT NOT NULL,
        declared INTEGER NOT NULL, UNIQUE(name, builder))""",
    "CREATE INDEX series_builder ON series(builder)",
    """CREATE TABLE lines(
        id INTEGER PRIMARY KEY, series INTEGER NOT NULL, tags INTEGER NOT NULL, branch INTEGER NOT NULL,
        machine INTEGER NOT NULL, proposed INTEGER NOT NULL, count INTEGER NOT NULL, first INTEGER NOT NULL,
        last INTEGER NOT NULL, newest INTEGER NOT NULL, UNIQUE(series, tags, branch, machine, proposed))""",
    """CREATE TABLE streams(
        id INTEGER PRIMARY KEY, line INTEGER NOT NULL, worker INTEGER NOT NULL, named INTEGER NOT NULL,
        step INTEGER NOT NULL, UNIQUE(line, worker, named))""",
    """CREATE TABLE builds(
        id INTEGER PRIMARY KEY, number INTEGER NOT NULL, revision TEXT, project TEXT, proposal TEXT NOT NULL,
        builder INTEGER NOT NULL, worker INTEGER NOT NULL, branch INTEGER NOT NULL, machine INTEGER NOT NULL,
        first INTEGER NOT NULL, last INTEGER NOT NULL)""",
    "CREATE INDEX builds_proposal ON builds(proposal) WHERE proposal != ''",
    """CREATE TABLE strays(
        build INTEGER NOT NULL, stream INTEGER NOT NULL, time INTEGER NOT NULL, PRIMARY KEY(build, stream, time))
        WITHOUT ROWID""",
    """CREATE TABLE points(
        stream INTEGER NOT NULL, time INTEGER NOT NULL, value REAL, build INTEGER, PRIMARY KEY(stream, time))
        WITHOUT ROWID""",
    """CREATE TABLE details(
        stream INTEGER NOT NULL, time INTEGER NOT NULL, step INTEGER, samples INTEGER, spread REAL, text TEXT,
        PRIMARY KEY(stream, time)) WITHOUT ROWID""",
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
    "CREATE TABLE troubles(sink INTEGER PRIMARY KEY, at INTEGER NOT NULL, error TEXT NOT NULL)",
    """CREATE TABLE alerts(
        id INTEGER PRIMARY KEY AUTOINCREMENT, line INTEGER NOT NULL, rule TEXT NOT NULL, state TEXT NOT NULL,
        outcome TEXT NOT NULL, build INTEGER NOT NULL, buildid INTEGER NOT NULL, time INTEGER NOT NULL,
        opened INTEGER NOT NULL, before REAL, after REAL NOT NULL, change REAL, who TEXT NOT NULL, why TEXT NOT NULL,
        applied INTEGER NOT NULL, facts TEXT NOT NULL)""",
    "CREATE INDEX alerts_line ON alerts(line, id)",
    "CREATE INDEX alerts_state ON alerts(state, id)",
    "CREATE INDEX alerts_decided ON alerts(applied) WHERE applied = 0",
    """CREATE TABLE mutes(
        id INTEGER PRIMARY KEY, name INTEGER NOT NULL, builder INTEGER NOT NULL, until INTEGER NOT NULL,
        who TEXT NOT NULL, why TEXT NOT NULL)""",
    """CREATE TABLE detectors(
        line INTEGER PRIMARY KEY, time INTEGER NOT NULL, build INTEGER NOT NULL, state BLOB NOT NULL, late INTEGER)""",
    "CREATE TABLE verdicts(build INTEGER PRIMARY KEY, lines BLOB NOT NULL)",
    "CREATE TABLE untold(build INTEGER NOT NULL, reporter TEXT NOT NULL, PRIMARY KEY(build, reporter)) WITHOUT ROWID",
    """CREATE TABLE remarks(
        line INTEGER NOT NULL, build INTEGER NOT NULL, samples TEXT NOT NULL, excluded INTEGER NOT NULL,
        PRIMARY KEY(line, build)) WITHOUT ROWID""",
    "CREATE INDEX remarks_build ON remarks(build)",
)
