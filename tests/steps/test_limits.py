"""Limits on the records of a worker that reports endlessly."""

from __future__ import annotations

import posixpath
import re
from types import SimpleNamespace
from typing import Any

from buildbot.process.results import SUCCESS
from twisted.internet import defer, task

from bbmeasure import wire
from bbmeasure.capture.state import state_of
from bbmeasure.wire import MARKER
from bbmeasure_steps import sidecar
from bbmeasure_steps.stdout import MAX_RECORDS, StdoutCollector
from tests.steps.case import StepTestCase

LINE = '{"name":"a","value":1}\n'


class TestLimits(StepTestCase):
    """The number of records is limited before they are decoded."""

    @defer.inlineCallbacks
    def test_a_sidecar_full_of_records(self) -> Any:
        """Of a megabyte of small records only as many are decoded as a step may have."""
        read: list[int] = []
        self.patch(wire, "read", lambda line, number, before=wire.read: (read.append(number), before(line, number))[1])
        content = LINE.encode() * (wire.LARGEST_FILE // len(LINE))
        yield self.run_measuring("", SUCCESS, sidecar=content)
        assert len(read) == MAX_RECORDS + 1
        assert len(self.captured_points()) == MAX_RECORDS
        assert f"sidecar file: expected at most {MAX_RECORDS} records of one step; the rest was not read" in self.log()
        assert state_of(self.master).pipeline.counters["refused"] == 1

    def test_decoding_yields_to_the_reactor(self) -> None:
        """Decoding a large sidecar file yields to the reactor every few milliseconds."""

        class Ticking(task.Clock):
            """A clock on which each reading takes a millisecond."""

            turns = 0

            def seconds(self) -> float:
                self.rightNow += 0.001
                return self.rightNow

            def callLater(self, *what: Any) -> Any:
                self.turns += 1
                return super().callLater(*what)

        clock = Ticking()
        reading = sidecar.decode(LINE.encode() * 900, clock)
        assert not reading.called
        clock.advance(0)
        assert clock.turns >= 900 * 0.001 // (2 * sidecar.MAX_BLOCKING_SECONDS)
        assert len(self.successResultOf(reading)) == 900

    def test_stdout_full_of_records(self) -> None:
        """Marked lines beyond the limit are counted and not decoded."""
        collector = StdoutCollector(10_000)
        for _ in range(10):
            collector.outReceived(f"{MARKER} {LINE}" * 500)
        collector.finish()
        assert len(collector.marked) == MAX_RECORDS
        assert collector.limit_errors()[0] == f"4000 more records: expected at most {MAX_RECORDS} of one step"


def test_each_step_has_a_sidecar_file_of_its_own() -> None:
    """Its name has the build, the step and a random part, beside the build's directory."""
    build = SimpleNamespace(buildid=7, path_module=posixpath, getProperty=lambda _: "/worker/builder")
    paths = {sidecar.path_of(SimpleNamespace(build=build, stepid=stepid), "-x") for stepid in (1, 1, 2)}
    assert len(paths) == 3
    assert all(re.fullmatch(r"/worker/builder/\.bbmeasure-7-[12]-[0-9a-f]{8}-x", path) for path in paths)
