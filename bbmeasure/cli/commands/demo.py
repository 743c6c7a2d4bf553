"""Measure this project's own last commits on a real master."""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Optional

from influxdb import InfluxDBClient

from bbmeasure import statistics
from bbmeasure.cli import output
from bbmeasure.cli.influxdb_client import connect
from bbmeasure.errors import MeasureError, QueryError
from bbmeasure.model import Query, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.reports import serialize
from bbmeasure.storage.influxdb.influxql import identifier
from bbmeasure.storage.influxdb.server import Server
from bbmeasure.storage.sqlite.journal import JournalReader
from bbmeasure.testing.influxd import Influxd
from bbmeasure.testing.site import Site

BUILDER = "bbmeasure"
#: Statistics in the overview.
STATISTICS = ("last", "average", "deviation", "minimum", "maximum")
#: Seconds that one build may take.
BUILD_TIMEOUT = 300.0

#: The demo's master.cfg, after the assignments that :func:`make_config` and the site prepend.
CONFIG = r"""
from buildbot.plugins import schedulers, steps, util, worker

c = BuildmasterConfig = {}
c["workers"] = [worker.Worker("worker", "demo", max_builds=1)]
c["protocols"] = {"pb": {"port": f"tcp:{PB_PORT}:interface=127.0.0.1"}}
c["title"] = "bbmeasure demo"
c["titleURL"] = c["buildbotURL"] = f"http://127.0.0.1:{WWW_PORT}/"
c["www"] = {"port": f"tcp:{WWW_PORT}:interface=127.0.0.1", "plugins": {"bbmeasure": {}} if PAGE else {}}
c["buildbotNetUsageData"] = None

f = util.BuildFactory()
f.addStep(steps.Git(name="fetch", repourl=REPOSITORY, mode="full", method="fresh", alwaysUseLatest=False))
f.addStep(steps.ShellCommand(
    name="wheel", haltOnFailure=True, logEnviron=False, env={"BBMEASURE_PAGE": "skip"},
    command=[PYTHON, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "dist", "."],
))
f.addStep(steps.SizeOf(name="wheel_size", path="dist/*.whl", python=PYTHON, logEnviron=False))
f.addStep(steps.MeasureShellCommand(
    name="collection", command=[PYTHON, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests/unit"],
    pattern=r"(?P<tests_collected>\d+) tests? collected(?:.*) in (?P<collection_time>[\d.]+ ?s)",
    resources=True, python=PYTHON, better="lower",
    decodeRC={0: 0, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1}, warnOnWarnings=False, logEnviron=False,
))
f.addStep(steps.SLOCCount(
    name="lines", path=["bbmeasure", "steps", "scripts"], tool="builtin", python=PYTHON, logEnviron=False,
))
f.addStep(steps.LintMetrics(
    name="issues", tool="ruff", logEnviron=False,
    command=[PYTHON, "-m", "ruff", "check", "--no-cache", "--output-format=json", "bbmeasure", "steps", "scripts"],
))
f.addStep(steps.TimedPythonFunction(
    name="reading_a_unit", function="bbmeasure.units:parse", args=["12.5 ms"], calls=True, python=PYTHON,
    logEnviron=False,
))

b = util.MeasuredBuilderConfig(name=BUILDER, workernames=["worker"], factory=f)
b.trackStepTimes("fetch")
b.trackStepTimes("wheel", series="wheel_build_time")
c["builders"] = [b]
c["schedulers"] = [schedulers.ForceScheduler("force-" + BUILDER, builderNames=[BUILDER])]
c["services"] = [util.SQLiteInstance(trackBuildTimes=True)]
if INFLUXDB:
    c["services"].append(util.InfluxDBInstance(url=INFLUXDB, database="bbmeasure", trackBuildTimes=True))
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure demo``."""
    parser.add_argument("--once", action="store_true", help="stop when the builds are done")
    parser.add_argument("--influx", action="store_true", help="ship to an influxd of the demo's own too, and read that")
    parser.add_argument("--builds", metavar="N", type=int, default=4, help="how many commits (default: 4)")
    parser.add_argument("--repository", metavar="DIR", type=Path, default=Path(), help="a git checkout of bbmeasure")
    parser.add_argument("--dir", metavar="DIR", type=Path, help="keep the master's folder (default: a temporary one)")


