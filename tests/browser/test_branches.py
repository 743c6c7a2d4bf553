"""Branches, proposals, and one name with two units, on the list and on the page of a series."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.config import LINUX, WINDOWS, measure

SERIES = "branched_size"
TWO = "two_units"


@pytest.fixture(scope="module")
def branched(site):
    """The last build of main, of next and of a request; a second series has two units, of a builder each."""
    requests, builds = [], {}
    for branch, *values in (("main", 100, 101), ("next", 500), ("refs/pull/7/merge", 900), ("main", 102)):
        for value in values:
            record = {"name": SERIES, "value": value, "unit": "bytes"}
            builds[branch] = site.wait_for_build(measure(site, LINUX, record, branch=branch))
    for builder, unit in ((LINUX, "bytes"), (WINDOWS, "s")):
        requests.append(measure(site, builder, {"name": TWO, "value": 7, "unit": unit}))
    for request in requests:
        site.wait_for_build(request)
    return builds


def _lines(page):
    return page.locator(".bbm-legend-line")


def _labels(page, count):
    expect(_lines(page)).to_have_count(count)
    return {line.get_attribute("data-line") for line in _lines(page).all()}


def test_the_lines_of_a_series(visit, branched):
    """There is a line for each branch; proposals are shown on demand, and the address keeps the choice."""
    page = visit.go(f"/measurements/{SERIES}")
    assert _labels(page, 2) == {f"{LINUX} \u00b7 main", f"{LINUX} \u00b7 next"}
    page.get_by_label("Proposals", exact=True).check()
    assert _labels(page, 3) == {
        f"{LINUX} \u00b7 main",
        f"{LINUX} \u00b7 next",
        f"{LINUX} \u00b7 proposals to unknown branch",
    }
    assert "proposals=1" in page.url
    page.get_by_label("Proposals", exact=True).uncheck()
    page.get_by_label("Branch", exact=True).select_option("main")
    assert _labels(page, 1) == {LINUX}
    assert "branch=main" in page.url
    average = page.get_by_test_id("statistics").locator("[data-statistic=average]")
    expect(average).to_have_attribute("data-value", "101")


def test_the_list_of_one_branch(visit, branched):
    """The row of a series has the last value and the change of the branch, and its link keeps the branch."""
    page = visit.go(f"/measurements?q={SERIES}")
    page.get_by_label("Branch", exact=True).select_option("main")
    row = page.locator(f"tr[data-series='{SERIES}']")
    expect(row.locator(".bbm-cell-value")).to_contain_text("102 bytes")
    expect(row.locator(".bbm-cell-change")).to_contain_text("+1.0 %")
    row.get_by_role("link").click()
    assert _labels(page, 1) == {LINUX}
    assert "branch=main" in page.url


def test_two_units_of_one_name(visit, branched):
    """The list has a row for each unit, and each row leads to the page of its unit."""
    page = visit.go(f"/measurements?q={TWO}")
    rows = page.locator(f"tr[data-series='{TWO}']")
    expect(rows).to_have_count(2)
    for text, builder in (("7 bytes", LINUX), ("7 s", WINDOWS)):
        page = visit.go(f"/measurements?q={TWO}")
        row = rows.filter(has_text=text)
        expect(row).to_contain_text(builder)
        row.get_by_role("link").click()
        assert _labels(page, 1) == {builder}


def test_the_panel_of_a_request(visit, branched):
    """The panel names the request; of an unknown target there is nothing to compare with."""
    build = branched["refs/pull/7/merge"]
    page = visit.go(f"/builders/{build['builderid']}/builds/{build['number']}")
    expect(page.get_by_test_id("proposal")).to_contain_text("refs/pull/7, of an unknown target")
    row = page.get_by_test_id("panel").locator(f"tr[data-series='{SERIES}']")
    expect(row.locator(".bbm-change")).to_have_attribute("aria-label", "nothing to compare with")
