"""Property tests: after the same operations the journal and MemoryStorage return the same results."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmeasure import statistics
from bbmeasure.model import Point, Query
from bbmeasure.storage.memory import MemoryStorage
from bbmeasure.storage.sqlite import queries, rollup
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.storage.sqlite.retention import Cleanup
from tests.unit.storage.examples import START, in_build

STATISTICS = statistics.find_all(
    ["average", "deviation", "minimum", "maximum", "median", "count", "sum", "first", "last", "p5", "p95", "p100"]
)
TIMES = st.integers(0, 1_500)
NUMBERS = st.one_of(st.floats(-1e6, 1e6), st.integers(0, 5).map(float), st.floats(1e9, 1e9 + 1e-3))
TAGS = st.sampled_from([{}, {"k": "a"}, {"k": "b"}, {"k": "a", "other": "x"}])
BUILDS = st.one_of(
    st.none(),
    st.builds(
        in_build,
        st.integers(1, 4),
        st.sampled_from(["first", "second"]),
        st.sampled_from(["bot1", "bot2"]),
        revision=st.sampled_from([None, "r1", "r2"]),
        branch=st.sampled_from([None, "main"]),
        proposal=st.sampled_from(["", "", "refs/pull/1", "refs/pull/2"]),
        machine=st.sampled_from([None, None, "big", "bot1"]),
    ),
)
POINTS = st.builds(
    Point,
    st.sampled_from(["size", "other"]),
    TIMES.map(lambda time: START + time),
    NUMBERS,
    TAGS,
    BUILDS,
)
QUERIES = st.builds(
    Query,
    st.sampled_from(["size", "other", "unknown"]),
    st.one_of(st.none(), st.integers(0, 700).map(lambda time: START + time)),
    st.one_of(st.none(), st.integers(700, 1_600).map(lambda time: START + time)),
    st.sampled_from([None, "first", "second", ""]),
    st.sampled_from([None, "bot1", "bot3"]),
    TAGS,
    st.booleans(),
    branch=st.sampled_from([None, None, "main", "release"]),
    proposal=st.sampled_from([None, "*", "refs/pull/1"]),
    machine=st.sampled_from([None, None, "big", "bot1"]),
)
WRITES = st.tuples(st.just("write"), st.lists(POINTS, max_size=40))
RUNS = st.tuples(
    st.just("run"),
    st.tuples(st.integers(0, 1_000), st.integers(1, 600), st.floats(-10, 10), st.sampled_from(["size", "other"])),
)
FORGETS = st.tuples(st.just("forget"), st.sampled_from(["size", "other"]))
EVENTS = st.lists(st.one_of(WRITES, WRITES, RUNS, FORGETS), min_size=1, max_size=6)


def points_of(event: tuple[str, Any]) -> list[Point]:
    """The points that an event writes: a list, or a run of consecutive points."""
    if event[0] == "write":
        return list(event[1])
    first, count, value, series = event[1]
    return [Point(series, START + first + n, value + n % 7, {}, in_build(n // 50)) for n in range(count)]


def apply(events: list[tuple[str, Any]], journal: Journal, memory: MemoryStorage) -> None:
    """Apply the events to both stores."""
    for event in events:
        if event[0] == "forget":
            assert journal.forget(event[1]) == memory.forget(event[1]).result
        else:
            journal.write(points_of(event))
            memory.write(points_of(event))


def same(got: Any, expected: Any) -> bool:
    """Whether all statistics are equal within the rounding of floats."""
    for name, value in expected.items():
        # the error of a sum of both signs, and of a deviation of almost equal numbers, is relative to the numbers
        close = pytest.approx(value, rel=1e-9, abs=1e-5) if isinstance(value, float) else value
        if got[name] != close:
            return False
    return set(got) == set(expected)


@given(EVENTS, st.lists(QUERIES, min_size=1, max_size=4), st.sampled_from([0, queries.SMALL]))
def test_the_journal_and_memory_return_the_same(events: list[Any], requests: list[Query], small: int) -> None:
    """Statistics, points, buckets and series are the same after any writes, replacements and removals.

    With ``small`` 0 the journal computes every statistic from its chunks.
    """
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.sqlite") as journal:
        memory = MemoryStorage()
        apply(events, journal, memory)
        for builders in (None, frozenset(), frozenset({""}), frozenset({"first"}), frozenset({"", "second"})):
            for proposal in (None, "*"):
                listed = memory.series(builders, proposal=proposal).result
                assert journal.series(builders, proposal=proposal) == listed
        for buildid in range(100, 106):
            assert key(journal.records(buildid)) == key(memory.records(buildid).result)
        for query in requests:
            assert journal.lines(query) == memory.lines(query).result
            expected = memory.summarize(query, STATISTICS).result
            assert same(queries.summarize(journal.connection, query, STATISTICS, small=small), expected)
            assert key(journal.points(query, 2_000)) == key(memory.points(query, 2_000).result)
            assert [point.time for point in journal.points(query, 7)] == [
                point.time
                for point in memory.points(query, 7).result  # type: ignore[attr-defined]  # an attribute of this implementation
            ]
            assert time_of(journal.last(query, 103)) == time_of(memory.last(query, 103).result)
            got = queries.buckets(journal.connection, query, 9, small=small)
            wanted = memory.buckets(query, 9).result
            assert len(got) == len(wanted)
            assert all(same(vars(mine), vars(theirs)) for mine, theirs in zip(got, wanted))


def key(points: Any) -> list[Any]:
    """Points in a total order: stores may return points of the same time in any order."""
    return sorted(points, key=lambda point: (point.time, repr(point)))


def time_of(point: Any) -> Any:
    return point and point.time


@given(EVENTS, st.integers(-200, 1_800))
def test_statistics_are_exact_after_points_expire(events: list[Any], cut: int) -> None:
    """Statistics after the retention deleted older points are those of the points left."""
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.sqlite") as journal:
        memory = MemoryStorage()
        apply(events, journal, memory)
        Cleanup(journal.ingest, START + cut).run()
        for series in ("size", "other"):
            expected = memory.summarize(Query(series, since=START + cut), STATISTICS).result
            assert same(queries.summarize(journal.connection, Query(series), STATISTICS, small=0), expected)
        check_chunks(journal)


def check_chunks(journal: Journal) -> None:
    """Chunks do not overlap, none is too large, and each point is in exactly one."""
    connection = journal.connection
    chunks = connection.execute(
        "SELECT stream, start, last, count + texts FROM chunks ORDER BY stream, start"
    ).fetchall()
    for before, after in zip(chunks, chunks[1:]):
        assert before[0] != after[0] or before[2] < after[1]
    for stream, start, last, size in chunks:
        assert 0 < size <= rollup.FULL_CHUNK
        (held,) = connection.execute(
            "SELECT count(*) FROM points WHERE stream = ? AND time BETWEEN ? AND ?", (stream, start, last)
        ).fetchone()
        assert held == size
    (points,) = connection.execute("SELECT count(*) FROM points").fetchone()
    assert points == sum(size for *_, size in chunks)


@given(EVENTS)
def test_chunks_cover_every_point_once(events: list[Any]) -> None:
    """Chunks do not overlap, none is too large, and each point is in exactly one."""
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.sqlite") as journal:
        apply(events, journal, MemoryStorage())
        check_chunks(journal)


@given(
    st.lists(st.one_of(st.floats(-1e300, 1e300), st.sampled_from([0.0, 1.0, -1.0])), min_size=1, max_size=50),
    st.integers(400, 1_500),
    st.lists(st.sampled_from(["median", "p0.1", "p1", "p25", "p50", "p75", "p95", "p99.9", "p100"]), min_size=1),
)
def test_percentiles_without_sorting_everything(values: list[float], count: int, names: list[str]) -> None:
    """Selection by a sample returns the same as sorting, also when most values are equal."""
    from bbmeasure.storage.sqlite import percentiles

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(percentiles, "SORTED", 100)
        with Journal(Path(folder) / "journal.sqlite") as journal:
            points = [Point("size", START + n, values[n * 31 % len(values)]) for n in range(count)]
            journal.write(points)
            wanted = statistics.find_all(names)
            got = queries.summarize(journal.connection, Query("size"), wanted, small=0)
            numbers = [float(point.value) for point in points]
            assert got == {statistic.name: statistic.function(numbers) for statistic in wanted}
