"""``bbmeasure backfill``: captures past builds from a master's database, at the times of the builds.

A point that the journal has already, from live capture or an earlier run, keeps its value: a live duration is finer
than the database's whole seconds.  Its branch, proposal and machine class become those that Buildbot's changes say.  An
interrupted run continues where it stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, Optional

from bbmeasure import patterns, times
from bbmeasure.capture import builtin_series
from bbmeasure.capture.gates import Gates
from bbmeasure.capture.identity import Value, identity_time, point_of
from bbmeasure.capture.plan import Plan, Switches
from bbmeasure.errors import LimitError, MeasureError, QueryError, StorageError, UnknownSeriesError
from bbmeasure.master import configuration
from bbmeasure.master.backfill.builds import History, PastBuild
from bbmeasure.master.tracking.collector import Collector, FinishedStep, collect_properties, collect_times
from bbmeasure.model import Point, SeriesInfo
from bbmeasure.reports.past import learn_all
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.storage.validation import check_point

#: How many builds are read and written at a time: the journal is locked for a few milliseconds each.
CHUNK = 100
#: Seconds that a build may run: the next run starts before a younger build without an end.
MAX_BUILD_DURATION = 7 * 86_400.0
#: The counters of a run, in the order of --json, which prints those that are zero too.
COUNTERS = ("builds", "points", "known", "rejudged", "refused", "missing_properties", "no_match", "too_slow")


@dataclass(frozen=True)
class Selection:
    """The selection of a run: ``plans`` by builder, ``since`` in unix seconds, ``pattern`` for the log of ``step``."""

    switches: Switches
    plans: dict[str, Plan]
    builder: Optional[str] = None
    since: Optional[float] = None
    pattern: Optional[patterns.Pattern] = None
    step: Optional[str] = None

    @property
    def key(self) -> str:
        """The journal's key of the progress of such a run."""
        tracked = {
            name: [[track.subject, track.overrides.series] for track in (*plan.step_times, *plan.properties)]
            for name, plan in self.plans.items()
        }
        pattern = self.pattern.pattern if self.pattern else None
        identity = [self.builder, pattern, self.step, list(self.switches.properties), tracked]
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
        return json.dumps(["backfill", "", digest])


