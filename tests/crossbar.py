"""A real WAMP router, which several masters of one Buildbot have for their message queue.

Crossbar wants other releases of much that bbmeasure's own environment holds, so that it has an environment of its own
in ``.cache/``, made at first use and kept for the next time.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import venv
from pathlib import Path
from types import TracebackType
from typing import Optional

from tests.servers import Server, free_port

CROSSBAR = "crossbar==26.10.1"
_CACHE = Path(__file__).resolve().parents[1] / ".cache" / "crossbar"
_EVERYTHING = {"call": True, "register": True, "publish": True, "subscribe": True}


def crossbar_program() -> Path:
    """The program, installed if it is not there yet."""
    ready = _CACHE / f"ready-{CROSSBAR}-{sys.version_info[0]}.{sys.version_info[1]}"
    if not ready.exists():
        shutil.rmtree(_CACHE, ignore_errors=True)
        venv.create(_CACHE, with_pip=True)
        subprocess.run(
            [_CACHE / "bin" / "python", "-m", "pip", "install", "--quiet", CROSSBAR],
            check=True,
            stdin=subprocess.DEVNULL,
            timeout=540,
        )
        ready.touch()
    return _CACHE / "bin" / "crossbar"


class Crossbar(Server):
    """A router with the realm ``buildbot``, where anybody may do anything."""

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
        """What ``c["mq"]`` wants to know."""
        return f"ws://127.0.0.1:{self.port}/"

    def command(self) -> list[str]:
        """The router in the foreground, all its files in its folder."""
        return [str(crossbar_program()), "start", "--cbdir", str(self.folder)]

    def is_ready(self) -> bool:
        """Whether its port is open."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.stop()  # killed, it would leave the process of its realm
        super().__exit__(kind, error, trace)
