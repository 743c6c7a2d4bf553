"""Gates of measuring steps: results, summaries, logs and properties by verdicts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from buildbot.plugins import steps, util
from buildbot.process.results import FAILURE, SUCCESS, WARNINGS
from twisted.internet import defer
from twisted.trial import unittest

from bbmeasure import Gate
from bbmeasure.analysis import State, Verdict
from bbmeasure.capture.gates import Gates, line_key
from bbmeasure.capture.state import state_of
from bbmeasure.records import Direction, Kind
from bbmeasure.reports.verdicts import LineVerdict
from bbmeasure.testing import sidecar_lines
from bbmeasure_steps import judging
from tests import documented
from tests.steps.case import StepTestCase
from tests.steps.judges import EQUAL, NOISY, MadeLines


class GateCase(StepTestCase):
    """A step whose series have a history."""

    def judged_by(self, **histories: Any) -> MadeLines:
        """The judge of the step."""
        judge = MadeLines(histories)
        self.patch(judging, "judge_of", lambda _: judge)
        return judge

    @property
    def gates(self) -> Any:
        """The gates of the build."""
        return state_of(self.master).gates.of_build(self.build.buildid)


class TestLevels(GateCase):
    """The effect of a worse value on its step."""

    @defer.inlineCallbacks
    def check(self, level: str, result: int, text: str = "") -> Any:
        """Run a step whose value is over its limit."""
        self.judged_by(m=EQUAL)
        summary = "worse: usual 98 to 102, +20 %, limit 110"
        yield self.run_measuring(
            "120", result=result, gate=Gate(limit=110, level=level), state=f"m: 120 ({summary}){text}"
        )
        assert self.captured_values() == {"m": 120}

    def test_info(self) -> Any:
        """It has no effect, and is shown."""
        return self.check("info", SUCCESS)

    def test_warn(self) -> Any:
        """The step is WARNINGS."""
        return self.check("warn", WARNINGS, " (warnings)")

    def test_fail(self) -> Any:
        """The step is FAILURE; its value is stored."""
        return self.check("fail", FAILURE, " (failure)")

    def test_unconfirmed_never_acts(self) -> Any:
        """An unconfirmed value has no effect at any level."""
        self.judged_by(m=NOISY)
        return self.run_measuring(
            "1.2", gate=Gate(level="fail"), state="m: 1.2 (unconfirmed: usual 0.955 to 1.05, +20 %)"
        )

    @defer.inlineCallbacks
    def test_improvements_never_act(self) -> Any:
        """A better value has no effect."""
        self.judged_by(m=EQUAL)
        yield self.run_measuring("80", gate=Gate(level="fail"))
        assert "m: 80 (better: usual" in self.log()

    @defer.inlineCallbacks
    def test_a_failed_command(self) -> Any:
        """The step of a failed command is FAILURE; its kept values enter no baseline."""
        self.judged_by(m=EQUAL)
        yield self.run_measuring("120", result=FAILURE, exit=1, keepOnFailure=True, gate=Gate(limit=110, level="warn"))
        assert self.gates.excluded == {line_key("m", {})}

    @defer.inlineCallbacks
    def test_values_that_are_not_stored(self) -> Any:
        """What is not stored is not judged."""
        judge = self.judged_by(m=EQUAL)
        yield self.run_measuring("120", result=FAILURE, exit=1, gate=Gate(limit=110, level="warn"))
        assert (judge.asked, self.gates.states) == ([], {})


class TestTexts(GateCase):
    """What summary, log and properties say."""

    @defer.inlineCallbacks
    def test_a_usual_value(self) -> Any:
        """The summary is as without a gate; the log has the sentence."""
        self.judged_by(m=NOISY)
        yield self.run_measuring("1.01", gate=Gate(level="fail"), state="m: 1.01")
        assert ": stored; normal: 1.01 is within what is usual, 0.955 to 1.04." in self.log()
        assert self.build.getProperty("measurements-verdict") == "normal"
        assert self.build.getProperty("measurements-worse") == []

    @defer.inlineCallbacks
    def test_properties(self) -> Any:
        """The properties are about all that the build has measured so far."""
        self.judged_by(a=EQUAL, b=NOISY, c=EQUAL)
        records = [{"name": name, "value": value} for name, value in (("a", 120), ("b", 1.2), ("c", 120), ("d", 1))]
        yield self.run_measuring("", sidecar=sidecar_lines(*records))
        assert self.build.getProperty("measurements-verdict") == "worse"
        assert self.build.getProperty("measurements-worse") == ["a", "c"]

    @defer.inlineCallbacks
    def test_a_judge_that_is_late(self) -> Any:
        """The log says that verdicts are missing; the step is not affected."""
        judge = self.judged_by(m=EQUAL)
        judge.complete = False
        yield self.run_measuring("100", gate=Gate(limit=110, level="fail"), state="m: 100")
        assert "the verdicts were not there in time" in self.log()

    @defer.inlineCallbacks
    def test_a_judge_that_fails(self) -> Any:
        """An error of the judge is counted, and does not affect the step."""
        judge = self.judged_by()
        judge.histories = {"m": ["nonsense"]}
        yield self.run_measuring("100", gate=Gate(limit=110, level="fail"), state="m: 100")
        assert state_of(self.master).pipeline.counters["verdict_errors"] == 1
        assert self.captured_values() == {"m": 100}

    @defer.inlineCallbacks
    def test_a_limit_that_does_not_fit(self) -> Any:
        """The log names a limit that the values cannot be compared with; it is counted."""
        self.judged_by(m=EQUAL)
        yield self.run_measuring("100", gate=Gate(limit="10 MiB", level="fail"), state="m: 100")
        assert "m: gate: limit 10 MiB: not applied to a number" in self.log()
        assert state_of(self.master).pipeline.counters["gate_misfit"] == 1


class TestDocumentation(unittest.TestCase):
    """The example on the page about verdicts."""

    def test_example(self) -> None:
        """Its statements are a valid configuration."""
        names = {"f": util.BuildFactory(), "util": util, "steps": steps}
        exec((documented.EXAMPLES / "gates.cfg").read_text(), names)
        gates = [track.overrides.gate for track in names["b1"].measurePlan.step_times]
        assert gates == [Gate(minimumChange="5 %", level="warn")]


class TestProperties(unittest.TestCase):
    """The properties that successive steps of a build set."""

    def test_the_state_that_comes_first(self) -> None:
        """Later values change the properties only by their own lines; the first state in the order of states counts."""
        found: dict[str, Any] = {}
        step = SimpleNamespace(setProperty=lambda name, value, _: found.update({name: value}))
        gates = Gates()
        for name, state, wanted in (
            ("a", "no_baseline", ("no_baseline", [])),
            ("b", "normal", ("normal", [])),
            ("c", "better", ("better", [])),
            ("d", "unconfirmed", ("unconfirmed", [])),
            ("e", "changed", ("changed", [])),
            ("f", "worse", ("worse", ["f"])),
            ("g", "broken", ("broken", ["f"])),
            ("a", "worse", ("broken", ["a", "f"])),
            ("g", "normal", ("worse", ["a", "f"])),
        ):
            verdict = Verdict(State(state), 1.0)
            line = LineVerdict(name, "b", {}, "main", "w", Kind.NUMBER, "1", Direction.NONE, 1.0, verdict)
            judging.set_properties(step, gates, [line])
            assert (found["measurements-verdict"], found["measurements-worse"]) == wanted

    def test_nothing_judged(self) -> None:
        """Without a verdict no property is set."""
        judging.set_properties(None, Gates(), [])


class TestScope(GateCase):
    """The series that a step's gate is for."""

    @defer.inlineCallbacks
    def test_its_own_value(self) -> Any:
        """A step with a value of its own gives that its gate, under the name of its series."""
        self.judged_by()
        gate = Gate(limit=110)
        records = [{"name": "m", "value": 1}, {"name": "other", "value": 120}]
        yield self.run_measuring("", sidecar=sidecar_lines(*records), gate=gate, series="{builder}.x")
        assert (self.gates.of("Builder.x"), self.gates.of("other")) == (gate, Gate())

    @defer.inlineCallbacks
    def test_all_records(self) -> Any:
        """Without a value of its own, all records have its gate."""
        self.judged_by()
        gate = Gate(limit="1 s").in_unit("s")
        records = [{"name": "a", "value": 1, "unit": "s"}, {"name": "b", "value": 2, "unit": "s"}]
        yield self.run_measuring("", sidecar=sidecar_lines(*records), gate=gate)
        assert [self.gates.of(name) for name in ("a", "b", "m")] == [gate, gate, Gate()]

    @defer.inlineCallbacks
    def test_a_plain_number_is_in_the_unit_of_the_step(self) -> Any:
        """A plain limit of a step with ``unit="ms"`` is in milliseconds."""
        judge = self.judged_by(m=[0.1] * 10)
        judge.kind, judge.unit = Kind.DURATION, "s"
        yield self.run_measuring("300", unit="ms", result=FAILURE, gate=Gate(limit=200, level="fail"))
        assert self.gates.of("m") == Gate(limit="200 ms", level="fail")

    def test_another_object(self) -> None:
        """Another object is a configuration error."""
        with self.assertRaisesConfigError("MeasureShellCommand: gate 'fail': expected util.Gate"):
            self.run_measuring(gate="fail")
