"""Clock steps, renamed builders and strange branches: the journal answers as memory does, with exact totals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Optional

import pytest

from bbmeasure import statistics
from bbmeasure.model import BuildContext, Point, Query
from bbmeasure.storage.memory import MemoryStorage
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.times import NANOSECONDS
from tests.unit.storage.examples import at, in_build
from tests.unit.storage.sqlite.test_journal_like_memory import STATISTICS, check_chunks, key, same

HOUR = 3_600


def check(journal: Journal, written: list[list[Point]], queries: list[Query]) -> None:
    """The journal answers as memory with the same writes, and its totals and chunks are exact."""
    memory = MemoryStorage(max_points=10**6)
    for points in written:
        memory.write(points)
    for query in queries:
        assert key(journal.points(query, 100_000)) == key(memory.points(query, 100_000).result)
        assert same(journal.summarize(query, STATISTICS), memory.summarize(query, STATISTICS).result)
        assert journal.lines(query) == memory.lines(query).result
        assert journal.last(query) == memory.last(query).result
        assert journal.buckets(query, 7) == memory.buckets(query, 7).result
    for buildid in {point.build.buildid for points in written for point in points if point.build}:
        assert key(journal.records(buildid)) == key(memory.records(buildid).result)
    found = [(info.name, info.count, info.first, info.last, info.last_value) for info in journal.series()]
    assert found == [
        (info.name, info.count, info.first, info.last, info.last_value)
        for info in memory.series().result  # type: ignore[attr-defined]  # an attribute of this implementation
    ]
    check_chunks(journal)


@pytest.mark.parametrize("steps", [[-HOUR], [HOUR, -2 * HOUR], [-10 * 365 * 86_400, 10 * 365 * 86_400], [-0.5] * 9])
def test_clock_steps(tmp_path: Path, steps: list[float]) -> None:
    """Points after a step of the clock, also in the middle of a build, are stored at their times and found."""
    offset, written = 0.0, []
    for number, step in enumerate([0.0, *steps]):
        offset += step
        for build in (number, number + 1):  # a build goes on after the step
            times = [at(build * 60 + second + offset) for second in range(40)]
            points = [Point("size", time, float(n), {}, in_build(build + 1)) for n, time in enumerate(times)]
            written.append([*points, Point("load", times[0], 1.0)])
    with Journal(tmp_path / "j.sqlite") as journal:
        for points in written:
            journal.write(points)
        end = Query("size", since=at(0), until=at(100))
        check(journal, written, [Query("size"), Query("load"), end])


def test_the_retention_after_a_clock_step(tmp_path: Path) -> None:
    """A clock that is an hour ahead deletes nothing but what is older than the retention at that time."""
    now = [at(0) / NANOSECONDS]
    with Journal(tmp_path / "j.sqlite", clock=lambda: now[0]) as journal:
        points = [Point("size", at(minute * 60), float(minute)) for minute in range(-120, 0)]
        journal.write(points)
        now[0] += HOUR
        assert journal.clean(2 * HOUR) == 60
        now[0] -= 2 * HOUR
        assert journal.clean(2 * HOUR) == 0
        check(journal, [points[60:]], [Query("size")])


def test_a_renamed_builder(tmp_path: Path) -> None:
    """Its points stay under the former name; the new one begins its own series, also with the same build numbers."""
    old, new = in_build(1, "first"), replace(in_build(1, "renamed"), buildid=900)
    points = [Point("size", at(n), float(n), {}, old if n < 50 else new) for n in range(100)]
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.write(points)
        queries = [Query("size"), Query("size", builder="first"), Query("size", builder="renamed")]
        check(journal, [points], queries)
        (info,) = journal.series()
        assert (info.builders, info.count) == (("first", "renamed"), 100)
        assert len(journal.held_lines("first")) == len(journal.held_lines("renamed")) == 1
        assert journal.last(queries[2], before=900) is None


def test_a_build_id_of_two_builders(tmp_path: Path) -> None:
    """After Buildbot's database was restored an id may be given again: each builder keeps its points."""
    builds = [BuildContext(builder, "bot1", 1, 101, "measure", branch="main") for builder in ("first", "renamed")]
    points = [Point("size", at(n), float(n), {}, builds[n % 2]) for n in range(20)]
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.write(points)
        check(journal, [points], [Query("size"), Query("size", builder="first")])
        assert journal.summarize(Query("size", builder="first"), statistics.find_all(["count"])) == {"count": 10.0}


@pytest.mark.parametrize(
    "branch", ["x" * 4_000, "a\nb\x1b[31m\u202e\x00", "refs/pull/12", "try", None, " ", "\U0001f600" * 500]
)
def test_strange_branches(tmp_path: Path, branch: Optional[str]) -> None:
    """A branch is stored and found as it is, whatever its name; none of them is a proposal."""
    points = [
        Point(
            "size",
            at(n),
            float(n),
            {},
            in_build(n + 1, branch=(branch, "main")[n % 2], proposal=("", "refs/pull/12")[n % 3 == 0]),
        )
        for n in range(30)
    ]
    with Journal(tmp_path / "j.sqlite") as journal:
        journal.write(points)
        queries = [Query("size", branch=branch), Query("size", proposal="refs/pull/12"), Query("size", proposal="*")]
        check(journal, [points], [Query("size"), *(queries if branch else queries[1:])])
