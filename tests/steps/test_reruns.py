"""Reruns: a step that measures again while its value is unconfirmed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Union

from buildbot.process.results import CANCELLED, EXCEPTION, FAILURE, SUCCESS
from buildbot.test.steps import ExpectShell, ExpectStat
from twisted.internet import defer

from bbmeasure import Gate
from bbmeasure.capture.gates import line_key
from bbmeasure.capture.state import state_of
from bbmeasure_steps import MeasureShellCommand
from tests.steps.judges import NOISY
from tests.steps.test_gates import GateCase

Output = Union[str, tuple[str, int]]


class RerunCase(GateCase):
    """A step whose command prints something else each time."""

    def run_outputs(
        self,
        *outputs: Output,
        rerun: int = 4,
        result: int = SUCCESS,
        state: Optional[str] = None,
        expected: Sequence[Any] = (),
        **arguments: Any,
    ) -> defer.Deferred[None]:
        """Run a step whose command prints each of ``outputs`` in turn, with an exit status where one is given."""
        gate = Gate(rerun=rerun, level="fail")
        self.setup_step(MeasureShellCommand(name="m", command=["c"], gate=gate, better="lower", **arguments))
        for number, output in enumerate(outputs):
            text, status = output if isinstance(output, tuple) else (output, 0)
            limit = {} if not number else {"max_time": 60.0}
            self.expect_measuring(["c"], stdout=text, exit=status, **limit)
        self.expect_commands(*expected)
        self.expect_outcome(result=result, state_string=state)
        return self.run_step()


class TestReruns(RerunCase):
    """Which measurements count."""

    @defer.inlineCallbacks
    def test_confirmed(self) -> Any:
        """Four reruns of a value that is 20 % off confirm it; one point is stored, the median of all."""
        judge = self.judged_by(m=NOISY)
        yield self.run_outputs("1.2", "1.21", "1.19", "1.22", "1.18", result=FAILURE)
        (point,) = self.captured_points()
        assert (point.value, point.samples) == (1.2, 5)
        assert self.gates.measurements == {line_key("m", {}): (1.2, 1.21, 1.19, 1.22, 1.18)}
        assert "worse: usual" in self.log()
        assert "; median of 5 measurements: 1.2, 1.21, 1.19, 1.22, 1.18;" in self.log()
        assert [asked["m"] for asked in judge.asked] == [1.2, 1.205, 1.2, 1.205, 1.2]

    @defer.inlineCallbacks
    def test_a_usual_value(self) -> Any:
        """A usual value is not measured again."""
        judge = self.judged_by(m=NOISY)
        yield self.run_outputs("1.01", state="m: 1.01")
        assert (len(judge.asked), self.gates.measurements) == (1, {})

    @defer.inlineCallbacks
    def test_a_spike(self) -> Any:
        """The reruns end when the median of the measurements is usual."""
        self.judged_by(m=NOISY)
        yield self.run_outputs("1.2", "1.0", "1.01", state="m: 1.01")
        (point,) = self.captured_points()
        assert (point.value, point.samples) == (1.01, 3)

    @defer.inlineCallbacks
    def test_as_often_as_the_gate_allows(self) -> Any:
        """One rerun confirms nothing, and a gate without any measures once."""
        self.judged_by(m=NOISY)
        yield self.run_outputs("1.2", "1.21", rerun=1)
        assert "unconfirmed: usual" in self.log()
        assert self.captured_points()[0].samples == 2

    @defer.inlineCallbacks
    def test_without(self) -> Any:
        """A gate without reruns measures once."""
        self.judged_by(m=NOISY)
        yield self.run_outputs("1.2", rerun=0)
        assert self.captured_points()[0].samples == 1

    @defer.inlineCallbacks
    def test_with_a_parser_process(self) -> Any:
        """Each measurement has an output of its own, also where a parser process reads it."""
        self.judged_by(m=NOISY)
        yield self.run_outputs("x 1.2", "x 1.21", "x 1.19", "x 1.22", "x 1.18", result=FAILURE, pattern=r"x (\S+)")
        assert self.gates.measurements == {line_key("m", {}): (1.2, 1.21, 1.19, 1.22, 1.18)}


class TestBadReruns(RerunCase):
    """Reruns that fail, or measure something else."""

    @defer.inlineCallbacks
    def check_not_counted(self, note: str, failures: int) -> Any:
        """The first measurement alone counts, and the log says why."""
        (point,) = self.captured_points()
        assert (point.value, point.samples) == (1.2, 1)
        assert note in self.log()
        assert state_of(self.master).pipeline.counters["reruns_failed"] == failures
        assert "unconfirmed" in self.log()
        yield defer.succeed(None)

    @defer.inlineCallbacks
    def test_fails(self) -> Any:
        """A rerun that fails ends the reruns; the result of the step is that of its first command."""
        self.judged_by(m=NOISY)
        yield self.run_outputs("1.2", ("1.2", 3))
        yield self.check_not_counted("rerun 1: the command did not succeed within 60 s; it does not count", 1)

    @defer.inlineCallbacks
    def test_without_a_value(self) -> Any:
        """A rerun without a value ends the reruns."""
        self.judged_by(m=NOISY)
        yield self.run_outputs("1.2", "nothing")
        yield self.check_not_counted("rerun 1: no value: m", 0)

    @defer.inlineCallbacks
    def test_another_unit(self) -> Any:
        """A rerun in another unit does not count."""
        self.judged_by(m=NOISY)
        yield self.run_outputs("1.2", "1.2 s")
        yield self.check_not_counted("rerun 1: not measured before, does not count: m", 0)

    @defer.inlineCallbacks
    def test_other_series(self) -> Any:
        """Series that only a rerun has are not stored; those that it lacks keep their measurements."""
        self.judged_by(a=NOISY, b=NOISY)
        first = '##bbmeasure {"name":"a","value":1.2}\n##bbmeasure {"name":"b","value":1.0}\n'
        again = '##bbmeasure {"name":"a","value":1.2}\n##bbmeasure {"name":"new","value":1.0}\n'
        yield self.run_outputs(first, *[again] * 4, result=FAILURE)
        assert {point.series: point.samples for point in self.captured_points()} == {"a": 5, "b": 1}
        assert "rerun 1: not measured before, does not count: new" in self.log()
        assert "rerun 4: no value: b" in self.log()

    @defer.inlineCallbacks
    def test_stopped(self) -> Any:
        """A build that is stopped during a rerun stores nothing of the step."""
        self.judged_by(m=NOISY)
        self.interrupt_nth_remote_command(2)
        self.setup_step(MeasureShellCommand(name="m", command=["c"], gate=Gate(rerun=4)))
        self.expect_measuring(["c"], stdout="1.2")
        path = self.sidecar_path()
        env = {"BBMEASURE_FILE": path}
        again = ExpectShell(workdir="wkdir", command=["c"], env=env, max_time=60.0).stdout("1.2").exit(-1)
        self.expect_commands(again, ExpectStat(file=path).exit(1))
        self._expected_commands[2].interrupted = True
        self.expect_outcome(result=CANCELLED)
        try:
            yield self.run_step()
        except AssertionError:  # releases of Buildbot differ in the result of a cancelled step
            assert self.get_nth_step(0).results == EXCEPTION
        assert self.captured_points() == []
        assert "not stored: the command did not succeed" in self.log()
