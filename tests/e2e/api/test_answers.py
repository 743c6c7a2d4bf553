"""The JSON API of a real master: answers, and a master without a store."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from bbmeasure.testing.site import Site
from tests.e2e.api.measured_master import HOSTILE, MANY, START
from tests.e2e.masters import BASE_CONFIG, run_command
from tests.servers import wait_until


def test_series(admin):
    """Each series has kind, unit, direction, builders and last value."""
    found = {one["name"]: one for one in admin.json("series")["series"]}
    assert set(found) >= {"size", "build_duration", "queue_duration", "shared", "many", HOSTILE}
    size = found["size"]
    assert size["first"] < size["last"] <= time.time()
    del size["first"], size["last"]
    assert size == {
        "name": "size",
        "kind": "size",
        "unit": "bytes",
        "better": "lower",
        "builders": ["open", "secret-builder"],
        "count": 4,
        "last_value": 7000 * 1024,
        "last_builder": "secret-builder",
        "last_tags": {"opt": "O2"},
    }


def test_statistics_of_a_builder(admin):
    """The requested statistics of one builder."""
    assert admin.json("statistics", series="size", builder="open", statistics="average,maximum,count,p50") == {
        "series": "size",
        "builder": "open",
        "branch": None,
        "unit": "bytes",
        "kind": "size",
        "count": 2,
        "lines": 1,
        "branches": ["main"],
        "statistics": {"average": 15 * 1024, "maximum": 20 * 1024, "count": 2, "p50": 10 * 1024},
    }


def test_default_statistics(admin):
    """Numbers have ten statistics, texts three; without points they are null."""
    answer = admin.json("statistics", series="many")
    assert answer["count"] == MANY
    assert list(answer["statistics"]) == (
        ["average", "deviation", "minimum", "maximum", "median", "p95", "count", "sum", "first", "last"]
    )
    assert admin.json("statistics", series="version")["statistics"] == {"count": 1, "first": "1.2", "last": "1.2"}
    nothing = admin.json("statistics", series="many", until=START)
    assert nothing["count"] == 0
    assert set(nothing["statistics"].values()) == {0, None}


def test_points_in_a_range(admin):
    """Points in [since, until) that have the tags, with their build, oldest first."""
    points = admin.json("points", series="shared", since=START + 1, until="2023-11-14T22:13:24Z", **{"tag.n": "1"})
    assert points == {
        "series": "shared",
        "unit": "1",
        "points": [
            {
                "time": START + at,
                "value": at,
                "builder": "secret-builder",
                "build": at,
                "buildid": 10_000 + at,
                "worker": "worker",
                "revision": None,
                "branch": None,
                "proposal": None,
                "tags": {"n": "1"},
            }
            for at in (1, 3)
        ],
    }


def test_a_limit_keeps_the_newest(admin):
    """The newest points up to the limit are returned, oldest first; there is a default limit."""
    times = [point["time"] for point in admin.json("points", series="many", limit=3)["points"]]
    assert times == [START + MANY - 3, START + MANY - 2, START + MANY - 1]
    assert len(admin.json("points", series="many")["points"]) == 10_000


def test_many_points(admin):
    """An answer of several megabytes is valid JSON with each point once."""
    points = admin.json("points", series="many", limit=100_000)["points"]
    assert [point["build"] for point in points] == list(range(MANY))


def test_buckets(admin):
    """The counts of all buckets add up to the number of points."""
    buckets = admin.json("points", series="many", buckets=7)["buckets"]
    assert len(buckets) == 7
    assert sum(bucket["count"] for bucket in buckets) == MANY
    assert all(bucket["minimum"] <= bucket["average"] <= bucket["maximum"] for bucket in buckets)


def test_names_are_not_changed(admin):
    """Markup, quotes and direction marks in names, tags and values are returned unchanged."""
    answer = admin.json("points", series=HOSTILE, **{f"tag.{HOSTILE}": HOSTILE})
    assert [point["tags"] for point in answer["points"]] == [{HOSTILE: HOSTILE}] * 3
    assert answer["points"][0]["builder"] is None


def test_records_have_the_previous_value(admin, site):
    """The second build has the value of the first one and the change; the first build has neither."""
    first, second = (admin.json("records", buildid=build["buildid"])["records"] for build in site.builds["open"])
    size = {record["series"]: record for record in second}["size"]
    assert size == {
        "series": "size",
        "step": "size",
        "branch": "main",
        "proposal": None,
        "value": 20 * 1024,
        "unit": "bytes",
        "kind": "size",
        "better": "lower",
        "previous": 10 * 1024,
        "change": 1.0,
        "tags": {"opt": "O2"},
        "verdict": "no_baseline",
        "usual": None,
        "limits": None,
        "baseline": None,
        "since_build": None,
        "reason": "A baseline needs 10 values; there were 1 before this one.",
        "alert": None,
    }
    before = {record["series"]: record for record in first}["size"]
    assert (before["previous"], before["change"]) == (None, None)
    durations = {record["series"] for record in second}
    assert durations >= {"build_duration", "queue_duration"}


def test_health(admin):
    """The journal and the unreachable server have backlog, age, last error and counters."""

    def troubled():
        health = admin.json("health")
        sink = next(one for one in health["sinks"] if one["name"] == "away")
        return health if sink["last_error"] and sink["backlog"] and sink["age"] is not None else None

    health = wait_until("the sink to notice that its server is away", troubled)
    assert [store["name"] for store in health["stores"]] == ["journal", "InfluxDBInstance", "away"]
    assert sorted(sink["name"] for sink in health["sinks"]) == ["InfluxDBInstance", "away"]
    assert health["counters"]["captured"] >= 8
    assert all(sink["age"] is None or sink["age"] >= 0 for sink in health["sinks"])


def test_links(admin, site, influxd):
    """Links to the front pages, to a builder's own dashboard, and to a series around the time of a build."""
    assert admin.json("links") == {"grafana": "https://grafana.example.org", "influxdb": influxd.url}
    assert admin.json("links", builder="open")["grafana"] == (
        "https://grafana.example.org/d/abc/first?var-builder=open"
    )
    buildid = site.builds["secret-builder"][0]["buildid"]
    link = admin.json("links", builder="secret-builder", series="size", buildid=buildid)["grafana"]
    path, query = link.split("?")
    assert path == "https://grafana.example.org/d/bbmeasure-series/series"
    arguments = dict(urllib.parse.parse_qsl(query))
    assert (arguments["var-series"], arguments["var-builder"]) == ("size", "secret-builder")
    began, ended = (site.get(f"builds/{buildid}")["builds"][0][key] for key in ("started_at", "complete_at"))
    assert int(arguments["from"]) / 1000 <= began <= ended <= int(arguments["to"]) / 1000


