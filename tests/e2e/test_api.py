"""The JSON API of a real master: answers, authorization and errors."""

from __future__ import annotations

import http.client
import json
import random
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml

from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Kind, canonical_series
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.testing.site import Site
from bbmeasure.times import NANOSECONDS
from tests.e2e.masters import BASE_CONFIG, run_command
from tests.servers import Influxd, wait_until

ROOT = Path(__file__).resolve().parents[2]

CONFIG = (
    BASE_CONFIG
    + """
from buildbot.www.authz.endpointmatchers import EndpointMatcherBase, Match
from twisted.internet import defer

c["www"]["plugins"] = {"bbmeasure": {}}
c["services"] = [
    util.SQLiteInstance(trackBuildTimes=True),
    util.InfluxDBInstance(url=INFLUXDB, database="buildbot"),
    util.InfluxDBInstance(
        name="away", url="http://127.0.0.1:1", database="x", username="shipper", password="pass-word-1", timeout=1
    ),
    util.GrafanaInstance(url="https://grafana.example.org", dashboards={"open": "/d/abc/first?var-builder={builder}"}),
]


class BuildsOf(EndpointMatcherBase):
    '''Restricts the builds of builders whose name contains a text.'''

    def __init__(self, part, **kwargs):
        self.part = part
        super().__init__(**kwargs)

    @defer.inlineCallbacks
    def match_BuildsEndpoint(self, endpoint, arguments, options):
        if "builderid" in arguments:
            builder = yield self.master.data.get(("builders", arguments["builderid"]))
            return Match(self.master) if builder is not None and self.part in builder["name"] else None
        return None


c["www"]["auth"] = util.RemoteUserAuth(header="X-User", headerRegex="(?P<username>[a-z]+)")
c["www"]["authz"] = util.Authz(
    allowRules=[BuildsOf("secret", role="admins")],
    roleMatchers=[util.RolesFromUsername(roles=["admins"], usernames=["admin"])],
)


def measured(value):
    f = util.BuildFactory()
    command = ["echo", value]
    f.addStep(steps.MeasureShellCommand(name="size", command=command, better="lower", tags={"opt": "O2"}))
    return f


for name, value in (("open", util.Interpolate("%(prop:buildnumber)s0 KiB")), ("secret-builder", "7000 KiB")):
    add(util.BuilderConfig(name=name, workernames=["worker"], factory=measured(value)))
"""
)

START = 1_700_000_000
MANY = 60_000
#: A name as a Record makes it.
HOSTILE = canonical_series("<script>alert('x')</script> \"quoted\" \\ %s \u202e\u65e5\u672c")


#: A schema cannot express that since must not be after until.
SCHEMATHESIS = "".join(
    f"""
[[operations]]
include-name = "GET /{path}"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404"]
"""
    for path in ("statistics", "points", "links")
)


def context(builder, number, first=10_000):
    return BuildContext(builder, "worker", number, first + number)


@pytest.fixture(scope="module")
def influxd():
    """The server that the master ships to."""
    with Influxd() as server:
        yield server


@pytest.fixture(scope="module")
def site(influxd, tmp_path_factory):
    """A master with builds of two builders, of which only admins may see "secret-builder"."""
    config = f"INFLUXDB = {influxd.url!r}\n{CONFIG}"
    with Site(tmp_path_factory.mktemp("site"), config, workers=["worker"]) as running:
        running.builds = {name: [running.build(name) for _ in range(2)] for name in ("open", "secret-builder")}  # type: ignore[attr-defined]  # added for the tests
        with Journal(running.journal) as journal:
            journal.declare(SeriesInfo(HOSTILE, Kind.COUNT))
            journal.declare(SeriesInfo("version", Kind.TEXT, builders=("open",)))
            points = [Point(HOSTILE, (START + at) * NANOSECONDS, float(at), {HOSTILE: HOSTILE}) for at in range(3)]
            points += [
                Point("shared", (START + at) * NANOSECONDS, float(at), {"n": str(at % 2)}, context(builder, at))
                for at, builder in enumerate(["open", "secret-builder", "open", "secret-builder", "gone"])
            ]
            points += [Point("hidden", START * NANOSECONDS, 1.0, {}, context("secret-builder", 1))]
            points += [Point("build_size", START * NANOSECONDS, 5.0, {}, context("first_builder", 1))]
            points += [Point("version", START * NANOSECONDS, "1.2", {}, context("open", 1))]
            journal.write(points)
            values = random.Random(1)
            for begin in range(0, MANY, 10_000):
                journal.write(
                    [
                        Point("many", (START + at) * NANOSECONDS, values.random(), {}, context("open", at, 1_000_000))
                        for at in range(begin, begin + 10_000)
                    ]
                )
        yield running


