"""Points for tests of the migration, and what they are afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from hypothesis import strategies as st

from bbmeasure.model import Point, Query
from bbmeasure.storage.memory import MemoryStorage
from bbmeasure.storage.sqlite.journal import JournalReader
from tests.unit.storage.examples import at, in_build
from tests.unit.storage.sqlite.test_journal_like_memory import STATISTICS, key, same

#: Old branches with the branch and proposal that they are migrated to.
BRANCHES: dict[Optional[str], tuple[Optional[str], str]] = {
    "main": ("main", ""),
    "refs/heads/release": ("release", ""),
    None: ("main", ""),
    "refs/pull/12/merge": (None, "refs/pull/12"),
    "refs/changes/34/1234/2": (None, "gerrit/1234"),
}


def migrated(point: Point) -> Point:
    """The point as it is after the migration."""
    if point.build is None:
        return point
    branch, proposal = BRANCHES[point.build.branch]
    return replace(point, build=replace(point.build, branch=branch, proposal=proposal))


def examples(count: int = 3_000) -> list[Point]:
    """Points of several series, builders, workers and branches, some with a text or with details."""
    points = []
    for number in range(count):
        build = in_build(
            number // 6, ("first", "second")[number % 2], f"bot{number % 3}", branch=list(BRANCHES)[number // 6 % 5]
        )
        tags = {"target": "core"} if number % 5 else {}
        points.append(Point(f"size{number % 4}", at(number), float(number), tags, build))
    points += [Point("compiler", at(n), f"gcc {n}", {}, in_build(n, step=None, branch="main")) for n in range(300)]
    points += [Point("load", at(n), float(n)) for n in range(20)]
    points.append(Point("median", at(1), 1.5, {}, in_build(7, step="other", branch="main", revision="r"), 5, 0.25))
    points.append(Point("median", at(10**8), 2.5, {}, in_build(7, branch="main", revision="r")))
    return points


def check(journal: JournalReader, points: list[Point]) -> None:
    """The journal holds these points as MemoryStorage does, but for declarations."""
    memory = MemoryStorage(max_points=10**6)
    memory.write(points)
    for proposal in (None, "*"):
        listed = journal.series(proposal=proposal)
        infos = [(info.name, info.count, info.first, info.last, info.last_value) for info in listed]
        assert infos == [
            (info.name, info.count, info.first, info.last, info.last_value)
            for info in memory.series(proposal=proposal).result  # type: ignore[attr-defined]  # of this implementation
        ]
    for name in {point.series for point in points}:
        for query in (Query(name, proposal="*"), Query(name, branch="main"), Query(name, proposal="refs/pull/12")):
            assert key(journal.points(query, 100_000)) == key(memory.points(query, 100_000).result)
            assert len(journal.lines(query)) == len(memory.lines(query).result)
    for buildid in {point.build.buildid for point in points if point.build}:
        assert key(journal.records(buildid)) == key(memory.records(buildid).result)
    numbers = [Query(name, proposal="*") for name in {point.series for point in points} - {"compiler"}]
    for query in numbers:
        assert same(journal.summarize(query, STATISTICS), memory.summarize(query, STATISTICS).result)


POINTS = st.lists(
    st.builds(
        Point,
        st.sampled_from(["size", "other"]),
        st.integers(0, 400).map(at),
        st.integers(0, 9).map(float),
        st.sampled_from([{}, {"k": "a"}]),
        st.one_of(
            st.none(),
            st.builds(
                in_build,
                st.integers(1, 3),
                st.sampled_from(["first", "second"]),
                st.sampled_from(["bot1", "bot2"]),
                st.sampled_from([None, "compile", "test"]),
                branch=st.sampled_from(list(BRANCHES)),
                revision=st.sampled_from([None, "r1"]),
            ),
        ),
    ),
    min_size=1,
    max_size=60,
    unique_by=lambda point: point.time,
)
