"""Tests of the provisioning files and their dashboards."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bbmeasure.grafana import panels
from bbmeasure.grafana.dashboards import BUILDER, OVERVIEW, SERIES
from bbmeasure.grafana.provisioning import known_series, write_provisioning
from bbmeasure.grafana.units import grafana_unit, unit_words
from bbmeasure.model import Point, SeriesInfo
from bbmeasure.records import Direction, Kind, canonical_series
from bbmeasure.reports import serialize
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.units import find, known
from tests.grafana_model import panels_of
from tests.unit.grafana.examples import HOSTILE, KNOWN, dashboards_of


def test_the_provisioned_files(written):
    """There are one data source, one provider, and four dashboards under their uids."""
    assert sorted(written) == [
        "alerting/bbmeasure.yaml",
        "dashboards/bbmeasure.yaml",
        "dashboards/bbmeasure/bbmeasure-builder.json",
        "dashboards/bbmeasure/bbmeasure-master.json",
        "dashboards/bbmeasure/bbmeasure-overview.json",
        "dashboards/bbmeasure/bbmeasure-series.json",
        "datasources/bbmeasure.yaml",
    ]
    provider = written["dashboards/bbmeasure.yaml"]["providers"][0]
    assert provider["options"]["path"] == "/etc/grafana/provisioning/dashboards/bbmeasure"


def test_no_password_is_in_a_file(written):
    """The data source's password is an environment variable of Grafana; dollars in names are doubled."""
    source = written["datasources/bbmeasure.yaml"]["datasources"][0]
    assert source["secureJsonData"] == {"password": "$BBMEASURE_GRAFANA_PASSWORD"}
    assert (source["url"], source["user"]) == ("http://influx:8086", "reader")
    assert source["jsonData"]["dbName"] == source["database"] == "build$$bot"


def test_a_token_goes_into_a_header(tmp_path):
    """A token is sent in the Authorization header, and comes from Grafana's environment too."""
    written = write_provisioning(tmp_path, url="http://influx:8086", token=True)
    source = json.loads(written[0].read_text())["datasources"][0]
    assert source["jsonData"]["httpHeaderName1"] == "Authorization"
    assert source["secureJsonData"] == {"httpHeaderValue1": "Token $BBMEASURE_GRAFANA_PASSWORD"}
    assert "user" not in source


def test_series_from_the_api():
    """Kind, unit and direction are read from the API's JSON."""
    reported = json.loads(json.dumps(serialize.series_answer(KNOWN)))
    assert known_series(reported) == list(KNOWN)


def test_no_links_without_a_master_url(tmp_path):
    """Dashboards generated without the URL of Buildbot's page have no links to builds."""
    for path in write_provisioning(tmp_path, url="http://influx:8086"):
        assert "#/builders" not in path.read_text()
        assert "#/measurements" not in path.read_text()


def test_tables_link_each_row_to_its_build(written):
    """The column with a build's number links to the build on Buildbot's page."""
    for uid in (BUILDER, SERIES):
        tables = [panel for panel in panels_of(dashboards_of(written)[uid]) if panel["type"] == "table"]
        links = [
            link["url"]
            for panel in tables
            for override in panel["fieldConfig"]["overrides"]
            if override["matcher"] == {"id": "byName", "options": "build"}
            for one in override["properties"]
            if one["id"] == "links"
            for link in one["value"]
        ]
        builder = "https://ci.example.org/buildbot/#/builders/${__data.fields.builder:percentencode}"
        assert links == [f"{builder}/builds/${{__data.fields.build}}"]


@pytest.mark.parametrize(
    ("series", "unit", "label"),
    [
        ("wheel_size", "bytes", "lower is better"),
        ('cov"erage', "percentunit", "higher is better"),
        ("back\\slash", "short", None),
        ("requests", "suffix: request", None),
        ("build_duration", "s", "lower is better"),
    ],
)
@pytest.mark.parametrize("uid", [BUILDER, SERIES])
def test_units_and_directions(written, uid, series, unit, label):
    """A curve whose name starts with that of a known series has its unit and direction."""
    panel = next(one for one in panels_of(dashboards_of(written)[uid]) if one["title"] == "Values of $series")
    line = f"{canonical_series(series)}: a builder"
    found = {}
    for override in panel["fieldConfig"]["overrides"]:
        assert override["matcher"]["id"] == "byRegexp"
        if re.search(override["matcher"]["options"][1:-1], line):
            found.update((one["id"], one["value"]) for one in override["properties"])
    assert found["unit"] == unit
    assert found.get("custom.axisLabel") == label
    assert not re.search(panel["fieldConfig"]["overrides"][0]["matcher"]["options"][1:-1], "another: a builder")


