"""Steps that run a bundled program, and LintMetrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from buildbot.config import ConfigErrors
from buildbot.plugins import steps, util
from buildbot.process.results import FAILURE, SUCCESS, WARNINGS
from buildbot.test.steps import ExpectShell, ExpectStat
from twisted.internet import defer

from bbmeasure.capture.parser_input import Spool
from bbmeasure.capture.state import state_of
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.testing import sidecar_lines
from bbmeasure_scripts.bundle import bundle, command, find_batch, find_command
from bbmeasure_steps import (
    LintMetrics,
    MeasureShellCommand,
    SizeOf,
    SLOCCount,
    TimedPythonFunction,
    base,
    remotefiles,
)
from bbmeasure_steps import sidecar as sidecar_file
from tests.steps.case import StepTestCase


class TestProgramSteps(StepTestCase):
    """The command line of each program, and the captured records."""

    def run_program(self, step: Any, program: str, argv: list[str], sidecar: bytes | None, **expected: Any) -> Any:
        """Run ``step``, which must send ``program`` with ``argv`` to the worker's Python."""
        self.setup_step(step)
        python = expected.pop("python", None)
        shell = {"initial_stdin": bundle(program, argv), **expected.pop("shell", {})}
        sent = find_command(program) if python is None else command(python, program)
        self.expect_measuring(sent, sidecar=sidecar, exit=expected.pop("exit", 0), **shell)
        self.expect_outcome(result=expected.pop("result", SUCCESS), state_string=expected.pop("state", None))
        return self.run_step()

    @defer.inlineCallbacks
    def test_size(self) -> Any:
        """SizeOf passes paths and patterns on; derived records get the series of the step with their suffix."""
        python = ["py", "-3"]
        step = SizeOf(name="wheel", path=["dist/*.whl"], exclude=["*.pyc"], series="{builder}/size", python=python)
        sidecar = sidecar_lines(
            {"name": "wheel", "value": 2048, "unit": "bytes"}, {"name": "wheel_files", "value": 1, "kind": "count"}
        )
        argv = ["--name=wheel", "--exclude=*.pyc", "--", "dist/*.whl"]
        yield self.run_program(step, "size", argv, sidecar, python=python, state="Builder/size: 2 KiB")
        assert self.captured_values() == {"Builder/size": 2048, "Builder/size_files": 1}

    @defer.inlineCallbacks
    def test_nothing_found(self) -> Any:
        """A program that fails is FAILURE; the summary shows the name of the step, not the command line."""
        step = SizeOf(path="nothing", allocated=True)
        argv = ["--name=size", "--allocated", "--", "nothing"]
        yield self.run_program(step, "size", argv, None, exit=1, result=FAILURE, state="size (failure)")

    @defer.inlineCallbacks
    def test_sloc_keeps_its_tool(self) -> Any:
        """The tool of the previous build is passed on; every value is tagged with the tool that counted."""
        storage = state_of(self.master).pipeline.storage
        storage.declare(SeriesInfo("sloc_tool", Kind.TEXT))
        storage.write([Point("sloc_tool", 1, "cloc", {}, BuildContext("Builder", "w", 12, 91))])
        sidecar = sidecar_lines(
            {"name": "sloc", "value": 10, "kind": "count"},
            {"name": "sloc_by_language", "value": 10, "kind": "count", "tags": {"language": "C"}},
            {"name": "sloc_tool", "value": "builtin"},
        )
        argv = ["--name=sloc", "--tool=auto", "--keep=cloc", "--", "src"]
        yield self.run_program(SLOCCount(path="src"), "sloc", argv, sidecar, state="sloc [tool=builtin]: 10")
        tags = {(point.series, tuple(point.tags.items())) for point in self.captured_points()}
        assert ("sloc", (("tool", "builtin"),)) in tags
        assert "counted by builtin, before by cloc: the values are not compared" in self.log()

    @defer.inlineCallbacks
    def test_timed_function(self) -> Any:
        """TimedPythonFunction passes arguments on as JSON; the median of the samples is the value."""
        step = TimedPythonFunction(
            name="foo", function="a:foo", args=[1, "x"], kwargs={"n": 2}, setup="b = 1", calls=True, timeout=10
        )
        argv = ["--name=foo", '--args=[1, "x"]', '--kwargs={"n": 2}', "--setup=b = 1", "--calls", "--timeout=10"]
        sidecar = sidecar_lines({"name": "foo", "samples": [1, 2, 30], "unit": "ms"}, {"name": "foo_calls", "value": 7})
        shell = {"timeout": 40, "max_time": 70}
        yield self.run_program(step, "timefunc", [*argv, "--", "a:foo"], sidecar, shell=shell, state="foo: 2 ms")
        assert self.captured_values() == {"foo": 0.002, "foo_calls": 7}

    @defer.inlineCallbacks
    def test_resources(self) -> Any:
        """With ``resources=True`` the command runs under the program ``run``; its stdout is still parsed."""
        step = MeasureShellCommand(name="m", command="echo 5", resources=True)
        sidecar = sidecar_lines({"name": "m_wall", "value": 1, "unit": "s"})
        self.setup_step(step)
        text = bundle("run", ["--name=m", "--", "/bin/sh", "-c", "echo 5"])
        self.expect_measuring(find_command("run"), stdout="5\n", sidecar=sidecar, initial_stdin=text)
        self.expect_outcome(result=SUCCESS, state_string="m: 5")
        yield self.run_step()
        assert self.captured_values() == {"m": 5, "m_wall": 1}

    @defer.inlineCallbacks
    def test_on_windows(self) -> Any:
        """A Windows worker gets a batch file that finds its Python; a command line becomes a batch file of ``run``."""
        self.patch(remotefiles, "has_shell", lambda _step: False)
        step = MeasureShellCommand(name="m", command="echo 5", resources=True)
        self.setup_step(step)
        self.expect_commands(
            ExpectShell(
                workdir="wkdir",
                command=find_batch("run"),
                env={"BBMEASURE_FILE": self.sidecar_path()},
                initial_stdin=bundle("run", ["--name=m", "--", "cmd", "/c", "echo 5"]),
            )
            .stdout("5\r\n")
            .exit(0),
            ExpectStat(file=self.sidecar_path()).exit(1),
        )
        self.patch(sidecar_file, "path_of", lambda _step: self.sidecar_path())
        self.expect_outcome(result=SUCCESS, state_string="m: 5")
        yield self.run_step()

    @defer.inlineCallbacks
    def test_rendered_lists_and_names(self) -> Any:
        """Nested lists are flattened, an exclude of None is empty, and a name may begin with ``-``."""
        parts = util.Transform(lambda: ["a", "b"])
        step = SizeOf(name="-x", path=[parts, "c"], exclude=util.Property("missing"))
        argv = ["--name=-x", "--", "a", "b", "c"]
        yield self.run_program(step, "size", argv, sidecar_lines({"name": "-x", "value": 5}), state="-x: 5")

    def test_invalid_rendered_arguments(self) -> Any:
        """An argument that is invalid after rendering is FAILURE; log and summary name the expected value."""
        missing, text = util.Property("missing"), util.Transform(lambda: "abc")
        wrong: list[tuple[Any, str]] = [
            (SizeOf(path=missing), "path None: expected a string or a list of strings after rendering"),
            (SizeOf(path=["a", missing]), "path ['a', None]: expected a string or a list of strings after rendering"),
            (SLOCCount(path=missing), "path None: expected a string or a list of strings after rendering"),
            (SizeOf(path="a", python=missing), "python None: expected a string or a list of strings after rendering"),
            (TimedPythonFunction(function=missing), "function 'None': expected module:function or path.py:function"),
            (TimedPythonFunction(function="a:b", args=text), "args \"'abc'\": expected a list"),
            (TimedPythonFunction(function="a:b", args=[util.Transform(lambda: {1})]), "expected JSON values"),
        ]
        for step, _ in wrong:
            self.setup_step(step)
            self.expect_outcome(result=FAILURE)
        checked = self.run_step()

        def check(_: Any) -> None:
            for number, (step, why) in enumerate(wrong):
                ran = self.get_nth_step(number)
                assert why in str(ran.logs["measurements"].stdout), step
                assert why in ran.getResultSummary()["step"], step

        return checked.addCallback(check)


