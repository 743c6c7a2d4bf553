"""``bbmeasure remove`` and ``rename`` beside a running master that exports to an influxd."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bbmeasure.testing.site import Site
from tests.e2e.masters import BASE_CONFIG, points_of, run_command
from tests.servers import Influxd, wait_until

CONFIG = r"""
f = util.BuildFactory()
f.addStep(steps.ShellCommand(name="other", command=["true"]))
f.addStep(steps.ShellCommand(name="compile", command=["sleep", "0.1"]))
f.addStep(steps.MeasureShellCommand(name="size", command=["sh", "-c", "echo 2 KiB"], unit="bytes"))
b1 = util.MeasuredBuilderConfig(name="first", workernames=["worker"], factory=f, measureTags={{"platform": "linux"}})
b1.trackStepTimes("compile", series="{name}")
add(b1)
c["services"] = [util.InfluxDBInstance(url="{url}", database="t")]
"""


def config(influxd: Influxd, name: str) -> str:
    return BASE_CONFIG + CONFIG.format(url=influxd.url, name=name)


@pytest.fixture
def influxd() -> Iterator[Influxd]:
    with Influxd() as running:
        yield running


@pytest.fixture
def site(tmp_path: Path, influxd: Influxd) -> Iterator[Site]:
    with Site(tmp_path, config(influxd, "compile_time")) as running:
        yield running


def builds_on(influxd: Influxd, measurement: str) -> list[int]:
    return sorted(row["build"] for row in influxd.rows(f'SELECT * FROM "{measurement}"', "t"))


def command(site: Site, *arguments: str) -> Any:
    done = run_command(*arguments, "--master", str(site.master_dir), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_remove_and_rename(site: Site, influxd: Influxd) -> None:
    """Both change journal and server beside the running master, and a later backfill doubles nothing."""
    for _ in range(3):
        site.build("first")
    wait_until("the points", lambda: builds_on(influxd, "compile_time") == builds_on(influxd, "size") == [1, 2, 3])

    answer = command(site, "remove", "size", "--build", "2", "--builder", "first", "--yes")
    assert answer["removed"] == 1
    assert answer["servers"] == {"InfluxDBInstance": "1 points were deleted"}
    assert builds_on(influxd, "size") == [1, 3]
    assert builds_on(influxd, "compile_time") == [1, 2, 3]

    site.write_config(config(influxd, "compile_duration"))
    site.reconfig()
    answer = command(site, "rename", "compile_time", "compile_duration", "--yes")
    assert (answer["renamed"], answer["recomputed"], answer["kept"]) == (3, 3, 0)
    wait_until("the renamed points", lambda: builds_on(influxd, "compile_duration") == [1, 2, 3])
    assert builds_on(influxd, "compile_time") == []

    site.build("first")
    wait_until("the new build", lambda: builds_on(influxd, "compile_duration") == [1, 2, 3, 4])
    command(site, "backfill")
    wait_until("nothing waits", lambda: builds_on(influxd, "size") == [1, 3, 4])
    points = points_of(site.journal)
    durations = [point for point in points if point.series == "compile_duration"]
    assert sorted(point.build.build for point in durations if point.build) == [1, 2, 3, 4]
    assert not [point for point in points if point.series == "compile_time"]
