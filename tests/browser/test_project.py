"""A project whose commits are measured: its worst regression and the commit of it, limits, and the marks of charts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from bbmeasure.testing.site import Site
from tests.browser import commits
from tests.browser.config import config, get_json
from tests.browser.elements import RECORD_DRAWINGS, RECORD_TEXTS, counted, drawings, violations

LIMIT_COLOUR = "#b3210f"


@pytest.fixture(scope="module")
def project(built, tmp_path_factory):
    """A master that has measured 24 commits on 4 builders."""
    with Site(tmp_path_factory.mktemp("project"), config(more=commits.CONFIG), workers=()) as running:
        commits.push_all(running)
        running.wait_for(lambda: len(get_json(running, "alerts", state="open")["alerts"]) >= 6, "the alerts", 120)
        yield running


def test_a_newcomer_finds_the_worst_regression_and_accepts_it(open_at, project):
    """From Buildbot's first page, by what the page shows: the worst alert, its commit, its chart, its decision."""
    page = open_at(project, extra_http_headers={"X-User": "ann"}).go("/")
    page.get_by_role("link", name="Measurements").click()
    attention = page.locator("section", has=page.get_by_role("heading", name="Needs attention"))
    card = attention.locator(".bbm-card").first
    expect(card.get_by_role("heading")).to_have_text(commits.WORST)
    expect(card).to_contain_text(re.compile(r"\+4[0-9] %"))
    expect(card).to_contain_text(commits.WORST_BUILDER)
    expect(card.get_by_role("listitem")).to_contain_text(commits.SUBJECTS[commits.WORST_COMMIT])
    card.get_by_role("link", name=commits.WORST).click()
    page.get_by_role("button", name=re.compile(r"^Change of \+4[0-9] %")).click()
    details = page.get_by_role("region", name="Change")
    expect(details.get_by_role("listitem")).to_contain_text(commits.SUBJECTS[commits.WORST_COMMIT])
    expect(details.get_by_role("link", name="view")).to_have_attribute("href", re.compile(r"/commit/[0-9a-f]{40}$"))
    details.get_by_label("Why").fill("headers are checked now")
    details.get_by_role("button", name="Accept").click()
    expect(details).to_contain_text("accepted by ann: headers are checked now")
    page.get_by_role("link", name="All measurements").click()
    expect(attention.locator(".bbm-card").first.get_by_role("heading")).not_to_have_text(commits.WORST)
    (alert,) = get_json(project, "alerts", series=commits.WORST)["alerts"]
    assert (alert["state"], alert["by"], alert["why"]) == ("accepted", "ann", "headers are checked now")


def test_commits_between_builds(project):
    """The commits that a build has and an earlier one lacks, newest first; Buildbot's list may begin earlier."""
    builds = project.get(f"builders/{commits.WORST_BUILDER}/builds")["builds"]
    ids = {build["number"]: build["buildid"] for build in builds}
    for number, after in ((15, 14), (15, 12), (24, 1), (15, None)):
        found = get_json(project, "commits", buildid=ids[number], **({"after": ids[after]} if after else {}))["commits"]
        expected = commits.SUBJECTS[number - 1 if after is None else after : number]
        assert [commit["subject"] for commit in found] == list(reversed(expected))


def test_one_commit_that_made_all_builders_worse_is_one_card(open_at, project):
    """The card names the builders with their levels and fits 320 pixels; its form accepts the alert of each."""
    visit = open_at(project, extra_http_headers={"X-User": "ann"}, viewport={"width": 320, "height": 900})
    page = visit.go("/measurements")
    card = page.locator(".bbm-card", has=page.get_by_role("heading", name=commits.SHARED))
    expect(card).to_have_count(1)
    lines = card.locator(".bbm-alert-lines li").get_by_role("link")
    expect(lines).to_have_count(4)
    assert sorted(lines.all_text_contents()) == sorted(commits.BUILDERS)
    expect(card.locator(".bbm-commits li")).to_contain_text(commits.SUBJECTS[commits.SHARED_COMMIT])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []
    card.get_by_label("Why").focus()
    page.keyboard.type("the fonts are needed")
    page.keyboard.press("Tab")
    expect(card.get_by_role("button", name="Accept all 4")).to_be_focused()
    page.keyboard.press("Enter")
    expect(card).to_have_count(0)
    found = get_json(project, "alerts", series=commits.SHARED)["alerts"]
    assert sorted(alert["builder"] for alert in found) == sorted(commits.BUILDERS)
    assert {(alert["state"], alert["by"], alert["why"]) for alert in found} == {
        ("accepted", "ann", "the fonts are needed")
    }
    page = visit.go(f"/measurements/{commits.SHARED}")
    table = page.get_by_role("region", name="Table of alerts")
    expect(table.locator("tbody tr")).to_have_count(4)
    assert table.evaluate("element => element.scrollWidth <= element.clientWidth")
    assert violations(page) == []


def test_a_limit_that_nothing_passes_is_drawn(open_at, project):
    """The limit of the gate is on the chart with its value, although no alert has passed it."""
    assert get_json(project, "alerts", series=commits.LIMITED)["alerts"] == []
    visit = open_at(project)
    visit.page.add_init_script(RECORD_DRAWINGS + RECORD_TEXTS)
    page = visit.go(f"/measurements/{commits.LIMITED}")
    drawings(page, "stroke", LIMIT_COLOUR, [8, 4])
    page.wait_for_function("drawnTexts.includes('limit 44.8 MiB')")
    page = visit.go("/measurements/perf.render")
    assert counted(page) > 0
    assert not page.evaluate(f"drawings.some(each => each.colour === '{LIMIT_COLOUR}')")


def test_levels_and_the_marked_build_are_drawn(open_at, project):
    """A line has the bands of its levels; a link from a build puts a ring around its value."""
    buildid = project.get(f"builders/{commits.WORST_BUILDER}/builds/20")["builds"][0]["buildid"]
    visit = open_at(project)
    visit.page.add_init_script(RECORD_DRAWINGS)
    route = f"/measurements/{commits.WORST}?builder={commits.WORST_BUILDER}&branch=main"
    page = visit.go(f"{route}&build={buildid}")
    drawings(page, "fillRect", "rgba\\(31, 111, 180")
    drawings(page, "arc", "#1f6fb4")
    page = visit.go(f"{route}&band=0")
    assert counted(page) == len(commits.SUBJECTS)
    drawings(page, "stroke", "#e4e7ec")
    assert not page.evaluate("drawings.some(each => each.call === 'arc' || each.colour.startsWith('rgba(31, 111'))")
