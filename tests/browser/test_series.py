"""The page of one series."""

from __future__ import annotations

import csv
import re
import time

import pytest
from playwright.sync_api import expect

from bbmeasure import units
from tests.browser.config import BUILDS, LINUX, WINDOWS, get_json, measure, size
from tests.browser.elements import (
    CHART,
    COMPARISON,
    FOUND,
    PANEL,
    RECORD_TEXTS,
    TIP,
    chart,
    counted,
    described,
    drawn_texts,
    labels,
    line_rows,
    statistics,
)


def _points(site, **where):
    return [(point["time"], point["value"]) for point in get_json(site, "points", limit=10_000, **where)["points"]]


def test_chart_has_the_points_of_the_api(visit, site):
    """Every point of every builder is reached by the keyboard, with its value."""
    for builder in (LINUX, WINDOWS):
        page = visit.go(f"/measurements/build_size?builder={builder}")
        statistics(page)
        chart(page, "build_size").focus()
        page.keyboard.press("Home")
        points = get_json(site, "points", series="build_size", builder=builder)["points"]
        for point in points:
            expect(described(page, "build_size")).to_contain_text(
                f"{units.format(point['value'], 'bytes')}, build {point['build']},"
            )
            page.keyboard.press("ArrowRight")


def test_statistics_are_those_of_the_api(visit, site):
    """The table has the statistics of the API, for all points and for a range."""
    for since in (None, "5d"):
        page = visit.go("/measurements/build_size" + (f"?since={since}" if since else ""))
        shown = statistics(page)[WINDOWS]
        answer = get_json(
            site, "statistics", series="build_size", builder=WINDOWS, since=since or "0",
            statistics="count,average,deviation,minimum,maximum,median,p95",
        )["statistics"]  # fmt: skip
        assert shown["Points"] == str(answer.pop("count"))
        for name, value in answer.items():
            assert shown[name if name == "p95" else name.capitalize()] == units.format(value, "bytes"), (since, name)


def test_drag_zooms(visit):
    """A drag selects a range, which is in the URL; a double click resets it, and Back undoes both."""
    page = visit.go("/measurements/build_size")
    whole = counted(page)
    points = line_rows(page).first.locator("td").nth(1)
    of_first = points.inner_text()
    over = page.locator(".u-over").bounding_box()
    page.mouse.move(over["x"] + over["width"] * 0.25, over["y"] + 40)
    page.mouse.down()
    page.mouse.move(over["x"] + over["width"] * 0.6, over["y"] + 60, steps=4)
    page.mouse.up()
    page.wait_for_url(re.compile(r"since=[0-9.]+&until=[0-9.]+"))
    expect(points).not_to_have_text(of_first)
    narrowed = counted(page)
    assert 0 < narrowed < whole
    page.reload()
    assert counted(page) == narrowed
    page.locator(".u-over").dblclick()
    page.wait_for_function("!location.hash.includes('since=')")
    page.go_back()
    page.wait_for_url(re.compile(r"since=[0-9.]+&until=[0-9.]+"))
    page.go_back()
    page.wait_for_function("!location.hash.includes('since=')")
    expect(page.locator(CHART)).to_be_visible()


def test_hover_and_click(visit, site):
    """The tooltip has value, build, worker and time of the point; a click opens its build."""
    page = visit.go(f"/measurements/build_size?builder={WINDOWS}")
    chart(page, "build_size").focus()
    page.keyboard.press("End")
    marker = page.locator(".bbm-marker").bounding_box()
    page.keyboard.press("Escape")
    expect(page.locator(TIP)).to_have_count(0)
    page.mouse.move(marker["x"] + 2, marker["y"] + 8)
    last = get_json(site, "points", series="build_size", builder=WINDOWS)["points"][-1]
    expect(page.locator(TIP)).to_contain_text(f"#{last['build']}")
    expect(page.locator(TIP)).to_contain_text("bot1")
    page.mouse.click(marker["x"] + 6, marker["y"] + 6)
    page.wait_for_url(re.compile(rf"#/builders/\d+/builds/{last['build']}$"))
    expect(page.locator(PANEL)).to_be_visible()


def test_keyboard(visit, site):
    """Arrow keys move between points and update the live region; plus zooms about the point; Enter opens the build."""
    page = visit.go(f"/measurements/build_size?builder={LINUX}")
    chart(page, "build_size").focus()
    page.keyboard.press("Home")
    expect(described(page, "build_size")).to_contain_text("build 1,")
    for number in (2, 3):
        page.keyboard.press("ArrowRight")
        expect(described(page, "build_size")).to_contain_text(f"build {number},")
    page.keyboard.press("+")
    page.wait_for_url(re.compile("since="))
    since, until = (float(re.findall(f"{name}=([0-9.]+)", page.url)[0]) for name in ("since", "until"))
    assert since < get_json(site, "points", series="build_size", builder=LINUX)["points"][2]["time"] < until
    page.keyboard.press("0")
    page.wait_for_function("!location.hash.includes('since=')")
    chart(page, "build_size").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"#/builders/\d+/builds/1$"))