class Client:
    """HTTP client of one user; a call returns (status, content, headers)."""

    def __init__(self, site, user):
        self.site = site
        self.base = site.url + "plugins/bbmeasure/api/v1/"
        self.headers = {}
        request = urllib.request.Request(site.url, headers={"X-User": user})
        with urllib.request.urlopen(request, timeout=20) as answer:
            self.headers["Cookie"] = answer.headers.get_all("Set-Cookie")[-1].split(";")[0]

    def __call__(self, path, method="GET", headers=None, **arguments):
        query = "?" + urllib.parse.urlencode(arguments) if arguments else ""
        request = urllib.request.Request(self.base + path + query, method=method)
        for key, value in {**self.headers, **(headers or {})}.items():
            request.add_header(key, value)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    def json(self, path, **arguments):
        """The content of an answer with status 200."""
        status, content, headers = self(path, **arguments)
        assert status == 200, content
        assert headers["Content-Type"] == "application/json; charset=utf-8"
        return json.loads(content)

    def error(self, path, **arguments):
        """Status and message of an error."""
        status, content, headers = self(path, **arguments)
        assert headers["Content-Type"] == "application/json; charset=utf-8"
        answer = json.loads(content)
        assert list(answer) == ["message"]
        return status, answer["message"]


@pytest.fixture(scope="module")
def admin(site):
    """A user who may see everything."""
    return Client(site, "admin")


@pytest.fixture(scope="module")
def guest(site):
    """A user who may not see "secret-builder"."""
    return Client(site, "guest")


# answers


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


# authorization


def test_hidden_builders_are_left_out(guest):
    """No list and no statistic contains points of a builder that the user may not see."""
    series = {one["name"]: one for one in guest.json("series")["series"]}
    assert "hidden" not in series
    assert HOSTILE not in series
    assert (series["size"]["builders"], series["size"]["count"]) == (["open"], 2)
    assert series["size"]["last_value"] == 20 * 1024
    shared = series["shared"]
    assert (shared["builders"], shared["count"], shared["first"], shared["last"]) == (["open"], 2, START, START + 2)
    assert guest.json("statistics", series="size", statistics="maximum,sum")["statistics"] == {
        "maximum": 20 * 1024,
        "sum": 30 * 1024,
    }
    assert [point["builder"] for point in guest.json("points", series="shared")["points"]] == ["open", "open"]
    assert sum(bucket["count"] for bucket in guest.json("points", series="shared", buckets=3)["buckets"]) == 2
    for path in ("series", "points?series=shared", "statistics?series=shared", "links"):
        assert b"secret" not in guest(path)[1]


def test_hidden_builders_are_forbidden_by_name(guest, site):
    """A hidden builder, its build and its series are 403; so is health, whose errors contain names."""
    buildid = site.builds["secret-builder"][0]["buildid"]
    for path, arguments in (
        ("statistics", {"series": "size", "builder": "secret-builder"}),
        ("points", {"series": "size", "builder": "secret-builder"}),
        ("points", {"series": "size", "builder": "no such builder"}),
        ("points", {"series": "shared", "builder": "gone"}),
        ("points", {"series": "hidden"}),
        ("points", {"series": HOSTILE}),
        ("records", {"buildid": buildid}),
        ("records", {"buildid": 10_004}),
        ("links", {"builder": "secret-builder"}),
        ("links", {"buildid": buildid}),
        ("health", {}),
    ):
        assert guest.error(path, **arguments)[0] == 403, (path, arguments)


def test_an_answer_is_private(admin, guest):
    """Answers vary by user, are not for shared caches and have no CORS headers."""
    for client in (admin, guest):
        _, _, headers = client("series", headers={"Origin": "https://evil.example.org"})
        assert "private" in headers["Cache-Control"]
        assert headers["Vary"] == "Cookie, Authorization"
        assert not [name for name in headers if name.lower().startswith("access-control")]
    assert admin("series")[2]["ETag"] != guest("series")[2]["ETag"]


def test_no_answer_has_a_credential(admin):
    """No answer contains user or password of an instance."""
    for path in ("health", "links", "series"):
        content = admin(path)[1]
        assert b"pass-word-1" not in content
        assert b"shipper" not in content


# errors


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("statistics", "series"),
        ("statistics?series=", "series"),
        ("statistics?series=size&statistics=mean", "mean"),
        ("statistics?series=size&statistics=" + ",".join(["p1"] * 40), "statistics"),
        ("statistics?series=version&statistics=average", "average"),
        ("statistics?series=size&since=yesterday", "since"),
        ("statistics?series=size&until=1e400", "until"),
        ("statistics?series=size&since=9999999999999", "since"),
        ("statistics?series=size&since=2d&until=3d", "since"),
        ("statistics?series=size&series=many", "series"),
        ("statistics?series=size&colour=red", "colour"),
        ("statistics?series=size&source=nobody", "nobody"),
        ("statistics?series=size&tag.=x", "tag"),
        ("statistics?series=size&" + "&".join(f"tag.k{n}=v" for n in range(17)), "17"),
        ("points?series=size&limit=0", "limit"),
        ("points?series=size&limit=100001", "limit"),
        ("points?series=size&limit=1.5", "limit"),
        ("points?series=size&buckets=2001", "buckets"),
        ("points?series=size&buckets=-1", "buckets"),
        ("points?series=%ff", "UTF-8"),
        ("points?series=" + "x" * 1001, "series"),
        ("points?series=size&builder=" + "x" * 1001, "builder"),
        ("records", "buildid"),
        ("records?buildid=x", "buildid"),
        ("records?buildid=0", "buildid"),
        ("records?buildid=99999999999999999999", "buildid"),
        ("series?series=size", "series"),
        ("health?x=1", "x"),
        ("links?since=x", "since"),
    ],
)
def test_an_invalid_argument(admin, path, named):
    """The status is 400, and the message names the argument."""
    status, message = admin.error(path)
    assert status == 400, message
    assert named in message
    assert len(message) < 500


