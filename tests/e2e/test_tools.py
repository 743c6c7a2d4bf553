"""The documented command of each tool through a real master and worker, on projects with many issues or benchmarks.

:mod:`tests.e2e.test_reports` has those of pytest, pytest-benchmark, coverage.py, Ruff, Flake8 and ShellCheck's JSON.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bbmeasure.testing.site import Site
from tests.e2e.masters import BASE_CONFIG, report
from tests.node import with_package
from tests.tool_output.cases import FOLDER

MANY = 300

CONFIG = f"""
PYTHON = {sys.executable!r}
f = util.BuildFactory()


def lint(tool, command, **more):
    f.addStep(steps.LintMetrics(name=tool, tool=tool, command=command, logEnviron=False, **more))


def shell(parser, command, **more):
    f.addStep(steps.MeasureShellCommand(name=parser, command=command, parser=parser, logEnviron=False, **more))


lint("pylint", [PYTHON, "-m", "pylint", "--rcfile=/dev/null", "--disable=all", "--enable=unused-import", "-f", "json2",
                SOURCE + "/imports.py"])
lint("mypy", [PYTHON, "-m", "mypy", "--config-file=", "--cache-dir=/dev/null", SOURCE + "/types_of.py"])
lint("eslint", [ESLINT, "--no-config-lookup", "--rule", "no-undef: error", "-f", "json", "."], workdir=SOURCE + "/js")
lint("cppcheck", ["cppcheck", "--enable=style", "--xml", SOURCE + "/unused.c"])
lint("checkstyle", ["shellcheck", "--norc", "-f", "checkstyle", SOURCE + "/unquoted.sh"])
lint("gcc", ["gcc", "-Wall", "-c", "-o", "/dev/null", SOURCE + "/unused.c"])
lint("clang", ["clang", "-Wall", "-c", "-o", "/dev/null", SOURCE + "/unused.c"])
f.addStep(steps.ShellCommand(command=[PYTHON, "-m", "coverage", "run", "--source", SOURCE, SOURCE + "/imported.py"]))
shell("cobertura", [PYTHON, "-m", "coverage", "xml", "-q", "-o", "-"])
shell("hyperfine", ["hyperfine", "-N", "--runs=2", "--export-json", "hyperfine.json",
                    *(f"echo {{n}}" for n in range(30))], outputFile="hyperfine.json")
shell("time", ["/usr/bin/time", "-v", "sleep", "0.05"])
shell("ninja", ["ninja", "-C", SOURCE + "/ninja"], outputFile=SOURCE + "/ninja/.ninja_log")
shell("teamcity", ["cat", SOURCE + "/teamcity.log"])
shell("github-action-benchmark", ["cat", SOURCE + "/list.json"])
shell("google-benchmark", ["cat", GOOGLE])
add(util.BuilderConfig(name="tools", workernames=["worker"], factory=f))
c["services"] = [util.SQLiteInstance()]
"""


def write_project(folder: Path) -> None:
    """Write sources with MANY issues of each linter, a build of MANY steps, and MANY benchmarks."""
    every = range(MANY)
    files = {
        "imports.py": [f"import module{n}" for n in every],
        "types_of.py": [f'value{n}: int = "text"' for n in every],
        "imported.py": ["a = 1", *(f"if a == {n + 2}:\n    b = 1" for n in every)],
        "js/undefined.js": [f"undefined{n};" for n in every],
        "unused.c": [f"void function{n}(void) {{ int unused; }}" for n in every],
        "unquoted.sh": ["#!/bin/sh", *("echo $1" for _ in every)],
        "ninja/build.ninja": ["rule touch", "  command = touch $out", *(f"build out{n}: touch" for n in every)],
        "teamcity.log": [f"##teamcity[buildStatisticValue key='key{n}' value='{n}']" for n in every],
        "list.json": ["[" + ", ".join(f'{{"name": "b{n}", "unit": "ms", "value": {n}}}' for n in every) + "]"],
    }
    for name, lines in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A master with the builder, and a worker."""
    folder = tmp_path_factory.mktemp("tools")
    write_project(folder / "project")
    names = {
        "SOURCE": str(folder / "project"),
        "ESLINT": str(with_package("eslint", "10.15.0") / "eslint"),
        "GOOGLE": str(FOLDER / "google-benchmark" / "1.7.1" / "many.json"),
    }
    defined = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    with Site(folder, defined + BASE_CONFIG + CONFIG) as running:
        yield running


@pytest.fixture(scope="module")
def steps_of_build(site: Site) -> dict[str, Any]:
    """The steps of a build, by name."""
    return dict(site.steps(site.build("tools", 300)))


#: The number of values of a series, and the last one, None where it varies.
EXPECTED: dict[str, tuple[str, Any]] = {
    **{tool: (tool, MANY) for tool in ("pylint", "mypy", "eslint", "cppcheck", "checkstyle", "gcc", "clang")},
    "cobertura": ("coverage_missing_lines", None),
    "hyperfine": ("echo 29", None),
    "time": ("time_wall", None),
    "ninja": ("ninja_steps", MANY),
    "teamcity": (f"key{MANY - 1}", MANY - 1),
    "github-action-benchmark": (f"b{MANY - 1}", (MANY - 1) / 1000),
    "google-benchmark": ("BM_Fill/4096", None),
}


@pytest.mark.parametrize("name", list(EXPECTED))
def test_a_documented_command(site: Site, steps_of_build: dict[str, Any], name: str) -> None:
    """The step is SUCCESS, and each issue, step or benchmark is in its values."""
    step = steps_of_build[name]
    assert step["results"] == 0, site.log_text(step, "measurements")
    series, value = EXPECTED[name]
    last = report(site.journal, series)["statistics"]["last"]
    assert last > 0
    assert value is None or last == pytest.approx(value)
