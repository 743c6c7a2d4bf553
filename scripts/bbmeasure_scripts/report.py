"""Functions by which scripts and tests report values to the step that runs them::

    from bbmeasure_scripts import report

    report.size("wheel", os.path.getsize(path))
    report.count("warnings", 3, better="lower", tags={"phase": "compile"})
    report.ratio("coverage", 85, unit="%")
    with report.timer("link"):
        link()

Each call appends a line to the file named by ``$BBMEASURE_FILE``; several processes may do so concurrently.  Outside a
measuring step nothing is written and the call returns False.  With ``BBMEASURE_STDOUT=1`` in the environment it prints
a marked line instead, for a container that cannot access the file.

An invalid name, value or unit raises RecordError or UnitError, also outside a build.  An error in writing the file is
printed to stderr and never fails the build.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import Any, Iterator, Mapping, Optional, Sequence

from bbmeasure import units
from bbmeasure.errors import StorageError, UnitError, WireError
from bbmeasure.records import Record
from bbmeasure_scripts import line_writer, record_writer

#: The environment variable that enables marked lines on stdout where there is no file.
STDOUT_VARIABLE = "BBMEASURE_STDOUT"


def record(value: Record) -> bool:
    """Report a record; returns True where it was written."""
    path = line_writer.sidecar()
    try:
        if path:
            record_writer.append(value, path)
            return True
        if os.environ.get(STDOUT_VARIABLE, "") in ("", "0") or sys.stdout is None:
            return False
        sys.stdout.write(record_writer.encode(value, marked=True) + "\n")
        sys.stdout.flush()
    except (StorageError, WireError, OSError) as error:
        line_writer.print_line(f"bbmeasure: {value.name} cannot be reported: {error}")
        return False
    return True


def _unit_of(base: str, unit: str) -> str:
    """``unit`` if its base is ``base``; UnitError otherwise."""
    if not isinstance(unit, str) or units.find(unit).base != base:
        known = [other for other in units.known() if units.find(other).base == base]
        near = units.nearest(unit, known) if isinstance(unit, str) else known[:3]
        raise UnitError(f"unit {unit!r}: expected one of {', '.join(near)}, or another unit of {base!r}")
    return unit


def size(
    name: str,
    value: Optional[float] = None,
    *,
    unit: str = "bytes",
    better: Optional[str] = "lower",
    tags: Optional[Mapping[str, Any]] = None,
    samples: Sequence[float] = (),
) -> bool:
    """Report a size, by default in bytes and with smaller as better."""
    return record(
        Record(name, value, kind="size", unit=_unit_of("bytes", unit), better=better, tags=tags, samples=samples)
    )


def duration(
    name: str,
    value: Optional[float] = None,
    *,
    unit: str = "s",
    better: Optional[str] = "lower",
    tags: Optional[Mapping[str, Any]] = None,
    samples: Sequence[float] = (),
) -> bool:
    """Report a duration, by default in seconds and with shorter as better."""
    return record(
        Record(name, value, kind="duration", unit=_unit_of("s", unit), better=better, tags=tags, samples=samples)
    )


def count(name: str, value: float, *, better: Optional[str] = None, tags: Optional[Mapping[str, Any]] = None) -> bool:
    """Report a count."""
    return record(Record(name, value, kind="count", unit="1", better=better, tags=tags))


def ratio(
    name: str,
    value: float,
    *,
    unit: str = "1",
    better: Optional[str] = None,
    tags: Optional[Mapping[str, Any]] = None,
) -> bool:
    """Report a ratio: 0.85, or 85 with ``unit="%"``."""
    return record(Record(name, value, kind="ratio", unit=_unit_of("1", unit), better=better, tags=tags))


def number(
    name: str,
    value: Optional[float] = None,
    *,
    unit: str = "1",
    better: Optional[str] = None,
    tags: Optional[Mapping[str, Any]] = None,
    samples: Sequence[float] = (),
) -> bool:
    """Report any other number; a custom unit is written in braces, such as ``{request}``."""
    return record(Record(name, value, unit=unit, better=better, tags=tags, samples=samples))


def text(name: str, value: str, *, tags: Optional[Mapping[str, Any]] = None) -> bool:
    """Report a text, such as the version of a compiler."""
    return record(Record(name, value, kind="text", tags=tags))


@contextmanager
def timer(name: str, *, better: Optional[str] = "lower", tags: Optional[Mapping[str, Any]] = None) -> Iterator[None]:
    """Report the duration of a ``with`` block or a decorated function, unless it raises."""
    start = time.perf_counter()
    yield
    duration(name, time.perf_counter() - start, better=better, tags=tags)
