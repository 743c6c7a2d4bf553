"""Measuring, storing and reading back with a real master and worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from bbmeasure.testing.site import Site
from tests.e2e.masters import BASE_CONFIG, points_of, report, rows, run_command, series_names, wait_for_points
from tests.servers import wait_until

#: The number of points of each series after the builds of :func:`builds`.
EXPECTED = {
    "build_size": 3,
    "lines": 2,
    "total_SLOC": 1,
    "fetch": 2,
    "compile": 2,
    "first_builder.compile_time": 2,
    "compile_warnings": 2,
    "warnings": 2,
    "build_duration": 3,
    "queue_duration": 3,
}

CONTRACT = """
f = util.BuildFactory()
f.addStep(steps.Git(name="fetch", repourl=REPOSITORY, mode="incremental"))
f.addStep(steps.Compile(name="compile", command=["sh", "-c", "echo 'a.c:1: warning: x'; sleep 0.2"]))
f.addStep(steps.MeasureShellCommand(name="build_size", command=["sh", "size.sh"], unit="bytes", better="lower"))
f.addStep(steps.MeasureShellCommand(name="total_SLOC", command=["sh", "-c", "cat *.sh | wc -l"], kind="count"))

b1 = add(util.MeasuredBuilderConfig(name="first_builder", workernames=["worker", "other"], factory=f,
                                    tags=["nightly"], measureTags={"platform": "linux"}))
b1.trackStepTimes("fetch", "compile")
b1.trackStepTimes("compile", series="{builder}.compile_time", tags={"phase": "build"})
b1.trackProperties("warnings-count", series="compile_warnings", better="lower")
b1.trackProperties("never-set")
b1.trackStatistics("warnings")
b1.trackCustomStep("total_SLOC", series="lines", tags={"of": "shell"})

add(util.BuilderConfig(name="plain", workernames=["worker"], factory=f))
c["services"] = [util.SQLiteInstance(trackBuildTimes=True, trackStepTimes=True)]
"""


def make_repository(folder: Path) -> str:
    """Create a git repository with a measuring script; returns its newest commit."""
    folder.mkdir()
    (folder / "size.sh").write_text("echo 1500\n")
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True)
    return head.stdout.strip()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A master with a configuration of all features, and two workers."""
    folder = tmp_path_factory.mktemp("contract")
    make_repository(folder / "repository")
    config = f"REPOSITORY = {str(folder / 'repository')!r}\n{BASE_CONFIG}{CONTRACT}"
    with Site(folder, config, workers=("worker", "other")) as running:
        yield running


@pytest.fixture(scope="module")
def builds(site: Site) -> list[dict[str, Any]]:
    """Two builds of the measured builder and one of the plain one."""
    done = [site.build("first_builder"), site.build("first_builder"), site.build("plain")]
    assert [build["results"] for build in done] == [0, 0, 0], [build["state_string"] for build in done]
    wait_for_points(site, EXPECTED)
    return done


def count(site: Site, series: str) -> int:
    """The number of points of a series in the journal."""
    return sum(point.series == series for point in points_of(site.journal))


def test_all_tracked_values_are_stored(site: Site, builds: list[dict[str, Any]]) -> None:
    """Each tracked value of both builds is in the journal of the running master."""
    assert {name: count(site, name) for name in EXPECTED} == EXPECTED
    assert "never-set" not in series_names(site.journal)


def test_report_reads_beside_the_master(site: Site, builds: list[dict[str, Any]]) -> None:
    """``bbmeasure report`` reads the journal while the master runs."""
    answer = report(site.journal, "build_size", "--builder", "first_builder")
    assert answer["count"] == 2
    assert answer["unit"] == "bytes"
    assert answer["statistics"]["average"] == 1500
    assert answer["statistics"]["deviation"] == 0


