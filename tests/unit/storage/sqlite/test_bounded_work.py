"""The work of requests is bounded: rows found by an index, statements and transactions counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bbmeasure import statistics
from bbmeasure.model import Point, Query
from bbmeasure.storage.sqlite import build_rows, retention, targets
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.storage.sqlite.retention import Cleanup
from bbmeasure.times import NANOSECONDS
from tests.unit.storage.examples import START, at, in_build, values_of

BUILDERS, SERIES, BUILDS = 10, 20, 6
#: What a query plan calls the queries within a statement, whose own steps are in the plan.
WITHIN = ("edges", "matched", "pieces", "e", "f")
#: What a query plan calls reading values of the statement itself, by the version of SQLite.
OWN_VALUES = ("VIRTUAL TABLE", "CONSTANT ROW", "VALUES CLAUSE")
#: The columns by which a range of points, and a stray, are found.
OF_RANGE, OF_TIME = "stream=? AND time>? AND time<?", "stream=? AND time=?"
#: Tables whose size grows with points, lines or builds.
LARGE = ("points", "details", "chunks", "lines", "streams", "builds", "strays", "series", "texts", "outbox")


def build_points(builder: int, number: int) -> list[Point]:
    """The points of a build of all series of a builder."""
    build = in_build(number * BUILDERS + builder, f"builder {builder}", branch="main", revision=str(number))
    return [Point(f"size {n}", at(number * 600 + builder * 9 + n / 10), float(n), {}, build) for n in range(SERIES)]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "j.sqlite") as made:
        for number in range(BUILDS):
            for builder in range(BUILDERS):
                made.write(build_points(builder, number))
        yield made


@contextmanager
def statements(connection: sqlite3.Connection) -> Iterator[list[str]]:
    """The statements that a connection executes, with their values."""
    seen: list[str] = []
    connection.set_trace_callback(seen.append)
    try:
        yield seen
    finally:
        connection.set_trace_callback(None)


def planned(connection: sqlite3.Connection, executed: list[str]) -> list[str]:
    """The steps of the statements' query plans."""
    return [
        step
        for statement in executed
        if statement.startswith(("SELECT", "WITH", "UPDATE", "DELETE", "INSERT"))
        for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
    ]


def scanned(connection: sqlite3.Connection, executed: list[str]) -> set[str]:
    """The steps in which one of the statements reads a table from end to end."""
    scans = [step for step in planned(connection, executed) if step.startswith("SCAN")]
    of_tables = [step for step in scans if not any(own in step for own in OWN_VALUES)]
    return {step for step in of_tables if step.split()[1] not in WITHIN}


def reads_of_points(connection: sqlite3.Connection, executed: list[str]) -> list[str]:
    """The columns by which the statements search in ``points``."""
    reads = [step for step in planned(connection, executed) if step.startswith("SEARCH p ")]
    return [step.partition("(")[2].rstrip(")") for step in reads]


def test_a_question_finds_its_series_by_name(journal: Journal) -> None:
    """Statistics, points, lines and the last point read no table from end to end, and execute few statements."""
    query = Query("size 3", builder="builder 4", branch="main")
    for request in (
        lambda: journal.summarize(query, statistics.find_all(["average", "deviation", "p95", "last"])),
        lambda: journal.points(query, 5),
        lambda: journal.last(query, before=120),
        lambda: journal.lines(Query("size 3")),
        lambda: journal.buckets(query, 10),
    ):
        with statements(journal.connection) as executed:
            request()
        assert len(executed) <= 25
        assert not scanned(journal.connection, executed)


def test_the_list_of_series_is_two_statements_over_meanings(journal: Journal) -> None:
    """It reads all meanings and sets of builders, whatever the number of lines and points; else tables are searched."""
    with statements(journal.connection) as executed:
        assert len(journal.series()) == SERIES
    assert [statement.split()[0] for statement in executed] == ["BEGIN", "PRAGMA", "SELECT", "SELECT", "ROLLBACK"]
    assert {step.split()[1] for step in scanned(journal.connection, executed)} == {"m", "builder_sets"}
    journal.write(build_points(0, BUILDS))
    with statements(journal.connection) as again:
        journal.series()
    assert again == executed