def test_a_server_answers_like_the_journal(admin, guest, influxd):
    """With ``source`` the server of an instance gives the same answers, with the same authorization.

    Only the tags of the last value are null, as in the schema: InfluxDB does not return them.
    """

    def is_shipped():
        sink = next(one for one in admin.json("health")["sinks"] if one["name"] == "InfluxDBInstance")
        return sink["counters"]["shipped"] > MANY and not sink["backlog"]

    wait_until("all to be shipped", is_shipped)
    for path, arguments in (
        ("statistics", {"series": "size", "builder": "open"}),
        ("statistics", {"series": "shared", "statistics": "sum,count,last"}),
        ("statistics", {"series": "shared", "by": "builder,worker", "statistics": "sum"}),
        ("points", {"series": "many", "limit": 12_000}),
        ("points", {"series": "shared", "tag.n": "1"}),
        ("points", {"series": "shared", "buckets": 3}),
    ):
        for client in (admin, guest):
            shipped = client.json(path, source="InfluxDBInstance", **arguments)
            assert shipped == client.json(path, **arguments)
    known, shipped = (
        {one["name"]: one for one in guest.json("series", **where)["series"]}
        for where in ({}, {"source": "InfluxDBInstance"})
    )
    assert set(known) >= {"shared", "size", "many", "version", "build_duration"}
    assert known["size"]["last_tags"] == {"opt": "O2"}
    assert shipped == {name: {**one, "last_tags": None} for name, one in known.items()}
    assert guest.error("points", series="hidden", source="InfluxDBInstance")[0] == 403


def test_the_command_line_prints_the_same(admin, site):
    """``bbmeasure --url --json`` prints what the API answers."""
    done = run_command("report", "many", "--url", site.url, "--json", "--builder", "open")
    assert json.loads(done.stdout) == admin.json("statistics", series="many", builder="open")


@pytest.fixture(scope="module", params=["", 'util.GrafanaInstance(url="https://grafana.example.org")'])
def opted_out(tmp_path_factory, request):
    """A master with the plugin but without a store, after a build with a measurement."""
    config = BASE_CONFIG + (
        'c["www"]["plugins"] = {"bbmeasure": {}}\n'
        f'c["services"] = [{request.param}]\n'
        'step = steps.MeasureShellCommand(name="size", command=["echo", "5"])\n'
        'add(util.BuilderConfig(name="open", workernames=["worker"], factory=util.BuildFactory([step])))\n'
    )
    with Site(tmp_path_factory.mktemp("opted_out"), config, workers=["worker"]) as running:
        assert running.build("open")["results"] == 0
        yield running


def test_a_master_without_a_store(opted_out):
    """Without an instance, or with GrafanaInstance alone, every path is 404, and the links are null."""
    base = opted_out.url + "plugins/bbmeasure/api/v1/"
    for path in ("series", "points?series=size", "statistics?series=size", "records?buildid=1", "health"):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(base + path, timeout=60)
        assert error.value.code == 404
        assert "keeps no measurements" in json.load(error.value)["message"]
    for path in ("links", "links?builder=open", "links?series=size", "links?buildid=1"):
        with urllib.request.urlopen(base + path, timeout=60) as answer:
            assert json.load(answer) == {"grafana": None, "influxdb": None}
