"""CPU time of writing a value to the journal, and the lag of the reactor meanwhile.

``python -m benchmarks.storage_write``.  CPU is that of the whole process, the journal's threads included; the peer is
``executemany`` of the rows alone.  Each value is one write, like a step's.  Lag is the delay of a timer of one
millisecond over all rounds; beside it are the lag of an idle reactor on the same machine and the longest garbage
collection, which grows with the number of objects in the process.
"""

from __future__ import annotations

import gc
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Callable

import psutil
from twisted.internet import defer, reactor, task

from bbmeasure.capture.identity import Value
from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.model import BuildContext, Point
from bbmeasure.records import Record
from bbmeasure.storage.sqlite.store import SQLiteStorage
from benchmarks.targets import Figures

BUILD = BuildContext("builder", "worker", 1, 1, "step", "0123456789abcdef", "main", "project")
SERIES = [f"series {n}" for n in range(50)]
#: The series of the measurement of 10,000 lines.
MANY_SERIES = [f"series {n}" for n in range(10_000)]
#: The number of values written in one iteration of the reactor.
AT_ONCE = 100
TICK = 0.001
ROUNDS = 5
TITLES = {
    "write": "10,000 values in 0.5 s",
    "exporter": "the same with an exporter",
    "many": "100,000 values in 2 s",
    "lines": "100,000 values of 10,000 lines in 2 s",
    "capture": "10,000 values in 0.5 s by capture",
}


