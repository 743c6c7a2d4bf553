"""Tests of Grafana links and provisioning, with Grafana's schema and queries to a real InfluxDB."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema_rs
import pytest
import requests
import yaml

from bbmeasure.errors import QueryError
from bbmeasure.grafana import panels
from bbmeasure.grafana.dashboards import BUILDER, MASTER, OVERVIEW, SERIES
from bbmeasure.grafana.links import Grafana, check_dashboards
from bbmeasure.grafana.provisioning import known_series, write_provisioning
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Direction, Kind, canonical_series
from bbmeasure.reports import serialize
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.urls import check_url
from tests.grafana_model import Board
from tests.servers import Influxd

ROOT = Path(__file__).resolve().parents[3]
CACHE = ROOT / ".cache" / "grafana-schema"

pytestmark = pytest.mark.xdist_group("grafana")  # one process makes the cache
PACKAGES = ("@grafana/schema@13.2.3", "ts-json-schema-generator@2.4.0")

START = 1_790_000_000 * 10**9
HOUR = 3600 * 10**9
#: Names with special characters of InfluxQL, regular expressions and Grafana.
HOSTILE = (
    "plain",
    'it\'s "quoted"',
    "back\\slash in\\ it",
    "a/b c",
    "^a.b*c(d)[e]{f}|g+h?i$",
    "日本 ünïcode",
    "#hash",
    "a,b=c",
)
#: Buildbot's names of masters: host and directory.
MASTERS = ("ci-1.example.org:/srv/master", "ci-2.example.org:/srv/master")
KNOWN = (
    SeriesInfo("wheel_size", Kind.SIZE, "bytes", Direction.LOWER),
    SeriesInfo('cov"erage', Kind.RATIO, "1", Direction.HIGHER),
    SeriesInfo("back\\slash", Kind.COUNT, "1", Direction.NONE),
    SeriesInfo("requests", Kind.NUMBER, "{request}", Direction.NONE),
    SeriesInfo("version", Kind.TEXT),
)


# links


def test_links_are_quoted():
    """A link to a builder or its series has quoted names, and times in milliseconds."""
    grafana = Grafana("https://grafana.example.org/sub")
    assert grafana.link() == "https://grafana.example.org/sub"
    assert grafana.link('a&b "c"/d') == (
        f"https://grafana.example.org/sub/d/{BUILDER}/builder?var-builder=a%26b%20%22c%22%2Fd"
    )
    assert grafana.link("b", "size", 1.5, 3.0) == (
        f"https://grafana.example.org/sub/d/{SERIES}/series?var-series=size&var-builder=b&from=1500&to=3000"
    )
    assert grafana.link("b", since=10.0).endswith("&from=10000&to=now")


def test_user_defined_dashboards():
    """A builder with a user-defined dashboard is linked to it, with its fields filled in."""
    grafana = Grafana("http://g", {"b 1": "/d/abc/first?var-builder={builder}", "c": "/d/x"})
    assert grafana.link("b 1", since=1.0, until=2.0) == "http://g/d/abc/first?var-builder=b%201&from=1000&to=2000"
    assert grafana.link("c", "size", 1.0, 2.0) == "http://g/d/x?from=1000&to=2000"
    assert grafana.link("c") == "http://g/d/x"
    assert grafana.link("d").startswith(f"http://g/d/{BUILDER}/")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "grafana.example.org",
            "ftp://g",
            "http://",
            "http://u:p@g",
            "http://u@g",
            None,
            5,
            "http://g:x",
            "http://[g",
        ),
        *(
            "https://g/?orgId=1",
            "https://g/#x",
            "https://g?",
            "https://g g",
            "https://g\n",
            " https://g",
            "https://g/\x00",
        ),
        *("http://u:p#x@g", "http://u:p?x@g", "ftp://u:p@g", "https://g/u:p@x?y"),
    ],
)
def test_invalid_urls_are_refused(url):
    """A URL that is invalid or has credentials is refused, without a password in the message."""
    with pytest.raises(QueryError) as error:
        check_url(url)
    assert "u:p" not in str(error.value)


@pytest.mark.parametrize("dashboards", [[], {"b": "d/x"}, {"b": 1}, {1: "/d/x"}, {"b": "/d/{worker}"}, {"b": "/d/{"}])
def test_dashboards_are_checked(dashboards):
    """Paths without a leading slash or with unknown fields are refused."""
    with pytest.raises(QueryError):
        check_dashboards(dashboards)


# files


@pytest.fixture
def written(tmp_path):
    """The files by path, parsed as YAML or JSON."""
    files = write_provisioning(
        tmp_path,
        url="http://influx:8086/",
        database="build$bot",
        username="reader",
        master_url="https://ci.example.org/buildbot/",
        series=KNOWN,
    )
    return {
        str(path.relative_to(tmp_path)): (yaml.safe_load if path.suffix == ".yaml" else json.loads)(path.read_text())
        for path in files
    }


def dashboards_of(files):
    return {content["uid"]: content for name, content in files.items() if name.endswith(".json")}


def test_the_provisioned_files(written):
    """There are one data source, one provider, and four dashboards under their uids."""
    assert sorted(written) == [
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
    told = json.loads(json.dumps(serialize.series_answer(KNOWN)))
    assert known_series(told) == list(KNOWN)


def test_no_links_without_a_master_url(tmp_path):
    """Dashboards generated without the URL of Buildbot's page have no links to builds."""
    for path in write_provisioning(tmp_path, url="http://influx:8086"):
        assert "#/builders" not in path.read_text()
        assert "#/measurements" not in path.read_text()


