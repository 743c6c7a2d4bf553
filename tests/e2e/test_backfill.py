"""bbmeasure backfill from SQLite: repeated runs, live points, interrupted runs."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bbmeasure import patterns
from bbmeasure.master.backfill import command
from bbmeasure.model import Point, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.testing.site import Site
from tests.buildbots import python_with_buildbot
from tests.e2e.masters import BASE_CONFIG, points_of, report, rows, run_command, series_names, wait_for_points

CONFIG = """
f = util.BuildFactory()
f.addStep(steps.ShellCommand(name="work", command=["sh", "-c", "echo 'took 12.5 ms'; echo '%s1!'; sleep 0.1"]))
f.addStep(steps.SetProperty(property="warnings-count", value=7))
f.addStep(steps.SetProperty(property="note", value="no number"))
add(util.MeasuredBuilderConfig(name="b", workernames=["worker"], factory=f, measureTags={"of": "demo"}))
""" % ("a" * 60)
#: The number of points of each series of a build that is captured when it ends.
LIVE_POINTS = {"build_duration": 1, "queue_duration": 1, "step_duration": 3}
LIVE = 'c["services"] = [util.SQLiteInstance(trackBuildTimes=True, trackStepTimes=True)]\n'


def everything(journal: Path, after: Any = None) -> list[tuple[Any, ...]]:
    """All points of a journal; ``after`` is a command that must have succeeded."""
    assert after is None or after.returncode == 0, after.stderr
    return sorted(
        (each.series, each.builder, each.worker, str(sorted(each.tags.items())), each.time, each.value, each.build)
        for each in points_of(journal)
    )


@pytest.mark.parametrize("pattern", ["(", "no group", "(a)(b)"])
def test_invalid_pattern(tmp_path: Path, pattern: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, before anything is read."""
    assert command.main(["--master", str(tmp_path), "--pattern", pattern]) == 2
    assert f"--pattern: pattern {pattern!r}: " in capsys.readouterr().err


