"""A worker that reports without end: the master reads what a step may have, and says so."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from buildbot.process.results import SUCCESS
from twisted.internet import defer, task

from bbmeasure import wire
from bbmeasure.capture.state import state_of
from bbmeasure.wire import MARKER
from bbmeasure_steps.base import READ_AT_ONCE, MeasuringStep
from bbmeasure_steps.stdout import MOST_RECORDS, StdoutCollector
from tests.steps.test_shell import StepTestCase

LINE = '{"name":"a","value":1}\n'


class TestLimits(StepTestCase):
    """One step's records are bounded before they are read."""

    @defer.inlineCallbacks
    def test_a_sidecar_full_of_records(self) -> Any:
        """Of a megabyte of small records as many are read as a step may have."""
        read: list[int] = []
        self.patch(wire, "read", lambda line, number, before=wire.read: (read.append(number), before(line, number))[1])
        content = LINE.encode() * (wire.LARGEST_FILE // len(LINE))
        yield self.run_measuring("", SUCCESS, sidecar=content)
        assert len(read) == MOST_RECORDS + 1
        assert len(self.captured_points()) == MOST_RECORDS
        assert f"sidecar file: expected at most {MOST_RECORDS} records of one step; the rest was not read" in self.log()
        assert state_of(self.master).pipeline.counters["refused"] == 1

    def test_a_megabyte_takes_turns(self) -> None:
        """While a large sidecar is read the reactor gets its turn every few milliseconds."""

        class Ticking(task.Clock):
            """Each look at it takes a millisecond."""

            turns = 0

            def seconds(self) -> float:
                self.rightNow += 0.001
                return self.rightNow

            def callLater(self, *what: Any) -> Any:
                self.turns += 1
                return super().callLater(*what)

        clock = Ticking()
        step = SimpleNamespace(master=SimpleNamespace(reactor=clock))
        reading = MeasuringStep._read_lines(step, LINE.encode() * 900)
        assert not reading.called
        clock.advance(0)
        assert clock.turns >= 900 * 0.001 // (2 * READ_AT_ONCE)
        assert len(self.successResultOf(reading)) == 900

    def test_stdout_full_of_records(self) -> None:
        """Past what a step may have, marked lines are counted and no longer read."""
        collector = StdoutCollector(10_000)
        for _ in range(10):
            collector.outReceived(f"{MARKER} {LINE}" * 500)
        collector.finish()
        assert len(collector.found) == MOST_RECORDS
        assert collector.dropped()[0] == f"4000 records more: expected at most {MOST_RECORDS} of one step"
