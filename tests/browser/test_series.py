"""The page of one series."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import expect

from tests.browser.config import BUILDS, LINUX, WINDOWS, get_json, measure, size

PLOTTED = "document.querySelector('[data-testid=chart]').plotted"


def _plotted(page):
    """The (time, value) pairs of each line of the chart."""
    expect(page.get_by_test_id("chart").locator("canvas")).to_be_visible()
    times, *lines = page.evaluate(f"{PLOTTED}.map(column => Array.from(column))")
    return [[(moment, value) for moment, value in zip(times, line, strict=True) if value is not None] for line in lines]


def _labels(page):
    return [line.get_attribute("data-line") for line in page.locator(".bbm-legend-line").all()]


def _points(site, **where):
    return [(point["time"], point["value"]) for point in get_json(site, "points", limit=10_000, **where)["points"]]


def test_chart_has_the_points_of_the_api(visit, site):
    """Every point of every builder is drawn at its time and value."""
    page = visit.go("/measurements/build_size")
    lines = _plotted(page)
    drawn = dict(zip(_labels(page), lines, strict=True))
    assert set(drawn) == {LINUX, WINDOWS}
    for builder, line in drawn.items():
        assert line == _points(site, series="build_size", builder=builder)


def test_statistics_are_those_of_the_api(visit, site):
    """The table has the statistics of the API, for all points and for a range."""
    for since in (None, "5d"):
        page = visit.go("/measurements/build_size" + (f"?since={since}" if since else ""))
        row = page.get_by_test_id("statistics").locator("tbody tr", has_text=WINDOWS)
        answer = get_json(
            site, "statistics", series="build_size", builder=WINDOWS, since=since or "0",
            statistics="count,average,deviation,minimum,maximum,median,p95",
        )["statistics"]  # fmt: skip
        expect(row.locator("[data-statistic=count]")).to_have_attribute("data-value", str(answer["count"]))
        for name, value in answer.items():
            cell = row.locator(f"[data-statistic={name}]")
            assert float(cell.get_attribute("data-value")) == pytest.approx(value), (since, name)


def test_drag_zooms(visit):
    """A drag selects a range, which is in the URL; a double click resets it."""
    page = visit.go("/measurements/build_size")
    whole = sum(len(line) for line in _plotted(page))
    over = page.locator(".u-over").bounding_box()
    page.mouse.move(over["x"] + over["width"] * 0.25, over["y"] + 40)
    page.mouse.down()
    page.mouse.move(over["x"] + over["width"] * 0.6, over["y"] + 60, steps=4)
    page.mouse.up()
    page.wait_for_url(re.compile(r"since=[0-9.]+&until=[0-9.]+"))
    page.wait_for_function(f"{PLOTTED}[0].length < {whole}")
    narrowed = sum(len(line) for line in _plotted(page))
    assert 0 < narrowed < whole
    page.reload()
    assert sum(len(line) for line in _plotted(page)) == narrowed
    page.locator(".u-over").dblclick()
    page.wait_for_function(f"{PLOTTED}[0].length > {narrowed}")
    assert "since" not in page.url


def test_hover_and_click(visit, site):
    """The tooltip has value, build, worker and time of the point; a click opens its build."""
    page = visit.go(f"/measurements/build_size?builder={WINDOWS}")
    page.get_by_role("group", name="build_size over time").focus()
    page.keyboard.press("End")
    marker = page.locator(".bbm-marker").bounding_box()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("tip")).to_have_count(0)
    page.mouse.move(marker["x"] + 2, marker["y"] + 8)
    tip = page.get_by_test_id("tip")
    last = get_json(site, "points", series="build_size", builder=WINDOWS)["points"][-1]
    expect(tip).to_contain_text(f"#{last['build']}")
    expect(tip).to_contain_text("bot1")
    page.mouse.click(marker["x"] + 6, marker["y"] + 6)
    page.wait_for_url(re.compile(rf"#/builders/\d+/builds/{last['build']}$"))
    expect(page.get_by_test_id("panel")).to_be_visible()
    assert int(page.get_by_test_id("panel").get_attribute("data-buildid")) == last["buildid"]


def test_keyboard(visit, site):
    """Arrow keys move between points and update the live region; Enter opens the build."""
    page = visit.go(f"/measurements/build_size?builder={LINUX}")
    chart = page.get_by_role("group", name="build_size over time")
    chart.focus()
    live_region = chart.locator("[aria-live=polite]")
    page.keyboard.press("Home")
    expect(live_region).to_contain_text("build 1,")
    for number in (2, 3):
        page.keyboard.press("ArrowRight")
        expect(live_region).to_contain_text(f"build {number},")
    page.keyboard.press("+")
    page.wait_for_url(re.compile("since="))
    page.keyboard.press("0")
    page.wait_for_function("!location.hash.includes('since=')")
    chart.focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"#/builders/\d+/builds/1$"))


def test_finished_build_appears_without_reload(visit, site):
    """The point of a build that finishes while its chart is open is drawn without a reload."""
    page = visit.go(f"/measurements/build_size?builder={WINDOWS}")
    before = len(_plotted(page)[0])
    page.evaluate("window.stayed = true")
    site.wait_for_build(measure(site, WINDOWS, size(1_700_123)))
    page.wait_for_function(f"{PLOTTED}[0].length === {before + 1}")
    assert _plotted(page)[0][-1][1] == 1_700_123
    assert page.evaluate("window.stayed") is True


def test_two_builders_are_compared(visit, site):
    """The comparison of two builders has both averages and the difference."""
    page = visit.go("/measurements/build_size")
    page.get_by_label("Compare", exact=True).select_option("two builders")
    page.get_by_label("Builder", exact=True).select_option(WINDOWS)
    page.get_by_label("Compared with").select_option(LINUX)
    assert f"builder={WINDOWS}&vs={LINUX}" in page.url
    table = page.get_by_test_id("comparison")
    averages = [
        get_json(site, "statistics", series="build_size", builder=builder, statistics="average")["statistics"][
            "average"
        ]
        for builder in (WINDOWS, LINUX)
    ]
    change = table.locator("tr", has_text="Average").locator(".bbm-change")
    expect(change).to_contain_text(f"+{(averages[0] - averages[1]) / averages[1] * 100:.0f} %")
    expect(change).to_have_attribute("data-assessment", "worse")


def test_two_ranges_are_compared(visit, site):
    """The comparison of two ranges has the counts of both, and overlays their lines."""
    now = time.time()
    page = visit.go(f"/measurements/coverage?builder={WINDOWS}&since=5d&vs_since=10d&vs_until=5d")
    table = page.get_by_test_id("comparison")
    counts = [
        len(_points(site, series="coverage", builder=WINDOWS, since=now - since * 86400, until=now - until * 86400))
        for since, until in ((5, 0), (10, 5))
    ]
    cells = table.locator("tr", has_text="Points").locator("td")
    expect(cells.nth(0)).to_have_text(str(counts[0]))
    expect(cells.nth(1)).to_have_text(str(counts[1]))
    first, second = _plotted(page)
    assert abs(first[0][0] - second[0][0]) < 2 * 86400


def test_tags(visit):
    """A series with tags has a line for each value, and a filter."""
    page = visit.go(f"/measurements/lines_by_language?builder={LINUX}")
    expect(page.locator(".bbm-legend-line")).to_have_count(4)
    assert [len(line) for line in _plotted(page)] == [BUILDS] * 4
    page.get_by_label("language", exact=True).select_option("Python")
    expect(page.locator(".bbm-legend-line")).to_have_count(1)
    assert "tag.language=Python" in page.url


def test_text_series_is_a_table(visit):
    """A series of texts has a table of its newest values and no chart."""
    page = visit.go(f"/measurements/compiler?builder={LINUX}")
    expect(page.get_by_role("cell", name="gcc 13.1.0").first).to_be_visible()
    expect(page.get_by_test_id("chart")).to_have_count(0)


def test_many_points_are_drawn_as_buckets(visit, site):
    """Many points are drawn as averages of buckets; after zooming in, each point is drawn."""
    page = visit.go("/measurements/bulk")
    expect(page.get_by_text("10,000 points or more")).to_be_visible()
    average, low, high = _plotted(page)
    assert len(average) == len(low) == len(high) <= 400
    assert all(a[1] >= b[1] for a, b in zip(high, average, strict=True))
    begin = get_json(site, "series")["series"]
    first = next(series["first"] for series in begin if series["name"] == "bulk")
    page = visit.go(f"/measurements/bulk?since={first}&until={first + 3600}")
    expect(page.get_by_text("10,000 points or more")).to_have_count(0)
    assert _plotted(page) == [_points(site, series="bulk", since=first, until=first + 3600)]


@pytest.mark.parametrize("narrowed", ["", f"?builder={LINUX}"])
def test_points_that_are_not_drawn_are_not_fetched(visit, narrowed):
    """Of many points only buckets and the newest points for the table are requested."""
    urls = []
    visit.page.on("request", lambda request: urls.append(request.url))
    page = visit.go(f"/measurements/bulk{narrowed}")
    expect(page.get_by_text("The newest 100 points as a table")).to_be_visible()
    expect(page.get_by_text("10,000 points or more")).to_be_visible()
    assert len(_plotted(page)) == 3
    queries = " ".join(url for url in urls if "/points?" in url)
    assert sorted(re.findall("(?:limit|buckets)=[0-9]+", queries)) == ["buckets=400", "limit=1000"]


def test_invalid_range(visit):
    """An invalid range shows an error with the expected forms."""
    page = visit.go("/measurements/build_size?since=yesterday")
    expect(page.get_by_role("alert")).to_contain_text("an age such as 7d")
    page.get_by_role("button", name="30 d").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_test_id("chart")).to_be_visible()


def test_empty_range(visit):
    """A range without points has a button that shows all points."""
    page = visit.go("/measurements/build_size?since=2001-01-01&until=2001-01-02")
    page.get_by_role("button", name="Show all").click()
    expect(page.get_by_test_id("chart")).to_be_visible()


def test_unknown_series(visit):
    """The page of an unknown series has a message and a link to the list."""
    page = visit.go("/measurements/no_such_series")
    expect(page.get_by_text("There is no series named")).to_be_visible()
    page.get_by_role("link", name="All measurements").click()
    expect(page.get_by_role("heading", name="Measurements")).to_be_visible()


def test_failure_and_retry(visit):
    """An error of the API is shown with a button that retries."""
    visit.page.route(
        "**/api/v1/series", lambda route: route.fulfill(status=503, json={"message": "the store is <b>away</b>"})
    )
    page = visit.go("/measurements")
    expect(page.get_by_role("alert")).to_contain_text("the store is <b>away</b>")
    page.unroute("**/api/v1/series")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_test_id("found")).to_be_visible()
