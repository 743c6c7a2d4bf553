"""Points as line protocol, read back from a real influxd by plain HTTP."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from bbmeasure.model import BuildContext, Point
from bbmeasure.records import canonical_series, canonical_tag
from bbmeasure.storage.influxdb.line_protocol import (
    EARLIEST,
    LATEST,
    LineError,
    LineWriter,
    UnsupportedTextError,
    clean_tags,
    write_slices,
)
from tests.servers import Influxd

BUILD = BuildContext("first", "bot1", 12, 345, "compile", "abc123", "main", "project")
NOW = 1_700_000_000_123_456_789

HOSTILE = [
    "a,b",
    "a b",
    "a=b",
    'a"b',
    "a'b",
    "a\\b",
    "a\\,b",
    "a\\ b",
    "a\\=b",
    "\\a",
    "a\\",
    "a\\\\",
    "a\\\\\\",
    "#a",
    "##",
    " a",
    "a ",
    "a\nb",
    "a\rb",
    "a\r\nb",
    "\0a",
    "a\0b",
    "\ta",
    "\U0001f600 \u00e9",
    "a\u2028b\u0085c",
    "time",
    "select",
    "name",
    "duration",
    "x y=1,z=2 3\nother value=1 4",
    '"; DROP DATABASE "t',
    "' OR ''='",
    "$value",
    "/.*/",
    "*",
    "\udcff",
]


@pytest.fixture(scope="module")
def influxd() -> Iterator[Influxd]:
    with Influxd() as server:
        server.query("CREATE DATABASE t")
        yield server


def write(server: Influxd, *lines: str) -> requests.Response:
    body = "\n".join(lines).encode("utf-8", "replace")
    return requests.post(server.url + "/write", params={"db": "t"}, data=body, timeout=60)


def empty(server: Influxd) -> None:
    server.query("DROP SERIES FROM /.*/", "t")


def identifier(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def kept(text: str) -> str:
    """Return the text as UTF-8 stores it."""
    return text.encode("utf-8", "replace").decode()


def land(server: Influxd, point: Point, **options: Any) -> dict[str, Any]:
    """Write a point and return its row without empty columns; raises AssertionError if it is refused."""
    empty(server)
    answer = write(server, LineWriter(**options).line(point))
    assert answer.status_code == 204, answer.text
    (measurement,) = server.measurements("t")
    (row,) = server.rows(f"SELECT * FROM {identifier(measurement)}", "t")
    return {"series": measurement, **{name: value for name, value in row.items() if value is not None}}


def test_fields_and_tags_of_a_point(influxd: Influxd) -> None:
    """A point of a build has the documented tags and fields."""
    point = Point("build_size", NOW, 42.5, {"platform": "linux"}, BUILD, 5, 0.25)
    assert land(influxd, point) == {
        "series": "build_size",
        "time": NOW,
        "builder": "first",
        "worker": "bot1",
        "platform": "linux",
        "value": 42.5,
        "build": 12,
        "buildid": 345,
        "revision": "abc123",
        "branch": "main",
        "project": "project",
        "step": "compile",
        "samples": 5,
        "spread": 0.25,
    }
    assert influxd.rows('SHOW TAG KEYS FROM "build_size"', "t") == [
        {"tagKey": "builder"},
        {"tagKey": "platform"},
        {"tagKey": "worker"},
    ]


def test_a_point_without_a_build_has_no_builder(influxd: Influxd) -> None:
    """A point outside builds has its value only."""
    assert land(influxd, Point("load", NOW, 3)) == {"series": "load", "time": NOW, "value": 3}


def test_a_text_goes_to_the_field_text(influxd: Influxd) -> None:
    """A text keeps its quotes, backslashes and newlines, and has no field value."""
    text = 'say "hi" \\ and\r\n\0 \\" \U0001f600 \\'
    assert land(influxd, Point("version", NOW, text)) == {"series": "version", "time": NOW, "text": text}


def test_a_build_number_as_a_tag(influxd: Influxd) -> None:
    """With tag_build_number the number is a tag only, as two columns of one name would be build and build_1."""
    landed = land(influxd, Point("tagged_size", NOW, 1.0, {}, BUILD), tag_build_number=True)
    assert landed["build"] == "12"
    assert landed["buildid"] == 345
    assert "build_1" not in landed
    assert {"tagKey": "build"} in influxd.rows('SHOW TAG KEYS FROM "tagged_size"', "t")


def test_a_step_that_is_a_tag_is_no_field(influxd: Influxd) -> None:
    """A duration's tag step replaces the field of that name."""
    landed = land(influxd, Point("step_duration", NOW, 1.0, {"step": "fetch", "result": "success"}, BUILD))
    assert (landed["step"], landed["result"]) == ("fetch", "success")
    assert "step_1" not in landed


