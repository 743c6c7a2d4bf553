"""Layout and themes of the pages, from 320 pixels to 4K.

The tests take screenshots.  With ``BBMEASURE_SCREENSHOTS=FOLDER`` in the environment they are kept in that folder; if
it is ``docs/images``, only the screenshots of the documentation are kept, in compressed form.
"""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from bbmeasure.testing.site import Site
from tests.browser.config import HOSTILE, LINUX, WINDOWS, config
from tests.browser.elements import COMPARISON, FOUND, LEGEND, PANEL

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "bbmeasure" / "master" / "www" / "static"
DOCS = ROOT / "docs"
IMAGES = DOCS / "images"
#: Maximum size of a screenshot in the documentation, in bytes.
MAX_IMAGE_BYTES = 100_000
WIDTHS = {
    "telephone": (320, 800),
    "tablet": (800, 1000),
    "desk": (1280, 900),
    "wide": (1920, 1080),
    "wall": (3840, 2160),
}
#: Every page: its route, and a selector of an element that is visible when it is loaded.
ROUTES = {
    "list": (f"/measurements?builder={LINUX}", FOUND),
    "series": ("/measurements/build_size", LEGEND),
    "many-points": ("/measurements/bulk", LEGEND),
    "tags": (f"/measurements/lines_by_language?builder={LINUX}", LEGEND),
    "texts": (f"/measurements/compiler?builder={LINUX}", ".bbm-text-changes"),
    "builders-compared": (f"/measurements/build_size?builder={WINDOWS}&vs={LINUX}", COMPARISON),
    "ranges-compared": (
        f"/measurements/compile_time?builder={LINUX}&since=6d&vs_since=12d&vs_until=6d",
        COMPARISON,
    ),
    "build": (f"/builders/{LINUX}/builds/16", PANEL),
    "builder": (f"/builders/{LINUX}", PANEL),
}


#: Pages that are tested with two widths only.
TWO_WIDTHS = ("tags", "texts", "builders-compared", "ranges-compared", "builder")


def documented():
    """The names of the screenshots in the documentation."""
    pages = "".join(page.read_text() for page in DOCS.glob("*.rst"))
    return set(re.findall(r"image:: images/(\S+)\.png$", pages, re.MULTILINE))


@pytest.fixture
def keep(tmp_path):
    """Take a screenshot and check that it is not blank."""
    folder = Path(os.environ.get("BBMEASURE_SCREENSHOTS") or tmp_path).resolve()
    folder.mkdir(parents=True, exist_ok=True)

    def kept(page, name):
        page.wait_for_load_state("networkidle")
        path = (tmp_path if folder == IMAGES else folder) / f"{name}.png"
        page.screenshot(path=path, animations="disabled", full_page=folder != IMAGES)
        assert path.stat().st_size > 5_000, "the screenshot is blank"
        if folder == IMAGES and name in documented():
            keep_small(page, path)

    return kept


def keep_small(page, path):
    """Save a screenshot for the documentation: the whole page, with 256 colours."""
    before = page.viewport_size
    page.evaluate("""() => { for (const plot of document.querySelectorAll(".bbm-chart-plot")) {
        plot.style.height = plot.clientHeight + "px" } }""")
    bottom = page.evaluate("""() => Math.max(...[...document.querySelectorAll(".bbm > *, .bb-build-step, .container *")]
        .map(element => element.getBoundingClientRect().bottom + scrollY))""")
    page.set_viewport_size({"width": before["width"], "height": min(2000, max(400, round(bottom) + 24))})
    page.wait_for_timeout(300)
    page.screenshot(path=path, animations="disabled")
    page.set_viewport_size(before)
    with Image.open(path) as image:
        colours = image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        colours.save(IMAGES / path.name, optimize=True)


def _fits(page):
    """Whether there is no horizontal scrolling, apart from Buildbot's own table of builds."""
    if page.get_by_role("heading", name="Builds:").count():
        return page.evaluate("document.querySelector('.bbm-panel').getBoundingClientRect().right <= innerWidth")
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def _set_scheme(page, scheme):
    """Set Buildbot's own theme, or forced colours."""
    page.emulate_media(forced_colors="active" if scheme == "forced" else "none")
    colour = "#1e1e2e" if scheme == "dark" else ""
    page.evaluate(f"document.documentElement.style.setProperty('--bb-background-color', '{colour}')")


