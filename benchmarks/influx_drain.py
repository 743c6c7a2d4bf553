"""CPU, throughput and reactor lag while the exporter drains a backlog of 10,000 lines from the journal into influxd.

``python -m benchmarks.influx_drain [POINTS]``; a day of 1,000 builders has 1,500,000, which take five minutes on an
idle machine: most of it the server's, which is why more points have fewer rounds.  CPU is that of this process.  The
peer of the throughput is the same requests, prepared and sent one after the other, in alternating rounds.  The
metadata of the lines, which a master writes once, is written before the rounds with a first point of each.  Lag is the
delay of a timer of one millisecond, in a round of its own; that of the idle reactor shows the machine's other load.
"""

from __future__ import annotations

import gc
import shutil
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from twisted.internet import defer, reactor, task

from bbmeasure.export.exporter import MAX_BATCH, READ, Exporter
from bbmeasure.export.metadata import MetadataExporter
from bbmeasure.storage.influxdb.client import InfluxClient
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from bbmeasure.storage.influxdb.server import Server
from bbmeasure.storage.sqlite.journal import JournalReader
from bbmeasure.storage.sqlite.store import SQLiteStorage
from benchmarks.backlog import fill
from benchmarks.influx_write import DATABASE, bodies_of, write_raw
from benchmarks.targets import Figures, load
from tests.servers import Influxd

POINTS = int(sys.argv[1]) if len(sys.argv) > 1 else 150_000
LINES = 10_000
ROUNDS = max(1, min(3, 500_000 // POINTS))
TICK = 0.001
#: Seconds without a point that arrives, after which the benchmark fails.
STALLED = 120.0


class Lag:
    """Delays of a timer of one millisecond, and the reactor's CPU from one tick to the next, in milliseconds.

    On a busy machine the delay is also that of other programs; the CPU is not.
    """

    def __init__(self) -> None:
        self.late: list[float] = []
        self.turns: list[float] = []
        self._cpu = time.thread_time()
        self._due = 0.0
        self._timer: Any = None

    def start(self) -> None:
        """Start the timer."""
        self._due = time.perf_counter() + TICK
        self._timer = reactor.callLater(TICK, self._tick)

    def _tick(self) -> None:
        cpu = time.thread_time()
        self.late.append((time.perf_counter() - self._due) * 1_000)
        self.turns.append((cpu - self._cpu) * 1_000)
        self._cpu = cpu
        self.start()

    def stop(self) -> dict[str, float]:
        """Stop the timer and return percentiles of the delays."""
        self._timer.cancel()
        late, turns = sorted(self.late), sorted(self.turns)
        return {
            "p99.9": late[int(len(late) * 0.999)],
            "maximum": late[-1],
            "p99.9 CPU": turns[int(len(turns) * 0.999)],
            "maximum CPU": turns[-1],
        }


@defer.inlineCallbacks
def idle_lag() -> Generator[Any, Any, dict[str, float]]:
    """The lag of the idle reactor."""
    gc.collect()
    lag = Lag()
    lag.start()
    yield task.deferLater(reactor, 2.0)
    return lag.stop()


@defer.inlineCallbacks
def drain(
    path: Path, points: int, client: InfluxClient, metadata: MetadataExporter
) -> Generator[Any, Any, tuple[float, float]]:
    """Points a second, and microseconds of CPU a point."""
    journal = SQLiteStorage(path, reactor=reactor)
    exporter = Exporter(journal, "bench", client, LineWriter(), reactor=reactor, metadata=metadata)
    began, cpu = time.perf_counter(), time.process_time()
    exporter.start()
    shipped, changed = 0, began
    while shipped < points:
        yield task.deferLater(reactor, 0.05)
        before, shipped = shipped, exporter.health().counters["shipped"]
        changed = time.perf_counter() if shipped > before else changed
        if time.perf_counter() - changed > STALLED:
            raise SystemExit(f"{shipped} of {points} points shipped, none within {STALLED:g} s: {exporter.health()}")
    took, used = time.perf_counter() - began, time.process_time() - cpu
    yield exporter.stop()
    yield journal.close()
    print(f"drained {points:,} points in {took:.1f} s", flush=True)
    return points / took, used / points * 1e6


@defer.inlineCallbacks
def run(figures: Figures) -> Generator[Any, Any, None]:
    """Print all figures."""
    with tempfile.TemporaryDirectory() as folder, Influxd() as server:
        server.query(f"CREATE DATABASE {DATABASE}")
        full, one_of_each = Path(folder) / "full.sqlite", Path(folder) / "lines.sqlite"
        fill(full, POINTS, LINES, "bench")
        fill(one_of_each, LINES, LINES, "bench")
        bodies = bodies_of(full)
        print(f"wrote {POINTS:,} points to the journal", flush=True)
        idle = yield idle_lag()
        client = InfluxClient(reactor, Server(server.url, DATABASE))
        metadata = MetadataExporter(client, "bench", clock=reactor, monotonic=time.monotonic)
        yield drain(one_of_each, LINES, client, metadata)
        drained, raw = [], []
        for number in range(ROUNDS):
            drained.append((yield drain(copy_of(full, number), POINTS, client, metadata)))
            began = time.perf_counter()
            write_raw(server.port, bodies)
            raw.append(POINTS / (time.perf_counter() - began))
        lag = Lag()
        lag.start()
        yield drain(copy_of(full, ROUNDS), POINTS, client, metadata)
        late = lag.stop()
        reading = reading_of(full)
        landed = sum(row["count"] for row in server.rows("SELECT count(value) FROM /series.*/", DATABASE))
    if landed != POINTS:
        raise SystemExit(f"{landed} of {POINTS} points landed")
    rate = max(each for each, _ in drained)
    beside = f"{rate:,.0f} points/s, raw {max(raw):,.0f}"
    why = f"the server waits while points are read, {reading:.1f} us each; {load()}"
    figures.show_least(
        f"a backlog of {POINTS:,} points, throughput beside raw bytes", rate / max(raw), "times", 0.6, beside, why=why
    )
    why = f"reading it from the journal takes {reading:.1f} us"
    figures.show("draining a point, CPU", min(cpu for _, cpu in drained), "us", 12, why=why)
    for name, most in (("p99.9", 20.0), ("maximum", 100.0)):
        beside = f"idle {idle[name]:.1f} ms"
        why = (
            f"the reactor's own turns took {late[f'{name} CPU']:.1f} ms of CPU, the rest is other programs and threads"
        )
        most = max(most, 2 * idle[name])
        figures.show(f"reactor lag meanwhile, {name}", late[name], "ms", most, beside, why=why)


def reading_of(path: Path) -> float:
    """Microseconds of CPU to read a pending point and what it refers to."""
    with JournalReader(path) as reader:
        reader.pending("bench", READ * MAX_BATCH)  # the lines are kept for the next read
        began = time.process_time()
        read = len(reader.pending("bench", READ * MAX_BATCH))
        return (time.process_time() - began) / read * 1e6


def copy_of(journal: Path, number: int) -> Path:
    """A copy of a journal, to drain; each has a name of its own, as SQLite would apply the -wal of an earlier one."""
    return Path(shutil.copy(journal, journal.with_name(f"round{number}.sqlite")))


def main() -> int:
    """Print the figures; returns 1 if a target is missed."""
    figures, failures = Figures(), []

    def start() -> None:
        run(figures).addErrback(failures.append).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    reactor.run()
    for failure in failures:
        failure.printTraceback(sys.stderr)
    return 2 if failures else figures.status


if __name__ == "__main__":
    sys.exit(main())
