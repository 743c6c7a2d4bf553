"""Time for which parsing a SARIF of 16 MB holds the reactor, in a parser process and in a thread.

A timer of one millisecond ticks meanwhile.  The figure is the longest CPU time of the reactor between two ticks; beside
it the timer's longest delay, that of an idle reactor, and that with a thread.  The text arrives in blocks, as from a
worker.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Generator
from typing import Any

from twisted.internet import defer, reactor, task, threads

from bbmeasure import adapters
from bbmeasure.capture.parser_input import Spool
from bbmeasure.capture.parser_pool import ParserPool
from bbmeasure.capture.parser_process import ParserJob
from benchmarks.targets import Figures

SIZE = 16_000_000
BLOCK = 256 * 1024
ROUNDS = 5


def sarif() -> bytes:
    """A SARIF document of SIZE bytes on one line."""
    result = {
        "ruleId": "unused",
        "level": "warning",
        "message": {"text": "a variable is never used " * 4},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": "src/module.c"}, "region": {"startLine": 7}}}],
    }
    count = SIZE // (len(json.dumps(result)) + 2)
    run = {"tool": {"driver": {"name": "tool", "rules": []}}, "results": [result] * count}
    return json.dumps({"version": "2.1.0", "runs": [run]}).encode()


class Delays:
    """The longest delay of a timer of one millisecond, and the longest CPU time of the reactor between two ticks.

    On a busy machine the delay is also that of other programs; the CPU time is not.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self.longest_cpu = 0.0
        self._before = time.perf_counter()
        self._cpu_before = time.thread_time()
        self._loop = task.LoopingCall(self._tick)
        self._loop.start(0.001)

    def _tick(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        self.longest_cpu = max(self.longest_cpu, cpu - self._cpu_before)
        self.longest = max(self.longest, now - self._before - 0.001)
        self._before, self._cpu_before = now, cpu

    def stop(self) -> None:
        """Stop the timer."""
        self._loop.stop()


def pause(seconds: float = 0.0) -> defer.Deferred[None]:
    """Let the reactor run."""
    return task.deferLater(reactor, seconds, lambda: None)  # type: ignore[arg-type]


@defer.inlineCallbacks
def in_process(content: bytes) -> Generator[Any, Any, None]:
    """Parse in a parser process."""
    pool = ParserPool(reactor, lambda counter, why: print(counter, why))
    spool = Spool(str)
    for at in range(0, len(content), BLOCK):
        spool.write(content[at : at + BLOCK])
        yield pause()
    spool.finish()
    yield pool.run("builder", ParserJob("sarif", name="lint", issues=True), spool, 60)
    spool.close()


@defer.inlineCallbacks
def in_thread(content: bytes) -> Generator[Any, Any, None]:
    """Parse in a thread, as callables of master.cfg are."""
    yield threads.deferToThread(lambda: adapters.find("sarif").records(content.decode(), name="lint"))


@defer.inlineCallbacks
def measure() -> Generator[Any, Any, dict[str, float]]:
    """The median of the longest delays of each way, in milliseconds, and the duration in a process."""
    content = sarif()
    delays: dict[str, list[float]] = {"idle": [], "process": [], "thread": [], "cpu": []}
    took = []
    for _ in range(ROUNDS):
        for name, work in (("idle", lambda _: pause(0.5)), ("process", in_process), ("thread", in_thread)):
            timer, start = Delays(), time.perf_counter()
            yield work(content)
            timer.stop()
            delays[name].append(timer.longest * 1000)
            if name == "process":
                delays["cpu"].append(timer.longest_cpu * 1000)
                took.append(time.perf_counter() - start)
    return {**{name: sorted(values)[ROUNDS // 2] for name, values in delays.items()}, "took": sorted(took)[ROUNDS // 2]}


def main() -> int:
    """Print each figure with its target."""
    found: dict[str, float] = {}
    failed: Counter[str] = Counter()

    def run() -> None:
        def fail(failure: Any) -> None:
            failed["benchmark"] += 1
            print(failure.getTraceback())

        measure().addCallbacks(found.update, fail).addBoth(lambda _: reactor.stop())  # type: ignore[attr-defined]

    reactor.callWhenRunning(run)  # type: ignore[attr-defined]
    reactor.run()  # type: ignore[attr-defined]
    if failed:
        return 1
    print(f"16 MB SARIF: {found['took']:.2f} s in a process")
    beside = f"delay {found['process']:.0f} ms, idle {found['idle']:.0f} ms, in a thread {found['thread']:.0f} ms"
    figures = Figures()
    figures.show("longest turn of the reactor", found["cpu"], "ms", 10, beside)
    return figures.status


if __name__ == "__main__":
    sys.exit(main())
