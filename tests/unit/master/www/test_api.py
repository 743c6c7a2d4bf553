"""The JSON API without a master: its limits, its clock, and clients that go away."""

from __future__ import annotations

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
from bbmeasure.model import BuildContext, Point
from bbmeasure.reports.summary import DEFAULT_STATISTICS
from bbmeasure.storage.memory import MemoryStorage
from bbmeasure.times import NANOSECONDS


class Clock(task.Clock):
    """A reactor whose time is the test's."""

    def callFromThread(self, function, *arguments):
        function(*arguments)


class Www:
    """Buildbot's web service: ``denied`` are the ids of builders that nobody may see."""

    def __init__(self):
        self.authz = SimpleNamespace(allowRules=[])
        self.denied = set()
        self.asked = []

    def assertUserAllowed(self, request, endpoint, action, options):
        self.asked.append((endpoint, action, options))
        return defer.fail(Error(403, b"no")) if int(endpoint[1]) in self.denied else defer.succeed(None)

    def deny(self, *ids):
        self.authz.allowRules = ["a rule"]
        self.denied = set(ids)


class Master:
    """As much of a BuildMaster as the API sees."""

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

    def hang_up(self):
        self.processingFailed(Failure(ConnectionDone()))


class Stubborn(MemoryStorage):
    """A store whose ``summarize`` answers when the test says so."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.cancelled = 0

    def summarize(self, query, statistics):
        def cancel(_):
            self.cancelled += 1

        self.open.append(defer.Deferred(cancel))
        return self.open[-1]


@pytest.fixture
def master():
    return Master()


@pytest.fixture
def store():
    return Stubborn()


@pytest.fixture
def resource(master, store):
    """The API of a master whose points are in ``store``, three of them of each builder and of none."""
    state_of(master).pipeline.attach(store)
    points = [
        Point("size", at * NANOSECONDS, float(at), {}, BuildContext(builder, "w", at, at) if builder else None)
        for at, builder in enumerate(("a", "b", None) * 3, start=1_700_000_000)
    ]
    store.write(points)
    return resource_module.ApiResource(master)


def ask(resource, path, **arguments):
    """A request that has been rendered."""
    request = Request(path, **arguments)
    resource.render(request)
    for _ in range(1000):
        if request.finished:
            break
        resource.master.reactor.advance(0)
    return request


def counters(resource):
    return state_of(resource.master).pipeline.counters


def test_a_store_that_takes_too_long_is_given_up(resource, store, master):
    """After the limit the client gets 503 with when to come back, and the question to the store is cancelled."""
    request = ask(resource, "statistics", series="size")
    assert not request.finished
    master.reactor.advance(resource_module.ANSWER_TIMEOUT + 1)
    assert (request.responseCode, request.json["message"]) == (503, "no answer within 20 s: ask for less")
    assert request.responseHeaders.getRawHeaders("retry-after") == ["2"]
    assert store.cancelled == 1


def test_a_client_that_hangs_up_cancels_its_question(resource, store):
    """What a client that went away had asked for is cancelled, counted, and not answered."""
    request = ask(resource, "statistics", series="size")
    request.hang_up()
    assert (store.cancelled, counters(resource)["api_gone"], request.finished) == (1, 1, 0)


def test_only_some_questions_run_at_a_time(resource, store):
    """Of many questions a few are put to the store; the others follow as those end, also where one was cancelled."""
    requests = [ask(resource, "statistics", series="size") for _ in range(resource_module.MAX_PARALLEL + 5)]
    assert len(store.open) == resource_module.MAX_PARALLEL
    requests[0].hang_up()
    requests[-1].hang_up()
    assert len(store.open) == resource_module.MAX_PARALLEL + 1
    for number in range(resource_module.MAX_PARALLEL + 4):
        if number:
            store.open[number].callback({**dict.fromkeys(DEFAULT_STATISTICS), "count": 0.0})
    assert [bool(request.finished) for request in requests] == [
        False,
        *[True] * (resource_module.MAX_PARALLEL + 3),
        False,
    ]


def test_too_many_questions_are_turned_away(resource, store):
    """Where too many wait, the next is told so at once."""
    for _ in range(resource_module.MAX_PARALLEL + resource_module.MAX_QUEUED):
        ask(resource, "statistics", series="size")
    request = ask(resource, "statistics", series="size")
    assert (request.responseCode, len(store.open)) == (503, resource_module.MAX_PARALLEL)
    assert "200 questions wait" in request.json["message"]


def test_an_unexpected_error_is_logged_and_not_told(resource, store):
    """An error that nobody thought of is 500 without its words, which are in the log, and counted."""
    request = ask(resource, "statistics", series="size")
    store.open[0].errback(ZeroDivisionError("secret"))
    assert (request.responseCode, request.json) == (500, {"message": "internal error, see the master's log"})
    assert counters(resource)["errors"] == 1


def test_the_words_of_a_store_stay_in_the_log(resource, store):
    """A store that is away is 503; where its file is, is nobody's business."""
    request = ask(resource, "statistics", series="size")
    store.open[0].errback(StorageUnavailableError("journal /srv/master/x.sqlite: locked"))
    assert (request.responseCode, counters(resource)["api_unavailable"]) == (503, 1)
    assert b"/srv" not in b"".join(request.written)


