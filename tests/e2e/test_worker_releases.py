"""Long reports of tools on workers of older releases, and over MsgPack."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bbmeasure.testing.site import Site
from tests.buildbots import OLDEST, python_with_buildbot, python_with_worker
from tests.e2e.masters import BASE_CONFIG, points_of

#: The interpreter and the protocol of each worker.
WORKERS = {
    "current": (lambda: sys.executable, "pb"),
    "msgpack": (lambda: sys.executable, "msgpack_experimental_v7"),
    "version_3": (lambda: python_with_buildbot(OLDEST), "pb"),
    "version_2": (lambda: python_with_worker("2.10.5"), "pb"),
}
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
c["services"] = [util.SQLiteInstance()]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A master with a worker of each kind."""
    names = f"WORKERS = {list(WORKERS)}\nPYTHON = {sys.executable!r}\nREPORT = {REPORT!r}\n"
    with Site(tmp_path_factory.mktemp("site"), names + BASE_CONFIG + CONFIG, workers=()) as running:
        for name, (python, protocol) in WORKERS.items():
            running.start_worker(name, python(), protocol)
        yield running


@pytest.mark.parametrize("name", list(WORKERS))
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
