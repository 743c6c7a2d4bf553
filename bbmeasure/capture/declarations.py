"""SeriesDeclarations: what the store holds a series to be, cached for a few seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet import defer
from twisted.python.failure import Failure

from bbmeasure.capture.deadlines import PendingWrites
from bbmeasure.capture.identity import Value
from bbmeasure.errors import StorageFullError
from bbmeasure.model import SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.base import CaptureStorage

#: Seconds after which a series is declared again: another process may have deleted it.
CACHED_FOR = 5.0
#: The most values that wait for their series to be declared.
MAX_QUEUED = 100_000

#: The most series whose direction master.cfg gives that are remembered.
MAX_FIXED = 20_000

#: A series to declare, whether its kind and its unit override those that the store holds, and whether a proposal
#: declares it.
Declaration = tuple[SeriesInfo, bool, bool, bool]


class SeriesDeclarations:
    """Declares the series of values in all stores; the first store decides whether a value fits its series."""

    def __init__(self, pending: PendingWrites, stores: Callable[[], Sequence[CaptureStorage]]) -> None:
        """``stores`` returns the stores that points are written to now."""
        self._pending = pending
        self._stores = stores
        self._known: dict[tuple[str, str, bool], SeriesInfo] = {}
        self._known_since = 0.0
        #: The number of values that wait for their series to be declared.
        self.queued = 0
        self._fixed_better: set[tuple[str, str]] = set()
        self._waiting: dict[Declaration, list[defer.Deferred[SeriesInfo]]] = {}

    def clear(self) -> None:
        """Forget what is cached, for another store."""
        self._known.clear()

    def accepts(self, value: Value) -> bool:
        """Whether the cached declaration of its series accepts a value; else it has to be declared."""
        now = self._pending.clock.seconds()
        if not 0 <= now - self._known_since < CACHED_FOR:
            self._known.clear()
            self._known_since = now
        record, proposed = value.record, _is_proposed(value)
        held = self._known.get((record.name, _builder_of(value), proposed))
        if held is None or record.unit != held.unit:
            return False
        has_better = value.fixed_better or record.better is not Direction.NONE
        if has_better and not proposed and self._better_of(value) not in (Direction.NONE, held.better):
            return False
        plain = record.kind is Kind.NUMBER and held.kind is not Kind.TEXT and not value.fixed_kind
        return record.kind is held.kind or plain

    def declare(self, value: Value) -> defer.Deferred[SeriesInfo]:
        """Declare the series of a value; SeriesConflictError where the store holds it to be something else.

        Equal declarations that are under way share one question to the store.
        """
        if self.queued >= MAX_QUEUED:
            return defer.fail(StorageFullError(f"{self.queued} values wait for a store that does not answer"))
        record = value.record
        builder = _builder_of(value)
        builders = (builder,) if builder else ()
        info = SeriesInfo(record.name, record.kind, record.unit, self._better_of(value), builders)
        declaration = (info, value.fixed_kind, value.fixed_unit, _is_proposed(value))
        answer: defer.Deferred[SeriesInfo] = defer.Deferred()
        self.queued += 1
        if declaration in self._waiting:
            self._waiting[declaration].append(answer)
            return answer
        self._waiting[declaration] = [answer]
        self._pending.begin()
        self._declare(declaration)
        return answer

    def _better_of(self, value: Value) -> Direction:
        """The direction that a value declares: none from a worker where master.cfg gives one."""
        key = (value.record.name, _builder_of(value))
        if value.fixed_better and len(self._fixed_better) < MAX_FIXED:
            self._fixed_better.add(key)
        is_free = value.fixed_better or key not in self._fixed_better
        return value.record.better if is_free else Direction.NONE

    def _declare(self, declaration: Declaration) -> None:
        info, *fixed = declaration
        override = {name: True for name, given in zip(("override", "override_unit", "proposed"), fixed) if given}
        first, *others = self._stores()
        for other in others:
            other.declare(info, **override).addErrback(
                lambda why: self._pending.count("copy_failed", f"a second store refused a series: {why.value}")
            )
        first.declare(info, **override).addBoth(self._declared, first, declaration)

    def _declared(self, result: Any, storage: CaptureStorage, declaration: Declaration) -> None:
        if storage is not self._stores()[0]:  # it was replaced meanwhile
            self._declare(declaration)
            return
        waiting = self._waiting.pop(declaration)
        self.queued -= len(waiting)
        failed = isinstance(result, Failure)
        if failed:
            self._pending.counters["refused"] += len(waiting)
        else:
            self._known[result.name, "".join(result.builders), declaration[3]] = result
        for answer in waiting:
            (answer.errback if failed else answer.callback)(result)
        self._pending.end()


def _is_proposed(value: Value) -> bool:
    """Whether a proposal says what a value is, and not master.cfg."""
    is_fixed = value.fixed_kind or value.fixed_unit
    return bool(value.context and value.context.proposal) and not is_fixed


def _builder_of(value: Value) -> str:
    """The builder whose series a value is of, "" outside builds."""
    return value.context.builder if value.context else ""
