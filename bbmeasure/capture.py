"""captureData: keep a value from anywhere in the master's process.

The master alone says which builder, build, worker and revision a point belongs to.  A value that cannot be kept is
counted and logged and never fails its caller.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any, Optional, Union

from twisted.internet import defer
from twisted.python import threadable

from bbmeasure.context import context_of
from bbmeasure.layer import Capture, Value
from bbmeasure.records import Direction, Kind, Record
from bbmeasure.storage.base import NANOSECONDS
from bbmeasure.units import excerpt

_ATTRIBUTE = "_bbmeasure_capture"
_captures: weakref.WeakSet[Any] = weakref.WeakSet()
_waiting: list[Capture] = []


def for_master(master: Any) -> Capture:
    """The capture layer of ``master``, made at first use and hung on it."""
    found: Optional[Capture] = getattr(master, _ATTRIBUTE, None)
    if found is None:
        found = Capture(master.reactor, master=master, in_thread=master.reactor.callFromThread)
        setattr(master, _ATTRIBUTE, found)
        _captures.add(master)
        while _waiting:
            found.take_over(_waiting.pop())
    return found


def find(master: Any = None) -> Capture:
    """The capture of ``master``, or of the only running one; ValueError where several run.

    Before there is one, a place in memory that the first master takes over.
    """
    if master is not None:
        return for_master(master)
    running = [one for one in _captures if getattr(one, "running", True)]
    if len(running) > 1:
        raise ValueError(f"{len(running)} masters run in this process: expected master= to say which")
    if running:
        return for_master(running[0])
    if not _waiting:
        from twisted.internet import reactor

        _waiting.append(Capture(reactor, in_thread=reactor.callFromThread))
    return _waiting[0]


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

    ``build`` is a build or a step of it, else the point has no builder.  ``accumulate`` stores the running total (with
    ``abs_value`` of absolute values), ``diff`` the difference from the last reported value (the first stores nothing);
    both per series, builder and tags, and both go on after a restart.  ``time`` is unix seconds, now where it is None.

    The Deferred fires with None when the point is on disk, and in every other case too: what could not be kept is
    counted and logged.  From a foreign thread the answer is None.  ValueError for ``accumulate`` with ``diff``, and
    where ``master`` is needed to say which of several running masters is meant.
    """
    if accumulate and diff:
        raise ValueError("accumulate and diff together: expected one of them")
    if master is None and build is not None:
        master = build.master
    capture = find(master)
    arguments = (build, accumulate, abs_value, diff, kind, unit, better, tags, time)
    if threadable.ioThread is not None and not threadable.isInIOThread():
        if capture.call_from_thread is not None:
            capture.call_from_thread(_capture_guarded, capture, name, value, *arguments)
        return None
    return _capture_guarded(capture, name, value, *arguments)


def _capture_guarded(
    capture: Capture,
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
    what = f"value of {excerpt(str(name))}"
    try:
        record = Record(name, value, kind=kind, unit=unit, better=better, tags=tags)
        at = None if time is None else int(time * NANOSECONDS)
        one = Value(record, context_of(build), at, fixed_kind=False)
        if accumulate:
            kept = capture.accumulate(one, absolute=absolute)
        elif diff:
            kept = capture.difference(one)
        else:
            kept = capture.capture(one)
    except Exception:  # noqa: BLE001  (never_fail counts and logs whatever it was)
        kept = defer.fail()
    return capture.never_fail(kept, what)
