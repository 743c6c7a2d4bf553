"""Points in columns and as CSV, with the look-back."""

from __future__ import annotations

import csv
import io

import pytest

from bbmeasure.master.www import points as points_module
from bbmeasure.model import BuildContext, Point
from bbmeasure.times import NANOSECONDS
from tests.unit.master.www.fakes import get

START = 1_700_000_000


def build(number, builder="a", **facts):
    return BuildContext(builder, "w", number, number + 100, **facts)


@pytest.fixture
def several(resource, store, monkeypatch):
    """The API with a series of two tags, a proposal and a point outside builds; pages have three points."""
    monkeypatch.setattr(points_module, "PAGE_SIZE", 3)
    store.write(
        [
            Point("t", START * NANOSECONDS, 1.0, {"part": "x"}, build(1, branch="main", revision="abc")),
            Point("t", (START + 1) * NANOSECONDS, 2.0, {"part": "y"}, build(1, branch="main", revision="abc")),
            Point("t", (START + 2) * NANOSECONDS, 3.0, {"part": "x"}, build(2, branch="main", revision="abd"), 5, 0.5),
            Point("t", (START + 3) * NANOSECONDS, 4.0, {"part": "x"}, build(3, branch="main", proposal="refs/pull/1")),
            Point("t", (START + 4) * NANOSECONDS, 5.0),
        ]
    )
    return resource


def test_columns_have_the_points_of_objects(several):
    """Each column has a value a point, and each name occurs once."""
    answer = get(several, "points", series="t", proposal="*", format="columns").json
    objects = get(several, "points", series="t", proposal="*").json["points"]
    columns = answer["columns"]
    assert columns["time"] == [point["time"] for point in objects]
    assert columns["value"] == [1.0, 2.0, 3.0, 4.0, 5.0]
    for name in ("build", "buildid"):
        assert columns[name] == [point[name] for point in objects]
    for name in ("worker", "revision", "proposal"):
        known = answer[f"{name}s"]
        assert [None if at is None else known[at] for at in columns[name]] == [point[name] for point in objects]
    lines = [answer["lines"][at] for at in columns["line"]]
    assert [(line["builder"], line["branch"], line["tags"]) for line in lines] == [
        (point["builder"], point["branch"], point["tags"]) for point in objects
    ]
    assert [line["proposed"] for line in lines] == [False, False, False, True, False]
    assert [line["machine_class"] for line in lines] == ["w"] * 4 + [None]
    assert (columns["samples"], columns["spread"]) == ([1, 1, 5, 1, 1], [None, None, 0.5, None, None])


def test_columns_without_a_value_are_left_out(resource):
    """A series without samples and proposals has no such columns; one without points in the range has empty ones."""
    answer = get(resource, "points", series="size", builder="a", format="columns").json
    assert set(answer["columns"]) == {"line", "time", "value", "build", "buildid", "worker"}
    empty = get(resource, "points", series="size", until=1, format="columns").json
    assert (empty["lines"], empty["columns"]["time"]) == ([], [])


def test_columns_are_smaller(resource, store):
    """Columns take at most a third of the bytes."""
    tags, facts = {"language": "Python"}, {"branch": "main", "revision": "0" * 40}
    store.write(
        [Point("big", at * NANOSECONDS, float(at), tags, build(at, **facts)) for at in range(START, START + 500)]
    )
    sizes = {
        name: len(b"".join(get(resource, "points", series="big", format=name).written))
        for name in ("objects", "columns")
    }
    assert sizes["columns"] < sizes["objects"] / 3


