"""History: reads finished builds from a master's database of Buildbot 3.7 to 4.3, on any system of SQLAlchemy.

Columns that an older release lacks are read as NULL.  Queries are small, so that they neither delay a running master
nor need much memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import sqlalchemy as sa
from buildbot.db.logs import LogsConnectorComponent

from bbmeasure.capture.branches import BranchPolicy, BuildBranch, SourceFacts, branch_of, builder_name
from bbmeasure.capture.identity import recorded_context
from bbmeasure.errors import MeasureError
from bbmeasure.master.backfill import sources
from bbmeasure.master.backfill.database import Database, Run
from bbmeasure.master.tracking.collector import Finished, FinishedStep, result_word
from bbmeasure.refs import shortened

#: The largest property and log that are read, in characters and bytes.
LARGEST_PROPERTY = 10_000
LARGEST_LOG = 16 * 1024 * 1024
#: How many chunks of a log are read at a time; Buildbot stores chunks of at most 64 KiB, compressed.
LOG_CHUNKS = 16

_TABLES = (
    "masters",
    "builders",
    "workers",
    "buildrequests",
    "builds",
    "steps",
    "build_properties",
    "logs",
    "logchunks",
    *sources.TABLES,
)


@dataclass(frozen=True)
class PastBuild:
    """A finished build with its properties; ``stepids`` are the ids of its steps, for their logs."""

    finished: Finished
    properties: Mapping[str, Any] = field(default_factory=dict)
    stepids: Mapping[int, FinishedStep] = field(default_factory=dict)

    @property
    def buildid(self) -> int:
        """The build's id in the database."""
        return self.finished.context.buildid


class History:
    """The builds of one database, at a URL of SQLAlchemy; StorageUnavailableError where it cannot be read.

    ``policy`` decides which builds are proposals, ``machine_property`` names the worker property of machine classes.
    """

    def __init__(
        self,
        url: str,
        connect_args: Optional[Mapping[str, Any]] = None,
        *,
        policy: Optional[BranchPolicy] = None,
        machine_property: Optional[str] = None,
    ) -> None:
        self._policy = policy or BranchPolicy()
        self._machine_property = machine_property
        self._machines: dict[int, str] = {}
        self._database = Database(url, _TABLES, connect_args)
        self.tables = self._database.tables

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _column(self, table: str, name: str) -> Any:
        """A column; NULL where this release of Buildbot has none."""
        columns = self.tables[table].c
        return columns[name] if name in columns else sa.null().label(name)

    def _selected(self, query: Any, builderid: Optional[int], since: Optional[float], after: int) -> Any:
        builds = self.tables["builds"]
        query = query.where(builds.c.complete_at.is_not(None), builds.c.id > after)
        if since is not None:
            query = query.where(builds.c.started_at >= int(since))
        if builderid is not None:
            query = query.where(builds.c.builderid == builderid)
        return query

    def count(self, builderid: Optional[int], since: Optional[float], after: int) -> int:
        """The number of builds to read."""
        query = self._selected(sa.select(sa.func.count(self.tables["builds"].c.id)), builderid, since, after)
        with self._database.transaction() as run:
            return int(run(query)[0][0])

    def first_running(self, since: float) -> Optional[int]:
        """The smallest id of a build without an end that started after ``since``; None without such a build."""
        builds = self.tables["builds"]
        query = sa.select(sa.func.min(builds.c.id)).where(
            builds.c.complete_at.is_(None), builds.c.started_at > int(since)
        )
        with self._database.transaction() as run:
            buildid = run(query)[0][0]
        return None if buildid is None else int(buildid)

    def builders(self) -> dict[str, int]:
        """The ids of all builders by name, also of removed ones: MySQL itself compares names without case."""
        builders = self.tables["builders"]
        with self._database.transaction() as run:
            return {row.name: row.id for row in run(sa.select(builders.c.name, builders.c.id))}

    def builds(
        self, builderid: Optional[int], since: Optional[float], after: int, chunk: int
    ) -> Iterator[list[PastBuild]]:
        """Finished builds in the order of their ids, ``chunk`` at a time."""
        every = self._select()
        while True:
            with self._database.transaction() as run:
                rows = run(self._selected(every, builderid, since, after).limit(chunk))
                ids = [row.id for row in rows]
                steps, properties = (self._steps(run, ids), self._properties(run, ids)) if ids else ({}, {})
                stamps = sources.read_sources(run, self.tables, sorted({row.buildsetid for row in rows} - {None}))
            if not rows:
                return
            yield [
                _past(
                    row,
                    steps.get(row.id, []),
                    properties.get(row.id, {}),
                    *self._branch(row, stamps.get(row.buildsetid, [])),
                )
                for row in rows
            ]
            after = ids[-1]

    def _select(self) -> Any:
        builds, builders = self.tables["builds"], self.tables["builders"]
        workers, requests, masters = (self.tables[name] for name in ("workers", "buildrequests", "masters"))
        ran, of_builder = builders.alias(), requests.alias()
        joined = (
            builds.outerjoin(requests, builds.c.buildrequestid == requests.c.id)
            .join(builders, builders.c.id == builds.c.builderid)
            .outerjoin(ran, ran.c.id == requests.c.builderid)
            .outerjoin(workers, builds.c.workerid == workers.c.id)
            .outerjoin(masters, builds.c.masterid == masters.c.id)
        )
        return (
            sa.select(
                builds.c.id,
                builds.c.number,
                builds.c.started_at,
                builds.c.complete_at,
                builds.c.results,
                self._column("builds", "locks_duration_s"),
                builders.c.name.label("builder"),
                ran.c.name.label("ran"),
                sa.exists().where(of_builder.c.builderid == builders.c.id).label("is_configured"),
                workers.c.name.label("worker"),
                masters.c.name.label("master"),
                requests.c.submitted_at,
                requests.c.buildsetid,
            )
            .select_from(joined)
            .order_by(builds.c.id)
        )

    def _steps(self, run: Run, buildids: Sequence[int]) -> dict[int, list[Any]]:
        steps = self.tables["steps"]
        query = sa.select(
            steps.c.id,
            steps.c.buildid,
            steps.c.name,
            steps.c.number,
            steps.c.started_at,
            self._column("steps", "locks_acquired_at"),
            steps.c.complete_at,
            steps.c.results,
        ).where(steps.c.buildid.in_(buildids), steps.c.complete_at.is_not(None))
        steps_of: dict[int, list[Any]] = {}
        for row in run(query.order_by(steps.c.buildid, steps.c.number)):
            steps_of.setdefault(row.buildid, []).append(row)
        return steps_of

    def _properties(self, run: Run, buildids: Sequence[int]) -> dict[int, dict[str, Any]]:
        table = self.tables["build_properties"]
        query = sa.select(table.c.buildid, table.c.name, table.c.value, table.c.source).where(
            table.c.buildid.in_(buildids), sa.func.length(table.c.value) < LARGEST_PROPERTY
        )
        properties: dict[int, dict[str, Any]] = {}
        for row in run(query):
            try:
                value = json.loads(row.value)
            except (ValueError, RecursionError):  # not JSON: the property counts as missing
                continue
            properties.setdefault(row.buildid, {})[row.name] = value
            if row.name == self._machine_property and row.source == "Worker":
                self._machines[row.buildid] = shortened(str(value))
        return properties

    def _branch(self, row: Any, stamps: Sequence[SourceFacts]) -> tuple[BuildBranch, Optional[str]]:
        """Branch and machine class of a build."""
        return branch_of(stamps, self._policy), self._machines.pop(row.id, None)

    def stdout(self, stepid: int) -> str:
        """The stdout of a step; MeasureError where its log cannot be read."""
        chunks_read, size, after = [], 0, -1
        while size <= LARGEST_LOG:
            rows = self._log_chunks(stepid, after)
            for row in rows:
                chunks_read.append(_unpacked(stepid, row.content, row.compressed))
                size += len(chunks_read[-1]) + 1
                if size > LARGEST_LOG:
                    break
            if len(rows) < LOG_CHUNKS:
                break
            after = rows[-1].first_line
        lines = b"\n".join(chunks_read).decode("utf-8", "replace").split("\n")
        return "\n".join(line[1:] for line in lines if line[:1] == "o")

    def _log_chunks(self, stepid: int, after: int) -> Sequence[Any]:
        logs, chunks = self.tables["logs"], self.tables["logchunks"]
        query = (
            sa.select(chunks.c.first_line, chunks.c.content, chunks.c.compressed)
            .select_from(logs.join(chunks, logs.c.id == chunks.c.logid))
            .where(logs.c.stepid == stepid, logs.c.slug == "stdio", chunks.c.first_line > after)
            .order_by(chunks.c.first_line)
            .limit(LOG_CHUNKS)
        )
        with self._database.transaction() as run:
            return run(query)


