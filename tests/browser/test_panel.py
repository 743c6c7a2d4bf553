"""The panel on Buildbot's own pages of a build and of a builder."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import expect

from bbmeasure.testing.site import Site
from tests.browser.config import LINUX, ODD, WINDOWS, config, measure, size
from tests.browser.elements import CHART, PANEL, row_of

#: Records of a builder whose sizes and counts never change but where they are changed below.
STEADY: dict[str, dict[str, Any]] = {
    "build_size": {"value": 1_048_576, "unit": "bytes", "better": "lower", "tags": {"target": "core"}},
    "lint_issues": {"value": 10, "kind": "count", "better": "lower"},
    "coverage": {"value": 0.8, "unit": "ratio", "better": "higher"},
    "limited": {"value": 5, "kind": "count", "better": "lower"},
    "compiler": {"value": "gcc 12"},
}
JUDGED = """util.SQLiteInstance(), util.MeasurementPolicy(
    trustedBranches=["main"], gates={"limited": util.Gate(limit=10)})"""
FAILS = """
class Fail(buildstep.BuildStep):
    name = "fail"

    def run(self):
        return results.FAILURE


f.addStep(Fail(doStepIf=lambda step: step.getProperty("begin") == "1"))
c["builders"][0].description = "Builds everything."
"""
#: Sums the layout shifts that no click has caused.
SHIFTS = """window.shifts = 0; new PerformanceObserver(list => list.getEntries().forEach(entry => {
    window.shifts += entry.hadRecentInput ? 0 : entry.value;
})).observe({type: "layout-shift", buffered: true});"""


def _records(**changed):
    """The steady records, with other values for some; None leaves one out."""
    values = {name: changed.get(name, record["value"]) for name, record in STEADY.items()}
    return [{**STEADY[name], "name": name, "value": value} for name, value in values.items() if value is not None]


@pytest.fixture(scope="module")
def judged(built, tmp_path_factory):
    """A master with judged builds; ``builds`` has some by what they show."""
    with Site(tmp_path_factory.mktemp("judged"), config(services=JUDGED, more=FAILS), workers=()) as running:
        requests = [measure(running, LINUX, *_records(), revision=str(number)) for number in range(12)]
        builds = {"normal": [running.wait_for_build(request) for request in requests][-1]}
        builds["first"] = running.build(WINDOWS, records=json.dumps(_records()))

        def add(name, revision, records, **more):
            builds[name] = running.wait_for_build(measure(running, LINUX, *records, revision=revision, **more))

        add("better", "20", _records(lint_issues=7))
        add("worse", "21", _records(lint_issues=7, build_size=1_190_000))
        add("later", "22", _records(lint_issues=7, build_size=1_190_000))
        add("failed", "23", _records(lint_issues=7, build_size=1_190_000, coverage=None), begin="1")
        add("proposal", "24", _records(lint_issues=7, build_size=1_190_000, limited=12), branch="feature")
        running.builds = builds  # type: ignore[attr-defined]  # added for the tests
        yield running


@pytest.fixture
def at_build(open_at, judged):
    """Open the page of one of the judged builds."""

    def opened(name, **options):
        visit = open_at(judged, patient=True, **options)
        visit.page.add_init_script(SHIFTS)
        return visit.go(_route(judged.builds[name]))

    return opened


def _fulfill(answer, route):
    route.fulfill(**answer)


def _replace(route, text, other):
    answer = route.fetch()
    route.fulfill(response=answer, body=answer.text().replace(text, other))


def _route(build):
    return f"/builders/{build['builderid']}/builds/{build['number']}"


def _told(page):
    return page.locator(f"{PANEL} .bbm-told-row")


def _top(locator):
    expect(locator).to_be_visible()
    return locator.bounding_box()["y"]


def _first_step(page):
    return page.get_by_role("listitem").filter(has_text="capture").first


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("normal", ["▲ 0 worse", "▼ 0 better", "· 4 normal", "· against main, last 40 builds"]),
        ("better", ["▲ 0 worse", "▼ 1 better"]),
        ("worse", ["▲ 1 worse"]),
        ("first", ["▲ 0 worse", "without baseline", "· against main"]),
        ("proposal", ["▲ 1 worse", "· refs/heads/feature, against main, last 40 builds"]),
    ],
)
def test_one_line_with_the_verdicts(at_build, name, texts):
    """The line counts the verdicts; texts are not judged, and not counted."""
    page = at_build(name)
    for text in texts:
        expect(page.locator(f"{PANEL} .bbm-panel-counts")).to_contain_text(text)
    expect(page.locator(PANEL)).not_to_contain_text("gcc 12")
    if name in ("normal", "better", "first"):
        expect(_told(page)).to_have_count(0)
        assert page.locator(PANEL).bounding_box()["height"] < 60


def test_what_got_worse_by_how_much_since_when(at_build, judged):
    """A worse record has value, what is usual, change, band and mark, and the build where it began."""
    for name, began in (("worse", "introduced here"), ("later", f"since #{judged.builds['worse']['number']}")):
        page = at_build(name)
        expect(_told(page)).to_have_count(1)
        for text in ("▲ worse", "build_size", "target=core", "1.13 MiB", "+13 %", "usual", began):
            expect(_told(page)).to_contain_text(text)
        expect(_told(page).locator(".bbm-spark-mark")).to_have_count(1)
        expect(_told(page).locator(".bbm-spark-band")).to_have_count(1)


def test_the_rest_is_behind_a_click(at_build):
    """A click shows all records in a table, with what is usual and a change that is grey unless it is significant."""
    page = at_build("worse")
    page.get_by_role("button", name="Show all").click()
    expect(row_of(page, "compiler", PANEL)).to_contain_text("not judged")
    expect(row_of(page, "coverage", PANEL)).to_contain_text("normal")
    expect(row_of(page, "coverage", PANEL).locator(".bbm-cell-change")).to_have_class(re.compile("bbm-told-normal"))
    expect(row_of(page, "build_size", PANEL).locator(".bbm-cell-change")).to_have_class(re.compile("bbm-told-worse"))
    page.get_by_role("button", name="Hide all").click()
    expect(page.locator(f"{PANEL} table")).to_have_count(0)


def test_a_proposal(at_build):
    """The table has base, this, change and verdict, and says what one build can tell."""
    page = at_build("proposal")
    expect(_told(page)).to_contain_text("introduced here")
    page.get_by_role("button", name="Show all").click()
    assert page.locator(f"{PANEL} thead th").all_text_contents() == ["Measurement", "Base", "This", "Change", "Verdict"]
    assert row_of(page, "limited", PANEL).locator("td").all_text_contents() == ["base 5", "12", "+140 %", "worse"]
    expect(page.locator(PANEL)).to_contain_text("A proposal has one build.")


def test_a_failed_build_is_folded(at_build):
    """What got worse is behind the click, and what was not measured is named."""
    page = at_build("failed")
    expect(page.locator(f"{PANEL} .bbm-panel-counts")).to_contain_text("▲ 1 worse")
    expect(_told(page)).to_have_count(0)
    expect(page.locator(f"{PANEL} .bbm-missing")).to_have_text("Not measured in this build: coverage")
    page.get_by_role("button", name="Show all").click()
    expect(_told(page)).to_have_count(1)


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("name", ["normal", "worse", "proposal", "failed", "builder"])
def test_nothing_moves(at_build, judged, name, width):
    """Buildbot's own page does not move when the panel appears."""
    page = at_build("proposal" if name == "builder" else name, viewport={"width": width, "height": 900})
    expect(page.locator(PANEL)).to_be_visible()
    if name == "builder":
        page.goto("about:blank")
        page.goto(f"{judged.url}#/builders/{judged.builds['proposal']['builderid']}")
        expect(page.locator(PANEL)).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.shifts") <= 0.05
    assert page.evaluate(
        "document.querySelector('.bbm-panel').scrollWidth <= document.querySelector('.bbm-panel').clientWidth"
    )


