"""Switches of an instance on a real master: stock steps, durations, the master's metrics."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from buildbot.db.model import Model

from bbmeasure.testing.site import Site
from tests.e2e.masters import BASE_CONFIG, count_of, points_of, report, run_command, series_names

STOCK = r"""
import sys

from bbmeasure.master.tracking import master_metrics
master_metrics.INTERVAL = 0.5

GCC = "cat log.txt"
SHELL = ["sh", "-c"]


def stock_steps():
    f = util.BuildFactory()
    f.addStep(steps.ShellCommand(name="prepare", logEnviron=False, command=[sys.executable, "-c", '''
import os, pathlib
os.makedirs("pkg", exist_ok=True)
pathlib.Path("pkg/__init__.py").write_text("")
pathlib.Path("log.txt").write_text("a.c:1:2: warning: one\\na.c:2:2: warning: two\\n")
pathlib.Path("pkg/test_it.py").write_text("from twisted.trial import unittest\\nclass T(unittest.TestCase):\\n"
    "    def test_a(self): pass\\n    def test_b(self): self.fail()\\n"
    "    def test_c(self): raise unittest.SkipTest('x')\\n")
''']))
    f.addStep(steps.Compile(name="compile", command=[*SHELL, GCC]))
    f.addStep(steps.TreeSize(name="treesize"))
    f.addStep(steps.Trial(name="trial", tests="pkg.test_it", trial=TRIAL, testpath=".", flunkOnFailure=False))
    f.addStep(steps.PyLint(name="pylint", command=[*SHELL, "echo 'a.py:1:0: W0611: Unused (unused-import)'; exit 4"],
                           flunkOnFailure=False))
    f.addStep(steps.PyFlakes(name="pyflakes", command=[*SHELL, "echo \"a.py:1: 'os' imported but unused\""]))
    f.addStep(steps.Cppcheck(name="cppcheck", source=["."], binary=CPPCHECK))
    f.addStep(steps.ShellCommand(name="skipped", command=["true"], doStepIf=False))
    f.addStep(steps.SetProperty(name="huge", property="pylint-huge", value=10 ** 400))
    f.addStep(steps.ShellCommand(name="fails", command=["false"]))
    return f


c["www"]["change_hook_dialects"] = {"base": True}
add(util.MeasuredBuilderConfig(name="all", workernames=["worker"], factory=stock_steps(), trackAll=True))
add(util.BuilderConfig(name="plain", workernames=["worker"], factory=stock_steps()))
add(util.BuilderConfig(name="real", workernames=["worker"], properties={"virtual_builder_name": "virtual"},
                       factory=util.BuildFactory([steps.ShellCommand(name="one", command=["true"])])))
