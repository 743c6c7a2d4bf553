"""The list of all series."""

from __future__ import annotations

import re
import statistics

from playwright.sync_api import expect

from bbmeasure import units
from tests.browser.config import HOSTILE, LINUX, WINDOWS, get_json, measure
from tests.browser.elements import CHART, FOUND, names, row_of, rows


def test_opens_from_the_sidebar(visit):
    """The menu entry Measurements opens a list of every series of the API."""
    page = visit.go("/")
    page.get_by_role("link", name="Measurements").click()
    expect(page.get_by_role("heading", name="Measurements", exact=True)).to_be_visible()
    assert page.url.endswith("#/measurements")
    listed = [series["name"] for series in get_json(site_of(visit), "series")["series"]]
    expect(rows(page)).to_have_count(len(listed))
    assert sorted(names(page)) == sorted(listed)


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
    expect(rows(page)).to_have_count(1)
    expect(page.locator(FOUND)).to_contain_text("1 of ")
    assert page.url.endswith("#/measurements?q=size&builder=windows&kind=size&unit=bytes")
    page.reload()
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_label("Search")).to_have_value("size")
    page.get_by_role("link", name="build_size").first.click()
    expect(page.get_by_role("heading", name="build_size")).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(FOUND)).not_to_contain_text(" of ")


def test_search_without_result(visit):
    """A search without result shows a message."""
    page = visit.go("/measurements?q=nothing+is+called+so")
    expect(page.get_by_text("No series fits")).to_be_visible()


def test_row(visit):
    """A row has the newest value of the line that it names, the change over its last builds, and a sparkline."""
    page = visit.go(f"/measurements?q=coverage&builder={LINUX}")
    points = get_json(site_of(visit), "points", series="coverage", builder=LINUX)["points"]
    row = row_of(page, "coverage")
    expect(row.locator(".bbm-cell-value")).to_contain_text("77.1 %")
    first, last = (statistics.median(point["value"] for point in part) for part in (points[:5], points[-5:]))
    expect(row.locator(".bbm-change")).to_contain_text(units.format_change((last - first) / first))
    assert len(re.findall("[ML]", row.locator(".bbm-spark path").get_attribute("d"))) == len(points)
    expect(row.locator(".bbm-cell-builders")).to_have_text(LINUX)


def test_one_request_for_all_rows(visit):
    """The values of all rows come in one request, compressed."""
    urls = []
    visit.page.on("request", lambda request: urls.append(request.url))
    page = visit.go("/measurements")
    expect(page.locator(".bbm-spark path").first).to_be_visible()
    page.mouse.wheel(0, 5000)
    page.wait_for_load_state("networkidle")
    api = [url.split("/api/v1/")[1].split("?")[0] for url in urls if "/api/v1/" in url]
    assert (api.count("series"), api.count("overview"), api.count("points")) == (1, 1, 0)


def test_the_value_is_of_the_named_line(visit):
    """The link of the line leads to it alone, with its tags."""
    page = visit.go("/measurements?q=lines_by_language")
    row = row_of(page, "lines_by_language")
    value = row.locator(".bbm-cell-value bdi").text_content()
    row.locator(".bbm-cell-builders a").click()
    page.wait_for_url(re.compile("builder=.*tag.language="))
    expect(page.locator(".bbm-statistics tbody tr")).to_have_count(1)
    expect(page.locator(".bbm-statistics tbody td").first).to_have_text(value)


def test_row_of_a_selected_builder(visit):
    """With a builder selected, count and time are of that builder, and sorting works too."""
    page = visit.go(f"/measurements?q=lines_by_language&builder={LINUX}&sort=last")
    points = get_json(site_of(visit), "points", series="lines_by_language", builder=LINUX)["points"]
    expect(rows(page).first.locator(".bbm-cell-count")).to_have_text(str(len(points)))
    expect(page.get_by_role("columnheader", name="Measured")).to_have_attribute("aria-sort", "descending")


