"""Branches, proposals, and one name with two units, on the list and on the page of a series."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.config import LINUX, WINDOWS, measure
from tests.browser.elements import PANEL, labels, row_of, statistics

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


def test_the_lines_of_a_series(visit, branched):
    """There is a line for each branch; proposals are shown on demand, and the address keeps the choice."""
    page = visit.go(f"/measurements/{SERIES}")
    assert labels(page, 2) == {"main", "next"}
    page.get_by_label("Proposals", exact=True).check()
    assert labels(page, 3) == {
        "main",
        "next",
        "proposals to unknown branch",
    }
    assert "proposals=1" in page.url
    page.get_by_label("Proposals", exact=True).uncheck()
    page.get_by_label("Branch", exact=True).select_option("main")
    assert labels(page, 1) == {LINUX}
    assert "branch=main" in page.url
    assert statistics(page)[LINUX]["Average"] == "101 bytes"


def test_the_list_of_one_branch(visit, branched):
    """The row of a series has the last value and the change of the branch, and its link keeps the branch."""
    page = visit.go(f"/measurements?q={SERIES}")
    page.get_by_label("Branch", exact=True).select_option("main")
    row = row_of(page, SERIES)
    expect(row.locator(".bbm-cell-value")).to_contain_text("102 bytes")
    expect(row.locator(".bbm-cell-change")).to_contain_text("+2.0 %")
    row.get_by_role("link", name=SERIES).click()
    assert labels(page, 1) == {LINUX}
    assert "branch=main" in page.url


def test_two_units_of_one_name(visit, branched):
    """The list has a row for each unit, and each row leads to the page of its unit."""
    page = visit.go(f"/measurements?q={TWO}")
    rows = row_of(page, TWO)
    expect(rows).to_have_count(2)
    for text, builder in (("7 bytes", LINUX), ("7 s", WINDOWS)):
        page = visit.go(f"/measurements?q={TWO}")
        row = rows.filter(has_text=text)
        expect(row).to_contain_text(builder)
        row.get_by_role("link", name=TWO).click()
        assert labels(page, 1) == {builder}


def test_the_panel_of_a_request(visit, branched):
    """The panel names the request; of an unknown target there is nothing to compare with."""
    build = branched["refs/pull/7/merge"]
    page = visit.go(f"/builders/{build['builderid']}/builds/{build['number']}")
    expect(page.locator(".bbm-compared")).to_contain_text("refs/pull/7, of an unknown target")
    page.get_by_role("button", name="Show all").click()
    expect(row_of(page, SERIES, PANEL)).to_contain_text("no baseline")