def test_empty_fields_and_tags_are_omitted(influxd: Influxd) -> None:
    """Empty tags are omitted, and a build without revision has no such field."""
    build = BuildContext("first", "", 1, 2)
    landed = land(influxd, Point("s", NOW, 1.0, {"a": "", "b": "\\"}, build))
    assert landed == {"series": "s", "time": NOW, "value": 1, "build": 1, "buildid": 2, "builder": "first"}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_tag_values(influxd: Influxd, text: str) -> None:
    """A tag value is stored unchanged except for newlines, NULs and trailing backslashes."""
    landed = land(influxd, Point("s", NOW, 1.0, {"mine": text}, replace(BUILD, builder=text, worker=text)))
    assert landed["mine"] == landed["builder"] == landed["worker"] == kept(canonical_tag(text))
    assert landed["value"] == 1


@pytest.mark.parametrize("text", [text for text in HOSTILE if text != "time"])
def test_hostile_tag_names(influxd: Influxd, text: str) -> None:
    """A tag's name is stored as its value is."""
    assert land(influxd, Point("s", NOW, 1.0, {text: "x"}))[kept(canonical_tag(text))] == "x"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_series_names(influxd: Influxd, text: str) -> None:
    """A series name becomes the one measurement that canonical_series returns."""
    assert land(influxd, Point(text, NOW, 1.0, {"tag": "x"}))["series"] == kept(canonical_series(text))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_build_strings(influxd: Influxd, text: str) -> None:
    """Revision, branch, project and step are stored unchanged."""
    build = replace(BUILD, revision=text, branch=text, project=text, step=text)
    landed = land(influxd, Point("s", NOW, 1.0, {}, build))
    assert {landed[name] for name in ("revision", "branch", "project", "step")} == {kept(text)}


ANY_TEXT = st.text(st.characters(), min_size=1, max_size=12) | st.text("\\, =\"'#\n\t", min_size=1, max_size=8)
BUILDS = st.builds(BuildContext, ANY_TEXT, ANY_TEXT, st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), ANY_TEXT)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.builds(
        Point,
        ANY_TEXT,
        st.integers(NOW, NOW + 10**12),
        NUMBERS,
        st.dictionaries(ANY_TEXT.map("x".__add__), ANY_TEXT, max_size=3),
        st.none() | BUILDS,
        st.integers(1, 2**63 - 1),
        st.none() | NUMBERS,
    )
)
def test_any_point_is_stored_once(influxd: Influxd, point: Point) -> None:
    """Any point is stored as one row, with its number, time and tags."""
    try:
        expected = {kept(name): kept(text) for name, text in clean_tags(point.tags).items()}
    except LineError:
        with pytest.raises(LineError):
            LineWriter().line(point)
        return
    empty(influxd)
    answer = write(influxd, LineWriter().line(point))
    assert answer.status_code == 204, answer.text
    assert influxd.measurements("t") == [kept(canonical_series(point.series))]
    (row,) = influxd.rows(f"SELECT * FROM {identifier(kept(canonical_series(point.series)))}", "t")
    assert row["time"] == point.time
    assert float(row["value"]) == point.value
    assert {name: text for name, text in row.items() if name in expected} == expected
    if point.build is not None:
        builder = canonical_tag(point.build.builder)
        assert row.get("builder") == (kept(builder) if builder else None)
        buildid = point.build.buildid or None  # a build of another system has none
        assert (row["build"], row.get("buildid")) == (point.build.build, buildid)
        assert row["step"].replace("\n", " ") == kept(point.build.step or "").replace("\n", " ")


def test_a_tag_that_makes_influxdb_miscount_quotes(influxd: Influxd) -> None:
    """After a backslash and an escaped character in a tag, a newline in a text becomes a space."""
    point = Point("s", NOW, "two\nlines", {"k": "\\ \\,"}, replace(BUILD, step="a\nb"))
    landed = land(influxd, point)
    assert (landed["text"], landed["step"], landed["k"]) == ("two lines", "a b", "\\ \\,")


@pytest.mark.parametrize("time", [EARLIEST, -1, 0, LATEST])
def test_the_earliest_and_the_latest_time(influxd: Influxd, time: int) -> None:
    """All timestamps of InfluxDB's range are accepted."""
    assert land(influxd, Point("s", time, 1.0))["time"] == time


@given(NUMBERS)
def test_numbers_are_exact(number: float) -> None:
    """Reading the text of a float returns the same float."""
    text = LineWriter().line(Point("s", 1, number)).split("value=")[1].split(" ")[0]
    assert float(text) == number


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_refused(value: float) -> None:
    """NaN and infinities raise LineError."""
    with pytest.raises(LineError, match="expected a finite number"):
        LineWriter().line(Point("s", 1, value))


@pytest.mark.parametrize("time", [EARLIEST - 1, LATEST + 1, 10**30])
def test_times_beyond_64_bits_are_refused(time: int) -> None:
    """A time outside InfluxDB's range raises LineError."""
    with pytest.raises(LineError, match="expected nanoseconds"):
        LineWriter().line(Point("s", time, 1.0))


_FIELDS_AS_TAGS = ("value", "text", "build", "buildid", "revision", "branch", "project", "samples")


