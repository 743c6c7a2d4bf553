"""Alerts and verdicts in the JSON API, and decisions of signed-in users."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import pytest
from pytest_twisted import inlineCallbacks
from twisted.internet import defer, reactor, task
from twisted.web.error import Error

from bbmeasure.capture.gates import Gate, Gates
from bbmeasure.capture.state import state_of
from bbmeasure.master.www.resource import ApiResource
from bbmeasure.storage.sqlite.store import SQLiteStorage
from bbmeasure.storage.verdict_store import Mute
from tests.unit.master.www.fakes import Master, Request, Www
from tests.unit.reports.judging import START, Judging

ACCEPT = {"state": "accepted", "why": "a new compiler"}


class SignedInWww(Www):
    """A web service with a user; ``may_decide`` is false for one whom a rule forbids it."""

    def __init__(self):
        super().__init__()
        self.user = {"username": "ann"}
        self.may_decide = True

    def getUserInfos(self, request):
        return self.user

    def assertUserAllowed(self, request, endpoint, action, options):
        if action == "accept" and not self.may_decide:
            self.checks.append((endpoint, action, options))
            endpoint, self.denied = endpoint, {int(endpoint[1])}
        return super().assertUserAllowed(request, endpoint, action, options)


class Post(Request):
    """A request to decide an alert."""

    def __init__(self, path, body, **headers):
        super().__init__(path, b"POST")
        self.content = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        headers = {"content_type": "application/json", **headers}
        for name, value in headers.items():
            self.requestHeaders.setRawHeaders(name.replace("_", "-"), [value])


@pytest.fixture
def judging(tmp_path):
    """A journal with an open alert of builder a, of its second build."""
    made = Judging(tmp_path)
    made.gates["size"] = Gate(limit=1000, level="fail")
    made.runs([900.0, 1100.0], builder="a")
    made.run(5.0, "other", builder="b")
    yield made
    made.close()


@pytest.fixture
def resource(judging):
    """The API of a master with that journal."""
    master = Master()
    master.reactor = reactor
    master.www = SignedInWww()
    master.config.www = {}
    storage = SQLiteStorage(judging.path, reactor=reactor)
    state_of(master).pipeline.attach(storage)
    yield ApiResource(master)
    storage.close()


@inlineCallbacks
def answer(resource, request):
    """The status and the JSON of the answer to a request."""
    resource.render(request)
    while not request.finished:
        yield task.deferLater(reactor, 0.001, lambda: None)
    return request.responseCode or 200, request.json


@inlineCallbacks
def test_alerts(resource, judging):
    """An alert has what a person needs to work it off; filters select."""
    judging.journal.mute(Mute("size", "", 2**40, "ann", "known"))
    _, found = yield answer(resource, Request("alerts"))
    (alert,) = found["alerts"]
    expected = {
        "id": 1,
        "series": "size",
        "builder": "a",
        "branch": "main",
        "machine_class": "w",
        "tags": {},
        "rule": "limit",
        "bound": 1000.0,
        "state": "open",
        "after": 1100.0,
        "build": 2,
        "buildid": 102,
        "time": START + 120.0,
        "by": None,
        "why": None,
        "until": float(2**40),
        "suspects": [],
        "differs": {},
        "outcome": "worse",
    }
    assert expected.items() <= alert.items()
    for filters, count in (
        ({"state": "open", "series": "size", "builder": "a", "branch": "main", "since": START}, 1),
        ({"state": "accepted"}, 0),
        ({"series": "other"}, 0),
        ({"since": START + 1000}, 0),
    ):
        _, found = yield answer(resource, Request("alerts", **filters))
        assert len(found["alerts"]) == count, filters
    assert (yield answer(resource, Request("alerts", state="new")))[0] == 400


@inlineCallbacks
def test_records_and_overview_have_verdicts(resource, judging):
    """Records of a build and rows of the overview have the verdict that was kept."""
    resource.master.builds[102] = {"builderid": 1, "buildrequestid": 1}
    _, found = yield answer(resource, Request("records", buildid=102))
    (record,) = found["records"]
    verdict = {"verdict": "worse", "usual": None, "baseline": None, "since_build": 2, "alert": 1}
    assert verdict.items() <= record.items()
    assert "above the limit" in record["reason"]
    _, found = yield answer(resource, Request("overview"))
    rows = {row["series"]: row for row in found["rows"]}
    assert verdict.items() <= rows["size"].items()
    assert rows["other"]["verdict"] == "no_baseline"
    judging.store({"size": 900.0}, 9, builder="a")
    _, found = yield answer(resource, Request("overview", series="size"))
    assert found["rows"][0]["verdict"] is None


@inlineCallbacks
def test_every_row_of_the_overview_has_its_verdict(resource, judging):
    """Each of several hundred lines, whose newest builds are all different, has the verdict of its own build."""
    for number in range(10, 270):
        judging.finish(judging.store({"size": 2000.0 if number == 10 else 900.0}, number, builder=f"farm-{number}"))
    _, found = yield answer(resource, Request("overview", series="size", limit=2000))
    verdicts = {row["builder"]: row["verdict"] for row in found["rows"]}
    assert (len(verdicts), verdicts["farm-10"]) == (261, "worse")
    assert {verdict for builder, verdict in verdicts.items() if builder not in ("farm-10", "a")} == {"no_baseline"}


@inlineCallbacks
def test_a_row_has_the_limits_of_its_gate(resource, judging):
    """Records and rows have the limits that their value was judged by, also where no alert has passed one."""
    judging.gates["speed"] = Gate(lowerLimit=3)
    judging.run(5.0, "speed", builder="b")
    _, found = yield answer(resource, Request("overview"))
    limits = {row["series"]: row["limits"] for row in found["rows"]}
    assert limits == {"size": [None, 1000.0], "speed": [3.0, None], "other": None}
    running = judging.store({"speed": 5.0}, 9)
    gates = state_of(resource.master).gates.of_build(running.buildid)
    gates.set("speed", Gate(limit=7))
    _, found = yield answer(resource, Request("overview", series="speed"))
    assert (found["rows"][0]["verdict"], found["rows"][0]["limits"]) == (None, [None, 7.0])


@inlineCallbacks
def test_hidden_alerts(resource):
    """Alerts of builders that the user may not see are left out, and 403 by name."""
    resource.master.www.deny(1)
    assert (yield answer(resource, Request("alerts")))[1] == {"alerts": []}
    assert (yield answer(resource, Request("alerts", builder="a")))[0] == 403
    status, _ = yield answer(resource, Post("alerts/1", ACCEPT))
    assert status == 403


@inlineCallbacks
def test_a_decision(resource, judging):
    """A signed-in user accepts an alert, whose name is kept; the next build is fine; a second decision is refused."""
    request = Post("alerts/1", ACCEPT, origin="http://master")
    status, alert = yield answer(resource, request)
    assert (status, alert["state"], alert["by"], alert["why"]) == (200, "accepted", "ann", "a new compiler")
    assert (("builders", "1"), "accept", {}) in resource.master.www.checks
    assert not judging.run(1100.0, builder="a").acts
    status, error = yield answer(resource, Post("alerts/1", {"state": "ignored", "why": "x"}))
    assert (status, error["message"]) == (409, "alert 1: accepted, expected an open one")


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        (lambda: Post("alerts/1", ACCEPT, origin="http://evil"), 403, "origin: expected an allowed one"),
        (lambda: Post("alerts/1", ACCEPT, origin="null"), 403, "origin: expected an allowed one"),
        (lambda: Post("alerts/1", ACCEPT, content_type="text/plain"), 400, "content-type: expected application/json"),
        (lambda: Post("alerts/1", {"state": "open", "why": "x"}), 400, "state 'open': expected one of accepted"),
        (lambda: Post("alerts/1", {"state": "accepted", "why": " "}), 400, "why: expected a text of 1 to 1000"),
        (lambda: Post("alerts/1", {"state": "accepted"}), 400, "body: expected JSON such as"),
        (lambda: Post("alerts/1", b"[" * 100_000), 400, "body: expected at most 16384 bytes"),
        (lambda: Post("alerts/1", b"\xff"), 400, "body: expected JSON such as"),
        (lambda: Post("alerts/1", b"[" * 16_000), 400, "body: expected JSON such as"),
        (lambda: Post("alerts/x", ACCEPT), 400, "alert 'x': expected a whole number"),
        (lambda: Post("alerts/7", ACCEPT), 404, "alert 7: no such alert"),
        (lambda: Request("alerts/1"), 405, "expected POST"),
        (lambda: Request("alerts", b"POST"), 405, "expected GET"),
    ],
)
@inlineCallbacks
def test_refused_requests(resource, judging, request_, status, message):
    """Requests of other sites, of another form, and for what is not there change nothing."""
    got, error = yield answer(resource, request_())
    assert got == status
    assert error["message"].startswith(message)
    assert judging.alerts()[0].state == "open"


@inlineCallbacks
def test_who_is_not_signed_in_or_not_allowed(resource, judging):
    """An anonymous user and one whom a rule forbids it get 403, also where no rule is given."""
    resource.master.www.user = {"anonymous": True}
    status, error = yield answer(resource, Post("alerts/1", ACCEPT))
    assert (status, error["message"]) == (403, "sign in to decide on alerts")
    refuse = SimpleNamespace(maybeAutoLogin=lambda request: defer.fail(Error(403, b"missing header")))
    resource.master.config.www = {"auth": refuse}
    assert (yield answer(resource, Post("alerts/1", ACCEPT)))[0] == 403
    resource.master.www.user = {"email": "ann@example.org"}
    resource.master.www.may_decide = False
    status, error = yield answer(resource, Post("alerts/1", ACCEPT))
    assert (status, error["message"]) == (403, "alert 1: you may not decide on it")
    assert judging.alerts()[0].state == "open"
    resource.master.www.may_decide = True
    resource.master.config.www = {
        "allowed_origins": ["https://*.example.org"],
        "auth": SimpleNamespace(maybeAutoLogin=lambda request: defer.succeed(None)),
    }
    resource.master.www.deny()
    status, alert = yield answer(resource, Post("alerts/1", ACCEPT, origin="https://ci.example.org"))
    assert (status, alert["by"]) == (200, "ann@example.org")


@inlineCallbacks
def test_a_master_without_verdicts(judging):
    """A store that keeps no verdicts has no alerts."""
    master = Master()
    master.reactor = reactor
    pipeline = state_of(master).pipeline
    pipeline.stores = [pipeline.memory, pipeline.memory]
    assert (yield answer(ApiResource(master), Request("alerts")))[1] == {"alerts": []}
    assert Gates().of("size").level == "info"
