"""The JSON API without a master: rules of builders."""

from __future__ import annotations

from twisted.internet import defer
from twisted.web.error import Error

from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Kind
from tests.unit.master.www.fakes import get


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


def test_a_builder_that_may_not_be_seen_is_not_in_conflict(resource, store, master):
    """A user who sees one of two builders gets that builder's unit."""
    for builder, unit in (("a", "bytes"), ("b", "s")):
        store.declare(SeriesInfo("wheel", Kind.NUMBER, unit, builders=(builder,)))
        store.write([Point("wheel", 1, 1.0, {}, BuildContext(builder, "w", 1, 1, branch="main"))])
    master.www.deny(2)
    assert get(resource, "points", series="wheel").json["unit"] == "bytes"


def test_a_failing_rule_is_an_error(resource, master):
    """Another status than 403 of a rule is status 500."""
    master.www.deny()
    master.www.assertUserAllowed = lambda *_: defer.fail(Error(500, b"broken"))
    assert get(resource, "points", series="size").responseCode == 500
