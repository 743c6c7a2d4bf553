"""Commands that failed: which records are kept, linters that did not run, and the reason in the summary."""

from __future__ import annotations

from typing import Any

import pytest
from buildbot.config import ConfigErrors
from buildbot.process.results import FAILURE, SUCCESS, WARNINGS
from twisted.internet import defer

from bbmeasure_steps import LintMetrics, MeasureShellCommand, SizeOf
from tests.steps.case import StepTestCase

JUNIT = '<testsuite><testcase name="a"/><testcase name="b"><failure/></testcase></testsuite>'
MARKED = '##bbmeasure {"name":"x","value":1}\n'
FLAKE8 = "a.py:1:1: F401 'os' imported but unused\n"


class TestKeepOnFailure(StepTestCase):
    """``keepOnFailure`` of MeasureShellCommand."""

    @defer.inlineCallbacks
    def test_failed_tests(self) -> Any:
        """The counts of failed tests are stored by default; the step is FAILURE and shows them."""
        yield self.run_measuring(
            JUNIT,
            FAILURE,
            "junit_tests: 2, junit_failures: 1, junit_errors: 0, and 1 more (failure)",
            exit=1,
            parser="junit",
        )
        assert self.captured_values()["junit_failures"] == 1

    @defer.inlineCallbacks
    def test_another_status(self) -> Any:
        """With an exit status by which no test runner reports failed tests nothing is stored."""
        yield self.run_measuring(JUNIT, FAILURE, exit=2, parser="junit")
        assert self.captured_points() == []
        assert "not stored: the command did not succeed" in self.log()

    @defer.inlineCallbacks
    def test_never(self) -> Any:
        """``keepOnFailure=False`` stores nothing of a failed command."""
        yield self.run_measuring(JUNIT, FAILURE, exit=1, parser="junit", keepOnFailure=False)
        assert self.captured_points() == []

    @defer.inlineCallbacks
    def test_always(self) -> Any:
        """``keepOnFailure=True`` stores what any failed command reports; the step is FAILURE."""
        yield self.run_measuring(MARKED, FAILURE, "x: 1 (failure)", exit=77, keepOnFailure=True)
        assert self.captured_values() == {"x": 1}

    @defer.inlineCallbacks
    def test_kept_without_a_value(self) -> Any:
        """A failed command without a value is FAILURE, not WARNINGS, and the summary has the reason."""
        yield self.run_measuring("no report", FAILURE, exit=1, parser="junit")
        assert self.captured_points() == []

    def test_wrong_argument(self) -> None:
        """Only None, True and False are valid."""
        with pytest.raises(ConfigErrors, match="keepOnFailure 1: expected True or False"):
            MeasureShellCommand(name="m", command=["c"], keepOnFailure=1)


class TestLinterThatDidNotRun(StepTestCase):
    """An exit status that reports issues, without an issue in the output."""

    def run_lint(self, tool: str, stdout: str, exit: int, result: int, stderr: str = "", **more: Any) -> Any:
        """Run one LintMetrics."""
        self.setup_step(LintMetrics(name="lint", tool=tool, command=["c"], **more))
        self.expect_measuring(["c"], stdout=stdout, stderr=stderr, exit=exit)
        self.expect_outcome(result=result)
        return self.run_step()

    @defer.inlineCallbacks
    def summary_of(self, *arguments: Any, **more: Any) -> Any:
        """The summary of one LintMetrics."""
        yield self.run_lint(*arguments, **more)
        return self.get_nth_step(0).getResultSummary()["step"]

    @defer.inlineCallbacks
    def test_no_output(self) -> Any:
        """Exit status 1 without output is FAILURE, not 0 issues; the summary has the end of stderr."""
        stderr = "Traceback\n/usr/bin/python3: No module named flake8\n"
        summary = yield self.summary_of("flake8", "", 1, FAILURE, stderr)
        assert summary == (
            "lint: exit status 1 without an issue in the output (/usr/bin/python3: No module named flake8): "
            "is flake8 installed? (failure)"
        )
        assert self.captured_points() == []

    @defer.inlineCallbacks
    def test_other_output(self) -> Any:
        """Output that the adapter refuses is FAILURE with that exit status, WARNINGS with 0."""
        yield self.run_lint("ruff", "error: invalid option\n", 1, FAILURE)
        self._steps.clear()
        yield self.run_lint("ruff", "error: invalid option\n", 0, WARNINGS)

    @defer.inlineCallbacks
    def test_an_empty_document(self) -> Any:
        """A document without an issue is 0 issues: the tool ran, and fixed what it found."""
        yield self.run_lint("ruff", "[]", 1, SUCCESS)
        assert self.captured_values() == {"lint": 0}

    @defer.inlineCallbacks
    def test_issues(self) -> Any:
        """The exit status is SUCCESS with an issue in the output."""
        yield self.run_lint("flake8", FLAKE8, 1, SUCCESS)
        assert self.captured_values()["lint"] == 1

    @defer.inlineCallbacks
    def test_no_issue(self) -> Any:
        """Exit status 0 without output is 0 issues."""
        yield self.run_lint("flake8", "", 0, SUCCESS)
        assert self.captured_values()["lint"] == 0

    @defer.inlineCallbacks
    def test_a_status_of_the_user(self) -> Any:
        """A status that ``decodeRC`` makes SUCCESS stays SUCCESS."""
        yield self.run_lint("flake8", "", 1, SUCCESS, decodeRC={0: SUCCESS, 1: SUCCESS})


class TestReason(StepTestCase):
    """The summary of a bundled program that failed."""

    def run_size(self, stderr: str, reason: str) -> Any:
        """Run one SizeOf whose program fails."""
        step = SizeOf(name="wheel", path="dist/*")
        self.setup_step(step)
        step = self.get_nth_step(0)
        self.patch(step, "make_command", lambda: step.makeRemoteShellCommand(command=["c"]))
        self.expect_measuring(["c"], stderr=stderr, exit=1)
        self.expect_outcome(result=FAILURE, state_string=f"wheel: {reason} (failure)")
        return self.run_step()

    def test_last_line_of_stderr(self) -> Any:
        """The summary has the last line of stderr."""
        return self.run_size("noise\nsize: no file matches 'dist/*'\n", "size: no file matches 'dist/*'")

    def test_hostile_stderr(self) -> Any:
        """The reason is short, and characters that are not visible are escaped."""
        return self.run_size("x\u202e\u200b" + "y" * 500, "x\\u202e\\u200b" + "y" * 197)