def _unpacked(stepid: int, content: bytes, compressed: int) -> bytes:
    """The text of a chunk of a log."""
    try:
        compression = LogsConnectorComponent.COMPRESSION_BYID[compressed]
        read = getattr(compression, "read", None) or compression["read"]
        unpacked: bytes = read(content)
    except Exception as error:  # noqa: BLE001  (each compressor raises its own; the caller counts it)
        raise MeasureError(f"log of step {stepid}: {type(error).__name__}: {error}") from None
    return unpacked


def _past(
    row: Any, step_rows: Sequence[Any], properties: Mapping[str, Any], branch: BuildBranch, machine: Optional[str]
) -> PastBuild:
    records_locks = any(step.locks_acquired_at is not None for step in step_rows)
    stepids = {step.id: _step(step, records_locks) for step in step_rows}
    builder = builder_name(row.ran or row.builder, row.builder, is_configured=row.is_configured)
    context = recorded_context(builder, row.worker or "", row.number, row.id, properties, branch, machine)
    started = row.started_at
    known = started is not None
    queued = max(0, started - row.submitted_at) if known and row.submitted_at is not None else None
    finished = Finished(
        context,
        row.master or "",
        int(row.complete_at),
        result_word(row.results),
        float(max(0, row.complete_at - started)) if known else None,
        None if queued is None else float(queued),
        row.locks_duration_s,
        tuple(stepids.values()),
    )
    return PastBuild(finished, properties, stepids)


def _step(row: Any, records_locks: bool) -> FinishedStep:
    """A finished step; where the release of Buildbot records locks, a step that never acquired them did not run."""
    start = row.locks_acquired_at if row.locks_acquired_at is not None or records_locks else row.started_at
    duration = None if start is None else float(max(0, row.complete_at - start))
    return FinishedStep(row.name, row.number, int(row.complete_at), result_word(row.results), duration)
