"""captureData: keep a value from anywhere in the master's process.

The master alone says which builder, build, worker and revision a point belongs to.  A value that cannot be kept is
counted and logged and never fails its caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional, Union

from twisted.internet import defer
from twisted.python import threadable

from bbmeasure.capture.identity import Value
from bbmeasure.capture.state import reactor_of, running_master, running_state
from bbmeasure.records import Direction, Kind, Record, check_number


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
    """Keep a value of the series ``name``, from anywhere in the master's process and from any thread.

    ``build`` is a build, a step of it, or the build that a reporter is given; else the point has no builder.
    ``accumulate`` stores the running total (with ``abs_value`` of absolute values), ``diff`` the difference from the
    last reported value (the first stores nothing); both per series, builder and tags, and both go on after a restart.
    ``time`` is unix seconds, now where it is None.

    The Deferred fires with None when the point is on disk, and in every other case too: what could not be kept is
    counted and logged.  From a foreign thread the answer is None.  ValueError for ``accumulate`` with ``diff``, and
    where ``master`` is needed to say which of several running masters is meant.
    """
    if accumulate and diff:
        raise ValueError("accumulate and diff together: expected one of them")
    if master is None:
        master = getattr(build, "master", None) or running_master()
    arguments = (master, name, value, build, accumulate, abs_value, diff, kind, unit, better, tags, time)
    if threadable.ioThread is not None and not threadable.isInIOThread():
        reactor_of(master).callFromThread(_capture_guarded, *arguments)
        return None
    return _capture_guarded(*arguments)


def _capture_guarded(
    master: Any,
    name: str,
    value: Union[float, str],
    build: Any,
    accumulate: bool,
    absolute: bool,
    diff: bool,
    kind: Union[Kind, str, None],
    unit: Optional[str],
    better: Union[Direction, str, None],
    tags: Optional[Mapping[str, Any]],
    time: Optional[float],
) -> defer.Deferred[None]:
    """captureData in the reactor's thread."""
    capture = running_state(master).pipeline
    try:
        tags = {**_builder_tags(build), **tags} if tags else _builder_tags(build)
        record = Record(name, value, kind=kind, unit=unit, better=better, tags=tags)
        at = None if time is None else capture.at(check_number(time, "time"))
        one = Value(record, capture.context_of(build), at, limited=True)
        if accumulate:
            kept = capture.never_fail(capture.accumulate(one, absolute=absolute), "value of", name)
        elif diff:
            kept = capture.never_fail(capture.difference(one), "value of", name)
        else:
            kept = capture.capture(one, capture.promise("value of", name))
    except Exception:  # noqa: BLE001  (counted and logged, whatever it was)
        kept = capture.never_fail(defer.fail(), "value of", str(name))
    return kept


def _builder_tags(build: Any) -> Mapping[str, str]:
    """The tags that a MeasuredBuilderConfig gives every point of its builds."""
    plan = getattr(getattr(build, "build", None) or build, "measurePlan", None)
    return plan.tags if plan is not None else {}
