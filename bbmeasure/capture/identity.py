"""Who measured: the build of a point, and the time that makes a point of Buildbot's own records the same each time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple
from statistics import median
from typing import Any, NamedTuple, Optional, Tuple
from zlib import crc32

from bbmeasure.errors import RecordError
from bbmeasure.model import NANOSECONDS, BuildContext, Point
from bbmeasure.records import Record
from bbmeasure.units import excerpt

#: The longest revision, branch and project that are kept.
LONGEST_FACT = 200

Facts = Tuple[str, str, int, int, Optional[str], Optional[str], Optional[str], Optional[str]]


def identity_time(
    second: float, master: str, buildid: int, step: Optional[int], series: str, tags: Mapping[str, str]
) -> int:
    """Nanoseconds of a point that Buildbot's own record of a build can give again.

    The completion second plus a hash of what it is, so that live and back-filled points are the same point.
    """
    identity = json.dumps([master, buildid, step, series, sorted(tags.items())], separators=(",", ":"))
    digest = hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int(second) * NANOSECONDS + int.from_bytes(digest, "big") % NANOSECONDS


def context_of(build_or_step: Any) -> Optional[BuildContext]:
    """The build that a Buildbot Build or BuildStep stands for; None for None."""
    facts = facts_of(build_or_step)
    return None if facts is None else BuildContext(*facts)


def facts_of(build_or_step: Any) -> Optional[Facts]:
    """What a BuildContext is made of, in its order; None for None.

    A mapping is what a reporter is given: a build of the Data API with its builder and properties.
    """
    if build_or_step is None:
        return None
    if isinstance(build_or_step, Mapping):
        return _reported(build_or_step)
    build, step = getattr(build_or_step, "build", None), None
    if build is None:
        build = build_or_step
    else:
        step = str(build_or_step.name)
    if getattr(build, "builder", None) is None:
        raise RecordError(f"build {excerpt(repr(build))}: expected a build, a step, or what a reporter is given")
    return (
        build.builder.name,
        _worker(build),
        build.number,
        build.buildid,
        step,
        fact_of(build.getProperty("got_revision")) or fact_of(build.getProperty("revision")),
        fact_of(build.getProperty("branch")),
        fact_of(build.getProperty("project")),
    )


def _reported(build: Mapping[str, Any]) -> Facts:
    builder, properties = build.get("builder"), build.get("properties", {})
    if not isinstance(builder, Mapping):
        raise RecordError("build: got a mapping without builder, expected a build, a step, or what a reporter is given")
    worker, source = properties.get("workername", ("", ""))
    named = worker if source == "Worker" else ""  # else a step set it, perhaps to what its command printed
    values = {name: value for name, (value, _) in properties.items()}
    return astuple(recorded_context(builder["name"], named, build["number"], build["buildid"], values))


def recorded_context(
    builder: str, worker: str, build: int, buildid: int, properties: Mapping[str, Any]
) -> BuildContext:
    """The build of Buildbot's record, whose ``properties`` are given by name."""
    return BuildContext(
        builder,
        worker,
        build,
        buildid,
        revision=fact_of(properties.get("got_revision")) or fact_of(properties.get("revision")),
        branch=fact_of(properties.get("branch")),
        project=fact_of(properties.get("project")),
    )


def _worker(build: Any) -> str:
    """The worker's name; the builds of Buildbot's test kit know it only as a property."""
    named = build.getWorkerName() if hasattr(build, "getWorkerName") else build.getProperty("workername")
    return named or ""


def fact_of(found: Any) -> Optional[str]:
    """A property that is a text, cut to size; of a mapping by codebase, the only or the unnamed one."""
    if isinstance(found, dict):
        found = found.get("") or (next(iter(found.values())) if len(found) == 1 else None)
    if not isinstance(found, str) or not found:
        return None
    text = str(found[:LONGEST_FACT])
    if text.isprintable():
        return text
    return "".join(char if char >= " " and not "\ud800" <= char <= "\udfff" else "?" for char in text)


#: Nanoseconds below which two times since 2004 are the same float of unix seconds.
_FLOAT_RESOLUTION = 119


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


def time_offset(master_name: Optional[str]) -> int:
    """Nanoseconds added to each capture time, a hash of the master's name.

    Points of two masters in one database stay apart even where all else of them is the same.  The offset is lost when
    the time is read as unix seconds in a float.
    """
    return crc32(master_name.encode("utf-8", "surrogatepass")) % _FLOAT_RESOLUTION if master_name else 0


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
