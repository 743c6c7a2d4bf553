"""Workers of older releases, over PB and MsgPack: the steps that send and read files, and long reports of tools."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from buildbot.process.results import EXCEPTION

from bbmeasure.testing.site import Site
from tests.buildbots import OLDEST, find_python, python_with_worker, worker_on
from tests.e2e.masters import BASE_CONFIG, points_of

#: The release of each worker, None for that of this environment, and its protocol.
WORKERS = {
    "current": (None, "pb"),
    "current_msgpack": (None, "msgpack_experimental_v7"),
    "version_4_0": ("4.0.4", "pb"),
    "version_4_0_msgpack": ("4.0.4", "msgpack_experimental_v7"),
    "version_3_11": ("3.11.9", "pb"),
    "version_3_11_msgpack": ("3.11.9", "msgpack_experimental_v7"),
    "version_3_7": (OLDEST, "pb"),
    "version_3_7_msgpack": (OLDEST, "msgpack_experimental_v7"),
    "version_3_0": ("3.0.3", "pb"),
    "version_2_10": ("2.10.5", "pb"),
}
#: Old releases on newer Pythons that are installed, over PB.  On Python 3.13 they run no command.
ON_NEWER_PYTHONS = {
    name: (release, python)
    for name, release, python in (
        ("version_3_0_python_3_12", "3.0.3", "3.12"),
        ("version_2_10_python_3_12", "2.10.5", "3.12"),
        ("version_3_0_python_3_13", "3.0.3", "3.13"),
    )
    if find_python(python)
}
NAMES = [*WORKERS, *ON_NEWER_PYTHONS]
FAILING = [name for name in NAMES if name.endswith("python_3_13")]
#: Those that get a report of 16 MiB: each protocol, and each way of older workers to send a file.
WITH_LONG_REPORTS = ("current", "current_msgpack", "version_3_7", "version_2_10")
#: Writes a report of ESLint of 16 MiB on one line, and a marked record, which is in the output as well.
REPORT = r"""
import json, sys
message = {"ruleId": "no-undef", "severity": 2, "message": "\u00e4" * 40, "line": 1}
result = {"filePath": "/src/a.js", "messages": [message] * 1000}
each = json.dumps(result)
print('##bbmeasure {"v": 1, "name": "marked", "value": 3}')
count = (16 << 20) // len(each) + 1
sys.stdout.write("[" + ", ".join([each] * count) + "]")
sys.stderr.write("done\\n")
sys.exit(1)
"""
CONFIG = """
c["protocols"]["msgpack_experimental_v7"] = {"port": MSGPACK_PORT}
for name in WORKERS:
    c["workers"].append(worker.Worker(name, "demo"))
    lint = steps.LintMetrics(name="lint", tool="eslint", command=[PYTHON, "-c", REPORT], logEnviron=False)
    add(util.BuilderConfig(name=name, workernames=[name], factory=util.BuildFactory([lint])))
    f = util.BuildFactory()
    f.addStep(steps.MeasureShellCommand(name="printed", command="echo 2 KiB; echo '7 s' > out", resources=True))
    f.addStep(steps.MeasureShellCommand(name="sidecar", command=[PYTHON, "-c", SIDECAR]))
    f.addStep(steps.MeasureShellCommand(name="file", command=["true"], outputFile="out"))
    f.addStep(steps.SizeOf(name="size", path="out"))
    f.addStep(steps.SizeOf(name="nothing", path="none", flunkOnFailure=False))
    add(util.BuilderConfig(name="steps_" + name, workernames=[name], factory=f))
c["services"] = [util.SQLiteInstance()]
"""


#: Writes a sidecar file that a worker sends in more than one piece.
SIDECAR = """
import json, os
with open(os.environ["BBMEASURE_FILE"], "w") as file:
    print(json.dumps({"name": "told", "value": 3, "samples": list(range(20_000))}), file=file)
    print(json.dumps({"name": "last", "value": 4}), file=file)
"""
#: The captured values.
VALUES = {"printed": 2048, "file": 7, "size": 4, "size_files": 1, "told": 3, "last": 4}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A master with a worker of each kind."""
    names = f"WORKERS = {NAMES}\nPYTHON = {sys.executable!r}\nREPORT = {REPORT!r}\nSIDECAR = {SIDECAR!r}\n"
    with Site(tmp_path_factory.mktemp("site"), names + BASE_CONFIG + CONFIG, workers=()) as running:
        for name, (release, protocol) in WORKERS.items():
            running.start_worker(name, python_with_worker(release) if release else sys.executable, protocol)
        for name, (release, python) in ON_NEWER_PYTHONS.items():
            running.start_worker(name, worker_on(python, release))
        yield running


@pytest.fixture(scope="module")
def builds(site: Site) -> dict[str, dict[str, Any]]:
    """The short build of each worker, which run at the same time."""
    requests = {name: site.force(f"steps_{name}") for name in NAMES}
    return {name: site.wait_for_build(request, 300) for name, request in requests.items()}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in FAILING])
def test_every_way_to_measure(site: Site, builds: dict[str, dict[str, Any]], name: str) -> None:
    """Bundled programs, the sidecar file and an output file give their values, and no file is left on the worker."""
    steps = site.steps(builds[name])
    assert {step: one["results"] for step, one in steps.items() if one["results"]} == {"nothing": 2}, [
        one["state_string"] for one in steps.values()
    ]
    assert "no file found in none" in steps["nothing"]["state_string"]
    points = [point for point in points_of(site.journal) if point.builder == f"steps_{name}"]
    values = {point.series: point.value for point in points}
    assert {series: values[series] for series in VALUES} == VALUES
    assert {"printed_wall", "printed_cpu", "printed_tree_rss"} <= set(values)
    assert {point.build.worker for point in points if point.build is not None} == {name}
    assert [path.name for path in Path(site.folder / name).rglob(".bbmeasure-*")] == []


@pytest.mark.parametrize("name", FAILING)
def test_a_python_without_pipes(site: Site, builds: dict[str, dict[str, Any]], name: str) -> None:
    """Releases up to 3.7 import the module pipes to run a command, which Python 3.13 does not have."""
    printed = site.steps(builds[name])["printed"]
    assert printed["results"] == EXCEPTION
    assert "No module named 'pipes'" in site.log_text(printed, "stdio")


@pytest.mark.parametrize("name", WITH_LONG_REPORTS)
def test_a_report_of_16_mib_on_one_line(site: Site, name: str) -> None:
    """Each issue is counted, the log has the start of the line, and no file is left on the worker."""
    build = site.build(name, 300)
    step = site.steps(build)["lint"]
    assert step["results"] == 0, site.log_text(step, "measurements")
    values = {point.series: point.value for point in points_of(site.journal) if point.builder == name}
    assert values["lint"] == values["lint_by_category"]
    assert float(values["lint"]) >= 50_000
    assert values["marked"] == 3
    assert "read from a file" in site.log_text(step, "measurements")
    log = site.log_text(step, "stdio")
    assert len(log) < 20_000
    assert "done" in log
    assert [path.name for path in Path(site.folder / name).rglob(".bbmeasure-*")] == []
