"""The panel on Buildbot's own pages of a build and of a builder."""

from __future__ import annotations

import re
from functools import partial

import pytest
from playwright.sync_api import expect

from bbmeasure.testing.site import Site
from tests.browser.config import LINUX, WINDOWS, config, get_json, measure, size
from tests.browser.elements import CHART, PANEL, row_of


@pytest.fixture(scope="module")
def measured(site):
    """The second of two builds, with a smaller size, a lower coverage and an unchanged value."""
    before = [size(2_000_000), _ratio(0.80), {"name": "same", "value": 5, "better": "lower"}]
    after = [
        size(1_900_000),
        _ratio(0.76),
        {"name": "same", "value": 5, "better": "lower"},
        {"name": "new", "value": 1},
    ]
    requests = [measure(site, WINDOWS, *before), measure(site, WINDOWS, *after)]
    return [site.wait_for_build(request) for request in requests][-1]


def _ratio(value):
    return {"name": "coverage", "value": value, "unit": "ratio", "better": "higher"}


def _fulfill(answer, route):
    route.fulfill(**answer)


def _route(build):
    return f"/builders/{build['builderid']}/builds/{build['number']}"


def _row(page, series):
    return row_of(page, series, PANEL)


def test_changes_are_assessed_by_direction(visit, site, measured):
    """A smaller size is better, a lower coverage worse; a new series has no change."""
    page = visit.go(_route(measured))
    expect(_row(page, "build_size")).to_contain_text("1.81 MiB")
    expect(_row(page, "build_size")).to_contain_text("1.91 MiB")
    assessments = {"build_size": ("better", "-5.0 %"), "coverage": ("worse", "-5.0 %"), "same": ("same", "+0 %")}
    for series, (assessment, text) in assessments.items():
        change = _row(page, series).locator(".bbm-change")
        expect(change).to_have_class(re.compile(f"bbm-{assessment}"))
        expect(change).to_contain_text(text)
    expect(_row(page, "new").locator(".bbm-change")).to_have_attribute("aria-label", "nothing to compare with")
    expect(page.locator(PANEL)).to_contain_text("1 worse, 1 better")
    first = page.locator(PANEL).locator("tbody tr").first
    expect(first.locator("th bdi").first).to_have_text("coverage")
    change = next(
        r for r in get_json(site, "records", buildid=measured["buildid"])["records"] if r["series"] == "coverage"
    )
    assert change["change"] == pytest.approx(-0.05)


def test_buildbots_own_page_is_complete(visit, measured):
    """Steps, tabs and links to other builds are shown below the panel."""
    page = visit.go(_route(measured))
    expect(page.locator(PANEL)).to_be_visible()
    expect(page.get_by_role("tab", name="Build steps")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="capture").first).to_be_visible()
    page.get_by_text("Previous").click()
    page.wait_for_url(re.compile(rf"/builds/{measured['number'] - 1}$"))
    expect(_row(page, "build_size")).to_contain_text("1.91 MiB")


def test_sparkline_and_link(visit, measured):
    """The sparkline marks this build, and the name links to the chart of this builder and branch."""
    page = visit.go(_route(measured))
    expect(_row(page, "build_size").locator(".bbm-spark-mark")).to_have_count(1)
    _row(page, "build_size").get_by_role("link").click()
    page.wait_for_url(re.compile(rf"#/measurements/build_size\?builder={WINDOWS}&branch=main$"))
    expect(page.locator(CHART)).to_be_visible()


def test_builder_page_shows_its_last_build(visit, site, measured):
    """The page of a builder has a panel of its last build, which a newer build replaces without a reload."""
    page = visit.go(f"/builders/{measured['builderid']}")
    expect(page.get_by_role("heading", name=f"Measurements of build {measured['number']}")).to_be_visible()
    newer = site.wait_for_build(measure(site, WINDOWS, size(1_800_000)))
    expect(page.get_by_role("heading", name=f"Measurements of build {newer['number']}")).to_be_visible()
    expect(_row(page, "build_size").locator(".bbm-change")).to_have_class(re.compile("bbm-better"))


def test_running_build_gets_a_panel(visit, site, measured):
    """The page of a running build gets its panel without a reload."""
    request = measure(site, LINUX, size(1_234_567))
    build = site.wait_for(lambda: site.build_of(request), "the build to begin", 300)
    page = visit.go(_route(build))
    expect(_row(page, "build_size")).to_contain_text("1.18 MiB")


def test_build_without_records_has_no_panel(visit, site):
    """A build without measurements has no panel."""
    build = site.wait_for_build(measure(site, LINUX))
    page = visit.go(_route(build))
    expect(page.get_by_role("tab", name="Build steps")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert page.locator(PANEL).count() == 0


def test_invalid_answers_do_not_break_buildbots_page(visit, measured):
    """After an invalid answer of the API, Buildbot's own page is shown without a panel."""
    for answer in ({"status": 500, "body": "oops"}, {"json": {"records": [{"series": None}]}}, {"json": []}):
        visit.page.route("**/api/v1/records*", partial(_fulfill, answer))
        page = visit.go(_route(measured))
        expect(page.get_by_role("tab", name="Build steps")).to_be_visible()
        expect(page.get_by_role("listitem").filter(has_text="capture").first).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert page.locator(PANEL).count() == 0


def test_without_the_plugin(open_at, built, tmp_path):
    """A master without the plugin has neither a menu entry nor a panel."""
    with Site(tmp_path, config(plugins="{}"), workers=()) as plain:
        build = plain.wait_for_build(measure(plain, LINUX, size(1)))
        page = open_at(plain).go(_route(build))
        expect(page.get_by_role("tab", name="Build steps")).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert page.locator(PANEL).count() == 0
        assert page.get_by_role("link", name="Measurements").count() == 0