c["www"]["plugins"] = {"bbmeasure": {}}
c["services"] = [
    util.SQLiteInstance(trackBuildTimes=True, trackStepTimes=True, trackStatistics=True, trackMasterMetrics=True,
                        trackProperties=["warnings-count", "tree-size-KiB", "pylint-*", "pyflakes-*", "cppcheck-*"]),
]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A master with all switches, after a build of a measured builder and one of a plain builder."""
    folder = tmp_path_factory.mktemp("stock")
    cppcheck = folder / "cppcheck"
    cppcheck.write_text("#!/bin/sh\necho '[a.c:1]: (error) one' >&2\n")
    cppcheck.chmod(0o755)
    import sys

    trial = str(Path(sys.executable).with_name("trial"))
    with Site(folder, f"TRIAL = {trial!r}\nCPPCHECK = {str(cppcheck)!r}\n{BASE_CONFIG}{STOCK}") as running:
        running.build("all")
        running.build("plain")
        running.build("real")
        # the last value of the last build
        running.wait_for(lambda: count_of(running.journal, "step_duration", "--builder", "virtual"), "points", 300)
        yield running


def value(site: Site, series: str, builder: str, **tags: str) -> Any:
    """The last value of a series."""
    chosen = [word for key, one in tags.items() for word in ("--tag", f"{key}={one}")]
    answer = report(site.journal, series, "--builder", builder, *chosen)
    assert answer.get("count") == 1, (series, answer)
    return answer["statistics"]["last"]


@pytest.mark.parametrize("builder", ["all", "plain"])
def test_stock_steps(site: Site, builder: str) -> None:
    """Statistics, properties and counts of stock steps are captured on both kinds of builder."""
    assert value(site, "warnings", builder, step="compile") == 2
    assert value(site, "warnings-count", builder) >= 2
    assert value(site, "tree-size-KiB", builder) > 1024
    assert value(site, "tests-total", builder, step="trial") == 3
    assert value(site, "tests-failed", builder, step="trial") == 1
    assert value(site, "tests-skipped", builder, step="trial") == 1
    assert value(site, "pylint-warning", builder) == 1
    assert value(site, "pyflakes-unused", builder) == 1
    assert value(site, "cppcheck-error", builder) == 1


@pytest.mark.parametrize("builder", ["all", "plain"])
def test_durations(site: Site, builder: str) -> None:
    """Durations of the build, its queue and its steps are captured with their result; a skipped step has none."""
    assert value(site, "build_duration", builder, result="failure") > 0
    assert value(site, "queue_duration", builder, result="failure") >= 0
    assert value(site, "step_duration", builder, step="fails", result="failure") > 0
    assert value(site, "step_duration", builder, step="trial") > 0
    found = {point.tags.get("step") for point in points_of(site.journal) if point.builder == builder}
    assert found.isdisjoint({"skipped", "worker_preparation"})


def test_virtual_builder(site: Site, tmp_path: Path) -> None:
    """Live, in the API and back-filled, the values have the name by which Buildbot shows the builds."""
    assert value(site, "step_duration", "virtual", step="one") > 0
    assert "real" not in {point.builder for point in points_of(site.journal)}
    builderid = site.get("builders/virtual")["builders"][0]["builderid"]
    (build,) = site.get(f"builders/{builderid}/builds")["builds"]
    with urllib.request.urlopen(f"{site.url}plugins/bbmeasure/api/v1/records?buildid={build['buildid']}") as answer:
        assert "step_duration" in [record["series"] for record in json.load(answer)["records"]]
    other = tmp_path / "j.sqlite"
    series = {"build_duration", "queue_duration", "step_duration"}
    if "locks_duration_s" in Model.builds.c:  # since Buildbot 4.0
        series.add("lock_duration")
    for journal, written in ((site.journal, 0), (other, len(series))):
        chosen = ("--master", str(site.master_dir), "--journal", str(journal), "--builder", "virtual")
        assert f"1 builds read, {written} points written" in run_command("backfill", *chosen).stdout
    assert {point.series for point in points_of(other)} == series
    assert {point.builder for point in points_of(other)} == {"virtual"}


def test_plain_build_is_captured_once(site: Site) -> None:
    """No point of a build is stored twice."""
    found = Counter(
        (point.build.buildid, point.series, str(sorted(point.tags.items())))
        for point in points_of(site.journal)
        if point.build is not None
    )
    assert set(found.values()) == {1}


def test_master_metrics(site: Site) -> None:
    """Gauges, times and alarms of Buildbot are captured with the name of the master."""
    wanted = {
        "master.active_builds": True,
        "master.reactorDelay": True,
        "master.queue_length": True,
        "master.resource.ru_maxrss": True,
        "master.alarm.gc.garbage": True,
        "master.RemoteCommand.overhead": True,
        "master.AbstractWorker.attached_workers": True,
    }
    kept = [name for name, is_kept in wanted.items() if is_kept]
    site.wait_for(lambda: all(count_of(site.journal, name) for name in kept), "the master's metrics", 300)
    names = series_names(site.journal)
    assert {name: name in names for name in wanted} == wanted
    assert report(site.journal, "master.reactorDelay")["unit"] == "s"
    points = [point for point in points_of(site.journal) if point.series.startswith("master.")]
    name = site.get("masters")["masters"][0]["name"]
    assert all(point.build is None and point.tags == {"master": name} for point in points)


def add_change(site: Site, revision: str) -> None:
    """Add a change to the master, as a hook does."""
    change = {"revision": revision, "author": "me", "comments": "a change", "branch": "main", "project": "p"}
    data = urllib.parse.urlencode(change).encode()
    with urllib.request.urlopen(f"{site.url}change_hook/base", data, timeout=60) as answer:
        assert answer.status < 300


def test_counter_is_a_running_total(site: Site) -> None:
    """Each change that the master adds increments the series of the counter."""
    name = "master.added_changes"

    def total() -> float:
        if not count_of(site.journal, name):
            return 0
        answer = report(site.journal, name)
        assert answer["unit"] == "1"
        return float(answer["statistics"]["last"])

    for count in (1, 2):
        add_change(site, f"revision {count}")
        site.wait_for(lambda: total() == count, f"a total of {count}", 300)  # noqa: B023  (it is asked at once)
    assert report(site.journal, name)["kind"] == "count"
    assert report(site.journal, name)["statistics"]["sum"] == 1 + 2


SHARED = """
c["multiMaster"] = True
c["db"] = {"db_url": "sqlite:///" + DATABASE}
f = util.BuildFactory([steps.MeasureShellCommand(name="m", command=["echo", "1"])])
add(util.BuilderConfig(name=NAME, workernames=["worker"], factory=f))
c["services"] = [util.SQLiteInstance(trackBuildTimes=True, trackStepTimes=True)]
"""


def test_two_masters_with_one_database(tmp_path: Path) -> None:
    """Each of two masters that share a database captures only the builds that it ran."""
    database = tmp_path / "shared.sqlite"
    configs = [f"NAME = {name!r}\nDATABASE = {str(database)!r}\n{BASE_CONFIG}{SHARED}" for name in ("one", "two")]
    with Site(tmp_path / "1", configs[0]) as first, Site(tmp_path / "2", configs[1]) as second:
        first.build("one")
        second.build("two")
        second.build("two")
        for site, builder, count in ((first, "one", 1), (second, "two", 2)):
            for series in ("m", "build_duration", "step_duration"):
                site.wait_for(lambda s=site, n=series, c=count: count_of(s.journal, n) == c, series, 300)
            assert {point.builder for point in points_of(site.journal)} == {builder}
