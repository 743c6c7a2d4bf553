"""Reports of tools through a real master and worker: long lines, large files, failed tests, missing tools, FIFOs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from buildbot.process.results import FAILURE, SUCCESS, WARNINGS

from bbmeasure.testing.site import Site
from tests.e2e.masters import BASE_CONFIG, report, series_names

#: How many issues, tests or lines the projects of these tests have.
MANY = 300

#: Prints a report of eslint of about ``argv[1]`` MiB on one line.
ESLINT = """
import json, sys
message = {"ruleId": "no-unused-vars", "severity": 2, "message": "'x' is never used. \\u00e9" * 8, "line": 1}
size, count, files = 0, 0, []
while size < int(sys.argv[1]) * 1024 * 1024:
    files.append({"filePath": "/src/%d.js" % count, "messages": [message], "suppressedMessages": [],
                  "errorCount": 1, "fatalErrorCount": 0, "warningCount": 0, "fixableErrorCount": 0,
                  "fixableWarningCount": 0, "usedDeprecatedRules": []})
    size += len(json.dumps(files[-1]))
    count += 1
open("expected", "w").write(str(count))
print(json.dumps(files))
sys.exit(1)
"""

#: Replaces the files that steps give their commands by FIFOs while it runs.
SWAP = """
import glob, os, sys, time
end = time.monotonic() + 100
while not os.path.exists("stop") and time.monotonic() < end:
    for path in glob.glob("../.bbmeasure-*"):
        if path.endswith("-copy"):
            continue
        try:
            os.unlink(path)
            os.mkfifo(path)
        except OSError:
            pass
"""

CONFIG = f"""
PYTHON = {sys.executable!r}
UNUSED = SOURCE + "/unused.py"
# pytest-benchmark measures nothing in a worker of pytest-xdist, whose environment the build inherits.
OUTSIDE_XDIST = {{"PYTEST_XDIST_WORKER": None}}
f = util.BuildFactory()


def measure(kind, name, command, **more):
    f.addStep(kind(name=name, command=command, flunkOnFailure=False, logEnviron=False, **more))


def lint(name, tool, command, **more):
    measure(steps.LintMetrics, name, command, tool=tool, **more)


def shell(name, command, **more):
    measure(steps.MeasureShellCommand, name, command, **more)


