"""MemoryStorage: the store of a master that keeps nothing, bounded in points, streams and series."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Callable, Optional, TypeVar

from twisted.internet import defer

from bbmeasure.errors import MeasureError
from bbmeasure.model import Bucket, Health, Point, Query, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.statistics import Moments, Statistic, Value
from bbmeasure.storage.validation import (
    answer,
    bucket_edges,
    canonical_tags,
    check_buckets,
    check_limit,
    check_point,
    check_stream,
    check_text_statistics,
    reconcile,
    state_series,
    tags_match,
)

Answer = TypeVar("Answer")
StreamKey = tuple[str, str, str, str]


@dataclass
class _Stream:
    """The points of one series, builder, worker and tags, in the order of their time."""

    number: int
    key: StreamKey
    tags: Mapping[str, str]
    times: list[int] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)

    def put(self, point: Point) -> bool:
        """Keep a point; False where it took the place of one."""
        at = bisect_left(self.times, point.time)
        if at < len(self.times) and self.times[at] == point.time:
            self.points[at] = point
            return False
        self.times.insert(at, point.time)
        self.points.insert(at, point)
        return True

    def drop(self, time: int) -> None:
        at = bisect_left(self.times, time)
        del self.times[at], self.points[at]

    def between(self, since: Optional[int], until: Optional[int]) -> Sequence[Point]:
        low = 0 if since is None else bisect_left(self.times, since)
        high = len(self.times) if until is None else bisect_left(self.times, until)
        return self.points[low:high]


class MemoryStorage:
    """Keeps the newest ``max_points`` points that were written, of at most ``max_series`` series.

    Points beyond are dropped, the longest kept first, or refused where the series is a new one too many; both are
    counted in ``health().counters``.  Every Deferred has fired already.
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
        self._most = (max_points, max_series, max_streams)
        self._infos: dict[str, SeriesInfo] = {}
        self._declared: set[str] = set()
        self._streams: dict[StreamKey, _Stream] = {}
        self._by_series: dict[str, list[_Stream]] = {}
        self._order: deque[tuple[_Stream, int]] = deque()
        self._state: dict[str, float] = {}
        self._made = 0
        self.counters: Counter[str] = Counter()

    def is_empty(self) -> bool:
        """Whether nothing is kept: no point, no declaration, no running total."""
        return not (self._order or self._infos or self._state)

    def drain(self) -> tuple[list[SeriesInfo], list[Point], dict[str, float]]:
        """Everything that is kept, points in the order in which they came, and forget it."""
        infos = [self._infos[name] for name in sorted(self._declared)]
        points = [stream.points[bisect_left(stream.times, time)] for stream, time in self._order]
        state = dict(self._state)
        for kept in (self._infos, self._declared, self._streams, self._by_series, self._order, self._state):
            kept.clear()
        return infos, points, state

    def declare(self, info: SeriesInfo, *, override: bool = False) -> defer.Deferred[SeriesInfo]:
        """Say what a series is, see :class:`~bbmeasure.storage.base.Storage`."""
        return _answer(lambda: self._declare(info, override))

    def _declare(self, info: SeriesInfo, override: bool) -> SeriesInfo:
        said = SeriesInfo(info.name, info.kind, info.unit, info.better)
        held = reconcile(self._infos[info.name], said, override=override) if info.name in self._declared else said
        if info.name not in self._infos and len(self._infos) >= self._most[1]:
            self.counters["refused_series"] += 1
            return held
        self._infos[info.name] = held
        self._declared.add(info.name)
        return held

    def write(self, points: Sequence[Point], state: Optional[Mapping[str, float]] = None) -> defer.Deferred[None]:
        """Keep points, and the running totals ``state`` with them."""
        return _answer(lambda: self._write(points, state or {}))

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
        while len(self._order) > self._most[0]:
            oldest, time = self._order.popleft()
            oldest.drop(time)
            self.counters["dropped"] += 1
            if not oldest.times:
                self._remove(oldest)
        self._state.update({key: float(value) for key, value in state.items()})
        while len(self._state) > self._most[2]:
            del self._state[next(iter(self._state))]
            self.counters["dropped_state"] += 1

    def _stream(self, point: Point) -> Optional[_Stream]:
        """The stream of a point, made where there is room for one."""
        key = (point.series, point.builder or "", point.worker or "", canonical_tags(point.tags))
        stream = self._streams.get(key)
        if stream is None:
            is_new = point.series not in self._infos
            if len(self._streams) >= self._most[2] or (is_new and len(self._infos) >= self._most[1]):
                return None
            if is_new:
                kind = Kind.TEXT if isinstance(point.value, str) else Kind.NUMBER
                self._infos[point.series] = SeriesInfo(point.series, kind)
            self._made += 1
            stream = _Stream(self._made, key, {tag: value for tag, value in sorted(point.tags.items()) if value})
            self._streams[key] = stream
            self._by_series.setdefault(point.series, []).append(stream)
        return stream

    def _remove(self, stream: _Stream) -> None:
        del self._streams[stream.key]
        siblings = self._by_series[stream.key[0]]
        siblings.remove(stream)
        if not siblings:
            del self._by_series[stream.key[0]]
            if stream.key[0] not in self._declared:
                del self._infos[stream.key[0]]

    def recall(self, keys: Sequence[str]) -> defer.Deferred[dict[str, float]]:
        """The last ``state`` written under each of ``keys`` that has one."""
        return defer.succeed({key: self._state[key] for key in keys if key in self._state})

    def series(self, builders: Optional[frozenset[str]] = None) -> defer.Deferred[list[SeriesInfo]]:
        """All series by name, with what they hold, see :class:`~bbmeasure.storage.base.Storage`."""
        infos = (self._info(name, builders) for name in sorted(self._infos))
        return defer.succeed([info for info in infos if info.count or builders is None])

    def _info(self, name: str, builders: Optional[frozenset[str]]) -> SeriesInfo:
        streams = self._by_series.get(name, [])
        if builders is not None:
            streams = [stream for stream in streams if stream.key[1] in builders]
        if not streams:
            return self._infos[name]
        newest = max(streams, key=lambda stream: (stream.times[-1], stream.number)).points[-1]
        return replace(
            self._infos[name],
            builders=tuple(sorted({stream.key[1] for stream in streams} - {""})),
            count=sum(len(stream.times) for stream in streams),
            first=min(stream.times[0] for stream in streams),
            last=newest.time,
            last_value=newest.value,
        )

    def last(self, query: Query, before: Optional[int] = None) -> defer.Deferred[Optional[Point]]:
        """The newest point; with ``before``, the newest of another build whose buildid is smaller than that."""
        found: Optional[Point] = None
        for stream in self._meant(query):
            for point in reversed(_between(stream, query)):
                if found is not None and point.time < found.time:
                    break
                if before is None or (point.build is not None and point.build.buildid < before):
                    found = point
                    break
        return defer.succeed(found)

    def _found(self, query: Query, limit: Optional[int] = None) -> list[Point]:
        """All points that are meant, or the newest ``limit``, in the order of their time."""
        parts = [_between(stream, query) for stream in self._meant(query)]
        if limit is not None:
            parts = [part[-limit:] for part in parts]
        if len(parts) == 1:
            return list(parts[0])
        found = [point for part in parts for point in part]
        found.sort(key=attrgetter("time"))  # a stable one: at one time the older stream is first
        return found if limit is None else found[-limit:]

    def _meant(self, query: Query) -> Iterator[_Stream]:
        for stream in self._by_series.get(query.series, ()):
            if query.builder not in (None, stream.key[1]) or query.worker not in (None, stream.key[2]):
                continue
            if query.builders is not None and stream.key[1] not in query.builders:
                continue
            if tags_match(stream.tags, query.tags, query.exact_tags):
                yield stream

    def records(self, buildid: int) -> defer.Deferred[list[Point]]:
        """All points of a build, in the order of their time."""
        found = [
            (point.time, stream.number, point)
            for stream in self._streams.values()
            for point in stream.points
            if point.build is not None and point.build.buildid == buildid
        ]
        return defer.succeed([point for _, _, point in sorted(found, key=lambda item: item[:2])])

    def summarize(self, query: Query, statistics: Sequence[Statistic]) -> defer.Deferred[dict[str, Optional[Value]]]:
        """Each statistic by its name; None where there is no data."""
        return _answer(lambda: self._summarize(query, statistics))

    def _summarize(self, query: Query, statistics: Sequence[Statistic]) -> dict[str, Optional[Value]]:
        info = self._infos.get(query.series)
        if info is not None:
            check_text_statistics(info, statistics)
        values = [point.value for point in self._found(query)]
        numbers = [value for value in values if not isinstance(value, str)]
        return {one.name: answer(one, values, numbers) for one in statistics}

    def points(self, query: Query, limit: int) -> defer.Deferred[list[Point]]:
        """The newest ``limit`` points, oldest first."""
        return _answer(lambda: self._found(query, check_limit(limit)))

    def buckets(self, query: Query, count: int) -> defer.Deferred[list[Bucket]]:
        """``count`` equal stretches from the first point (or ``since``) to the last (or ``until``); [] for no data."""
        return _answer(lambda: self._buckets(query, check_buckets(count)))

    def _buckets(self, query: Query, count: int) -> list[Bucket]:
        found = self._found(query)
        if not found:
            return []
        first = found[0].time if query.since is None else query.since
        end = found[-1].time + 1 if query.until is None else query.until
        times = [point.time for point in found]
        edges = bucket_edges(first, end, count)
        marks = [bisect_left(times, edge) for edge in edges]
        return [_bucket(edges[at], found[marks[at] : marks[at + 1]]) for at in range(count)]

    def forget(self, series: str) -> defer.Deferred[int]:
        """Remove a series with its points, declaration and state; how many points that were."""
        streams = self._by_series.pop(series, [])
        gone = {stream.number for stream in streams}
        for stream in streams:
            del self._streams[stream.key]
        if gone:
            self._order = deque(item for item in self._order if item[0].number not in gone)
        self._infos.pop(series, None)
        self._declared.discard(series)
        for key in [key for key in self._state if state_series(key) == series]:
            del self._state[key]
        return defer.succeed(sum(len(stream.times) for stream in streams))

    def health(self) -> Health:
        """How it is: what was ``dropped`` to make room, and ``refused`` for want of it."""
        return Health(self.name, counters=dict(self.counters))

    def close(self) -> defer.Deferred[None]:
        """Nothing waits here."""
        return defer.succeed(None)


def _answer(question: Callable[[], Answer]) -> defer.Deferred[Answer]:
    """A Deferred that has fired with the answer, or failed with the MeasureError there was."""
    try:
        return defer.succeed(question())
    except MeasureError:
        return defer.fail()


def _between(stream: _Stream, query: Query) -> Sequence[Point]:
    return stream.between(query.since, query.until)


def _bucket(time: int, points: Sequence[Point]) -> Bucket:
    moments = Moments.of(point.value for point in points if not isinstance(point.value, str))
    if not moments.count:
        return Bucket(time, len(points), None, None, None)
    return Bucket(time, len(points), moments.mean, moments.minimum, moments.maximum)
