"""Names that no row has any longer are deleted by the retention."""

from __future__ import annotations

from pathlib import Path

import pytest

from bbmeasure.model import Point, Query, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.storage.sqlite import schema_v2, unused_texts
from bbmeasure.storage.sqlite.journal import Journal
from tests.unit.storage.examples import at, in_build

DAY = 86_400


def names(journal: Journal) -> set[str]:
    return {text for (text,) in journal.connection.execute("SELECT text FROM texts")}


def old_and_new() -> list[Point]:
    """Points of old and of new builds that share no name but the builder's."""
    points = []
    for second, age in ((0, "old"), (10 * DAY, "new")):
        facts = {"branch": f"{age} branch", "machine": f"{age} class", "step": f"{age} step"}
        build = in_build(second // DAY + 1, "first", f"{age} bot", **facts)
        other = in_build(second // DAY + 1, "first", f"{age} bot", **{**facts, "step": f"{age} other step"})
        points += [Point(f"{age} size", at(second), 1.0, {"k": age}, build)]
        points += [Point(f"{age} size", at(second + 1), 1.0, {"k": age}, other)]
        points += [Point(f"{age} text", at(second), "x", {}, build)]
    return points


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(unused_texts, "_ROWS_PER_SLICE", 2)
    return Journal(tmp_path / "j.sqlite", clock=lambda: at(11 * DAY) / 1e9)


def test_the_retention_deletes_unused_names(journal: Journal) -> None:
    """Only names of points that are left stay, and of declarations."""
    journal.write(old_and_new())
    journal.declare(SeriesInfo("declared", Kind.SIZE, "bytes", builders=("kept",)))
    assert {"old size", "old branch", "old class", "old step", "old other step", "old bot"} < names(journal)
    assert journal.clean(5 * DAY) == 3
    assert names(journal) == {
        "first",
        "declared",
        "kept",
        "new size",
        "new text",
        '{"k": "new"}',
        "{}",
        "new branch",
        "new class",
        "new step",
        "new other step",
        "new bot",
    }
    expected = [point for point in old_and_new() if point.series == "new size"]
    assert journal.points(Query("new size"), 9) == expected
    journal.write(old_and_new())
    assert journal.points(Query("old size"), 9) == [point for point in old_and_new() if point.series == "old size"]
    journal.close()


def test_forgetting_a_series_deletes_its_names(journal: Journal) -> None:
    """Without a retention the names of forgotten series are deleted."""
    journal.write(old_and_new())
    journal.forget("old size")
    journal.forget("old text")
    assert not [name for name in names(journal) if "old" in name and name not in BUILDS]
    assert journal.points(Query("new text"), 9)
    journal.close()


#: The builds of forgotten series stay until the retention deletes them.
BUILDS = ("old bot", "old branch", "old class")


def test_a_name_that_is_used_meanwhile_stays(journal: Journal) -> None:
    """A name that a write uses again between two slices is not deleted."""
    journal.write(old_and_new())
    steps = 0
    while journal.clean_slice(5 * DAY):
        steps += 1
        journal.write([Point("used", at(10 * DAY + steps), 1.0, {}, in_build(step="old step"))])
    assert steps > 5
    assert "old branch" not in names(journal)
    assert {point.build.step for point in journal.points(Query("used"), 99) if point.build} == {"old step"}
    journal.close()


def test_no_name_is_deleted_while_another_process_writes(journal: Journal) -> None:
    """What another process writes between two slices keeps its names; the next run deletes what is unused."""
    journal.write(old_and_new())
    with Journal(journal.path) as other:
        steps = 0
        while journal.clean_slice(5 * DAY):
            steps += 1
            build = in_build(branch="old branch", step="old step")
            other.write([Point("old size", at(10 * DAY + 100 + steps), 1.0, {}, build)])
    assert steps > 5
    found = {(point.build.branch, point.build.step) for point in journal.points(Query("old size"), 99) if point.build}
    assert ("old branch", "old step") in found
    assert "old class" in names(journal)
    journal.close()


def test_every_table_with_names_is_read() -> None:
    """Each column of the schema that has the id of a name is among those that are read, or is a step in details."""
    named = {"name", "builder", "tags", "branch", "machine", "worker", "step"}
    for statement in schema_v2.STATEMENTS:
        if not statement.startswith("CREATE TABLE"):
            continue
        table, _, columns = statement[len("CREATE TABLE ") :].partition("(")
        found = {column.split()[0] for column in columns.split(",") if column.split()[1:2] == ["INTEGER"]}
        assert found & named == set(unused_texts.COLUMNS.get(table, ("step",) if table == "details" else ())), table
