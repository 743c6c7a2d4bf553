"""The pending points of an exporter, created from their rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Optional, Union, overload

from bbmeasure.model import BuildNames, Point, SeriesInfo
from bbmeasure.storage.sqlite.build_rows import VARIANTS
from bbmeasure.storage.sqlite.selection import STREAMS, Stream

#: The streams that are kept between two reads; a backlog of many lines has the same in each.
_MAX_STREAMS = 20_000
#: The pending points of an exporter that still exist: sequence number, and the columns of ``points`` and ``details``.
QUEUED = """SELECT o.seq, o.stream, p.time, p.value, d.text, d.samples, d.spread, p.build,
        nullif(ifnull(d.step, m.step), 0)
    FROM outbox o CROSS JOIN points p ON p.stream = o.stream AND p.time = o.time
    JOIN streams m ON m.id = o.stream JOIN lines l ON l.id = m.line JOIN series s ON s.id = l.series
    LEFT JOIN details d ON d.stream = p.stream AND d.time = p.time
    WHERE o.sink = ? AND s.name IS NOT NULL ORDER BY o.seq LIMIT ?"""
_BUILDS = "SELECT id, number, revision, project, proposal FROM builds WHERE id IN (SELECT value FROM json_each(?))"
_STEPS = "SELECT id, text FROM texts WHERE id IN (SELECT value FROM json_each(?))"


class QueuedStream:
    """A stream and the declaration of its series; the same object for equal rows, as a key of caches."""

    __slots__ = ("info", "stream")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        builders = (stream.builder,) if stream.builder else ()
        self.info = SeriesInfo(stream.series, stream.kind, stream.unit, stream.better, builders)


@lru_cache(maxsize=_MAX_STREAMS)
def _queued_stream(row: tuple[Any, ...]) -> QueuedStream:
    return QueuedStream(Stream.of(row))


@lru_cache(maxsize=4)
def _series(streams: frozenset[QueuedStream]) -> frozenset[SeriesInfo]:
    """The declarations of the series of streams; the same object for the same streams."""
    return frozenset(queued.info for queued in streams)


class PendingPoints(Sequence[tuple[int, Point]]):
    """Points with their sequence numbers, each created from its row on every access.

    The rows are tuples of numbers and texts, which the garbage collector does not track.  Ten thousand Point objects
    that live for some tenths of a second would make its collections block the reactor for tens of milliseconds.
    """

    def __init__(
        self,
        rows: Sequence[tuple[Any, ...]],
        streams: Mapping[int, QueuedStream],
        builds: Mapping[int, Sequence[Any]],
        steps: Mapping[int, str],
        series: frozenset[SeriesInfo],
    ) -> None:
        """``rows`` are those of ``QUEUED``; ``builds`` are id, number, revision, project and proposal by id.

        ``series`` are the declarations of all series in ``rows``, without counts and times.
        """
        self.series = series
        self._rows = rows
        self._streams = streams
        self._builds = builds
        self._steps = steps

    def raw_rows(self) -> Iterator[tuple[QueuedStream, Optional[int], Optional[int], Optional[float], int]]:
        """Stream, build id, step id, value and time of each point, in their order.

        The value is None when it takes the whole point to serialize it: a text, or the median of several samples.
        """
        for _, stream, time, value, _, samples, spread, build, step in self._rows:
            yield self._streams[stream], build, step, value if samples is None and spread is None else None, time

    def build_of(self, stream: QueuedStream, build: int, step: Optional[int]) -> tuple[int, int, BuildNames]:
        """Number, buildid and names of the build of a row."""
        _, number, revision, project, proposal = self._builds[build]
        of = stream.stream
        machine = of.machine if of.named else None
        name = None if step is None else self._steps[step]
        return number, build // VARIANTS, (name, revision, of.branch, proposal, machine, project, "step" in of.tags)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> tuple[int, Point]: ...

    @overload
    def __getitem__(self, at: slice) -> PendingPoints: ...

    def __getitem__(self, at: Union[int, slice]) -> Union[tuple[int, Point], PendingPoints]:
        if isinstance(at, slice):
            return PendingPoints(self._rows[at], self._streams, self._builds, self._steps, self.series)
        return self._item(self._rows[at])

    def __iter__(self) -> Iterator[tuple[int, Point]]:
        return map(self._item, self._rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __repr__(self) -> str:
        return f"PendingPoints({list(self)!r})"

    __hash__ = None  # type: ignore[assignment]  # equality is by content

    def _item(self, row: tuple[Any, ...]) -> tuple[int, Point]:
        seq, stream, *point, build, step = row
        facts = (None,) * 5 if build is None else self._builds[build]
        step_name = None if step is None else self._steps[step]
        return seq, self._streams[stream].stream.point((*point, step or 0, step_name, *facts))


def read(connection: sqlite3.Connection, exporter: int, limit: int) -> PendingPoints:
    """The oldest pending points of an exporter with their sequence numbers, at most ``limit``."""
    rows = connection.execute(QUEUED, (exporter, limit)).fetchall()

    def by_id(sql: str, column: int) -> dict[int, tuple[Any, ...]]:
        ids = json.dumps(list({row[column] for row in rows} - {None}))
        return {row[0]: row for row in connection.execute(sql, (ids,))}

    streams = {id_: _queued_stream(row) for id_, row in by_id(STREAMS, 1).items()}
    series = _series(frozenset(streams.values()))
    return PendingPoints(rows, streams, by_id(_BUILDS, 7), dict(by_id(_STEPS, 8).values()), series)