@pytest.mark.parametrize(
    "path",
    [
        "points?series=nothing",
        "statistics?series=nothing",
        "records?buildid=123456",
        "links?buildid=123456",
        "",
        "nothing",
        "series/",
        "series/x",
        "../v2/series",
    ],
)
def test_not_found(admin, path):
    """An unknown series, build or path is 404, as JSON."""
    assert admin.error(path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods(admin, method):
    """Any method but GET and HEAD is 405, with an Allow header."""
    status, content, headers = admin("series", method=method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert "message" in json.loads(content)


def test_an_unreachable_source(admin):
    """The status is 503 with Retry-After, and the message does not contain the server's URL."""
    status, content, headers = admin("statistics", series="size", source="away")
    assert status == 503
    assert int(headers["Retry-After"]) >= 1
    assert b"127.0.0.1" not in content


# HTTP


def test_etag(admin):
    """With If-None-Match an unchanged answer is 304 without content, also for a weak ETag."""
    _, content, headers = admin("points", series="many", limit=5)
    for etag in (headers["ETag"], f'"x", W/{headers["ETag"]}', "*"):
        status, again, second = admin("points", series="many", limit=5, headers={"If-None-Match": etag})
        assert (status, again, second["ETag"]) == (304, b"", headers["ETag"])
    assert admin("points", series="many", limit=4, headers={"If-None-Match": headers["ETag"]})[0] == 200
    assert content


def test_head(admin):
    """HEAD has the length and no content."""
    length = len(admin("points", series="many", limit=50_000)[1])
    status, content, headers = admin("points", method="HEAD", series="many", limit=50_000)
    assert (status, content, int(headers["Content-Length"])) == (200, b"", length)


def test_a_persistent_connection(admin, site):
    """Small and large answers follow each other on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", site.ports["WWW_PORT"], timeout=30)
    for path in ("series", "points?series=many&limit=20000", "nothing", "points?series=many&limit=1"):
        connection.request("GET", "/plugins/bbmeasure/api/v1/" + path, headers=admin.headers)
        answer = connection.getresponse()
        json.loads(answer.read())
    connection.close()


def test_disconnects(admin, site):
    """Clients that disconnect are counted, and others are still answered."""
    before = admin.json("health")["counters"].get("api_gone", 0)
    cookie = admin.headers["Cookie"]
    path = "/plugins/bbmeasure/api/v1/points?series=many&limit=60000"
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n"
    clients = [socket.create_connection(("127.0.0.1", site.ports["WWW_PORT"])) for _ in range(20)]
    for client in clients:
        client.sendall(request.encode())
    clients[0].recv(1000)
    for client in clients:
        client.close()
    assert admin.json("points", series="many", limit=1)["points"]
    gone = wait_until(
        "all clients to be missed",
        lambda: admin.json("health")["counters"].get("api_gone", 0) - before >= len(clients),
    )
    assert gone


def test_the_openapi_description(admin, tmp_path):
    """Schemathesis finds no answer that contradicts docs/openapi.yaml."""
    described = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
    for path in described["paths"].values():  # the only source here is away, which another test is for
        given = path["get"].get("parameters", [])
        given[:] = [one for one in given if one != {"$ref": "#/components/parameters/source"}]
    (tmp_path / "openapi.json").write_text(json.dumps(described))
    (tmp_path / "schemathesis.toml").write_text(SCHEMATHESIS)
    address = ["openapi.json", "--url", admin.base.rstrip("/"), "--header", f"Cookie: {admin.headers['Cookie']}"]
    options = ["--max-examples=25", "--seed=1", "--generation-database=none", "--generation-codec=ascii"]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("schemathesis")), "run", *address, *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert re.search(r"[0-9]+ generated", done.stdout), done.stdout[-2000:]


# a master without an instance


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
            urllib.request.urlopen(base + path, timeout=10)
        assert error.value.code == 404
        assert "keeps no measurements" in json.load(error.value)["message"]
    for path in ("links", "links?builder=open", "links?series=size", "links?buildid=1"):
        with urllib.request.urlopen(base + path, timeout=10) as answer:
            assert json.load(answer) == {"grafana": None, "influxdb": None}