def run(options: argparse.Namespace) -> int:
    """Run the demo; Ctrl-C stops it and every process that it started."""
    if not 1 <= options.builds <= 50:
        raise QueryError(f"--builds {options.builds}: expected 1 to 50")
    commits = last_commits(options.repository, options.builds)
    with _sigterm_interrupts(), _folder(options.dir) as folder, contextlib.ExitStack() as stack:
        try:
            influxd = stack.enter_context(Influxd(folder / "influxdb")) if options.influx else None
            url = influxd.url if influxd is not None else None
            print_progress(f"starting a master and a worker in {folder}")
            config = make_config(Path(options.repository).resolve(), url)
            return _run_builds(Site(folder, config), commits, url, once=options.once)
        except KeyboardInterrupt:
            print_progress("\nstopped; nothing is left running")
            return 130


def print_progress(text: str) -> None:
    """Print a line of progress."""
    print(text, flush=True)


def make_config(repository: Path, influxdb: Optional[str] = None) -> str:
    """The demo's master.cfg; ``influxdb`` is the URL of a server to ship to."""
    values = {
        "PYTHON": sys.executable,
        "REPOSITORY": str(repository),
        "BUILDER": BUILDER,
        "PAGE": _has_page(),
        "INFLUXDB": influxdb,
    }
    return "".join(f"{name} = {value!r}\n" for name, value in values.items()) + CONFIG


def _has_page() -> bool:
    from importlib.metadata import entry_points

    found: Any = entry_points()
    group = found.select(group="buildbot.www") if hasattr(found, "select") else found.get("buildbot.www", ())
    return any(point.name == "bbmeasure" for point in group)


def last_commits(repository: Path, count: int) -> list[tuple[str, str]]:
    """Hash and subject of the last commits, oldest first; MeasureError without a checkout."""
    command = ["git", "-C", str(repository), "log", "--no-merges", f"-{count}", "--format=%H %s"]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MeasureError(f"git: {error}") from None
    lines = [line.partition(" ") for line in process.stdout.splitlines()]
    if process.returncode or not lines:
        raise MeasureError(f"--repository {repository}: expected a git checkout with commits: {process.stderr.strip()}")
    return [(commit, subject) for commit, _, subject in reversed(lines)]


@contextlib.contextmanager
def _folder(path: Optional[Path]) -> Iterator[Path]:
    """The folder of master and worker; a temporary one if ``path`` is None."""
    if path is not None:
        path.mkdir(parents=True, exist_ok=True)
        yield path.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="bbmeasure-demo-") as temporary:
        yield Path(temporary)


@contextlib.contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Make SIGTERM raise KeyboardInterrupt, so that it stops the started processes as Ctrl-C does."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run_builds(site: Site, commits: list[tuple[str, str]], influxdb: Optional[str], *, once: bool) -> int:
    failed = 0
    with site:
        print_progress(f"the master's page: {site.url}")
        for number, (commit, subject) in enumerate(commits, start=1):
            print_progress(f"[{number}/{len(commits)}] {commit[:8]} {output.clean(subject)}")
            failed += not _build(site, commit)
        with JournalReader(site.journal) as reader:
            rows = [_journal_row(reader, info) for info in overview_series(reader)]
            print(f"\n{output.table(output.OVERVIEW, rows)}\n", flush=True)
            if influxdb is not None:
                _print_influxdb(site, influxdb, reader)
        if once:
            return 1 if failed else 0
        print_progress(f"the charts: {site.url}#/measurements" if _has_page() else f"the master's page: {site.url}")
        print_progress(f"read more: bbmeasure report wheel_size --master {site.master_dir}")
        print_progress("Ctrl-C stops the master and the worker")
        while site.master is not None and site.master.running:
            time.sleep(0.5)
        raise MeasureError("the master ended by itself")


