"""CPU and delay of one value a reactor turn, 1,000 a second: ``python -m benchmarks.capture_lone``.

CPU is that of the whole process with the journal's thread, less that of the same reactor turns without a value.  The
peer is SQLite alone, with the rows that such a value changes in the same schema, each value committed and synced;
beside it is the peer with a commit for 20 values.  Rounds of all are interleaved, and the least of each counts.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, Optional

import buildbot.master  # noqa: F401  (its objects are part of what the garbage collector visits in a master)
from twisted.internet import defer, reactor

from bbmeasure import captureData
from bbmeasure.capture.state import state_of
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.storage.sqlite.store import SQLiteStorage
from benchmarks.capture import SERIES, Build, Master, pause
from benchmarks.targets import Figures

VALUES = 2_000
ROUNDS = 5
EVERY = 0.001
#: The rows that change with a value: its point, and those of its chunk of statistics, its line and its series.
INSERT = "INSERT INTO points VALUES (?, ?, ?, 27392)"
REPLACE = "REPLACE INTO chunks VALUES (?, ?, ?, ?, 0, ?, 0.0, 0.0, 1e9, ?)"
UPDATE_LINE = "UPDATE lines SET count = ?, last = ? WHERE id = ?"
UPDATE_TOTAL = "UPDATE totals SET count = ?, last = ? WHERE meaning = ?"


class Peer:
    """SQLite alone: writes the rows of values to a journal's file."""

    def __init__(self, path: Path) -> None:
        Journal(path).close()
        self.commits: list[float] = []
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA synchronous=FULL")
        for id_ in range(len(SERIES)):
            self._connection.execute("INSERT INTO lines VALUES (?, ?, 0, 0, 0, 0, 0, 0, 0, 0)", (id_, id_))
            self._connection.execute("INSERT INTO totals VALUES (?, 0, 0, 0, 0)", (id_,))
        self._written = 0

    def run(self, in_commit: int) -> float:
        """Write VALUES values with a commit for every ``in_commit``; microseconds of CPU for each."""
        execute = self._connection.execute
        begun = time.process_time()
        for number in range(self._written, self._written + VALUES):
            if number % in_commit == 0:
                execute("BEGIN IMMEDIATE")
            id_, count, value = number % len(SERIES), number // len(SERIES), number * 0.5
            execute(INSERT, (id_, number, value))
            execute(REPLACE, (id_, count // 256, number, count % 256, value, value))
            execute(UPDATE_LINE, (count, number, id_))
            execute(UPDATE_TOTAL, (count, number, id_))
            if number % in_commit == in_commit - 1:
                commit = time.perf_counter()
                execute("COMMIT")
                self.commits.append(time.perf_counter() - commit)
        self._written += VALUES
        return (time.process_time() - begun) / VALUES * 1e6

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


@defer.inlineCallbacks
def turns(master: Optional[Master], build: Build, delays: list[float]) -> Generator[Any, Any, float]:
    """One value a turn, none without a master; microseconds of CPU a turn.  Appends the delays until on disk."""

    def on_disk(_: Any, since: float) -> None:
        delays.append(time.perf_counter() - since)

    captured: Any = None
    begun, start = time.process_time(), time.perf_counter()
    for number in range(VALUES):
        if master is not None:
            series = SERIES[number % len(SERIES)]
            captured = captureData(series, float(number), unit="s", master=master, build=build)
            captured.addCallback(on_disk, time.perf_counter())
        yield pause(max(0.0, start + (number + 1) * EVERY - time.perf_counter()))
    yield captured
    return (time.process_time() - begun) / VALUES * 1e6


@defer.inlineCallbacks
def measure(figures: Figures, folder: Path) -> Generator[Any, Any, None]:
    """All figures."""
    master, build, delays = Master(), Build(), []
    storage = SQLiteStorage(folder / "journal.sqlite", reactor=reactor)
    yield state_of(master).pipeline.attach(storage)
    yield turns(master, build, [])
    peer, batching_peer = Peer(folder / "peer.sqlite"), Peer(folder / "batching_peer.sqlite")
    idle, ours, each, batches = [], [], [], []
    for _ in range(ROUNDS):
        idle.append((yield turns(None, build, [])))
        ours.append((yield turns(master, build, delays)))
        each.append(peer.run(1))
        batches.append(batching_peer.run(20))
    cost, least, batched = min(ours) - min(idle), min(each), min(batches)
    beside = f"{cost:.0f} us; SQLite {least:.0f}, with a commit for 20 values {batched:.0f}; a turn {min(idle):.0f}"
    figures.show("a lone value at 1,000/s, CPU beside SQLite alone", cost / least, "times", 1.6, beside)
    beside = f"median {percentile(delays, 0.5):.1f}, maximum {percentile(delays, 1):.1f} ms"
    why = f"a commit of SQLite alone took {percentile(peer.commits, 0.99):.1f} ms (p99) on this disk"
    figures.show("until it is on disk, p99", percentile(delays, 0.99), "ms", 50, beside, why=why)
    peer.close()
    batching_peer.close()
    yield storage.close()


def percentile(seconds: list[float], share: float) -> float:
    """The milliseconds that this share did not exceed."""
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))] * 1e3


def main() -> int:
    """Print each figure with its target; returns 1 where one is missed."""
    figures, failures = Figures(), []
    with tempfile.TemporaryDirectory() as folder:
        work = measure(figures, Path(folder))
        work.addErrback(failures.append)
        work.addBoth(lambda _: reactor.stop())  # type: ignore[attr-defined]
        reactor.run()  # type: ignore[attr-defined]
    for failure in failures:
        failure.printTraceback(sys.stderr)
    return 1 if failures else figures.status


if __name__ == "__main__":
    sys.exit(main())
