"""Steps on a worker that reports the system of Windows: ``ntpath``, no shell, and files as PowerShell writes them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bbmeasure.testing.site import Site
from tests.e2e.masters import BASE_CONFIG, points_of

#: The start of the tac file of the worker.
SYSTEM = """
from buildbot_worker.base import BotBase
get_worker_info = BotBase.remote_getWorkerInfo
BotBase.remote_getWorkerInfo = lambda self: {**get_worker_info(self), "system": "nt"}
"""
CONFIG = r"""
def write(name, encoding, text):
    return [PYTHON, "-c", f"import os; open(os.path.expandvars({name!r}), 'wb').write({text!r}.encode({encoding!r}))"]


def measure(name, command=["true"], **arguments):
    f.addStep(steps.MeasureShellCommand(name=name, command=command, **arguments))


ESLINT = '[{"filePath": "a.js", "messages": []}]'
MARKED = '##bbmeasure {"name": "marked", "value": 3} \r\n'
f = util.BuildFactory()
measure("printed", [PYTHON, "-c", r"print('1.5 MiB\r')"])
measure("stdout", [PYTHON, "-c", f"print({MARKED!r})"])
TOLD = '{"name": "told", "value": 4, "tags": {"k": "\u00e9"}}\r\n'
IN_CODE_PAGE = '{"name": "\u00e9", "value": 1}\r\n{"name": "ascii", "value": 2}'
measure("sidecar", write("$BBMEASURE_FILE", "utf-16", TOLD))
measure("code_page", write("$BBMEASURE_FILE", "cp1252", IN_CODE_PAGE))
measure("utf16", write("out.txt", "utf-16", "7 KiB\r\n"), outputFile="out.txt")
measure("used", [PYTHON, "-c", "print(5)"], resources=True, python=[PYTHON, "-X", "utf8"])
f.addStep(steps.SizeOf(name="size", path="out.*", python=PYTHON))
f.addStep(steps.TimedPythonFunction(name="timed", function="math:sqrt", args=[4], python=PYTHON))
f.addStep(steps.LintMetrics(name="short", tool="eslint", command=[PYTHON, "-c", f"print({ESLINT!r})"]))
f.addStep(steps.LintMetrics(name="long", tool="eslint", command=[PYTHON, "-c", f"print({ESLINT!r}.ljust(5000))"]))
f.addStep(steps.LintMetrics(name="file", tool="eslint", command=write("lint.json", "utf-8-sig", ESLINT.ljust(5000)),
                            outputFile="lint.json"))
c["workers"].append(worker.Worker("nt", "demo"))
add(util.BuilderConfig(name="nt", workernames=["nt"], factory=f))
c["services"] = [util.SQLiteInstance()]
"""
VALUES = {"printed": 1.5 * 1024**2, "marked": 3, "told": 4, "ascii": 2, "utf16": 7168, "used": 5, "size": 16}
VALUES |= {"short": 0, "file": 0}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, dict[str, Any]]]:
    """A master, and the steps of a build on a worker that reports another system."""
    names = f"PYTHON = {sys.executable!r}\n"
    with Site(tmp_path_factory.mktemp("site"), names + BASE_CONFIG + CONFIG, workers=()) as site:
        site.start_worker("nt", before=SYSTEM)
        yield site, site.steps(site.build("nt"))


def test_each_step_measures(build: tuple[Site, dict[str, Any]]) -> None:
    """Each value is captured; only the step whose output was cut is WARNINGS."""
    site, steps = build
    assert {name: step["results"] for name, step in steps.items() if step["results"]} == {"long": 1}
    points = {point.series: point for point in points_of(site.journal)}
    assert {series: points[series].value for series in VALUES} == VALUES
    assert points["told"].tags["k"] == "\u00e9"
    assert {"used_wall", "used_cpu", "timed"} <= set(points)
    assert "\ufffd" not in "".join(points)


def test_what_is_refused(build: tuple[Site, dict[str, Any]]) -> None:
    """The log names the byte of another code page, and the remedy for a line that the worker cut."""
    site, steps = build
    assert "line 1: byte 0xe9 at 11: expected UTF-8" in site.log_text(steps["code_page"], "measurements")
    assert "name it with outputFile=" in site.log_text(steps["long"], "measurements")


def test_no_file_is_left(build: tuple[Site, dict[str, Any]]) -> None:
    """The files of the steps, whose paths were joined with ntpath, are removed."""
    site, _ = build
    assert [path.name for path in Path(site.folder).rglob("*bbmeasure-*")] == []
