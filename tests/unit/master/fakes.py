"""A master that runs nothing, for tests of services."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet import defer, reactor


class FakeMaster:
    """As much of a master as an instance and the metrics need."""

    masterid = 1
    running = True

    def __init__(self, folder: Path, name: str = "master") -> None:
        folder.mkdir(exist_ok=True)
        self.basedir = str(folder)
        self.name = name
        self.reactor = reactor
        self.master = self
        self.namedServices: dict[str, Any] = {}
        self.config = SimpleNamespace(services={})
        self.metrics = SimpleNamespace(enabled=True)
        self.botmaster = SimpleNamespace(builders={})
        self.workers = SimpleNamespace(workers={})
        self.mq = SimpleNamespace(
            startConsuming=lambda callback, key: defer.succeed(SimpleNamespace(stopConsuming=lambda: None))
        )
        requests = SimpleNamespace(getBuildRequests=lambda **_: defer.succeed([]))
        self.db = SimpleNamespace(buildrequests=requests)
