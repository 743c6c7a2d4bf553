"""All steps and three adapters with each worker protocol and several versions of Python."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bbmeasure.testing.site import Site
from tests.e2e.masters import BASE_CONFIG, points_of, report, series_names

CONFIG = """
import os

SOURCE = '''
import time


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


async def later(n):
    return fibonacci(n)


def broken():
    raise RuntimeError("as expected")
'''

c["workers"] += [worker.LocalWorker("local"), worker.Worker("msgpack", "demo")]
c["protocols"]["msgpack_experimental_v7"] = {"port": MSGPACK_PORT}


def collection(python):
    f = util.BuildFactory()
    f.addStep(steps.ShellCommand(name="prepare", command=[PYTHONS[-1], "-c", f'''
import os, pathlib
os.makedirs("src", exist_ok=True)
os.makedirs("dist", exist_ok=True)
pathlib.Path("src/core.py").write_text({SOURCE!r})
pathlib.Path("dist/a.whl").write_bytes(b"x" * 1000)
pathlib.Path("junit.xml").write_text('<testsuite tests="3" failures="1" errors="0" skipped="0" time="1.5">'
    '<testcase classname="a" name="x" time="0.5"/><testcase classname="a" name="y" time="1.0">'
    '<failure message="no"/></testcase><testcase classname="a" name="z" time="0"/></testsuite>')
pathlib.Path("lines.sh").write_text("wc -l < src/core.py")
'''], logEnviron=False))
    f.addStep(steps.MeasureShellCommand(name="build_size", command=["sh", "lines.sh"], resources=True, python=python))
    f.addStep(steps.SizeOf(name="wheel_size", path="dist/*.whl", python=python))
    f.addStep(steps.SizeOf(name="nothing", path="nothing/*.whl", python=python, flunkOnFailure=False))
    f.addStep(steps.SLOCCount(name="total_SLOC", path="src", tool="builtin", python=python))
    f.addStep(steps.TimedPythonFunction(name="fib", function="src/core.py:fibonacci", args=[10], calls=True,
                                        python=python))
    f.addStep(steps.TimedPythonFunction(name="later", function="src/core.py:later", args=[5], python=python))
    f.addStep(steps.TimedPythonFunction(name="broken", function="src/core.py:broken", python=python,
                                        flunkOnFailure=False))
    f.addStep(steps.LintMetrics(name="lint", tool="ruff", command=[RUFF, "check", "--isolated", "--select=F,E,ANN",
                                                                  "--output-format=json", "src"]))
    f.addStep(steps.LintMetrics(name="crash", tool="ruff", command=[RUFF, "check", "--no-such-option"],
                                flunkOnFailure=False))
    f.addStep(steps.LintMetrics(name="shell", tool="gcc", command=["sh", "-c", "echo 'a.c:1:2: warning: x [-Wx]' >&2"]))
    f.addStep(steps.MeasureShellCommand(name="tests", command=["true"], parser="junit", outputFile="junit.xml"))
    f.addStep(steps.MeasureShellCommand(name="city", parser="teamcity", command=[
        "echo", "##teamcity[buildStatisticValue key='coffee' value='3']"]))
    return f


for name, python in zip(["worker", "msgpack", "local", "other"], PYTHONS * 4):
    add(util.MeasuredBuilderConfig(name=name, workernames=[name], factory=collection(python)))
c["services"] = [util.SQLiteInstance()]
"""

#: Result by step, where it is not SUCCESS.
RESULTS = {"nothing": 2, "broken": 2, "crash": 2}

#: Exact values by series.
VALUES = {"wheel_size": 1000, "wheel_size_files": 1, "fib_calls": 177, "build_size": 14, "coffee": 3, "shell": 1}


def pythons() -> list[str]:
    """The oldest supported, a middle and the newest Python that are installed."""
    found = {}
    for version in ("3.7", "3.8", "3.13"):
        root = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
        candidates = [*glob.glob(f"{root}/versions/{version}.*/bin/python{version}"), shutil.which(f"python{version}")]
        for candidate in candidates:
            if candidate and _works(candidate):
                found[version] = candidate
                break
    return [*found.values()] or [sys.executable]


def _works(python: str) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A master with workers over PB and MsgPack, and a local worker."""
    folder = tmp_path_factory.mktemp("collection")
    ruff = str(Path(sys.executable).with_name("ruff"))
    config = f"RUFF = {ruff!r}\nPYTHONS = {pythons()!r}\n{BASE_CONFIG}{CONFIG}"
    with Site(folder, config, workers=("worker", "other")) as running:
        running.start_worker("msgpack", protocol="msgpack_experimental_v7")
        yield running


@pytest.mark.parametrize("name", ["worker", "msgpack", "local", "other"])
def test_every_step_measures_on_every_worker(site: Site, name: str) -> None:
    """Each step has the expected result, and its values are in the journal."""
    build = site.build(name)
    found = site.steps(build)
    reported = {step: (one["results"], one["state_string"]) for step, one in found.items()}
    for step, one in found.items():
        assert one["results"] == RESULTS.get(step, 0), (step, reported)
    for series, value in VALUES.items():
        answer = report(site.journal, series, "--builder", name)
        assert answer["statistics"]["last"] == value, (series, answer)
    for series in ("fib", "later", "total_SLOC", "build_size_wall", "build_size_max_rss"):
        assert report(site.journal, series, "--builder", name)["statistics"]["last"] > 0, series
    assert (
        report(site.journal, "lint_by_category", "--builder", name, "--tag", "category=ANN")["statistics"]["last"] == 5
    )
    assert "broken" not in series_names(site.journal)
    assert "as expected" in site.log_text(found["broken"], "stdio")


def test_samples_and_spread_are_stored(site: Site) -> None:
    """The point of a timed function has the number of its samples and their spread."""
    site.build("worker")
    found = [point for point in points_of(site.journal) if point.series == "fib"]
    assert found
    assert all(point.samples > 1 and point.spread is not None and point.spread >= 0 for point in found)


KEEPS = """
f = util.BuildFactory()
f.addStep(steps.ShellCommand(name="prepare", command="printf 'a = 1\\\\nb = 2\\\\n' > a.py", logEnviron=False))
f.addStep(steps.SLOCCount(name="lines", path="a.py", {tool}))
add(util.BuilderConfig(name="b", workernames=["worker"], factory=f))
c["services"] = [util.SQLiteInstance()]
"""


def test_series_keeps_its_tool(tmp_path: Path) -> None:
    """A series keeps its tool; values of another tool have another tag and are not compared."""
    with Site(tmp_path, BASE_CONFIG + KEEPS.format(tool="tool='builtin'")) as site:
        site.build("b")
        site.write_config(BASE_CONFIG + KEEPS.format(tool="tool='auto'"))
        site.reconfig()
        again = site.steps(site.build("b"))["lines"]
        assert again["state_string"] == "lines [tool=builtin]: 2 (+0 %)"
        site.write_config(BASE_CONFIG + KEEPS.format(tool="tool='sloccount'"))
        site.reconfig()
        other = site.steps(site.build("b"))["lines"]
        assert other["state_string"] == "lines [tool=sloccount]: 2"
        assert report(site.journal, "lines", "--tag", "tool=sloccount")["count"] == 1
        assert report(site.journal, "lines", "--tag", "tool=builtin")["count"] == 2
