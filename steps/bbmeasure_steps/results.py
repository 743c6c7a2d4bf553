"""Brings the records of a step into their series, and describes them in its log and summary."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any, Optional, Union

from buildbot.process.results import SUCCESS
from twisted.internet import defer

from bbmeasure import units
from bbmeasure.capture.identity import Value
from bbmeasure.capture.plan import Plan, SeriesOverrides, fixed_by, series_name
from bbmeasure.capture.reserved_series import is_reserved_series
from bbmeasure.errors import MeasureError, RecordError, UnitError
from bbmeasure.model import line_query
from bbmeasure.records import Direction, Kind, Record
from bbmeasure.reports.serialize import change_of
from bbmeasure_steps.stdout import MAX_RECORDS

#: How many records of a step are compared with the previous build.
MAX_COMPARED = 20
#: How many refusals the log lists.
MAX_LISTED_REFUSALS = 200


@dataclass(frozen=True)
class CapturedRecord:
    """A record in its series: stored or not, the value of the last earlier build, and its verdict.

    ``error`` is the reason why it is not stored; ``is_own`` marks the step's own value.  ``verdict`` is how a summary
    shows the verdict, ``reason`` its sentence, both empty where there is none.
    """

    record: Record
    is_stored: bool
    previous: Any = None
    error: Optional[str] = None
    is_own: bool = False
    #: The tags that distinguish the record from others of the step.
    shown_tags: Mapping[str, str] = field(default_factory=dict)
    verdict: str = ""
    reason: str = ""
    #: The values of a line that was measured several times.
    measurements: Sequence[float] = ()

    def summary(self) -> str:
        """The value and its change, such as ``build_size [target=core]: 1.42 MiB (+0.8 %)``, or its verdict."""
        tags = " ".join(f"{key}={value}" for key, value in self.shown_tags.items())
        name = f"{self.record.name} [{tags}]" if tags else self.record.name
        shown = self.verdict or format_change(self.record.value, self.previous)
        return f"{name}: {self._formatted(self.record.value)}" + (f" ({shown})" if shown else "")

    def _formatted(self, value: Union[float, str]) -> str:
        if isinstance(value, str):
            return " ".join(value[:60].split())
        return units.format(value, self.record.unit, self.record.kind.value)

    def log_line(self) -> str:
        """The line of the log ``measurements``."""
        tags = "".join(f" {key}={value}" for key, value in self.record.tags.items() if key not in self.shown_tags)
        better = "" if self.record.better is Direction.NONE else f", {self.record.better.value} is better"
        exact = "" if isinstance(self.record.value, str) else f" = {self.record.value!r} {self.record.unit}"
        state = "stored" if self.is_stored else f"not stored: {self.error}"
        each = ", ".join(map(self._formatted, self.measurements))
        times = f"; median of {len(self.measurements)} measurements: {each}" if each else ""
        reason = f"; {self.reason}" if self.reason else ""
        return f"{self.summary()}{exact}{tags} ({self.record.kind.value}{better}): {state}{times}{reason}"


def summary_of(captured: Sequence[CapturedRecord], most: int) -> str:
    """The stored values, the step's own ones if there are any: at most ``most``, and how many more there are."""
    stored = [one for one in captured if one.is_stored]
    listed = [one for one in stored if one.is_own] or stored
    more = [f"and {len(listed) - most} more"] if len(listed) > most else []
    return ", ".join([one.summary() for one in listed[:most]] + more)


def format_change(value: Any, previous: Any) -> str:
    """A change for people, ``from 0`` where it is no fraction of ``previous``; an empty text where there is none."""
    if previous == 0 and isinstance(value, float):
        return "from 0" if value else units.format_change(0.0)
    change = change_of(value, previous)
    return "" if change is None else units.format_change(change)


@dataclass
class StepResults:
    """The captured records of a step, and the reasons why others were refused."""

    captured: list[CapturedRecord] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    #: How many records were left out because the builder stores only what it tracks.
    untracked: int = 0
    #: The result of the step by its verdicts.
    verdict: int = SUCCESS
    #: Further lines of the log.
    notes: list[str] = field(default_factory=list)

    @property
    def stored_count(self) -> int:
        """The number of records that were stored."""
        return sum(captured.is_stored for captured in self.captured)

    @property
    def first_error(self) -> Optional[str]:
        """The first reason why a record was refused or not stored."""
        errors = [*self.refused, *(captured.error for captured in self.captured if captured.error)]
        return errors[0] if errors else None

    def log_text(self) -> str:
        """The text of the log ``measurements``."""
        lines = [captured.log_line() for captured in self.captured]
        lines += self.notes
        lines += [f"refused: {error}" for error in self.refused[:MAX_LISTED_REFUSALS]]
        if len(self.refused) > MAX_LISTED_REFUSALS:
            lines.append(f"refused: {len(self.refused) - MAX_LISTED_REFUSALS} more")
        if self.untracked:
            lines.append(f"{self.untracked} not stored: the builder stores only what it tracks (onlyTracked=True)")
        return "\n".join(lines or ["nothing was measured"]) + "\n"