def test_points_carry_what_the_master_knows(site: Site, builds: list[dict[str, Any]]) -> None:
    """Builder, worker, build, revision, branch and tags come from the master."""
    found = [point for point in points_of(site.journal) if point.series == "build_size" and point.build]
    found = [point for point in found if point.builder == "first_builder"]
    workers = {worker["workerid"]: worker["name"] for worker in site.get("workers")["workers"]}
    assert [point.build.build for point in found if point.build] == [1, 2]
    for point, build in zip(found, builds):
        assert point.build is not None
        assert point.worker == workers[build["workerid"]]
        assert point.tags == {"platform": "linux"}
        assert len(point.build.revision or "") == 40
        assert (point.build.branch, point.build.proposal) == ("main", "")
        assert point.value == 1500


def test_step_times_are_below_the_second(site: Site, builds: list[dict[str, Any]]) -> None:
    """A step that sleeps 0.2 s takes at least that, and not a whole second's multiple."""
    shortest = report(site.journal, "compile")["statistics"]["minimum"]
    assert 0.2 <= shortest < 5
    assert shortest % 1 != 0


def test_summary_and_log(site: Site, builds: list[dict[str, Any]]) -> None:
    """The summary shows the value and its change on the same worker, the log all details."""
    step = site.steps(builds[1])["build_size"]
    change = " (+0 %)" if builds[0]["workerid"] == builds[1]["workerid"] else ""  # workers are machine classes
    assert step["state_string"] == f"build_size: 1.46 KiB{change}"
    assert "stored" in site.log_text(step, "measurements")


def test_plain_builder_is_followed(site: Site, builds: list[dict[str, Any]]) -> None:
    """Steps of a plain builder use their own names; the switches of the instance apply to its times."""
    assert report(site.journal, "build_duration", "--builder", "plain")["count"] == 1
    assert report(site.journal, "step_duration", "--builder", "plain", "--tag", "step=compile")["count"] == 1


def test_result_is_a_tag(site: Site, builds: list[dict[str, Any]]) -> None:
    """Durations are tagged with the result in the terms of OpenTelemetry."""
    assert report(site.journal, "build_duration", "--tag", "result=success")["count"] == 3
    assert run_command("report", "build_duration", "--journal", str(site.journal), "--tag", "result=x").returncode == 1


def test_check_knows_what_is_configured(site: Site, builds: list[dict[str, Any]]) -> None:
    """``bbmeasure check`` names instances, builders, and a tracked property without a value."""
    done = run_command("check", "--master", str(site.master_dir), "--json")
    found = json.loads(done.stdout)
    assert [one["name"] for one in found["instances"]] == ["SQLiteInstance"]
    assert found["builders"] == ["first_builder"]
    assert any("never-set" in problem and "misspelt" in problem for problem in found["problems"])
    assert done.returncode == 1


BAD = r"""
import os


def measured(name, command, **more):
    return steps.MeasureShellCommand(name=name, command=["sh", "-c", command], logEnviron=False, **more)


f = util.BuildFactory()
f.addStep(measured("digits", "head -c 10000000 /dev/zero | tr '\\0' 7"))
f.addStep(measured("binary", "head -c 100000 /dev/urandom"))
f.addStep(measured("sidecar_fifo", "mkfifo $BBMEASURE_FILE; echo 1"))
f.addStep(measured("sidecar_directory", "mkdir $BBMEASURE_FILE; echo 1"))
f.addStep(measured("sidecar_zero", "ln -s /dev/zero $BBMEASURE_FILE; echo 1"))
f.addStep(measured("sidecar_sparse", "truncate -s 2G $BBMEASURE_FILE; echo 1"))
f.addStep(measured("file_fifo", "rm -f fifo; mkfifo fifo", outputFile="fifo"))
f.addStep(measured("file_directory", "mkdir -p dir", outputFile="dir"))
f.addStep(measured("file_zero", "ln -sf /dev/zero zero", outputFile="zero"))
f.addStep(measured("file_sparse", "truncate -s 2G sparse", outputFile="sparse"))
f.addStep(measured("utf8", "printf '%032767d' 0 > long; printf '\\303\\244 5' >> long; echo 5 > ok", outputFile="ok"))
f.addStep(measured("failing", "echo 5; exit 3", flunkOnFailure=False))
f.addStep(measured("reporting", "echo '{\"name\":\"x\",\"value\":1}' >> $BBMEASURE_FILE; exit 3", flunkOnFailure=False))
f.addStep(measured("good", "echo 7"))
add(util.BuilderConfig(name="bad", workernames=["worker"], factory=f))
c["services"] = [util.SQLiteInstance()]
"""

