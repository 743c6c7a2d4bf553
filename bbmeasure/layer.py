"""The capture layer of one master: gives each value its series, its tags and its time, and hands it to the stores."""

from __future__ import annotations

import json
import weakref
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from statistics import median
from typing import Any, Optional, Union

from twisted.internet import defer
from twisted.logger import Logger

from bbmeasure.errors import LimitError, MeasureError, RecordError
from bbmeasure.records import Direction, Kind, Record
from bbmeasure.storage.base import NANOSECONDS, BuildContext, Point, SeriesInfo, Storage, reconcile
from bbmeasure.storage.memory import MemoryStorage
from bbmeasure.units import excerpt

log = Logger()

#: Seconds that a caller waits for a store before its Deferred fires all the same.
PATIENCE = 10.0
#: Limits of one builder: series, and series with their tags told apart.
MOST_SERIES = 2_000
MOST_STREAMS = 20_000
_SECOND_BACK = NANOSECONDS


@dataclass(frozen=True)
class Switches:
    """What is tracked without naming it; ``properties`` are patterns such as ``pylint-*``."""

    build_times: bool = False
    step_times: bool = False
    statistics: bool = False
    properties: tuple[str, ...] = ()
    master_metrics: bool = False

    def __or__(self, other: Switches) -> Switches:
        return Switches(
            self.build_times or other.build_times,
            self.step_times or other.step_times,
            self.statistics or other.statistics,
            tuple(dict.fromkeys(self.properties + other.properties)),
            self.master_metrics or other.master_metrics,
        )

    def wants_property(self, name: str) -> bool:
        """Whether one of the patterns matches."""
        return any(fnmatchcase(name, pattern) for pattern in self.properties)

    @property
    def of_builds(self) -> bool:
        """Whether anything of a build is wanted."""
        return self.build_times or self.step_times or self.statistics or bool(self.properties)


@dataclass(frozen=True)
class Value:
    """A record on its way into a series: what the master adds to it.

    ``time`` in nanoseconds, None for now.  ``fixed_kind``: master.cfg gave the kind, which wins over the series'.
    ``master_tags`` are those that only the master sets, such as ``result`` and ``step``.
    """

    record: Record
    context: Optional[BuildContext] = None
    time: Optional[int] = None
    fixed_kind: bool = False
    master_tags: Optional[Mapping[str, str]] = None


