"""Exporters of a journal to real servers, for tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import influxdb
import pytest_twisted
from twisted.internet import defer, reactor, task
from twisted.logger import LogEvent

from bbmeasure.export.exporter import Exporter
from bbmeasure.export.interfaces import OutboxLimits
from bbmeasure.export.metadata import MetadataExporter
from bbmeasure.model import BuildContext, Point
from bbmeasure.storage.influxdb.client import InfluxClient
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from bbmeasure.storage.influxdb.server import Server
from bbmeasure.storage.sqlite.store import SQLiteStorage
from tests.servers import Influxd

inlineCallbacks = pytest_twisted.inlineCallbacks
SECRET = "s3cr3t-w0rd"
BUILD = BuildContext("first", "bot1", 1, 101, "measure", "abc")
NOW = 1_700_000_000_000_000_000


def points(count: int, series: str = "size", start: int = 0, **more: Any) -> list[Point]:
    return [
        Point(series, NOW + number, number / 2, {"k": "v"}, BUILD, **more) for number in range(start, start + count)
    ]


class Bench:
    """A journal in a file, and exporters of it."""

    def __init__(self, folder: Path) -> None:
        self.journal = SQLiteStorage(folder / "journal.sqlite", reactor=reactor)
        self.exporters: list[Exporter] = []
        self.logged: list[LogEvent] = []
        self.forward = 0.0

    def ship(
        self, url: str, name: str = "sink", *, master: str = "one", writer: Optional[LineWriter] = None, **options: Any
    ) -> Exporter:
        create = options.pop("create_database", True)
        limits = options.pop("limits", OutboxLimits())
        client = InfluxClient(reactor, Server(url, options.pop("database", "t"), **options))
        clock = SimpleNamespace(seconds=lambda: reactor.seconds() + self.forward)
        metadata = MetadataExporter(client, master, clock=clock, monotonic=lambda: time.monotonic() + self.forward)
        exporter = Exporter(
            self.journal,
            name,
            client,
            writer or LineWriter(),
            reactor=reactor,
            metadata=metadata if master else None,
            create_database=create,
            limits=limits,
            random=lambda: 0.1,
        )
        self.exporters.append(exporter)
        exporter.start()
        return exporter

    @defer.inlineCallbacks
    def until(self, what: str, true: Callable[[], Any], timeout: float = 300.0) -> Generator[Any, Any, None]:
        end = time.monotonic() + timeout
        while True:
            answer = yield defer.maybeDeferred(true)
            if answer:
                return
            if time.monotonic() > end:
                raise TimeoutError(f"{what}; {[one.health() for one in self.exporters]}")
            yield task.deferLater(reactor, 0.02)

    def shipped(self, name: str = "sink") -> Any:
        """Wait until the outbox is empty."""

        @defer.inlineCallbacks
        def empty() -> Generator[Any, Any, bool]:
            return (yield self.journal.backlog(name)).count == 0

        for exporter in self.exporters:
            exporter.wake()
        return self.until("the outbox to be empty", empty)

    @defer.inlineCallbacks
    def close(self) -> Generator[Any, Any, None]:
        for exporter in self.exporters:
            yield exporter.stop()
        yield self.journal.close()
        yield task.deferLater(reactor, 0.02)


def landed(server: Influxd, series: str = "size", database: str = "t") -> list[dict[str, Any]]:
    """Return the points of a series, read by the influxdb client."""
    client = influxdb.InfluxDBClient("127.0.0.1", server.port, database=database, timeout=60, retries=1)
    try:
        found = client.query(f'SELECT * FROM "{series}"', epoch="ns")
        return list(found.get_points())
    finally:
        client.close()


def stored_metadata(server: Influxd, series: str = "size") -> Any:
    """Return the latest metadata of a series on the server."""
    found = server.rows(f"""SELECT * FROM bbmeasure_series WHERE "series" = '{series}'""", "t")
    return (found[-1]["kind"], found[-1]["unit"], found[-1]["better"]) if found else None
