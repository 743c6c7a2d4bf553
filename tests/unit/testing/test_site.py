"""Site: what it writes into a master's folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.buildbot_since("4.2", "its REST API writes in the reactor")
@pytest.mark.parametrize(("mended", "in_the_reactor"), [(False, "False"), (True, "True")])
def test_the_rest_api_writes_in_the_reactor(tmp_path: Path, mended: bool, in_the_reactor: str) -> None:
    """Buildbot's REST API writes in a thread until the lines of the site's buildbot.tac mend it."""
    site = Site(tmp_path, "")
    tac = (site.master_dir / "buildbot.tac").read_text() if mended else ""
    command = [sys.executable, "-c", tac + _WRITE_IN_A_THREAD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.split(), done.returncode) == ([in_the_reactor], 0), done.stderr
