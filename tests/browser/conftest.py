"""Fixtures of the browser tests: a master with two weeks of builds and a Chromium, started once a process."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from bbmeasure.testing.site import Site
from tests.browser.config import config, seed
from tests.e2e.masters import stop_cleanly

#: Chromium without the windows of a desktop, whose toolbars, pages too, take more of a processor than the tested page.
CHROMIUM = "chromium-headless-shell"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: Milliseconds until an element must appear; long, as the machine may be loaded.
TIMEOUT_MS = 60_000
ROOT = Path(__file__).resolve().parents[2]
#: Makes the panels wait for a loaded machine: they would wait for 2 seconds (MAX_WAIT_MS of www/src/panel/place.ts).
PATIENCE = """{ const plain = window.setTimeout;
    window.setTimeout = (run, delay, ...rest) => plain(run, delay === 2000 ? 600000 : delay, ...rest); }"""


@pytest.fixture(scope="session")
def built() -> None:
    """Check that the page is built from the current sources."""
    page = ROOT / "bbmeasure" / "master" / "www" / "static" / "scripts.js"
    assert page.is_file(), "the page is not built: run `make www` (it needs npm)"
    sources = [path for path in (ROOT / "www" / "src").rglob("*") if path.is_file()]
    newest = max(sources, key=lambda path: path.stat().st_mtime)
    assert newest.stat().st_mtime <= page.stat().st_mtime, f"the page is older than {newest}: run `make www`"


@pytest.fixture(scope="session")
def seeded(built: None, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder of a stopped master with two weeks of builds, made by the first process that needs it."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "seeded"
    ready = folder / "ready"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            with Site(folder, config(), workers=()) as running:
                seed(running)
                stop_cleanly(running)
            ready.touch()
    return folder


@pytest.fixture(scope="session")
def site(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A master with two weeks of builds."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(seeded / "master", folder / "master")
    with Site(folder, config(), workers=()) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Headless Chromium."""
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


def launch(playwright: Playwright) -> Browser:
    """Start a Chromium."""
    program = shutil.which(CHROMIUM)
    assert program, f"there is no program {CHROMIUM}: install Debian's package of that name"
    return playwright.chromium.launch(executable_path=program, args=list(FLAGS))


class Visit:
    """A browser page that collects the errors of its scripts."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.errors: list[str] = []
        page.set_default_timeout(TIMEOUT_MS)
        page.on("pageerror", self._on_error)

    def _on_error(self, error: Any) -> None:
        # Buildbot's own page requests an icon that does not exist.
        if "icon" not in str(error.stack) and error.name != "AxiosError":
            self.errors.append(f"{error.name}: {error.message}\n{error.stack}")

    def go(self, route: str) -> Page:
        """Load ``route``, the fragment of the URL."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.url}#{route}")
        return self.page


@pytest.fixture
def open_at(chromium: Browser, site: Site) -> Iterator[Any]:
    """Open pages in new browser contexts; after the test, none may have a script error."""
    contexts, visits = [], []

    def opened(on: Site = site, patient: bool = False, **options: Any) -> Visit:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 1000}, "locale": "en-GB", **options})
        contexts.append(context)
        visits.append(Visit(context.new_page(), on.url))
        if patient:
            visits[-1].page.add_init_script(PATIENCE)
        return visits[-1]

    yield opened
    for context in contexts:
        context.close()
    assert [error for visit in visits for error in visit.errors] == []


@pytest.fixture
def visit(open_at: Any) -> Visit:
    """A page in a new browser context."""
    opened: Visit = open_at()
    return opened
