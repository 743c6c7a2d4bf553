"""``bbmeasure demo``: a real master and a real worker measure this project's own last commits, each build for real."""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

from bbmeasure import tables
from bbmeasure.errors import MeasureError, QueryError
from bbmeasure.site import Site
from bbmeasure.storage import statistics
from bbmeasure.storage.base import Query, SeriesInfo
from bbmeasure.storage.journal import JournalReader, open_reader

BUILDER = "bbmeasure"
#: Seconds that one build of the demo may take.
BUILD_PATIENCE = 300.0

CONFIG = """
import sys

from buildbot.plugins import schedulers, steps, util, worker

c = BuildmasterConfig = {{}}
c["workers"] = [worker.Worker("worker", "demo", max_builds=1)]
c["protocols"] = {{"pb": {{"port": f"tcp:{{PB_PORT}}:interface=127.0.0.1"}}}}
c["title"] = "bbmeasure demo"
c["titleURL"] = c["buildbotURL"] = f"http://127.0.0.1:{{WWW_PORT}}/"
c["www"] = {{"port": f"tcp:{{WWW_PORT}}:interface=127.0.0.1", "plugins": {{{plugins}}}}}
c["buildbotNetUsageData"] = None

python = {python!r}
f = util.BuildFactory()
f.addStep(steps.Git(name="fetch", repourl={repository!r}, mode="full", method="fresh", alwaysUseLatest=False))
f.addStep(steps.ShellCommand(
    name="wheel", haltOnFailure=True, logEnviron=False, env={{"BBMEASURE_PAGE": "skip"}},
    command=[python, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "dist", "."],
))
f.addStep(steps.MeasureShellCommand(
    name="wheel_size", command="cat dist/*.whl | wc -c", unit="bytes", better="lower", logEnviron=False,
))
f.addStep(steps.MeasureShellCommand(
    name="collection", command=[python, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests"],
    pattern=r"(?P<tests_collected>\\d+) tests? collected(?:.*) in (?P<collection_time>[\\d.]+ ?s)",
    decodeRC={{0: 0, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1}}, warnOnWarnings=False, logEnviron=False,
))
f.addStep(steps.MeasureShellCommand(
    name="package_size", logEnviron=False,
    command=[python, "-m", "bbmeasure_scripts.size", "--name", "package_size", "bbmeasure", "steps", "scripts"],
))

b = util.MeasuredBuilderConfig(name={builder!r}, workernames=["worker"], factory=f)
b.trackStepTimes("fetch")
b.trackStepTimes("wheel", series="wheel_build_time")
c["builders"] = [b]
c["schedulers"] = [schedulers.ForceScheduler("force-" + {builder!r}, builderNames=[{builder!r}])]
c["services"] = [util.SQLiteInstance(trackBuildTimes=True)]
"""


def main(wanted: argparse.Namespace) -> int:
    """Run the demo; Ctrl-C ends it and leaves nothing running."""
    if not 1 <= wanted.builds <= 50:
        raise QueryError(f"--builds {wanted.builds}: expected 1 to 50")
    commits = last_commits(wanted.repository, wanted.builds)
    with _terminated_as_interrupted(), _folder(wanted.dir) as folder:
        say(f"starting a master and a worker in {folder}")
        repository = Path(wanted.repository).resolve()
        try:
            return _run(Site(folder, make_config(repository)), commits, once=wanted.once)
        except KeyboardInterrupt:
            say("\nstopped; nothing is left running")
            return 130


def say(text: str) -> None:
    """A line of progress."""
    print(text, flush=True)


def make_config(repository: Path) -> str:
    """The demo's master.cfg."""
    plugins = '"bbmeasure": {}' if _has_page() else ""
    return CONFIG.format(python=sys.executable, repository=str(repository), builder=BUILDER, plugins=plugins)


def _has_page() -> bool:
    from importlib.metadata import entry_points

    found: Any = entry_points()
    group = found.select(group="buildbot.www") if hasattr(found, "select") else found.get("buildbot.www", ())
    return any(point.name == "bbmeasure" for point in group)


def last_commits(repository: Path, count: int) -> list[tuple[str, str]]:
    """The last commits, oldest first: hash and subject.  MeasureError where there is no checkout."""
    command = ["git", "-C", str(repository), "log", "--no-merges", f"-{count}", "--format=%H %s"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MeasureError(f"git: {error}") from None
    lines = [line.partition(" ") for line in done.stdout.splitlines()]
    if done.returncode or not lines:
        raise MeasureError(f"--repository {repository}: expected a git checkout with commits: {done.stderr.strip()}")
    return [(commit, subject) for commit, _, subject in reversed(lines)]


@contextlib.contextmanager
def _folder(wanted: Optional[Path]) -> Iterator[Path]:
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="bbmeasure-demo-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does: with everything it started."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(site: Site, commits: list[tuple[str, str]], *, once: bool) -> int:
    failed = 0
    with site:
        say(f"the master's page: {site.url}")
        for number, (commit, subject) in enumerate(commits, start=1):
            say(f"[{number}/{len(commits)}] {commit[:8]} {tables.clean(subject)}")
            failed += not _build(site, commit)
        with open_reader(site.journal) as reader:
            print(f"\n{overview(reader)}\n", flush=True)
        if once:
            return 1 if failed else 0
        say(f"the master's page: {site.url}")
        say(f"read more: bbmeasure report wheel_size --master {site.master_dir}")
        say("Ctrl-C stops the master and the worker")
        while site.master is not None and site.master.running:
            time.sleep(0.5)
        raise MeasureError("the master ended by itself")


def _build(site: Site, commit: str) -> bool:
    """One build, its steps told as they end; whether it went through."""
    request = site.force(BUILDER, revision=commit, reason="demo")
    told: set[str] = set()

    def finished() -> Any:
        build = site.build_of(request)
        if build is None:
            return None
        for name, step in site.steps(build).items():
            if step["complete"] and name not in told and step["number"] > 0:
                told.add(name)
                say(f"      {name:<14} {tables.clean(step['state_string'], 90)}")
        return build if build["complete"] else None

    build = site.wait_for(finished, f"the build of {commit[:8]}", BUILD_PATIENCE)
    with contextlib.suppress(MeasureError):  # the table then lacks this build's durations; the rest is there
        site.wait_for(lambda: _is_kept(site.journal, build["buildid"]), "its durations", 5.0)
    good = build["results"] in (0, 1)
    say(f"      build {build['number']:<8} {tables.clean(build['state_string'], 90)}")
    return good


def _is_kept(journal: Path, buildid: int) -> bool:
    """Whether the build's duration, which is captured last, can be read."""
    if not journal.exists():
        return False
    with open_reader(journal) as reader:
        return any(point.series == "build_duration" for point in reader.records(buildid))


def overview(reader: JournalReader) -> str:
    """The table of all series that are numbers."""
    rows = []
    for info in reader.series():
        if info.kind.value != "text" and not info.name.startswith("_"):
            rows.append(_row(reader, info))
    return tables.table(tables.OVERVIEW, rows)


def _row(reader: JournalReader, info: SeriesInfo) -> list[str]:
    query = Query(info.name)
    names = ("last", "average", "deviation", "minimum", "maximum")
    values = reader.summarize(query, statistics.find_all(names))
    newest = reader.points(query, 2)
    change = None
    if len(newest) == 2 and newest[0].value:
        change = (float(newest[1].value) - float(newest[0].value)) / abs(float(newest[0].value))
    return tables.overview_row(info.name, info.unit, info.kind.value, values, change)