def test_repeated_run_and_live_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Backfill adds missing points, does not replace live points, and a second run adds nothing."""
    with Site(tmp_path, BASE_CONFIG + CONFIG) as site:
        assert site.build("b")["results"] == 0  # opted out: nobody captures it
        site.write_config(BASE_CONFIG + CONFIG + LIVE)
        site.reconfig()
        assert site.build("b")["results"] == 0
        wait_for_points(site, LIVE_POINTS)
        live = {row[:5]: row for row in everything(site.journal)}
        arguments = ["backfill", "--master", str(site.master_dir), "--pattern", r"took (?P<took>[\d.]+ ms)"]
        done = run_command(*arguments)
        assert done.returncode == 0, done.stderr
        assert "2 builds read" in done.stdout
        after = everything(site.journal)
        assert all(live[row[:5]] == row for row in after if row[:5] in live)
        assert len({row[:5] for row in after}) == len(after)
        for series, count in (("build_duration", 2), ("queue_duration", 2), ("warnings-count", 2), ("took", 2)):
            assert report(site.journal, series, "--tag", "of=demo")["count"] == count, series
        assert report(site.journal, "took")["statistics"]["average"] == 0.0125
        assert report(site.journal, "step_duration", "--tag", "step=work")["count"] == 2
        assert "note" not in series_names(site.journal)
        again = run_command(*arguments, "--again")
        assert "0 points written" in again.stdout
        assert everything(site.journal) == after
        assert "0 builds read" in run_command(*arguments).stdout
        monkeypatch.setattr(patterns, "TIME_LIMIT", 0.05)
        assert command.main(["--master", str(site.master_dir), "--pattern", r"(?:a|a)+(?P<n>\d)$"]) == 0
        printed = capsys.readouterr().out
        assert "the pattern took too long for 2 logs, such as: build 2, step 'work': pattern " in printed
        assert "took longer than 0.05 s at line 2" in printed
        assert site.build("b")["results"] == 0
        assert run_command("backfill", "--master", str(site.master_dir), "--builder", "nobody").returncode == 1
        assert run_command("backfill", "--master", str(site.master_dir), "--since", "yesterday").returncode == 2


def test_changed_tags(tmp_path: Path) -> None:
    """A build that was captured with other tags is not captured again with the tags of master.cfg."""
    config = BASE_CONFIG + CONFIG + 'b = c["builders"][-1]\n'
    track = 'b.trackStepTimes("work", series="work_time", tags={"of": "live"})\n'
    with Site(tmp_path, config + track + LIVE) as site:
        site.build("b")
        wait_for_points(site, {**LIVE_POINTS, "work_time": 1})
        before = everything(site.journal)
        changed = config.replace("demo", "other") + track.replace("live", "later") + track.replace("live", "second")
        site.write_config(changed + LIVE)
        command = ["backfill", "--master", str(site.master_dir), "--again"]
        added = [row for row in everything(site.journal, after=run_command(*command)) if row not in before]
        assert sorted(row[0] for row in added) == ["warnings-count", "work_time"]  # of which one alone was there
        whole = everything(site.journal)
        assert everything(site.journal, after=run_command(*command)) == whole


def test_missing_database(tmp_path: Path) -> None:
    """A folder without a database is an error, and no file is created in it."""
    done = run_command("backfill", "--master", str(tmp_path))
    assert (done.returncode, f"no file {tmp_path}/state.sqlite" in done.stderr) == (1, True)
    assert not list(tmp_path.iterdir())


def test_secret_url(tmp_path: Path) -> None:
    """A database whose URL is a secret requires --db."""
    secret = 'c["db"] = {"db_url": util.Interpolate("postgresql://b:%(secret:password)s@h/b")}\n'
    (tmp_path / "master.cfg").write_text(MASTER_CFG + secret)
    done = run_command("backfill", "--master", str(tmp_path))
    assert (done.returncode, "give --db URL" in done.stderr) == (2, True)


#: Run by the Python that has the Buildbot in question: makes a master's database by Buildbot's own commands and models.
#: Arguments: the master's folder, how many builds, unix seconds now, and a URL where it is not SQLite's.
FILL = """
import bz2
import json
import random
import sys
import zlib

import sqlalchemy as sa
from buildbot.db.model import Model
from buildbot.scripts import runner

folder, count, now = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
url = sys.argv[4] if len(sys.argv) > 4 else f"sqlite:///{folder}/state.sqlite"
sys.argv = ["buildbot", "create-master", "-q", f"--db={url}", folder]
try:
    runner.run()
except SystemExit as end:
    assert not end.code, end.code

chance = random.Random(1)
tables = Model.metadata.tables
rows = {name: [] for name in
        ("buildsets", "patches", "sourcestamps", "buildset_sourcestamps", "changes", "change_properties",
         "buildrequests", "builds", "steps", "build_properties", "logs", "logchunks")}


def source(buildid, branch, properties=None, patch=None, **change):
    # a source stamp of a build, with a change where it has properties
    rows["sourcestamps"].append({"id": buildid, "branch": branch, "codebase": "", "repository": "", "project": "",
                                 "revision": None, "created_at": now, "ss_hash": str(buildid), "patchid": patch})
    rows["buildset_sourcestamps"].append({"buildsetid": buildid, "sourcestampid": buildid})
    if properties is not None:
        rows["changes"].append({"changeid": buildid, "author": "a", "comments": "", "branch": branch, "revlink": None,
                                "category": None, "when_timestamp": now, "repository": "", "project": "",
                                "codebase": "", "sourcestampid": buildid, **change})
        for name, value in properties.items():
            rows["change_properties"].append({"changeid": buildid, "property_name": name,
                                              "property_value": json.dumps([value, "Change"])})


rows["patches"].append({"id": 1, "patchlevel": 1, "patch_base64": "", "patch_author": "a", "patch_comment": "",
                        "subdir": None})
