"""The journal at 5 million points and more beside raw SQLite, ``cp`` and InfluxDB.

``python -m benchmarks scale [--points N] [--no-influxdb] [--dir DIR]``: 5 million points take half an hour, 50 million
some hours; the files are kept in DIR.
2,000 series of 100 builders are 200,000 lines; fewer points have fewer series, so that a line has at least 25 points.
The file is filled by the journal's own writer, a build of all series of its builder at a time.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Callable

import psutil
import requests
from twisted.internet import defer, reactor, task

from bbmeasure import statistics
from bbmeasure.errors import StorageBusyError
from bbmeasure.model import BuildContext, Point, Query, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.influxdb.line_protocol import LineWriter, write_slices
from bbmeasure.storage.sqlite import overview
from bbmeasure.storage.sqlite.backup import backup
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.storage.sqlite.store import SQLiteStorage
from bbmeasure.storage.sqlite.targets import MAX_CACHED
from bbmeasure.times import NANOSECONDS
from benchmarks.targets import Figures, best_of, load
from tests.servers import Influxd

BUILDERS = 100
START = 1_600_000_000 * NANOSECONDS
#: Seconds between two builds of a builder.
INTERVAL = 3_600
KINDS = ((Kind.SIZE, "bytes"), (Kind.DURATION, "s"), (Kind.COUNT, "1"), (Kind.RATIO, "1"))
#: What was measured before lines and totals: milliseconds of the list of 200,000 lines, and points a second that the
#: retention deleted of 20 million.
FORMER_OVERVIEW, FORMER_RETENTION = 430.0, 3_200.0
STATISTICS = statistics.find_all(["average", "deviation", "minimum", "maximum", "count", "last"])


class Shape:
    """The number of series and of builds of each builder."""

    def __init__(self, points: int) -> None:
        self.series = max(20, min(2_000, points // 25 // BUILDERS))
        self.builds = max(1, points // (self.series * BUILDERS))
        self.points = self.series * BUILDERS * self.builds
        self.lines = self.series * BUILDERS
        self.names = [f"series {number}" for number in range(self.series)]
        self.until = START + self.builds * INTERVAL * NANOSECONDS

    def declarations(self) -> Iterator[SeriesInfo]:
        """The declarations of all series of all builders."""
        for builder in range(BUILDERS):
            for number, name in enumerate(self.names):
                kind, unit = KINDS[number % len(KINDS)]
                yield SeriesInfo(name, kind, unit, Direction.LOWER, (f"builder {builder}",))

    def batches(self) -> Iterator[list[Point]]:
        """The points, a build at a time, in the order of time."""
        source = random.Random(1)
        for number in range(self.builds):
            for builder in range(BUILDERS):
                began = START + (number * INTERVAL + builder * INTERVAL // BUILDERS) * NANOSECONDS
                yield self._build(source, number, builder, began)

    def _build(self, source: random.Random, number: int, builder: int, began: int) -> list[Point]:
        buildid, revision = number * BUILDERS + builder + 1, f"{number:040x}"
        builds = [
            BuildContext(f"builder {builder}", f"bot{builder % 10}", number, buildid, f"step {n}", revision, "main")
            for n in range(10)
        ]
        values: list[Callable[[], float]] = [
            lambda: float(source.randrange(10**6, 10**7)),
            lambda: source.uniform(0, 300),
            lambda: float(source.randrange(200)),
            source.random,
        ]
        return [
            Point(name, began + at * 10**6 + source.randrange(10**6), values[at % 4](), {}, builds[at % 10])
            for at, name in enumerate(self.names)
        ]


def cpu_of(function: Callable[[], Any], times: int = 5) -> float:
    """Milliseconds of CPU of the cheapest of several calls."""
    taken = []
    for _ in range(times):
        began = time.process_time()
        function()
        taken.append(time.process_time() - began)
    return min(taken) * 1_000


def fill(shape: Shape, path: Path, raw: Path, figures: Figures) -> None:
    """Fill the journal, and a table of the same points alone, and compare them."""
    bare = sqlite3.connect(raw, isolation_level=None)
    bare.execute("PRAGMA journal_mode=WAL")
    bare.execute(
        "CREATE TABLE points(stream INTEGER, time INTEGER, value REAL, build INTEGER, PRIMARY KEY(stream, time)) "
        "WITHOUT ROWID"
    )
    taken = {"journal": 0.0, "bare": 0.0}
    with Journal(path) as journal:
        with journal.transaction() as ingest:
            for info in shape.declarations():
                ingest.declare(info)
        for at, points in enumerate(shape.batches()):
            began = time.process_time()
            journal.write(points)
            written = time.process_time()
            first = at % BUILDERS * shape.series
            rows = [(first + n, point.time, point.value, at) for n, point in enumerate(points)]
            bare.execute("BEGIN")
            bare.executemany("INSERT INTO points VALUES (?, ?, ?, ?)", rows)
            bare.execute("COMMIT")
            taken["journal"] += written - began
            taken["bare"] += time.process_time() - written
        journal.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    bare.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    bare.close()
    size, least = path.stat().st_size / shape.points, raw.stat().st_size / shape.points
    figures.show("a point in the file", size, "bytes", 40, f"its row alone {least:.1f}")
    cost = taken["journal"] / shape.points * 1e6
    most = 30 if shape.lines <= MAX_CACHED else 100
    figures.show("writing a point, CPU", cost, "us", most, f"its row alone {taken['bare'] / shape.points * 1e6:.1f}")


def read(shape: Shape, path: Path, raw: Path, figures: Figures, influx: str) -> float:
    """Measure single requests of a reader; returns the milliseconds of CPU of a question."""
    one = Query("series 1", builder="builder 7")
    with JournalReader(path) as reader:
        memory = psutil.Process().memory_info().rss
        listed = cpu_of(lambda: reader.read(overview.series), 20)  # without the list that a reader keeps
        grown = (psutil.Process().memory_info().rss - memory) / 2**20
        most = FORMER_OVERVIEW / 40 * max(shape.lines / 200_000, 0.1)
        figures.show(f"list of series, {shape.lines} lines, CPU", listed, "ms", most)
        figures.show("list of series, memory", grown, "MiB", 20)
        some = frozenset(f"builder {number}" for number in range(10))
        figures.show(
            "list of series of 10 builders, CPU", cpu_of(lambda: reader.read(overview.series, some)), "ms", 500
        )
        plain = sqlite3.connect(raw)
        sql = "SELECT avg(value), min(value), max(value), count(*) FROM points WHERE stream = ?"
        bare = best_of(lambda: plain.execute(sql, (7 * shape.series + 1,)).fetchone())
        plain.close()
        beside = f"SQL over the rows {bare:.2f}; {influx}"
        question = cpu_of(lambda: reader.summarize(one, STATISTICS))
        figures.show("statistics of a series of a builder, CPU", question, "ms", 5, beside)
        both = cpu_of(lambda: (reader.lines(Query("series 1")), reader.summarize(one, STATISTICS)))
        figures.show("the lines of a series and the statistics of one, CPU", both, "ms", 10)
        every = cpu_of(lambda: reader.summarize(Query("series 1"), STATISTICS))
        figures.show("statistics of a series of all builders, CPU", every, "ms", 50)
        records = cpu_of(lambda: reader.records(shape.builds * BUILDERS // 2))
        figures.show(f"the {shape.series} points of a build, CPU", records, "ms", 100)
    return both


@defer.inlineCallbacks
def ask(shape: Shape, path: Path, figures: Figures, bare: float) -> Generator[Any, Any, None]:
    """50 clients that ask without a pause while a value is written each second; then more than are accepted."""
    storage = SQLiteStorage(path, reactor=reactor)
    end = time.monotonic() + 5.0
    answers = 0

    def query(number: int) -> Query:
        return Query(f"series {number % shape.series}", builder=f"builder {number % BUILDERS}")

    @defer.inlineCallbacks
    def client(number: int) -> Generator[Any, Any, None]:
        nonlocal answers
        while time.monotonic() < end:
            asked = query(number)
            yield storage.lines(Query(asked.series))
            yield storage.summarize(asked, STATISTICS)
            answers += 1
            number += 37

    yield storage.summarize(query(0), STATISTICS)
    writing = task.LoopingCall(lambda: storage.write([Point("one", time.time_ns(), 1.0)]))
    writing.start(1.0)
    cpu = time.process_time()
    yield defer.gatherResults([client(number) for number in range(50)])
    cpu = time.process_time() - cpu
    writing.stop()
    beside = f"{answers / 5:.0f} a second"
    why = f"{cpu / answers * 1_000:.1f} ms of it are CPU; {load()}"
    figures.show("an answer to one of 50 clients", 5_000 / answers, "ms", 1_000 / 280, beside, why=why)
    figures.show("an answer's CPU beside its query's", cpu / answers * 1_000 / bare, "times", 2)
    began = time.monotonic()
    asked = [storage.summarize(query(number), STATISTICS) for number in range(2_000)]
    asked += [storage.series() for _ in range(200)]
    refused = time.monotonic() - began
    results = yield defer.DeferredList(asked, consumeErrors=True)
    busy = sum(not ok and bool(result.check(StorageBusyError)) for ok, result in results)
    beside = f"{busy} of 2200 refused"
    figures.show("to refuse a request past the bound", refused / max(1, busy) * 1e3, "ms", 1.0, beside)
    yield storage.close()


class CleaningStorage(SQLiteStorage):
    """A store that notes the seconds of CPU of each slice of its cleanup."""

    def __init__(self, path: Path) -> None:
        self.slices: list[float] = []
        super().__init__(path, reactor=reactor)

    def _clean(self, journal: Journal) -> bool:
        began = time.thread_time()
        more = super()._clean(journal)
        self.slices.append(time.thread_time() - began)
        return more


@defer.inlineCallbacks
def expire(shape: Shape, path: Path, figures: Figures) -> Generator[Any, Any, None]:
    """Delete a third of the points while a value is written every 20 ms."""
    delays: dict[bool, list[float]] = {False: [], True: []}
    storage = CleaningStorage(path)
    yield storage.series()
    yield task.deferLater(reactor, 1.0, lambda: None)

    @defer.inlineCallbacks
    def write(cleaning: bool) -> Generator[Any, Any, None]:
        began = time.perf_counter()
        yield storage.write([Point("live", time.time_ns(), 1.0)])
        delays[cleaning].append((time.perf_counter() - began) * 1_000)

    quiet = task.LoopingCall(write, cleaning=False)
    quiet.start(0.02)
    yield task.deferLater(reactor, 5.0, lambda: None)
    quiet.stop()
    cut = START + (shape.builds // 3) * INTERVAL * NANOSECONDS
    storage.retention = time.time() - cut / NANOSECONDS
    began = time.monotonic()
    storage.slices.clear()
    storage._writer.request_cleanup()
    busy = task.LoopingCall(write, cleaning=True)
    busy.start(0.02)
    deleted, names = shape.builds // 3 * shape.lines, set(shape.names)
    while sum(info.count for info in (yield storage.series()) if info.name in names) > shape.points - deleted:
        yield task.deferLater(reactor, 0.05, lambda: None)
    taken = time.monotonic() - began
    busy.stop()
    most = 1e6 / (10 * FORMER_RETENTION)
    beside = f"{deleted / taken:.0f} points a second"
    why = f"{sum(storage.slices) / deleted * 1e6:.1f} us of it are CPU; {load()}"
    figures.show("deleting an expired point", taken / deleted * 1e6, "us", most, beside, why=why)
    p99 = {cleaning: sorted(each)[int(len(each) * 0.99)] for cleaning, each in delays.items()}
    slowest = sorted(storage.slices)[int(len(storage.slices) * 0.99)] * 1e3
    why = f"p99 of a slice's CPU is {slowest:.1f} ms, the rest waits for the disk and other programs; {load()}"
    beside = f"{p99[True]:.1f} ms, without {p99[False]:.1f}"
    figures.show("a live write's p99 meanwhile", p99[True] / p99[False], "times", 2, beside, why=why)
    yield storage.close()


def copy(path: Path, folder: Path, figures: Figures) -> None:
    """Compare the backup with ``cp``, both until the copy is on disk."""

    def cp() -> None:
        subprocess.run(["cp", path, folder / "cp"], check=True)
        descriptor = os.open(folder / "cp", os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    def ours() -> None:
        (folder / "backup").unlink(missing_ok=True)
        backup(path, folder / "backup")

    plain, made = best_of(cp), best_of(ours)
    figures.show("a backup beside cp", made / plain, "times", 2, f"{made / 1_000:.2f} s, cp {plain / 1_000:.2f} s")
    for name in ("cp", "backup"):
        (folder / name).unlink()


def in_influxdb(shape: Shape) -> str:
    """Write the same points to InfluxDB; returns its figures."""
    with Influxd() as server:
        server.query("CREATE DATABASE scale")
        writer = LineWriter()
        for points in shape.batches():
            body = b"".join(lines for lines, _ in write_slices(writer, points))
            requests.post(f"{server.url}/write?db=scale", data=body, timeout=60).raise_for_status()
        sql = 'SELECT mean(value), stddev(value), min(value), max(value), count(value) FROM "series 1"'
        where = " WHERE builder = 'builder 7'"
        server.query(sql + where, "scale")
        taken = best_of(lambda: server.query(sql + where, "scale"))
        size = sum(file.stat().st_size for file in server.folder.rglob("*") if file.is_file())
        return f"InfluxDB {taken:.1f} ms, {size / shape.points:.0f} bytes a point"


def main() -> int:
    """Print each figure with its target; returns 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--points", type=int, default=5_000_000)
    parser.add_argument("--no-influxdb", action="store_true")
    parser.add_argument("--dir", type=Path, help="keep the files in this folder")
    options = parser.parse_args()
    shape, figures = Shape(options.points), Figures()
    folder = options.dir or Path(tempfile.mkdtemp(prefix="scale"))
    folder.mkdir(exist_ok=True)
    path, raw = folder / "journal.sqlite", folder / "raw.sqlite"
    failures: list[Any] = []
    try:
        print(f"{shape.points} points in {shape.lines} lines", flush=True)
        fill(shape, path, raw, figures)
        influx = "" if options.no_influxdb else in_influxdb(shape)
        question = read(shape, path, raw, figures, influx)
        copy(path, folder, figures)

        @defer.inlineCallbacks
        def run() -> Generator[Any, Any, None]:
            yield ask(shape, path, figures, question)
            yield expire(shape, path, figures)

        def start() -> None:
            run().addErrback(failures.append).addCallback(lambda _: reactor.stop())  # type: ignore[attr-defined]

        reactor.callWhenRunning(start)  # type: ignore[attr-defined]
        reactor.run()  # type: ignore[attr-defined]
        for failure in failures:
            print(failure.getTraceback(), file=sys.stderr)
    finally:
        if options.dir is None:
            shutil.rmtree(folder)
    return 2 if failures else figures.status


if __name__ == "__main__":
    sys.exit(main())
