"""What Buildbot's own steps leave behind, in Buildbot's kit; tests/e2e/test_tracking.py runs the others for real."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import FAILURE, WARNINGS
from buildbot.steps.python import Sphinx
from buildbot.steps.python_twisted import HLint
from buildbot.steps.shell import PerlModuleTest
from buildbot.steps.subunit import SubunitShellCommand
from buildbot.steps.vstudio import MsBuild141
from buildbot.test.reactor import TestReactorMixin
from buildbot.test.steps import ExpectShell, TestBuildStepMixin
from twisted.internet import defer
from twisted.trial import unittest

from bbmeasure.master import stock

PROVE = """\
t/a.t .. ok
Test Summary Report
-------------------
t/b.t (Wstat: 0 Tests: 7 Failed: 2)
Files=2, Tests=10,  0 wallclock secs ( 0.02 usr +  0.00 sys =  0.02 CPU)
Result: FAIL
"""
SUBUNIT = """\
test: a.T.test_one
success: a.T.test_one
test: a.T.test_two
failure: a.T.test_two [
no
]
test: a.T.test_three
skip: a.T.test_three [
why
]
"""
MSBUILD = """\
  The project is building.
1>------ Build started: Project: one, Configuration: Release Win32 ------
1>a.cpp
1>a.cpp(1): warning C4100: unused
1>b.cpp(2): error C2065: undeclared
"""


class TestStock(TestBuildStepMixin, TestReactorMixin, unittest.TestCase):
    """One test a step, or family of steps."""

    @defer.inlineCallbacks
    def setUp(self) -> Any:
        self.setup_test_reactor()
        yield self.setup_test_build_step()

    @defer.inlineCallbacks
    def left_by(self, step: Any, stdout: str, result: int, exit: int = 0) -> Any:
        """The statistics of ``step`` when its command has printed ``stdout``."""
        self.setup_step(step)
        made = self.get_nth_step(0)
        command = AnyShell(workdir="wkdir", command=["any"])
        for line in stdout.splitlines(keepends=True):  # MsBuild takes for one line what comes at once
            command.stdout(line)
        self._expected_commands = [command.exit(exit)]
        self.expect_outcome(result=result)
        yield self.run_step()
        return stock.statistics_of(made)

    @defer.inlineCallbacks
    def test_perl_modules(self) -> Any:
        """PerlModuleTest, like every Test, counts tests in statistics."""
        found = yield self.left_by(PerlModuleTest(command=["prove"]), PROVE, FAILURE, 1)
        assert {name: found[name] for name in ("tests-total", "tests-failed")} == {"tests-total": 10, "tests-failed": 2}
        assert stock.better("tests-failed") == "lower"
        assert stock.better("tests-passed") == "higher"

    @defer.inlineCallbacks
    def test_subunit(self) -> Any:
        """SubunitShellCommand keeps its counts to itself: they are read from the step."""
        found = yield self.left_by(SubunitShellCommand(command=["subunit"]), SUBUNIT, FAILURE)
        assert found == {"tests-total": 3, "tests-failed": 1, "tests-passed": 1, "tests-skipped": 1}

    @defer.inlineCallbacks
    def test_hlint(self) -> Any:
        """HLint's warnings are read from the step."""
        self.setup_build(build_files=["a.xhtml"])
        found = yield self.left_by(HLint(), "a.xhtml:1: wrong\na.xhtml:2: wrong\n", WARNINGS)
        assert found == {"warnings": 2}

    @defer.inlineCallbacks
    def test_sphinx(self) -> Any:
        """Sphinx sets the statistic ``warnings``."""
        found = yield self.left_by(
            Sphinx(sphinx_builddir="_build"), "a.rst:1: WARNING: no\nbuild succeeded\n", WARNINGS
        )
        assert found["warnings"] == 1

    @defer.inlineCallbacks
    def test_msbuild(self) -> Any:
        """MsBuild sets statistics of projects, files, warnings and errors."""
        step = MsBuild141(projectfile="p.sln", config="Release", platform="Win32")
        found = yield self.left_by(step, MSBUILD, FAILURE, 1)
        assert found == {"projects": 1, "files": 1, "warnings": 1, "errors": 1}


class AnyShell(ExpectShell):
    """Expects a shell command, whichever."""

    def _check(self, case: Any, command: Any) -> None:
        assert command.remote_command == "shell"