def _build(site: Site, commit: str) -> bool:
    """Run one build and print its steps as they end; whether it succeeded."""
    request = site.force(BUILDER, revision=commit, reason="demo")
    printed: set[str] = set()

    def finished() -> Any:
        build = site.build_of(request)
        if build is None:
            return None
        for name, step in site.steps(build).items():
            if step["complete"] and name not in printed and step["number"] > 0:
                printed.add(name)
                print_progress(f"      {name:<14} {output.clean(step['state_string'], 90)}")
        return build if build["complete"] else None

    build = site.wait_for(finished, f"the build of {commit[:8]}", BUILD_TIMEOUT)
    with contextlib.suppress(MeasureError):  # the overview then lacks the durations of this build
        site.wait_for(lambda: _has_duration(site.journal, build["buildid"]), "its durations", 5.0)
    good = build["results"] in (0, 1)
    print_progress(f"      build {build['number']:<8} {output.clean(build['state_string'], 90)}")
    return good


def _has_duration(journal: Path, buildid: int) -> bool:
    """Whether the journal has the build's duration, which is captured last."""
    if not journal.exists():
        return False
    with JournalReader(journal) as reader:
        return any(point.series == "build_duration" for point in reader.records(buildid))


def overview_series(reader: JournalReader) -> list[SeriesInfo]:
    """The series of numbers, without those of parts (by language, by category)."""
    return [info for info in reader.series() if info.kind is not Kind.TEXT and "_by_" not in info.name]


def _print_influxdb(site: Site, url: str, reader: JournalReader) -> None:
    """Print the overview as InfluxDB's own aggregates answer it."""
    client = connect(Server(url, "bbmeasure"))
    try:
        expected = {info.name: info.count for info in overview_series(reader)}
        site.wait_for(lambda: _counts(client, expected) == expected, "the points in InfluxDB", 30.0)
        rows = [_influxdb_row(client, info) for info in overview_series(reader)]
    finally:
        client.close()
    print(f"the same from InfluxDB at {url}:\n\n{output.table(output.OVERVIEW, rows)}\n", flush=True)


def _counts(client: InfluxDBClient, names: Iterable[str]) -> dict[str, int]:
    return {name: next(iter(_select(client, "count(value)", name)), {"count": 0})["count"] for name in names}


def _select(client: InfluxDBClient, columns: str, series: str, rest: str = "") -> list[dict[str, Any]]:
    return list(client.query(f"SELECT {columns} FROM {identifier(series)} {rest}").get_points())  # noqa: S608 (quoted)


def _influxdb_row(client: InfluxDBClient, info: SeriesInfo) -> list[str]:
    calls = "mean(value) AS average, stddev(value) AS deviation, min(value) AS minimum, max(value) AS maximum"
    (values,) = _select(client, calls, info.name)
    newest = _select(client, "value", info.name, "ORDER BY time DESC LIMIT 2")
    change = serialize.change_of(newest[0]["value"], newest[1]["value"]) if len(newest) > 1 else None
    return output.overview_row(info.name, info.unit, info.kind.value, {**values, "last": newest[0]["value"]}, change)


def _journal_row(reader: JournalReader, info: SeriesInfo) -> list[str]:
    query = Query(info.name)
    values = reader.summarize(query, statistics.find_all(STATISTICS))
    newest = reader.last(query)
    before = reader.last(query, newest.build.buildid) if newest is not None and newest.build is not None else None
    change = serialize.change_of(newest.value, before.value) if newest is not None and before is not None else None
    return output.overview_row(info.name, info.unit, info.kind.value, values, change)
