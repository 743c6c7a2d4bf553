"""The capture pipeline of one master: gives each value its series, tags and time, and writes it to the stores."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional

from twisted.internet import defer
from twisted.python.failure import Failure

from bbmeasure.capture import totals
from bbmeasure.capture.batches import Batches
from bbmeasure.capture.branches import BuildBranches
from bbmeasure.capture.cardinality import LineBudgets
from bbmeasure.capture.deadlines import PendingWrites
from bbmeasure.capture.declarations import SeriesDeclarations
from bbmeasure.capture.identity import BuildFields, Value, build_fields, number_of, point_of, time_offset
from bbmeasure.capture.memory_migration import migrate
from bbmeasure.errors import MeasureError, StorageFullError, StorageUnavailableError
from bbmeasure.model import BuildContext, Point
from bbmeasure.records import Record
from bbmeasure.storage.base import CaptureStorage
from bbmeasure.storage.memory import MemoryStorage
from bbmeasure.storage.validation import check_time, state_key
from bbmeasure.times import NANOSECONDS, nanoseconds

#: The most values that wait for a store to answer where their totals stand.
MAX_QUEUED = 100_000
#: Seconds between two questions where a total stands while the store cannot be read.
RECALL_INTERVAL = 2.0
#: Times go on rising when the clock is set back by less than this, in nanoseconds.
_CLOCK_TOLERANCE = NANOSECONDS
#: The unix second (in 2004) from which on a given time gets the master's offset.
_OFFSET_FROM = 2**30

#: The next state of a running total, from the last one.
NextState = Callable[[Optional[float]], float]
#: The value that is stored, from the last state and the next; None stores nothing.
StoredValue = Callable[[Optional[float], float], Optional[float]]


class Pipeline(PendingWrites):
    """The capture pipeline of one master.

    ``stores`` are the stores that points are written to; queries go to the first of them.  ``counters`` holds how many
    values were captured, refused or late.
    """

    def __init__(self, clock: Any, *, master_name: Optional[str] = None) -> None:
        super().__init__(clock)
        self.memory = MemoryStorage()
        self.stores: list[CaptureStorage] = [self.memory]
        self._last_time = 0
        self._offset = time_offset(master_name)
        self.branches = BuildBranches()
        self._build_fields: Optional[BuildFields] = None
        self._context: Optional[BuildContext] = None
        self._series = SeriesDeclarations(self, lambda: self.stores)
        self._queued = 0
        self._totals = totals.Totals()
        self._first_values: dict[str, Point] = {}
        self._migrations = 0
        self._migrated: list[defer.Deferred[None]] = []
        self._budgets = LineBudgets(self, lambda: self.storage)
        self._batches = Batches(self._write, self)

    @property
    def storage(self) -> CaptureStorage:
        """The store that answers queries."""
        return self.stores[0]

    @property
    def opted_out(self) -> bool:
        """Whether no instance is configured, so that all points stay in memory."""
        return self.stores == [self.memory]

    @property
    def waiting(self) -> int:
        """The number of values that wait until the store answers, beside those that it has."""
        return self._queued + self._series.queued + self._budgets.queued + len(self._batches)

    # stores

    def attach(self, storage: CaptureStorage) -> defer.Deferred[None]:
        """Write points to ``storage`` from now on; fires when those in memory are migrated to it.

        It may never fire where the store hangs: a service must not wait for it to start.
        """
        if self.opted_out:
            self._replace_stores([storage])
            memory, self.memory = self.memory, MemoryStorage()
            first_values, self._first_values = self._first_values, {}
            self._migrations += 1
            return migrate(memory, storage, first_values, self).addBoth(self._migration_ended)
        if storage not in self.stores:
            self._replace_stores([*self.stores, storage])
        return defer.succeed(None)

    def detach(self, storage: CaptureStorage) -> None:
        """Write no more points to ``storage``; without a store they go to memory."""
        self._replace_stores([other for other in self.stores if other is not storage] or [self.memory])

    def _replace_stores(self, stores: list[CaptureStorage]) -> None:
        """Write to ``stores`` from now on; points of the current batch still go to the stores before."""
        self._batches.send()
        self._batches = Batches(self._write, self)
        self.stores = stores
        self._series.clear()
        self._totals.clear()
        self._budgets.clear()

    def adopt(self, other: Pipeline) -> None:
        """Take over what ``other`` captured into memory before there was a master."""
        self.counters.update(other.counters)
        other.counters.clear()
        self.memory, self._first_values, self._last_time = other.memory, other._first_values, other._last_time
        self.stores = [self.memory]

    def _migration_ended(self, result: Any) -> Any:
        self._migrations -= 1
        if not self._migrations:
            migrated, self._migrated = self._migrated, []
            self.succeed(None, migrated)
        return result

    # values

    def now(self) -> int:
        """A time in nanoseconds, later than any before unless the clock was set back by more than a second."""
        now = int(self.clock.seconds() * NANOSECONDS) + self._offset
        if self._last_time - _CLOCK_TOLERANCE < now <= self._last_time:
            now = self._last_time + 1
        self._last_time = now
        return now

    def at(self, second: float) -> int:
        """Nanoseconds of a given time in unix seconds."""
        return nanoseconds(second) + (self._offset if second >= _OFFSET_FROM else 0)

    def capture(self, value: Value, answer: Optional[defer.Deferred[None]] = None) -> defer.Deferred[None]:
        """Store one value; ``answer`` fires when it is on disk, or fails with the MeasureError that prevents that.

        Cancelling the Deferred does not cancel the write.
        """
        answer = defer.Deferred() if answer is None else answer
        point = self._accept(value, answer)
        if point is not None:
            self._batches.add([point], [answer])
        return answer

    def capture_all(self, values: Sequence[Value]) -> list[defer.Deferred[None]]:
        """:meth:`capture` for each of ``values``, at once and in one batch where their series are known."""
        answers: list[defer.Deferred[None]] = [defer.Deferred() for _ in values]
        accepted = [
            (point, answer)
            for value, answer in zip(values, answers)
            if (point := self._accept(value, answer)) is not None
        ]
        self._batches.add([point for point, _ in accepted], [answer for _, answer in accepted], at_once=True)
        return answers

    def _accept(self, value: Value, answer: defer.Deferred[None]) -> Optional[Point]:
        """The point to write now; None where the value is refused, or the store has to answer first."""
        try:
            point = point_of(value, self.now() if value.time is None else value.time)
            check_time(point.time)
            if not self._has_budget(value):
                load = self._budgets.load(point.builder or "")
                timed = value._replace(time=point.time)
                load.addCallbacks(self._accept_loaded, self.fail, callbackArgs=(timed, answer), errbackArgs=([answer],))
                return None
            self._check_budget(value, point)
        except MeasureError:
            self.counters["refused"] += 1
            self.fail(Failure(), [answer])  # type: ignore[no-untyped-call]
            return None
        if self._series.accepts(value):
            return point
        self._series.declare(value).addCallbacks(
            self._write_declared, self.fail, callbackArgs=(point, answer), errbackArgs=([answer],)
        )
        return None

    def _has_budget(self, value: Value) -> bool:
        """Whether the budget that a value counts against is known."""
        return not value.limited or self._budgets.is_loaded(value.context.builder if value.context else "")

    def _check_budget(self, value: Value, point: Point) -> None:
        """LimitError over the builder's budget.

        Values that the master itself makes are not limited, so that nothing a worker sends can displace them.
        """
        if value.limited:
            self._budgets.check(point, named=value.named)

    def _accept_loaded(self, _: Any, value: Value, answer: defer.Deferred[None]) -> None:
        point = self._accept(value, answer)
        if point is not None:
            self._batches.add([point], [answer])

    def _write_declared(self, _: Any, point: Point, answer: defer.Deferred[None]) -> None:
        self._batches.add([point], [answer])

    def _write(self, points: Sequence[Point], state: Optional[Mapping[str, float]] = None) -> defer.Deferred[None]:
        for store in self.stores[1:]:
            store.write(points, state or {}).addErrback(
                lambda why: self.count("copy_failed", f"a second store took no points: {why.value}")
            )
        return self.storage.write(points, state or {})

    def context_of(self, build_or_step: Any) -> Optional[BuildContext]:
        """The BuildContext of a build or step: the same object for one build's values, to save memory."""
        fields = build_fields(build_or_step, self.branches)
        if fields != self._build_fields:
            self._build_fields = fields
            self._context = None if fields is None else BuildContext(*fields)
        return self._context

    def write_all(self) -> defer.Deferred[None]:
        """Write the current batch; fires when all that the store was given before is on disk."""
        self._batches.send()
        return self.storage.write([], {})

    def settle(self) -> defer.Deferred[None]:
        """Write the current batch; fires when all background work and all writes that were begun have ended."""
        self._batches.send()
        return super().settle()

    # running totals

    def accumulate(self, value: Value, *, absolute: bool) -> defer.Deferred[None]:
        """Store the running total of this series, builder and tags."""
        amount = number_of(value)
        amount = abs(amount) if absolute else amount
        return self._running("total", value, lambda last: (last or 0.0) + amount, lambda _, total: total)

    def difference(self, value: Value) -> defer.Deferred[None]:
        """Store the difference from the last reported value; the first stores nothing."""
        amount = number_of(value)
        return self._running("last", value, lambda _: amount, lambda last, _: None if last is None else amount - last)

    @defer.inlineCallbacks
    def _running(
        self, mode: str, value: Value, next_state: NextState, stored: StoredValue
    ) -> Generator[Any, Any, None]:
        """One step of a running total or difference; the steps of one key run one after the other."""
        if self._queued >= MAX_QUEUED:
            raise StorageFullError(f"{self._queued} values wait for a store that does not answer")
        builder = value.context.builder if value.context else None
        key = state_key(mode, value.record.name, builder, value.record.tags)
        self._queued += 1
        self.begin()
        try:
            written = yield self._totals.run(key, lambda: self._step(key, value, next_state, stored))
        finally:
            self._queued -= 1
            self.end()
        yield written[0]

    @defer.inlineCallbacks
    def _step(
        self, key: str, value: Value, next_state: NextState, stored: StoredValue
    ) -> Generator[Any, Any, list[defer.Deferred[None]]]:
        """The Deferred of the write, in a list so that the next step does not wait for it."""
        storage, builder = None, value.context.builder if value.context else ""
        while storage is not self.storage:  # until the same store has answered both questions
            storage = self.storage
            if self._migrations:
                self._migrated.append(defer.Deferred())
                yield self._migrated[-1]
            last = yield self._recall(key, storage)
            state = next_state(last)
            to_store = stored(last, state)
            value = value._replace(record=_with_value(value.record, state if to_store is None else to_store))
            if not self._series.accepts(value):
                yield self._series.declare(value)
        if not self._has_budget(value):
            yield self._budgets.load(builder)
        point = point_of(value, self.now() if value.time is None else value.time)
        check_time(point.time)
        self._check_budget(value, point)
        if to_store is None and self.opted_out:
            self._first_values[key] = point
        self.counters["captured"] += to_store is not None
        written = self._write([] if to_store is None else [point], {key: state})
        self._totals.put(key, state, written)
        return [written]

    @defer.inlineCallbacks
    def _recall(self, key: str, storage: CaptureStorage) -> Generator[Any, Any, Optional[float]]:
        """The state of a total; waits while the store cannot be read, until another one takes its place."""
        while storage is self.storage:
            try:
                return (yield self._totals.recall(key, storage))  # type: ignore[no-any-return]
            except StorageUnavailableError as error:
                if storage is not self.storage:
                    break
                self.count("totals_wait", f"a running total waits for its store: {error}")
            waited: defer.Deferred[None] = defer.Deferred()
            self.clock.callLater(RECALL_INTERVAL, waited.callback, None)
            yield waited
        return None


def _with_value(record: Record, value: float) -> Record:
    return replace(record, value=value, samples=(), signed=True)