def test_tables_link_each_row_to_its_build(written):
    """The column with a build's number links to the build on Buildbot's page."""
    for uid in (BUILDER, SERIES):
        tables = [panel for panel in dashboards_of(written)[uid]["panels"] if panel["type"] == "table"]
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
    panel = next(one for one in dashboards_of(written)[uid]["panels"] if one["title"] == "$series")
    line = f"{canonical_series(series)}: worker 1"
    found = {}
    for override in panel["fieldConfig"]["overrides"]:
        assert override["matcher"]["id"] == "byRegexp"
        if re.search(override["matcher"]["options"][1:-1], line):
            found.update((one["id"], one["value"]) for one in override["properties"])
    assert found["unit"] == unit
    assert found.get("custom.axisLabel") == label
    assert not re.search(panel["fieldConfig"]["overrides"][0]["matcher"]["options"][1:-1], "another: worker 1")


def test_changes_are_green_in_the_better_direction(written):
    """In the overview a decrease is green for series that are better low, red for those better high."""
    tiles = {
        panel["title"]: panel["options"]["percentChangeColorMode"]
        for panel in dashboards_of(written)[OVERVIEW]["panels"]
        if panel["type"] == "stat" and panel["title"].startswith("Last")
    }
    assert tiles == {
        "Last values (bytes, lower is better)": "inverted",
        "Last values (percentunit, higher is better)": "standard",
        "Last values (s, lower is better)": "inverted",
        "Last values (short)": "same_as_value",
        "Last values (suffix: request)": "same_as_value",
    }


def test_many_series_are_split_into_panels(tmp_path):
    """Each of many series is in one panel of the overview, and no panel has more than twenty."""
    many = [SeriesInfo(f"size_{number}", Kind.SIZE, "bytes") for number in range(45)]
    path = next(one for one in write_provisioning(tmp_path, url="http://x", series=many) if one.stem == OVERVIEW)
    tiles = [one for one in json.loads(path.read_text())["panels"] if one["title"] == "Last values (bytes)"]
    names = [re.findall(r"size_[0-9]+", one["targets"][0]["query"]) for one in tiles]
    assert [len(one) for one in names] == [20, 20, 5]
    assert sorted(sum(names, [])) == sorted(info.name for info in many)


