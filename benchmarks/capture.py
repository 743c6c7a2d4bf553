"""Cost of captureData into the journal: CPU for each value, lag of the reactor, memory.

``python -m benchmarks.capture``.  CPU is that of the whole process with the journal's thread.  Lag is the delay of a
timer of one millisecond, over all rounds, shown beside that of an idle reactor in the same run.  Memory is the growth
of the process over 100,000 values, after 20,000 for warm-up.  Buildbot is imported, since most of the lag is garbage
collection, whose duration depends on all objects of the process.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import buildbot.master  # noqa: F401  (see above)
import psutil
from twisted.internet import defer, reactor, task

from bbmeasure import captureData
from bbmeasure.capture.state import state_of
from bbmeasure.storage.sqlite.store import SQLiteStorage
from benchmarks.targets import Figures

SERIES = [f"series {number}" for number in range(20)]
ROUNDS = 7
VALUES = 10_000
#: The number of values in one reactor turn, every millisecond: 10,000 in half a second.
AT_ONCE = 20
EVERY = 0.001
TICK = 0.001
MIB = 1024 * 1024


class Master:
    """The parts of a master that capture needs."""

    reactor = reactor
    running = True


class Build:
    """The parts of a build that a point needs."""

    number, buildid = 7, 107
    builder = SimpleNamespace(name="builder")
    getProperty = {"got_revision": "0123456789abcdef", "branch": "main", "project": "project"}.get

    def getWorkerName(self) -> str:
        """The worker's name."""
        return "worker"


class Lag:
    """Delays of a timer of TICK seconds, and the longest garbage collection, in milliseconds."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.collection = 0.0
        self._begun = 0.0

    def _collected(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._begun = time.perf_counter()
        else:
            self.collection = max(self.collection, (time.perf_counter() - self._begun) * 1000)

    @defer.inlineCallbacks
    def during(self, work: defer.Deferred[Any]) -> Generator[Any, Any, None]:
        """Measure until ``work`` fires."""
        ended: list[Any] = []
        work.addBoth(ended.append)
        gc.callbacks.append(self._collected)
        while not ended:
            begun = time.perf_counter()
            yield pause(TICK)
            self.late.append((time.perf_counter() - begun - TICK) * 1000)
        gc.callbacks.remove(self._collected)

    def percentile(self, share: float) -> float:
        """The delay that this share of the timers did not exceed."""
        return sorted(self.late)[min(len(self.late) - 1, int(len(self.late) * share))]


def pause(seconds: float) -> defer.Deferred[None]:
    """Let the reactor run for ``seconds``."""
    return task.deferLater(reactor, seconds, lambda: None)  # type: ignore[arg-type]


@defer.inlineCallbacks
def capture_many(master: Master, count: int, **more: Any) -> Generator[Any, Any, None]:
    """Capture ``count`` values at a fixed pace and wait until the last one is on disk."""
    captured: Any = None
    start = time.perf_counter()
    for number in range(0, count, AT_ONCE):
        for value in range(number, number + AT_ONCE):
            captured = captureData(SERIES[value % len(SERIES)], float(value), unit="s", master=master, **more)
        due = start + (number / AT_ONCE + 1) * EVERY
        yield pause(max(0.0, due - time.perf_counter()))
    yield captured


@defer.inlineCallbacks
def measure(figures: Figures) -> Generator[Any, Any, None]:
    """All figures."""
    build = Build()
    with tempfile.TemporaryDirectory() as folder:
        master = Master()
        storage = SQLiteStorage(Path(folder, "journal.sqlite"), reactor=reactor)
        yield state_of(master).pipeline.attach(storage)
        yield capture_many(master, 1_000, build=build)
        costs, busy, idle = [], Lag(), Lag()
        for _ in range(ROUNDS):
            yield idle.during(pause(0.5))
            begun = time.process_time()
            yield capture_many(master, VALUES, build=build)
            costs.append((time.process_time() - begun) / VALUES * 1e6)
        figures.show(f"captureData, {VALUES} values, CPU a value (median)", sorted(costs)[ROUNDS // 2], "us", 50)
        for _ in range(ROUNDS):
            yield busy.during(capture_many(master, VALUES, build=build))
        for name, share, most in (("p99.9", 0.999, 20), ("maximum", 1.0, 100)):
            beside = f"idle {idle.percentile(share):.2f} ms"
            why = f"the longest garbage collection took {busy.collection:.1f} ms"
            figures.show(f"reactor lag meanwhile, {name}", busy.percentile(share), "ms", most, beside, why=why)
        begun = time.process_time()
        yield capture_many(master, 2_000, build=build, accumulate=True)
        print(
            f"{'beside them: accumulate=True, CPU a value':<58} {(time.process_time() - begun) / 2_000 * 1e6:10.2f} us"
        )
        yield memory(figures, master, build)
        yield storage.close()


@defer.inlineCallbacks
def memory(figures: Figures, master: Master, build: Build) -> Generator[Any, Any, None]:
    """Growth of the process over 100,000 values, at the end and at most."""
    process = psutil.Process()
    yield capture_many(master, 20_000, build=build)
    gc.collect()
    before, most = process.memory_info().rss, 0
    for _ in range(10):
        yield capture_many(master, 10_000, build=build)
        most = max(most, process.memory_info().rss)
    gc.collect()
    after = process.memory_info().rss
    beside = f"of {before / MIB:.0f} MiB; at most {(most - before) / MIB:.1f} more meanwhile"
    figures.show("memory more after 100,000 values", (after - before) / MIB, "MiB", 5, beside)


def main() -> int:
    """Print each figure with its target; returns 1 where one is missed."""
    figures, failures = Figures(), []
    work = measure(figures)
    work.addErrback(failures.append)
    work.addBoth(lambda _: reactor.stop())  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
    for failure in failures:
        failure.printTraceback(sys.stderr)
    return 1 if failures else figures.status


if __name__ == "__main__":
    sys.exit(main())
