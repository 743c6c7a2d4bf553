"""Reading finished builds from a master's database, of Buildbot 3.7 to 4.3, whatever SQLAlchemy can open.

Tables are read as they are found: a column that an older release does not have yet is taken as empty.  What is asked
at a time is little, so that neither a running master nor this process's memory is held up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

import sqlalchemy as sa
from buildbot.db.logs import LogsConnectorComponent

from bbmeasure.capture.identity import recorded_context
from bbmeasure.errors import MeasureError
from bbmeasure.master.backfill.database import Ask, Database
from bbmeasure.master.tracking.finished_build import Finished, FinishedStep, result_word

#: The largest property and log that are read, in characters and bytes.
LARGEST_PROPERTY = 10_000
LARGEST_LOG = 16 * 1024 * 1024
#: How many pieces of a log are read at a time; Buildbot cuts it into pieces of at most 64 KiB, compressed.
LOG_PIECES = 16

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
)


@dataclass(frozen=True)
class PastBuild:
    """A finished build with its properties; ``stepids`` finds the logs."""

    finished: Finished
    properties: Mapping[str, Any] = field(default_factory=dict)
    stepids: Mapping[int, FinishedStep] = field(default_factory=dict)

    @property
    def buildid(self) -> int:
        """The build's id in the database."""
        return self.finished.context.buildid


