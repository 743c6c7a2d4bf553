"""What Buildbot's own steps leave behind, in Buildbot's kit; tests/e2e/test_tracking.py runs the others for real."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
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

from bbmeasure.capture import builtin_series
from bbmeasure.capture.plan import Plan, SeriesOverrides, Switches, Track
from bbmeasure.errors import SeriesConflictError
from bbmeasure.master.tracking import builtin_steps
from bbmeasure.master.tracking.finished_build import (
    Collector,
    Finished,
    FinishedStep,
    collect_properties,
    collect_statistics,
)
from bbmeasure.model import BuildContext, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.storage.validation import reconcile

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
        return builtin_steps.statistics_of(made)

    @defer.inlineCallbacks
    def test_perl_modules(self) -> Any:
        """PerlModuleTest, like every Test, counts tests in statistics."""
        found = yield self.left_by(PerlModuleTest(command=["prove"]), PROVE, FAILURE, 1)
        assert {name: found[name] for name in ("tests-total", "tests-failed")} == {"tests-total": 10, "tests-failed": 2}
        assert builtin_series.better("tests-failed") == "lower"
        assert builtin_series.better("tests-passed") == "higher"

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


DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "tracking.rst"
#: A series in backquotes, and whether it is a property: said behind it, for all that the cell names.
_NAME = re.compile(r"``([^`]+)``(?: \((statistic|property)[^)]*\))?")


def documented() -> list[tuple[str, bool, str, str]]:
    """Series, whether it is a property, kind and direction of the documentation's table of stock steps."""
    text = DOCUMENT.read_text(encoding="utf-8")
    table = text[text.index("Stock steps\n---") :]
    found = []
    for row in re.findall(r"   \* - (.*\n)     - (.*\n)     - (.*\n)     - (.*\n)", table)[1:]:
        _, series, kind, better = (cell.strip() for cell in row)
        for name, said in _NAME.findall(series):
            sides = dict(part.split(": ")[::-1] for part in better.split("; ")) if ":" in better else {better: ""}
            good = [side for side, names in sides.items() if not names or name.split("-")[-1] in names]
            property_ = said == "property" or "(propert" in series and not said
            found.append((name.replace("CATEGORY", "any"), property_, kind, good[0] if good else ""))
    return found


class TestKinds(unittest.TestCase):
    """What stock statistics and properties are."""

    def told(self, name: str, value: Any, is_property: bool, plan: Plan = Plan()) -> Any:  # noqa: B008
        """The record of what a stock step left."""
        step = FinishedStep("a", 1, 1_700_000_000, "success", 1.0, {} if is_property else {name: value})
        build = Finished(BuildContext("b", "w", 1, 7), "m", 1_700_000_000, "success", 1.0, 1.0, None, (step,))
        collector = Collector(build, {})
        wanted = Switches(statistics=True, properties=("*",))
        collect_statistics(collector, plan, wanted)
        list(collect_properties(collector, plan, wanted, {name: value} if is_property else {}))
        assert not collector.refused
        return collector.values[0].record

    def test_the_documentations_table(self) -> None:
        """Each series of the table is captured with the kind, unit and direction that it says."""
        rows = documented()
        assert len(rows) == 23
        for name, is_property, kind, better in rows:
            record = self.told(name, 5, is_property)
            said = record.kind.value if record.unit == "1" else f"{record.kind.value} in {record.unit}"
            assert (said, record.better.word or "") == (kind, better), name
            tracked = (Track(name, SeriesOverrides("mine")),)
            named = self.told(
                name, 5, is_property, Plan(properties=tracked) if is_property else Plan(statistics=tracked)
            )
            assert (named.kind, named.unit, named.better) == (record.kind, record.unit, record.better), name

    def test_what_master_cfg_says_comes_first(self) -> None:
        """A kind or unit of a track call is taken, and a text has neither."""
        for overrides, kind in (
            (SeriesOverrides(kind=Kind.RATIO), Kind.RATIO),
            (SeriesOverrides(unit="s"), Kind.DURATION),
        ):
            tracked = (Track("warnings", overrides),)
            assert self.told("warnings", 5, False, Plan(statistics=tracked)).kind is kind
            assert self.told("warnings", 5, True, Plan(properties=tracked)).kind is kind
        assert self.told("warnings", "many", False).kind is Kind.TEXT
        assert self.told("tests-passed-by-hand", 5, False).kind is Kind.NUMBER

    def test_a_series_of_plain_numbers_goes_on(self) -> None:
        """A count fits a series that was a number before, which stays one; no other kind does."""
        held = SeriesInfo("warnings", Kind.NUMBER)
        assert reconcile(held, SeriesInfo("warnings", Kind.COUNT)) == held
        for other in (Kind.RATIO, Kind.TEXT):
            with pytest.raises(SeriesConflictError):
                reconcile(held, SeriesInfo("warnings", other))
        with pytest.raises(SeriesConflictError):
            reconcile(SeriesInfo("warnings", Kind.RATIO), SeriesInfo("warnings", Kind.COUNT))


class AnyShell(ExpectShell):
    """Expects a shell command, whichever."""

    def _check(self, case: Any, command: Any) -> None:
        assert command.remote_command == "shell"
