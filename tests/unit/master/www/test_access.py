"""The JSON API without a master: rules of builders."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from buildbot.www.authz.authz import Authz
from twisted.internet import defer
from twisted.web.error import Error

from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.reports.series_statistics import DEFAULT_STATISTICS
from tests.unit.master.www.fakes import get


def test_every_request_asks_about_every_builder(resource, master):
    """``assertUserAllowed`` decides alone: nothing that was allowed before is taken as allowed."""
    for _ in range(2):
        assert len(get(resource, "points", series="size").json["points"]) == 9
    assert master.www.checks == [(("builders", str(builder), "builds"), "GET", {}) for builder in (1, 2, 1, 2)]


class Rules(Authz):
    """A subclass without rules, which may decide otherwise."""


@pytest.mark.parametrize(
    ("authz", "asks"), [(Authz(), False), (Authz(allowRules=[SimpleNamespace()]), True), (Rules(), True)]
)
def test_only_without_rules_there_is_nothing_to_ask(resource, master, authz, asks):
    """Buildbot's own Authz allows what no rule forbids: without rules it is not asked, nor are the builders read."""
    master.www.authz = authz
    master.builders["c"] = 3
    if not asks:
        master.db.pool = None
    assert len(get(resource, "points", series="size").json["points"]) == 9
    assert len(get(resource, "points", series="size", builder="a").json["points"]) == 3
    assert bool(master.www.checks) == asks
    master.www.reconfigure(2)
    master.db.pool = master.db
    assert len(get(resource, "points", series="size").json["points"]) == 3


def test_rules_that_are_configured_while_an_answer_is_computed(resource, store, master):
    """An answer for everybody is computed again when there are rules meanwhile."""
    master.www.authz = Authz()
    request = get(resource, "statistics", series="size", builder="b")
    master.www.reconfigure(2)
    store.pending.pop().callback({**dict.fromkeys(DEFAULT_STATISTICS), "count": 0.0})
    assert request.responseCode == 403


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


def test_a_new_builder_is_asked_about_at_once(resource, store, master):
    """The builders are read for each request, whatever the clock shows."""
    store.write([Point("size", 1, 1.0, {}, BuildContext("c", "w", 1, 1))])
    assert len(get(resource, "points", series="size").json["points"]) == 10
    master.builders["c"] = 3
    master.www.deny(3)
    master.reactor.rightNow -= 3600
    builders = {point["builder"] for point in get(resource, "points", series="size").json["points"]}
    assert builders == {"a", "b"}
    assert get(resource, "points", series="size", builder="c").responseCode == 403


def test_a_new_builder_is_shown_at_once(resource, store, master):
    """A user who may not see all builders sees one that was added after the last request."""
    store.write([Point("size", 1, 1.0, {}, BuildContext("c", "w", 1, 1))])
    master.www.deny(1, 2)
    assert get(resource, "points", series="size", builder="c").responseCode == 403
    assert get(resource, "points", series="size").responseCode == 403
    master.builders["c"] = 3
    for filters in ({}, {"builder": "c"}):
        assert [point["builder"] for point in get(resource, "points", series="size", **filters).json["points"]] == ["c"]


def test_a_change_while_the_answer_is_computed(resource, store, master):
    """An answer is computed again if the rules or the builders changed meanwhile."""
    answer = {**dict.fromkeys(DEFAULT_STATISTICS), "count": 0.0}
    request = get(resource, "statistics", series="size", builder="b")
    master.www.reconfigure(2)
    store.pending.pop().callback(answer)
    assert request.responseCode == 403
    master.www.reconfigure()
    request = get(resource, "statistics", series="size")
    master.builders["c"] = 3
    master.www.deny(3)
    store.pending.pop().callback(answer)
    assert not request.finished
    assert store.queries[-1].builders == frozenset(["a", "b"])
    store.pending.pop().callback(answer)
    assert request.json["count"] == 0


def test_without_builders_the_list_of_builders_is_asked_about(resource, master):
    """Points outside builds are shown to a user who may GET the builders of a master that has none."""
    master.builders.clear()
    assert len(get(resource, "points", series="size").json["points"]) == 9
    assert master.www.checks == [(("builders",), "GET", {})]
    master.www.assertUserAllowed = lambda *_: defer.fail(Error(403, b"no"))
    assert get(resource, "points", series="size").responseCode == 403


@pytest.mark.parametrize("path", ["statistics", "points"])
def test_a_hidden_series_has_no_unit(resource, store, master, path):
    """The unit and the kind of a series are those of builders that the user may see, also with another builder."""
    store.declare(SeriesInfo("wheel", Kind.SIZE, "bytes", builders=("b",)))
    store.write([Point("wheel", 1, 1.0, {}, BuildContext("b", "w", 1, 1))])
    assert get(resource, "points", series="wheel", builder="a").json["unit"] == "bytes"
    master.www.deny(2)
    for arguments in ({}, {"builder": "a"}, {"builder": "a", "kind": "count"}):
        request = get(resource, path, series="wheel", **arguments)
        assert (request.responseCode, request.json) == (403, {"message": "series 'wheel': you may not see it"})


def test_a_builder_that_may_not_be_seen_is_not_in_conflict(resource, store, master):
    """A user who sees one of two builders gets that builder's unit."""
    for builder, unit in (("a", "bytes"), ("b", "s")):
        store.declare(SeriesInfo("wheel", Kind.NUMBER, unit, builders=(builder,)))
        store.write([Point("wheel", 1, 1.0, {}, BuildContext(builder, "w", 1, 1, branch="main"))])
    master.www.deny(2)
    assert get(resource, "points", series="wheel").json["unit"] == "bytes"


def test_a_failing_rule_is_an_error(resource, master):
    """Another status than 403 of a rule is status 500."""
    master.www.assertUserAllowed = lambda *_: defer.fail(Error(500, b"broken"))
    assert get(resource, "points", series="size").responseCode == 500
