"""A step's records on their way into series: what master.cfg says of them, the value before, log and summary."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any, Optional

from twisted.internet import defer

from bbmeasure import units
from bbmeasure.capture.identity import Value
from bbmeasure.capture.plan import Plan, SeriesOverrides, series_name
from bbmeasure.errors import MeasureError, RecordError, UnitError
from bbmeasure.model import Query
from bbmeasure.records import Direction, Kind, Record
from bbmeasure.reports.serialize import change_of
from bbmeasure_steps.stdout import MOST_RECORDS

#: How many records of a step are compared with the build before.
MOST_COMPARED = 20
#: Series that the master fills itself.
MASTER_SERIES = frozenset(["build_duration", "queue_duration", "lock_duration", "step_duration"])
MASTER_PREFIXES = ("master.", "bbmeasure_")
#: How many refusals a log shows; the rest is counted.
MOST_TOLD = 200


@dataclass(frozen=True)
class Captured:
    """A record as it was captured: ``previous`` is the last earlier build's value, ``why`` says why it is not kept."""

    record: Record
    kept: bool
    previous: Any = None
    why: Optional[str] = None
    own: bool = False

    @property
    def change(self) -> Optional[float]:
        """The change from ``previous`` as a fraction of it; None where there is none or it is 0."""
        return change_of(self.record.value, self.previous)

    def summary(self) -> str:
        """``build_size: 1.42 MiB (+0.8 %)``."""
        change = self.change
        shown = "" if change is None else f" ({change * 100:+.3g} %)" if abs(change) < 10 else f" (x{change + 1:.3g})"
        return f"{self.record.name}: {self._value()}{shown}"

    def _value(self) -> str:
        value = self.record.value
        if isinstance(value, str):
            return " ".join(value[:60].split())  # one line, also of a text that has several
        return units.format(value, self.record.unit, self.record.kind.value)

    def line(self) -> str:
        """The line of the log."""
        tags = "".join(f" {key}={value}" for key, value in self.record.tags.items())
        better = "" if self.record.better is Direction.NONE else f", {self.record.better.value} is better"
        exact = "" if isinstance(self.record.value, str) else f" = {self.record.value!r} {self.record.unit}"
        state = "kept" if self.kept else f"not kept: {self.why}"
        return f"{self.summary()}{exact}{tags} ({self.record.kind.value}{better}): {state}"


@dataclass
class Outcome:
    """What became of a step's records."""

    values: list[Captured] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unwanted: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def kept(self) -> int:
        """How many are in the store."""
        return sum(captured.kept for captured in self.values)

    @property
    def problem(self) -> Optional[str]:
        """Why there is nothing, in one line."""
        whys = [*self.refused, *(captured.why for captured in self.values if captured.why)]
        return whys[0] if whys else None

    def text(self) -> str:
        """The log ``measurements``."""
        lines = [captured.line() for captured in self.values]
        lines += self.notes
        lines += [f"refused: {why}" for why in self.refused[:MOST_TOLD]]
        if len(self.refused) > MOST_TOLD:
            lines.append(f"refused: {len(self.refused) - MOST_TOLD} more")
        if self.unwanted:
            lines.append(f"{self.unwanted} not kept: the builder keeps only what is tracked (onlyTracked=True)")
        return "\n".join(lines or ["nothing was measured"]) + "\n"


