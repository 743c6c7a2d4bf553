"""Statistics and properties of Buildbot's own steps; tests/e2e/test_tracking.py runs further steps on a master."""

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
from buildbot.test.steps import ExpectShell
from twisted.internet import defer
from twisted.trial import unittest

from bbmeasure.capture import builtin_series
from bbmeasure.capture.plan import Plan, SeriesOverrides, Switches, Track
from bbmeasure.errors import SeriesConflictError
from bbmeasure.master.tracking import builtin_steps
from bbmeasure.master.tracking.collector import (
    Collector,
    Finished,
    FinishedStep,
    collect_properties,
    collect_statistics,
)
from bbmeasure.model import BuildContext, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.storage.validation import reconcile
from tests.steps.kit import TestBuildStepMixin

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
    """The statistics of stock steps."""

    @defer.inlineCallbacks
    def setUp(self) -> Any:
        self.setup_test_reactor()
        yield self.setup_test_build_step()

    @defer.inlineCallbacks
    def statistics_after(self, step: Any, stdout: str, result: int, exit: int = 0) -> Any:
        """The statistics of ``step`` after its command printed ``stdout``."""
        self.setup_step(step)
        made = self.get_nth_step(0)
        command = AnyShell(workdir="wkdir", command=["any"])
        for line in stdout.splitlines(keepends=True):  # MsBuild reads each chunk as one line
            command.stdout(line)
        self._expected_commands = [command.exit(exit)]
        self.expect_outcome(result=result)
        yield self.run_step()
        return builtin_steps.statistics_of(made)

    @defer.inlineCallbacks
    def test_perl_modules(self) -> Any:
        """PerlModuleTest, like every Test step, sets counts of tests as statistics."""
        statistics = yield self.statistics_after(PerlModuleTest(command=["prove"]), PROVE, FAILURE, 1)
        assert {name: statistics[name] for name in ("tests-total", "tests-failed")} == {
            "tests-total": 10,
            "tests-failed": 2,
        }
        assert builtin_series.better("tests-failed") == "lower"
        assert builtin_series.better("tests-passed") == "higher"

    @defer.inlineCallbacks
    def test_subunit(self) -> Any:
        """The counts of SubunitShellCommand are read from the step."""
        statistics = yield self.statistics_after(SubunitShellCommand(command=["subunit"]), SUBUNIT, FAILURE)
        assert statistics == {"tests-total": 3, "tests-failed": 1, "tests-passed": 1, "tests-skipped": 1}

    @defer.inlineCallbacks
    def test_hlint(self) -> Any:
        """The warnings of HLint are read from the step."""
        self.setup_build(build_files=["a.xhtml"])
        statistics = yield self.statistics_after(HLint(), "a.xhtml:1: wrong\na.xhtml:2: wrong\n", WARNINGS)
        assert statistics == {"warnings": 2}

    @defer.inlineCallbacks
    def test_sphinx(self) -> Any:
        """Sphinx sets the statistic ``warnings``."""
        statistics = yield self.statistics_after(
            Sphinx(sphinx_builddir="_build"), "a.rst:1: WARNING: no\nbuild succeeded\n", WARNINGS
        )
        assert statistics["warnings"] == 1

    @defer.inlineCallbacks
    def test_msbuild(self) -> Any:
        """MsBuild sets statistics of projects, files, warnings and errors."""
        step = MsBuild141(projectfile="p.sln", config="Release", platform="Win32")
        statistics = yield self.statistics_after(step, MSBUILD, FAILURE, 1)
        assert statistics == {"projects": 1, "files": 1, "warnings": 1, "errors": 1}


DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "tracking.rst"
#: A series in backquotes, followed by "(property)" or "(statistic)".
_NAME = re.compile(r"``([^`]+)``(?: \((statistic|property)[^)]*\))?")


def documented() -> list[tuple[str, bool, str, str]]:
    """Series, whether it is a property, kind and direction of the documentation's table of stock steps."""
    text = DOCUMENT.read_text(encoding="utf-8")
    table = text[text.index("Stock steps\n---") :]
    found = []
    for row in re.findall(r"   \* - (.*\n)     - (.*\n)     - (.*\n)     - (.*\n)", table)[1:]:
        _, series, kind, better = (cell.strip() for cell in row)
        for name, what in _NAME.findall(series):
            sides = dict(part.split(": ")[::-1] for part in better.split("; ")) if ":" in better else {better: ""}
            good = [side for side, names in sides.items() if not names or name.split("-")[-1] in names]
            property_ = what == "property" or "(propert" in series and not what
            found.append((name.replace("CATEGORY", "any"), property_, kind, good[0] if good else ""))
    return found


class TestKinds(unittest.TestCase):
    """Kind, unit and direction of stock statistics and properties."""

    def record_of(self, name: str, value: Any, is_property: bool, plan: Plan = Plan()) -> Any:  # noqa: B008
        """The record of a statistic or property of a stock step."""
        step = FinishedStep("a", 1, 1_700_000_000, "success", 1.0, {} if is_property else {name: value})
        build = Finished(BuildContext("b", "w", 1, 7), "m", 1_700_000_000, "success", 1.0, 1.0, None, (step,))
        collector = Collector(build, {})
        switches = Switches(statistics=True, properties=("*",))
        collect_statistics(collector, plan, switches)
        list(collect_properties(collector, plan, switches, {name: value} if is_property else {}))
        assert not collector.refused
        return collector.values[0].record

    def test_documented_table(self) -> None:
        """Each series of the documented table has the documented kind, unit and direction."""
        rows = documented()
        assert len(rows) == 23
        for name, is_property, kind, better in rows:
            record = self.record_of(name, 5, is_property)
            kind_and_unit = record.kind.value if record.unit == "1" else f"{record.kind.value} in {record.unit}"
            assert (kind_and_unit, record.better.word or "") == (kind, better), name
            tracked = (Track(name, SeriesOverrides("mine")),)
            named = self.record_of(
                name, 5, is_property, Plan(properties=tracked) if is_property else Plan(statistics=tracked)
            )
            assert (named.kind, named.unit, named.better) == (record.kind, record.unit, record.better), name

    def test_overrides(self) -> None:
        """A kind or unit of a track call overrides the default; a text has neither."""
        for overrides, kind in (
            (SeriesOverrides(kind=Kind.RATIO), Kind.RATIO),
            (SeriesOverrides(unit="s"), Kind.DURATION),
        ):
            tracked = (Track("warnings", overrides),)
            assert self.record_of("warnings", 5, False, Plan(statistics=tracked)).kind is kind
            assert self.record_of("warnings", 5, True, Plan(properties=tracked)).kind is kind
        assert self.record_of("warnings", "many", False).kind is Kind.TEXT
        assert self.record_of("tests-passed-by-hand", 5, False).kind is Kind.NUMBER

    def test_count_in_a_series_of_numbers(self) -> None:
        """A count is accepted by a series of numbers and does not change its kind; other kinds are not."""
        held = SeriesInfo("warnings", Kind.NUMBER)
        assert reconcile(held, SeriesInfo("warnings", Kind.COUNT)) == held
        for other in (Kind.RATIO, Kind.TEXT):
            with pytest.raises(SeriesConflictError):
                reconcile(held, SeriesInfo("warnings", other))
        with pytest.raises(SeriesConflictError):
            reconcile(SeriesInfo("warnings", Kind.RATIO), SeriesInfo("warnings", Kind.COUNT))


class AnyShell(ExpectShell):
    """Expects any shell command."""

    def _check(self, case: Any, command: Any) -> None:
        assert command.remote_command == "shell"