@pytest.mark.parametrize("width", [320, 1280])
def test_a_late_panel_moves_nothing(open_at, judged, width):
    """A panel that comes after Buildbot's page is visible keeps the reserved height until a click."""
    visit = open_at(judged, viewport={"width": width, "height": 900})
    held: list[Any] = []
    released: list[bool] = []
    visit.page.route("**/api/v1/records*", lambda route: route.continue_() if released else held.append(route))
    page = visit.go(_route(judged.builds["worse"]))
    before = _top(_first_step(page))
    released.append(True)
    for route in held:
        route.continue_()
    expect(page.locator(f"{PANEL} .bbm-panel-counts")).to_contain_text("▲ 1 worse")
    page.wait_for_load_state("networkidle")
    assert _top(_first_step(page)) == before
    expect(_told(page)).to_have_count(0)
    page.get_by_role("button", name="Show all").click()
    expect(_told(page)).to_have_count(1)
    assert _top(_first_step(page)) > before


def test_it_is_between_the_summary_and_the_steps(at_build, judged):
    """Tabs and summary are above the panel, steps below, also after links to other builds and other tabs."""
    page = at_build("later")
    for name in ("later", "worse"):
        summary = page.locator(".card-header", has_text=f"{LINUX}/{judged.builds[name]['number']}")
        tops = [_top(each) for each in (page.get_by_role("tab").first, summary, page.locator(PANEL), _first_step(page))]
        assert tops == sorted(tops)
        page.get_by_role("tab", name="Build Properties").click()
        expect(page.locator(PANEL)).to_be_hidden()
        page.get_by_role("tab", name="Build steps").click()
        if name == "later":
            page.get_by_text("Previous").click()
    page.wait_for_url(re.compile(rf"/builds/{judged.builds['worse']['number']}$"))
    expect(_told(page)).to_contain_text("introduced here")


