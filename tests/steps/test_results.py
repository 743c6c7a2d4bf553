"""Records of a step: reported ones, refused ones, and those of a store with errors."""

from __future__ import annotations

import stat
from typing import Any

from buildbot.process.properties import Interpolate
from buildbot.process.results import CANCELLED, EXCEPTION, FAILURE, SUCCESS, WARNINGS
from buildbot.test.steps import ExpectStat
from twisted.internet import defer

from bbmeasure import Record
from bbmeasure.capture.state import state_of
from bbmeasure.testing import BrokenStorage, sidecar_lines
from bbmeasure_steps import MeasureShellCommand
from tests.steps.case import StepTestCase


class TestReported(StepTestCase):
    """Records that the command reports."""

    @defer.inlineCallbacks
    def test_marker_and_sidecar(self) -> Any:
        """The records of marked lines and of the sidecar file are captured; the rest of stdout is ignored."""
        yield self.run_measuring(
            'noise\n##bbmeasure {"name":"a","value":1}\nmore 5\n',
            sidecar=sidecar_lines({"v": 1, "name": "b", "samples": [1, 3, 2], "unit": "s"}, Record("c", "text")),
        )
        assert self.captured_values() == {"a": 1, "b": 2, "c": "text"}
        point = next(point for point in self.captured_points() if point.series == "b")
        assert (point.samples, point.spread) == (3, 1)

    @defer.inlineCallbacks
    def test_invalid_lines_are_refused(self) -> Any:
        """Each invalid line is skipped, counted, and listed in the log."""
        long_name = "n" * 5000
        yield self.run_measuring(
            "",
            sidecar=sidecar_lines(
                "{broken",
                {"name": "a\nb", "value": 1},
                {"name": 'quote"d', "value": 1},
                {"name": long_name, "value": 1},
                {"name": "big", "value": 1, "tags": {"builder": "liar"}},
                '{"name":"deep","value":' + "[" * 50_000,
            ),
        )
        assert self.captured_values() == {'quote"d': 1}
        assert self.log().count("refused: line") == 5
        assert state_of(self.master).pipeline.counters["refused"] == 5
        assert len(self.log()) < 5_000

    @defer.inlineCallbacks
    def test_series_has_one_unit(self) -> Any:
        """A record whose unit is not that of its series is refused."""
        yield self.run_measuring(
            "",
            sidecar=sidecar_lines({"name": "a", "value": 1, "unit": "s"}, {"name": "a", "value": 2, "unit": "bytes"}),
        )
        assert self.captured_values() == {"a": 1}
        assert "got size in bytes, expected duration in s" in self.log()

    @defer.inlineCallbacks
    def test_too_many_records(self) -> Any:
        """The first thousand records of a step are stored, the others counted."""
        lines = "".join(f'##bbmeasure {{"name":"a","value":{n}}}\n' for n in range(1_500))
        yield self.run_measuring(lines)
        assert len(self.captured_points()) == 1_000
        assert "500 more records" in self.log()

    @defer.inlineCallbacks
    def test_sidecar_is_not_a_regular_file(self) -> Any:
        """A sidecar that is a FIFO, a directory or a device is never opened."""
        for mode, word in ((stat.S_IFIFO, "a FIFO"), (stat.S_IFDIR, "a directory"), (stat.S_IFCHR, "a device")):
            self._steps.clear()
            self.setup_step(MeasureShellCommand(name="m", command=["c"]))
            self.expect_measuring(["c"], stdout="5")
            self._expected_commands[-1] = ExpectStat(file=self.sidecar_path()).stat(mode=mode).exit(0)
            self.expect_outcome(result=SUCCESS)
            yield self.run_step()
            assert f"expected a regular file, got {word}" in self.log()

    @defer.inlineCallbacks
    def test_invalid_stat(self) -> Any:
        """An invalid result of the worker's stat command is logged."""
        self.setup_step(MeasureShellCommand(name="m", command=["c"]))
        self.expect_measuring(["c"], stdout="5")
        self._expected_commands[-1] = ExpectStat(file=self.sidecar_path()).update("stat", ["x"]).exit(0)
        self.expect_outcome(result=SUCCESS, state_string="m: 5")
        yield self.run_step()
        assert "expected the fields of os.stat" in self.log()


