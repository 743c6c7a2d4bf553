"""A master with some weeks of builds, and a Chromium to look at it; both are started once for all tests here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bbmeasure.testing.site import Site
from tests.browser.config import config, seed

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: How long something may take to appear before it counts as missing; a loaded machine is slow.
PATIENCE_MS = 40_000
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def built() -> None:
    """The page as it is built: a test of the page that is not there would test nothing."""
    page = ROOT / "bbmeasure" / "master" / "www" / "static" / "scripts.js"
    assert page.is_file(), "the page is not built: run `make www` (it needs npm)"
    sources = [path for path in (ROOT / "www" / "src").rglob("*") if path.is_file()]
    newest = max(sources, key=lambda path: path.stat().st_mtime)
    assert newest.stat().st_mtime <= page.stat().st_mtime, f"the page is older than {newest}: run `make www`"


@pytest.fixture(scope="session")
def site(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A master whose builders have measured for two weeks."""
    with Site(tmp_path_factory.mktemp("site"), config(), workers=()) as running:
        seed(running)
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser."""
    program = shutil.which("chromium")
    assert program, "there is no program chromium: install Debian's package of that name"
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


class Visit:
    """A page of the browser with what went wrong in it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.errors: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", self._heard)

    def _heard(self, error: Any) -> None:
        # Buildbot's own page asks for its icon under an address that is not there.
        if "icon" not in str(error.stack) and error.name != "AxiosError":
            self.errors.append(f"{error.name}: {error.message}\n{error.stack}")

    def go(self, route: str) -> Page:
        """Open ``route``, the part of the address after the ``#``, afresh."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.url}#{route}")
        return self.page


@pytest.fixture
def open_at(chromium: Browser, site: Site) -> Iterator[Any]:
    """Open pages of a site in fresh windows; at the end, no script may have failed in any."""
    contexts, visits = [], []

    def opened(on: Site = site, **options: Any) -> Visit:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 1000}, "locale": "en-GB", **options})
        contexts.append(context)
        visits.append(Visit(context.new_page(), on.url))
        return visits[-1]

    yield opened
    for context in contexts:
        context.close()
    assert [error for visit in visits for error in visit.errors] == []


@pytest.fixture
def visit(open_at: Any) -> Visit:
    """A fresh window on the seeded master."""
    opened: Visit = open_at()
    return opened