def test_the_values_of_a_build_that_are_judged_are_the_last_of_each_line(journal: Journal) -> None:
    """They are found without reading the values before them, also where another build writes at the same time."""
    builds = [in_build(number, "builder 1", branch="main") for number in (7_000, 7_001)]
    points = [Point(f"size {n % 3}", at(90_000 + n), float(n), {}, builds[n // 3 % 2]) for n in range(600)]
    journal.write([*points, *(Point("compiler", at(90_000 + n), f"gcc {n}", {}, builds[0]) for n in range(9))])
    with statements(journal.connection) as executed:
        found = journal.build_values(builds[0].buildid)
    assert sorted((line.series, value.value) for line, value in found.values) == [
        ("size 0", 594.0),
        ("size 1", 595.0),
        ("size 2", 596.0),
    ]
    assert (found.texts, found.worker) == ({"compiler": "gcc 8"}, "bot1")
    assert set(reads_of_points(journal.connection, executed)) == {OF_TIME}


def test_the_list_of_series_is_read_once_until_something_is_written(journal: Journal) -> None:
    """It is read again after a write of the same connection or of another one, and for other builders."""

    def reads() -> int:
        with statements(reader.connection) as executed:
            assert sum(info.count for info in reader.series()) == sum(info.count for info in journal.series())
        return len([statement for statement in executed if statement.startswith("SELECT")])

    with JournalReader(journal.path) as reader:
        assert [reads(), reads()] == [2, 0]
        journal.write(build_points(0, BUILDS))
        assert [reads(), reads()] == [2, 0]
        assert len(reader.series(["builder 1"])) == SERIES
        assert reader.series(["unknown"]) == []


def test_a_write_updates_totals_in_its_own_transaction(journal: Journal) -> None:
    """A build of known lines is written in one transaction without reading what the caches have."""
    journal.write(build_points(3, BUILDS))
    with statements(journal.connection) as executed:
        journal.write(build_points(3, BUILDS + 1))
    begun = [statement for statement in executed if statement.startswith("BEGIN")]
    assert len(begun) == 1
    assert not [statement for statement in executed if "FROM series" in statement or "FROM lines" in statement]
    assert not scanned(journal.connection, [statement for statement in executed if "FROM sinks" not in statement])


def test_the_least_used_streams_leave_the_cache(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more lines than the cache holds, those of the last builds are still found without a query."""
    monkeypatch.setattr(targets, "MAX_CACHED", 3 * SERIES)
    for builder in (1, 2, 3, 4):
        journal.write(build_points(builder, BUILDS))

    def found_in_file(builder: int, number: int) -> int:
        with statements(journal.connection) as executed:
            journal.write(build_points(builder, number))
        return len([statement for statement in executed if statement.startswith("SELECT s.id, s.meaning")])

    assert [found_in_file(builder, BUILDS + 1) for builder in (2, 3, 4)] == [0, 0, 0]
    assert found_in_file(1, BUILDS + 1) == SERIES


def test_a_stream_that_is_not_cached_is_found_by_two_queries(journal: Journal) -> None:
    """One query finds all streams of an identity, another the newest chunk of the stream."""
    assert not scanned(journal.connection, [targets.FIND_STREAMS.replace("?", "1")])
    journal.ingest.clear()
    with statements(journal.connection) as executed:
        journal.write(build_points(5, BUILDS)[:1])
    selects = [statement for statement in executed if statement.startswith("SELECT") and "FROM texts" not in statement]
    assert len([statement for statement in selects if "chunks" in statement or "streams" in statement]) == 2


def test_the_points_of_a_build_are_read_from_its_range(journal: Journal) -> None:
    """A build's points are searched in its builder's streams by time; there is no index of builds over points."""
    with statements(journal.connection) as executed:
        found = journal.records(100 + 2 * BUILDERS + 4)
    assert values_of(found) == [float(n) for n in range(SERIES)]
    assert [statement.split()[0] for statement in executed] == ["BEGIN", "SELECT", "SELECT", "ROLLBACK"]
    assert reads_of_points(journal.connection, executed) == [OF_RANGE, OF_TIME]
    assert not scanned(journal.connection, executed)
    names = {name for (name,) in journal.connection.execute("SELECT name FROM sqlite_master WHERE tbl_name = 'points'")}
    assert names == {"points"}


def test_stray_times_do_not_widen_the_range_of_a_build(journal: Journal) -> None:
    """A point far from the others of its build is listed by itself and found."""
    build = in_build(999, "builder 1", branch="main")
    stray = Point("size 1", START + 10 * build_rows.MAX_SPAN, 5.0, {}, build)
    journal.write([Point("size 1", at(10**6), 4.0, {}, build), stray, Point("size 2", at(10**6 + 5), 6.0, {}, build)])
    assert values_of(journal.records(1099)) == [4.0, 6.0, 5.0]
    assert journal.connection.execute("SELECT count(*) FROM strays").fetchone() == (1,)
    first, last = journal.connection.execute("SELECT first, last FROM builds WHERE number = 999").fetchone()
    assert last - first < 3_600 * NANOSECONDS
    assert values_of(journal.points(Query("size 1", since=at(10**6)), 9)) == [4.0, 5.0]


def test_a_proposal_is_read_from_the_ranges_of_its_builds(journal: Journal) -> None:
    """A query of one proposal among many reads its builds' ranges only, and all proposals share one line."""
    for number in range(50):
        build = in_build(2_000 + number, "builder 1", branch="main", proposal=f"refs/pull/{number}")
        journal.write([Point("size 1", at(10**6 + 10_000 * number), float(number), {}, build)])
    assert len(journal.lines(Query("size 1", builder="builder 1", proposal="*"))) == 2
    with statements(journal.connection) as executed:
        assert values_of(journal.points(Query("size 1", proposal="refs/pull/7"), 9)) == [7.0]
    assert reads_of_points(journal.connection, executed) == [OF_RANGE, OF_TIME]
    assert not scanned(journal.connection, executed)


def test_retention_reads_each_line_once(journal: Journal) -> None:
    """A pass goes over the lines in the order of their ids, several in a transaction, and searches their points."""
    until = at(600 * (BUILDS - 1))
    lines = BUILDERS * SERIES
    cleanup = Cleanup(journal.ingest, until)
    with statements(journal.connection) as executed:
        assert cleanup.run() == lines * (BUILDS - 1)
    transactions = len([statement for statement in executed if statement.startswith("BEGIN")])
    assert (
        transactions
        <= lines / retention._LINES_PER_SLICE + lines * (BUILDS - 1) / retention._POINTS_PER_SLICE + SERIES / 20 + 12
    )
    assert len([statement for statement in executed if statement.startswith("DELETE FROM points")]) == lines
    steps = scanned(journal.connection, [statement for statement in executed if "sinks" not in statement])
    assert {step.split()[1] for step in steps} <= {"totals"}


def test_retention_keeps_the_caches_of_other_lines(journal: Journal) -> None:
    """After a slice only the streams that it deleted from are read from the file again."""
    for builder in range(BUILDERS):
        journal.write(build_points(builder, BUILDS))
    with journal.transaction() as ingest:
        held = dict(ingest.targets._identities)
    Cleanup(journal.ingest, at(601)).slice()
    stale = [identity for identity in held.values() if identity.stale]
    assert 0 < len(stale) <= retention._LINES_PER_SLICE


def test_a_point_takes_few_bytes(tmp_path: Path) -> None:
    """Most points have no row but that of ``points``: none in details, no index entry, one row of chunks for many."""
    with Journal(tmp_path / "j.sqlite") as journal:
        for number in range(200):
            journal.write(build_points(0, number))
        count = {table: journal.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in LARGE}
    assert count["points"] == 200 * SERIES
    assert (count["details"], count["strays"], count["outbox"]) == (0, 0, 0)
    assert (count["chunks"], count["lines"], count["streams"], count["series"]) == (SERIES,) * 4
    assert count["builds"] == 200
