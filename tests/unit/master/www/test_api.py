"""The JSON API without a master: limits, timeouts, and clients that disconnect."""

from __future__ import annotations

import gzip

import pytest
from twisted.internet import defer

from bbmeasure.errors import StorageUnavailableError
from bbmeasure.master.www import points as points_module
from bbmeasure.master.www import resource as resource_module
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.storage.memory import MemoryStorage
from bbmeasure.times import NANOSECONDS
from tests.unit.master.www.fakes import Request, counters, get, render


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
    monkeypatch.setattr(points_module, "PAGE_SIZE", 3)
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
    monkeypatch.setattr(store, "series", lambda builders=None, **filters: defer.succeed(same))
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
    assert groups("worker,opt", builder="a") == (3, [(["w", *opt], *rest) for opt, *rest in of_a])
    for by, words in (("colour", "no point has such a tag"), ("opt,,", "each once")):
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