class TestUntrustedWorker(StepTestCase):
    """A worker is not trusted."""

    @defer.inlineCallbacks
    def test_reserved_series(self) -> Any:
        """A record under a name that is reserved for the master is refused."""
        names = ["build_duration", "step_duration", "master.active_builds", "bbmeasure_series"]
        yield self.run_measuring("", WARNINGS, sidecar=sidecar_lines(*({"name": name, "value": 1} for name in names)))
        assert self.captured_points() == []
        assert self.log().count("expected a name that is not reserved for the master") == 4

    @defer.inlineCallbacks
    def test_invalid_rendered_series(self) -> Any:
        """A property that is no valid series is WARNINGS with a message, not EXCEPTION."""
        self.setup_build()
        self.setup_step(MeasureShellCommand(name="m", command=["c"], series=Interpolate("%(prop:what)s")))
        self.build.setProperty("what", "a{b", "test")
        self.expect_measuring(["c"], stdout="5")
        self.expect_outcome(result=WARNINGS)
        yield self.run_step()
        assert "a rendered argument of the step" in self.log()

    @defer.inlineCallbacks
    def test_secrets_are_redacted(self) -> Any:
        """A secret is redacted in logs, summary and store."""
        self.setup_step(MeasureShellCommand(name="m", command=["c"]))
        self.build.properties.useSecret("hunter2", "password")
        sidecar = sidecar_lines({"name": "text", "value": "hunter2"}, "hunter2 is not JSON")
        self.expect_measuring(["c"], sidecar=sidecar)
        self.expect_outcome(result=SUCCESS, state_string="text: <password>")
        yield self.run_step()
        assert "hunter2" not in self.log()
        assert self.captured_values() == {"text": "<password>"}

    @defer.inlineCallbacks
    def test_output_of_a_failed_command_is_logged(self) -> Any:
        """The value of a failed command is logged, not stored; an invalid one is not counted as refused."""
        yield self.run_measuring("5", FAILURE, exit=1)
        assert "m: 5 = 5.0 1 (number): not stored: the command did not succeed" in self.log()
        assert self.captured_points() == []
        self._steps.clear()
        yield self.run_measuring("crash", FAILURE, exit=1)
        assert "not read: 'crash'" in self.log()
        assert state_of(self.master).pipeline.counters["refused"] == 0


class TestStorageErrors(StepTestCase):
    """Errors of the store."""

    @defer.inlineCallbacks
    def test_store_that_fails(self) -> Any:
        """A value that the store refuses is WARNINGS, with the error of the store in the log."""
        state_of(self.master).pipeline.attach(BrokenStorage("fail"))
        yield self.run_measuring("5", WARNINGS)
        assert "not stored: broken: set to fail" in self.log()

    def test_store_that_hangs(self) -> None:
        """A store that never answers delays the first step up to the deadline, later ones by a fraction of it."""
        state_of(self.master).pipeline.attach(BrokenStorage("hang"))
        running = self.run_measuring("5", SUCCESS)
        self.assertNoResult(running)
        self.reactor.pump([0.5] * 4)
        self.successResultOf(running)
        assert state_of(self.master).pipeline.counters["late"] >= 1
        self._steps.clear()
        running = self.run_measuring("5", SUCCESS)
        self.reactor.pump([0.06] * 4)
        self.successResultOf(running)

    @defer.inlineCallbacks
    def test_cancelled(self) -> Any:
        """Records of a cancelled command are logged, not stored."""
        self.interrupt_nth_remote_command(0)
        self.setup_step(MeasureShellCommand(name="m", command=["c"]))
        self.expect_measuring(["c"], stdout='##bbmeasure {"name":"x","value":1}\n', exit=-1)
        self._expected_commands[0].interrupted = True
        self.expect_outcome(result=CANCELLED)
        try:
            yield self.run_step()
        except AssertionError:  # releases of Buildbot differ in the result of a cancelled step
            assert self.get_nth_step(0).results == EXCEPTION
        assert self.captured_points() == []
