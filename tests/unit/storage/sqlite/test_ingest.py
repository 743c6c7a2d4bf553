"""What the journal takes and refuses, at the bounds of its caches and of a build's facts."""

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
from bbmeasure.storage.sqlite import ingest, queries
from bbmeasure.storage.sqlite.journal import Journal
from tests.unit.storage.contract import START, at, in_build

GOOD = Point("size", START, 1.0, {"k": "v"}, in_build())


@pytest.fixture
def journal(tmp_path: Path) -> Any:
    with Journal(tmp_path / "j.sqlite") as made:
        yield made


@pytest.mark.parametrize(
    ("bad", "said"),
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
def test_what_could_not_come_back_is_refused(journal: Journal, bad: Point, said: str) -> None:
    """A point that no store could give back as it is fails its write with what was got, and nothing of it is kept."""
    for write in (journal.write, lambda points: MemoryStorage().write(points).result.raiseException()):
        with pytest.raises(StorageError) as refused:
            write([GOOD, bad])
        assert said in str(refused.value)
    assert journal.points(Query("size"), 10) == []


def test_more_streams_than_are_cached(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more streams are written to than are remembered, each point is in its own all the same."""
    monkeypatch.setattr(ingest, "_MAX_CACHED_STREAMS", 3)
    monkeypatch.setattr(ingest, "_MAX_CACHED_BUILDS", 2)
    for second in range(5):
        journal.write([Point(f"s{n}", at(second), float(n), {}, in_build(n)) for n in range(10)])
    assert [(info.name, info.count, info.last_value) for info in journal.series()] == [
        (f"s{n}", 5, float(n)) for n in range(10)
    ]
    assert [point.build for point in journal.points(Query("s7"), 9)] == [in_build(7)] * 5


def test_a_build_with_endless_facts_keeps_its_id(journal: Journal) -> None:
    """Past the most variants of a build's facts, points keep builder, number and buildid, and the last facts hold."""
    journal.write([Point("size", at(n), 1.0, {}, in_build(1, revision=f"r{n}")) for n in range(queries.VARIANTS + 50)])
    found = journal.records(101)
    assert len(found) == queries.VARIANTS + 50
    assert {point.build.buildid for point in found if point.build} == {101}
    assert [point.build.revision for point in found[:3] if point.build] == ["r0", "r1", "r2"]
    assert journal.records(102) == []
    assert journal.last(Query("size"), before=101) is None


def test_facts_may_change_without_the_value(journal: Journal) -> None:
    """A point that is written again with other facts has those; its statistics stay."""
    journal.write([replace(GOOD, samples=3)])
    later = replace(GOOD, samples=5, spread=0.5, build=in_build(revision="abc"))
    journal.write([later])
    assert journal.points(Query("size"), 10) == [later]
    assert journal.series()[0].count == 1


def test_a_text_may_be_rewritten(journal: Journal) -> None:
    """A text takes the place of a text, and a number that of a text, in points and counts."""
    for value in ("gcc 11", "gcc 12", 1.0, "clang"):
        journal.write([Point("compiler", START, value)])
        (point,) = journal.points(Query("compiler"), 10)
        assert point.value == value
    assert journal.series()[0].count == 1


def test_a_statistic_of_ones_own_gets_all_values(journal: Journal) -> None:
    """A statistic that no store has a shortcut for is its function, over as many points as there are."""
    journal.write([Point("size", at(n), float(n)) for n in range(queries.SMALL + 10)])
    spread = Statistic("spread", lambda values: max(values) - min(values), "spread")
    assert journal.summarize(Query("size"), [spread]) == {"spread": queries.SMALL + 9.0}


def test_buckets_of_many_texts_count_them(journal: Journal) -> None:
    """Texts have no average, but there are so many in each stretch."""
    journal.write([Point("compiler", at(n), "gcc") for n in range(3_000)])
    got = journal.buckets(Query("compiler"), 3)
    assert [(bucket.count, bucket.average) for bucket in got] == [(1_000, None)] * 3
    assert journal.summarize(Query("compiler"), statistics.find_all(["count", "first", "last"])) == {
        "count": 3_000.0,
        "first": "gcc",
        "last": "gcc",
    }
