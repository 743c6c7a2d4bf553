"""Write throughput to influxd, compared with the influxdb client and with prepared requests.

``python -m benchmarks.influx_write``.  Requests of 5,000 points of 10,000 lines, best of several interleaved rounds.
bbmeasure serializes and compresses rows of the journal, a batch during the request of the previous one.
"""

from __future__ import annotations

import http.client
import sys
import tempfile
import time
from collections.abc import Generator, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from influxdb import InfluxDBClient
from twisted.internet import defer, reactor

from bbmeasure.export.batch import BatchBuilder, serialize
from bbmeasure.export.exporter import MAX_BATCH
from bbmeasure.model import Point
from bbmeasure.storage.influxdb.client import InfluxClient
from bbmeasure.storage.influxdb.line_protocol import SLICE, LineWriter
from bbmeasure.storage.influxdb.server import Server
from bbmeasure.storage.sqlite.journal import JournalReader
from benchmarks.backlog import fill
from benchmarks.targets import Figures
from tests.servers import Influxd

POINTS = 50_000
LINES = 10_000
ROUNDS = 4
#: Attempts to write a request.
ATTEMPTS = 10
DATABASE = "bench"


def bodies_of(journal: Path) -> list[bytes]:
    """The requests of the pending points of a journal."""
    with JournalReader(journal) as reader:
        items = reader.pending("bench", 10_000_000)
    slices = serialize(LineWriter(), items)
    return [b"".join(lines for lines, _ in islice(slices, MAX_BATCH // SLICE)) for _ in range(0, len(items), MAX_BATCH)]


def as_dict(point: Point) -> dict[str, Any]:
    """Return a point in the client's format."""
    assert point.build is not None
    fields = {
        "value": point.value,
        "build": point.build.build,
        "buildid": point.build.buildid,
        "revision": point.build.revision,
        "branch": point.build.branch,
        "project": point.build.project,
        "step": point.build.step,
    }
    tags = {**point.tags, "builder": point.builder, "worker": point.worker}
    return {"measurement": point.series, "tags": tags, "time": point.time, "fields": fields}


def write_raw(port: int, bodies: Iterable[bytes]) -> None:
    """Send prepared requests, the maximum throughput of the server; repeats those that a busy server gave up."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for body in bodies:
        for _ in range(ATTEMPTS):
            connection.request("POST", f"/write?db={DATABASE}", body)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 500:  # a write timeout of the server
                break
        if answer.status != 204:
            raise SystemExit(f"influxd answered {answer.status}: {text.decode()}")
    connection.close()


def write_dicts(port: int, points: list[dict[str, Any]]) -> None:
    """Write with the client."""
    with InfluxDBClient("127.0.0.1", port, database=DATABASE, timeout=30) as client:
        for at in range(0, len(points), MAX_BATCH):
            client.write_points(points[at : at + MAX_BATCH], time_precision="n")


@defer.inlineCallbacks
def write_ours(port: int, items: Any) -> Generator[Any, Any, None]:
    """Serialize and send the points as the exporter does."""
    client = InfluxClient(reactor, Server(f"http://127.0.0.1:{port}", DATABASE))
    builder = BatchBuilder(LineWriter(), reactor, gzip=True, monotonic=time.monotonic)
    at, building = 0, builder.build(items, 0, MAX_BATCH)
    while at < len(items):
        batch = yield building
        at += len(batch.items)
        building = builder.build(items, at, MAX_BATCH)
        yield client.write(batch.body, gzipped=batch.gzipped)
    client.close()


@defer.inlineCallbacks
def run(best: dict[str, float]) -> Generator[Any, Any, None]:
    """Measure the points per second of each way."""
    with tempfile.TemporaryDirectory() as folder, Influxd() as server:
        path = Path(folder) / "journal.sqlite"
        fill(path, POINTS, LINES, "bench")
        bodies = bodies_of(path)
        with JournalReader(path) as reader:
            items = reader.pending("bench", POINTS)
        dicts = [as_dict(point) for _, point in items]
        server.query(f"CREATE DATABASE {DATABASE}")
        write_raw(server.port, bodies)
        for _ in range(ROUNDS):
            for name, work in (
                ("raw", lambda: write_raw(server.port, bodies)),
                ("client", lambda: write_dicts(server.port, dicts)),
                ("ours", lambda: write_ours(server.port, items)),
            ):
                began = time.perf_counter()
                yield defer.maybeDeferred(work)
                best[name] = max(best.get(name, 0.0), POINTS / (time.perf_counter() - began))


def main() -> int:
    """Print the figures and ratios; returns 1 if a target is missed."""
    best: dict[str, float] = {}
    failures: list[Any] = []

    def start() -> None:
        run(best).addErrback(failures.append).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    reactor.run()
    if failures:
        failures[0].printTraceback(sys.stderr)
        return 1
    figures = Figures()
    rates = ", ".join(f"{name} {rate:,.0f}" for name, rate in best.items())
    figures.show_least("ours over raw bytes", best["ours"] / best["raw"], "times", 0.7, f"points/s: {rates}")
    why = f"at {LINES:,} lines raw bytes are {best['raw'] / best['client']:.2f} times as fast as the client's dicts"
    figures.show_least("ours over the client's dicts", best["ours"] / best["client"], "times", 2.5, why=why)
    return figures.status


if __name__ == "__main__":
    sys.exit(main())
