"""Test case for steps."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import SUCCESS
from buildbot.test.reactor import TestReactorMixin
from buildbot.test.util.config import ConfigErrorsMixin
from twisted.internet import defer
from twisted.trial import unittest

from bbmeasure.testing import MeasuringStepMixin
from bbmeasure_steps import MeasureShellCommand
from tests.steps.kit import TestBuildStepMixin


class StepTestCase(MeasuringStepMixin, TestBuildStepMixin, TestReactorMixin, ConfigErrorsMixin, unittest.TestCase):
    """Base class of the tests of steps, with Buildbot's test kit."""

    @defer.inlineCallbacks
    def setUp(self) -> Any:
        self.setup_test_reactor()
        yield self.setup_test_build_step()

    def run_measuring(
        self, stdout: str = "", result: int = SUCCESS, state: str | None = None, *, exit: int = 0, **arguments: Any
    ) -> defer.Deferred[None]:
        """Run one MeasureShellCommand called ``m`` whose command prints ``stdout``."""
        sidecar, more = arguments.pop("sidecar", None), arguments.pop("more", ())
        self.setup_step(MeasureShellCommand(name="m", command=["c"], **arguments))
        more = more() if callable(more) else more
        self.expect_measuring(["c"], stdout=stdout, exit=exit, sidecar=sidecar, more=more)
        self.expect_outcome(result=result, state_string=state)
        return self.run_step()

    def log(self, name: str = "measurements") -> str:
        """The text of a log of the step."""
        return str(self.get_nth_step(0).logs[name].stdout)