lint("eslint", "eslint", [PYTHON, SOURCE + "/eslint.py", "16"])
shell("eslint_expected", "cat expected")
lint("shellcheck", "shellcheck", ["shellcheck", "--norc", "-f", "json1", SOURCE + "/many.sh"])
lint("ruff", "ruff", [PYTHON, "-m", "ruff", "check", "--isolated", "--no-cache", "--output-format=json", UNUSED])
lint("sarif", "sarif", PYTHON + " -m ruff check --isolated --no-cache --output-format=sarif " + UNUSED)
lint("flake8", "flake8", [PYTHON, "-m", "flake8", "--isolated", UNUSED])
f.addStep(steps.ShellCommand(command=[PYTHON, "-m", "coverage", "run", "--source", SOURCE, SOURCE + "/many.py"]))
shell("coverage", [PYTHON, "-m", "coverage", "json", "-q", "-o", "-"], parser="coverage", resources=True)
shell("total", [PYTHON, "-m", "coverage", "report", "--format=total"], unit="%")
shell("junit", [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=junit.xml", SOURCE + "/cases.py"],
      parser="junit", outputFile="junit.xml")
shell("unkept", "exit 1", parser="junit", outputFile="junit.xml", keepOnFailure=False)
shell("crashed", "exit 3", parser="junit", outputFile="junit.xml")
shell("benchmarks", "rm -rf bench && " + PYTHON + " -m pytest -q -p no:cacheprovider --benchmark-max-time=0.01"
      " --benchmark-save=all --benchmark-storage=file://bench " + SOURCE + "/bench.py"
      " && mv bench/*/*_all.json benchmark.json", parser="pytest-benchmark", outputFile="benchmark.json",
      env=OUTSIDE_XDIST)
shell("complete", [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--benchmark-max-time=0.2",
      "--benchmark-json=complete.json", SOURCE + "/bench.py"], parser="pytest-benchmark", outputFile="complete.json",
      env=OUTSIDE_XDIST)
lint("no_module", "flake8", [PYTHON, "-m", "no_such_linter"])
lint("no_command", "flake8", ["no-such-linter"])
lint("no_json", "ruff", "echo 'error: no such option' >&2; exit 1")
shell("too_large", "truncate -s 100M large.json", parser="pytest-benchmark", outputFile="large.json")
f.addStep(steps.SizeOf(name="nothing", path="no-such-file", flunkOnFailure=False))
add(util.BuilderConfig(name="reports", workernames=["worker"], factory=f))

f = util.BuildFactory()
f.addStep(steps.ShellCommand(command="rm -f stop; " + PYTHON + " " + SOURCE + "/swap.py >/dev/null 2>&1 &"))
shell("sidecar", 'echo 1; echo \\'{{"name":"x","value":1}}\\' > $BBMEASURE_FILE; sleep 0.3')
shell("document", "echo '[]'; sleep 0.3", parser="github-action-benchmark")
f.addStep(steps.ShellCommand(name="stop", command="touch stop"))
f.addStep(steps.MeasureShellCommand(name="alive", command="echo 5"))
add(util.BuilderConfig(name="swapped", workernames=["worker"], factory=f))
c["services"] = [util.SQLiteInstance()]
"""


def write_project(folder: Path) -> None:
    """Write a project with MANY issues of each linter, MANY tests of which one fails, and three benchmarks."""
    folder.mkdir()
    (folder / "eslint.py").write_text(ESLINT)
    (folder / "swap.py").write_text(SWAP)
    (folder / "many.sh").write_text("#!/bin/sh\n" + "echo $1\n" * MANY)
    (folder / "many.py").write_text(
        "a = 1\n" + "".join(f"if a == {n}:\n    b{n} = {n}\nelse:\n    c{n} = 1\n" for n in range(MANY))
    )
    (folder / "unused.py").write_text("".join(f"import module{n}\n" for n in range(MANY)))
    (folder / "cases.py").write_text(
        f"import pytest\n\n\n@pytest.mark.parametrize('n', range({MANY}))\ndef test_n(n):\n    assert n != 7\n"
    )
    (folder / "bench.py").write_text(
        "".join(f"def test_{name}(benchmark):\n    benchmark({{}}.get, 1)\n\n\n" for name in "abc")
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A master with the builders, and a worker."""
    folder = tmp_path_factory.mktemp("reports")
    write_project(folder / "project")
    with Site(folder, f"SOURCE = {str(folder / 'project')!r}\n{BASE_CONFIG}{CONFIG}") as running:
        yield running


@pytest.fixture(scope="module")
def found(site: Site) -> dict[str, Any]:
    """The steps of a build of the reports, by name."""
    return dict(site.steps(site.build("reports")))


def last(site: Site, series: str) -> Any:
    """The value of a series."""
    return report(site.journal, series)["statistics"]["last"]


@pytest.mark.parametrize("linter", ["shellcheck", "ruff", "sarif", "flake8"])
def test_a_linter_with_many_issues(site: Site, found: dict[str, Any], linter: str) -> None:
    """The documented command of a linter counts all issues of a report that is longer than a worker's line."""
    assert found[linter]["results"] == SUCCESS, site.log_text(found[linter], "measurements")
    assert last(site, linter) == MANY


def test_sixteen_mebibytes_on_one_line(site: Site, found: dict[str, Any]) -> None:
    """A report of 16 MiB on one line is complete; the log has its start."""
    assert found["eslint"]["results"] == SUCCESS, site.log_text(found["eslint"], "measurements")
    assert last(site, "eslint") == last(site, "eslint_expected") > 10_000
    log = site.log_text(found["eslint"], "stdio")
    assert "'x' is never used" in log
    assert len(log) < 20_000
    assert "read from a file; the log has its first 100 lines" in site.log_text(found["eslint"], "measurements")


def test_coverage(site: Site, found: dict[str, Any]) -> None:
    """``coverage json -o -`` is one long line; with ``resources`` the tool's resources are captured too."""
    assert found["coverage"]["results"] == SUCCESS, site.log_text(found["coverage"], "measurements")
    assert last(site, "coverage_missing_lines") > MANY
    assert last(site, "coverage") == pytest.approx(last(site, "total"), abs=0.01)
    assert "coverage_wall" in series_names(site.journal), site.log_text(found["coverage"], "measurements")


def test_failed_tests_are_counted(site: Site, found: dict[str, Any]) -> None:
    """The counts of a test run with failed tests are stored, and the step is FAILURE; not those of a crash."""
    assert found["junit"]["results"] == FAILURE
    assert (last(site, "junit_tests"), last(site, "junit_failures")) == (MANY, 1)
    assert report(site.journal, "junit_tests")["count"] == 1
    for name in ("unkept", "crashed"):
        assert found[name]["results"] == FAILURE
        assert "not stored: the command did not succeed" in site.log_text(found[name], "measurements")


def test_benchmarks(site: Site, found: dict[str, Any]) -> None:
    """The documented command of pytest-benchmark works, with the rounds and without."""
    for name in ("benchmarks", "complete"):
        assert found[name]["results"] == SUCCESS, site.log_text(found[name], "measurements")
    benchmarks = [name for name in series_names(site.journal) if "bench.py::test_" in name]
    assert len(benchmarks) == 3
    assert all(report(site.journal, name)["count"] == 2 for name in benchmarks)


def test_a_linter_that_is_not_installed(site: Site, found: dict[str, Any]) -> None:
    """A linter that cannot run is FAILURE, not 0 issues; the summary has the reason."""
    for name in ("no_module", "no_command", "no_json"):
        assert found[name]["results"] == FAILURE, name
        assert name not in series_names(site.journal)
    assert "No module named no_such_linter" in found["no_module"]["state_string"]
    assert "error: no such option" in found["no_json"]["state_string"]


def test_a_file_that_is_too_large(site: Site, found: dict[str, Any]) -> None:
    """The message about a file that is too large names the option that makes it smaller."""
    assert found["too_large"]["results"] == WARNINGS
    assert "--benchmark-save=NAME" in found["too_large"]["state_string"]


def test_a_program_that_fails_gives_its_reason(site: Site, found: dict[str, Any]) -> None:
    """The summary of SizeOf has the reason of its failure."""
    assert found["nothing"]["results"] == FAILURE
    assert "no-such-file" in found["nothing"]["state_string"]


def test_a_file_swapped_for_a_fifo(site: Site) -> None:
    """A process of the build that replaces files by FIFOs does not block the worker."""
    steps = site.steps(site.build("swapped"))
    assert steps["alive"]["state_string"].startswith("alive: 5")