def test_panels_do_not_overlap(written):
    """No two panels of a dashboard overlap, and ids are unique."""
    for board in dashboards_of(written).values():
        taken = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not taken & cells
            assert max(x for x, _ in cells) < 24
            taken |= cells
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids)


# Grafana's own schema


def npm(*command: str, folder: Path) -> None:
    subprocess.run(["npm", *command], cwd=folder, check=True, stdin=subprocess.DEVNULL, timeout=300)


@pytest.fixture(scope="session")
def schema_of():
    """Factory of JSON schemas of types of @grafana/schema; npm packages are cached in .cache/."""
    if shutil.which("npm") is None:
        pytest.fail("npm: needed to check the dashboards by Grafana's own schema")
    ready = CACHE / f"ready-{'-'.join(PACKAGES).replace('/', '-')}"
    if not ready.exists():
        shutil.rmtree(CACHE, ignore_errors=True)
        CACHE.mkdir(parents=True)
        (CACHE / "package.json").write_text('{"private": true}')
        npm("install", "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES, folder=CACHE)
        ready.touch()

    def make(room, kind):
        made = CACHE / f"{room.replace('/', '-')}-{kind}.json"
        if not made.exists():
            source = f"node_modules/@grafana/schema/dist/types/raw/{room}/x/types.gen.d.ts"
            npm("exec", "--no", "--", "ts-json-schema-generator", "--path", source, "--type", kind,
                "--no-type-check", "--out", str(made.with_suffix(".part")), folder=CACHE)  # fmt: skip
            made.with_suffix(".part").rename(made)
        return json.loads(made.read_text())

    return make


@pytest.mark.slow
def test_dashboards_are_valid_by_grafanas_schema(written, schema_of):
    """Each dashboard is valid by @grafana/schema."""
    schema = schema_of("dashboard", "Dashboard")
    # The schema says of this itself: "TODO.. this should just be a normal query target".
    schema["definitions"]["AnnotationTarget"]["additionalProperties"] = True
    validator = jsonschema_rs.validator_for(schema)
    for board in dashboards_of(written).values():
        assert [f"{list(error.instance_path)}: {error.message}" for error in validator.iter_errors(board)] == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["timeseries", "stat", "table"])
def test_panels_are_valid_by_their_plugins_schemas(written, schema_of, kind):
    """The options and field configuration of each panel are valid by the schema of its plugin."""
    room = f"composable/{kind}/panelcfg"
    options = jsonschema_rs.validator_for(schema_of(room, "Options"))
    config = jsonschema_rs.validator_for(schema_of(room, "FieldConfig")) if kind != "stat" else None
    for board in dashboards_of(written).values():
        for panel in board["panels"]:
            if panel["type"] == kind:
                errors = [*options.iter_errors(panel["options"])]
                custom = panel["fieldConfig"]["defaults"].get("custom")
                errors += config.iter_errors(custom) if config else []
                assert config or custom is None
                assert [f"{list(error.instance_path)}: {error.message}" for error in errors] == []


@pytest.mark.slow
def test_the_schema_refuses_invalid_dashboards(written, schema_of):
    """A dashboard with a panel without type, or with an unknown field, is invalid."""
    validator = jsonschema_rs.validator_for(schema_of("dashboard", "Dashboard"))
    board = dashboards_of(written)[MASTER]
    assert validator.is_valid(board)
    assert not validator.is_valid({**board, "panels": [{"title": "x"}]})
    assert not validator.is_valid({**board, "colour": "red"})


# a real InfluxDB