class Backfill:
    """One run; ``counters`` holds its results."""

    def __init__(self, history: History, journal: Journal, selection: Selection) -> None:
        self.history = history
        self.journal = journal
        self.selection = selection
        self.counters: Counter[str] = Counter(dict.fromkeys(COUNTERS, 0))
        self.refusals: dict[str, str] = {}
        self.too_slow = ""
        self._declared: dict[tuple[str, str], SeriesInfo] = {}
        self._builderid = None if selection.builder is None else history.builders().get(selection.builder)
        if selection.builder is not None and self._builderid is None:
            raise UnknownSeriesError(f"--builder {selection.builder!r}: no such builder in the database")

    def progress(self) -> int:
        """The id of the last build of an earlier run; 0 where that run started at a later time."""
        key, since = self.selection.key, f"{self.selection.key} since"
        known = self.journal.recall([key, since])
        return int(known.get(key, 0)) if known.get(since, 0.0) <= (self.selection.since or 0.0) else 0

    def total(self, after: int) -> int:
        """The number of builds to read."""
        return self.history.count(self._builderid, self.selection.since, after)

    def run(self, after: int) -> Iterator[int]:
        """Capture the builds with ids above ``after``; yields the number of builds done."""
        done = 0
        running = self.history.first_running(time.time() - MAX_BUILD_DURATION)
        for builds in self.history.builds(self._builderid, self.selection.since, after, CHUNK):
            known = self.journal.known_builds(builds[0].buildid, builds[-1].buildid)
            points = [point for build in builds for point in self._points(build, build.buildid in known)]
            key = self.selection.key
            last = min(builds[-1].buildid, running - 1) if running is not None else builds[-1].buildid
            self.journal.write(points, {key: last, f"{key} since": self.selection.since or 0.0})
            done += len(builds)
            yield done
        self.counters["builds"] = done

    def _points(self, build: PastBuild, is_known: bool) -> Iterator[Point]:
        """The points to write: those that the journal does not have, and those whose branch it has otherwise."""
        known = self.journal.records(build.buildid) if is_known else ()
        context = build.finished.context
        for point in known:
            if point.build is not None and point.build.builder == context.builder:
                judged = replace(point.build, branch=context.branch, proposal=context.proposal, machine=context.machine)
                if judged != point.build:
                    self.counters["rejudged"] += 1
                    yield replace(point, build=judged)
        for point in self._new_points(build, known):
            self.counters["points"] += 1
            yield point

    def _new_points(self, build: PastBuild, known: Sequence[Point]) -> Iterator[Point]:
        """The points of a build that are not ``known``."""
        identities = set(map(_identity, known))
        by_step = {(point.series, point.build.step if point.build else None) for point in known}
        values = [(value, point_of(value, value.time)) for value in self._values(build) if value.time is not None]
        missing: Counter[Any] = Counter()
        if known:
            missing.update(_measurement(point) for _, point in values)
            missing.subtract(map(_measurement, known))
        for value, point in values:
            if known and (_identity(point) in identities or missing[_measurement(point)] <= 0):  # perhaps other tags
                self.counters["known"] += 1
            elif self._fits(value, point):
                if known:
                    missing[_measurement(point)] -= 1
                yield point
        for value in self._from_logs(build):
            step = value.context.step if value.context else None
            if (value.record.name, step) in by_step:
                self.counters["known"] += 1
            elif value.time is not None and self._fits(value, point := point_of(value, value.time)):
                yield point

    def _values(self, build: PastBuild) -> Sequence[Value]:
        plan = self.selection.plans.get(build.finished.context.builder, Plan())
        collector = Collector(build.finished, plan.tags)
        collect_times(collector, plan, self.selection.switches)
        for _ in collect_properties(collector, plan, self.selection.switches, build.properties):
            self.counters["missing_properties"] += 1
        for why in collector.refused:
            self._refuse("", why)
        return collector.values

    def _from_logs(self, build: PastBuild) -> Iterator[Value]:
        """The values that the pattern matches in the build's logs."""
        if self.selection.pattern is None:
            return
        for stepid, step in build.stepids.items():
            if self.selection.step not in (None, step.name) or step.result not in ("success",):
                continue
            try:
                records = patterns.parse(self.selection.pattern, self.history.stdout(stepid), step.name)
            except LimitError as error:
                self.counters["too_slow"] += 1
                self.too_slow = f"build {build.buildid}, step {step.name!r}: {error}"
                continue
            except MeasureError:
                self.counters["no_match"] += 1
                continue
            for record in records:
                yield self._of_step(build, step, record)

    def _of_step(self, build: PastBuild, step: FinishedStep, record: Any) -> Value:
        context = replace(build.finished.context, step=step.name)
        plan = self.selection.plans.get(context.builder, Plan())
        record = replace(record, tags={**plan.tags, **record.tags})
        at = identity_time(step.second, build.finished.master, build.buildid, step.number, record.name, record.tags)
        return Value(record, context, at)

    def _fits(self, value: Value, point: Point) -> bool:
        """Whether the journal accepts a point; declares its series at the first point."""
        record = value.record
        try:
            check_point(point)  # the journal would refuse the whole chunk
        except StorageError as error:
            self._refuse(record.name, f"build {value.context.build if value.context else ''}: {error}")
            return False
        key = (record.name, point.builder or "")
        if key not in self._declared:
            builders = (point.builder,) if point.builder else ()
            info = SeriesInfo(record.name, record.kind, record.unit, record.better, builders)
            try:
                self._declared[key] = self.journal.declare(info)
            except MeasureError as error:
                self._refuse(record.name, str(error))
                return False
        held = self._declared[key]
        if record.unit != held.unit or isinstance(record.value, str) != (held.kind.value == "text"):
            self._refuse(record.name, f"{record.name}: got {record.kind.value} in {record.unit}, expected {held.unit}")
            return False
        return True

    def _refuse(self, name: str, why: str) -> None:
        self.counters["refused"] += 1
        if len(self.refusals) < 100:
            self.refusals.setdefault(name, why)


def _identity(point: Point) -> tuple[str, int, tuple[tuple[str, str], ...]]:
    return point.series, point.time, tuple(sorted(point.tags.items()))


def _measurement(point: Point) -> tuple[str, Optional[str], int]:
    """The identity of a point in its build without its tags."""
    return point.series, point.build.step if point.build else None, point.time // times.NANOSECONDS


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; the exit status."""
    as_json = "--json" in arguments
    try:
        return _run(parser().parse_args(arguments))
    except QueryError as error:
        return _fail(error, as_json, 2)
    except MeasureError as error:
        return _fail(error, as_json, 1)
    except KeyboardInterrupt:
        return _fail("interrupted; the same command continues from here", as_json, 130)


def _fail(why: object, as_json: bool, status: int) -> int:
    if as_json:
        print(json.dumps({"message": str(why)}))
    else:
        print(why, file=sys.stderr)
    return status


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Wrong use of the command line."""
        raise QueryError(f"{self.prog}: {message}")