class StepCapture:
    """Keeps the records of one step."""

    def __init__(self, step: Any, overrides: SeriesOverrides, plan: Plan) -> None:
        self.step = step
        self.pipeline = step.pipeline
        self.overrides = overrides
        self.plan = plan
        self.context = self.pipeline.context_of(step)
        self.outcome = Outcome()

    def refuse(self, whys: Sequence[str]) -> None:
        """Say and count what cannot be used."""
        self.outcome.refused += whys
        self.pipeline.counters["refused"] += len(whys)

    @defer.inlineCallbacks
    def keep(self, records: Sequence[Record], *, store: bool) -> Generator[Any, Any, Outcome]:
        """Bring records into their series; with ``store=False`` they are only logged."""
        if len(records) > MOST_RECORDS:
            self.refuse([f"{len(records) - MOST_RECORDS} records more: expected at most {MOST_RECORDS} of one step"])
        values = [value for record in records[:MOST_RECORDS] if (value := self._value(record)) is not None]
        if not store:
            why = "the command did not succeed"
            self.outcome.values = [Captured(value.record, False, why=why) for value in values]
            return self.outcome
        asked = [self._previous(value) for value in values[:MOST_COMPARED]]
        whys = yield defer.gatherResults([self._stored(kept) for kept in self.pipeline.capture_all(values)])
        previous = yield defer.gatherResults(asked)
        own = self.series_of(str(self.step.name))
        self.outcome.values = [
            Captured(value.record, why is None, before, why, own=value.record.name == own)
            for value, before, why in zip_longest(values, previous, whys)
        ]
        return self.outcome

    def _value(self, record: Record) -> Optional[Value]:
        """A record as master.cfg wants it; None where that cannot be or is not wanted."""
        own = record.name == self.step.name
        if self.plan.only_tracked and self.plan.custom_of(self.step.name) is None:
            self.outcome.unwanted += 1
            return None
        overrides = self.overrides if own else SeriesOverrides(tags=self.overrides.tags)
        try:
            record = apply_overrides(record, overrides, {**self.plan.tags, **overrides.tags})
            series = self.series_of(record.name)
            if not own and is_reserved_series(series):
                raise RecordError(f"series {series!r}: expected a name that the master does not use itself")
            record = replace(record, name=series)
        except MeasureError as error:
            self.refuse([str(error)])
            return None
        return Value(record, self.context, fixed_kind=overrides.kind is not None, limited=True)

    def series_of(self, name: str) -> str:
        """The series of a record: the step's own value goes where master.cfg says, what derives from it beside it."""
        own = str(self.step.name)
        context = self.context
        series = series_name(self.overrides.series, own, builder=context.builder, step=own, project=context.project)
        if name == own:
            return series
        derives = getattr(self.step, "bbmeasure_derives", False) and name.startswith(f"{own}_")
        return f"{series}{name[len(own) :]}" if derives else name

    def _stored(self, kept: defer.Deferred[None]) -> defer.Deferred[Optional[str]]:
        """None when the point is on disk, or on its way when patience ends; else why it is not."""

        def late(_: Any, seconds: float) -> None:
            self.pipeline.late(f"step {self.step.name}", seconds)

        def failed(why: Any) -> str:
            if why.check(MeasureError):
                return str(why.value)
            self.pipeline.count("errors", f"step {self.step.name}: {why.type.__name__}")
            return f"the store failed: {why.type.__name__}"

        waiting: defer.Deferred[Any] = kept.addTimeout(self.pipeline.patience, self.pipeline.clock, late)
        return waiting.addErrback(failed)

    def _previous(self, value: Value) -> defer.Deferred[Any]:
        """The value of the last earlier build; None where there is none or the journal does not say in time."""
        assert value.context is not None
        query = Query(value.record.name, builder=value.context.builder, tags=value.record.tags, exact_tags=True)
        asked: defer.Deferred[Any] = self.pipeline.within_patience(
            self.pipeline.storage.last(query, before=value.context.buildid)
        )

        def failed(why: Any) -> None:
            self.pipeline.count("previous_unknown", f"step {self.step.name}: {why.value}")

        return asked.addCallbacks(lambda point: point and point.value, failed)


def is_reserved_series(series: str) -> bool:
    """Whether the master keeps values of its own under that name, with which a worker's must not mix."""
    return series in MASTER_SERIES or series.startswith(MASTER_PREFIXES)


def apply_overrides(record: Record, overrides: SeriesOverrides, tags: Any) -> Record:
    """A record with what master.cfg says of it: its own tags win, the unit is for a value that came without one.

    UnitError or RecordError where the two cannot go together.
    """
    changes: dict[str, Any] = {"tags": {**tags, **record.tags}}
    if overrides.better is not None:
        changes["better"] = overrides.better
    if overrides.unit is not None and record.kind is not Kind.TEXT:
        wanted = units.find(overrides.unit)
        if record.unit == "1" and record.kind is Kind.NUMBER:
            quantity = units.to_base(float(record.value), overrides.unit)
            samples = tuple(units.to_base(sample, overrides.unit).value for sample in record.samples)
            changes.update(value=quantity.value, unit=quantity.unit, kind=Kind(quantity.kind), samples=samples)
        elif record.unit != wanted.base:
            raise UnitError(f"{record.name}: got a value in {record.unit}, expected one in {overrides.unit}")
    if overrides.kind is not None:
        changes["kind"] = overrides.kind
    return replace(record, **changes)
