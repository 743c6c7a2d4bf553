"""Levels, reruns and CheckMeasurements on a real master with a journal, whose builds are judged by its own judge."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from buildbot.process.results import FAILURE, SUCCESS
from twisted.internet import defer

from bbmeasure import Gate, MeasurementPolicy
from bbmeasure.capture.state import state_of
from bbmeasure.reports import judge
from bbmeasure.reports.judge import Judge
from bbmeasure_steps import CheckMeasurements, MeasureShellCommand, reruns
from tests.steps.live import Leaves, LiveCase, measured, plain, sqlite

#: Values with noise of about 1 %.
NOISE = itertools.cycle((1.0, 1.01, 0.99, 1.005, 0.995, 1.002, 1.008, 0.992))


class LevelCase(LiveCase):
    """A builder whose step ``m`` prints the next number of :attr:`numbers` each time it runs."""

    def setUp(self) -> Any:
        self.path = self.mktemp()
        self.results: list[int] = []
        return super().setUp()

    def step(self, **arguments: Any) -> Any:
        """A step that prints the first line of a file, and removes it there unless it is the last."""
        script = f"head -n 1 {self.path}; test $(wc -l < {self.path}) -le 1 || sed -i 1d {self.path}"
        return MeasureShellCommand(
            name="m", command=["sh", "-c", script], better="lower", flunkOnFailure=False, **arguments
        )

    @defer.inlineCallbacks
    def builds(self, *values: Any, builder: str = "first") -> Any:
        """Build with each of ``values``, a number or those of one build; returns the results of the step ``m``."""
        results = []
        for value in values:
            numbers: Iterable[float] = value if isinstance(value, tuple) else (value,)
            with open(self.path, "w") as file:
                file.writelines(f"{number}\n" for number in numbers)
            build = yield self.build(builder)
            yield self.settle()
            steps = yield self.master.data.get(("builds", build["buildid"], "steps"))
            (step,) = [step for step in steps if step["name"] == "m"]
            self.text = step["state_string"]
            results.append(step["results"])
            properties = yield self.master.data.get(("builds", build["buildid"], "properties"))
            self.properties = {name: found for name, (found, _) in properties.items()}
        return results

    @property
    def judge(self) -> Judge:
        """The judge of the master."""
        return state_of(self.master).component(Judge)

    def noise(self, count: int) -> list[float]:
        """Numbers around 1."""
        return [next(NOISE) for _ in range(count)]


class TestLevels(LevelCase):
    """The step's result by its verdict."""

    @defer.inlineCallbacks
    def test_a_limit(self) -> Any:
        """A size that grows by one byte over its limit fails its own build, and the next ones."""
        gate = Gate(limit="100 bytes", level="fail")
        yield self.start([plain("first", [self.step(unit="bytes", gate=gate)])], [sqlite()])
        assert (yield self.builds(99, 100, 101, 101, 100)) == [SUCCESS, SUCCESS, FAILURE, FAILURE, SUCCESS]

    @defer.inlineCallbacks
    def test_a_limit_in_the_first_build(self) -> Any:
        """A limit acts on the first value of a series, which the journal does not have yet."""
        gate = Gate(limit="100 bytes", level="fail")
        yield self.start([plain("first", [self.step(unit="bytes", gate=gate)])], [sqlite()])
        assert (yield self.builds(101)) == [FAILURE]

    @defer.inlineCallbacks
    def test_a_shift(self) -> Any:
        """The fifth build of a new level confirms it and fails, and so does each later one at that level."""
        yield self.start([plain("first", [self.step(gate=Gate(level="fail"))])], [sqlite()])
        yield self.builds(*self.noise(12))
        assert self.properties["measurements-verdict"] == "normal"
        slow = [1.2 * value for value in self.noise(6)]
        assert (yield self.builds(*slow[:4])) == [SUCCESS] * 4
        assert self.text.startswith("m: 1.")
        assert "(unconfirmed: usual 0." in self.text
        assert (yield self.builds(*slow[4:])) == [FAILURE] * 2
        assert self.text.endswith("shift, since build 13) (failure)")
        assert "(worse: usual 0." in self.text
        assert self.properties["measurements-verdict"] == "worse"
        assert self.properties["measurements-worse"] == ["m"]

    @defer.inlineCallbacks
    def test_rerun(self) -> Any:
        """With reruns one build confirms the change."""
        gate = Gate(level="fail", rerun=4)
        yield self.start([plain("first", [self.step(gate=gate)])], [sqlite()])
        yield self.builds(*self.noise(12))
        assert (yield self.builds((1.2, 1.21, 1.19, 1.2, 1.22))) == [FAILURE]
        (point,) = (yield self.points("m"))[-1:]
        assert (point.value, point.samples) == (1.2, 5)
        assert self.judge.store is not None
        alerts = yield self.judge.store.alerts(_all())
        assert [(alert.line.series, alert.build, alert.state) for alert in alerts] == [("m", 13, "open")]

    @defer.inlineCallbacks
    def test_gates_of_the_policy(self) -> Any:
        """The policy's gate applies where the step has none."""
        policy = MeasurementPolicy(gates={"m": Gate(limit=2, level="fail"), "*": Gate(limit=1, level="fail")})
        yield self.start([plain("first", [self.step()])], [sqlite(), policy])
        assert (yield self.builds(1.5, 2.5)) == [SUCCESS, FAILURE]


