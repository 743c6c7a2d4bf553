"""The www plugin: how the page and the JSON API are mounted in Buildbot's web server."""

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
    """A master with the web root of Buildbot 4."""

    def __init__(self):
        root = Resource()
        root.putChild(b"plugins", Resource())
        self.www = SimpleNamespace(apps={"base": SimpleNamespace(resource=root)}, base_plugin_name="base")


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A plugin with a built page and a stub of the API."""

    class Api(Resource):
        def __init__(self, master):
            super().__init__()
            self.master = master

    monkeypatch.setattr(resource, "ApiResource", Api)
    page = plugin.MeasurementsPage()
    page.static_dir = tmp_path
    page.resource = plugin._Static(str(tmp_path))
    (tmp_path / "scripts.js").write_text("// built")
    return page


@pytest.fixture
def log_lines():
    """The lines that are logged."""
    lines = []

    def observe(event):
        lines.append(log.textFromEventDict(event))

    log.addObserver(observe)
    yield lines
    log.removeObserver(observe)


def test_version():
    """The version of the plugin is that of bbmeasure."""
    assert plugin.ep.version.strip() == bbmeasure.__version__


def test_api_is_mounted_once_for_a_master(page):
    """The API stays after a reconfiguration; another master gets an API of its own."""
    first, second = Master(), Master()
    page.setMaster(first)
    mounted = page.resource.getStaticEntity(b"api")
    page.setMaster(first)
    assert page.resource.getStaticEntity(b"api") is mounted
    assert mounted.master is first
    page.setMaster(second)
    assert page.resource.getStaticEntity(b"api").master is second


def test_built_page_is_revalidated(page):
    """A browser may cache the page but must revalidate it, so that an upgrade is shown at once."""
    request = DummyRequest([b"scripts.js"])
    request.method = b"GET"
    child = page.resource.getChild(b"scripts.js", request)
    child.render(request)
    assert request.responseHeaders.getRawHeaders(b"cache-control") == [b"no-cache"]


@pytest.mark.parametrize("path", [b"", b"folder", b"a\0b", b"\0", b"missing", b"x" * 5_000, b"\xff", b".."])
def test_only_files_are_served(page, path):
    """A folder is not listed, and a name that no file can have is not found."""
    (page.static_dir / "folder").mkdir()
    (page.static_dir / "folder" / "file").touch()
    request = DummyRequest([path])
    request.method = b"GET"
    child = page.resource.getChild(path, request)
    if path == b"folder":
        child = child.getChild(b"", request)
    child.render(request)
    assert request.responseCode == 404


def test_buildbot_3_serves_it_at_the_same_url(page):
    """Buildbot 3 gets a ``/plugins/`` with the page; the ``/plugins/`` of Buildbot 4 is not changed."""
    old, new = Master(), Master()
    del old.www.apps["base"].resource.children[b"plugins"]
    for master in (old, old, new):
        page.setMaster(master)
    plugins = old.www.apps["base"].resource.children[b"plugins"]
    assert plugins.children == {b"bbmeasure": page.resource}
    assert new.www.apps["base"].resource.children[b"plugins"].children == {}


def test_missing_page_is_logged_once(page, log_lines):
    """Without a built page the API is served, and one log message has the reason and the remedy."""
    (page.static_dir / "scripts.js").unlink()
    master = Master()
    page.setMaster(master)
    page.setMaster(master)
    messages = [line for line in log_lines if "was not built" in line]
    assert len(messages) == 1
    assert "npm" in messages[0]
    assert page.resource.getStaticEntity(b"api").master is master


def test_missing_page_does_not_break_buildbot_3(page):
    """An empty module is served, as the AngularJS page of Buildbot 3 requires a module of each plugin."""
    (page.static_dir / "scripts.js").unlink()
    page.setMaster(Master())
    answer = page.resource.getStaticEntity(b"scripts.js").render_GET(DummyRequest([b"scripts.js"]))
    assert b'angular.module("bbmeasure", [])' in answer


def test_built_page_logs_nothing(page, log_lines):
    """With a built page nothing is logged."""
    page.setMaster(Master())
    assert [line for line in log_lines if "bbmeasure" in line] == []


def test_importing_starts_no_thread():
    """The plugin is imported before twistd forks, and threads do not survive the fork."""
    code = "import threading; from bbmeasure.master import www; print(threading.active_count())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
