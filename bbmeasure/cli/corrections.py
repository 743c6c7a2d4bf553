"""Corrections of a series, in the journal and on the servers that got its points."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

from bbmeasure.capture.identity import identity_time
from bbmeasure.cli import config, moved_points, output
from bbmeasure.errors import StorageError
from bbmeasure.model import EVERY_PROPOSAL, Point, Query
from bbmeasure.storage.influxdb.results import tags_of
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.times import NANOSECONDS

#: Points that are written in one transaction.
CHUNK = 1_000
#: The step numbers that are tried to recognize the time of a value that Buildbot's record can give again.
_STEPS = 500


def queries(journal: JournalReader, series: str, builder: Optional[str] = None) -> list[Query]:
    """The queries of all points of a series, one for each kind and unit; none for an unknown series."""
    return [
        Query(series, builder=builder, proposal=EVERY_PROPOSAL, kind=info.kind, unit=info.unit)
        for info in journal.series(proposal=EVERY_PROPOSAL)
        if info.name == series and (builder is None or builder in info.builders)
    ]


class ServerRows:
    """The times and tags of points on a server, in pages; equal tags are held once."""

    def __init__(self) -> None:
        self.pages: list[list[moved_points.Row]] = []
        self._tags: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}

    @property
    def count(self) -> int:
        """The number of points."""
        return sum(map(len, self.pages))

    def add(self, points: Iterable[Point]) -> None:
        """Add a page."""
        page = []
        for point in points:
            tags = tags_of(point)
            page.append((point.time, self._tags.setdefault(tuple(tags.items()), tags)))
        if page:
            self.pages.append(page)


def find(journal: JournalReader, series: str, builder: Optional[str] = None, build: Optional[int] = None) -> ServerRows:
    """The points of a series, of one builder or of one build number."""
    found = ServerRows()
    for query in queries(journal, series, builder):
        for page in moved_points.pages(journal, query):
            found.add(point for point in page if build is None or (point.build and point.build.build == build))
    return found


def delete_on_servers(master: Optional[Path], series: str, found: ServerRows) -> dict[str, str]:
    """Delete points on the servers of a master's exporters; returns what happened, by the exporter's name."""
    if master is None:
        return {}
    try:
        exporters = config.read_exporters(master)
    except StorageError as error:
        return {"exporters": f"nothing was deleted: {error}"}
    return {exporter.name: _delete_on(exporter, series, found) for exporter in exporters}


def _delete_on(exporter: config.ExporterConfig, series: str, found: ServerRows) -> str:
    from bbmeasure.cli.influxdb_client import BlockingClient  # loads the influxdb client

    if exporter.server is None:
        return f"nothing was deleted: {exporter.problem}"
    if exporter.numbers_only or exporter.statistics_layout:
        return "nothing was deleted: this server or layout deletes no single points; its copies remain"
    client = BlockingClient(exporter.server)
    deleted = 0
    try:
        for rows in found.pages:
            moved_points.delete(client, series, rows)
            deleted += len(rows)
    except StorageError as error:
        return f"{deleted} points were deleted, then: {error}"
    finally:
        client.close()
    return f"{deleted} points were deleted"


class RenamedTimes:
    """The times of the points of a renamed series.

    The time of a value that Buildbot's record can give again, such as a duration, depends on the series' name, so that
    ``backfill`` would write the value a second time under an old one.
    """

    def __init__(self, old: str, new: str, master: Path) -> None:
        self.recomputed = self.kept = 0
        self._old = old
        self._new = new
        hostname = os.uname()[1] if hasattr(os, "uname") else ""
        self._master = f"{hostname}:{os.path.abspath(master)}"
        self._steps: dict[Optional[str], Optional[int]] = {}
        self._others: dict[Optional[str], int] = {}

    def renamed(self, point: Point) -> Point:
        """The point of the new series."""
        time = self._time(point)
        if time is None:
            self.kept += 1
            return replace(point, series=self._new)
        self.recomputed += 1
        return replace(point, series=self._new, time=time)

    def _time(self, point: Point) -> Optional[int]:
        """The time under the new name; None for a value that was measured at its time."""
        build = point.build
        if build is None or build.buildid <= 0:
            return None
        second = point.time // NANOSECONDS
        for step in self._candidates(build.step):
            if identity_time(second, self._master, build.buildid, step, self._old, point.tags) == point.time:
                self._steps[build.step] = step
                return identity_time(second, self._master, build.buildid, step, self._new, point.tags)
        self._others[build.step] = self._others.get(build.step, 0) + 1
        return None

    def _candidates(self, name: Optional[str]) -> Iterator[Optional[int]]:
        """The numbers that a step of that name may have, the last one first; few once many points had none."""
        yield self._steps.get(name)
        if name is None and name in self._steps:
            return
        yield None
        if name in self._steps or self._others.get(name, 0) < 100:
            yield from range(_STEPS)


def rename(journal: Journal, old: str, new: str, times: RenamedTimes) -> int:
    """Write the points of a series under another name, then forget the old one; returns the number of points.

    Broken off, it can be run again: each point has one time under the new name.
    """
    for info in [info for info in journal.series(proposal=EVERY_PROPOSAL) if info.name == old]:
        for builder in info.builders or ("",):
            journal.declare(replace(info, name=new, builders=(builder,) if builder else ()))
    written = 0
    for query in queries(journal, old):
        for page in moved_points.pages(journal, query):
            written += len(page)
            points = [times.renamed(point) for point in reversed(page)]
            for at in range(0, len(points), CHUNK):
                journal.write(points[at : at + CHUNK])
            print(f"{written} points renamed", file=sys.stderr)
    journal.rename_totals(old, new)
    journal.forget(old)
    return written


def print_servers(servers: Mapping[str, Any]) -> None:
    """Print what happened on each server."""
    for name, what in servers.items():
        print(f"{output.clean(name)}: {output.clean(what)}")
