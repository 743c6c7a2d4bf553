"""Write throughput to influxd, compared with the influxdb client and with prepared requests.

``python -m benchmarks.influx_write``.  Requests of 5,000 points, best of several interleaved rounds.  bbmeasure
serializes and compresses a batch during the request of the previous one.
"""

from __future__ import annotations

import http.client
import random
import sys
import time
from collections.abc import Generator
from typing import Any

from influxdb import InfluxDBClient
from twisted.internet import defer, reactor

from bbmeasure.export.batch import BatchBuilder
from bbmeasure.export.exporter import MAX_BATCH
from bbmeasure.export.interfaces import Item
from bbmeasure.model import BuildContext, Point
from bbmeasure.storage.influxdb.client import InfluxClient
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from bbmeasure.storage.influxdb.server import Server
from tests.servers import Influxd

POINTS = 50_000
ROUNDS = 4
DATABASE = "bench"
#: Minimum ratio to the client, and to prepared requests; the goal for the first is 2.5.
MIN_OF_CLIENT, MIN_OF_RAW = 2.0, 0.6


def make_points() -> list[Item]:
    """Return points of ten builders and twenty series."""
    chance = random.Random(1)
    made = []
    for number in range(POINTS):
        build = BuildContext(
            f"builder{number % 10}",
            f"bot{number % 3}",
            number // 10,
            number // 10,
            "compile",
            "a" * 40,
            "main",
            "project",
        )
        value = chance.random() * 100
        time_ = 1_700_000_000_000_000_000 + number * 1_000
        made.append((number, Point(f"series{number % 20}", time_, value, {"platform": "linux"}, build)))
    return made


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


def write_raw(port: int, bodies: list[bytes]) -> None:
    """Send prepared requests, the maximum throughput of the server."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for body in bodies:
        connection.request("POST", f"/write?db={DATABASE}", body)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 204:
            raise SystemExit(f"influxd answered {answer.status}")
    connection.close()


def write_dicts(port: int, points: list[dict[str, Any]]) -> None:
    """Write with the client."""
    with InfluxDBClient("127.0.0.1", port, database=DATABASE, timeout=30) as client:
        for at in range(0, len(points), MAX_BATCH):
            client.write_points(points[at : at + MAX_BATCH], time_precision="n")


@defer.inlineCallbacks
def write_ours(port: int, items: list[Item]) -> Generator[Any, Any, None]:
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
    items = make_points()
    writer = LineWriter()
    lines = [writer.line(point) + "\n" for _, point in items]
    bodies = ["".join(lines[at : at + MAX_BATCH]).encode() for at in range(0, POINTS, MAX_BATCH)]
    dicts = [as_dict(point) for _, point in items]
    with Influxd() as server:
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
        failures[0].printTraceback()
        return 1
    for name, rate in best.items():
        print(f"{name:<8} {rate:10,.0f} points/s")
    over_client, over_raw = best["ours"] / best["client"], best["ours"] / best["raw"]
    print(f"ours over the client's dicts: {over_client:.2f}, at least {MIN_OF_CLIENT}")
    print(f"ours over raw bytes:          {over_raw:.2f}, at least {MIN_OF_RAW}")
    return 0 if over_client >= MIN_OF_CLIENT and over_raw >= MIN_OF_RAW else 1


if __name__ == "__main__":
    sys.exit(main())
