"""The rows of builds: one for each build and variant of its facts, with the time range of its points."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from typing import Any

from bbmeasure.model import BuildContext
from bbmeasure.storage.sqlite.rollup import EARLIEST, LATEST
from bbmeasure.storage.sqlite.texts import TextIds
from bbmeasure.times import NANOSECONDS

#: ``builds.id`` is the buildid times VARIANTS, plus the number of a variant of the facts.
VARIANTS = 256
#: The longest time range of a build's row, in nanoseconds; a point that would widen it further is a stray.
MAX_SPAN = 7 * 86_400 * NANOSECONDS
#: Ranges are widened by this much at once, so that a build of many writes updates its row once in a while.
_STEP = 300 * NANOSECONDS
_MAX_CACHED = 5_000
_FACTS = "number, revision, project, proposal, builder, worker, branch, machine"


class BuildRow:
    """The row of a build in a write transaction."""

    __slots__ = ("changed", "first", "id", "last")

    def __init__(self, id_: int, first: int, last: int) -> None:
        self.id = id_
        self.first = first
        self.last = last
        self.changed = False

    def covers(self, time: int) -> bool:
        """Whether the range contains ``time`` or could be widened to it; false for the time of a stray."""
        if self.first <= time <= self.last:
            return True
        if self.first > self.last:
            self.first = self.last = time
        first, last = min(self.first, time - _STEP), max(self.last, time + _STEP)
        if last - first > MAX_SPAN:
            return False
        if time < self.first:
            self.first = first
        else:
            self.last = last
        self.changed = True
        return True


class BuildRows:
    """Finds or inserts the rows of builds; the last used are cached."""

    def __init__(self, connection: sqlite3.Connection, texts: TextIds) -> None:
        self._connection = connection
        self._texts = texts
        self._rows: OrderedDict[tuple[Any, ...], BuildRow] = OrderedDict()
        self._changed: list[BuildRow] = []

    def clear(self) -> None:
        """Drop the cache."""
        self._rows.clear()
        self._changed.clear()

    def find(self, build: BuildContext) -> BuildRow:
        """The row of a build."""
        key = (
            build.buildid,
            build.build,
            build.revision,
            build.project,
            build.proposal,
            build.builder,
            build.worker,
            build.branch,
            build.machine,
        )
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = self._find(build)
            if len(self._rows) > _MAX_CACHED:
                self._store_and_evict()
        else:
            self._rows.move_to_end(key)
        return row

    def covers(self, row: BuildRow, time: int) -> bool:
        """Whether the range of a row contains ``time`` or could be widened to it; false for the time of a stray."""
        had_changed, covers = row.changed, row.covers(time)
        if row.changed and not had_changed:
            self._changed.append(row)
        return covers

    def _store_and_evict(self) -> None:
        self.store()
        self._rows.popitem(last=False)

    def _find(self, build: BuildContext) -> BuildRow:
        """The row of a build with these facts; the last row when the build has the most variants."""
        names = (build.builder, build.worker, build.branch, build.machine)
        facts = (build.build, build.revision, build.project, build.proposal, *map(self._texts, names))
        first = build.buildid * VARIANTS
        rows = self._connection.execute(
            f"SELECT id, first, last, {_FACTS} FROM builds WHERE id BETWEEN ? AND ? ORDER BY id",
            (first, first + VARIANTS - 1),
        ).fetchall()
        for id_, since, until, *stored in rows:
            if tuple(stored) == facts:
                return BuildRow(id_, since, until)
        if len(rows) == VARIANTS:
            return BuildRow(*rows[-1][:3])
        id_ = rows[-1][0] + 1 if rows else first
        insert = f"INSERT INTO builds(id, first, last, {_FACTS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self._connection.execute(insert, (id_, LATEST, EARLIEST, *facts))
        return BuildRow(id_, LATEST, EARLIEST)

    def store(self) -> None:
        """Update the ranges that were widened."""
        rows = [(row.first, row.last, row.id) for row in self._changed]
        if rows:
            # two rows here may be one in the file: the last of the variants
            widen = "UPDATE builds SET first = min(first, ?), last = max(last, ?) WHERE id = ?"
            self._connection.executemany(widen, rows)
            for row in self._changed:
                row.changed = False
            self._changed.clear()