@pytest.mark.parametrize(
    "tag",
    [*_FIELDS_AS_TAGS, "time", "builder", "worker", "proposed", "value\\", "step\\"],
)
def test_tags_named_like_a_field_are_refused(tag: str) -> None:
    """A tag with the name of a field raises LineError, also if it has that name after cleaning."""
    with pytest.raises(LineError, match="tag .* expected a name"):
        LineWriter().line(Point("s", 1, 1.0, {tag: "x"}))


def test_a_refused_tag_has_a_name_to_use_instead() -> None:
    """The error of a tag that the master sets names another tag."""
    with pytest.raises(LineError, match="tag 'branch': expected a name .*such as 'source_branch'"):
        LineWriter().line(Point("s", 1, 1.0, {"branch": "x"}))


def test_proposals_have_a_tag_and_fields(influxd: Influxd) -> None:
    """Only points of proposals have the tag ``proposed``; branch, proposal and machine class are fields."""
    build = replace(BUILD, branch="main", proposal="refs/pull/1", machine="big")
    landed = land(influxd, Point("s", NOW, 1.0, {"k": "v"}, build))
    assert {name: landed[name] for name in ("branch", "proposal", "proposed", "machine")} == {
        "branch": "main",
        "proposal": "refs/pull/1",
        "proposed": "yes",
        "machine": "big",
    }
    tags = {row["tagKey"] for row in influxd.rows("SHOW TAG KEYS FROM s", "t")}
    assert tags == {"builder", "worker", "k", "proposed"}
    assert (
        land(influxd, Point("s", NOW, 1.0, {}, replace(build, proposal=""))).keys().isdisjoint({"proposal", "proposed"})
    )


def test_builds_that_differ_in_one_fact_have_lines_of_their_own() -> None:
    """Branch, proposal and machine class are not taken from another build of the same writer."""
    writer = LineWriter()
    facts: list[dict[str, Any]] = [
        {},
        {"branch": "main"},
        {"proposal": "try"},
        {"machine": "big"},
        {"proposal": "x"},
        {},
    ]
    for fact in facts:
        point = Point("s", 1, 1.0, {}, replace(BUILD, **fact))
        assert writer.line(point) == LineWriter().line(point)
        assert all(f'{name}="{text}"' in writer.line(point) for name, text in fact.items())
        assert (",proposed=yes" in writer.line(point)) == ("proposal" in fact)


def test_tags_with_equal_cleaned_names_are_refused() -> None:
    """Tags whose names are equal after cleaning raise LineError."""
    with pytest.raises(LineError, match="expected a name that is unique"):
        LineWriter().line(Point("s", 1, 1.0, {"a": "x", "a\\": "y"}))


@pytest.mark.parametrize("series", ["bbmeasure_series", "bbmeasure_state", "bbmeasure_series\\"])
def test_reserved_measurements_are_refused(series: str) -> None:
    """Series with the names of bbmeasure's own measurements raise LineError."""
    with pytest.raises(LineError, match="expected another name"):
        LineWriter().line(Point(series, 1, 1.0))


@pytest.mark.parametrize("size", [65_535, 65_536, 1_000_000])
def test_a_key_that_is_too_long_is_refused(size: int) -> None:
    """A key over 64 KB raises LineError, as InfluxDB would refuse the whole batch."""
    with pytest.raises(LineError, match="expected at most 65535 bytes"):
        LineWriter().line(Point("s", 1, 1.0, {"t": "x" * (size - 3)}))


def test_the_longest_key(influxd: Influxd) -> None:
    """A key of the maximum size is stored: InfluxDB counts the field's name too."""
    text = "x" * 65_500
    assert land(influxd, Point("s", NOW, 1.0, {"t": text}))["t"] == text


def test_a_server_of_numbers_gets_no_texts() -> None:
    """String fields are omitted for VictoriaMetrics, which would store a revision as the number 0."""
    writer = LineWriter(numbers_only=True)
    assert (
        writer.line(Point("s", 7, 1.0, {}, BUILD)) == "s,builder=first,worker=bot1 value=1.0,build=12i,buildid=345i 7"
    )
    with pytest.raises(UnsupportedTextError):
        writer.line(Point("s", 7, "text"))


def test_slices_separate_valid_and_invalid_points() -> None:
    """Lines come in slices of 100, with the invalid points and their errors beside them."""
    points = [Point("s", time, float(time)) for time in range(250)]
    points[120] = Point("s", 120, math.nan)
    points[130] = Point("s", 130, None)  # type: ignore[arg-type]
    made = list(write_slices(LineWriter(), points))
    assert [lines.count(b"\n") for lines, _ in made] == [100, 98, 50]
    assert b"".join(lines for lines, _ in made).splitlines()[119:121] == [b"s value=119.0 119", b"s value=121.0 121"]
    assert [(at, point.time) for _, refused in made for at, point, _ in refused] == [(120, 120), (130, 130)]


def test_the_caches_are_bounded() -> None:
    """The caches do not grow with the number of builders."""
    writer = LineWriter()
    for number in range(10_001):
        writer.line(Point("s", 1, 1.0, {}, BuildContext(f"b{number}", "w", 1, 1, None, f"r{number}")))
    assert len(writer._keys) <= 10_000
    assert len(writer._builds) <= 10_000
