"""Reruns: measures again in the same build while a value is unconfirmed."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Optional

from buildbot.process.results import SUCCESS, WARNINGS
from twisted.internet import defer

from bbmeasure.analysis import State
from bbmeasure.capture.gates import LineKey
from bbmeasure.capture.identity import Value
from bbmeasure.errors import MeasureError
from bbmeasure.records import Record
from bbmeasure.reports.verdicts import BuildVerdicts
from bbmeasure_steps.judging import StepJudge, is_number, key_of

#: A rerun may take so many times the time of the first command, and at least so many seconds.
LONGER_THAN_FIRST = 10.0
LEAST_TIME = 60.0
#: The most series that a note names.
MOST_NAMES = 10


@dataclass
class Measurement:
    """A command that has ended: its result, its records, and why others were refused.

    ``reason`` is why the step is FAILURE, ``seconds`` how long the command took.
    """

    result: int
    command: Any
    records: Sequence[Record]
    errors: list[str]
    reason: Optional[str]
    seconds: float


class Reruns:
    """The measurements of one step in one build.

    ``values`` are those of the first measurement.  Each further one counts for the lines that the first one has; what
    else it measures is noted and left out.  A rerun that fails or takes far longer than the first ends the reruns, and
    has no other effect.
    """

    def __init__(self, step: Any, judge: StepJudge, values: Sequence[Value]) -> None:
        self.step = step
        self.judge = judge
        self.values = values
        self.notes: list[str] = []
        self._measured: dict[LineKey, list[float]] = {
            key_of(value): [float(value.record.value)] for value in values if is_number(value)
        }

    @property
    def most(self) -> int:
        """The most reruns that a gate of the values allows."""
        return max((self.judge.gate_of(value).rerun for value in self.values), default=0)

    @property
    def measurements(self) -> dict[LineKey, tuple[float, ...]]:
        """The values of each line that was measured several times."""
        return {key: tuple(numbers) for key, numbers in self._measured.items() if len(numbers) > 1}

    @defer.inlineCallbacks
    def run(self, first: Measurement) -> Generator[Any, Any, BuildVerdicts]:
        """Measure again while a value is unconfirmed and its gate allows it; returns the verdicts of :meth:`merged`."""
        verdicts: BuildVerdicts = yield self.judge.preview(self.values)
        done = 0
        while not self.step.stopped and self._is_undecided(verdicts, done):
            done += 1
            again = yield self._measure_again(done, first.seconds)
            if not again:
                break
            self.judge.gates.measurements.update(self.measurements)
            verdicts = yield self.judge.preview(self.merged())
        return verdicts

    def merged(self) -> list[Value]:
        """The values to store: of a line that was measured several times the median, with the measurements."""
        measurements = self.measurements
        last = {key_of(value): value for value in self.values}
        merged = []
        for value in self.values:
            numbers = measurements.get(key_of(value))
            if numbers is not None and value is last[key_of(value)]:
                value = value._replace(record=replace(value.record, value=median(numbers), samples=numbers))
            merged.append(value)
        return merged

    def _is_undecided(self, verdicts: BuildVerdicts, done: int) -> bool:
        """Whether a line is unconfirmed whose gate allows one more rerun."""
        return any(
            line.verdict.state is State.UNCONFIRMED and self.judge.gates.of(line.series).rerun > done
            for line in verdicts.lines
        )

    @defer.inlineCallbacks
    def _measure_again(self, number: int, seconds: float) -> Generator[Any, Any, bool]:
        """One more measurement; false where it failed."""
        step = self.step
        limit = max(LEAST_TIME, LONGER_THAN_FIRST * seconds)
        kept = step.maxTime, step.logfiles, list(step.notes), getattr(step, "timed_out", False)
        step.maxTime = limit if step.maxTime is None else min(step.maxTime, limit)
        step.logfiles = {}  # the logs are there already
        try:
            again: Measurement = yield step.measure()
            failed = again.reason is not None or again.result not in (SUCCESS, WARNINGS)
            why = again.reason or f"the command did not succeed within {limit:.0f} s"
        except MeasureError as error:
            failed, why = True, str(error)
        finally:
            step.maxTime, step.logfiles, step.notes[:], step.timed_out = kept
        if failed:
            self.notes.append(f"rerun {number}: {why}; it does not count")
            step.pipeline.count("reruns_failed", f"step {step.name}: rerun {number}: {why}")
            return False
        return self._add(number, step.values_of(again.records))

    def _add(self, number: int, values: Sequence[Value]) -> bool:
        """Add the values of a rerun; false where none is of a known line."""
        first = {key_of(value): value.record for value in self.values}
        again = {key_of(value): value.record for value in values}
        known = {
            key: record
            for key, record in again.items()
            if key in self._measured and not isinstance(record.value, str) and record.unit == first[key].unit
        }
        for key, record in known.items():
            self._measured[key].append(float(record.value))
        self._note(number, "not measured before, does not count", again.keys() - known.keys() - _texts(first))
        self._note(number, "no value", self._measured.keys() - known.keys())
        return bool(known)

    def _note(self, number: int, what: str, lines: Collection[LineKey]) -> None:
        """Note the series of lines of a rerun, of which there may be many."""
        names = sorted({series for series, _ in lines})
        if names:
            more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
            self.notes.append(f"rerun {number}: {what}: {', '.join(names[:MOST_NAMES])}{more}")


def _texts(records: Mapping[LineKey, Record]) -> set[LineKey]:
    """The lines whose values are texts, which are the same in each measurement."""
    return {key for key, record in records.items() if isinstance(record.value, str)}