def test_finished_build_appears_without_reload(visit, site):
    """The point of a build that finishes while its chart is open is drawn without a reload, in the same chart."""
    page = visit.go(f"/measurements/build_size?builder={WINDOWS}")
    before = counted(page)
    page.evaluate("window.stayed = document.querySelector('.uplot')")
    site.wait_for_build(measure(site, WINDOWS, size(1_700_123)))
    expect(line_rows(page).first.locator("td").nth(1)).to_have_text(str(before + 1))
    expect(line_rows(page).first.locator("td").first).to_have_text(units.format(1_700_123, "bytes"))
    assert page.evaluate("window.stayed === document.querySelector('.uplot')")


def test_two_builders_are_compared(visit, site):
    """The comparison of two builders has both averages and the difference, which is no verdict and has no colour."""
    page = visit.go("/measurements/build_size")
    page.get_by_label("Compare", exact=True).select_option("two builders")
    page.get_by_label("Builder", exact=True).select_option(WINDOWS)
    page.get_by_label("Compared with").select_option(LINUX)
    page.wait_for_url(re.compile(f"builder={WINDOWS}&vs={LINUX}"))
    averages = [
        get_json(site, "statistics", series="build_size", builder=builder, statistics="average")["statistics"][
            "average"
        ]
        for builder in (WINDOWS, LINUX)
    ]
    change = page.locator(COMPARISON).locator("tr", has_text="Average").locator(".bbm-change")
    expect(change).to_contain_text(f"+{(averages[0] - averages[1]) / averages[1] * 100:.0f} %")
    expect(page.locator(COMPARISON).locator(".bbm-worse, .bbm-better")).to_have_count(0)


def test_two_ranges_are_compared(visit, site):
    """The comparison of two ranges has the counts of both."""
    now = time.time()
    page = visit.go(f"/measurements/coverage?builder={WINDOWS}&since=5d&vs_since=10d&vs_until=5d")
    counts = [
        len(_points(site, series="coverage", builder=WINDOWS, since=now - since * 86400, until=now - until * 86400))
        for since, until in ((5, 0), (10, 5))
    ]
    cells = page.locator(COMPARISON).locator("tr", has_text="Points").locator("td")
    expect(cells.nth(0)).to_have_text(str(counts[0]))
    expect(cells.nth(1)).to_have_text(str(counts[1]))


def test_tags(visit):
    """A series with tags has a line for each value, and a filter."""
    page = visit.go(f"/measurements/lines_by_language?builder={LINUX}")
    assert labels(page, 4) == {f"language={name}" for name in ("CSS", "Python", "Shell", "TypeScript")}
    assert {row["Points"] for row in statistics(page).values()} == {str(BUILDS)}
    page.get_by_label("language", exact=True).select_option("Python")
    expect(line_rows(page)).to_have_count(1)
    assert "tag.language=Python" in page.url


