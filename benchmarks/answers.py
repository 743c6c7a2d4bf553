"""Questions answered by the journal and by InfluxDB (``answers=True``), over the same points.

``python -m benchmarks.answers [POINTS]``, 500,000 by default; of 10,000 lines.  Milliseconds are CPU: the journal's
that of this process, InfluxDB's that of this process and of influxd.  20 million points take half an hour.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Callable

import psutil
from twisted.internet import defer, reactor

from bbmeasure import statistics
from bbmeasure.errors import StorageError
from bbmeasure.export.exporter import MAX_BATCH
from bbmeasure.model import Query
from bbmeasure.storage.influxdb.client import InfluxClient
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from bbmeasure.storage.influxdb.server import Server
from bbmeasure.storage.influxdb.store import InfluxStorage
from bbmeasure.storage.sqlite import overview
from bbmeasure.storage.sqlite.journal import JournalReader
from bbmeasure.storage.sqlite.store import SQLiteStorage
from bbmeasure.testing.influxd import Influxd
from benchmarks.backlog import batches, fill
from benchmarks.influx_write import DATABASE, write_raw

POINTS = int(sys.argv[1]) if len(sys.argv) > 1 else 500_000
LINES = 10_000
ROUNDS = 3
#: Seconds until a query fails, and of CPU after which it is not repeated.
TIMEOUT, LONG = 900.0, 5.0
STATISTICS = statistics.find_all(["average", "deviation", "minimum", "maximum", "p95", "count", "last"])


def questions(store: Any) -> dict[str, Callable[[], Any]]:
    """The queries of the page, the API and getters."""
    one, every = Query("series1", builder="builder1"), Query("series1")
    return {
        "statistics of a series of a builder": lambda: store.summarize(one, STATISTICS),
        "statistics of a series of all builders": lambda: store.summarize(every, STATISTICS),
        "200 buckets of a series of all builders": lambda: store.buckets(every, 200),
        "the newest 1,000 points": lambda: store.points(every, 1_000),
        "the lines of a series": lambda: store.lines(every),
        "the points of a build": lambda: store.records(7),
        "the list of series": lambda: store.series(),
    }


def server_process() -> psutil.Process:
    """The influxd that this process runs."""
    return next(child for child in psutil.Process().children(recursive=True) if "influxd" in child.name())


def cpu_of(server: psutil.Process) -> float:
    """Milliseconds of CPU of influxd."""
    times = server.cpu_times()
    return (times.user + times.system) * 1e3


@defer.inlineCallbacks
def least(ask: Callable[[], Any], cpu: Callable[[], float]) -> Generator[Any, Any, float]:
    """The least milliseconds of CPU of several calls, or of the first if it is long."""
    spent: list[float] = []
    while len(spent) < ROUNDS and not (spent and spent[0] > LONG * 1e3):
        before = cpu()
        yield ask()
        spent.append(cpu() - before)
    return min(spent)


def bodies() -> Iterator[bytes]:
    """The requests that write all points."""
    writer = LineWriter()
    for batch in batches(POINTS, LINES, MAX_BATCH):
        yield "".join(writer.line(point) + "\n" for point in batch).encode()


@defer.inlineCallbacks
def run(folder: Path) -> Generator[Any, Any, None]:
    """Print all figures."""
    print(f"{POINTS:,} points of {LINES:,} lines")
    path = folder / "journal.sqlite"
    begun = time.process_time()
    fill(path, POINTS, LINES, "bench")
    writing, size = (time.process_time() - begun) / POINTS * 1e6, path.stat().st_size / POINTS
    print(f"journal: {size:.0f} bytes a point with its outbox, {writing:.0f} us of CPU to write one", flush=True)
    with Influxd(folder / "influxdb") as server:
        process = server_process()
        journal = SQLiteStorage(path, reactor=reactor)
        client = InfluxClient(reactor, Server(server.url, DATABASE, timeout=TIMEOUT))
        yield client.create_database()
        before = cpu_of(process)
        write_raw(server.port, bodies())
        taking = (cpu_of(process) - before) / POINTS * 1e3
        memory = process.memory_info().rss / 2**20
        on_disk = sum(file.stat().st_size for file in (folder / "influxdb").rglob("*") if file.is_file())
        print(
            f"influxd: {on_disk / POINTS:.0f} bytes a point, {taking:.0f} us of CPU to take one, {memory:.0f} MiB",
            flush=True,
        )
        own = lambda: time.process_time() * 1e3  # noqa: E731
        both = lambda: time.process_time() * 1e3 + cpu_of(process)  # noqa: E731
        remote = questions(InfluxStorage("InfluxDBInstance", client, clock=reactor))
        local = questions(journal)
        reader = JournalReader(path)
        local["the list of series"] = lambda: reader.read(overview.series)  # without the list that a reader keeps
        for name, ask in local.items():
            ours = yield least(ask, own)
            try:
                theirs = yield least(remote[name], both)
                print(f"{name:<44} journal {ours:9.1f} ms  InfluxDB {theirs:9.1f} ms of CPU", flush=True)
            except StorageError as error:
                print(f"{name:<44} journal {ours:9.1f} ms  InfluxDB failed: {error}", flush=True)
        client.close()
        reader.close()
        yield journal.close()


def main() -> int:
    """Print the figures; they have no target."""
    failures: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:

        def start() -> None:
            run(Path(folder)).addErrback(failures.append).addBoth(lambda _: reactor.stop())

        reactor.callWhenRunning(start)
        reactor.run()
    for failure in failures:
        failure.printTraceback(sys.stderr)
    return 2 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