class TestDocuments(LevelCase):
    """Reruns of a command whose stdout is a document, which is read from a file of the worker."""

    @defer.inlineCallbacks
    def test_rerun(self) -> Any:
        """Each rerun's document is read; series that are usual are measured again too, and keep their median."""
        result = '{"command": "%s", "median": %s, "times": [1]}'
        document = f'{{"results": [{result}, {result}]}}'
        gate = Gate(level="fail", rerun=4)
        script = f"printf '{document}' a $(cat {self.path}) b 1"
        step = MeasureShellCommand(
            name="m", command=["sh", "-c", script], parser="hyperfine", gate=gate, flunkOnFailure=False
        )
        yield self.start([plain("first", [step])], [sqlite()])
        yield self.builds(*self.noise(12))
        assert (yield self.builds(1.2)) == [FAILURE]
        assert self.properties["measurements-worse"] == ["a"]
        for series, value in (("a", 1.2), ("b", 1.0)):
            points = yield self.points(series)
            assert (points[-1].value, points[-1].samples) == (value, 5)


class TestBadReruns(LevelCase):
    """Reruns and verdicts that do not end."""

    @defer.inlineCallbacks
    def test_a_rerun_that_hangs(self) -> Any:
        """A rerun that takes far longer than the first command is ended; the first value alone counts."""
        self.patch(reruns, "LEAST_TIME", 1.0)
        flag = self.mktemp()
        script = f"cat {self.path}; test ! -e {flag} || sleep 1000; grep -q ^1.2 {self.path} && touch {flag}; true"
        gate = Gate(level="fail", rerun=4)
        step = MeasureShellCommand(name="m", command=["sh", "-c", script], better="lower", gate=gate)
        yield self.start([plain("first", [step])], [sqlite()])
        yield self.builds(*self.noise(12))
        assert (yield self.builds(1.2)) == [SUCCESS]
        assert "(unconfirmed: usual" in self.text
        (point,) = (yield self.points("m"))[-1:]
        assert (point.value, point.samples) == (1.2, 1)
        assert self.pipeline.counters["reruns_failed"] == 1

    @defer.inlineCallbacks
    def test_a_judge_that_hangs(self) -> Any:
        """At the deadline of the verdicts the step goes on; it is counted."""
        self.patch(judge, "DEADLINE", 0.2)
        yield self.start([plain("first", [self.step(gate=Gate(limit=1, level="fail"))])], [sqlite()])
        run = self.judge._queue.run

        def hang(*arguments: Any, urgent: bool = False, **more: Any) -> Any:
            return defer.Deferred() if urgent else run(*arguments, urgent=urgent, **more)

        self.patch(self.judge._queue, "run", hang)
        assert (yield self.builds(1.2)) == [SUCCESS]
        assert self.text == "m: 1.2"
        assert self.pipeline.counters["verdicts_late"] >= 1
        assert (yield self.values("m")) == [1.2]


class TestCheckMeasurements(LevelCase):
    """The last step."""

    @defer.inlineCallbacks
    def test_tracked_values(self) -> Any:
        """A statistic and a property over their limits fail the step, whatever else the build has."""
        steps = [
            self.step(),
            Leaves(name="one", statistics={"warnings": 5}, properties={"p": 7}),
            CheckMeasurements(flunkOnFailure=False),
        ]
        builder = measured(steps=steps)
        builder.trackStatistics("warnings", gate=Gate(limit=4, level="fail"))
        builder.trackProperties("p", gate=Gate(limit=6, level="fail"))
        yield self.start([builder], [sqlite()])
        assert (yield self.builds(1.0)) == [SUCCESS]
        assert self.properties["measurements-verdict"] == "worse"
        assert self.properties["measurements-worse"] == ["p", "warnings"]
        steps = yield self.master.data.get(("builds", 1, "steps"))
        assert [step["results"] for step in steps if step["name"] == "measurements"] == [FAILURE]
        verdicts = yield self.judge.verdicts_of(1)
        assert verdicts.worse == ("p", "warnings")


def _all() -> Any:
    from bbmeasure.storage.verdict_store import AlertQuery

    return AlertQuery()
