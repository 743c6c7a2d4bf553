"""Copies the content of a journal of version 1, attached as ``old``, into an empty file of version 2.

In version 1 a stream had the points of all branches.  Each is divided by the branch of the builds: what the branch
itself says of a proposal is used, such as ``refs/pull/12/merge``.  Workers have no machine class.  A series had one
kind, unit and direction for all builders; each builder gets a copy.  Names become canonical.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable

from bbmeasure.refs import plain_branch, proposal_of_ref, shortened
from bbmeasure.storage.sqlite import names_v1, overview, rollup, schema_v2

#: Points that are copied in a transaction, about.
_SLICE = 50_000
#: The branch of old builds without one: that of a policy without arguments.
DEFAULT_BRANCH = "main"

_PREPARE = (
    "CREATE TEMP TABLE branches(old TEXT, branch INTEGER NOT NULL, proposal TEXT NOT NULL)",
    "CREATE INDEX temp.branches_old ON branches(old)",
    # one row for each stream, branch and proposal, with the new stream
    """CREATE TEMP TABLE parts(
        id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, branch INTEGER NOT NULL, proposed INTEGER NOT NULL,
        UNIQUE(stream, branch, proposed))""",
    "CREATE TEMP TABLE facts(build INTEGER PRIMARY KEY, branch INTEGER NOT NULL, proposal TEXT NOT NULL)",
    """CREATE TEMP TABLE ranges(
        build INTEGER, builder INTEGER, worker INTEGER, first INTEGER, last INTEGER,
        PRIMARY KEY(build, builder, worker)) WITHOUT ROWID""",
)
_NAMES = """INSERT INTO texts(text)
    SELECT text FROM names UNION SELECT builder FROM old.streams
    UNION SELECT worker FROM old.streams UNION SELECT tags FROM old.streams UNION SELECT name FROM old.steps
    EXCEPT SELECT ''"""
_MEANINGS = """INSERT INTO meanings(name, kind, unit, better, builders)
    SELECT n.id, s.kind, s.unit, 'none', 0
    FROM old.series s JOIN names c ON c.series = s.id JOIN texts n ON n.text = c.text"""
_SERIES = """INSERT INTO series(name, builder, meaning, better, declared)
    SELECT DISTINCT n.id, ifnull(b.id, 0), m.id, s.better, s.declared
    FROM old.series s JOIN names c ON c.series = s.id JOIN texts n ON n.text = c.text JOIN meanings m ON m.name = n.id
    LEFT JOIN old.streams t ON t.series = s.id LEFT JOIN texts b ON b.text = t.builder"""
_FACTS = (
    """INSERT INTO facts SELECT b.id, r.branch, r.proposal FROM old.builds b JOIN branches r ON r.old IS b.branch"""
)
#: Version 1 does not say who declared a series: if it has points of proposals alone, only proposals did.
_PROPOSED = f"""UPDATE series SET declared = {overview.PROPOSED} WHERE declared
    AND EXISTS (SELECT 1 FROM lines l WHERE l.series = series.id)
    AND NOT EXISTS (SELECT 1 FROM lines l WHERE l.series = series.id AND NOT l.proposed)"""
#: Joins of the points of some streams with their new stream.
_PARTED = """old.points p LEFT JOIN facts f ON f.build = p.build
    CROSS JOIN parts x ON x.stream = p.stream AND x.branch = ifnull(f.branch, 0)
        AND x.proposed = (ifnull(f.proposal, '') != '')
    WHERE p.stream BETWEEN :first AND :last"""
_COPY_SLICE = (
    """INSERT OR IGNORE INTO parts(stream, branch, proposed)
        SELECT DISTINCT p.stream, ifnull(f.branch, 0), ifnull(f.proposal, '') != ''
        FROM old.streams m JOIN old.series s ON s.id = m.series AND s.name IS NOT NULL
        CROSS JOIN old.points p ON p.stream = m.id LEFT JOIN facts f ON f.build = p.build
        WHERE m.id BETWEEN :first AND :last ORDER BY p.stream""",
    """INSERT OR IGNORE INTO lines(series, tags, branch, machine, proposed, count, first, last, newest)
        SELECT s.id, g.id, x.branch, ifnull(w.id, 0), x.proposed, 0, 0, 0, 0
        FROM parts x JOIN old.streams m ON m.id = x.stream JOIN names o ON o.series = m.series
        JOIN texts n ON n.text = o.text LEFT JOIN texts b ON b.text = m.builder LEFT JOIN texts w ON w.text = m.worker
        JOIN texts g ON g.text = m.tags JOIN series s ON s.name = n.id AND s.builder = ifnull(b.id, 0)
        WHERE x.stream BETWEEN :first AND :last ORDER BY x.id""",
    """INSERT INTO streams(id, line, worker, named, step)
        SELECT x.id, l.id, ifnull(w.id, 0), 0, ifnull((SELECT e.id FROM old.points p JOIN old.steps t ON t.id = p.step
            JOIN texts e ON e.text = t.name WHERE p.stream = x.stream ORDER BY p.time DESC LIMIT 1), 0)
        FROM parts x JOIN old.streams m ON m.id = x.stream JOIN names o ON o.series = m.series
        JOIN texts n ON n.text = o.text LEFT JOIN texts b ON b.text = m.builder LEFT JOIN texts w ON w.text = m.worker
        JOIN texts g ON g.text = m.tags JOIN series s ON s.name = n.id AND s.builder = ifnull(b.id, 0)
        JOIN lines l ON l.series = s.id AND l.tags = g.id AND l.branch = x.branch AND l.machine = ifnull(w.id, 0)
            AND l.proposed = x.proposed
        WHERE x.stream BETWEEN :first AND :last ORDER BY x.id""",
    f"INSERT INTO points SELECT x.id, p.time, p.value, p.build FROM {_PARTED} ORDER BY x.id, p.time",
    f"""INSERT INTO details
        SELECT * FROM (SELECT x.id, p.time,
            nullif(ifnull((SELECT e.id FROM old.steps t JOIN texts e ON e.text = t.name WHERE t.id = p.step), 0),
                (SELECT step FROM streams WHERE id = x.id)) AS step, p.samples, p.spread, p.text FROM {_PARTED})
        WHERE step IS NOT NULL OR samples IS NOT NULL OR spread IS NOT NULL OR text IS NOT NULL""",
    """INSERT INTO ranges
        SELECT p.build, s.builder, m.worker, min(p.time), max(p.time)
        FROM parts x CROSS JOIN streams m ON m.id = x.id CROSS JOIN lines l ON l.id = m.line
        CROSS JOIN series s ON s.id = l.series CROSS JOIN points p ON p.stream = x.id
        WHERE x.stream BETWEEN :first AND :last AND p.build IS NOT NULL GROUP BY p.build, s.builder, m.worker
        ON CONFLICT(build, builder, worker)
        DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)""",
)
_COPY_CHUNKS = """INSERT INTO chunks
    SELECT x.id, c.start, c.last, c.count, c.texts, c.mean, c.m2, c.minimum, c.maximum, c.total
    FROM parts x JOIN old.chunks c ON c.stream = x.stream WHERE x.stream BETWEEN :first AND :last
    AND NOT EXISTS (SELECT 1 FROM parts y WHERE y.stream = x.stream AND y.id != x.id)"""
_DIVIDED = """SELECT x.id FROM parts x WHERE x.stream BETWEEN :first AND :last
    AND EXISTS (SELECT 1 FROM parts y WHERE y.stream = x.stream AND y.id != x.id)"""
#: A build of one builder and worker keeps its row; what others have of it is listed in strays.
_BUILDS = """INSERT INTO builds(id, number, revision, project, proposal, builder, worker, branch, machine, first, last)
    SELECT b.id, b.number, b.revision, b.project, f.proposal, r.builder, r.worker, f.branch, 0, r.first, r.last
    FROM ranges r JOIN old.builds b ON b.id = r.build JOIN facts f ON f.build = b.id
    WHERE r.builder = (SELECT min(builder) FROM ranges WHERE build = b.id)
    AND r.worker = (SELECT min(worker) FROM ranges WHERE build = b.id AND builder = r.builder)"""
_STRAYS = """INSERT OR IGNORE INTO strays
    SELECT p.build, x.id, p.time FROM ranges r JOIN builds b ON b.id = r.build
        AND (b.builder != r.builder OR b.worker != r.worker)
    CROSS JOIN old.points p ON p.build = r.build JOIN facts f ON f.build = p.build
    JOIN parts x ON x.stream = p.stream AND x.branch = f.branch AND x.proposed = (f.proposal != '')"""
_OUTBOX = """INSERT INTO outbox
    SELECT o.sink, o.seq, x.id, o.time, o.queued, o.bytes FROM old.outbox o
    CROSS JOIN old.points p ON p.stream = o.stream AND p.time = o.time LEFT JOIN facts f ON f.build = p.build
    CROSS JOIN parts x ON x.stream = p.stream AND x.branch = ifnull(f.branch, 0)
        AND x.proposed = (ifnull(f.proposal, '') != '')
    ORDER BY o.sink, o.seq"""
_REST = (
    _BUILDS,
    _STRAYS,
    "INSERT INTO sinks SELECT id, name, next, count, bytes, trimmed FROM old.sinks",
    "INSERT INTO dead_letters SELECT id, sink, at, point, why FROM old.dead_letters",
    _OUTBOX,
    """UPDATE sinks SET count = (SELECT count(*) FROM outbox WHERE sink = sinks.id),
        bytes = (SELECT ifnull(sum(bytes), 0) FROM outbox WHERE sink = sinks.id)""",
    """CREATE TEMP TABLE sums AS
        SELECT m.line, sum(c.count + c.texts) AS count, min(c.start) AS first, max(c.last) AS last
        FROM chunks c JOIN streams m ON m.id = c.stream GROUP BY m.line""",
    "CREATE INDEX temp.sums_line ON sums(line)",
    """UPDATE lines SET (count, first, last) = (SELECT count, first, last FROM sums WHERE line = lines.id),
        newest = (SELECT max(m.id) FROM streams m JOIN chunks c ON c.stream = m.id WHERE m.line = lines.id
            AND c.last = (SELECT last FROM sums WHERE line = lines.id))""",
)


def copy(new: sqlite3.Connection, progress: Callable[[int, int], None]) -> None:
    """Copy everything; ``progress`` is called with the number of copied points, and that of all."""
    _in_transaction(new, schema_v2.STATEMENTS)
    _in_transaction(new, _PREPARE)
    new.execute("BEGIN")
    names_v1.create(new, "old")
    names_v1.log_renamed(new)
    new.execute("COMMIT")
    _in_transaction(new, (_NAMES, _MEANINGS, _SERIES))
    _copy_branches(new)
    (total,) = new.execute("SELECT ifnull(sum(count + texts), 0) FROM old.chunks").fetchone()
    done = 0
    for first, last, count in _slices(new):
        progress(done, total)
        where = {"first": first, "last": last}
        new.execute("BEGIN")
        for statement in (*_COPY_SLICE, _COPY_CHUNKS):
            new.execute(statement, where)
        for (stream,) in new.execute(_DIVIDED, where).fetchall():
            _make_chunks(new, stream)
        new.execute("COMMIT")
        done += count
    _in_transaction(new, _REST)
    new.execute("BEGIN")
    new.executemany("REPLACE INTO state VALUES (?, ?)", names_v1.renamed_state(new, "old"))
    new.execute(_PROPOSED)
    meanings = [id_ for (id_,) in new.execute("SELECT id FROM meanings").fetchall()]
    overview.recount_meanings(new, meanings)
    new.execute("COMMIT")
    progress(total, total)


def _in_transaction(new: sqlite3.Connection, statements: Iterable[str]) -> None:
    new.execute("BEGIN")
    for statement in statements:
        new.execute(statement)
    new.execute("COMMIT")


def _copy_branches(new: sqlite3.Connection) -> None:
    new.execute("BEGIN")
    for (old,) in new.execute("SELECT DISTINCT branch FROM old.builds").fetchall():
        proposal = proposal_of_ref(old)
        branch = 0
        if proposal is None:
            name = shortened(plain_branch(old) or DEFAULT_BRANCH)
            new.execute("INSERT OR IGNORE INTO texts(text) VALUES (?)", (name,))
            (branch,) = new.execute("SELECT id FROM texts WHERE text = ?", (name,)).fetchone()
        new.execute("INSERT INTO branches VALUES (?, ?, ?)", (old, branch, proposal or ""))
    new.execute(_FACTS)
    new.execute("COMMIT")


def _slices(new: sqlite3.Connection) -> Iterable[tuple[int, int, int]]:
    """Ranges of old streams with about _SLICE points each: first and last id, number of points."""
    first, last, sum_ = None, 0, 0
    rows = new.execute("SELECT stream, sum(count + texts) FROM old.chunks GROUP BY stream ORDER BY stream").fetchall()
    for stream, count in rows:
        first = stream if first is None else first
        last, sum_ = stream, sum_ + count
        if sum_ >= _SLICE:
            yield first, last, sum_
            first, sum_ = None, 0
    if first is not None:
        yield first, last, sum_


def _make_chunks(new: sqlite3.Connection, stream: int) -> None:
    """Make the chunks of a new stream that has a part of an old one."""
    points = new.execute("SELECT time, value FROM points WHERE stream = ? ORDER BY time", (stream,))
    while True:
        rows = points.fetchmany(100 * rollup.CHUNK)
        if not rows:
            return
        chunks = rollup.cut([time for time, _ in rows], [value for _, value in rows])
        new.executemany(
            "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [chunk.row(stream) for chunk in chunks]
        )