@pytest.mark.parametrize("route", ROUTES)
def test_fits_every_width_in_light_and_dark(open_at, keep, route):
    """No page needs horizontal scrolling from 320 pixels to 4K."""
    address, ready = ROUTES[route]
    visit = open_at(patient=True)
    for name, (width, height) in WIDTHS.items():
        if route in TWO_WIDTHS and name not in ("telephone", "desk"):
            continue
        visit.page.set_viewport_size({"width": width, "height": height})
        page = visit.go(address)
        expect(page.locator(ready)).to_be_visible()
        for scheme in ("forced", "dark", "light"):
            _set_scheme(page, scheme)
            keep(page, f"{route}-{name}-{scheme}")
            assert _fits(page), (name, scheme)


def test_is_light_where_buildbot_is(open_at):
    """If Buildbot has no themes, the page is light on a system that prefers dark, as Buildbot's frame around it."""
    page = open_at(color_scheme="dark").go("/measurements")
    expect(page.locator("main.bbm")).to_have_attribute("data-theme", "light")


def test_follows_buildbots_own_theme(open_at):
    """If Buildbot has themes, the page follows Buildbot's theme."""
    page = open_at(color_scheme="light").go("/measurements")
    expect(page.locator("main.bbm")).to_have_attribute("data-theme", "light")
    page.evaluate("document.documentElement.style.setProperty('--bb-background-color', '#1e1e2e')")
    expect(page.locator("main.bbm")).to_have_attribute("data-theme", "dark")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_break_no_layout(open_at, keep, name):
    """Long names and direction marks stay inside their element at 320 pixels."""
    page = open_at(viewport={"width": 320, "height": 800}).go("/measurements")
    page.locator("bdi", has_text=HOSTILE[name]).first.click()
    expect(page.locator(LEGEND)).to_be_visible()
    keep(page, f"hostile-{name.replace(' ', '-')}")
    assert _fits(page)


def test_loading_failure_and_empty_result(open_at, keep):
    """Each state has a message of its own."""
    visit = open_at()
    held = []
    visit.page.route("**/api/v1/series", lambda route: held.append(route))
    page = visit.go("/measurements")
    expect(page.get_by_role("status")).to_contain_text("Loading")
    page.screenshot(animations="disabled")
    held[0].fulfill(status=500, json={"message": "The disk is gone."})
    expect(page.get_by_role("alert")).to_contain_text("The disk is gone.")
    keep(page, "failed")
    page.unroute("**/api/v1/series")
    page.get_by_role("button", name="Try again").click()
    page.get_by_label("Search").fill("no such name")
    expect(page.get_by_text("No series fits")).to_be_visible()
    keep(page, "nothing-found")


def test_master_without_measurements(open_at, keep, built, tmp_path):
    """A new master shows an explanation and no empty table."""
    with Site(tmp_path, config(), workers=()) as empty:
        page = open_at(empty).go("/measurements")
        expect(page.get_by_text("Nothing has been measured yet")).to_be_visible()
        expect(page.get_by_role("table")).to_have_count(0)
        keep(page, "empty")


def test_the_bundle_is_small(built):
    """The script of the page is at most 90 KB compressed, and has no elements for tests only."""
    script = (STATIC / "scripts.js").read_bytes()
    assert len(gzip.compress(script)) <= 90_000
    assert b"data-testid" not in script


def test_controls_have_accessible_names(open_at):
    """Every element that can have the focus has an accessible name."""
    for route, (address, ready) in ROUTES.items():
        page = open_at().go(address)
        expect(page.locator(ready)).to_be_visible()
        nameless = page.evaluate("""() => [...document.querySelectorAll(
            ".bbm a, .bbm button, .bbm input, .bbm select, .bbm summary, .bbm [tabindex]")].filter(element =>
                !(element.getAttribute("aria-label") || element.textContent.trim() || element.labels?.length)
            ).map(element => element.outerHTML)""")
        assert nameless == [], route


def test_the_documentation_has_screenshots_of_every_page():
    """Each page has screenshots in both themes and several widths; no image is unused or too large."""
    shown = documented()
    assert shown == {path.stem for path in IMAGES.glob("*.png")}
    pages = {name.rsplit("-", 2)[0] for name in shown}
    assert pages == set(ROUTES)
    assert {"series-desk-light", "series-desk-dark", "series-telephone-light"} <= shown
    for name in shown:
        path = IMAGES / f"{name}.png"
        assert path.stat().st_size < MAX_IMAGE_BYTES, name
        with Image.open(path) as image:
            assert image.width == WIDTHS[name.split("-")[-2]][0]