def test_pages_of_points_are_put_together(resource, store, monkeypatch):
    """More points than a page come out whole and in order, however pages fall, points of one time among them too."""
    monkeypatch.setattr(endpoints, "PAGE_SIZE", 3)
    store.write(
        [Point("burst", at // 2 * NANOSECONDS, float(at), {"n": str(at % 2)}) for at in range(2, 25)],
    )
    for limit in (1, 2, 3, 4, 7, 23, 50):
        values = [point["value"] for point in ask(resource, "points", series="burst", limit=limit).json["points"]]
        assert values == [float(at) for at in range(2, 25)][-limit:]


def test_the_overview_is_of_this_moment(resource, store, monkeypatch):
    """The JSON of a list of series that a store gives again is sent again, and only of that."""
    same = []
    store.series().addCallback(same.extend)
    monkeypatch.setattr(store, "series", lambda builders=None: defer.succeed(same))
    first, again = ask(resource, "series"), ask(resource, "series")
    assert [one["count"] for one in first.json["series"]] == [9]
    assert (again.json, again.responseHeaders.getRawHeaders("etag")) == (
        first.json,
        first.responseHeaders.getRawHeaders("etag"),
    )
    monkeypatch.undo()
    store.write([Point("size", 1, 1.0)])
    assert [one["count"] for one in ask(resource, "series").json["series"]] == [10]


def test_no_rules_are_no_work(resource, master):
    """On a master without rules nobody is asked about."""
    assert len(ask(resource, "points", series="size").json["points"]) == 9
    assert master.www.asked == []


def test_a_builders_rule_is_the_one_for_its_builds(resource, master):
    """Whether a builder may be shown is asked as Buildbot asks for GET builders/ID/builds, once a request."""
    master.www.deny(99)
    assert len(ask(resource, "points", series="size", builder="a").json["points"]) == 3
    assert master.www.asked == [(("builders", "1", "builds"), "GET", {})]


def test_points_outside_builds_are_for_those_who_see_all(resource, master):
    """Who may see every builder sees also what belongs to none; who may not, only what is of those he may see."""
    master.www.deny(99)
    assert len(ask(resource, "points", series="size").json["points"]) == 9
    master.www.deny(2)
    assert {point["builder"] for point in ask(resource, "points", series="size").json["points"]} == {"a"}
    series = ask(resource, "series").json["series"][0]
    assert (series["count"], series["builders"]) == (3, ["a"])
    master.www.deny(1, 2)
    assert ask(resource, "points", series="size").responseCode == 403
    assert ask(resource, "series").json == {"series": []}


def test_a_new_builder_is_known_at_once(resource, master):
    """A builder that was added after others were remembered may be asked for by its name."""
    master.www.deny(2)
    assert ask(resource, "points", series="size", builder="c").responseCode == 403
    master.builders["c"] = 3
    assert ask(resource, "points", series="size", builder="c").json["points"] == []


def test_a_forgotten_series_is_gone_at_once(resource, store):
    """A series that was just asked for and then forgotten is not found."""
    assert len(ask(resource, "points", series="size").json["points"]) == 9
    store.forget("size")
    assert ask(resource, "points", series="size").responseCode == 404


def test_another_rule_than_forbidden_is_an_error(resource, master):
    """A rule that fails hides everything."""
    master.www.deny()
    master.www.assertUserAllowed = lambda *_: defer.fail(Error(500, b"broken"))
    assert ask(resource, "points", series="size").responseCode == 500


def test_a_large_answer_is_sent_as_the_client_takes_it(master):
    """A body is handed over in chunks, each when the one before was taken; a client that stops is let go."""
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


def test_an_answer_is_made_in_slices(master):
    """While an answer is made, other work of the reactor has its turn."""
    json_writer = streaming.JsonWriter(master.reactor)
    turns = []

    def parts():
        for number in range(4):
            master.reactor.rightNow += streaming.SLICE_SECONDS
            turns.append(number)
            yield b"x"

    made = []
    json_writer.write(parts()).addCallback(made.append)
    master.reactor.callLater(0, turns.append, "other work")
    assert (turns, made) == ([0], [])
    master.reactor.advance(0)
    assert turns == [0, 1, "other work", 2, 3]
    assert made[0].size == 4


def test_lists_are_json(master):
    """Parts of lists, empty ones too, are JSON when they are put together, whatever stands beside them."""
    for count in (0, 1, 49, 50, 51, 120):
        parts = streaming.encode_items(range(count), lambda item: {"n": item})
        made = b"".join(streaming.encode_with_list({"a": 1, "l": []}, "l", parts))
        assert json.loads(made) == {"a": 1, "l": [{"n": number} for number in range(count)]}
    assert json.loads(b"".join(streaming.encode_with_list({"l": []}, "l", []))) == {"l": []}
