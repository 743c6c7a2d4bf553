"""``bbmeasure remove`` and ``bbmeasure rename`` on a journal."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bbmeasure.capture.identity import identity_time
from bbmeasure.cli import main
from bbmeasure.model import BuildContext, Point, Query, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.statistics import find_all
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.storage.validation import state_key

SECOND = 1_700_000_000
BUILDERS = ("first", "second")


@pytest.fixture
def master(tmp_path: Path) -> Path:
    """The folder of a master whose journal has two series of two builders with 300 builds each."""
    with Journal(tmp_path / "bbmeasure.sqlite") as journal:
        for builder in BUILDERS:
            journal.declare(SeriesInfo("size", Kind.SIZE, "By", Direction.LOWER, (builder,)))
            journal.declare(SeriesInfo("time", Kind.DURATION, "s", Direction.LOWER, (builder,)))
            journal.write([point for number in range(1, 301) for point in points_of(tmp_path, builder, number)])
        journal.write([], {state_key("total", "size", "first", {"k": "a"}): 12.0})
    return tmp_path


def points_of(master: Path, builder: str, number: int) -> list[Point]:
    """A size, measured at its time, and the duration of step 3 of a build."""
    buildid = number + 1000 * BUILDERS.index(builder)
    build = BuildContext(builder, "bot", number, buildid, step="compile", branch="main")
    name, tags = f"{os.uname()[1]}:{os.path.abspath(master)}", {"step": "compile"}
    second = SECOND + 60 * number
    at = identity_time(second, name, buildid, 3, "time", tags)
    return [
        Point("size", second * 10**9 + number, 1000.0 + number, {}, build),
        Point("time", at, float(number), tags, build),
    ]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    status = main.main([*arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def select(master: Path, series: str, **filters: Any) -> list[Point]:
    with JournalReader(master / "bbmeasure.sqlite") as reader:
        return list(reader.points(Query(series, **filters), 10_000))


def totals(master: Path, series: str) -> tuple[Any, ...]:
    """Count, sum, first and last of the list of series, of the lines and of the statistics, which must agree."""
    with JournalReader(master / "bbmeasure.sqlite") as reader:
        info = next((info for info in reader.series() if info.name == series), None)
        points = reader.points(Query(series), 10_000)
        summary = reader.summarize(Query(series), find_all(["count", "sum"]))
        lines = reader.lines(Query(series))
    assert info is not None
    assert (info.count, info.first, info.last) == (len(points), points[0].time, points[-1].time)
    assert summary == {"count": len(points), "sum": sum(float(point.value) for point in points)}
    assert sum(line.count for line in lines) == len(points)
    return info.count, info.first, info.last


def test_remove_the_points_of_a_build(master: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only the points of that build and builder are gone, from statistics and totals too."""
    arguments = (
        "remove",
        "size",
        "--build",
        "300",
        "--builder",
        "first",
        "--journal",
        str(master / "bbmeasure.sqlite"),
    )
    assert run(capsys, *arguments, "--yes") == (0, {"series": "size", "removed": 1, "servers": {}})
    assert totals(master, "size")[0] == 599
    assert [point.build.build for point in select(master, "size", builder="first") if point.build][-1] == 299
    assert len(select(master, "time")) == 600
    assert run(capsys, *arguments, "--yes")[0] == 1


def test_remove_a_builder(master: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All points of a builder's series are removed; new ones are written as before."""
    journal = str(master / "bbmeasure.sqlite")
    status, answer = run(capsys, "remove", "size", "--builder", "second", "--journal", journal, "--yes")
    assert (status, answer["removed"]) == (0, 300)
    assert totals(master, "size")[0] == 300
    with Journal(journal) as writer:
        writer.write(points_of(master, "second", 7))
    assert totals(master, "size")[0] == 301


@pytest.mark.parametrize("arguments", [(), ("--build", "x"), ("--build", "1")])
def test_a_removal_that_is_refused(master: Path, capsys: pytest.CaptureFixture[str], arguments: Any) -> None:
    """Without a build or builder, and with --json without --yes, nothing is removed."""
    status, answer = run(capsys, "remove", "size", *arguments, "--journal", str(master / "bbmeasure.sqlite"))
    assert status == 2
    assert "expected" in answer["message"] or "invalid" in answer["message"]
    assert len(select(master, "size")) == 600


def test_rename(master: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Points, kinds, units and running totals get the new name; measured values keep their times."""
    before = {(point.time, point.value, point.build) for point in select(master, "size")}
    status, answer = run(capsys, "rename", "size", "wheel_size", "--master", str(master), "--yes")
    assert status == 0
    assert (answer["renamed"], answer["recomputed"], answer["kept"]) == (600, 0, 600)
    assert totals(master, "wheel_size")[0] == 600
    assert {(point.time, point.value, point.build) for point in select(master, "wheel_size")} == before
    with JournalReader(master / "bbmeasure.sqlite") as reader:
        (info,) = (info for info in reader.series() if info.name == "wheel_size")
        assert (info.kind, info.unit, info.better, set(info.builders)) == (
            Kind.SIZE,
            "By",
            Direction.LOWER,
            {*BUILDERS},
        )
        assert "size" not in {info.name for info in reader.series()}
        key = state_key("total", "wheel_size", "first", {"k": "a"})
        assert reader.recall([key]) == {key: 12.0}


def test_a_renamed_duration_has_the_time_that_backfill_gives_it(
    master: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The times of values that Buildbot's record can give again depend on the name."""
    status, answer = run(capsys, "rename", "time", "compile_time", "--master", str(master), "--yes")
    assert (status, answer["recomputed"], answer["kept"]) == (0, 600, 0)
    name = f"{os.uname()[1]}:{os.path.abspath(master)}"
    for point in select(master, "compile_time"):
        assert point.build is not None
        second = SECOND + 60 * point.build.build
        assert point.time == identity_time(second, name, point.build.buildid, 3, "compile_time", {"step": "compile"})


def test_rename_onto_a_series_of_another_unit(master: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is renamed where kinds or units disagree; a series of the same kind takes the points."""
    assert run(capsys, "rename", "size", "time", "--master", str(master), "--yes")[0] == 2
    assert totals(master, "size")[0] == totals(master, "time")[0] == 600
    with Journal(master / "bbmeasure.sqlite") as journal:
        journal.declare(SeriesInfo("other", Kind.SIZE, "By", builders=("first",)))
        build = BuildContext("first", "bot", 1, 1)
        journal.write([Point("other", SECOND * 10**9, 1.0, {}, build)])
    assert run(capsys, "rename", "size", "other", "--master", str(master), "--yes")[0] == 0
    assert totals(master, "other")[0] == 601


def test_rename_is_refused(master: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown series, the same name, and a journal without its master's folder."""
    assert run(capsys, "rename", "none", "size", "--master", str(master), "--yes")[0] == 1
    assert run(capsys, "rename", "size", "size", "--master", str(master), "--yes")[0] == 2
    assert run(capsys, "rename", "size", "b", "--journal", str(master / "bbmeasure.sqlite"), "--yes")[0] == 2
    assert run(capsys, "rename", "size", "b", "--master", str(master))[0] == 2