#: Result and a part of the log, by step; 0 is SUCCESS, 1 WARNINGS, 2 FAILURE.
BAD_EXPECTED = {
    "digits": (1, "characters): expected one number"),
    "binary": (1, "expected one number"),
    "sidecar_fifo": (0, "expected a regular file, got a FIFO"),
    "sidecar_directory": (0, "expected a regular file, got a directory"),
    "sidecar_zero": (0, "expected a regular file, got a device"),
    "sidecar_sparse": (0, "2147483648 bytes, expected at most"),
    "file_fifo": (1, "expected a regular file, got a FIFO"),
    "file_directory": (1, "expected a regular file, got a directory"),
    "file_zero": (1, "expected a regular file, got a device"),
    "file_sparse": (1, "2147483648 bytes, expected at most"),
    "utf8": (0, "stored"),
    "failing": (2, "failing: 5 = 5.0 1 (number): not stored: the command did not succeed"),
    "reporting": (2, "not stored: the command did not succeed"),
    "good": (0, "stored"),
}


def resident_bytes(pid: int) -> int:
    """The resident memory of a process."""
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_invalid_input(tmp_path: Path) -> None:
    """Hostile outputs and files have the expected result and message; memory does not grow."""
    with Site(tmp_path, BASE_CONFIG + BAD) as site:
        assert site.master is not None
        first = site.build("bad")
        before = resident_bytes(site.master.popen.pid)
        second = site.build("bad")
        grown = resident_bytes(site.master.popen.pid) - before
        for build in (first, second):
            found = site.steps(build)
            for name, (result, word) in BAD_EXPECTED.items():
                log = site.log_text(found[name], "measurements")
                assert found[name]["results"] == result, (name, log)
                assert word in log, (name, log)
        assert grown < 60 * 1024 * 1024
        assert report(site.journal, "good")["count"] == 2
        assert "x" not in series_names(site.journal)


RECONFIG = """
f = util.BuildFactory()
f.addStep(steps.MeasureShellCommand(name="first", command=["echo", "1"]))
f.addStep(steps.ShellCommand(name="wait", command=["sh", "-c", "until [ -e {flag} ]; do sleep 0.05; done"]))
f.addStep(steps.MeasureShellCommand(name="second", command=["echo", "2"]))
b = add(util.MeasuredBuilderConfig(name="b", workernames=["worker"], factory=f))
b.trackStepTimes("wait", series="{series}")
c["services"] = [util.SQLiteInstance(trackBuildTimes=True)]
"""


def test_reconfig_while_a_build_runs(tmp_path: Path) -> None:
    """A running build keeps its tracking, with each value captured once, also after an invalid configuration."""
    flag = tmp_path / "flag"
    old = BASE_CONFIG + RECONFIG.format(flag=flag, series="old_name")
    with Site(tmp_path, old) as site:
        request = site.force("b")
        site.wait_for(lambda: (build := site.build_of(request)) and "wait" in site.steps(build), "the step", 300)
        site.write_config(BASE_CONFIG + RECONFIG.format(flag=flag, series="new_name"))
        site.reconfig()
        site.write_config("this is no configuration")
        site.reconfig()
        site.write_config(BASE_CONFIG + RECONFIG.format(flag=flag, series="new_name"))
        site.reconfig()
        flag.touch()
        assert site.wait_for_build(request)["results"] == 0
        assert site.build("b")["results"] == 0
        expected = {"build_duration": 2, "first": 2, "second": 2, "old_name": 1, "new_name": 1}
        site.wait_for(lambda: {name: count(site, name) for name in expected} == expected, "the values", 300)