def test_failed_values_are_said(visit):
    """If the values cannot be loaded, the list says so, and tries again on demand."""
    visit.page.route("**/api/v1/overview*", lambda route: route.fulfill(status=500, json={"message": "no values"}))
    page = visit.go("/measurements")
    expect(page.get_by_role("alert")).to_contain_text("no values")
    expect(rows(page).first).to_be_visible()
    page.unroute("**/api/v1/overview*")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".bbm-spark path").first).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_pinned_charts(visit):
    """A chart is pinned on its page, shown on the first screen, and unpinned there."""
    page = visit.go(f"/measurements/build_size?builder={LINUX}")
    page.get_by_role("button", name="Pin", exact=True).click()
    page.get_by_role("link", name="All measurements").click()
    cards = page.locator(".bbm-card")
    expect(cards).to_have_count(1)
    expect(cards.locator("svg path")).to_have_count(1)
    page.reload()
    expect(cards.get_by_role("link", name="build_size")).to_have_attribute("href", re.compile(f"builder={LINUX}"))
    page.get_by_role("button", name="Unpin").click()
    expect(cards).to_have_count(0)


def test_builders_by_series(visit):
    """The table of builders has each builder's change from its own level, as a link."""
    page = visit.go("/measurements?q=coverage")
    page.get_by_role("button", name="Builders \u00d7 series").click()
    table = page.locator(".bbm-matrix")
    expect(table.locator("tbody tr")).to_have_count(2)
    table.get_by_role("row", name=LINUX).get_by_role("link").click()
    page.wait_for_url(re.compile(f"/coverage\\?builder={LINUX}"))


def test_long_names_do_not_widen_the_filters(visit):
    """A filter with a long option is as wide as its field."""
    series = {"name": "x", "kind": "size", "unit": "bytes", "better": None, "builders": ["b" * 70], "count": 1}
    answer = {"series": [{**series, "first": 1, "last": 1, "last_value": 1}]}
    visit.page.route("**/api/v1/series", lambda route: route.fulfill(json=answer))
    visit.page.route("**/api/v1/overview?*", lambda _: None)  # its branches would add a field between the two
    page = visit.go("/measurements")
    fields = page.get_by_label("Builder"), page.get_by_label("Kind")
    expect(fields[0].locator(f"option[value={'b' * 70}]")).to_have_count(1)
    both = "(builder, kind) => [builder, kind].map(field => field.getBoundingClientRect().toJSON())"
    builder, kind = fields[0].evaluate(both, fields[1].element_handle())  # at one time: the layout may still change
    assert kind["y"] == builder["y"]
    assert kind["x"] - (builder["x"] + builder["width"]) < 20


def test_sorts_by_a_column(visit):
    """A click on Measured sorts the newest series first and sets aria-sort."""
    page = visit.go("/measurements")
    page.get_by_role("button", name="Measured").click()
    heading = page.get_by_role("columnheader", name="Measured")
    expect(heading).to_have_attribute("aria-sort", "descending")
    newest = max(get_json(site_of(visit), "series")["series"], key=lambda series: series["last"])
    expect(rows(page).first.locator("th bdi")).to_have_text(newest["name"])


def test_hostile_names_stay_text(visit):
    """Markup, quotes, direction marks and 500 characters in names are displayed as text."""
    page = visit.go("/measurements")
    for name in HOSTILE.values():
        link = page.get_by_role("link").filter(has=page.locator("bdi", has_text=name)).first
        expect(link.locator("bdi")).to_have_text(name)
        link.click()
        expect(page.get_by_role("heading", level=1).locator("bdi")).to_have_text(name)
        expect(page.locator(CHART)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.go_back()
        expect(rows(page).first).to_be_visible()
    assert page.evaluate("window.pwned") is None
    assert page.locator("main b, main i, main script, main img").count() == 0


def test_new_series_appears_without_reload(visit, site):
    """A series that is measured for the first time appears in an open list."""
    page = visit.go("/measurements?q=fresh_series")
    expect(page.get_by_text("No series fits")).to_be_visible()
    page.evaluate("window.stayed = true")
    measure(site, LINUX, {"name": "fresh_series", "value": 1})
    expect(rows(page)).to_have_count(1)
    assert page.evaluate("window.stayed") is True