source(1, "release/1", {})
source(2, "refs/pull/7/merge", {"basename": "main"}, category="pull")
source(3, "next", {"source_branch": "main", "target_branch": "next"}, category="merge_request",
       revlink="https://gitlab.example/o/p/-/merge_requests/8")
source(5, None, None, patch=1)
source(7, "refs/changes/34/1234/2")
source(8, "x" * 200, {"note": "no target"})
for buildid in range(1, count + 1):
    submitted = now - (count - buildid) * 60
    started = submitted + chance.randrange(0, 30)
    complete = started + chance.randrange(1, 500)
    results = [0, 1, 2, 4, 5, 6][buildid % 6]
    if buildid % 97 == 0:
        complete = None
    rows["buildsets"].append({"id": buildid, "submitted_at": submitted, "complete": 1, "reason": "", "results": 0})
    rows["buildrequests"].append({"id": buildid, "buildsetid": buildid, "builderid": 1 + buildid % 4, "priority": 0,
                                  "complete": 1, "submitted_at": submitted, "waited_for": 0, "results": results})
    rows["builds"].append({"id": buildid, "number": buildid, "builderid": 1 + buildid % 4, "buildrequestid": buildid,
                           "workerid": 1, "masterid": 1, "started_at": started,
                           "complete_at": complete, "state_string": "", "results": results})
    if "locks_duration_s" in tables["builds"].c:
        rows["builds"][-1]["locks_duration_s"] = buildid % 5
    for number in range(3):
        rows["steps"].append({"id": buildid * 3 + number, "number": number, "buildid": buildid,
                              "name": ["compile", "test", "renamed" if buildid % 2 else "named"][number],
                              "started_at": started + number, "complete_at": complete,
                              "state_string": "", "urls_json": "[]", "results": 3 if number == 2 else 0, "hidden": 0})
    value = "\\"text\\"" if buildid % 10 == 0 else str(buildid % 7)
    if buildid % 50 == 0:
        for number in range(40):
            said = f"hcommand\\noline {number} of Z\\u00fcrich \\U0001f600 \\0\\no" + "." * 1000 + "\\n"
            if number == 39:
                said += f"otook {buildid} ms"
            content = said.rstrip("\\n").encode()
            kind = number % 3
            content = [content, zlib.compress(content), bz2.compress(content)][kind]
            rows["logchunks"].append({"logid": buildid, "first_line": number * 3, "last_line": number * 3 + 2,
                                      "content": content, "compressed": kind})
        rows["logs"].append({"id": buildid, "name": "stdio", "slug": "stdio", "stepid": buildid * 3, "complete": 1,
                             "num_lines": 120, "type": "s"})
    rows["build_properties"].append({"buildid": buildid, "name": "warnings-count", "value": value, "source": "x"})
    rows["build_properties"].append({"buildid": buildid, "name": "pylint-huge", "value": "9" * 5000, "source": "x"})

