"""The identity of a point: its build, and its time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from statistics import median
from typing import Any, NamedTuple, Optional, Tuple, Union
from zlib import crc32

from bbmeasure.ansi import without_hidden
from bbmeasure.capture.branches import BuildBranch, BuildBranches
from bbmeasure.errors import RecordError
from bbmeasure.model import BuildContext, Point
from bbmeasure.records import Record
from bbmeasure.times import NANOSECONDS
from bbmeasure.units import excerpt

#: The most characters of a revision, branch or project that are kept.
MAX_FIELD_LENGTH = 200

#: json.dumps with separators creates an encoder for each call.
_IDENTITY = json.JSONEncoder(separators=(",", ":"))

#: The fields of a BuildContext, in their order.
BuildFields = Tuple[str, str, int, int, Optional[str], Optional[str], Optional[str], Optional[str], str, Optional[str]]


def identity_time(
    second: float,
    master: str,
    build: Union[int, Sequence[Union[str, int]]],
    step: Optional[int],
    series: str,
    tags: Mapping[str, str],
) -> int:
    """The time in nanoseconds of a value that can be read again from Buildbot's own record of a build.

    It is the completion second plus a hash of the value's identity, so that live and back-filled points are equal.
    ``build`` is the buildid; a build of Buildbot 0.8, which has none, is its builder and number.
    """
    identity = _IDENTITY.encode([master, build, step, series, sorted(tags.items())])
    digest = hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int(second) * NANOSECONDS + int.from_bytes(digest, "big") % NANOSECONDS


def build_fields(build_or_step: Any, branches: BuildBranches) -> Optional[BuildFields]:
    """The fields of the BuildContext of a build or a step; None for None.

    A mapping is the build that a reporter gets: a build of the Data API with its builder and properties.
    """
    if build_or_step is None:
        return None
    if isinstance(build_or_step, Mapping):
        return _reported_fields(build_or_step, branches)
    build, step = getattr(build_or_step, "build", None), None
    if build is None:
        build = build_or_step
    else:
        step = without_hidden(str(build_or_step.name))
    if getattr(build, "builder", None) is None:
        raise RecordError(f"build {excerpt(repr(build))}: expected a build, a step, or what a reporter is given")
    branch, machine = branches.of_build(build)
    return (
        branches.builder_of(build),
        _worker(build),
        build.number,
        build.buildid,
        step,
        text_property(build.getProperty("got_revision")) or text_property(build.getProperty("revision")),
        branch.branch,
        text_property(build.getProperty("project")),
        branch.proposal,
        machine,
    )


def _reported_fields(build: Mapping[str, Any], branches: BuildBranches) -> BuildFields:
    builder, properties = build.get("builder"), build.get("properties", {})
    if not isinstance(builder, Mapping):
        raise RecordError("build: got a mapping without builder, expected a build, a step, or what a reporter is given")
    worker, source = properties.get("workername", ("", ""))
    trusted = worker if source == "Worker" else ""  # a step may set the property to what its command prints
    values = {name: value for name, (value, _) in properties.items()}
    branch, machine = branches.of_reported(build)
    context = recorded_context(builder["name"], trusted, build["number"], build["buildid"], values, branch, machine)
    return astuple(context)


def recorded_context(
    builder: str,
    worker: str,
    build: int,
    buildid: int,
    properties: Mapping[str, Any],
    branch: BuildBranch,
    machine: Optional[str],
) -> BuildContext:
    """The BuildContext of a build in Buildbot's database, with its properties by name."""
    return BuildContext(
        builder,
        worker,
        build,
        buildid,
        revision=text_property(properties.get("got_revision")) or text_property(properties.get("revision")),
        branch=branch.branch,
        project=text_property(properties.get("project")),
        proposal=branch.proposal,
        machine=machine,
    )


def _worker(build: Any) -> str:
    """The worker's name; builds of Buildbot's test kit have it only as a property."""
    name = build.getWorkerName() if hasattr(build, "getWorkerName") else build.getProperty("workername")
    return name or ""


def text_property(value: Any) -> Optional[str]:
    """The text of a property, at most MAX_FIELD_LENGTH characters; None for a property that is not a text.

    Of a mapping by codebase it is the unnamed codebase's, or that of the only codebase.
    """
    if isinstance(value, dict):
        value = value.get("") or (next(iter(value.values())) if len(value) == 1 else None)
    if not isinstance(value, str) or not value:
        return None
    text = str(value[:MAX_FIELD_LENGTH])
    if text.isprintable():
        return text
    one_line = "".join(char if char >= " " and not "\ud800" <= char <= "\udfff" else "?" for char in text)
    return without_hidden(one_line)


#: Nanoseconds below which two times since 2004 are the same float of unix seconds.
_FLOAT_RESOLUTION = 119


class Value(NamedTuple):
    """A record to capture, with what the master adds to it.

    ``time`` is in nanoseconds, None for now.  With ``fixed_kind``, ``fixed_unit`` and
    ``fixed_better`` master.cfg gives the kind, the unit and the direction, which the series takes whatever a worker
    reported before or reports later.
    ``master_tags`` are tags that only the master sets, such as ``result`` and ``step``.  With ``limited`` the value
    counts against the :class:`~bbmeasure.capture.cardinality.LineBudgets` of its builder, with ``named`` only its tags
    do, as master.cfg names the series.
    """

    record: Record
    context: Optional[BuildContext] = None
    time: Optional[int] = None
    fixed_kind: bool = False
    fixed_unit: bool = False
    fixed_better: bool = False
    master_tags: Optional[Mapping[str, str]] = None
    limited: bool = False
    named: bool = False


def time_offset(master_name: Optional[str]) -> int:
    """Nanoseconds added to each capture time, a hash of the master's name.

    Points of two masters in one database stay apart even where all else of them is the same.  The offset is lost when
    the time is read as unix seconds in a float.
    """
    return crc32(master_name.encode("utf-8", "surrogatepass")) % _FLOAT_RESOLUTION if master_name else 0


def point_of(value: Value, time: int) -> Point:
    """The point of a value at a time in nanoseconds."""
    record = value.record
    tags = record.tags
    if value.master_tags:
        tags = {**tags, **{key: without_hidden(text) for key, text in value.master_tags.items()}}
    samples = len(record.samples) or 1
    spread = _spread(record) if samples > 1 else None
    return Point(record.name, time, record.value, tags, value.context, samples, spread)


def number_of(value: Value) -> float:
    """The number of a value; RecordError for a text."""
    if isinstance(value.record.value, str):
        raise RecordError(
            f"series {excerpt(value.record.name)}: expected a number to accumulate or compare, got a text"
        )
    return value.record.value


def _spread(record: Record) -> Optional[float]:
    """The median absolute deviation of the samples from their median, in the base unit."""
    middle = median(record.samples)
    return float(median(abs(sample - middle) for sample in record.samples))
