"""CheckMeasurements: what it judges, its result, summary, log and properties."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import FAILURE, SUCCESS, WARNINGS
from twisted.internet import defer

from bbmeasure import Gate
from bbmeasure.records import Kind
from bbmeasure_steps import CheckMeasurements, judging
from tests.steps.judges import EQUAL, MadeLines
from tests.steps.live import Leaves, LiveCase, measured, plain, sqlite


class TestCheckMeasurements(LiveCase):
    """The last step of a build on a real master, whose lines have a made history."""

    def judged_by(self, **histories: Any) -> MadeLines:
        """The judge of the master."""
        judge = MadeLines(histories, kind=Kind.COUNT)
        self.patch(judging, "judge_of", lambda _: judge)
        return judge

    @defer.inlineCallbacks
    def check(self, builder: Any, result: int) -> Any:
        """Build, and return the summary, the log and the properties of the step ``measurements``."""
        builder.factory.addStep(CheckMeasurements(flunkOnFailure=False, warnOnWarnings=False))
        yield self.start([builder], [sqlite()])
        build = yield self.build(builder.name)
        get = self.master.data.get
        steps = yield get(("builds", build["buildid"], "steps"))
        (step,) = [step for step in steps if step["name"] == "measurements"]
        assert step["results"] == result
        (log,) = yield get(("steps", step["stepid"], "logs"))
        content = yield get(("logs", log["logid"], "contents"))
        properties = yield get(("builds", build["buildid"], "properties"))
        return step["state_string"], content["content"], {name: value for name, (value, _) in properties.items()}

    def builder(self, **gate: Any) -> Any:
        """A builder that tracks a statistic and a property."""
        steps = [
            Leaves(name="one", statistics={"warnings": 120}, properties={"p": 100}),
            Leaves(name="two", statistics={"warnings": 100}),
        ]
        builder = measured(steps=steps)
        builder.trackStatistics("warnings", gate=Gate(**gate))
        builder.trackProperties("p")
        return builder

    @defer.inlineCallbacks
    def test_fail(self) -> Any:
        """A tracked value that breaks a rule of level ``fail`` fails the step."""
        self.judged_by(warnings=EQUAL, p=EQUAL)
        summary, log, properties = yield self.check(self.builder(limit=110, level="fail"), FAILURE)
        shown = "warnings [step=one]: 120 (worse: usual 98 to 102, +20 %, limit 110)"
        assert summary == f"{shown} (failure)"
        assert log.split("\n")[0] == f"{shown}: worse: 120 is above the limit of 110."
        assert len(log.strip().split("\n")) == 3
        assert properties["measurements-verdict"] == "worse"
        assert properties["measurements-worse"] == ["warnings"]

    @defer.inlineCallbacks
    def test_warn(self) -> Any:
        """Of level ``warn`` it makes the step WARNINGS."""
        self.judged_by(warnings=EQUAL)
        summary, _, _ = yield self.check(self.builder(maximumIncrease="10 %", level="warn"), WARNINGS)
        assert summary.endswith(", maximumIncrease 10 %) (warnings)")

    @defer.inlineCallbacks
    def test_info(self) -> Any:
        """By default it has no effect."""
        self.judged_by(warnings=EQUAL)
        summary, _, _ = yield self.check(self.builder(limit=110), SUCCESS)
        assert summary == "warnings [step=one]: 120 (worse: usual 98 to 102, +20 %, limit 110)"

    @defer.inlineCallbacks
    def test_usual_values(self) -> Any:
        """Without a worse value the summary counts the states."""
        self.judged_by(p=EQUAL)
        summary, _, properties = yield self.check(self.builder(), SUCCESS)
        assert summary == "measurements: 2 no_baseline, 1 normal"
        assert properties["measurements-verdict"] == "normal"

    @defer.inlineCallbacks
    def test_many_worse_values(self) -> Any:
        """The summary shows three worse values and counts the others."""
        statistics = {f"s{number}": 9 for number in range(5)}
        builder = measured(steps=[Leaves(name="one", statistics=statistics)])
        builder.trackStatistics(*statistics, gate=Gate(limit=8))
        self.judged_by()
        summary, _, _ = yield self.check(builder, SUCCESS)
        assert summary.count("worse: limit 8") == 3
        assert summary.endswith(", and 2 more")

    @defer.inlineCallbacks
    def test_a_judge_that_is_late(self) -> Any:
        """Without verdicts the step is SUCCESS, and says so."""
        judge = self.judged_by(warnings=EQUAL)
        judge.complete = False
        summary, log, _ = yield self.check(self.builder(limit=110, level="fail"), SUCCESS)
        assert summary == "measurements: nothing was measured, not all judged in time"
        assert "the verdicts were not there in time" in log

    @defer.inlineCallbacks
    def test_errors(self) -> Any:
        """An error of the judge is counted, and does not fail the build."""
        judge = self.judged_by()
        judge.histories = {"warnings": ["nonsense"]}
        builder = self.builder(limit=110, level="fail")
        yield self.check(builder, SUCCESS)
        assert self.pipeline.counters["verdict_errors"] == 1

    @defer.inlineCallbacks
    def test_errors_of_the_tracking(self) -> Any:
        """An error while the tracked values are captured is counted, and does not fail the build."""
        self.judged_by()
        builder = self.builder(limit=110, level="fail")
        self.patch(builder.factory.buildClass, "measure_so_far", lambda _: defer.fail(ValueError("broken")))
        summary, _, _ = yield self.check(builder, SUCCESS)
        assert summary == "measurements: nothing was measured"
        assert self.pipeline.counters["errors"] == 1

    @defer.inlineCallbacks
    def test_a_plain_builder(self) -> Any:
        """On a plain builder it judges what measuring steps have captured."""
        judge = self.judged_by()
        summary, _, _ = yield self.check(plain(steps=[Leaves(name="one")]), SUCCESS)
        assert summary == "measurements: nothing was measured"
        assert judge.asked == [{}]