def test_lines_are_hidden_and_sorted(visit):
    """A line that is hidden is neither drawn nor counted, which the address keeps; a column sorts the table."""
    page = visit.go(f"/measurements/lines_by_language?builder={LINUX}")
    statistics(page)
    page.get_by_label("Show language=CSS").uncheck()
    expect(page.get_by_text("3 of 4 lines shown")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Show language=CSS")).not_to_be_checked()
    page.get_by_role("button", name="Median").click()
    expect(line_rows(page).first).to_contain_text("Python")
    page.get_by_role("button", name="Median").click()
    expect(page.get_by_role("columnheader", name="Median")).to_have_attribute("aria-sort", "ascending")


def test_charts_are_split(visit):
    """There is a chart for each value of a tag, or for each builder."""
    page = visit.go("/measurements/lines_by_language")
    page.get_by_label("Split by").select_option("language")
    expect(page.locator(CHART)).to_have_count(4)
    page.get_by_label("Split by").select_option("builder")
    expect(page.locator(CHART)).to_have_count(2)
    assert "split=builder" in page.url


def test_axes(open_at):
    """The axis is of times, builds or commits; values are absolute, percent of the baseline, or logarithmic."""
    visit = open_at()
    visit.page.add_init_script(RECORD_TEXTS)
    for query, text, missing in (
        ("", "1.3 MiB", "100 %"),
        ("&axis=build", "Build", "100 %"),
        ("&scale=percent", "100 %", "1.3 MiB"),
        ("&scale=log", "MiB", "1.3 MiB"),  # its ticks are not equidistant
    ):
        page = visit.go(f"/measurements/build_size?builder={LINUX}&builder={WINDOWS}{query}")
        statistics(page)
        page.wait_for_function("text => window.drawnTexts.some((drawn) => drawn.includes(text))", arg=text)
        assert missing not in drawn_texts(page)


def test_csv_of_what_is_shown(visit, site):
    """The file has the points that are shown, with times in UTC."""
    page = visit.go(f"/measurements/build_size?builder={LINUX}")
    statistics(page)
    with page.expect_download() as saved:
        page.get_by_role("link", name="CSV").click()
    found = list(csv.DictReader(saved.value.path().read_text().splitlines()))
    points = get_json(site, "points", series="build_size", builder=LINUX)["points"]
    assert [(float(row["value"]), int(row["build"])) for row in found] == [
        (point["value"], point["build"]) for point in points
    ]
    assert all(row["time"].endswith("Z") for row in found)


def test_the_link_is_copied(open_at):
    """The button copies the address."""
    visit = open_at(permissions=["clipboard-read", "clipboard-write"])
    page = visit.go("/measurements/build_size?axis=build")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").endswith("#/measurements/build_size?axis=build")


def test_page_titles_and_time_zone(open_at):
    """The title names the page, and the page says the zone of its times."""
    page = open_at(timezone_id="Asia/Tokyo").go("/measurements/build_size")
    expect(page).to_have_title(re.compile("^build_size"))
    expect(page.get_by_text("Times: Asia/Tokyo (UTC+9)")).to_be_visible()
    page.get_by_role("link", name="All measurements").click()
    expect(page).to_have_title(re.compile("^Measurements"))
    page.get_by_role("link", name="About").click()
    expect(page).not_to_have_title(re.compile("Measurements"))


def test_text_series_is_its_changes(visit):
    """A series of texts has a table of its changes and no chart."""
    page = visit.go(f"/measurements/compiler?builder={LINUX}")
    changes = page.locator(".bbm-text-changes tbody tr")
    expect(changes).to_have_count(2)
    expect(changes.first).to_contain_text("gcc 13.1.0")
    expect(changes.first.locator("td").nth(2)).to_have_text("gcc 12.2.0")
    expect(changes.last.locator("td").last).to_have_text("9")
    expect(page.locator(CHART)).to_have_count(0)


def test_many_points_are_drawn_as_buckets(visit, site):
    """Many points are drawn as averages of buckets; after zooming in, each point is drawn."""
    page = visit.go("/measurements/bulk")
    expect(page.get_by_text("drawn as averages")).to_be_visible()
    assert statistics(page)[LINUX]["Points"] == "10\u202f000"
    begin = get_json(site, "series")["series"]
    first = next(series["first"] for series in begin if series["name"] == "bulk")
    page = visit.go(f"/measurements/bulk?since={first}&until={first + 3600}")
    assert counted(page) == len(_points(site, series="bulk", since=first, until=first + 3600))
    expect(page.get_by_text("drawn as averages")).to_have_count(0)


@pytest.mark.parametrize("narrowed", ["", f"?builder={LINUX}"])
def test_points_that_are_not_drawn_are_not_fetched(visit, narrowed):
    """Of many points only buckets and the newest points for the table are requested."""
    urls = []
    visit.page.on("request", lambda request: urls.append(request.url))
    page = visit.go(f"/measurements/bulk{narrowed}")
    expect(page.get_by_text("The newest 100 points as a table")).to_be_visible()
    expect(page.get_by_text("drawn as averages")).to_be_visible()
    queries = " ".join(url for url in urls if "/points?" in url)
    assert sorted(re.findall("(?:limit|buckets)=[0-9]+", queries)) == ["buckets=400", "limit=1000"]


def test_invalid_range(visit):
    """An invalid range shows an error with the expected forms."""
    page = visit.go("/measurements/build_size?since=yesterday")
    expect(page.get_by_role("alert")).to_contain_text("an age such as 7d")
    page.get_by_role("button", name="30 d").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator(CHART)).to_be_visible()


def test_empty_range(visit):
    """A range without points has a button that shows all points."""
    page = visit.go("/measurements/build_size?since=2001-01-01&until=2001-01-02")
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(CHART)).to_be_visible()


def test_unknown_series(visit):
    """The page of an unknown series has a message and a link to the list."""
    page = visit.go("/measurements/no_such_series")
    expect(page.get_by_text("There is no series named")).to_be_visible()
    expect(page).to_have_title(re.compile("^no_such_series · "))
    page.get_by_role("link", name="All measurements").click()
    expect(page.get_by_role("heading", name="Measurements", exact=True)).to_be_visible()


def test_failure_and_retry(visit):
    """An error of the API is shown with a button that retries."""
    visit.page.route(
        "**/api/v1/series", lambda route: route.fulfill(status=503, json={"message": "the store is <b>away</b>"})
    )
    page = visit.go("/measurements")
    expect(page.get_by_role("alert")).to_contain_text("the store is <b>away</b>")
    page.unroute("**/api/v1/series")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(FOUND)).to_be_visible()