ISSUES = '[{"code":"F401","filename":"/a.py","location":{"row":1,"column":1},"message":"x"}]'


class TestLintMetrics(StepTestCase):
    """Issues are no failure of the step; a crash of the linter is."""

    def run_lint(self, stdout: str, exit: int, result: int, state: str, stderr: str = "", tool: str = "ruff") -> Any:
        """Run a linter with that output and exit status."""
        self.setup_step(LintMetrics(name="lint", tool=tool, command=["c"]))
        self.expect_measuring(["c"], stdout=stdout, stderr=stderr, exit=exit)
        self.expect_outcome(result=result, state_string=state)
        return self.run_step()

    @defer.inlineCallbacks
    def test_issues_found(self) -> Any:
        """The exit status for "issues found" is SUCCESS."""
        yield self.run_lint(ISSUES, 1, SUCCESS, "lint: 1")
        assert {(p.series, tuple(p.tags.values())) for p in self.captured_points()} >= {("lint", ())}

    def test_no_issues(self) -> Any:
        """Without issues the value is 0."""
        return self.run_lint("[]", 0, SUCCESS, "lint: 0")

    def test_crash(self) -> Any:
        """Another exit status is FAILURE."""
        return self.run_lint("", 2, FAILURE, "'c' (failure)")

    def test_invalid_output(self) -> Any:
        """Success with invalid output is WARNINGS."""
        self.setup_step(LintMetrics(name="lint", tool="ruff", command=["c"]))
        self.expect_measuring(["c"], stdout="{rubbish")
        self.expect_outcome(result=WARNINGS)
        return self.run_step()

    @defer.inlineCallbacks
    def test_output_beyond_the_limit(self) -> Any:
        """A truncated output is not parsed: its number of issues would be wrong."""
        self.patch(base, "Spool", lambda clean: Spool(clean, 50))
        why = "the output: 78 bytes, expected at most 50"
        stderr = "a.c:1:2: warning: unused [-Wunused]\n"
        stderr += "b" + stderr + "more\n"
        yield self.run_lint("", 0, WARNINGS, f"lint: {why} (warnings)", stderr=stderr, tool="gcc")
        assert self.captured_points() == []

    def test_stderr_of_compilers(self) -> Any:
        """The warnings of gcc are parsed from stderr."""
        return self.run_lint("", 0, SUCCESS, "lint: 1", stderr="a.c:1:2: warning: unused [-Wunused]\n", tool="gcc")