class Lag:
    """The delays of a timer and the longest garbage collection, in milliseconds."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self._loop = task.LoopingCall(self._tick)
        self._due: float = 0.0
        self.collection = 0.0
        self._collecting = 0.0

    def _collected(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = time.perf_counter()
        else:
            self.collection = max(self.collection, (time.perf_counter() - self._collecting) * 1000)

    def _tick(self) -> None:
        now = time.perf_counter()
        if self._due:
            self.delays.append(max(0.0, now - self._due) * 1000)
        self._due = now + TICK

    def start(self) -> None:
        """Start the timer."""
        gc.callbacks.append(self._collected)
        self._due = 0.0
        self._loop.start(TICK)

    def stop(self) -> None:
        """Stop the timer."""
        gc.callbacks.remove(self._collected)
        self._loop.stop()
        self.delays.sort()

    def percentile(self, percentile: float) -> float:
        """A percentile of the delays."""
        return self.delays[min(len(self.delays) - 1, int(len(self.delays) * percentile / 100))]


class Run:
    """Writes ``count`` values, ``AT_ONCE`` every ``pause`` seconds, and measures the CPU time until all are on disk.

    ``cpu`` is in microseconds per value.
    """

    def __init__(self, count: int, write: Callable[[int], defer.Deferred[Any]], lag: Lag, pause: float = 0.0) -> None:
        self.count = count
        self.pause = pause
        self.write = write
        self.lag = lag
        self.cpu = 0.0
        self._left = count

    @defer.inlineCallbacks
    def go(self) -> Generator[Any, Any, None]:
        """Write all values."""
        all_written: defer.Deferred[None] = defer.Deferred()

        def one_written(_: Any) -> None:
            self._left -= 1
            if not self._left:
                all_written.callback(None)

        gc.collect()
        self.lag.start()
        cpu = time.process_time()
        for first in range(0, self.count, AT_ONCE):
            for number in range(first, first + AT_ONCE):
                self.write(number).addBoth(one_written)
            yield task.deferLater(reactor, self.pause, lambda: None)
        yield all_written
        self.cpu = (time.process_time() - cpu) / self.count * 1e6
        self.lag.stop()


def bare(folder: str, count: int = 10_000, lines: int = 50, in_commit: int = 1_000) -> float:
    """Microseconds of CPU per value for the rows alone, ``in_commit`` in a transaction, each synced."""
    connection = sqlite3.connect(Path(folder) / f"bare{in_commit}.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE points(stream INTEGER, time INTEGER, value REAL, build INTEGER, step INTEGER, "
        "PRIMARY KEY(stream, time)) WITHOUT ROWID"
    )
    cpu = time.process_time()
    for first in range(0, count, in_commit):
        connection.execute("BEGIN")
        rows = [(n % lines, n, n * 0.5, 256, 1) for n in range(first, first + in_commit)]
        connection.executemany("INSERT INTO points VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute("COMMIT")
    taken = time.process_time() - cpu
    connection.close()
    return taken / count * 1e6


def writing(storage: SQLiteStorage, series: Sequence[str]) -> Callable[[int], defer.Deferred[Any]]:
    """A function that writes value ``n`` to a store."""
    start = time.time_ns()
    return lambda n: storage.write([Point(series[n % len(series)], start + n, n * 0.5, {"target": "core"}, BUILD)])


def capturing(capture: Pipeline) -> Callable[[int], defer.Deferred[Any]]:
    """The same for a Record, through the capture pipeline."""
    return lambda n: capture.capture(Value(Record(SERIES[n % 50], n * 0.5, tags={"target": "core"}), BUILD))


@defer.inlineCallbacks
def measure(what: str, folder: str, figures: Figures) -> Generator[Any, Any, None]:
    """Run one of the measurements of TITLES, each in a process of its own."""
    storage = SQLiteStorage(Path(folder) / "journal.sqlite", reactor=reactor)
    yield storage.series()
    beside, why = "", f"bare rows with a commit for {AT_ONCE} values take {bare(folder, in_commit=AT_ONCE):.1f} us"
    write, count, most, pause = writing(storage, SERIES), 10_000, 30.0, 0.005
    if what == "write":
        beside = f"bare rows {bare(folder):.1f}"
    elif what == "exporter":
        yield storage.attach_exporter("exporter")
        most = 35.0
    elif what == "many":
        count, most, pause = 100_000, 30.0, 0.002
    elif what == "lines":
        write, count, most, pause = writing(storage, MANY_SERIES), 100_000, 60.0, 0.002
        beside = f"bare rows {bare(folder, count, len(MANY_SERIES)):.1f}"
    elif what == "capture":
        capture = Pipeline(reactor)
        yield capture.attach(storage)
        write, most = capturing(capture), 50.0
    lag, idle = Lag(), Lag()
    yield Run(1_000, lambda n: write(n - 1_000), Lag()).go()
    idle.start()
    yield task.deferLater(reactor, 2.0, lambda: None)
    idle.stop()
    costs, memory = [], []
    for round_ in range(ROUNDS if count == 10_000 else 2):
        run = Run(count, lambda n, first=round_ * count: write(first + n), lag, pause)  # type: ignore[misc]
        yield run.go()
        costs.append(run.cpu)
        memory.append(psutil.Process().memory_info().rss / 2**20)
    figures.show(f"{TITLES[what]}: CPU a value", min(costs), "us", most, beside, why=why)
    beside, why = f"idle {idle.percentile(99.9):.1f}", f"the longest garbage collection took {lag.collection:.1f} ms"
    figures.show(f"{TITLES[what]}: lag, p99.9 of {len(lag.delays)}", lag.percentile(99.9), "ms", 20, beside, why=why)
    figures.show(f"{TITLES[what]}: maximum lag", lag.delays[-1], "ms", 100, why=why)
    if what == "many":
        figures.show("memory growth of 100,000 more values", memory[-1] - memory[0], "MiB", 10)
    yield storage.close()


def main() -> int:
    """Print each figure with its target; returns 1 if a target is missed."""
    if len(sys.argv) == 1:
        runs = [subprocess.run([sys.executable, "-m", "benchmarks.storage_write", what]) for what in TITLES]
        return max(run.returncode for run in runs)
    figures = Figures()
    with tempfile.TemporaryDirectory() as folder:
        failures: list[Any] = []

        def start() -> None:
            measured = measure(sys.argv[1], folder, figures).addErrback(failures.append)
            measured.addCallback(lambda _: reactor.stop())  # type: ignore[attr-defined]

        reactor.callWhenRunning(start)  # type: ignore[attr-defined]
        reactor.run()  # type: ignore[attr-defined]
        for failure in failures:
            print(failure.getTraceback(), file=sys.stderr)
    return 2 if failures else figures.status


if __name__ == "__main__":
    sys.exit(main())
