"""The JSON API without a master: limits, timeouts, and clients that disconnect."""

from __future__ import annotations

import gzip
import json
from types import SimpleNamespace

import pytest
from twisted.internet import defer, task
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.web.error import Error
from twisted.web.test.requesthelper import DummyRequest

from bbmeasure.capture.state import state_of
from bbmeasure.errors import StorageUnavailableError
from bbmeasure.master.www import endpoints, streaming
from bbmeasure.master.www import resource as resource_module
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.reports.series_statistics import DEFAULT_STATISTICS
from bbmeasure.storage.memory import MemoryStorage
from bbmeasure.times import NANOSECONDS


class Clock(task.Clock):
    """A clock with the reactor's method for threads."""

    def callFromThread(self, function, *arguments):
        function(*arguments)


class Www:
    """Buildbot's web service; nobody may see the builders with the ids in ``denied``."""

    def __init__(self):
        self.authz = SimpleNamespace(allowRules=[])
        self.denied = set()
        self.checks = []

    def assertUserAllowed(self, request, endpoint, action, options):
        self.checks.append((endpoint, action, options))
        return defer.fail(Error(403, b"no")) if int(endpoint[1]) in self.denied else defer.succeed(None)

    def deny(self, *ids):
        self.authz.allowRules = ["a rule"]
        self.denied = set(ids)


class Master:
    """The attributes of a BuildMaster that the API uses."""

    def __init__(self):
        self.reactor = Clock()
        self.www = Www()
        self.config = SimpleNamespace(buildbotURL="http://master/")
        self.service_manager = SimpleNamespace(namedServices={})
        self.data = SimpleNamespace(get=self._get)
        self.builders = {"a": 1, "b": 2}
        self.builds = {}

    def _get(self, path):
        if path == ("builders",):
            return defer.succeed([{"name": name, "builderid": id_} for name, id_ in self.builders.items()])
        return defer.succeed(self.builds.get(path[1]))


class Request(DummyRequest):
    """A request for a path below ``v1/``."""

    def __init__(self, path, method=b"GET", **arguments):
        super().__init__([b"v1", *path.encode().split(b"/")])
        self.method = method
        self.args = {key.encode(): [str(value).encode()] for key, value in arguments.items()}

    @property
    def json(self):
        return json.loads(b"".join(self.written))

    def disconnect(self):
        self.processingFailed(Failure(ConnectionDone()))


class PendingStorage(MemoryStorage):
    """A store whose ``summarize`` returns pending Deferreds."""

    def __init__(self):
        super().__init__()
        self.pending = []
        self.cancelled = 0

    def summarize(self, query, statistics):
        def cancel(_):
            self.cancelled += 1

        self.pending.append(defer.Deferred(cancel))
        return self.pending[-1]


@pytest.fixture
def master():
    return Master()


@pytest.fixture
def store():
    return PendingStorage()


@pytest.fixture
def resource(master, store):
    """The API of a master whose points are in ``store``: three of each builder and three outside builds."""
    state_of(master).pipeline.attach(store)
    points = [
        Point("size", at * NANOSECONDS, float(at), {}, BuildContext(builder, "w", at, at) if builder else None)
        for at, builder in enumerate(("a", "b", None) * 3, start=1_700_000_000)
    ]
    store.write(points)
    return resource_module.ApiResource(master)


def get(resource, path, **arguments):
    """Render a request."""
    return render(resource, Request(path, **arguments))


def render(resource, request):
    """Render a request to its end."""
    resource.render(request)
    for _ in range(1000):
        if request.finished:
            break
        resource.master.reactor.advance(0)
    return request


def counters(resource):
    return state_of(resource.master).pipeline.counters


def test_a_slow_query_times_out(resource, store, master):
    """After the timeout the client gets 503 with Retry-After, and the query is cancelled."""
    request = get(resource, "statistics", series="size")
    assert not request.finished
    master.reactor.advance(resource_module.ANSWER_TIMEOUT + 1)
    assert (request.responseCode, request.json["message"]) == (503, "no answer within 20 s: expected a smaller request")
    assert request.responseHeaders.getRawHeaders("retry-after") == ["2"]
    assert store.cancelled == 1


