"""A value on its way into a series, and the point that it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any, NamedTuple, Optional
from zlib import crc32

from bbmeasure.errors import RecordError
from bbmeasure.records import Record
from bbmeasure.storage.base import BuildContext, Point
from bbmeasure.units import excerpt

#: So many nanoseconds a float of seconds does not tell apart since 2004.
_UNTOLD = 119


class Value(NamedTuple):
    """A record on its way into a series: what the master adds to it.

    ``time`` in nanoseconds, None for now.  ``fixed_kind``: master.cfg gave the kind, which wins over the series'.
    ``master_tags`` are those that only the master sets, such as ``result`` and ``step``.
    """

    record: Record
    context: Optional[BuildContext] = None
    time: Optional[int] = None
    fixed_kind: bool = False
    master_tags: Optional[Mapping[str, str]] = None
    limited: bool = False


def share_of(master: Any) -> int:
    """Nanoseconds that each time of a master's values is later, made of the master's name.

    So values of two masters in one database are two points, also where all else of them is the same.  As unix seconds
    in a float the time is the one that was given.
    """
    name = getattr(master, "name", None)
    return crc32(name.encode("utf-8", "surrogatepass")) % _UNTOLD if name else 0


def point_of(value: Value, time: int) -> Point:
    """The point of a value at a time in nanoseconds."""
    record = value.record
    tags = {**record.tags, **value.master_tags} if value.master_tags else record.tags
    samples = len(record.samples) or 1
    spread = _spread(record) if samples > 1 else None
    return Point(record.name, time, record.value, tags, value.context, samples, spread)


def number_of(value: Value) -> float:
    """Its number; RecordError where it is a text."""
    if isinstance(value.record.value, str):
        raise RecordError(
            f"series {excerpt(value.record.name)}: expected a number to accumulate or compare, got a text"
        )
    return value.record.value


def _spread(record: Record) -> Optional[float]:
    """The median absolute deviation of the samples from their median, in the base unit."""
    middle = median(record.samples)
    return float(median(abs(sample - middle) for sample in record.samples))