def parser() -> argparse.ArgumentParser:
    """The command line of ``bbmeasure backfill``."""
    commands = _Parser(
        prog="bbmeasure backfill",
        description="Capture past builds from a master's database: durations, results, properties.",
    )
    commands.add_argument("--master", metavar="DIR", type=Path, required=True, help="the master's folder")
    commands.add_argument("--journal", metavar="FILE", type=Path, help="the journal (default: the configured one)")
    commands.add_argument("--db", metavar="URL", help="the database's URL for SQLAlchemy (default: the configured one)")
    commands.add_argument("--since", metavar="TIME", help="builds that started since: ISO 8601, unix seconds, or 365d")
    commands.add_argument("--builder", metavar="NAME", help="only this builder")
    commands.add_argument(
        "--property", metavar="PATTERN", action="append", default=[], help="numeric properties, such as pylint-*"
    )
    commands.add_argument("--pattern", metavar="REGEX", help="numbers in steps' stdout: named groups are series")
    commands.add_argument("--step", metavar="NAME", help="with --pattern: only the log of this step")
    commands.add_argument("--json", action="store_true", help="print the counts as JSON, an error as its message")
    commands.add_argument("--again", action="store_true", help="start from the first build, not after the last run")
    return commands


def _run(options: argparse.Namespace) -> int:
    pattern = _pattern(options.pattern)
    since = times.read(options.since, time.time(), "--since")
    configured = configuration.configured(str(options.master))
    if configured.problems:
        print(f"master.cfg cannot be read, continuing without it: {configured.problems[0]}", file=sys.stderr)
    switches = Switches(True, True, False, (*builtin_series.PROPERTIES, *options.property)) | configured.switches
    seconds = None if since is None else since / times.NANOSECONDS
    selection = Selection(switches, configured.plans, options.builder, seconds, pattern, options.step)
    history = _history(options, configured)
    try:
        with Journal(options.journal or options.master / configured.journal) as journal:
            backfill = Backfill(history, journal, selection)
            after = 0 if options.again else backfill.progress()
            _warn_of_copies(journal)
            _show_progress(backfill, after, backfill.total(after))
            _judge_past(journal, Gates(configured.policy.gates))
            print(json.dumps(dict(backfill.counters)) if options.json else summary(backfill))
    finally:
        history.close()
    return 0


def _judge_past(journal: Journal, gates: Gates) -> None:
    """Begin the baseline of each line that has none at its last change point."""
    shows = sys.stderr.isatty()
    for done, total in learn_all(journal, journal.keep_verdicts, gates, again=True):
        if shows:
            end = "\n" if done >= total else ""
            print(f"\r{done} of {total} lines judged", end=end, file=sys.stderr, flush=True)


def _pattern(expression: Optional[str]) -> Optional[patterns.Pattern]:
    """The compiled expression; QueryError for an invalid one."""
    try:
        return patterns.compile_pattern(expression) if expression else None
    except MeasureError as error:
        raise QueryError(f"--pattern: {error}") from None


def _history(options: argparse.Namespace, configured: configuration.Configured) -> History:
    policy: Any = {"policy": configured.policy.branches, "machine_property": configured.policy.machine_property}
    if options.db is not None:
        return History(options.db, **policy)
    if configured.database is None:
        raise QueryError("the database's URL in master.cfg is a secret that only the master can render: give --db URL")
    return History(configured.database, configured.connect_args, **policy)


def _warn_of_copies(journal: Journal) -> None:
    """Say what a server will have twice, where exporters are attached, before anything is written."""
    names = ", ".join(journal.exporters())
    if names:
        print(
            f"points whose branch changes are sent to {names} again; of one that turns out to be of a proposal the "
            "server keeps its former copy too, without the tag proposed",
            file=sys.stderr,
        )


def _show_progress(backfill: Backfill, after: int, total: int) -> None:
    """Run with a progress bar on a terminal, and with some lines of progress elsewhere."""
    started, shown = time.monotonic(), 0
    live = sys.stderr.isatty()
    for done in backfill.run(after):
        if live or done - shown >= max(1_000, total // 10):
            shown = done
            rate = done / max(0.001, time.monotonic() - started)
            bar = "#" * (30 * done // max(1, total))
            text = f"[{bar:<30}] {done} of {total} builds, {rate:.0f}/s"
            print(f"\r{text}" if live else text, end="" if live else "\n", file=sys.stderr, flush=True)
    if live:
        print(file=sys.stderr)


def summary(backfill: Backfill) -> str:
    """The results of a run as text."""
    counters = backfill.counters
    lines = [
        f"{counters['builds']} builds read, {counters['points']} points written, {counters['known']} known already"
    ]
    if counters["rejudged"]:
        lines.append(f"{counters['rejudged']} points known already have another branch, proposal or machine class now")
    if counters["refused"]:
        lines.append(f"{counters['refused']} values refused, such as:")
        lines += [f"  {why}" for why in list(backfill.refusals.values())[:3]]
    if counters["no_match"]:
        lines.append(f"the pattern matched nothing in {counters['no_match']} logs")
    if counters["too_slow"]:
        lines.append(f"the pattern took too long for {counters['too_slow']} logs, such as: {backfill.too_slow}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
