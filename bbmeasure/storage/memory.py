"""MemoryStorage: a store in memory, bounded in points, streams and series."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from operator import attrgetter
from typing import Any, Callable, Optional, TypeVar

from twisted.internet import defer

from bbmeasure.errors import MeasureError
from bbmeasure.model import EVERY_PROPOSAL, Bucket, Health, LineInfo, Overview, OverviewQuery, Point, Query, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.statistics import Statistic, Value
from bbmeasure.storage import query_chain
from bbmeasure.storage.base import HeldLine
from bbmeasure.storage.memory_streams import Stream, StreamKey
from bbmeasure.storage.overviews import make_overview, series_of_lines
from bbmeasure.storage.validation import (
    bucket_edges,
    check_buckets,
    check_limit,
    check_point,
    check_stream,
    check_text_statistics,
    compute,
    declaring_builder,
    group_series,
    make_buckets,
    one_meaning,
    reconcile,
    state_series,
    tags_match,
)

Result = TypeVar("Result")
#: A series of one builder: its name and the builder, "" for points outside builds.
SeriesKey = tuple[str, str]


class MemoryStorage:
    """A store of the ``max_points`` points written last, of at most ``max_series`` series.

    Excess points are dropped in the order of their arrival; points of a series or stream beyond the limits are refused.
    ``health().counters`` counts both.  Every Deferred has fired when it is returned.
    """

    def __init__(
        self,
        name: str = "memory",
        *,
        max_points: int = 100_000,
        max_series: int = 10_000,
        max_streams: int = 50_000,
    ) -> None:
        self.name = name
        self._max_points, self._max_series, self._max_streams = max_points, max_series, max_streams
        self._infos: dict[SeriesKey, SeriesInfo] = {}
        self._declared: set[SeriesKey] = set()
        self._proposed: set[SeriesKey] = set()
        self._streams: dict[StreamKey, Stream] = {}
        self._by_series: dict[str, list[Stream]] = {}
        self._order: deque[tuple[Stream, int]] = deque()
        self._state: dict[str, float] = {}
        self._streams_created = 0
        self.counters: Counter[str] = Counter()

    def is_empty(self) -> bool:
        """Whether it has no point, no declaration and no running total."""
        return not (self._order or self._infos or self._state)

    def proposed_series(self) -> frozenset[SeriesKey]:
        """Name and builder of the series that only proposals have declared."""
        return frozenset(self._proposed)

    def drain(self) -> tuple[list[SeriesInfo], list[Point], dict[str, float]]:
        """Remove and return all declarations, points (in the order of their arrival) and running totals."""
        infos = [self._infos[key] for key in sorted(self._declared)]
        points = [stream.points[bisect_left(stream.times, time)] for stream, time in self._order]
        state = dict(self._state)
        names = (self._infos, self._declared, self._proposed)
        for content in (*names, self._streams, self._by_series, self._order, self._state):
            content.clear()
        return infos, points, state

    def declare(
        self, info: SeriesInfo, *, override: bool = False, override_unit: bool = False, proposed: bool = False
    ) -> defer.Deferred[SeriesInfo]:
        """Declare a series, see :meth:`~bbmeasure.storage.base.CaptureStorage.declare`."""
        return _result(lambda: self._declare(info, override, override_unit, proposed))

    def _declare(self, info: SeriesInfo, override: bool, override_unit: bool, proposed: bool) -> SeriesInfo:
        declared = SeriesInfo(info.name, info.kind, info.unit, info.better, info.builders)
        key = (info.name, declaring_builder(info))
        is_trusted = key in self._declared and key not in self._proposed
        if is_trusted and proposed:
            declared = replace(declared, better=Direction.NONE)
        if is_trusted or (proposed and key in self._declared):
            declared = reconcile(self._infos[key], declared, override=override, override_unit=override_unit)
        if key not in self._infos and len(self._infos) >= self._max_series:
            self.counters["refused_series"] += 1
            return declared
        self._infos[key] = declared
        self._declared.add(key)
        (self._proposed.add if proposed and not is_trusted else self._proposed.discard)(key)
        return declared

    def write(self, points: Sequence[Point], state: Optional[Mapping[str, float]] = None) -> defer.Deferred[None]:
        """Write points and the running totals ``state``."""
        return _result(lambda: self._write(points, state or {}))

    def _write(self, points: Sequence[Point], state: Mapping[str, float]) -> None:
        for point in points:
            check_point(point)
            check_stream(point)
        for point in points:
            stream = self._stream(point)
            if stream is None:
                self.counters["refused"] += 1
                continue
            if not isinstance(point.value, str):
                point = replace(point, value=float(point.value), tags=stream.tags)
            elif point.tags is not stream.tags:
                point = replace(point, tags=stream.tags)
            if stream.put(point):
                self._order.append((stream, point.time))
                self._drop_moved(stream, point.time)
        while len(self._order) > self._max_points:
            oldest, time = self._order.popleft()
            oldest.drop(time)
            self.counters["dropped"] += 1
            if not oldest.times:
                self._remove(oldest)
        self._state.update({key: float(value) for key, value in state.items()})
        while len(self._state) > self._max_streams:
            del self._state[next(iter(self._state))]
            self.counters["dropped_state"] += 1

    def _stream(self, point: Point) -> Optional[Stream]:
        """The stream of a point, created if necessary; None beyond the limits."""
        key = StreamKey.of(point)
        stream = self._streams.get(key)
        if stream is None:
            series = (key.series, key.builder)
            is_new = series not in self._infos
            if len(self._streams) >= self._max_streams or (is_new and len(self._infos) >= self._max_series):
                return None
            if is_new:
                kind = Kind.TEXT if isinstance(point.value, str) else Kind.NUMBER
                self._infos[series] = SeriesInfo(key.series, kind, builders=(key.builder,) if key.builder else ())
            self._streams_created += 1
            tags = {tag: value for tag, value in sorted(point.tags.items()) if value}
            stream = self._streams[key] = Stream(self._streams_created, key, tags)
            self._by_series.setdefault(key.series, []).append(stream)
        return stream

    def _drop_moved(self, stream: Stream, time: int) -> None:
        """Drop a point of the same identity that was written for another branch or machine class before."""
        for other in self._by_series[stream.key.series]:
            if other is not stream and other.key[:4] == stream.key[:4]:
                at = bisect_left(other.times, time)
                if at < len(other.times) and other.times[at] == time:
                    other.drop(time)
                    self._order.remove((other, time))
                    if not other.times:
                        self._remove(other)
                    return

    def _remove(self, stream: Stream) -> None:
        del self._streams[stream.key]
        siblings = self._by_series[stream.key.series]
        siblings.remove(stream)
        series = (stream.key.series, stream.key.builder)
        if series not in self._declared and not any(other.key.builder == series[1] for other in siblings):
            del self._infos[series]
        if not siblings:
            del self._by_series[stream.key.series]

    def recall(self, keys: Sequence[str]) -> defer.Deferred[dict[str, float]]:
        """The last ``state`` written under each of ``keys`` that has one."""
        return defer.succeed({key: self._state[key] for key in keys if key in self._state})

    def series(
        self,
        builders: Optional[frozenset[str]] = None,
        *,
        branch: Optional[str] = None,
        proposal: Optional[str] = None,
    ) -> defer.Deferred[list[SeriesInfo]]:
        """All series by name, see :meth:`~bbmeasure.storage.base.Storage.series`."""
        if branch is not None or proposal not in (None, EVERY_PROPOSAL):
            queries = [Query(name, builders=builders, branch=branch, proposal=proposal) for name in self._by_series]
            return defer.succeed(series_of_lines(line for query in queries for line, _ in self._lines(query)))
        keys = [key for key in self._infos if builders is None or key[1] in builders]
        rows = [(*self._info(key, proposal), key) for key in keys]
        rows.sort(key=lambda row: (row[1].last or 0, row[0]), reverse=True)  # group_series takes the first of equals
        declared = (self._declared if proposal else self._declared - self._proposed) if builders is None else ()
        return defer.succeed(group_series(info for _, info, key in rows if info.count or key in declared))

    def _info(self, key: SeriesKey, proposal: Optional[str]) -> tuple[int, SeriesInfo]:
        """The series of one builder, with the number of the stream of its newest point."""
        streams = [
            stream
            for stream in self._by_series.get(key[0], ())
            if stream.key.builder == key[1] and (proposal or not stream.key.proposed)
        ]
        if not streams:
            return 0, self._infos[key]
        last = max(streams, key=lambda stream: (stream.times[-1], stream.number))
        newest = last.points[-1]
        return last.number, replace(
            self._infos[key],
            count=sum(len(stream.times) for stream in streams),
            first=min(stream.times[0] for stream in streams),
            last=newest.time,
            last_value=newest.value,
            last_builder=newest.builder,
            last_tags=dict(newest.tags),
        )

    def lines(self, query: Query) -> defer.Deferred[list[LineInfo]]:
        """The lines of the matching points, see :meth:`~bbmeasure.storage.base.Storage.lines`."""
        return defer.succeed([line for line, _ in self._lines(query)])

    def _lines(self, query: Query) -> Iterator[tuple[LineInfo, list[Point]]]:
        """The lines of the matching points, each with its points ordered by time."""
        held: dict[tuple[Optional[str], ...], list[Point]] = {}
        for stream in self._matching_streams(query):
            key = stream.key
            line = (key.builder, key.tags, key.branch or "", key.machine_class, "x" if key.proposed else "")
            held.setdefault(line, []).extend(self._points_of(stream, query))
        return ((self._line(points), points) for _, points in sorted(held.items()) if points)

    def workers(self, query: Query) -> defer.Deferred[list[str]]:
        """The workers of the matching points, see :meth:`~bbmeasure.storage.base.Storage.workers`."""
        return defer.succeed(sorted({stream.key.worker for stream in self._matching_streams(query)}))

    def overview(self, query: OverviewQuery) -> defer.Deferred[Overview]:
        """One page of the lines, see :meth:`~bbmeasure.storage.base.CaptureStorage.overview`."""
        return defer.succeed(make_overview(chain.from_iterable(map(self._lines, map(Query, self._by_series))), query))

    def compute(self, function: Callable[..., Result], *arguments: Any) -> defer.Deferred[Result]:
        """Call a pure function at once."""
        return _result(lambda: function(*arguments))

    def _line(self, points: list[Point]) -> LineInfo:
        points.sort(key=attrgetter("time"))
        newest = points[-1]
        info = self._infos[newest.series, newest.builder or ""]
        return LineInfo.of(newest, info, len(points), points[0].time)

    def held_lines(self, builder: str) -> defer.Deferred[list[HeldLine]]:
        """Series and tags of a builder, see :meth:`~bbmeasure.storage.base.CaptureStorage.held_lines`."""
        held = {
            (stream.key.series, stream.key.tags, stream.key.proposed): HeldLine(
                stream.key.series, stream.tags, stream.key.proposed
            )
            for stream in self._streams.values()
            if stream.key.builder == builder
        }
        return defer.succeed([line for _, line in sorted(held.items())])

    def count_lines(self) -> defer.Deferred[tuple[int, int]]:
        """The number of lines that are not of proposals, and of those that are."""
        lines = {key._replace(worker=key.machine_class, machine=None) for key in self._streams}
        proposed = sum(key.proposed for key in lines)
        return defer.succeed((len(lines) - proposed, proposed))

    def last(self, query: Query, before: Optional[int] = None) -> defer.Deferred[Optional[Point]]:
        """The newest point; with ``before``, the newest of another build with a smaller buildid."""
        newest: Optional[Point] = None
        for stream in self._matching_streams(query):
            for point in reversed(self._points_of(stream, query)):
                if newest is not None and point.time < newest.time:
                    break
                if before is None or (point.build is not None and point.build.buildid < before):
                    newest = point
                    break
        return defer.succeed(newest)

    def _matching_points(self, query: Query, limit: Optional[int] = None) -> list[Point]:
        """All matching points, or the newest ``limit``, ordered by time."""
        one_meaning(query.series, self._meanings(query))
        parts = [self._points_of(stream, query) for stream in self._matching_streams(query)]
        if limit is not None:
            parts = [part[-limit:] for part in parts]
        if len(parts) == 1:
            return list(parts[0])
        points = [point for part in parts for point in part]
        points.sort(key=attrgetter("time"))  # stable: of points of the same time, that of the older stream comes first
        return points if limit is None else points[-limit:]

    def _matching_streams(self, query: Query) -> Iterator[Stream]:
        for stream in self._by_series.get(query.series, ()):
            key = stream.key
            info = self._infos[key.series, key.builder]
            matches = (
                query.builder in (None, key.builder)
                and query.worker in (None, key.worker)
                and query.branch in (None, key.branch)
                and query.machine in (None, key.machine_class)
                and query.kind in (None, info.kind)
                and query.unit in (None, info.unit)
                and (query.proposal is not None or not key.proposed)
                and (query.builders is None or key.builder in query.builders)
            )
            if matches and tags_match(stream.tags, query.tags, query.exact_tags):
                yield stream

    def _points_of(self, stream: Stream, query: Query) -> Sequence[Point]:
        """The points of a matching stream that match."""
        points = stream.between(query.since, query.until)
        if query.proposal in (None, EVERY_PROPOSAL):
            return points
        return [point for point in points if point.build is not None and point.build.proposal == query.proposal]

    def _meanings(self, query: Query) -> set[tuple[str, Kind, str]]:
        """Builder, kind and unit of each series that matches."""
        infos = {(stream.key.series, stream.key.builder) for stream in self._matching_streams(query)}
        return {(builder, self._infos[name, builder].kind, self._infos[name, builder].unit) for name, builder in infos}

    def records(self, buildid: int) -> defer.Deferred[list[Point]]:
        """All points of a build, ordered by time."""
        points = [
            (point.time, stream.number, point)
            for stream in self._streams.values()
            for point in stream.points
            if point.build is not None and point.build.buildid == buildid
        ]
        return defer.succeed([point for _, _, point in sorted(points, key=lambda item: item[:2])])

    def summarize(self, query: Query, statistics: Sequence[Statistic]) -> defer.Deferred[dict[str, Optional[Value]]]:
        """The statistics by name; None for those that no point defines."""
        return _result(lambda: self._summarize(query, statistics))

    def _summarize(self, query: Query, statistics: Sequence[Statistic]) -> dict[str, Optional[Value]]:
        meaning = one_meaning(query.series, self._meanings(query))
        if meaning is not None:
            check_text_statistics(query.series, meaning[0], statistics)
        values = [point.value for point in self._matching_points(query)]
        numbers = [value for value in values if not isinstance(value, str)]
        return {statistic.name: compute(statistic, values, numbers) for statistic in statistics}

    def points(self, query: Query, limit: int) -> defer.Deferred[list[Point]]:
        """The newest ``limit`` points, oldest first."""
        return _result(lambda: self._matching_points(query, check_limit(limit)))

    def buckets(self, query: Query, count: int) -> defer.Deferred[list[Bucket]]:
        """``count`` intervals of equal length, see :meth:`~bbmeasure.storage.base.Storage.buckets`."""
        return _result(lambda: self._buckets(query, check_buckets(count)))

    run_chain = query_chain.run_chain

    def _buckets(self, query: Query, count: int) -> list[Bucket]:
        points = self._matching_points(query)
        if not points:
            return []
        first = points[0].time if query.since is None else query.since
        end = points[-1].time + 1 if query.until is None else query.until
        return make_buckets(bucket_edges(first, end, count), points)

    def forget(self, series: str) -> defer.Deferred[int]:
        """Remove a series with its points, declaration and state; fires with the number of points."""
        streams = self._by_series.pop(series, [])
        removed = {stream.number for stream in streams}
        for stream in streams:
            del self._streams[stream.key]
        if removed:
            self._order = deque(item for item in self._order if item[0].number not in removed)
        for key in [key for key in self._infos if key[0] == series]:
            del self._infos[key]
            self._declared.discard(key)
        for name in [name for name in self._state if state_series(name) == series]:
            del self._state[name]
        return defer.succeed(sum(len(stream.times) for stream in streams))

    def health(self) -> Health:
        """``dropped`` counts points removed to make room, ``refused`` those beyond the limits of series and streams."""
        return Health(self.name, counters=dict(self.counters))

    def close(self) -> defer.Deferred[None]:
        """Do nothing: no write is ever pending."""
        return defer.succeed(None)


def _result(function: Callable[[], Result]) -> defer.Deferred[Result]:
    """A Deferred that has fired with the result of ``function``, or failed with its MeasureError."""
    try:
        return defer.succeed(function())
    except MeasureError:
        return defer.fail()