def test_the_look_back_finds_levels_and_changes(resource, store):
    """Each line has its levels with what is usual, and the change with the builds on both sides."""
    values = [100.0 + at % 3 for at in range(40)] + [120.0 + at % 3 for at in range(30)]
    points = [
        Point("s", (START + at) * NANOSECONDS, value, {}, build(at, branch="main", revision=f"r{at}"))
        for at, value in enumerate(values)
    ]
    # a proposal and a second point of the last build, which counts instead of the first
    points += [Point("s", (START + 90) * NANOSECONDS, 900.0, {}, build(90, branch="main", proposal="refs/pull/1"))]
    points += [Point("s", (START + 91) * NANOSECONDS, 121.0, {}, build(69, branch="main"))]
    store.write(points)
    (line,) = get(resource, "points", series="s", proposal="*", format="columns", analysis="1").json["analysis"]
    (change,) = line["changes"]
    assert (change["at"], change["build"], change["previous_build"]) == (START + 40, 40, 39)
    assert (change["revision"], change["previous_revision"], change["before"]) == ("r40", "r39", 101.0)
    assert change["change"] == pytest.approx(0.2, abs=0.01)
    first, second = line["levels"]
    assert first["low"] < 100 <= 102 < first["high"] < second["low"] < 120 <= 122 < second["high"]
    assert (first["since"], first["until"], second["since"]) == (START, START + 39, START + 40)
    assert [line[name] for name in ("median", "low", "high")] == [second[name] for name in ("median", "low", "high")]


def test_csv(several):
    """CSV has a header, times in UTC and a column for each tag."""
    request = get(several, "points", series="t", proposal="*", format="csv")
    assert request.responseHeaders.getRawHeaders(b"content-type")[-1].startswith(b"text/csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(request.written).decode())))
    assert [row["value"] for row in rows] == ["1.0", "2.0", "3.0", "4.0", "5.0"]
    assert [row["tag.part"] for row in rows] == ["x", "y", "x", "x", ""]
    assert rows[0]["time"] == "2023-11-14T22:13:20.000Z"
    assert (rows[2]["samples"], rows[2]["spread"], rows[3]["proposal"]) == ("5", "0.5", "refs/pull/1")


def test_csv_has_no_formulas(resource, store):
    """A text that a spreadsheet would take for a formula is quoted; a negative number is not."""
    tags = {"part": "=HYPERLINK(1)"}
    store.write([Point("f", START * NANOSECONDS, -1.0, tags), Point("x", START * NANOSECONDS, "@SUM(A1)")])
    for series, cell in (("f", "'=HYPERLINK(1)"), ("x", "'@SUM(A1)")):
        text = b"".join(get(resource, "points", series=series, format="csv").written).decode()
        assert cell in next(csv.reader([text.splitlines()[1]]))
    assert ",-1.0," in b"".join(get(resource, "points", series="f", format="csv").written).decode()


def test_errors_of_csv_are_json(resource):
    """An unknown series is 404 with a message."""
    request = get(resource, "points", series="no such", format="csv")
    assert (request.responseCode, "message" in request.json) == (404, True)


def test_overview(master, several, store):
    """A row has the line, its newest value, its change and the values of its builds; pages have the number of all."""
    rows = get(several, "overview", series="t").json["rows"]
    assert [(row["builder"], row["tags"], row["values"]) for row in rows] == [
        (None, {}, [5.0]),
        ("a", {"part": "x"}, [1.0, 3.0]),
        ("a", {"part": "y"}, [2.0]),
    ]
    assert (rows[1]["value"], rows[1]["previous"], rows[1]["change"], rows[1]["build"]) == (3.0, 1.0, 2.0, 2)
    page = get(several, "overview", limit=2, page=2).json
    assert (page["total"], len(page["rows"])) == (6, 2)
    assert get(several, "overview", search="IZ si", values=0).json["total"] == 3


def test_overview_shows_what_the_user_may_see(master, resource):
    """Rows of a hidden builder and of points outside builds are left out; the builder by name is 403."""
    master.www.deny(2)
    assert [row["builder"] for row in get(resource, "overview").json["rows"]] == ["a"]
    assert get(resource, "overview", builder="b").responseCode == 403
