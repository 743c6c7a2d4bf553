"""``bbmeasure backfill``: captures what a master's database knows of past builds, with the builds' own times.

A point that is there already, captured live or by a run before, is left as it is: a live duration is finer than the
database's whole seconds.  A run that was broken off goes on where it was.
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
from bbmeasure.capture.identity import Value, identity_time, point_of
from bbmeasure.capture.plan import Plan, Switches
from bbmeasure.errors import LimitError, MeasureError, QueryError, StorageError, UnknownSeriesError
from bbmeasure.master import configuration
from bbmeasure.master.backfill.builds import History, PastBuild
from bbmeasure.master.tracking.finished_build import Collector, FinishedStep, collect_properties, collect_times
from bbmeasure.model import Point, SeriesInfo
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.storage.validation import check_point

#: How many builds are read and written at a time: a journal is held for a few milliseconds each.
CHUNK = 100
#: Seconds that a build may run: one without an end that is younger is come back to.
RUNS_AT_MOST = 7 * 86_400.0


@dataclass(frozen=True)
class Wanted:
    """What a run captures: ``plans`` by builder, ``since`` in unix seconds, ``pattern`` for the log of ``step``."""

    switches: Switches
    plans: dict[str, Plan]
    builder: Optional[str] = None
    since: Optional[float] = None
    pattern: Optional[patterns.Pattern] = None
    step: Optional[str] = None

    @property
    def key(self) -> str:
        """The journal's key of how far such a run has come."""
        tracked = {
            name: [[track.subject, track.overrides.series] for track in (*plan.step_times, *plan.properties)]
            for name, plan in self.plans.items()
        }
        pattern = self.pattern.pattern if self.pattern else None
        asked = [self.builder, pattern, self.step, list(self.switches.properties), tracked]
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
        return json.dumps(["backfill", "", digest])


class Backfill:
    """One run; ``counters`` says what came of it."""

    def __init__(self, history: History, journal: Journal, wanted: Wanted) -> None:
        self.history = history
        self.journal = journal
        self.wanted = wanted
        self.counters: Counter[str] = Counter()
        self.refusals: dict[str, str] = {}
        self.too_slow = ""
        self._declared: dict[str, SeriesInfo] = {}
        self._builderid = None if wanted.builder is None else history.builders().get(wanted.builder)
        if wanted.builder is not None and self._builderid is None:
            raise UnknownSeriesError(f"--builder {wanted.builder!r}: no such builder in the database")

    def begun(self) -> int:
        """The id of the last build that such a run has done; 0 where it did not go back as far in time."""
        key, since = self.wanted.key, f"{self.wanted.key} since"
        known = self.journal.recall([key, since])
        return int(known.get(key, 0)) if known.get(since, 0.0) <= (self.wanted.since or 0.0) else 0

    def total(self, after: int) -> int:
        """How many builds a run has to do."""
        return self.history.count(self._builderid, self.wanted.since, after)

    def run(self, after: int) -> Iterator[int]:
        """Do the builds with greater ids; yields how many of them are done."""
        done = 0
        running = self.history.first_running(time.time() - RUNS_AT_MOST)
        for builds in self.history.builds(self._builderid, self.wanted.since, after, CHUNK):
            points = [point for build in builds for point in self._new_points(build)]
            key = self.wanted.key
            last = min(builds[-1].buildid, running - 1) if running is not None else builds[-1].buildid
            self.journal.write(points, {key: last, f"{key} since": self.wanted.since or 0.0})
            self.counters["points"] += len(points)
            done += len(builds)
            yield done
        self.counters["builds"] = done

    def _new_points(self, build: PastBuild) -> Iterator[Point]:
        """The points of a build that the journal has not."""
        known = self.journal.records(build.buildid)
        identities = {(point.series, point.time, tuple(sorted(point.tags.items()))) for point in known}
        by_step = {(point.series, point.build.step if point.build else None) for point in known}
        values = [(value, point_of(value, value.time)) for value in self._values(build) if value.time is not None]
        missing = Counter(map(_measurement, (point for _, point in values)))
        missing.subtract(map(_measurement, known))
        for value, point in values:
            identity = (point.series, point.time, tuple(sorted(point.tags.items())))
            if identity in identities or missing[_measurement(point)] <= 0:  # maybe with the tags of another time
                self.counters["known"] += 1
            elif self._fits(value, point):
                missing[_measurement(point)] -= 1
                yield point
        for value in self._from_logs(build):
            step = value.context.step if value.context else None
            if (value.record.name, step) in by_step:
                self.counters["known"] += 1
            elif value.time is not None and self._fits(value, point := point_of(value, value.time)):
                yield point

    def _values(self, build: PastBuild) -> Sequence[Value]:
        plan = self.wanted.plans.get(build.finished.context.builder, Plan())
        collector = Collector(build.finished, plan.tags)
        collect_times(collector, plan, self.wanted.switches)
        for _ in collect_properties(collector, plan, self.wanted.switches, build.properties):
            self.counters["missing_properties"] += 1
        for why in collector.refused:
            self._refuse("", why)
        return collector.values

    def _from_logs(self, build: PastBuild) -> Iterator[Value]:
        """What the pattern finds in the build's logs."""
        if self.wanted.pattern is None:
            return
        for stepid, step in build.stepids.items():
            if self.wanted.step not in (None, step.name) or step.result not in ("success",):
                continue
            try:
                records = patterns.parse(self.wanted.pattern, self.history.stdout(stepid), step.name)
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
        plan = self.wanted.plans.get(context.builder, Plan())
        record = replace(record, tags={**plan.tags, **record.tags})
        at = identity_time(step.second, build.finished.master, build.buildid, step.number, record.name, record.tags)
        return Value(record, context, at)

    def _fits(self, value: Value, point: Point) -> bool:
        """Whether a store can hold it and the series is what the value is; that is declared when it is met first."""
        record = value.record
        try:
            check_point(point)  # here, as the journal refuses all of a write
        except StorageError as error:
            self._refuse(record.name, f"build {value.context.build if value.context else ''}: {error}")
            return False
        if record.name not in self._declared:
            said = SeriesInfo(record.name, record.kind, record.unit, record.better)
            try:
                self._declared[record.name] = self.journal.declare(said)
            except MeasureError as error:
                self._refuse(record.name, str(error))
                return False
        held = self._declared[record.name]
        if record.unit != held.unit or isinstance(record.value, str) != (held.kind.value == "text"):
            self._refuse(record.name, f"{record.name}: got {record.kind.value} in {record.unit}, expected {held.unit}")
            return False
        return True

    def _refuse(self, name: str, why: str) -> None:
        self.counters["refused"] += 1
        if len(self.refusals) < 100:
            self.refusals.setdefault(name, why)


