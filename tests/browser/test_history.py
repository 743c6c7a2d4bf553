"""A long history, and one of many builders: what is drawn, labelled and left out; no violation of the rules of axe."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from bbmeasure.testing.site import Site
from tests.browser import history
from tests.browser.config import LINUX, config
from tests.browser.elements import (
    CHART,
    RECORD_DRAWINGS,
    RECORD_TEXTS,
    counted,
    drawings,
    drawn_texts,
    labels,
    line_rows,
    names,
    rows,
    statistics,
    violations,
)
from tests.servers import wait_until

MANY = 300
#: A pinned chart; the blank page before the first one has no storage.
_PINS = """if (location.protocol === "http:") {
    localStorage.setItem("bbmeasure.pinned", JSON.stringify(["/measurements/perf.parse_time?branch=main"]));
}"""
#: Pages whose elements are checked.
PAGES = {
    "list": "/measurements",
    "builders": "/measurements?view=builders",
    "series": f"/measurements/{history.REGRESSED}",
    "split": f"/measurements/{history.TAGGED}?split=tag.section",
    "text": "/measurements/compiler",
    "nothing": f"/measurements/{history.REGRESSED}?since=2001-01-01&until=2001-01-02",
    "unknown": "/measurements/no_such_series",
}


@pytest.fixture(scope="module")
def aged(built, tmp_path_factory):
    """A master with 8 builders, 93 series and 400 days."""
    with Site(tmp_path_factory.mktemp("aged"), config(builders=history.BUILDERS), workers=()) as running:
        history.seed_history(running)
        yield running


@pytest.fixture(scope="module")
def crowded(built, tmp_path_factory):
    """A master whose journal has values of 300 builders."""
    with Site(tmp_path_factory.mktemp("crowded"), config(builders=(LINUX,)), workers=()) as running:
        history.seed_many_builders(running, MANY)
        yield running


@pytest.mark.parametrize("theme", ["light", "dark", "forced"])
@pytest.mark.parametrize("route", PAGES)
def test_no_violation(open_at, aged, route, theme):
    """axe finds no violation on any page, in any theme."""
    visit = open_at(aged, forced_colors="active" if theme == "forced" else "none")
    visit.page.add_init_script(_PINS)
    page = visit.go(PAGES[route])
    if theme == "dark":
        page.evaluate("document.documentElement.style.setProperty('--bb-background-color', '#1e1e2e')")
        expect(page.locator("main.bbm")).to_have_attribute("data-theme", "dark")
    page.wait_for_load_state("networkidle")
    assert violations(page) == []


def test_no_average_over_tags(open_at, aged):
    """Of 16,000 points of five sections no line mixes two; all 40 lines are listed, 12 are drawn."""
    page = open_at(aged).go(f"/measurements/{history.TAGGED}")
    expect(page.get_by_text("12 of 40 lines shown")).to_be_visible()
    expect(page.get_by_text("usual ranges are drawn only for a line")).to_be_visible()
    for label, row in statistics(page).items():
        level = history.SECTIONS[label.split("section=")[1]]
        shown = page.locator(".bbm-statistics").get_by_role("row", name=label)
        assert level > 0, shown
        if row["Average"] != "\u2013":
            assert row["Points"] == "400", label


def test_a_change_with_its_builds(open_at, aged):
    """The step is marked on the chart; a click shows both levels, and links to the builds on both sides."""
    page = open_at(aged).go(f"/measurements/{history.REGRESSED}?branch=main")
    page.get_by_role("button", name=re.compile(r"^Change of \+3[01] %")).click()
    details = page.get_by_role("region", name="Change")
    expect(details).to_contain_text(history.REGRESSED_BUILDER)
    expect(details.get_by_role("link", name=f"#{history.STEP_DAY}", exact=True)).to_be_visible()
    expect(details.get_by_role("link", name=f"#{history.STEP_DAY + 1}")).to_have_attribute(
        "href", re.compile(r"builds/301$")
    )
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(details).to_have_count(0)


def test_proposals_and_branches(open_at, aged):
    """Proposals are shown on demand; branches have lines of their own."""
    page = open_at(aged).go(f"/measurements/{history.REGRESSED}?builder={history.BUILDERS[0]}")
    assert labels(page, 2) == {"main", "release/2"}
    page.get_by_label("Proposals", exact=True).check()
    assert labels(page, 3) == {"main", "release/2", "proposals to main"}


def test_commits_of_two_branches(open_at, aged):
    """By commit, both branches have their points at the commits that they measured."""
    visit = open_at(aged)
    visit.page.add_init_script(RECORD_TEXTS)
    page = visit.go(f"/measurements/{history.REGRESSED}?builder={history.BUILDERS[0]}&axis=commit")
    assert labels(page, 2) == {"main", "release/2"}
    chart = page.get_by_role("group", name=f"{history.REGRESSED} by commit")
    page.wait_for_function("window.drawnTexts.includes('Commit')")
    assert any(re.match("^[0-9a-f]{8}$", text) for text in drawn_texts(page))
    chart.focus()
    page.keyboard.press("End")
    described = chart.locator("[aria-live=polite]")
    expect(described).to_have_text(re.compile(f"build {history.DAYS}, .*release/2$"))
    page.keyboard.press("ArrowDown")
    expect(described).to_have_text(re.compile(f"build {history.DAYS}, .*main$"))
    page.keyboard.press("+")
    page.wait_for_url(re.compile("since="))
    expect(page.get_by_text("are not drawn")).to_have_count(0)
    wait_until("the points of both branches in the range", lambda: 0 < counted(page) < history.DAYS)


def test_what_is_usual_is_of_the_newest_builds(open_at, aged):
    """The page says of which builds a line of 400 has usual ranges; a shorter range has all."""
    route = f"/measurements/{history.REGRESSED}?builder={history.BUILDERS[2]}&branch=main"
    page = open_at(aged).go(route)
    expect(page.get_by_text("for the newest 200 builds of a line in this range")).to_be_visible()
    page = open_at(aged).go(f"{route}&since=100d")
    assert counted(page) > 50
    expect(page.get_by_text("for the newest 200 builds")).to_have_count(0)


def test_spreads_of_samples_are_drawn(open_at, aged):
    """Each of the last values has a bar as long as the spread of its samples."""
    visit = open_at(aged)
    visit.page.add_init_script(RECORD_DRAWINGS)
    page = visit.go(f"/measurements/{history.SPIKED}?builder={history.BUILDERS[0]}&since=60d")
    drawings(page, "stroke", "#1f6fb4", [])
    page = visit.go(f"/measurements/{history.REGRESSED}?builder={history.BUILDERS[0]}&branch=main&since=60d")
    assert counted(page) > 10
    drawings(page, "stroke", "#e4e7ec")
    assert not page.evaluate("drawings.some(each => each.colour === '#1f6fb4' && !each.dash.length)")


def test_every_scale_has_labels(open_at, aged):
    """The value axis has at least two labels from 1e-12 to 1e18."""
    visit = open_at(aged)
    visit.page.add_init_script(RECORD_TEXTS)
    for scale in history.SCALES:
        page = visit.go(f"/measurements/scale.{scale:.0e}".replace("+", "%2B"))
        counted(page)
        page.wait_for_function("window.drawnTexts.some((text) => /^[0-9]/.test(text))")
        numbers = {text for text in drawn_texts(page) if re.match(r"^[0-9.\u202f]+(e[+-][0-9]+)?$", text)} - {
            "2025",
            "2026",
        }
        assert len(numbers) > 1, (scale, drawn_texts(page))


def test_an_outlier_does_not_rule_the_axis(open_at, aged):
    """The axis ends near the level; the value of the outlier is in the table."""
    visit = open_at(aged)
    visit.page.add_init_script(RECORD_TEXTS)
    page = visit.go(f"/measurements/{history.SPIKED}?builder={history.BUILDERS[0]}")
    (row,) = statistics(page).values()
    assert "min" in row["Maximum"]
    assert not any("min" in text for text in drawn_texts(page))


def test_every_series_is_in_one_list(open_at, aged):
    """The list has groups by prefix, which are closed by a button, and every series."""
    page = open_at(aged).go("/measurements")
    expect(page.locator(".bbm-spark path").first).to_be_visible()
    total = len(names(page))
    assert total > 80
    page.get_by_role("button", name="perf. 17").click()
    expect(rows(page)).to_have_count(total - 17)


def test_no_builder_is_left_out(open_at, crowded):
    """Of 300 builders the worst is drawn first, and all can be found in the table."""
    page = open_at(crowded).go("/measurements/compile_time")
    expect(page.get_by_text(f"12 of {MANY} lines shown")).to_be_visible()
    expect(line_rows(page).first).to_contain_text("farm-150")
    page.get_by_role("button", name="Show 200 more of 270 lines").click()
    page.get_by_role("button", name="Show 70 more of 70 lines").click()
    expect(line_rows(page)).to_have_count(MANY)
    page.get_by_label("Show farm-299").check()
    expect(page.get_by_text(f"13 of {MANY} lines shown")).to_be_visible()
    page = open_at(crowded).go("/measurements?view=builders")
    expect(page.locator(".bbm-matrix tbody tr").first).to_contain_text("farm-150")


def test_by_keyboard_alone(open_at, aged):
    """From the list to the chart, its points and its build, without a mouse."""
    page = open_at(aged).go("/measurements?q=parse_time")
    page.get_by_label("Search").focus()
    link = page.get_by_role("link", name=history.REGRESSED)
    expect(link).to_be_visible()
    for _ in range(30):
        if link.evaluate("element => element === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(CHART)).to_be_visible()
    for _ in range(60):
        if page.evaluate("document.activeElement.getAttribute('aria-roledescription') === 'chart'"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("End")
    expect(page.locator(".bbm-marker")).to_be_visible()
