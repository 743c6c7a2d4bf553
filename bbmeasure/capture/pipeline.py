"""The capture pipeline of one master: gives each value its series, tags and time, and hands it to the stores."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional

from twisted.internet import defer
from twisted.python.failure import Failure

from bbmeasure.capture import totals
from bbmeasure.capture.cardinality import Limits
from bbmeasure.capture.deadlines import PATIENCE, PendingWrites
from bbmeasure.capture.identity import Facts, Value, facts_of, number_of, point_of, time_offset
from bbmeasure.capture.outgoing import Outgoing
from bbmeasure.errors import MeasureError, SeriesConflictError, StorageFullError
from bbmeasure.model import NANOSECONDS, BuildContext, Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.base import Storage
from bbmeasure.storage.memory import MemoryStorage
from bbmeasure.storage.validation import check_point
from bbmeasure.times import nanoseconds

__all__ = ["MOST_HELD", "PATIENCE", "Pipeline", "Value"]

#: The most values that wait for a store to say what their series are, or where their totals stand.
MOST_HELD = 100_000
#: Seconds after which the store is asked again what a series is: another process may have made it forget.
KNOWN_FOR = 5.0
#: How many points that waited in memory are written at once, so that the reactor is not held up.
CARRIED_AT_ONCE = 1_000
_SECOND_BACK = NANOSECONDS
#: The unix second (in 2004) from which on a time that was given takes the master's share.
_SINCE = 2**30


class Pipeline(PendingWrites):
    """The capture pipeline of one master.

    ``stores`` are the stores that points are written to; queries go to the first of them.  ``counters`` holds how many
    values were captured, refused or late.
    """

    def __init__(self, clock: Any, *, master_name: Optional[str] = None) -> None:
        super().__init__(clock)
        self.memory = MemoryStorage()
        self.stores: list[Storage] = [self.memory]
        self._last_time = 0
        self._offset = time_offset(master_name)
        self._facts: Optional[Facts] = None
        self._context: Optional[BuildContext] = None
        self._known: dict[str, SeriesInfo] = {}
        self._known_since = 0.0
        self._asking: dict[tuple[SeriesInfo, bool], list[defer.Deferred[SeriesInfo]]] = {}
        self._held = 0
        self._totals = totals.Totals()
        self._first: dict[str, Point] = {}
        self._carrying = 0
        self._carried: list[defer.Deferred[None]] = []
        self._limits = Limits(clock)
        self._outgoing = Outgoing(self._write, self)

    @property
    def storage(self) -> Storage:
        """The store that answers questions."""
        return self.stores[0]

    @property
    def opted_out(self) -> bool:
        """Whether no instance is configured, so that all stays in memory."""
        return self.stores == [self.memory]

    # where points go

    def attach(self, storage: Storage) -> defer.Deferred[None]:
        """Points go to ``storage`` from now on; fires when those that waited in memory are there too.

        That may be never where the store hangs: a service that starts must not wait for it.
        """
        if self.opted_out:
            self._take([storage])
            memory, self.memory = self.memory, MemoryStorage()
            self._carrying += 1
            return self._carry_over(memory, storage).addBoth(self._carry_ended)
        if storage not in self.stores:
            self._take([*self.stores, storage])
        return defer.succeed(None)

    def detach(self, storage: Storage) -> None:
        """Points go there no longer; with no store left, memory takes them."""
        self._take([other for other in self.stores if other is not storage] or [self.memory])

    def _take(self, stores: list[Storage]) -> None:
        """Points go to these from now on, those that wait still to the ones before; what is known of them is not."""
        self._outgoing.send()
        self._outgoing = Outgoing(self._write, self)
        self.stores = stores
        self._known.clear()
        self._totals.clear()

    def adopt(self, other: Pipeline) -> None:
        """Take over what ``other`` captured into memory before there was a master."""
        self.counters.update(other.counters)
        other.counters.clear()
        self.memory, self._first, self._last_time = other.memory, other._first, other._last_time
        self.stores = [self.memory]

    @defer.inlineCallbacks
    def _carry_over(self, memory: MemoryStorage, storage: Storage) -> Generator[Any, Any, None]:
        """Bring what memory held into the store; running totals go on from where they stand there."""
        first, self._first = self._first, {}
        if memory.is_empty():
            return
        infos, points, state = memory.drain()
        left = len(points)
        try:
            known = yield storage.recall(list(state))
            refused = yield self._declare_each(storage, infos)
            points = [point for point in points if point.series not in refused]
            points, state = totals.go_on(points, state, first, known)
            for begin in range(0, len(points), CARRIED_AT_ONCE):
                yield storage.write(points[begin : begin + CARRIED_AT_ONCE])
                left -= CARRIED_AT_ONCE
            yield storage.write([], state)
        except MeasureError as error:
            self.count("carry_over_failed", f"{left} points from before the store was there are lost: {error}", left)

    def _carry_ended(self, result: Any) -> Any:
        self._carrying -= 1
        if not self._carrying:
            carried, self._carried = self._carried, []
            self.succeed(None, carried)
        return result

    @defer.inlineCallbacks
    def _declare_each(self, storage: Storage, infos: Sequence[SeriesInfo]) -> Generator[Any, Any, set[str]]:
        """Say what each series is; the names of those that are something else already."""
        refused = set()
        for info in infos:
            try:
                yield storage.declare(info)
            except SeriesConflictError as error:
                refused.add(info.name)
                self.count("carry_over_failed", f"points from before the store was there are lost: {error}")
        return refused

    # values in

    def now(self) -> int:
        """Nanoseconds, later than any before unless the clock was set back by more than a second."""
        now = int(self.clock.seconds() * NANOSECONDS) + self._offset
        if self._last_time - _SECOND_BACK < now <= self._last_time:
            now = self._last_time + 1
        self._last_time = now
        return now

    def at(self, second: float) -> int:
        """Nanoseconds of a time that was given."""
        return nanoseconds(second) + (self._offset if second >= _SINCE else 0)

    def capture(self, value: Value, answer: Optional[defer.Deferred[None]] = None) -> defer.Deferred[None]:
        """Keep one value; ``answer`` fires when it is on disk, fails with a MeasureError that says why it is not.

        Who stops waiting for it may cancel it: the value stays on its way.
        """
        answer = defer.Deferred() if answer is None else answer
        point = self._accepted(value, answer)
        if point is not None:
            self._outgoing.add([point], [answer])
        return answer

    def capture_all(self, values: Sequence[Value]) -> list[defer.Deferred[None]]:
        """The same for each of ``values``, in one write as far as their series are known."""
        answers: list[defer.Deferred[None]] = [defer.Deferred() for _ in values]
        accepted = [
            (point, answer)
            for value, answer in zip(values, answers)
            if (point := self._accepted(value, answer)) is not None
        ]
        self._outgoing.add([point for point, _ in accepted], [answer for _, answer in accepted])
        return answers

    def _accepted(self, value: Value, answer: defer.Deferred[None]) -> Optional[Point]:
        """The point to write now; None where the value is refused, or the store must first say what its series is."""
        try:
            point = self._point(value)
        except MeasureError:
            self.counters["refused"] += 1
            self.fail(Failure(), [answer])  # type: ignore[no-untyped-call]
            return None
        if self._is_known(value):
            return point
        self._ask(value).addCallbacks(
            self._write_later, self.fail, callbackArgs=(point, answer), errbackArgs=([answer],)
        )
        return None

    def _write_later(self, _: SeriesInfo, point: Point, answer: defer.Deferred[None]) -> None:
        self._outgoing.add([point], [answer])

    def _write(self, points: Sequence[Point], state: Optional[Mapping[str, float]] = None) -> defer.Deferred[None]:
        for store in self.stores[1:]:
            store.write(points, state or {}).addErrback(
                lambda why: self.count("copy_failed", f"a second store took no points: {why.value}")
            )
        return self.storage.write(points, state or {})

    def _point(self, value: Value) -> Point:
        """The point of a value; StorageError where no store can hold it, LimitError where its builder has too many.

        What the master makes itself is not counted: nothing that a worker sends can keep it out.
        """
        point = point_of(value, self.now() if value.time is None else value.time)
        check_point(point)  # here, as a store refuses all of a write
        if value.limited:
            self._limits.check(point)
        return point

    def context_of(self, build_or_step: Any) -> Optional[BuildContext]:
        """The build of a value: the same object as long as no other comes, as many thousands of points may wait."""
        facts = facts_of(build_or_step)
        if facts != self._facts:
            self._facts = facts
            self._context = None if facts is None else BuildContext(*facts)
        return self._context

    def settle(self) -> defer.Deferred[None]:
        """Fires when nothing is on its way to a store any longer; what could be written is, at once."""
        self._outgoing.send()
        return super().settle()

    # what series are

    def _is_known(self, value: Value) -> bool:
        """Whether the store said not long ago that the series is what ``value`` is, so that nothing need be asked."""
        now = self.clock.seconds()
        if not 0 <= now - self._known_since < KNOWN_FOR:
            self._known.clear()
            self._known_since = now
        record = value.record
        held = self._known.get(record.name)
        if held is None or record.unit != held.unit or record.better not in (Direction.NONE, held.better):
            return False
        plain = record.kind is Kind.NUMBER and held.kind is not Kind.TEXT and not value.fixed_kind
        return record.kind is held.kind or plain

    def _ask(self, value: Value) -> defer.Deferred[SeriesInfo]:
        """What the store says the series is; SeriesConflictError where it is something else."""
        if self._held >= MOST_HELD:
            return defer.fail(StorageFullError(f"{self._held} values wait for a store that does not answer"))
        record = value.record
        wanted = (SeriesInfo(record.name, record.kind, record.unit, record.better), value.fixed_kind)
        answer: defer.Deferred[SeriesInfo] = defer.Deferred()
        self._held += 1
        if wanted in self._asking:
            self._asking[wanted].append(answer)
            return answer
        self._asking[wanted] = [answer]
        self.begin()
        self._declare(wanted)
        return answer

    def _declare(self, wanted: tuple[SeriesInfo, bool]) -> None:
        info, override = wanted
        for other in self.stores[1:]:
            other.declare(info, override=override).addErrback(
                lambda why: self.count("copy_failed", f"a second store refused a series: {why.value}")
            )
        self.storage.declare(info, override=override).addBoth(self._declared, self.storage, wanted)

    def _declared(self, result: Any, storage: Storage, wanted: tuple[SeriesInfo, bool]) -> None:
        if storage is not self.storage:  # another took its place meanwhile
            self._declare(wanted)
            return
        waiting = self._asking.pop(wanted)
        self._held -= len(waiting)
        failed = isinstance(result, Failure)
        if failed:
            self.counters["refused"] += len(waiting)
        else:
            self._known[result.name] = replace(result, builders=())
        for answer in waiting:
            (answer.errback if failed else answer.callback)(result)
        self.end()

    # running totals

    def accumulate(self, value: Value, *, absolute: bool) -> defer.Deferred[None]:
        """Store the running total of what was captured of this series, builder and tags."""
        amount = number_of(value)
        amount = abs(amount) if absolute else amount
        return self._running("total", value, lambda last: (last or 0.0) + amount, lambda _, total: total)

    def difference(self, value: Value) -> defer.Deferred[None]:
        """Store the difference from the last reported value; the first stores nothing."""
        amount = number_of(value)
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
        if self._held >= MOST_HELD:
            raise StorageFullError(f"{self._held} values wait for a store that does not answer")
        key = totals.key_of(
            mode, value.record.name, value.context.builder if value.context else None, value.record.tags
        )
        self._held += 1
        self.begin()
        try:
            written = yield self._totals.run(key, lambda: self._step(key, value, next_state, stored))
        finally:
            self._held -= 1
            self.end()
        yield written[0]

    @defer.inlineCallbacks
    def _step(
        self,
        key: str,
        value: Value,
        next_state: Callable[[Optional[float]], float],
        stored: Callable[[Optional[float], float], Optional[float]],
    ) -> Generator[Any, Any, list[defer.Deferred[None]]]:
        """The Deferred of the write, in a list so that nobody waits for it."""
        storage = None
        while storage is not self.storage:  # until the same store answered both questions
            storage = self.storage
            if self._carrying:
                self._carried.append(defer.Deferred())
                yield self._carried[-1]
            last = yield self._totals.recall(key, storage)
            state = next_state(last)
            to_store = stored(last, state)
            stored_value = state if to_store is None else to_store
            one = value._replace(record=replace(value.record, value=stored_value, samples=()))
            if not self._is_known(one):
                yield self._ask(one)
        point = self._point(one)
        if to_store is None and self.opted_out:
            self._first[key] = point
        self.counters["captured"] += to_store is not None
        written = self._write([] if to_store is None else [point], {key: state})
        self._totals.put(key, state, written)
        return [written]