def seeded_points():
    """Points of builders and series with hostile names, hourly for three days."""
    for number, builder in enumerate(HOSTILE):
        for build in range(1, 4):
            context = BuildContext(builder, f"worker {number % 2}", build, number * 100 + build, "step", "rev", "main")
            time = START + (build * 5 + number) * HOUR
            result = {2: "failure", 3: "error" if number == 2 else "cancellation"}.get(build, "success")
            for name in ("build_duration", "queue_duration"):
                yield Point(name, time, 60.0 + build, {"result": result}, context)
            yield Point("step_duration", time, 5.0, {"step": "compile it", "result": result}, context)
            for series in HOSTILE + tuple(info.name for info in KNOWN):
                value = "a text" if series == "version" else 1000.0 * build + number
                yield Point(series, time, value, {'target "x"': builder, "opt": "O2"}, context)
    for name in ("master.reactorDelay", "master.active builds"):
        yield Point(name, START + 30 * HOUR, 0.5)  # written before the master's name was a tag
        for number, master in enumerate(MASTERS):
            yield Point(name, START + 31 * HOUR, 1.0 + number, {"master": master})
    yield Point("without tags", START + 30 * HOUR, 7.0)


@pytest.fixture(scope="module")
def database():
    """Function that queries a seeded InfluxDB and fails on errors."""
    writer = LineWriter()
    lines = [writer.line(point) for point in seeded_points()]
    lines.append(f'bbmeasure_series,series=x kind="size" {START}')
    with Influxd() as server:
        server.query("CREATE DATABASE buildbot")
        body = "\n".join(lines).encode()
        requests.post(f"{server.url}/write", params={"db": "buildbot"}, data=body, timeout=20).raise_for_status()
        yield lambda text: server.query(text, "buildbot")


@pytest.fixture
def board(written, database):
    """Factory of dashboard models."""
    return lambda uid: Board(dashboards_of(written)[uid], database, START, START + 100 * HOUR)


ALL_SERIES = sorted({canonical_series(name) for name in HOSTILE} | {canonical_series(info.name) for info in KNOWN})


@pytest.mark.slow
def test_options_of_variables(board):
    """Builders, workers, series and tags are options by their names; bbmeasure's own measurements are not."""
    shown = board(SERIES)
    shown.choose(series="plain")
    assert shown.options("builder") == sorted(HOSTILE)
    assert shown.options("worker") == ["worker 0", "worker 1"]
    assert shown.options("tag_key") == ["builder", "opt", 'target "x"', "worker"]
    assert shown.options("series") == sorted(
        [*ALL_SERIES, "build_duration", "queue_duration", "step_duration", "without tags"]
        + ["master.reactorDelay", "master.active builds"]
    )
    shown.choose(series="plain", tag_key='target "x"')
    assert shown.options("tag_value") == sorted(HOSTILE)
    one = board(BUILDER)
    one.choose(builder=HOSTILE[1])
    assert one.options("worker") == ["worker 1"]
    assert one.options("series") == sorted([*ALL_SERIES, "build_duration", "queue_duration", "step_duration"])
    assert board(MASTER).options("metric") == ["master.active builds", "master.reactorDelay"]


@pytest.mark.slow
@pytest.mark.parametrize("uid", [OVERVIEW, BUILDER, SERIES, MASTER])
def test_every_panel_has_data(board, uid):
    """With a dashboard's default values every query returns rows."""
    shown = board(uid)
    chosen = {"series": "plain"} if uid == SERIES else {}
    shown.choose(**chosen)
    serialize = shown.answers()
    assert len(serialize) >= 3
    empty = [query for _, query, found in serialize if not found and '"version"' not in query]
    assert empty == []


@pytest.mark.slow
@pytest.mark.parametrize("builder", HOSTILE)
def test_the_builder_dashboard_shows_one_builder(board, builder):
    """For a builder of any name the dashboard has its three builds and no others."""
    shown = board(BUILDER)
    shown.choose(builder=builder)
    serialize = shown.answers()
    rows = [row for title, _, found in serialize if title == "Builds" for series in found for row in series["rows"]]
    assert [(row["builder"], row["build"]) for row in rows] == [(builder, 3), (builder, 2), (builder, 1)]
    number = HOSTILE.index(builder)
    curves = [(query, found) for title, query, found in serialize if title == "$series"]
    assert len(curves) == len(ALL_SERIES) + 3
    for query, found in curves:
        values = [row["median"] for series in found for row in series["rows"]]
        if '"version"' not in query and "_duration" not in query:
            assert values == [1000.0 * build + number for build in (1, 2, 3)]