class History:
    """The builds of one database.  ``url`` is SQLAlchemy's; StorageUnavailableError where it cannot be read."""

    def __init__(self, url: str, connect_args: Optional[Mapping[str, Any]] = None) -> None:
        self._database = Database(url, _TABLES, connect_args)
        self.tables = self._database.tables

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def _column(self, table: str, name: str) -> Any:
        """A column; nothing where this release of Buildbot has none."""
        columns = self.tables[table].c
        return columns[name] if name in columns else sa.null().label(name)

    def _wanted(self, query: Any, builderid: Optional[int], since: Optional[float], after: int) -> Any:
        builds = self.tables["builds"]
        query = query.where(builds.c.complete_at.is_not(None), builds.c.id > after)
        if since is not None:
            query = query.where(builds.c.started_at >= int(since))
        if builderid is not None:
            query = query.where(self._builderid() == builderid)
        return query

    def _builderid(self) -> Any:
        """The builder of ``master.cfg`` that ran a build: a virtual builder's builds were requested of another."""
        return sa.func.coalesce(self.tables["buildrequests"].c.builderid, self.tables["builds"].c.builderid)

    def _joined(self) -> Any:
        """Builds with their requests and builders."""
        builds, requests, builders = (self.tables[name] for name in ("builds", "buildrequests", "builders"))
        asked = builds.outerjoin(requests, builds.c.buildrequestid == requests.c.id)
        return asked.join(builders, builders.c.id == self._builderid())

    def count(self, builderid: Optional[int], since: Optional[float], after: int) -> int:
        """How many builds there are to read."""
        query = self._wanted(sa.select(sa.func.count()).select_from(self._joined()), builderid, since, after)
        with self._database.visit() as ask:
            return int(ask(query)[0][0])

    def first_running(self, since: float) -> Optional[int]:
        """The smallest id of a build without an end that began after ``since``; None where there is none."""
        builds = self.tables["builds"]
        query = sa.select(sa.func.min(builds.c.id)).where(
            builds.c.complete_at.is_(None), builds.c.started_at > int(since)
        )
        with self._database.visit() as ask:
            found = ask(query)[0][0]
        return None if found is None else int(found)

    def builders(self) -> dict[str, int]:
        """The ids of all builders that ever were, by name: MySQL itself takes ``b`` and ``B`` for one name."""
        builders = self.tables["builders"]
        with self._database.visit() as ask:
            return {row.name: row.id for row in ask(sa.select(builders.c.name, builders.c.id))}

    def builds(
        self, builderid: Optional[int], since: Optional[float], after: int, chunk: int
    ) -> Iterator[list[PastBuild]]:
        """Finished builds in the order of their ids, ``chunk`` at a time."""
        while True:
            with self._database.visit() as ask:
                rows = ask(self._wanted(self._select(), builderid, since, after).limit(chunk))
                ids = [row.id for row in rows]
                steps, properties = (self._steps(ask, ids), self._properties(ask, ids)) if ids else ({}, {})
            if not rows:
                return
            yield [_past(row, steps.get(row.id, []), properties.get(row.id, {})) for row in rows]
            after = ids[-1]

    def _select(self) -> Any:
        builds, builders = self.tables["builds"], self.tables["builders"]
        workers, requests, masters = (self.tables[name] for name in ("workers", "buildrequests", "masters"))
        joined = (
            self._joined()
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
                workers.c.name.label("worker"),
                masters.c.name.label("master"),
                requests.c.submitted_at,
            )
            .select_from(joined)
            .order_by(builds.c.id)
        )

    def _steps(self, ask: Ask, buildids: Sequence[int]) -> dict[int, list[Any]]:
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
        found: dict[int, list[Any]] = {}
        for row in ask(query.order_by(steps.c.buildid, steps.c.number)):
            found.setdefault(row.buildid, []).append(row)
        return found

    def _properties(self, ask: Ask, buildids: Sequence[int]) -> dict[int, dict[str, Any]]:
        table = self.tables["build_properties"]
        query = sa.select(table.c.buildid, table.c.name, table.c.value).where(
            table.c.buildid.in_(buildids), sa.func.length(table.c.value) < LARGEST_PROPERTY
        )
        found: dict[int, dict[str, Any]] = {}
        for row in ask(query):
            try:
                found.setdefault(row.buildid, {})[row.name] = json.loads(row.value)
            except (ValueError, RecursionError):  # not JSON: the property counts as missing
                continue
        return found

    def stdout(self, stepid: int) -> str:
        """What a step printed on stdout; MeasureError where its log cannot be read."""
        pieces, size, after = [], 0, -1
        while size <= LARGEST_LOG:
            rows = self._log_pieces(stepid, after)
            for row in rows:
                pieces.append(_unpacked(stepid, row.content, row.compressed))
                size += len(pieces[-1]) + 1
                if size > LARGEST_LOG:
                    break
            if len(rows) < LOG_PIECES:
                break
            after = rows[-1].first_line
        lines = b"\n".join(pieces).decode("utf-8", "replace").split("\n")
        return "\n".join(line[1:] for line in lines if line[:1] == "o")

    def _log_pieces(self, stepid: int, after: int) -> Sequence[Any]:
        logs, chunks = self.tables["logs"], self.tables["logchunks"]
        query = (
            sa.select(chunks.c.first_line, chunks.c.content, chunks.c.compressed)
            .select_from(logs.join(chunks, logs.c.id == chunks.c.logid))
            .where(logs.c.stepid == stepid, logs.c.slug == "stdio", chunks.c.first_line > after)
            .order_by(chunks.c.first_line)
            .limit(LOG_PIECES)
        )
        with self._database.visit() as ask:
            return ask(query)


def _unpacked(stepid: int, content: bytes, compressed: int) -> bytes:
    """A piece of a log as it was written."""
    try:
        compression = LogsConnectorComponent.COMPRESSION_BYID[compressed]
        read = getattr(compression, "read", None) or compression["read"]
        unpacked: bytes = read(content)
    except Exception as error:  # noqa: BLE001  (each compressor raises its own; the caller counts it)
        raise MeasureError(f"log of step {stepid}: {type(error).__name__}: {error}") from None
    return unpacked


def _past(row: Any, step_rows: Sequence[Any], properties: Mapping[str, Any]) -> PastBuild:
    locks_are_told = any(one.locks_acquired_at is not None for one in step_rows)
    stepids = {one.id: _step(one, locks_are_told) for one in step_rows}
    context = recorded_context(row.builder, row.worker or "", row.number, row.id, properties)
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


def _step(row: Any, locks_are_told: bool) -> FinishedStep:
    """A step; where its release of Buildbot tells when steps had their locks, one that never had began no work."""
    began = row.locks_acquired_at if row.locks_acquired_at is not None or locks_are_told else row.started_at
    duration = None if began is None else float(max(0, row.complete_at - began))
    return FinishedStep(row.name, row.number, int(row.complete_at), result_word(row.results), duration)