def test_changes_are_green_in_the_better_direction(written):
    """In the overview a decrease is green for series that are better low, red for those better high."""
    tiles = {
        panel["title"]: panel["options"]["percentChangeColorMode"]
        for panel in panels_of(dashboards_of(written)[OVERVIEW])
        if "last values" in panel["title"]
    }
    assert tiles == {
        "Sizes, lower is better: last values": "inverted",
        "Ratios, higher is better: last values": "standard",
        "Durations, lower is better: last values": "inverted",
        "Numbers: last values": "same_as_value",
        "Values in request: last values": "same_as_value",
    }


def test_many_series_are_split_into_panels(tmp_path):
    """Each of many series is in one panel of the overview, and no panel has more than twenty."""
    many = [SeriesInfo(f"size_{number}", Kind.SIZE, "bytes") for number in range(45)]
    path = next(one for one in write_provisioning(tmp_path, url="http://x", series=many) if one.stem == OVERVIEW)
    board = json.loads(path.read_text())
    (row,) = [one for one in board["panels"] if one["title"] == "Sizes"]
    assert row["collapsed"]
    tiles = row["panels"]
    assert [one["title"] for one in tiles] == [f"Sizes: last values, from size_{first}" for first in (0, 27, 5)]
    names = [re.findall(r"size_[0-9]+", one["targets"][0]["query"]) for one in tiles]
    assert [len(one) for one in names] == [20, 20, 5]
    assert sorted(sum(names, [])) == sorted(info.name for info in many)


def test_every_panel_reads_the_chosen_data_source(written):
    """The data source is a variable of each dashboard, the provisioned one by default."""
    source = written["datasources/bbmeasure.yaml"]["datasources"][0]
    for board in dashboards_of(written).values():
        first = board["templating"]["list"][0]
        assert (first["type"], first["query"], first["current"]["value"]) == ("datasource", "influxdb", source["uid"])
        used = [panel["datasource"] for panel in panels_of(board)]
        used += [target["datasource"] for panel in panels_of(board) for target in panel["targets"]]
        used += [one["datasource"] for one in (*board["templating"]["list"][1:], *board["annotations"]["list"])]
        assert {one["uid"] for one in used} == {"${datasource}"}


@pytest.mark.parametrize(
    ("unit", "kind", "shown", "words"),
    [
        ("1/s", Kind.NUMBER, "ops", "Operations per second"),
        ("{request}/s", Kind.NUMBER, "reqps", "Requests per second"),
        ("{Requests}/s", Kind.NUMBER, "reqps", "Requests per second"),
        ("{read}/s", Kind.NUMBER, "rps", "Reads per second"),
        ("{banana}/s", Kind.NUMBER, "suffix: banana/s", "Values in banana per second"),
        ("{request}", Kind.NUMBER, "suffix: request", "Values in request"),
        ("1", Kind.RATIO, "percentunit", "Ratios"),
        ("bytes/s", Kind.NUMBER, "binBps", "Data rates"),
    ],
)
def test_grafanas_units(unit, kind, shown, words):
    """Rates have the unit of Grafana's where there is one, and each unit has words for titles."""
    assert grafana_unit(unit, kind) == shown
    assert unit_words(shown) == words


def test_each_base_unit_has_words():
    """Each base unit is one of Grafana's, with words."""
    for spelling in known():
        assert unit_words(grafana_unit(find(spelling).base, Kind.NUMBER))


def test_panels_do_not_overlap(written):
    """No two panels of a dashboard overlap, and ids are unique."""
    for board in dashboards_of(written).values():
        taken = set()
        for panel in board["panels"]:
            assert panel["type"] != "row" or bool(panel["panels"]) == panel["collapsed"]
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not taken & cells
            assert max(x for x, _ in cells) < 24
            taken |= cells
        ids = [panel["id"] for row in board["panels"] for panel in (row, *row.get("panels", ()))]
        assert len(set(ids)) == len(ids)


def test_regular_expressions_are_escaped_as_grafana_does():
    """Names in generated queries are escaped as Grafana escapes variables."""
    for name in HOSTILE:
        assert re.fullmatch(panels.escape_regex(name), name)


def test_the_command_writes_the_provisioning_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``bbmeasure grafana --out`` writes data source and dashboards for a journal's series, and prints the paths."""
    from bbmeasure.cli.main import main

    journal = tmp_path / "j.sqlite"
    with Journal(journal) as writing:
        writing.declare(SeriesInfo("wheel size", Kind.SIZE, "bytes", Direction.LOWER))
        writing.write([Point("wheel size", 1, 1.0)])
    out = tmp_path / "out"
    arguments = ["grafana", "--out", str(out), "--journal", str(journal), "--influxdb", "http://influx:8086/pre"]
    assert main([*arguments, "--json"]) == 0
    written = json.loads(capsys.readouterr().out)["written"]
    assert sorted(written) == sorted(str(path) for path in out.rglob("*") if path.is_file())
    assert "http://influx:8086/pre" in (out / "datasources" / "bbmeasure.yaml").read_text()
    assert main(["grafana", "--out", str(journal)]) == 1
    assert main(["grafana"]) == 2