engine = sa.create_engine(url.split("?")[0])
with engine.begin() as connection:
    connection.execute(tables["masters"].insert(), [
        {"id": 1, "name": "host:/master", "name_hash": "m", "active": 0, "last_active": 0}])
    connection.execute(tables["builders"].insert(), [
        {"id": number, "name": name, "name_hash": str(number)}
        for number, name in enumerate(["a", "b 'quoted\\"", "removed", "A"], 1)])
    connection.execute(tables["workers"].insert(), [{"id": 1, "name": "w", "info": "{}", "paused": 0, "graceful": 0}])
    for name, content in rows.items():
        connection.execute(tables[name].insert(), content)
"""

MASTER_CFG = """
from buildbot.plugins import schedulers, util, worker
c = BuildmasterConfig = {"workers": [worker.Worker("w", "x")], "protocols": {"pb": {"port": 0}},
    "schedulers": [schedulers.ForceScheduler("force", builderNames=["a"])], "buildbotNetUsageData": None,
    "builders": [util.BuilderConfig(name="a", workernames=["w"], factory=util.BuildFactory())]}
"""


def test_impossible_time(tmp_path: Path) -> None:
    """A build with an impossible time is refused and counted; the other builds are captured."""
    folder, script = tmp_path / "master", tmp_path / "fill.py"
    script.write_text(FILL)
    subprocess.run([sys.executable, str(script), str(folder), "60", str(int(time.time()))], check=True, timeout=300)
    (folder / "master.cfg").write_text(MASTER_CFG)
    with contextlib.closing(sqlite3.connect(folder / "state.sqlite")) as connection, connection:
        connection.execute("UPDATE builds SET complete_at = 10000000000000 WHERE id = 5")
        connection.execute("UPDATE steps SET locks_acquired_at = started_at WHERE buildid = 8 AND name = 'compile'")
    done = run_command("backfill", "--master", str(folder))
    assert done.returncode == 0, done.stderr
    assert "60 builds read" in done.stdout
    assert done.stdout.count("values refused, such as:\n  build 5: time '1000") == 1
    assert report(folder / "bbmeasure.sqlite", "build_duration", "--proposals")["count"] == 59
    durations = [point for point in points_of(folder / "bbmeasure.sqlite") if point.series == "step_duration"]
    steps = sorted((point.build.build, point.tags["step"]) for point in durations if point.build)
    steps = [(number, step) for number, step in steps if number in (8, 9)]
    assert steps == [(8, "compile"), (9, "compile"), (9, "test")]  # one that never had its locks did no work


#: Builds in the databases, several chunks, and those of them that have ended.
BUILDS = 1_000
COMPLETE = BUILDS - BUILDS // 97


@pytest.fixture(scope="module", params=["3.7.0", "4.3.0"])
def past(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A master's folder with builds of a release of Buildbot, back-filled."""
    folder = tmp_path_factory.mktemp("past") / "master"
    script = folder.parent / "fill.py"
    script.write_text(FILL)
    python = python_with_buildbot(request.param)
    command = [python, str(script), str(folder), str(BUILDS), str(int(time.time()))]
    filled = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert filled.returncode == 0, filled.stdout + filled.stderr
    (folder / "master.cfg").write_text(MASTER_CFG)
    done = run_command("backfill", "--master", str(folder), "--since", "365d")
    assert done.returncode == 0, done.stderr
    assert f"{COMPLETE} builds read" in done.stdout
    return folder


def seconds(past: Path, statement: str) -> list[float]:
    """The numbers of a query of the master's database."""
    return [float(row[0]) for row in rows(past / "state.sqlite", statement)]


def test_report_equals_plain_sql(past: Path) -> None:
    """Average and deviation of the build duration are those of the database."""
    expected = seconds(past, "SELECT complete_at - started_at FROM builds WHERE complete_at IS NOT NULL")
    answer = report(past / "bbmeasure.sqlite", "build_duration", "--proposals", "--since", "365d")
    assert answer["count"] == len(expected) == COMPLETE
    assert answer["statistics"]["average"] == pytest.approx(statistics.mean(expected))
    assert answer["statistics"]["deviation"] == pytest.approx(statistics.stdev(expected))
    failed = seconds(past, "SELECT complete_at - started_at FROM builds WHERE complete_at IS NOT NULL AND results = 2")
    assert report(past / "bbmeasure.sqlite", "build_duration", "--proposals", "--tag", "result=failure")[
        "count"
    ] == len(failed)


def test_branches_of_past_builds(past: Path) -> None:
    """Branch and proposal are those of the source stamps and changes; a build without them is of the default branch."""
    builds = {
        point.build.build: (point.build.branch, point.build.proposal)
        for point in points_of(past / "bbmeasure.sqlite")
        if point.build is not None and point.build.build < 10
    }
    assert builds == {
        1: ("release/1", ""),
        2: ("main", "refs/pull/7"),
        3: ("next", "gitlab!8"),
        4: ("main", ""),
        5: ("main", "try"),
        6: ("main", ""),
        7: (None, "gerrit/1234"),
        8: ("x" * 200, ""),
        9: ("main", ""),
    }
    journal = past / "bbmeasure.sqlite"
    assert report(journal, "build_duration", "--branch", "next", "--proposals")["count"] == 1
    assert report(journal, "build_duration", "--branch", "next")["count"] == 0


def test_branches_are_read_again(past: Path) -> None:
    """A point that the journal has for another branch moves to that of Buildbot's changes, with its value."""
    journal = past.parent / "again.sqlite"
    known = [point for point in points_of(past / "bbmeasure.sqlite") if point.build and point.build.build in (2, 4)]
    wrong = [replace(one, value=5.0, build=replace(one.build, branch="old", proposal="")) for one in known if one.build]
    with Journal(journal) as writing:
        for point in wrong:
            kind = Kind.DURATION if point.series.endswith("duration") else Kind.COUNT
            unit = "s" if kind is Kind.DURATION else "1"
            writing.declare(SeriesInfo(point.series, kind, unit, builders=(point.builder or "",)))
        writing.write(wrong)
        writing.attach_exporter("influx")
    done = run_command("backfill", "--master", str(past), "--journal", str(journal))
    assert f"{len(wrong)} points known already have another branch, proposal or machine class now" in done.stdout
    assert "sent to influx again" in done.stderr
    after = [point for point in points_of(journal) if point.build and point.build.build in (2, 4)]
    assert {point.value for point in after} == {5.0}
    assert sorted(after, key=_identity) == sorted((replace(one, value=5.0) for one in known), key=_identity)
    again = run_command("backfill", "--master", str(past), "--journal", str(journal), "--again")
    assert "0 points written" in again.stdout
    assert "another branch" not in again.stdout


def _identity(point: Point) -> tuple[Any, ...]:
    return point.series, point.builder, sorted(point.tags.items()), point.time


def test_queue_steps_and_properties(past: Path) -> None:
    """Queue and step durations and numeric properties are captured; skipped steps and texts are not."""
    journal = past / "bbmeasure.sqlite"
    queued = seconds(
        past,
        """SELECT started_at - buildrequests.submitted_at FROM builds
        JOIN buildrequests ON buildrequests.id = buildrequestid WHERE builds.complete_at IS NOT NULL""",
    )
    assert report(journal, "queue_duration", "--proposals")["statistics"]["average"] == pytest.approx(
        statistics.mean(queued)
    )
    compiled = seconds(
        past, "SELECT complete_at - started_at FROM steps WHERE name = 'compile' AND complete_at IS NOT NULL"
    )
    answer = report(journal, "step_duration", "--proposals", "--tag", "step=compile")
    assert answer["statistics"]["average"] == pytest.approx(statistics.mean(compiled))
    assert run_command("report", "step_duration", "--tag", "step=renamed", "--journal", str(journal)).returncode == 1
    assert report(journal, "warnings-count")["statistics"]["maximum"] == 6
    assert report(journal, "build_duration", "--proposals", "--builder", "b 'quoted\"")["count"] > BUILDS / 5


#: A backfill that is killed when its second chunk is written.
KILLED = """
import os
import signal
import sys

from bbmeasure.master.backfill import command
from bbmeasure.storage.sqlite.journal import Journal

write, chunks = Journal.write, []


def write_and_die(journal, *arguments):
    write(journal, *arguments)
    chunks.append(arguments)
    if len(chunks) == 2:
        os.kill(os.getpid(), signal.SIGKILL)


Journal.write = write_and_die
sys.exit(command.main(sys.argv[1:]))
"""


def test_interrupted_run(past: Path) -> None:
    """A run that is killed continues where it stopped, with the same result."""
    whole = everything(past / "bbmeasure.sqlite")
    other = past.parent / "other.sqlite"
    arguments = ["--master", str(past), "--journal", str(other)]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    assert 0 < len(everything(other)) < len(whole)
    done = run_command("backfill", *arguments)
    assert done.returncode == 0, done.stderr
    assert f"{COMPLETE} builds read" not in done.stdout
    assert everything(other) == whole