def test_it_is_below_the_description_of_a_builder(at_build, judged):
    """The panel is between the description and the builds."""
    page = at_build("worse")
    page.goto(f"{judged.url}#/builders/{judged.builds['worse']['builderid']}")
    places = [page.get_by_text("Builds everything."), page.locator(PANEL), page.get_by_role("tab", name="Builds")]
    tops = [_top(each) for each in places]
    assert tops == sorted(tops)


def test_without_a_summary_it_is_above_the_page(open_at, judged):
    """The panel is above the page of a Buildbot whose summary has another class."""
    visit = open_at(judged)
    visit.page.route("**/assets/*.js", lambda route: _replace(route, "bb-build-summary", "another-summary"))
    page = visit.go(_route(judged.builds["worse"]))
    expect(page.locator(f"{PANEL} .bbm-panel-counts")).to_contain_text("▲ 1 worse")
    tops = [_top(each) for each in (page.locator(PANEL), page.get_by_role("tab").first, _first_step(page))]
    assert tops == sorted(tops)


def test_the_link_keeps_the_line(at_build, judged):
    """The name links to the chart of this builder, branch and tags, and names the build."""
    page = at_build("worse")
    _told(page).get_by_role("link").first.click()
    buildid = judged.builds["worse"]["buildid"]
    page.wait_for_url(
        re.compile(rf"#/measurements/build_size\?builder={LINUX}&branch=main&build={buildid}&tag.target=core$")
    )
    expect(page.locator(CHART)).to_be_visible()


def test_builder_page_shows_its_last_build(visit, site):
    """The page of a builder has a panel of its last build, which a newer build replaces without a reload."""
    build = site.wait_for_build(measure(site, WINDOWS, size(1_900_000)))
    page = visit.go(f"/builders/{build['builderid']}")
    expect(page.get_by_role("heading", name=f"Measurements of build {build['number']}")).to_be_visible()
    newer = site.wait_for_build(measure(site, WINDOWS, size(1_800_000)))
    expect(page.get_by_role("heading", name=f"Measurements of build {newer['number']}")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(row_of(page, "build_size", PANEL)).to_contain_text("1.72 MiB")


def test_running_build_gets_a_panel(visit, site):
    """The page of a running build gets its panel without a reload."""
    request = measure(site, LINUX, size(1_234_567))
    build = site.wait_for(lambda: site.build_of(request), "the build to begin", 300)
    page = visit.go(_route(build))
    page.get_by_role("button", name="Show all").click()
    expect(row_of(page, "build_size", PANEL)).to_contain_text("1.18 MiB")


def test_build_without_records_has_no_panel(visit, site):
    """A build without measurements has a quiet line in the panel's place."""
    build = site.wait_for_build(measure(site, ODD))
    page = visit.go(_route(build))
    expect(page.get_by_role("tab", name="Build steps")).to_be_visible()
    expect(page.locator(".bbm-panel-place")).to_contain_text("nothing was measured")
    assert page.locator(PANEL).count() == 0


@pytest.fixture(scope="module")
def measured(site):
    """A build with a size."""
    return site.wait_for_build(measure(site, WINDOWS, size(2_000_000)))


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
    with Site(tmp_path, config(plugins=""), workers=()) as plain:
        build = plain.wait_for_build(measure(plain, LINUX, size(1)))
        page = open_at(plain).go(_route(build))
        expect(page.get_by_role("tab", name="Build steps")).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert page.locator(PANEL).count() == 0
        assert page.get_by_role("link", name="Measurements").count() == 0