@pytest.mark.slow
@pytest.mark.parametrize("series", [name for name in ALL_SERIES if name != "version"])
def test_the_series_dashboard_shows_one_series(board, series):
    """For a series of any name the dashboard has its points, by builder, worker and tag."""
    shown = board(SERIES)
    shown.choose(series=series)
    for title, query, found in shown.answers():
        assert {one["name"] for one in found} == {series}, query
        if title == "Points":
            assert len(found[0]["rows"]) == 3 * len(HOSTILE)
    several = [HOSTILE[1], HOSTILE[4]]
    for narrowing in (
        {"builder": several},
        {"tag_key": 'target "x"', "tag_value": several},
        {"builder": several, "worker": ["worker 0", "worker 1"]},
    ):
        shown.choose(series=series, **narrowing)
        points = [row for title, _, found in shown.answers() if title == "Points" for row in found[0]["rows"]]
        assert {row["builder"] for row in points} == set(several)
        assert len(points) == 6


@pytest.mark.slow
def test_a_series_without_tags(board):
    """A point without builder and tags is in the dashboard of its series."""
    shown = board(SERIES)
    shown.choose(series="without tags")
    assert all(found for title, _, found in shown.answers() if title in ("$series", "Points"))


@pytest.mark.slow
@pytest.mark.parametrize("uid", [OVERVIEW, BUILDER, SERIES])
def test_failed_builds_are_annotated(board, uid):
    """The annotation's query returns the builds that failed or ended in an exception."""
    shown = board(uid)
    several = HOSTILE[1] if uid == BUILDER else [HOSTILE[1], HOSTILE[2]]
    shown.choose(builder=several)
    annotation = shown.model["annotations"]["list"][0]["target"]
    rows = [row for series in shown.ask(annotation["query"]) for row in series["rows"]]
    failed = {(name, 2, "failure") for name in ([several] if uid == BUILDER else several)}
    raised = set() if uid == BUILDER else {(HOSTILE[2], 3, "error")}
    assert {(row["builder"], row["build"], row["result"]) for row in rows} == failed | raised
    assert {annotation["textColumn"], *annotation["tagsColumn"].split(",")} <= set(rows[0])


@pytest.mark.slow
def test_the_master_dashboard_separates_masters(board):
    """Each of several masters has its own curve, and can be selected."""
    shown = board(MASTER)
    assert shown.options("master") == sorted(MASTERS)
    shown.choose(metric=["master.reactorDelay"])

    def lines():
        found = [one for title, _, answer in shown.answers() if title == "$metric" for one in answer]
        return {one["tags"]["master"]: [row["median"] for row in one["rows"]] for one in found}

    assert lines() == {"": [0.5], MASTERS[0]: [1.0], MASTERS[1]: [2.0]}
    shown.choose(metric=["master.reactorDelay"], master=[MASTERS[1]])
    assert lines() == {MASTERS[1]: [2.0]}


@pytest.mark.slow
def test_a_retention_policy_is_read(tmp_path, database):
    """With a retention policy each query reads from it."""
    files = write_provisioning(tmp_path, url="http://x", retention_policy='au"to', series=KNOWN)
    model = json.loads(next(path for path in files if path.stem == SERIES).read_text())
    queries = [target["query"] for panel in model["panels"] for target in panel["targets"]]
    assert all('FROM "au\\"to".${series:doublequote}' in query for query in queries)
    database('CREATE RETENTION POLICY "au\\"to" ON "buildbot" DURATION INF REPLICATION 1')
    shown = Board(model, database, START, START + 100 * HOUR)
    shown.choose(series="plain", builder=[HOSTILE[0]], tag_key="opt")
    assert all(not found for _, _, found in shown.answers())


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
