"""Points that the journal refuses, the limits of its caches and of the variants of a build."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bbmeasure import statistics
from bbmeasure.errors import StorageError
from bbmeasure.model import BuildContext, Point, Query
from bbmeasure.statistics import Statistic
from bbmeasure.storage.memory import MemoryStorage
from bbmeasure.storage.sqlite import build_rows, queries, targets, texts
from bbmeasure.storage.sqlite.journal import Journal
from tests.unit.storage.examples import START, at, in_build

GOOD = Point("size", START, 1.0, {"k": "v"}, in_build())


@pytest.fixture
def journal(tmp_path: Path) -> Any:
    with Journal(tmp_path / "j.sqlite") as made:
        yield made


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (replace(GOOD, time=1.5), "time '1.5'"),
        (replace(GOOD, time=2**63), "time '9223372036854775808'"),
        (replace(GOOD, time=None), "time 'None'"),
        (replace(GOOD, series=""), "series ''"),
        (replace(GOOD, series=7), "series '7'"),
        (replace(GOOD, value=None), "value 'None'"),
        (replace(GOOD, value=b"1"), "value"),
        (replace(GOOD, tags={"k": 1}), "value of tag 'k' '1'"),
        (replace(GOOD, tags={1: "v"}), "tag name '1'"),
        (replace(GOOD, build=BuildContext("first", "bot1", 1, 2**60)), "id 1152921504606846976"),
        (replace(GOOD, build=BuildContext("first", "bot1", 2**63, 1)), "build 9223372036854775808"),
        (replace(GOOD, build=BuildContext(5, "bot1", 1, 1)), "builder or worker '5'"),  # type: ignore[arg-type]
    ],
)
def test_a_point_that_could_not_be_returned_unchanged_is_refused(journal: Journal, bad: Point, message: str) -> None:
    """The StorageError has the invalid value, and no point of the write is stored."""
    for write in (journal.write, lambda points: MemoryStorage().write(points).result.raiseException()):  # type: ignore[attr-defined]  # an attribute of this implementation
        with pytest.raises(StorageError) as refused:
            write([GOOD, bad])
        assert message in str(refused.value)
    assert journal.points(Query("size"), 10) == []


def test_more_streams_and_builds_than_are_cached(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points are stored in the right stream and build when the caches are too small."""
    monkeypatch.setattr(targets, "MAX_CACHED", 3)
    monkeypatch.setattr(build_rows, "_MAX_CACHED", 2)
    monkeypatch.setattr(texts, "_MAX_CACHED", 4)
    for second in range(5):
        journal.write([Point(f"s{n}", at(second), float(n), {}, in_build(n)) for n in range(10)])
    assert [(info.name, info.count, info.last_value) for info in journal.series()] == [
        (f"s{n}", 5, float(n)) for n in range(10)
    ]
    assert [point.build for point in journal.points(Query("s7"), 9)] == [in_build(7)] * 5


@pytest.mark.parametrize("lines", [1, 17, 18, 200, 431])
def test_a_write_of_many_lines_updates_the_totals_of_each(journal: Journal, lines: int) -> None:
    """Count, first, last and value of each line, and of its series, are its own, however many are written together."""
    for second in (2, 1, 3):  # the second write is late
        journal.write([Point(f"s{n:03}", at(second * 1000 + n), n + second / 10, {}, in_build()) for n in range(lines)])
    totals = [(3, at(1000 + n), at(3000 + n), n + 0.3) for n in range(lines)]
    of_lines = [line for n in range(lines) for line in journal.lines(Query(f"s{n:03}"))]
    for described in (journal.series(), of_lines):
        assert [(one.count, one.first, one.last, one.last_value) for one in described] == totals


def test_more_variants_of_a_build_than_are_stored(journal: Journal) -> None:
    """Beyond the maximum of variants, points keep builder, number and buildid and have the last variant's revision."""
    count = build_rows.VARIANTS + 50
    journal.write([Point("size", at(n), 1.0, {}, in_build(1, revision=f"r{n}")) for n in range(count)])
    found = journal.records(101)
    assert len(found) == count
    assert {point.build.buildid for point in found if point.build} == {101}
    assert [point.build.revision for point in found[:3] if point.build] == ["r0", "r1", "r2"]
    assert journal.records(102) == []
    assert journal.last(Query("size"), before=101) is None


def test_known_builds(journal: Journal) -> None:
    """The builds with points between two ids, both included, each once."""
    for revision in ("a", "b"):
        journal.write([Point("size", START, 1.0, {}, in_build(n, revision=revision)) for n in (1, 2, 4, 7)])
    assert journal.known_builds(102, 107) == {102, 104, 107}
    assert journal.known_builds(105, 106) == set()


def test_a_point_may_be_replaced_with_the_same_value(journal: Journal) -> None:
    """Samples, spread and revision of the later point are stored; the count does not change."""
    journal.write([replace(GOOD, samples=3)])
    later = replace(GOOD, samples=5, spread=0.5, build=in_build(revision="abc"))
    journal.write([later])
    assert journal.points(Query("size"), 10) == [later]
    assert journal.series()[0].count == 1


def test_a_text_may_be_replaced(journal: Journal) -> None:
    """A text replaces a text or a number, and a number a text, in points and counts."""
    for value in ("gcc 11", "gcc 12", 1.0, "clang"):
        journal.write([Point("compiler", START, value)])
        (point,) = journal.points(Query("compiler"), 10)
        assert point.value == value
    assert journal.series()[0].count == 1


def test_an_unknown_statistic_is_computed_from_all_values(journal: Journal) -> None:
    """A statistic that cannot be computed from chunks calls its function with all values."""
    journal.write([Point("size", at(n), float(n)) for n in range(queries.SMALL + 10)])
    spread = Statistic("spread", lambda values: max(values) - min(values), "spread")
    assert journal.summarize(Query("size"), [spread]) == {"spread": queries.SMALL + 9.0}


def test_buckets_of_many_texts(journal: Journal) -> None:
    """Buckets of texts have a count and no average."""
    journal.write([Point("compiler", at(n), "gcc") for n in range(3_000)])
    got = journal.buckets(Query("compiler"), 3)
    assert [(bucket.count, bucket.average) for bucket in got] == [(1_000, None)] * 3
    assert journal.summarize(Query("compiler"), statistics.find_all(["count", "first", "last"])) == {
        "count": 3_000.0,
        "first": "gcc",
        "last": "gcc",
    }


def test_a_forgotten_series_is_deleted_from_no_other_totals(journal: Journal) -> None:
    """Points of a forgotten series that are deleted later do not count in one that was declared meanwhile."""
    journal.write([Point("size", at(number), 1.0) for number in range(5)])
    with journal.ingest.transaction():
        journal.ingest.forget("size")
    journal.write([Point("size", at(9), 1.0), Point("other", at(9), 1.0)])
    journal.clean()
    assert {info.name: info.count for info in journal.series()} == {"other": 1, "size": 1}