def test_a_disconnect_cancels_the_query(resource, store):
    """The query is cancelled, the disconnect is counted, and nothing is sent."""
    request = get(resource, "statistics", series="size")
    request.disconnect()
    assert (store.cancelled, counters(resource)["api_gone"], request.finished) == (1, 1, 0)


def test_queries_run_in_parallel_up_to_a_limit(resource, store):
    """Further queries start as others end or are cancelled."""
    requests = [get(resource, "statistics", series="size") for _ in range(resource_module.MAX_PARALLEL + 5)]
    assert len(store.pending) == resource_module.MAX_PARALLEL
    requests[0].disconnect()
    requests[-1].disconnect()
    assert len(store.pending) == resource_module.MAX_PARALLEL + 1
    for number in range(resource_module.MAX_PARALLEL + 4):
        if number:
            store.pending[number].callback({**dict.fromkeys(DEFAULT_STATISTICS), "count": 0.0})
    assert [bool(request.finished) for request in requests] == [
        False,
        *[True] * (resource_module.MAX_PARALLEL + 3),
        False,
    ]


def test_too_many_requests_are_refused(resource, store):
    """If too many requests are queued, the next gets 503 at once."""
    for _ in range(resource_module.MAX_PARALLEL + resource_module.MAX_QUEUED):
        get(resource, "statistics", series="size")
    request = get(resource, "statistics", series="size")
    assert (request.responseCode, len(store.pending)) == (503, resource_module.MAX_PARALLEL)
    assert "200 requests are queued" in request.json["message"]


def test_an_unexpected_error_is_logged(resource, store):
    """An unexpected error is status 500 without its message, which is logged; it is counted."""
    request = get(resource, "statistics", series="size")
    store.pending[0].errback(ZeroDivisionError("secret"))
    assert (request.responseCode, request.json) == (500, {"message": "internal error, see the master's log"})
    assert counters(resource)["errors"] == 1


def test_an_error_of_the_store_is_logged(resource, store):
    """An unavailable store is 503; its message, which has a path, is not sent."""
    request = get(resource, "statistics", series="size")
    store.pending[0].errback(StorageUnavailableError("journal /srv/master/x.sqlite: locked"))
    assert (request.responseCode, counters(resource)["api_unavailable"]) == (503, 1)
    assert b"/srv" not in b"".join(request.written)