#: The adapters of linters.
LINTERS = "checkstyle, clang, cppcheck, eslint, flake8, gcc, mypy, pylint, ruff, sarif, shellcheck"


WRONG: list[tuple[Any, str]] = [
    (lambda: SizeOf(), "expected a string or a list of strings"),
    (lambda: SizeOf(path="x", command="y"), "unexpected command="),
    (lambda: SizeOf(path=5), "SizeOf: path 5: expected a string or a list of strings"),
    (lambda: SizeOf(path={"a": "b"}), "expected a string or a list of strings"),
    (lambda: SizeOf(path="x", exclude=b"ab"), "SizeOf: exclude b'ab': expected a string or a list of strings"),
    (lambda: SizeOf(path="x", exclude=0), "SizeOf: exclude 0: expected a string or a list of strings"),
    (lambda: SizeOf(path="x", allocated="no"), "SizeOf: allocated 'no': expected True or False"),
    (lambda: SLOCCount(path=5), "SLOCCount: path 5: expected"),
    (lambda: SLOCCount(tool="wc"), "expected one of auto, builtin"),
    (
        lambda: LintMetrics(tool="hyperfine", command=["x"]),
        f"'hyperfine': expected a linter, one of {LINTERS}",
    ),
    (lambda: LintMetrics(tool="no", command=["x"]), f"tool 'no': expected a linter, one of {LINTERS}"),
    (lambda: LintMetrics(tool=["ruff"], command=["x"]), f"tool ['ruff']: expected a linter, one of {LINTERS}"),
    (lambda: LintMetrics(tool="ruff", command=["x"], byFile="no"), "byFile 'no': expected True or False"),
    (lambda: TimedPythonFunction(function="nocolon"), "expected module:function"),
    (lambda: TimedPythonFunction(function="a:b", args=[object()]), "expected JSON values"),
    (lambda: TimedPythonFunction(function="a:b", kwargs=[1]), "kwargs '[1]': expected a dict with strings as keys"),
    (lambda: TimedPythonFunction(function="a:b", kwargs={1: 2}), "expected a dict with strings as keys"),
    (lambda: TimedPythonFunction(function="a:b", args=5), "TimedPythonFunction: args '5': expected a list"),
    (lambda: TimedPythonFunction(function="a:b", args="ab"), "expected a list"),
    (lambda: TimedPythonFunction(function="a:b", setup=5), "setup '5': expected Python code as a string"),
    (lambda: TimedPythonFunction(function="a:b", calls="no"), "calls 'no': expected True or False"),
    (lambda: TimedPythonFunction(function="a:b", timeout="9"), "timeout '9': expected seconds above 0"),
    (lambda: TimedPythonFunction(function="a:b", timeout=float("nan")), "timeout nan: expected seconds above 0"),
    (lambda: TimedPythonFunction(function="a:b", timeout=1e9), "at most 2000000"),
    (lambda: SizeOf(path="x", python=["py", 3]), "SizeOf: python ['py', 3]: expected the name or path of"),
    (lambda: SizeOf(path="x", python=[]), "SizeOf: python []: expected the name or path of"),
    (lambda: MeasureShellCommand(name="m", command="x", python=5), "python 5: expected the name or path of"),
    (lambda: MeasureShellCommand(name="m", command="x", outputFile=["a"]), "outputFile ['a']: expected the path"),
    (lambda: TimedPythonFunction(function="a:b", timeout=-1), "expected seconds above 0"),
    (
        lambda: MeasureShellCommand(name="m", command="x", resources=True, initialStdin="y"),
        "expected only one of them",
    ),
]


def test_wrong_arguments_are_configuration_errors() -> None:
    """Each invalid argument is a configuration error."""
    for make, message in WRONG:
        with pytest.raises(ConfigErrors) as caught:
            make()
        assert message in "; ".join(caught.value.errors)


@pytest.mark.parametrize(
    ("example", "names"),
    [
        ("steps.cfg", ["wheel_size", "total_SLOC", "lint", "runtime_of_foo", "count"]),
        ("windows/steps.cfg", ["build_size", "link", "build_size", "startup", "wheel_size", "lint"]),
    ],
)
def test_the_documented_steps_can_be_configured(example: str, names: list[str]) -> None:
    """Each example of the documentation is a valid configuration."""
    f = util.BuildFactory()
    text = (Path(__file__).parents[2] / "docs" / "examples" / example).read_text()
    exec(compile(text, example, "exec"), {"f": f, "steps": steps})
    assert [step.buildStep().name for step in f.steps] == names
