"""Site: what it writes into a master's folder."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from bbmeasure.testing import site as testing_site
from bbmeasure.testing.site import Site

_WRITE_IN_A_THREAD = """
import json, sys, threading
from twisted.internet import reactor, threads as twisted_threads
from buildbot.www.rest import V2RootResource

class Request:
    method = b"GET"
    channel = object()
    finished = False

    def setHeader(self, name, value):
        pass

    def write(self, data):
        print(threading.current_thread() is threading.main_thread())

def write():
    writing = twisted_threads.deferToThread(V2RootResource._write_json_data, Request(), json.JSONEncoder(), "text")
    return writing.addErrback(print).addBoth(lambda _: reactor.stop())

reactor.callWhenRunning(write)
reactor.run()
"""


@pytest.mark.slow
@pytest.mark.buildbot_since("4.2", "its REST API writes in the reactor")
@pytest.mark.parametrize(("mended", "in_the_reactor"), [(False, "False"), (True, "True")])
def test_the_rest_api_writes_in_the_reactor(tmp_path: Path, mended: bool, in_the_reactor: str) -> None:
    """Buildbot's REST API writes in a thread until the lines of the site's buildbot.tac mend it."""
    site = Site(tmp_path, "")
    tac = (site.master_dir / "buildbot.tac").read_text() if mended else ""
    command = [sys.executable, "-c", tac + _WRITE_IN_A_THREAD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.split(), done.returncode) == ([in_the_reactor], 0), done.stderr


@pytest.mark.parametrize(("config", "upgrades"), [("", 1), ('c["db"] = {"db_url": "postgresql://h/b"}', 2)])
def test_an_empty_database_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, upgrades: int
) -> None:
    """The second site gets a copy, unless master.cfg names another database, and a database of its own is kept."""
    upgraded = []

    def upgrade(site: Site, *arguments: str) -> None:
        upgraded.append(arguments[0])
        (site.master_dir / "state.sqlite").write_bytes(b"empty")

    monkeypatch.setattr(testing_site, "_databases", {})
    monkeypatch.setattr(Site, "_run_buildbot", upgrade)
    monkeypatch.setattr(Site, "start_master", lambda _: None)
    sites = [Site(tmp_path / name, config, workers=()) for name in ("first", "second")]
    for site in sites:
        site.start()
        assert (site.master_dir / "state.sqlite").read_bytes() == b"empty"
        (site.master_dir / "state.sqlite").write_bytes(b"used")
        site.start()
        assert (site.master_dir / "state.sqlite").read_bytes() == b"used"
    assert upgraded == ["upgrade-master"] * upgrades


def test_free_ports_of_several_processes_differ() -> None:
    """Processes that run at the same time get different ports, each of which a server can bind."""
    code = (
        "import socket; from bbmeasure.testing.site import free_port\n"
        "for port in [free_port() for _ in range(250)]:\n"
        "    socket.create_server(('127.0.0.1', port)).close(); print(port)\n"
        "print(flush=True); input()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(subprocess.Popen([sys.executable, "-c", code], **pipes)) for _ in range(2)]
        ports = [list(iter(process.stdout.readline, "\n")) for process in running]
        for process in running:
            process.communicate("\n", timeout=60)
    assert len({port for found in ports for port in found}) == 500
