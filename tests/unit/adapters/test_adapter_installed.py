"""Adapters parse the output of the installed tools."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from bbmeasure import adapters
from tests.tool_output import cases

pytestmark = pytest.mark.slow

EXAMPLES = cases.FOLDER / "examples"
PYTHON = (sys.executable, "-m")


@pytest.fixture
def run(tmp_path):
    """Runs a command in a folder with the named examples; gives what it printed, and checks its exit status."""

    def run_there(*command, examples=(), status=0, stderr=subprocess.PIPE):
        for example in examples:
            shutil.copy(EXAMPLES / f"{example}.txt", tmp_path / example)
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COV", "COLOR"))}
        environment = {**clean, "LC_ALL": "C.UTF-8", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=stderr, check=False, timeout=300
        )
        said = done.stdout.decode("utf-8", "replace")
        assert done.returncode == status, (said, (done.stderr or b"").decode("utf-8", "replace"))
        return said

    return run_there


def counted(name, text, root):
    """The counts of a linter's output: in all, and by file and category."""
    records = adapters.find(name).records(text, by_file=True, root=str(root))
    by_tag = {next(iter(record.tags.values())): record.value for record in records if record.tags and record.value}
    return records[0].value, by_tag


LINTERS = {
    "ruff": ("one.py", 1, {"F"}, [*PYTHON, "ruff", "check", "--isolated", "--no-cache", "--output-format=json"]),
    "sarif": ("one.py", 1, {"error"}, [*PYTHON, "ruff", "check", "--isolated", "--no-cache", "--output-format=sarif"]),
    "flake8": ("one.py", 1, {"F"}, [*PYTHON, "flake8", "--isolated"]),
    "pylint": ("one.py", 4, {"warning"}, [*PYTHON, "pylint", "--rcfile=/dev/null", "--output-format=json2"]),
    "mypy": (
        "one_type.py",
        1,
        {"return-value"},
        [*PYTHON, "mypy", "--config-file=", "--cache-dir=/dev/null", "-O", "json"],
    ),
    "shellcheck": ("one.sh", 1, {"info"}, ["shellcheck", "--norc", "--format=json1"]),
    "checkstyle": ("one.sh", 1, {"info"}, ["shellcheck", "--norc", "--format=checkstyle"]),
    "cppcheck": ("one.c", 0, {"style"}, ["cppcheck", "--enable=style", "--xml"]),
    "gcc": ("one.c", 0, {"unused-variable"}, ["gcc", "-Wall", "-c"]),
    "clang": ("one.c", 0, {"unused-variable"}, ["clang", "-Wall", "-c"]),
}


@pytest.mark.parametrize("name", LINTERS)
def test_a_linter_that_is_installed(name, run, tmp_path):
    """The linter finds the one issue of its example, in its category and file, with the exit status that says so."""
    example, status, categories, command = LINTERS[name]
    stderr = subprocess.STDOUT if adapters.find(name).on_stderr else subprocess.PIPE
    text = run(*command, example, examples=[example], status=status, stderr=stderr)
    assert counted(name, text, tmp_path) == (1, {**dict.fromkeys(categories, 1), example: 1})
    if status and name != "checkstyle":
        assert status in adapters.find(name).found_issues


def test_the_pretty_text_of_mypy(run, tmp_path):
    """mypy's text for people, its messages wrapped, is read like its JSON."""
    mypy = [*PYTHON, "mypy", "--config-file=", "--cache-dir=/dev/null", "--strict", "--pretty", "--show-column-numbers"]
    text = run(*mypy, "many.py", "others.py", examples=["many.py", "others.py"], status=1)
    total, by_tag = counted("mypy", text, tmp_path)
    assert f"Found {total:.0f} errors in 2 files" in text
    assert by_tag["many.py"] + by_tag["others.py"] == total
    assert "error" not in by_tag


def read(name, text):
    """The records of an output by their names."""
    return {record.name: record for record in adapters.find(name).parse(text)}


def test_pytest_benchmark_that_is_installed(run, tmp_path):
    """A benchmark of five rounds is a series of its full name in seconds, with five samples."""
    pytest_command = [*PYTHON, "pytest", "-q", "-p", "pytest_benchmark.plugin", "-p", "no:cacheprovider"]
    run(*pytest_command, "--benchmark-json=out.json", "test_one.py", examples=["test_one.py"])
    (record,) = read("pytest-benchmark", (tmp_path / "out.json").read_text()).values()
    assert (record.name, record.unit, len(record.samples)) == ("test_one.py::test_sum", "s", 5)
    assert 0 < record.value < 0.01


def test_junit_xml_of_pytest(run, tmp_path):
    """The test cases of pytest's own JUnit XML are counted by how they ended."""
    command = [*PYTHON, "pytest", "-q", "-p", "no:cacheprovider", "--junit-xml=out.xml", "junit_failed.py"]
    run(*command, examples=["junit_failed.py"], status=1)
    records = read("junit", (tmp_path / "out.xml").read_text())
    assert [records[f"junit_{what}"].value for what in ("tests", "failures", "errors", "skipped")] == [4, 1, 2, 0]


def test_coverage_that_is_installed(run):
    """coverage.py's JSON and its Cobertura XML tell the same of the same run."""
    run(*PYTHON, "coverage", "run", "--branch", "cov_many.py", examples=["cov_many.py"])
    in_json = read("coverage", run(*PYTHON, "coverage", "json", "-o", "-"))
    in_xml = read("cobertura", run(*PYTHON, "coverage", "xml", "-o", "-"))
    assert {name: record.value for name, record in in_xml.items()} == {
        "coverage_lines": 4 / 7,
        "coverage_missing_lines": 3,
        "coverage_branches": 0.25,
        "coverage_missing_branches": 3,
    }
    assert {name: record for name, record in in_json.items() if name != "coverage"} == in_xml
    assert in_json["coverage"].value == pytest.approx(5 / 11)


def test_hyperfine_that_is_installed(run, tmp_path):
    """Each command is a series in seconds with a sample a run."""
    run("hyperfine", "-N", "--runs=3", "--export-json=out.json", "-n", "nap", "sleep 0.02", "true")
    records = read("hyperfine", (tmp_path / "out.json").read_text())
    assert {"nap", "nap_user", "nap_system", "true", "true_user", "true_system"} <= set(records)
    assert len(records["nap"].samples) == 3
    assert 0.02 <= records["nap"].value < 2


def test_gnu_time_that_is_installed(run):
    """What a command used is read from what time writes to standard error."""
    text = run("/usr/bin/time", "-v", "sleep", "0.05", stderr=subprocess.STDOUT)
    records = read("time", text)
    assert 0.04 <= records["time_wall"].value < 5
    assert 100_000 < records["time_max_rss"].value < 100_000_000
    assert records["time_max_rss"].unit == "bytes"


def test_ninja_that_is_installed(run, tmp_path):
    """The steps of a build are read from the log that ninja leaves."""
    run("ninja", examples=["build.ninja", "one.c", "zero.c"])
    records = read("ninja", (tmp_path / ".ninja_log").read_text())
    assert records["ninja_steps"].value == 6
    assert 0.05 <= records["ninja_longest"].value <= records["ninja_wall"].value < 60
