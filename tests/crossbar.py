"""WAMP router for tests, the message queue of several masters.

Crossbar requires other releases of packages in bbmeasure's environment.  It is installed into a separate environment in
``.cache/`` on first use.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import socket
import subprocess
import sys
import venv
from pathlib import Path
from types import TracebackType
from typing import Optional

from bbmeasure.testing.site import free_port
from tests.servers import Server

CROSSBAR = "crossbar==26.10.1"
_CACHE = Path(__file__).resolve().parents[1] / ".cache" / "crossbar"
_EVERYTHING = {"call": True, "register": True, "publish": True, "subscribe": True}


def crossbar_program() -> Path:
    """Return the path of the program, after installing it if necessary."""
    ready = _CACHE / f"ready-{CROSSBAR}-{sys.version_info[0]}.{sys.version_info[1]}"
    _CACHE.parent.mkdir(exist_ok=True)
    with Path(f"{_CACHE}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests of two processes may want it
        if not ready.exists():
            _install()
            ready.touch()
    return _CACHE / "bin" / "crossbar"


def _install() -> None:
    shutil.rmtree(_CACHE, ignore_errors=True)
    venv.create(_CACHE, with_pip=True)
    pip = [_CACHE / "bin" / "python", "-m", "pip", "install", "--quiet", CROSSBAR]
    subprocess.run(pip, check=True, stdin=subprocess.DEVNULL, timeout=540)


class Crossbar(Server):
    """Router with the realm ``buildbot``, which anonymous clients can use."""

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        anybody = {"name": "anonymous", "permissions": [{"uri": "", "match": "prefix", "allow": _EVERYTHING}]}
        endpoint = {"type": "tcp", "interface": "127.0.0.1", "port": self.port}
        router = {
            "type": "router",
            "realms": [{"name": "buildbot", "roles": [anybody]}],
            "transports": [{"type": "websocket", "endpoint": endpoint}],
        }
        (self.folder / "config.json").write_text(json.dumps({"version": 2, "workers": [router]}))

    @property
    def router_url(self) -> str:
        """URL for ``c["mq"]``."""
        return f"ws://127.0.0.1:{self.port}/"

    def command(self) -> list[str]:
        """Return the command line, which runs the router in the foreground."""
        return [str(crossbar_program()), "start", "--cbdir", str(self.folder)]

    def is_ready(self) -> bool:
        """Return whether the port is open."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.stop()  # a killed router leaves its worker process behind
        super().__exit__(kind, error, trace)
