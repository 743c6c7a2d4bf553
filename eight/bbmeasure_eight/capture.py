"""captureData: captures a value from anywhere in the master's process."""

from __future__ import unicode_literals

import json

from twisted.internet import defer, reactor
from twisted.python import threadable

from bbmeasure_eight import builds, texts
from bbmeasure_eight.errors import MeasureError
from bbmeasure_eight.line_protocol import line_of
from bbmeasure_eight.points import NANOSECONDS, point_of
from bbmeasure_eight.records import Record, is_reserved_series
from bbmeasure_eight.state import STATE


def captureData(
    name,
    value,
    build=None,
    accumulate=False,
    abs_value=False,
    diff=False,
    kind=None,
    unit=None,
    better=None,
    tags=None,
    time=None,
):
    """Capture ``value`` in the series ``name``, from any thread.

    Args:
        build: A build or a step; without it the point has no builder.
        accumulate: Store the running total; with ``abs_value`` of absolute values.
        diff: Store the difference from the last reported value; the first stores nothing.
        time: Unix seconds; now by default.

    Returns:
        A Deferred that fires when the point is on disk; None from another thread than the reactor's.  A bad value is
        counted and logged, never raised.

    Raises:
        ValueError: ``accumulate`` and ``diff`` together.
    """
    if accumulate and diff:
        raise ValueError("accumulate and diff: expected at most one of them")
    mode = "total" if accumulate else "last" if diff else None
    given = dict(kind=kind, unit=unit, better=better, tags=tags)
    if threadable.ioThread is not None and not threadable.isInIOThread():
        reactor.callFromThread(_capture, name, value, build, mode, abs_value, time, given)
        return None
    return _capture(name, value, build, mode, abs_value, time, given)


def _capture(name, value, build, mode, abs_value, time, given):
    try:
        context = builds.context_of(build, STATE.default_branch) if build is not None else None
        record = Record(name, value, signed=mode == "total", **given)
        if is_reserved_series(record.name):
            why = "series %s: expected another name, as the master writes this one"
            raise MeasureError(why % texts.excerpt(record.name))
        at = STATE.now() if time is None else int(time * NANOSECONDS)
        if mode is None:
            return STATE.capture(record, context, at)
        return _capture_total(record, context, at, mode, abs_value)
    except Exception as error:  # whatever a caller passes, the build goes on
        STATE.refuse(error)
        return defer.succeed(None)


def total_key(mode, series, builder, tags):
    """The key of a running total (``total``) or a last reported value (``last``)."""
    return json.dumps([mode, series, builder, tags], sort_keys=True)


def _capture_total(record, context, at, mode, abs_value):
    """Capture a running total, or a difference from the last value."""
    if record.kind == "text":
        why = "series %s: expected a number to accumulate or compare, got a text"
        raise MeasureError(why % texts.excerpt(record.name))
    declaration = STATE.check_declaration(record, context)
    key = total_key(mode, record.name, context.builder if context else None, record.tags)
    before = STATE.total(key)
    if mode == "total":
        state = value = (before or 0.0) + (abs(record.value) if abs_value else record.value)
    else:
        state = record.value
        value = None if before is None else record.value - before
    point = point_of(record, at, context)._replace(kind=declaration[0], samples=1, spread=None)
    if value is None:
        STATE.set_total(key, state)
        return STATE.store_totals({key: state})
    point = point._replace(value=value)
    line_of(point)
    STATE.set_total(key, state)
    return STATE.store(point, {key: state})
