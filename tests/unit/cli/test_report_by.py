"""``bbmeasure report --by``: a row for each combination of builder, branch, worker, machine and tags."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import pytest

from bbmeasure.model import BuildContext, Point
from bbmeasure.storage.sqlite.journal import Journal
from tests.unit.cli.masters import Run, point

MAIN = BuildContext("first", "bot1", 1, 101, branch="main")
NEXT = BuildContext("second", "bot2", 2, 102, branch="next", machine="fast")


def measured(second: float, value: float, build: BuildContext, opt: Optional[str]) -> Point:
    return replace(point(second, value, "size", tags={} if opt is None else {"opt": opt}), build=build)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal of one series with two builders, branches and workers, and values with and without a tag."""
    path = tmp_path / "bbmeasure.sqlite"
    with Journal(path) as journal:
        journal.write(
            [
                measured(1, 10.0, MAIN, "-O0"),
                measured(2, 12.0, MAIN, "-O0"),
                measured(3, 2.0, MAIN, "-O3"),
                measured(4, 4.0, NEXT, "-O3"),
                measured(5, 100.0, NEXT, None),
                point(6, 1000.0, "size", None),
            ]
        )
    return path


def groups(run: Run, journal: Path, by: str, *more: str) -> list[tuple[Any, ...]]:
    """Each group: the values, the number of points and the average."""
    result = run("report", "size", "--journal", journal, "--by", by, "--statistics", "average", "--json", *more)
    assert result.status == 0, result.err
    assert result.json["by"] == by.split(",")
    assert result.json["count"] == sum(group["count"] for group in result.json["groups"])
    return [
        (*(group["by"][name] for name in by.split(",")), group["count"], group["statistics"]["average"])
        for group in result.json["groups"]
    ]


@pytest.mark.parametrize(
    ("by", "more", "expected"),
    [
        ("builder", (), [(None, 1, 1000.0), ("first", 3, 8.0), ("second", 2, 52.0)]),
        (
            "builder,opt",
            (),
            [
                (None, None, 1, 1000.0),
                ("first", "-O0", 2, 11.0),
                ("first", "-O3", 1, 2.0),
                ("second", None, 1, 100.0),
                ("second", "-O3", 1, 4.0),
            ],
        ),
        ("opt", ("--builder", "first"), [("-O0", 2, 11.0), ("-O3", 1, 2.0)]),
        ("tag.opt", ("--tag", "opt=-O3"), [("-O3", 2, 3.0)]),
        ("branch", (), [(None, 1, 1000.0), ("main", 3, 8.0), ("next", 2, 52.0)]),
        ("machine", ("--builder", "second"), [("fast", 2, 52.0)]),
        ("worker", (), [(None, 1, 1000.0), ("bot1", 3, 8.0), ("bot2", 2, 52.0)]),
        ("worker,opt", ("--builder", "first"), [("bot1", "-O0", 2, 11.0), ("bot1", "-O3", 1, 2.0)]),
        ("opt", ("--builder", "first", "--since", "1700000003"), [("-O3", 1, 2.0)]),
    ],
)
def test_groups(run: Run, journal: Path, by: str, more: tuple[str, ...], expected: list[tuple[Any, ...]]) -> None:
    """Each combination that has points in the range is a group, None where its points have no such name."""
    assert groups(run, journal, by, *more) == expected


def test_table(run: Run, journal: Path) -> None:
    """Without --json a table has a row for each combination, and the number of rows that mix lines."""
    result = run("report", "size", "--journal", journal, "--by", "builder", "--statistics", "average,maximum")
    assert result.status == 0
    assert result.out.splitlines() == [
        "size (6 points)",
        "2 of 3 rows mix lines",
        "builder  points  average  maximum",
        "-------  ------  -------  -------",
        "\u2013             1    1\u202f000    1\u202f000",
        "first         3        8       12",
        "second        2       52      100",
    ]
    assert "rows mix" not in run("report", "size", "--journal", journal, "--by", "builder,opt").out


def test_the_report_of_a_mixture_names_by(run: Run, journal: Path) -> None:
    """The report says how many lines it mixes and how to tell them apart."""
    out = run("report", "size", "--journal", journal, "--builder", "first").out
    assert "mixes 2 lines, which differ in builder, tags or machine\n--by builder,TAG prints a row for each\n" in out


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("colour", "by 'colour': no point has such a tag; expected some of builder, branch, machine, worker, opt"),
        ("builder,", "by 'builder,': expected names such as builder,TAG, each once"),
        ("opt,opt", "by 'opt,opt': expected names such as builder,TAG, each once"),
        ("", "by '': expected names such as builder,TAG, each once"),
    ],
)
def test_wrong_names(run: Run, journal: Path, by: str, message: str) -> None:
    """Wrong names are wrong use; the message has those that exist."""
    result = run("report", "size", "--journal", journal, "--by", by, "--json")
    assert (result.status, result.json) == (2, {"message": message})


def test_nothing_in_the_range(run: Run, journal: Path) -> None:
    """No group, and the exit status of a report without points."""
    result = run("report", "size", "--journal", journal, "--by", "builder", "--until", "1600000000", "--json")
    assert (result.status, result.json["groups"], result.json["count"]) == (1, [], 0)
    assert run("report", "size", "--journal", journal, "--by", "builder", "--until", "1600000000").status == 1