def test_pages_of_points_are_joined(resource, store, monkeypatch):
    """Points are complete and in order for any limit, also if points of one time are in two pages."""
    monkeypatch.setattr(endpoints, "PAGE_SIZE", 3)
    store.write(
        [Point("burst", at // 2 * NANOSECONDS, float(at), {"n": str(at % 2)}) for at in range(2, 25)],
    )
    for limit in (1, 2, 3, 4, 7, 23, 50):
        values = [point["value"] for point in get(resource, "points", series="burst", limit=limit).json["points"]]
        assert values == [float(at) for at in range(2, 25)][-limit:]


def test_the_list_of_series_is_cached_until_a_write(resource, store, monkeypatch):
    """The encoded list is reused if the store returns the same list, and only then."""
    same = []
    store.series().addCallback(same.extend)
    monkeypatch.setattr(store, "series", lambda builders=None: defer.succeed(same))
    first, again = get(resource, "series"), get(resource, "series")
    assert [one["count"] for one in first.json["series"]] == [9]
    assert (again.json, again.responseHeaders.getRawHeaders("etag")) == (
        first.json,
        first.responseHeaders.getRawHeaders("etag"),
    )
    monkeypatch.undo()
    store.write([Point("size", 1, 1.0)])
    assert [one["count"] for one in get(resource, "series").json["series"]] == [10]


def test_a_page_of_series(resource, store):
    """``limit`` and ``page`` select series in their order; the answer has the number of all of them."""
    store.write([Point(f"more {number}", 1, 1.0) for number in range(6)])
    names = [one["name"] for one in get(resource, "series").json["series"]]
    for limit, page in ((3, 1), (3, 2), (3, 3), (3, 4), (100, 1)):
        answer = get(resource, "series", limit=limit, page=page).json
        assert ([one["name"] for one in answer["series"]], answer["total"]) == (
            names[(page - 1) * limit : page * limit],
            7,
        )
    assert get(resource, "series", page=1).json["total"] == 7
    assert get(resource, "series", page=0).responseCode == get(resource, "series", limit="x").responseCode == 400


@pytest.mark.parametrize(
    ("accepted", "compresses"),
    [
        (b"gzip, deflate, br", True),
        (b"br, *;q=0.1", True),
        (b"", False),
        (b"gzip;q=0, br", False),
        (b"identity", False),
    ],
)
def test_a_large_answer_is_compressed_for_a_client_that_accepts_it(resource, store, accepted, compresses):
    """A body of several chunks is sent as gzip, without a length and with a weak ETag; its text is the same."""
    store.write([Point("burst", at * NANOSECONDS, float(at)) for at in range(2_000)])
    plain = get(resource, "points", series="burst")
    request = Request("points", series="burst")
    request.requestHeaders.setRawHeaders(b"accept-encoding", [accepted])
    render(resource, request)
    headers = {name: request.responseHeaders.getRawHeaders(name) for name in ("content-encoding", "content-length")}
    body = b"".join(request.written)
    assert headers["content-encoding"] == (["gzip"] if compresses else None)
    assert (headers["content-length"] is None) == compresses
    assert "Accept-Encoding" in request.responseHeaders.getRawHeaders("vary", [])
    assert (gzip.decompress(body) if compresses else body) == b"".join(plain.written)
    assert len(body) < len(b"".join(plain.written)) / 5 or not compresses


def test_without_rules_nothing_is_checked(resource, master):
    """A master without rules calls assertUserAllowed for no request."""
    assert len(get(resource, "points", series="size").json["points"]) == 9
    assert master.www.checks == []


def test_the_rule_of_a_builder_is_that_of_its_builds(resource, master):
    """The check of a builder is GET builders/ID/builds, once a request."""
    master.www.deny(99)
    assert len(get(resource, "points", series="size", builder="a").json["points"]) == 3
    assert master.www.checks == [(("builders", "1", "builds"), "GET", {})]


def test_points_outside_builds_need_access_to_every_builder(resource, master):
    """A user with access to every builder also sees points outside builds; others see their builders only."""
    master.www.deny(99)
    assert len(get(resource, "points", series="size").json["points"]) == 9
    master.www.deny(2)
    assert {point["builder"] for point in get(resource, "points", series="size").json["points"]} == {"a"}
    series = get(resource, "series").json["series"][0]
    assert (series["count"], series["builders"]) == (3, ["a"])
    master.www.deny(1, 2)
    assert get(resource, "points", series="size").responseCode == 403
    assert get(resource, "series").json == {"series": []}


def test_a_new_builder_refreshes_the_cache(resource, master):
    """A builder that was added after the ids were cached is found by its name."""
    master.www.deny(2)
    assert get(resource, "points", series="size", builder="c").responseCode == 403
    master.builders["c"] = 3
    assert get(resource, "points", series="size", builder="c").json["points"] == []


def test_a_forgotten_series_is_not_found(resource, store):
    """A series that is removed after it was cached is not found."""
    assert len(get(resource, "points", series="size").json["points"]) == 9
    store.forget("size")
    assert get(resource, "points", series="size").responseCode == 404


def test_a_question_reads_its_own_series_only(resource, store, monkeypatch):
    """Statistics, points and buckets find their series by its name, by one query, and never read the list of all."""
    asked = []
    for name in ("lines", "summarize", "points", "buckets", "series"):
        answer = getattr(MemoryStorage, name)
        monkeypatch.setattr(
            store, name, lambda *arguments, n=name, a=answer: (asked.append((n, arguments)), a(store, *arguments))[1]
        )
    get(resource, "statistics", series="size", since="7d")
    get(resource, "points", series="size")
    get(resource, "points", series="size", buckets=3)
    assert [name for name, _ in asked] == ["lines", "summarize", "lines", "points", "lines", "buckets"]
    assert {(query.series, query.since) for name, (query, *_) in asked if name == "lines"} == {("size", None)}


def test_a_query_of_one_branch(resource, store):
    """Points of proposals are left out unless the query selects them; the answer counts lines and branches."""
    contexts = [
        BuildContext("a", "w", 1, 1, branch="main"),
        BuildContext("a", "w", 2, 2, branch="next"),
        BuildContext("a", "w", 3, 3, branch="main", proposal="refs/pull/7"),
    ]
    store.write([Point("wheel", at * NANOSECONDS, float(at), {}, context) for at, context in enumerate(contexts)])

    def values(**arguments):
        return [point["value"] for point in get(resource, "points", series="wheel", **arguments).json["points"]]

    assert values() == [0.0, 1.0]
    assert values(branch="main") == [0.0]
    assert values(branch="main", proposal="*") == [0.0, 2.0]
    assert values(proposal="refs/pull/7") == [2.0]
    assert values(branch="none") == []


def test_statistics_count_what_they_mix(resource, store, monkeypatch):
    """``lines`` and ``branches`` describe the points that the statistics are of."""
    monkeypatch.setattr(store, "summarize", lambda *arguments: MemoryStorage.summarize(store, *arguments))
    for number, (builder, branch, tags) in enumerate(
        [("a", "next", {}), ("a", "main", {}), ("a", "main", {"opt": "2"}), ("b", "next", {})]
    ):
        store.write([Point("wheel", number, 1.0, tags, BuildContext(builder, "w", number, number, branch=branch))])

    def mixed(**arguments):
        answer = get(resource, "statistics", series="wheel", **arguments).json
        return answer["branch"], answer["lines"], answer["branches"], answer["count"]

    assert mixed() == (None, 4, ["main", "next"], 4)
    assert mixed(branch="next") == ("next", 2, ["next"], 2)
    assert mixed(builder="b") == (None, 1, ["next"], 1)
    assert mixed(branch="none") == ("none", 0, [], 0)


def test_statistics_by_builder_and_tag(resource, store, master, monkeypatch):
    """``by`` gives the statistics of each combination, of the builders only that the user may see."""
    monkeypatch.setattr(store, "summarize", lambda *arguments: MemoryStorage.summarize(store, *arguments))
    for number, (builder, tags) in enumerate(
        [("a", {"opt": "0"}), ("a", {"opt": "0"}), ("a", {"opt": "3"}), ("b", {})]
    ):
        store.write([Point("mixed", number, float(number), tags, BuildContext(builder, "w", 1, 1, branch="main"))])

    def groups(by, **arguments):
        answer = get(resource, "statistics", series="mixed", statistics="sum", by=by, **arguments).json
        assert answer["by"] == by.split(",")
        return answer["count"], [
            (list(group["by"].values()), group["count"], group["statistics"]) for group in answer["groups"]
        ]

    of_a, of_b = [(["0"], 2, {"sum": 1.0}), (["3"], 1, {"sum": 2.0})], (["b", None], 1, {"sum": 3.0})
    assert groups("opt", builder="a") == (3, of_a)
    assert groups("builder,opt") == (4, [*((["a", *opt], *rest) for opt, *rest in of_a), of_b])
    assert groups("branch", until=0) == (0, [])
    for by, words in (("worker", "worker= selects one"), ("colour", "no point has such a tag"), ("opt,,", "each once")):
        request = get(resource, "statistics", series="mixed", by=by)
        assert (request.responseCode, words in request.json["message"]) == (400, True)
    master.www.deny(2)
    assert groups("builder,opt")[0] == 3


@pytest.mark.parametrize("path", ["statistics", "points"])
def test_builders_that_disagree_are_not_mixed(resource, store, path):
    """The status is 400 with the builders and their units; kind, unit or builder select one of them."""
    for builder, unit, kind in (("a", "bytes", Kind.SIZE), ("b", "1", Kind.COUNT)):
        store.declare(SeriesInfo("wheel", kind, unit, builders=(builder,)))
        store.write([Point("wheel", 1, 1.0, {}, BuildContext(builder, "w", 1, 1, branch="main"))])
    request = get(resource, path, series="wheel")
    assert request.responseCode == 400
    assert "count in 1 of b, size in bytes of a" in request.json["message"]
    for choice in ({"unit": "MiB"}, {"kind": "size"}, {"builder": "a"}):
        assert get(resource, "points", series="wheel", **choice).json["unit"] == "bytes"
    assert get(resource, path, series="wheel", unit="parsec").responseCode == 400
    assert get(resource, path, series="wheel", kind="weight").responseCode == 400
    assert [(one["name"], one["unit"]) for one in get(resource, "series").json["series"]][-2:] == [
        ("wheel", "1"),
        ("wheel", "bytes"),
    ]


def test_a_builder_that_may_not_be_seen_is_not_in_conflict(resource, store, master):
    """A user who sees one of two builders gets that builder's unit."""
    for builder, unit in (("a", "bytes"), ("b", "s")):
        store.declare(SeriesInfo("wheel", Kind.NUMBER, unit, builders=(builder,)))
        store.write([Point("wheel", 1, 1.0, {}, BuildContext(builder, "w", 1, 1, branch="main"))])
    master.www.deny(2)
    assert get(resource, "points", series="wheel").json["unit"] == "bytes"


def test_previous_is_of_the_same_line(resource, store):
    """It is of the same builder, branch and machine class, and of no proposal; an unknown target has none."""
    builds = [
        BuildContext("a", "w", 1, 1, branch="main"),
        BuildContext("a", "w", 2, 2, branch="next"),
        BuildContext("a", "w", 3, 3, branch="main", proposal="refs/pull/7"),
        BuildContext("a", "x", 4, 4, branch="main"),
        BuildContext("a", "w", 5, 5, branch="main"),
        BuildContext("a", "w", 6, 6, branch=None, proposal="refs/pull/8"),
        BuildContext("a, renamed", "w", 7, 7, branch="main"),
    ]
    store.write([Point("wheel", build.buildid * NANOSECONDS, float(build.build), {}, build) for build in builds])
    previous = [get(resource, "records", buildid=build.buildid).json["records"][0] for build in builds]
    assert [one["previous"] for one in previous] == [None, None, 1.0, None, 1.0, None, None]
    assert [one["proposal"] for one in previous] == [None, None, "refs/pull/7", None, None, "refs/pull/8", None]


def test_a_failing_rule_is_an_error(resource, master):
    """Another status than 403 of a rule is status 500."""
    master.www.deny()
    master.www.assertUserAllowed = lambda *_: defer.fail(Error(500, b"broken"))
    assert get(resource, "points", series="size").responseCode == 500


def test_a_large_body_is_sent_in_chunks(master):
    """A chunk is written when the previous one was taken; a client that stops is disconnected after the timeout."""
    aborted = []
    request = Request("points")
    request.channel = SimpleNamespace(transport=SimpleNamespace(abortConnection=lambda: aborted.append(True)))  # type: ignore[attr-defined]  # added for the tests
    request.registerProducer = lambda producer, streaming: setattr(request, "producer", producer)  # type: ignore[method-assign]  # replaced by the test
    body = streaming.Body([b"x" * 10_000] * 20, b'"tag"')
    streaming.send(request, body, master.reactor)
    request.producer.resumeProducing()  # type: ignore[attr-defined]  # added for the tests
    assert len(b"".join(request.written)) == 40_000
    master.reactor.advance(streaming.SEND_TIMEOUT)
    assert aborted == [True]


def test_encoding_yields_to_the_reactor(master):
    """Between slices of encoding, other work of the reactor runs."""
    json_writer = streaming.JsonWriter(master.reactor)
    turns = []

    def fragments():
        for number in range(4):
            master.reactor.rightNow += streaming.SLICE_SECONDS
            turns.append(number)
            yield b"x"

    bodies = []
    json_writer.write(fragments()).addCallback(bodies.append)
    master.reactor.callLater(0, turns.append, "other work")
    assert (turns, bodies) == ([0], [])
    master.reactor.advance(0)
    assert turns == [0, 1, "other work", 2, 3]
    assert bodies[0].size == 4


def test_encoded_lists_are_json(master):
    """The joined fragments of lists of any length, also empty ones, are valid JSON."""
    for count in (0, 1, 49, 50, 51, 120):
        items = streaming.encode_items(range(count), lambda item: {"n": item})
        encoded = b"".join(streaming.encode_with_list({"a": 1, "l": []}, "l", items))
        assert json.loads(encoded) == {"a": 1, "l": [{"n": number} for number in range(count)]}
    assert json.loads(b"".join(streaming.encode_with_list({"l": []}, "l", []))) == {"l": []}