class Capture:
    """The capture layer of one master.

    ``stores`` holds where points go, the first of them answers questions unless ``answering`` does; ``sources`` are
    the stores that instances offer by their name.  ``counters`` says what was captured, refused, late.
    """

    def __init__(self, clock: Any, *, master: Any = None, in_thread: Optional[Callable[..., Any]] = None) -> None:
        self.clock = clock
        self._master = weakref.ref(master) if master is not None else None
        self.memory = MemoryStorage()
        self.stores: list[Storage] = [self.memory]
        self.sources: dict[str, Storage] = {}
        self.answering: Optional[Storage] = None
        self.counters: Counter[str] = Counter()
        self.call_from_thread = in_thread
        self._last_time = 0
        self._declared: dict[str, SeriesInfo] = {}
        self._totals: dict[str, float] = {}
        self.switches: dict[str, Switches] = {}
        self._following: set[defer.Deferred[None]] = set()
        self._said: set[tuple[str, tuple[str, ...]]] = set()
        self._locks: dict[str, defer.DeferredLock] = {}
        self._streams: dict[str, set[tuple[str, str]]] = {}
        self._series: dict[str, set[str]] = {}

    @property
    def storage(self) -> Storage:
        """The store that answers questions."""
        return self.stores[0]

    @property
    def opted_out(self) -> bool:
        """Whether no instance is configured, so that all stays in memory."""
        return self.stores == [self.memory]

    @property
    def master(self) -> Any:
        """The master; None once it is gone, or for what is captured outside of any."""
        return self._master() if self._master is not None else None

    # where points go

    def attach(self, storage: Storage) -> defer.Deferred[None]:
        """Points go to ``storage`` from now on; fires when those that waited in memory are there too."""
        self._reset_caches()
        if self.opted_out:
            self.stores = [storage]
            return self._carry_over(storage)
        if storage not in self.stores:
            self.stores.append(storage)
        return defer.succeed(None)

    def detach(self, storage: Storage) -> None:
        """Points go there no longer; with no store left, memory takes them."""
        self._reset_caches()
        self.stores = [other for other in self.stores if other is not storage] or [self.memory]

    def _reset_caches(self) -> None:
        self._declared.clear()
        self._totals.clear()

    def take_over(self, other: Capture) -> defer.Deferred[None]:
        """Take what another capture kept in memory before this one's master was known."""
        self.counters.update(other.counters)
        other.counters.clear()
        self.memory = other.memory if self.memory.is_empty() else self.memory
        if self.opted_out or not self.stores[0:1] or isinstance(self.stores[0], MemoryStorage):
            self.stores = [self.memory]
            return defer.succeed(None)
        return self._carry_over(self.storage)

    @defer.inlineCallbacks
    def _carry_over(self, storage: Storage) -> Generator[Any, Any, None]:
        memory, self.memory = self.memory, MemoryStorage()
        if memory.is_empty():
            return
        try:
            infos, points, state = memory.drain()
            for info in infos:
                yield storage.declare(info)
            yield storage.write(points, state)
        except MeasureError as error:
            self.count("carry_over_failed", f"points captured before the store was there were lost: {error}")

    # values in

    def now(self) -> int:
        """Nanoseconds, later than any before unless the clock was set back by more than a second."""
        now = int(self.clock.seconds() * NANOSECONDS)
        if self._last_time - _SECOND_BACK < now <= self._last_time:
            now = self._last_time + 1
        self._last_time = now
        return now

    def capture(self, value: Value) -> defer.Deferred[None]:
        """Keep one value; fires when it is on disk, fails with a MeasureError that says why it is not."""
        return self.capture_all([value])[0]

    def capture_all(self, values: Sequence[Value]) -> list[defer.Deferred[None]]:
        """Keep values, each with a Deferred of its own, in one write as far as their series are known."""
        ready: list[tuple[Point, int]] = []
        answers: list[Optional[defer.Deferred[None]]] = []
        for value in values:
            try:
                point = self._point(value)
                self._check_limits(point)
                info = self._declare(value)
            except MeasureError as error:
                self.counters["refused"] += 1
                answers.append(defer.fail(error))
                continue
            if isinstance(info, defer.Deferred):
                answers.append(info.addCallback(self._write_one, point))
            else:
                ready.append((point, len(answers)))
                answers.append(None)
        if ready:
            written = self._write([point for point, _ in ready])
            for _, at in ready:
                answers[at] = _follow(written)
        return [answer for answer in answers if answer is not None]

    def accumulate(self, value: Value, *, absolute: bool) -> defer.Deferred[None]:
        """Store the running total of what was captured of this series, builder and tags."""
        amount = _number(value)
        amount = abs(amount) if absolute else amount
        return self._running("total", value, lambda last: (last or 0.0) + amount, lambda _, total: total)

    def difference(self, value: Value) -> defer.Deferred[None]:
        """Store the difference from the last reported value; the first stores nothing."""
        amount = _number(value)
        return self._running("last", value, lambda _: amount, lambda last, _: None if last is None else amount - last)

    @defer.inlineCallbacks
    def _running(
        self,
        mode: str,
        value: Value,
        next_state: Callable[[Optional[float]], float],
        stored: Callable[[Optional[float], float], Optional[float]],
    ) -> Generator[Any, Any, None]:
        """One step of a running total or difference, one after the other for each key."""
        builder = value.context.builder if value.context else None
        key = json.dumps([mode, value.record.name, builder, dict(value.record.tags)], sort_keys=True)
        lock = self._locks.setdefault(key, defer.DeferredLock())
        yield lock.acquire()
        try:
            if key not in self._totals:
                known = yield self.storage.recall([key])
                if key in known:
                    self._totals[key] = known[key]
            last = self._totals.get(key)
            state = next_state(last)
            to_store = stored(last, state)
            record = replace(value.record, value=state if to_store is None else to_store, samples=())
            yield self._declare(replace(value, record=record))
            point = self._point(replace(value, record=record))
            self._check_limits(point)
            self._totals[key] = state
            written = self._write([] if to_store is None else [point], {key: state})
        finally:
            lock.release()
        yield written

    def _write_one(self, _: SeriesInfo, point: Point) -> defer.Deferred[None]:
        return self._write([point])

    def _write(self, points: Sequence[Point], state: Optional[Mapping[str, float]] = None) -> defer.Deferred[None]:
        self.counters["captured"] += len(points)
        writes = [store.write(points, state or {}) for store in self.stores]
        if len(writes) == 1:
            return writes[0]
        for copy in writes[1:]:
            copy.addErrback(lambda why: self.count("copy_failed", f"a second store took no points: {why.value}"))
        return writes[0]

    def _declare(self, value: Value) -> Union[SeriesInfo, defer.Deferred[SeriesInfo]]:
        """What the series of ``value`` is, at once where that is known; SeriesConflictError where it disagrees."""
        record = value.record
        held = self._declared.get(record.name)
        if held is None or (record.better is not Direction.NONE and record.better is not held.better):
            return self._ask(value)
        if value.fixed_kind and record.kind is not held.kind and (record.kind is Kind.TEXT) == (held.kind is Kind.TEXT):
            return self._ask(value)
        reconcile(held, SeriesInfo(record.name, record.kind, record.unit))
        return held

    def _ask(self, value: Value) -> defer.Deferred[SeriesInfo]:
        record = value.record
        info = SeriesInfo(record.name, record.kind, record.unit, record.better)
        asked = self.storage.declare(info, override=value.fixed_kind)
        for other in self.stores[1:]:
            other.declare(info, override=value.fixed_kind).addErrback(
                lambda why: self.count("copy_failed", f"a second store refused a series: {why.value}")
            )

        def keep(held: SeriesInfo) -> SeriesInfo:
            self._declared[record.name] = replace(held, builders=())
            return held

        def refuse(why: Any) -> Any:
            self.counters["refused"] += 1
            return why

        return asked.addCallbacks(keep, refuse)

    def _point(self, value: Value) -> Point:
        record = value.record
        tags = {**record.tags, **value.master_tags} if value.master_tags else record.tags
        time = self.now() if value.time is None else value.time
        samples = len(record.samples) or 1
        spread = _spread(record) if samples > 1 else None
        return Point(record.name, time, record.value, tags, value.context, samples, spread)

    def _check_limits(self, point: Point) -> None:
        """LimitError where a builder would have too many series, or too many tags in them."""
        builder = point.builder or ""
        streams = self._streams.setdefault(builder, set())
        stream = (point.series, json.dumps(sorted(point.tags.items())) if point.tags else "")
        if stream in streams:
            return
        names = self._series.setdefault(builder, set())
        if point.series not in names and len(names) >= MOST_SERIES:
            raise LimitError(f"series {excerpt(point.series)}: expected at most {MOST_SERIES} series of one builder")
        if len(streams) >= MOST_STREAMS:
            raise LimitError(f"series {excerpt(point.series)}: expected at most {MOST_STREAMS} series with their tags")
        names.add(point.series)
        streams.add(stream)

    @property
    def tracked(self) -> Switches:
        """What the instances want tracked, all together."""
        wanted = Switches()
        for one in self.switches.values():
            wanted = wanted | one
        return wanted

    def follow(self, work: defer.Deferred[None]) -> None:
        """Remember work that nobody waits for, so that a stop can; what goes wrong in it is counted and logged."""
        guarded = self.never_fail(work, "tracking a build")
        self._following.add(guarded)
        guarded.addBoth(lambda _: self._following.discard(guarded))

    def settle(self) -> defer.Deferred[None]:
        """Fires when the work that is followed now has ended."""
        waiting = [_follow(work) for work in self._following]
        return defer.DeferredList(waiting, consumeErrors=True).addCallback(lambda _: None)

    def count_once(self, counter: str, of: tuple[str, ...], why: str) -> None:
        """Count, and say it once for each of ``of``."""
        self.counters[counter] += 1
        if (counter, of) not in self._said and len(self._said) < MOST_STREAMS:
            self._said.add((counter, of))
            log.warn("bbmeasure: {of}: {why}", of=" ".join(of), why=why)

    def count(self, counter: str, why: str) -> None:
        """Count, and say it the first times and then now and again."""
        self.counters[counter] += 1
        if self.counters[counter] <= 10 or self.counters[counter] % 1000 == 0:
            log.warn("bbmeasure: {why} ({counter} {count})", why=why, counter=counter, count=self.counters[counter])

    def never_fail(self, wait: defer.Deferred[None], what: str) -> defer.Deferred[None]:
        """``wait`` that fires with None within PATIENCE, whatever happens; what went wrong is counted and logged."""

        def late(_: Any, seconds: float) -> None:
            self.count("late", f"{what}: not on disk after {seconds:g} s, still on its way")

        def failed(why: Any) -> None:
            if why.check(MeasureError):
                self.count("failed", f"{what}: {why.value}")
            else:
                self.count("errors", f"{what}: {why.type.__name__}")
                log.failure("bbmeasure: {what}", failure=why, what=what)

        guarded: defer.Deferred[None] = _follow(wait)
        guarded.addTimeout(PATIENCE, self.clock, late)
        guarded.addErrback(failed)
        return guarded


def _follow(first: defer.Deferred[None]) -> defer.Deferred[None]:
    """A Deferred that fires as ``first`` does and leaves it to others too."""
    follower: defer.Deferred[None] = defer.Deferred()

    def succeeded(_: None) -> None:
        if not follower.called:
            follower.callback(None)

    def failed(why: Any) -> None:
        if not follower.called:
            follower.errback(why)

    first.addCallbacks(succeeded, failed)
    return follower


def _number(value: Value) -> float:
    if isinstance(value.record.value, str):
        raise RecordError(
            f"series {excerpt(value.record.name)}: expected a number to accumulate or compare, got a text"
        )
    return value.record.value


def _spread(record: Record) -> Optional[float]:
    """The median absolute deviation of the samples from their median, in the base unit."""
    middle = median(record.samples)
    return float(median(abs(sample - middle) for sample in record.samples))