RUNNING = """
from buildbot.process.buildstep import BuildStep
from twisted.internet import defer

from bbmeasure import captureData


class Total(BuildStep):
    @defer.inlineCallbacks
    def run(self):
        yield captureData("total", 5, build=self, accumulate=True)
        yield captureData("change", self.build.number * 10, build=self, diff=True)
        return 0


f = util.BuildFactory([Total(name="total")])
add(util.BuilderConfig(name="b", workernames=["worker"], factory=f))
c["services"] = [util.SQLiteInstance()]
"""


def test_totals_go_on_after_a_kill(tmp_path: Path) -> None:
    """After kill -9 the journal is complete, and running totals and differences continue."""
    with Site(tmp_path, BASE_CONFIG + RUNNING) as site:
        site.build("b")
        site.build("b")
        assert site.master is not None
        site.master.kill()
        site.start_master()
        site.wait_for(lambda: any(w["connected_to"] for w in site.get("workers")["workers"]), "the worker", 300)
        site.build("b")
        assert rows(site.journal, "PRAGMA integrity_check") == [("ok",)]
        stored = points_of(site.journal)
        assert [point.value for point in stored if point.series == "total"] == [5, 10, 15]
        assert [point.value for point in stored if point.series == "change"] == [10, 10]


OPTED_OUT = """
f = util.BuildFactory([steps.MeasureShellCommand(name="m", command=["echo", "1"])])
b = add(util.MeasuredBuilderConfig(name="b", workernames=["worker"], factory=f, trackAll=True))
"""


def test_opted_out_master_writes_nothing(tmp_path: Path) -> None:
    """Without an instance there is no journal and no further connection; the summary shows the value."""
    with Site(tmp_path, BASE_CONFIG + OPTED_OUT) as site:
        assert site.master is not None
        files = {path.name for path in site.master_dir.iterdir()}
        build = site.build("b")
        assert site.steps(build)["m"]["state_string"] == "m: 1"
        again = site.steps(site.build("b"))["m"]["state_string"]
        assert again == "m: 1 (+0 %)"  # from memory
        added = {path.name for path in site.master_dir.iterdir()} - files
        # Buildbot's, while it has a connection to its database
        assert added <= {"state.sqlite-journal", "state.sqlite-wal", "state.sqlite-shm"}
        process = psutil.Process(site.master.popen.pid)
        assert not any("bbmeasure" in Path(file.path).name for file in process.open_files())
        ours = set(site.ports.values())
        connections = [one for one in process.net_connections("inet") if one.status != "TIME_WAIT"]
        assert connections
        assert all(one.laddr.port in ours for one in connections), connections


def test_a_stopping_master_closes_its_journal(tmp_path: Path) -> None:
    """A master with a journal exits on SIGTERM; the journal contains the last build."""
    with Site(
        tmp_path, BASE_CONFIG + OPTED_OUT + 'c["services"] = [util.SQLiteInstance(trackBuildTimes=True)]'
    ) as site:
        site.build("b")
        assert site.master is not None
        os.kill(site.master.popen.pid, signal.SIGTERM)
        assert site.master.popen.wait(300) == 0
        assert report(site.journal, "build_duration")["statistics"]["count"] == 1


def test_demo_stops_by_itself_and_on_interrupt(tmp_path: Path) -> None:
    """``bbmeasure demo`` prints its table, and ends all its processes when interrupted."""
    repository = Path(__file__).parents[2]
    command = [sys.executable, "-m", "bbmeasure", "demo", "--builds", "1", "--repository", str(repository)]
    done = subprocess.run([*command, "--once"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "wheel_size" in done.stdout
    assert "deviation" in done.stdout
    folder = tmp_path / "demo"
    process = subprocess.Popen([*command, "--dir", str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("[1/1]"):
            break
    process.send_signal(2)
    process.communicate(timeout=300)
    assert process.returncode == 130
    wait_until("the end of all processes", lambda: not any(map(partial(_runs_in, folder), os.listdir("/proc"))))


def _runs_in(folder: Path, pid: str) -> bool:
    """Whether a process has that folder, or one in it, as its working directory."""
    try:
        return str(folder) in os.readlink(f"/proc/{pid}/cwd")
    except OSError:  # no process, or one that has ended
        return False