def _measurement(point: Point) -> tuple[str, Optional[str], int]:
    """What a point of a build is, whatever its tags are."""
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
        return _fail("stopped; the same command goes on from here", as_json, 130)


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
    """The command line, which ``bbmeasure backfill`` has too."""
    made = _Parser(
        prog="bbmeasure backfill",
        description="Capture what a master's database knows of past builds: durations, results, properties.",
    )
    made.add_argument("--master", metavar="DIR", type=Path, required=True, help="the master's folder")
    made.add_argument("--journal", metavar="FILE", type=Path, help="write there (default: the configured one)")
    made.add_argument("--db", metavar="URL", help="SQLAlchemy's URL of the database (default: the configured one)")
    made.add_argument("--since", metavar="TIME", help="builds that began since: ISO 8601, unix seconds, or 365d")
    made.add_argument("--builder", metavar="NAME", help="this builder alone")
    made.add_argument(
        "--property", metavar="PATTERN", action="append", default=[], help="numeric properties, as pylint-*"
    )
    made.add_argument("--pattern", metavar="REGEX", help="numbers in steps' stdout: named groups are series")
    made.add_argument("--step", metavar="NAME", help="with --pattern: this step's log alone")
    made.add_argument("--json", action="store_true", help="print the counts as JSON, an error as its message")
    made.add_argument("--again", action="store_true", help="from the first build, not from where a run before ended")
    return made


def _run(asked: argparse.Namespace) -> int:
    pattern = _pattern(asked.pattern)
    since = times.read(asked.since, time.time(), "--since")
    configured = configuration.configured(str(asked.master))
    if configured.problems:
        print(f"master.cfg cannot be read, going on without it: {configured.problems[0]}", file=sys.stderr)
    switches = Switches(True, True, False, (*builtin_series.PROPERTIES, *asked.property)) | configured.switches
    seconds = None if since is None else since / times.NANOSECONDS
    wanted = Wanted(switches, configured.plans, asked.builder, seconds, pattern, asked.step)
    history = _history(asked, configured)
    try:
        with Journal(asked.journal or asked.master / configured.journal) as journal:
            backfill = Backfill(history, journal, wanted)
            after = 0 if asked.again else backfill.begun()
            _follow(backfill, after, backfill.total(after))
            print(json.dumps(dict(backfill.counters)) if asked.json else summary(backfill))
    finally:
        history.close()
    return 0


def _pattern(asked: Optional[str]) -> Optional[patterns.Pattern]:
    """The expression that is asked for; QueryError where it is none."""
    try:
        return patterns.compile_pattern(asked) if asked else None
    except MeasureError as error:
        raise QueryError(f"--pattern: {error}") from None


def _history(asked: argparse.Namespace, configured: configuration.Configured) -> History:
    if asked.db is not None:
        return History(asked.db)
    if configured.database is None:
        raise QueryError("the database's URL in master.cfg is a secret that only the master can read: give --db URL")
    return History(configured.database, configured.connect_args)


def _follow(backfill: Backfill, after: int, total: int) -> None:
    """Run with a bar of progress on a terminal, a line now and then elsewhere."""
    began, told = time.monotonic(), 0
    live = sys.stderr.isatty()
    for done in backfill.run(after):
        if live or done - told >= max(1_000, total // 10):
            told = done
            rate = done / max(0.001, time.monotonic() - began)
            bar = "#" * (30 * done // max(1, total))
            text = f"[{bar:<30}] {done} of {total} builds, {rate:.0f}/s"
            print(f"\r{text}" if live else text, end="" if live else "\n", file=sys.stderr, flush=True)
    if live:
        print(file=sys.stderr)


def summary(backfill: Backfill) -> str:
    """What came of it."""
    counters = backfill.counters
    lines = [f"{counters['builds']} builds read, {counters['points']} points written, {counters['known']} were there"]
    if counters["refused"]:
        lines.append(f"{counters['refused']} values refused, such as:")
        lines += [f"  {why}" for why in list(backfill.refusals.values())[:3]]
    if counters["no_match"]:
        lines.append(f"the pattern found nothing in {counters['no_match']} logs")
    if counters["too_slow"]:
        lines.append(f"the pattern took too long for {counters['too_slow']} logs, such as: {backfill.too_slow}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
