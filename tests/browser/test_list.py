"""The list of all series."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.config import HOSTILE, LINUX, WINDOWS, get_json, measure


def _rows(page):
    return page.locator(".bbm-list tbody tr")


def test_opens_from_the_sidebar(visit):
    """The menu entry Measurements opens a list of every series of the API."""
    page = visit.go("/")
    page.get_by_role("link", name="Measurements").click()
    expect(page.get_by_role("heading", name="Measurements")).to_be_visible()
    assert page.url.endswith("#/measurements")
    names = [series["name"] for series in get_json(site_of(visit), "series")["series"]]
    expect(_rows(page)).to_have_count(len(names))
    assert sorted(row.get_attribute("data-series") for row in _rows(page).all()) == sorted(names)


def site_of(visit):
    """An object with the ``url`` that ``get_json`` needs."""
    return type("Address", (), {"url": visit.url})


def test_search_and_filters_are_in_the_url(visit):
    """Search and filters are in the URL and survive a reload."""
    page = visit.go("/measurements")
    page.get_by_label("Search").fill("size")
    page.get_by_label("Builder").select_option(WINDOWS)
    page.get_by_label("Kind").select_option("size")
    page.get_by_label("Unit").select_option("bytes")
    expect(_rows(page)).to_have_count(1)
    expect(page.get_by_test_id("found")).to_contain_text("1 of ")
    assert page.url.endswith("#/measurements?q=size&builder=windows&kind=size&unit=bytes")
    page.reload()
    expect(_rows(page)).to_have_count(1)
    expect(page.get_by_label("Search")).to_have_value("size")
    page.get_by_role("link", name="build_size").click()
    expect(page.get_by_role("heading", name="build_size")).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_test_id("found")).not_to_contain_text(" of ")


def test_search_without_result(visit):
    """A search without result shows a message."""
    page = visit.go("/measurements?q=nothing+is+called+so")
    expect(page.get_by_text("No series fits")).to_be_visible()


def test_row(visit):
    """A row has the last value, its change from the previous build of the builder, and a sparkline."""
    page = visit.go(f"/measurements?q=coverage&builder={LINUX}")
    points = get_json(site_of(visit), "points", series="coverage", builder=LINUX)["points"]
    assert [point["value"] for point in points[-2:]] == [0.79, 0.771]
    row = _rows(page).first
    expect(row.locator(".bbm-cell-value")).to_have_text("77.1 %")
    change = row.locator(".bbm-change")
    expect(change).to_have_attribute("data-assessment", "worse")
    expect(change).to_contain_text("-2.4 %")
    assert len(re.findall("[ML]", row.locator(".bbm-spark path").get_attribute("d"))) == len(points)


def test_row_of_a_selected_builder(visit):
    """With a builder selected, count and time are of that builder, and the list is sorted by name only."""
    page = visit.go(f"/measurements?q=lines_by_language&builder={LINUX}&sort=last")
    site = site_of(visit)
    series = next(series for series in get_json(site, "series")["series"] if series["name"] == "lines_by_language")
    points = get_json(site, "points", series="lines_by_language", builder=LINUX)["points"]
    assert 0 < len(points) < 60 < series["count"]
    expect(_rows(page).first.locator(".bbm-cell-count")).to_have_text(str(len(points)))
    expect(page.get_by_role("button", name="Measured")).to_have_count(0)
    expect(page.get_by_role("columnheader", name="Series")).to_have_attribute("aria-sort", "ascending")
    page = visit.go(f"/measurements?q=bulk&builder={LINUX}")
    expect(_rows(page).first.locator(".bbm-cell-count")).to_have_text("≥ 60")


def test_long_names_do_not_widen_the_filters(visit):
    """A filter with a long option is as wide as its field."""
    series = {"name": "x", "kind": "size", "unit": "bytes", "better": None, "builders": ["b" * 70], "count": 1}
    answer = {"series": [{**series, "first": 1, "last": 1, "last_value": 1}]}
    visit.page.route("**/api/v1/series", lambda route: route.fulfill(json=answer))
    page = visit.go("/measurements")
    builder, kind = (page.get_by_label(name).bounding_box() for name in ("Builder", "Kind"))
    assert kind["y"] == builder["y"]
    assert kind["x"] - (builder["x"] + builder["width"]) < 20


def test_sorts_by_a_column(visit):
    """A click on Measured sorts the newest series first and sets aria-sort."""
    page = visit.go("/measurements")
    page.get_by_role("button", name="Measured").click()
    heading = page.get_by_role("columnheader", name="Measured")
    expect(heading).to_have_attribute("aria-sort", "descending")
    newest = max(get_json(site_of(visit), "series")["series"], key=lambda series: series["last"])
    expect(_rows(page).first).to_have_attribute("data-series", newest["name"])


def test_hostile_names_stay_text(visit):
    """Markup, quotes, direction marks and 500 characters in names are displayed as text."""
    page = visit.go("/measurements")
    for name in HOSTILE.values():
        link = page.get_by_role("link").filter(has=page.locator("bdi", has_text=name)).first
        expect(link.locator("bdi")).to_have_text(name)
        link.click()
        expect(page.get_by_role("heading", level=1).locator("bdi")).to_have_text(name)
        expect(page.get_by_test_id("chart").locator("canvas")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.go_back()
        expect(_rows(page).first).to_be_visible()
    assert page.evaluate("window.pwned") is None
    assert page.locator("main b, main i, main script, main img").count() == 0


def test_new_series_appears_without_reload(visit, site):
    """A series that is measured for the first time appears in an open list."""
    page = visit.go("/measurements?q=fresh_series")
    expect(page.get_by_text("No series fits")).to_be_visible()
    page.evaluate("window.stayed = true")
    measure(site, LINUX, {"name": "fresh_series", "value": 1})
    expect(_rows(page)).to_have_count(1)
    assert page.evaluate("window.stayed") is True
