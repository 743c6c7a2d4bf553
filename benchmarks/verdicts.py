"""A build of 500 lines judged at its end: CPU until its verdicts, reactor lag, the master's CPU, bytes kept.

``python -m benchmarks.verdicts``.  Each line has a history of 60 builds.  The time until the verdicts is that CPU where
a processor is free; the wall time of this run is shown beside it.  Lag is the delay of a timer of one millisecond while
builds are judged, beside that while such builds are only written, in turn.  A second builder has builds of 1,000 noisy
lines: how many of ten that wait are judged before an ordinary build that ends after them.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import buildbot.master  # noqa: F401  (most of the lag is garbage collection among all objects of the process)
import psutil
from twisted.internet import defer, reactor

from bbmeasure.capture.gates import Gates
from bbmeasure.capture.state import MasterState
from bbmeasure.model import BuildContext, Point
from bbmeasure.reports.judge import Judge
from bbmeasure.storage.sqlite.journal import JournalReader
from bbmeasure.storage.sqlite.store import SQLiteStorage
from bbmeasure.times import NANOSECONDS
from benchmarks.capture import Lag
from benchmarks.targets import Figures

LINES = 500
HOSTILE_LINES = 1_000
HISTORY = 60
ROUNDS = 15
START = 1_700_000_000
GATES = Gates()


class Builds:
    """Builds of one builder, a minute apart, with values of two parts in a hundred of noise."""

    def __init__(self, judge: Judge, storage: SQLiteStorage, builder: str, lines: int, first_id: int) -> None:
        self.judge = judge
        self.storage = storage
        self.builder = builder
        self.lines = lines
        self.first_id = first_id
        self.number = 0
        self._noise = random.Random(first_id)

    def next(self) -> tuple[BuildContext, list[Point]]:
        """The next build and its points."""
        self.number += 1
        build = BuildContext(self.builder, "worker", self.number, self.first_id + self.number, "step", branch="main")
        second = START + 60 * self.number
        points = [
            Point(f"series {line}", second * NANOSECONDS + line, self._noise.gauss(100, 2), build=build)
            for line in range(self.lines)
        ]
        return build, points

    @defer.inlineCallbacks
    def run(self, *, judged: bool) -> Generator[Any, Any, float]:
        """Write a build, and have it judged; returns the seconds between the two."""
        build, points = self.next()
        yield self.storage.write(points)
        begun = time.perf_counter()
        if judged:
            verdicts = yield self.judge.finish(build, GATES)
            assert len(verdicts.lines) in (0, self.lines)  # none in time on a busy machine
        return time.perf_counter() - begun


@defer.inlineCallbacks
def measure(figures: Figures) -> Generator[Any, Any, None]:
    """All figures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal.sqlite")
        state = MasterState(reactor)
        storage = SQLiteStorage(path, reactor=reactor)
        yield state.pipeline.attach(storage)
        judge = state.component(Judge)
        builds = Builds(judge, storage, "ordinary", LINES, 0)
        only_written = Builds(judge, storage, "only written", LINES, 100_000)
        for _ in range(HISTORY):
            yield builds.run(judged=True)
        yield ordinary(figures, builds, only_written)
        with JournalReader(path) as reader:
            kept = reader.kept_verdicts(builds.first_id + builds.number)
        assert kept is not None
        figures.show("bytes kept a line", len(kept.lines) / LINES, "B", 20)
        yield hostile(figures, builds, Builds(judge, storage, "hostile", HOSTILE_LINES, 200_000))
        judge.stop()
        yield storage.close()


@defer.inlineCallbacks
def ordinary(figures: Figures, builds: Builds, only_written: Builds) -> Generator[Any, Any, None]:
    """Time, CPU and lag of ordinary builds."""
    taken, cpu, judging, lag, without = [], [], [], Lag(), Lag()
    process = psutil.Process(builds.judge.pid)
    for _ in range(ROUNDS):
        begun = time.process_time()
        yield only_written.run(judged=False)
        writing = time.process_time() - begun
        begun, before = time.process_time(), sum(process.cpu_times()[:2])
        taken.append((yield builds.run(judged=True)))
        cpu.append(time.process_time() - begun - writing)
        judging.append(sum(process.cpu_times()[:2]) - before + cpu[-1])
    beside = f"wall time {sorted(taken)[ROUNDS // 2]:.2f} s at a load of {os.getloadavg()[0]:.1f}"
    figures.show(f"{LINES} lines, CPU until the verdicts (median)", sorted(judging)[ROUNDS // 2], "s", 1, beside)
    figures.show("the master's CPU a line (median)", sorted(cpu)[ROUNDS // 2] / LINES * 1e3, "ms", 2)
    for _ in range(ROUNDS):
        yield without.during(only_written.run(judged=False))
        yield lag.during(builds.run(judged=True))
    for _ in range(ROUNDS):  # as long without as with
        until = time.perf_counter() + sorted(taken)[ROUNDS // 2]
        while time.perf_counter() < until:
            yield without.during(only_written.run(judged=False))
    beside = f"only written {without.percentile(0.999):.2f} ms; {len(lag.late)} and {len(without.late)} timers"
    figures.show(
        "reactor lag while judged, p99.9", lag.percentile(0.999), "ms", 1.5 * without.percentile(0.999), beside
    )


@defer.inlineCallbacks
def hostile(figures: Figures, builds: Builds, noisy: Builds) -> Generator[Any, Any, None]:
    """The builds of 1,000 noisy lines that are judged before an ordinary build, of ten that wait."""
    for _ in range(12):
        yield noisy.run(judged=True)
    before, waiting, ended = 0, [], []
    for _ in range(10):
        build, points = noisy.next()
        yield noisy.storage.write(points)
        waiting.append(noisy.judge.finish(build, GATES).addCallback(ended.append))
    build, points = builds.next()
    yield builds.storage.write(points)
    before = len(ended)
    yield builds.judge.finish(build, GATES)
    figures.show(f"builds of {HOSTILE_LINES} lines before one of {LINES}", len(ended) - before, "", 2)
    yield defer.gatherResults(waiting)


def main() -> int:
    """Print the figures; the exit status."""
    figures = Figures()
    failed: list[Any] = []

    def stop(why: Any) -> None:
        failed.append(why)

    work = measure(figures)
    work.addErrback(stop)
    work.addBoth(lambda _: reactor.callLater(0, reactor.stop))  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
    if failed:
        print(failed[0].getTraceback())
        return 1
    return figures.status


if __name__ == "__main__":
    sys.exit(main())
