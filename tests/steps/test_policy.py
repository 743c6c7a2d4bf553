"""MeasurementPolicy: arguments, machine classes, branches, and reconfigs of a running master."""

from __future__ import annotations

from typing import Any

import pytest
from buildbot.config import ConfigErrors
from buildbot.config.master import MasterConfig
from twisted.internet import defer
from twisted.trial import unittest

from bbmeasure import Gate, MeasurementPolicy
from bbmeasure.capture.branches import BranchPolicy, branch_of
from bbmeasure.capture.state import state_of
from tests.steps.live import Leaves, LiveCase, measured, sqlite


class TestArguments(unittest.TestCase):
    """Arguments in master.cfg."""

    def test_wrong_values(self) -> None:
        """The message names the actual and the expected value."""
        for arguments, expected in (
            ({"machineClass": 5}, "machineClass"),
            ({"machineClass": ""}, "machineClass"),
            ({"defaultBranch": ""}, "defaultBranch"),
            ({"defaultBranch": None}, "defaultBranch"),
            ({"trustedBranches": "main"}, "trustedBranches 'main': expected a list of names such as 'release/*'"),
            ({"trustedBranches": ["main", ""]}, "trustedBranches ['main', '']: expected a list of names"),
            ({"trustedBranches": 5}, "trustedBranches 5: expected a list of names"),
            ({"gates": [("a", Gate())]}, "gates"),
            ({"gates": {"a": "fail"}}, "gates['a'] 'fail': expected util.Gate"),
            (
                {"gates": {"build_duration": Gate(level="warn")}},
                "gates['build_duration']: level 'warn': expected 'info', its value is known after the build",
            ),
            ({"trackBuildTimes": True}, "unknown argument trackBuildTimes: expected one of machineClass"),
        ):
            with pytest.raises(ConfigErrors) as caught:
                MeasurementPolicy(**arguments)
            assert caught.value.errors[0].startswith(f"MeasurementPolicy: {expected}"), caught.value.errors

    def test_a_name(self) -> None:
        """It takes no name, with which a master could have two."""
        with pytest.raises(ConfigErrors, match="a master has one policy, which takes no name="):
            MeasurementPolicy(name="second")

    def test_a_second_policy(self) -> None:
        """A second policy in one configuration is an error."""
        with pytest.raises(ConfigErrors) as caught:
            MasterConfig.loadFromDict({"services": [MeasurementPolicy(), MeasurementPolicy()]}, "master.cfg")
        assert any("MeasurementPolicy" in error for error in caught.value.errors), caught.value.errors


class TestPolicy(LiveCase):
    """A master with a policy."""

    @defer.inlineCallbacks
    def contexts(self, series: str = "compile_time") -> Any:
        """Branch, proposal and machine class of all points of a series, in the order of their builds."""
        points = sorted((yield self.points(series)), key=lambda point: point.build.build)
        return [(point.build.branch, point.build.proposal, point.build.machine_class) for point in points]

    def describe_worker(self, **properties: str) -> None:
        """Give the worker these properties, as its arguments in master.cfg do."""
        self.master.workers.workers["local1"].properties.update(properties, "Worker")

    def builder(self, *steps: Any) -> Any:
        """A builder that stores ``compile_time``."""
        builder = measured(steps=[*steps, Leaves(name="compile")])
        builder.trackStepTimes("compile", series="compile_time")
        return builder

    @defer.inlineCallbacks
    def test_the_machine_class_is_the_worker_s(self) -> Any:
        """It is the worker's own property, whatever a step sets a property of that name to."""
        claims = Leaves(name="claims", properties={"worker_class": "claimed"})
        services = [sqlite(), MeasurementPolicy(machineClass="worker_class", defaultBranch="trunk")]
        yield self.start([self.builder(claims)], services)
        self.describe_worker(worker_class="big")
        yield self.build("first")
        assert (yield self.contexts()) == [("trunk", "", "big")]

    @defer.inlineCallbacks
    def test_a_worker_without_the_property(self) -> Any:
        """Such a worker is a class of its own, also where a step sets the property."""
        claims = Leaves(name="claims", properties={"worker_class": "claimed"})
        services = [sqlite(), MeasurementPolicy(machineClass="worker_class")]
        yield self.start([self.builder(claims)], services)
        yield self.build("first")
        assert (yield self.contexts()) == [("main", "", "local1")]

    @defer.inlineCallbacks
    def test_reconfig(self) -> Any:
        """A changed policy applies to builds that start later; without a policy the defaults do."""
        first = MeasurementPolicy(defaultBranch="trunk", machineClass="worker_class", trustedBranches=["release/*"])
        yield self.start([self.builder()], [sqlite(), first])
        self.describe_worker(worker_class="big", other_class="small")
        yield self.build("first")
        assert self.pipeline.branches.policy == BranchPolicy("trunk", ("release/*",))
        second = MeasurementPolicy(defaultBranch="master", machineClass="other_class")
        yield self.reconfigure([self.builder()], [sqlite(), second])
        self.describe_worker(worker_class="big", other_class="small")
        yield self.build("first")
        yield self.reconfigure([self.builder()], [sqlite()])
        yield self.build("first")
        assert (yield self.contexts()) == [("trunk", "", "big"), ("master", "", "small"), ("main", "", "local1")]

    @defer.inlineCallbacks
    def test_gates(self) -> Any:
        """The gates of the policy apply to builds that start later; without a policy none does."""
        gates = {"lint*": Gate(limit=0, level="warn"), "build_duration": Gate(minimumChange="5 %"), "*": Gate(limit=9)}
        yield self.start([self.builder()], [sqlite(), MeasurementPolicy(gates=gates)])
        before = state_of(self.master).gates.of_build(1_000_001)
        assert [before.of(name).limit for name in ("lint_all", "build_duration")] == [Gate(limit=0).limit, None]
        yield self.reconfigure([self.builder()], [sqlite()])
        assert state_of(self.master).gates.of_build(1_000_001).of("other") == Gate(limit=9)
        assert state_of(self.master).gates.of_build(1_000_002).of("other") == Gate()

    @defer.inlineCallbacks
    def test_a_policy_alone_stores_nothing(self) -> Any:
        """Without an instance that stores, the master has opted out."""
        yield self.start([self.builder()], [MeasurementPolicy()])
        yield self.build("first")
        assert self.pipeline.opted_out


def test_a_build_without_source_stamps() -> None:
    """It is a build of the default branch."""
    assert branch_of([], BranchPolicy("trunk", ["release/*"])).branch == "trunk"
    assert not branch_of([], BranchPolicy()).is_proposal
