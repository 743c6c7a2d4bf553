"""Alerts on the first screen and on the page of a series, and deciding on them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from bbmeasure.testing.site import Site
from tests.browser.config import LINUX, config, get_json, measure, size
from tests.browser.elements import CHART

_AUTH = """
c["www"]["auth"] = util.RemoteUserAuth(header="X-User", headerRegex="(?P<username>[a-z]+)")
"""
#: Builds with the same value, after which another value is confirmed at once.
SAME = 12


@pytest.fixture(scope="module")
def judged(built, tmp_path_factory):
    """A master on which two sizes grew and one shrank, each after many builds of the same size."""
    with Site(tmp_path_factory.mktemp("judged"), config(builders=(LINUX,), more=_AUTH), workers=()) as running:
        names = ("wheel_size", "debug_size", "docs_size")
        for number in range(SAME + 1):
            after = {"wheel_size": 1500, "debug_size": 1100, "docs_size": 500} if number == SAME else {}
            records = [{**size(after.get(name, 1000)), "name": name} for name in names]
            running.wait_for_build(measure(running, LINUX, *records))
        running.wait_for(lambda: len(get_json(running, "alerts")["alerts"]) == 3, "the alerts", 60)
        yield running


def _card(page, series):
    return page.locator(".bbm-card", has=page.get_by_role("heading", name=series))


def test_the_worst_regression_is_found_and_accepted(open_at, judged):
    """The first screen has the worst alert first; a signed-in user accepts it by keyboard, and it is a note then."""
    page = open_at(judged, extra_http_headers={"X-User": "ann"}).go("/measurements")
    headings = page.locator("section", has=page.get_by_role("heading", name="Needs attention")).get_by_role(
        "heading", level=3
    )
    expect(headings).to_have_text(["wheel_size", "debug_size"])
    card = _card(page, "wheel_size")
    expect(card).to_contain_text("+50 %")
    expect(card).to_contain_text(f"build #{SAME + 1}")
    expect(card.get_by_role("img")).to_be_visible()
    expect(card.get_by_role("button", name="Accept")).to_be_disabled()
    card.get_by_label("Why").focus()
    page.keyboard.type("the new runtime")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(headings).to_have_text(["debug_size"])
    (alert,) = get_json(judged, "alerts", series="wheel_size")["alerts"]
    assert (alert["state"], alert["by"], alert["why"]) == ("accepted", "ann", "the new runtime")
    page = open_at(judged).go("/measurements/wheel_size")
    expect(page.locator(".bbm-alerts tbody tr")).to_contain_text("accepted by ann: the new runtime")


def test_an_improvement_is_shown_apart(open_at, judged):
    """An improvement needs no attention, and is shown as one."""
    page = open_at(judged).go("/measurements")
    section = page.locator("section", has=page.get_by_role("heading", name="Improved lately"))
    expect(section.get_by_role("heading", level=3)).to_have_text("docs_size")
    expect(section).to_contain_text("-50 %")


def test_who_is_not_signed_in_may_not_decide(open_at, judged):
    """Without a user there are no buttons."""
    page = open_at(judged).go("/measurements/debug_size")
    expect(page.get_by_text("Sign in to accept or ignore it.")).to_be_visible()
    expect(page.get_by_role("button", name="Accept")).to_have_count(0)


def test_a_refused_decision_is_said(open_at, judged):
    """The message of the API is shown, and the alert stays open."""
    visit = open_at(judged, extra_http_headers={"X-User": "bob"})
    visit.page.route(
        "**/api/v1/alerts/*", lambda route: route.fulfill(status=403, json={"message": "you may not decide"})
    )
    page = visit.go("/measurements")
    card = _card(page, "debug_size")
    card.get_by_label("Why").fill("because")
    card.get_by_role("button", name="Ignore").click()
    expect(card.get_by_role("alert")).to_have_text("you may not decide")


def test_the_list_has_verdicts(open_at, judged):
    """A row has what is usual and the verdict of its newest value."""
    page = open_at(judged).go("/measurements?q=debug_size")
    row = page.locator(".bbm-list tbody tr").first
    expect(row.locator(".bbm-verdict")).to_have_text("worse")
    expect(row.locator(".bbm-usual")).to_contain_text(re.compile("usual [0-9\u202f]+ bytes to "))
    page.goto(f"{page.url.split('#')[0]}#/measurements/debug_size")
    expect(page.locator(CHART)).to_be_visible()
    expect(page).to_have_title(re.compile("debug_size"))
