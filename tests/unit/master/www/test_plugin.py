"""The www plugin: how Buildbot's web server comes to the page and to the JSON API."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
from twisted.python import log
from twisted.web.resource import Resource
from twisted.web.test.requesthelper import DummyRequest

import bbmeasure
from bbmeasure.master.www import plugin, resource


class Master:
    """A master whose web server has a root, as Buildbot 4 hands it over."""

    def __init__(self):
        root = Resource()
        root.putChild(b"plugins", Resource())
        self.www = SimpleNamespace(apps={"base": SimpleNamespace(resource=root)}, base_plugin_name="base")


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A plugin with a built page, and an API that only knows its master."""

    class Api(Resource):
        def __init__(self, master):
            super().__init__()
            self.master = master

    monkeypatch.setattr(resource, "ApiResource", Api)
    made = plugin.MeasurementsPage()
    made.static_dir = tmp_path
    made.resource = plugin._Static(str(tmp_path))
    (tmp_path / "scripts.js").write_text("// built")
    return made


@pytest.fixture
def said():
    """What is written to the log."""
    lines = []

    def observe(event):
        lines.append(log.textFromEventDict(event))

    log.addObserver(observe)
    yield lines
    log.removeObserver(observe)


def test_version_is_the_packages():
    """What Buildbot shows as the plugin's version is the version of bbmeasure."""
    assert plugin.ep.version.strip() == bbmeasure.__version__


def test_api_is_mounted_once_for_a_master(page):
    """A reconfig hands over the same master again, and its API stays; another master gets one of its own."""
    first, second = Master(), Master()
    page.setMaster(first)
    mounted = page.resource.getStaticEntity(b"api")
    page.setMaster(first)
    assert page.resource.getStaticEntity(b"api") is mounted
    assert mounted.master is first
    page.setMaster(second)
    assert page.resource.getStaticEntity(b"api").master is second


def test_built_page_is_asked_about_each_time(page):
    """A browser may keep the page but asks whether it changed, so that an upgrade is seen at once."""
    request = DummyRequest([b"scripts.js"])
    request.method = b"GET"
    child = page.resource.getChild(b"scripts.js", request)
    child.render(request)
    assert request.responseHeaders.getRawHeaders(b"cache-control") == [b"no-cache"]


def test_buildbot_3_serves_it_at_the_same_address(page):
    """There a plugin is at ``/NAME``: it is below ``/plugins/`` too, and what Buildbot 4 has there stays as it is."""
    old, new = Master(), Master()
    del old.www.apps["base"].resource.children[b"plugins"]
    for master in (old, old, new):
        page.setMaster(master)
    plugins = old.www.apps["base"].resource.children[b"plugins"]
    assert plugins.children == {b"bbmeasure": page.resource}
    assert new.www.apps["base"].resource.children[b"plugins"].children == {}


def test_missing_page_is_said_once(page, said):
    """Without a built page the API is served, and the log says once what is missing and how to get it."""
    (page.static_dir / "scripts.js").unlink()
    master = Master()
    page.setMaster(master)
    page.setMaster(master)
    told = [line for line in said if "was not built" in line]
    assert len(told) == 1
    assert "npm" in told[0]
    assert page.resource.getStaticEntity(b"api").master is master


def test_missing_page_does_not_break_buildbots(page):
    """Buildbot 3's AngularJS page shows nothing at all where a plugin has no module: an empty one stands in."""
    (page.static_dir / "scripts.js").unlink()
    page.setMaster(Master())
    answer = page.resource.getStaticEntity(b"scripts.js").render_GET(DummyRequest([b"scripts.js"]))
    assert b'angular.module("bbmeasure", [])' in answer


def test_built_page_needs_no_word(page, said):
    """Where all is well the log stays as it is."""
    page.setMaster(Master())
    assert [line for line in said if "bbmeasure" in line] == []


def test_importing_starts_no_thread():
    """The plugin is imported before twistd forks: a thread of that time would be dead in the daemon."""
    code = "import threading; from bbmeasure.master import www; print(threading.active_count())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
