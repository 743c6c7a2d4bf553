"""Influxd: runs an influxd in a folder, on free loopback ports."""

from __future__ import annotations

import shutil
import time
import urllib.request
from pathlib import Path

from bbmeasure.errors import MeasureError
from bbmeasure.testing.site import START_TIMEOUT, Process, free_port

_CONFIG = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
"""


class Influxd:
    """Context manager that runs an influxd; MeasureError says how to install a missing one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: Process

    @property
    def url(self) -> str:
        """The server's URL."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Influxd:
        program = shutil.which("influxd")
        if program is None:
            raise MeasureError("influxd: expected it on this machine; on Debian: apt-get install influxdb")
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "influxdb.conf"
        config.write_text(_CONFIG.format(folder=self.folder, http=self.port, rpc=free_port()))
        self._process = Process([program, "-config", str(config)], self.folder, self.folder / "influxd.log")
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if not self._process.running or time.monotonic() > deadline:
                self._process.stop()
                raise MeasureError(f"influxd did not start:\n{self._process.tail()}")
            time.sleep(0.05)
        return self

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=2):  # noqa: S310 (loopback)
                return True
        except OSError:
            return False

    def __exit__(self, *_: object) -> None:
        self._process.stop()