class StepCapture:
    """Captures the records of one step through the pipeline of its master."""

    def __init__(self, step: Any, overrides: SeriesOverrides, plan: Plan) -> None:
        self.step = step
        self.pipeline = step.pipeline
        self.overrides = overrides
        self.plan = plan
        self.context = self.pipeline.context_of(step)
        self.results = StepResults()

    def refuse(self, errors: Sequence[str]) -> None:
        """Log and count refused records."""
        self.results.refused += errors
        self.pipeline.counters["refused"] += len(errors)

    def values(self, records: Sequence[Record]) -> list[Value]:
        """The values of records under their series; what is refused is logged and counted."""
        if len(records) > MAX_RECORDS:
            self.refuse([f"{len(records) - MAX_RECORDS} more records: expected at most {MAX_RECORDS} of one step"])
        return [value for record in records[:MAX_RECORDS] if (value := self._value(record)) is not None]

    def discard(self, values: Sequence[Value]) -> None:
        """Log values without storing them."""
        error = "the command did not succeed"
        self.results.captured = [CapturedRecord(value.record, False, error=error) for value in values]

    @defer.inlineCallbacks
    def capture(self, values: Sequence[Value]) -> Generator[Any, Any, None]:
        """Capture values, and find those of the build before."""
        lookups = [self._previous(value) for value in values[:MAX_COMPARED]]
        errors = yield defer.gatherResults([self._store_error(stored) for stored in self.pipeline.capture_all(values)])
        previous = yield defer.gatherResults(lookups)
        own = self.series_of(str(self.step.name))
        shared = {**self.plan.tags, **self.overrides.tags}
        self.results.captured = [
            CapturedRecord(
                value.record,
                error is None,
                before,
                error,
                is_own=value.record.name == own,
                shown_tags={key: tag for key, tag in value.record.tags.items() if key not in shared},
            )
            for value, before, error in zip_longest(values, previous, errors)
        ]

    def _value(self, record: Record) -> Optional[Value]:
        """The value to capture, with the overrides of master.cfg; None where it is refused or not tracked."""
        has_tags = bool(record.tags)
        is_own = record.name == self.step.name
        if self.plan.only_tracked and self.plan.custom_of(self.step.name) is None:
            self.results.untracked += 1
            return None
        overrides = self.overrides if is_own else SeriesOverrides(tags=self.overrides.tags)
        try:
            record = apply_overrides(record, overrides, {**self.plan.tags, **overrides.tags})
            series = self.series_of(record.name)
            if not is_own and is_reserved_series(series):
                raise RecordError(f"series {series!r}: expected a name that is not reserved for the master")
            record = replace(record, name=series)
        except MeasureError as error:
            self.refuse([str(error)])
            return None
        named = is_own and "{project}" not in (self.overrides.series or "")  # a step can set the property
        limited = not named or has_tags
        return fixed_by(Value(record, self.context, limited=limited, named=named), overrides)

    def series_of(self, name: str) -> str:
        """The series of a record: ``series=`` for the step's own value, with the same suffix for derived records."""
        own = str(self.step.name)
        context = self.context
        series = series_name(self.overrides.series, own, builder=context.builder, step=own, project=context.project)
        if name == own:
            return series
        derives = getattr(self.step, "bbmeasure_derives", False) and name.startswith(f"{own}_")
        return f"{series}{name[len(own) :]}" if derives else name

    def _store_error(self, stored: defer.Deferred[None]) -> defer.Deferred[Optional[str]]:
        """None when the point is on disk, or still queued at the deadline; else the reason why it was not stored."""

        def on_timeout(_: Any, seconds: float) -> None:
            self.pipeline.count_timeout(f"step {self.step.name}", seconds)

        def on_failure(failure: Any) -> str:
            if failure.check(MeasureError):
                return str(failure.value)
            self.pipeline.count("errors", f"step {self.step.name}: {failure.type.__name__}")
            return f"the store failed: {failure.type.__name__}"

        waiting: defer.Deferred[Any] = stored.addTimeout(self.pipeline.timeout, self.pipeline.clock, on_timeout)
        return waiting.addErrback(on_failure)

    def _previous(self, value: Value) -> defer.Deferred[Any]:
        """The value of the last earlier build; None where there is none or the journal misses the deadline."""
        context = value.context
        query = line_query(value.record.name, value.record.tags, context)
        if context is None or query is None:
            return defer.succeed(None)
        lookup: defer.Deferred[Any] = self.pipeline.with_timeout(
            self.pipeline.storage.last(query, before=context.buildid)
        )

        def on_failure(failure: Any) -> None:
            self.pipeline.count("previous_unknown", f"step {self.step.name}: {failure.value}")

        return lookup.addCallbacks(lambda point: point and point.value, on_failure)


def apply_overrides(record: Record, overrides: SeriesOverrides, tags: Any) -> Record:
    """``record`` with the overrides of master.cfg.

    The record's own tags win over ``tags``; the unit applies to a number without one.  Raises UnitError or RecordError
    where the overrides contradict the record.
    """
    changes: dict[str, Any] = {"tags": {**tags, **record.tags}}
    if overrides.better is not None:
        changes["better"] = overrides.better
    if overrides.unit is not None and record.kind is not Kind.TEXT:
        expected = units.find(overrides.unit)
        if record.unit == "1" and record.kind is Kind.NUMBER:
            quantity = units.to_base(float(record.value), overrides.unit)
            samples = tuple(units.to_base(sample, overrides.unit).value for sample in record.samples)
            changes.update(value=quantity.value, unit=quantity.unit, kind=Kind(quantity.kind), samples=samples)
        elif record.unit != expected.base:
            raise UnitError(f"{record.name}: got a value in {record.unit}, expected one in {overrides.unit}")
    if overrides.kind is not None:
        changes["kind"] = overrides.kind
    return replace(record, **changes)
