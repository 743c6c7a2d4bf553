"""captureData: stores a value from anywhere in the master's process.

The master alone decides which builder, build, worker and revision a point belongs to.  An error is counted and logged,
and never raised in the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional, Union

from twisted.internet import defer
from twisted.python import threadable

from bbmeasure.capture.identity import Value
from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.capture.state import reactor_of, running_master, running_state
from bbmeasure.records import Direction, Kind, Record, check_number


@dataclass(frozen=True)
class _Call:
    """One call of captureData: ``record`` holds the arguments of the Record, not yet checked."""

    record: Mapping[str, Any]
    build: Any
    time: Optional[float]
    accumulate: bool
    absolute: bool
    diff: bool

    def run(self, master: Any) -> defer.Deferred[None]:
        """Capture the value; must run in the reactor's thread."""
        pipeline = running_state(master).pipeline
        what, name = "value of", self.record["name"]
        try:
            value = self._value(pipeline)
            if self.accumulate:
                return pipeline.suppress_errors(pipeline.accumulate(value, absolute=self.absolute), what, name)
            if self.diff:
                return pipeline.suppress_errors(pipeline.difference(value), what, name)
            return pipeline.capture(value, pipeline.pending(what, name))
        except Exception:  # noqa: BLE001  (counted and logged, whatever it is)
            return pipeline.suppress_errors(defer.fail(), what, str(name))

    def _value(self, pipeline: Pipeline) -> Value:
        tags, of_builder = self.record["tags"] or {}, _builder_tags(self.build)
        if of_builder:
            tags = {**of_builder, **tags}
        time = None if self.time is None else pipeline.at(check_number(self.time, "time"))
        record = Record(**{**self.record, "tags": tags}, signed=self.accumulate)  # a step of a total may be negative
        return Value(record, pipeline.context_of(self.build), time, limited=True)


def captureData(
    name: str,
    value: Union[float, str],
    *,
    build: Any = None,
    accumulate: bool = False,
    abs_value: bool = False,
    diff: bool = False,
    kind: Union[Kind, str, None] = None,
    unit: Optional[str] = None,
    better: Union[Direction, str, None] = None,
    tags: Optional[Mapping[str, Any]] = None,
    time: Optional[float] = None,
    master: Any = None,
) -> Optional[defer.Deferred[None]]:
    """Store a value of the series ``name``, from anywhere in the master's process and from any thread.

    ``build`` is a build, a step of it, or the build that a reporter is given; without it the point has no builder.
    ``accumulate`` stores the running total (with ``abs_value`` of absolute values), ``diff`` the difference from the
    last reported value (the first stores nothing); both per series, builder and tags, and both continue after a
    restart.  ``time`` is unix seconds, by default now.

    The returned Deferred fires with None when the point is on disk, and in every other case too: a value that cannot
    be stored, or is not on disk within a second, is counted and logged.  Before an instance is there it fires when the
    point is in memory, from where it is written to the journal of the first instance.  In a thread other than the
    reactor's the function returns None.  It raises ValueError for ``accumulate`` with ``diff``, and where several
    masters run and ``master`` does not name one.
    """
    if accumulate and diff:
        raise ValueError("accumulate and diff together: expected one of them")
    if master is None:
        master = getattr(build, "master", None) or running_master()
    record = {"name": name, "value": value, "kind": kind, "unit": unit, "better": better, "tags": tags}
    call = _Call(record, build, time, accumulate, abs_value, diff)
    if threadable.ioThread is not None and not threadable.isInIOThread():
        reactor_of(master).callFromThread(call.run, master)
        return None
    return call.run(master)


def _builder_tags(build: Any) -> Mapping[str, str]:
    """The tags that a MeasuredBuilderConfig gives every point of its builds."""
    plan = getattr(getattr(build, "build", None) or build, "measurePlan", None)
    return plan.tags if plan is not None else {}
