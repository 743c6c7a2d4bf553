"""Report what a script or a test measured to the step that runs it::

    from bbmeasure_scripts import report

    report.size("wheel", os.path.getsize(path))
    report.count("warnings", 3, better="lower", tags={"phase": "compile"})
    report.ratio("coverage", 85, unit="%")
    with report.timer("link"):
        link()

Each call appends one line to the file that ``$BBMEASURE_FILE`` names, whole also where many processes do so at once.
Outside a measuring step nothing is written and the answer is False; ``BBMEASURE_STDOUT=1`` in the environment prints
marked lines instead, for where the file cannot be reached, as in a container.

A name, value or unit that no record may have raises RecordError or UnitError, in a build and outside, so that a mistake
shows where it is made.  A file that cannot be written is said on stderr and never fails the build.
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
from bbmeasure_scripts import record_writer

#: The environment variable that asks for marked lines on stdout where there is no file.
STDOUT_VARIABLE = "BBMEASURE_STDOUT"


def record(what: Record) -> bool:
    """Report a record that is already made; True where it was handed over."""
    path = record_writer.sidecar()
    try:
        if path:
            record_writer.append(what, path)
            return True
        if os.environ.get(STDOUT_VARIABLE, "") in ("", "0") or sys.stdout is None:
            return False
        sys.stdout.write(record_writer.marked(what) + "\n")
        sys.stdout.flush()
    except (StorageError, WireError, OSError) as error:
        record_writer.say(f"bbmeasure: {what.name} is not reported: {error}")
        return False
    return True


def _unit_of(base: str, unit: str) -> str:
    """``unit`` where it is one of ``base``; UnitError otherwise."""
    if not isinstance(unit, str) or units.find(unit).base != base:
        known = [other for other in units.known() if units.find(other).base == base]
        raise UnitError(f"unit {unit!r}: expected one of {', '.join(known)}")
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
    """Report a size, in bytes where no unit is given; smaller is better unless said otherwise."""
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
    """Report a duration, in seconds where no unit is given; shorter is better unless said otherwise."""
    return record(
        Record(name, value, kind="duration", unit=_unit_of("s", unit), better=better, tags=tags, samples=samples)
    )


def count(name: str, value: float, *, better: Optional[str] = None, tags: Optional[Mapping[str, Any]] = None) -> bool:
    """Report how many there are of something."""
    return record(Record(name, value, kind="count", unit="1", better=better, tags=tags))


def ratio(
    name: str,
    value: float,
    *,
    unit: str = "1",
    better: Optional[str] = None,
    tags: Optional[Mapping[str, Any]] = None,
) -> bool:
    """Report a share: 0.85, or 85 with ``unit="%"``."""
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
    """Report any other number; a unit of one's own stands in braces, such as ``{request}``."""
    return record(Record(name, value, unit=unit, better=better, tags=tags, samples=samples))


def text(name: str, value: str, *, tags: Optional[Mapping[str, Any]] = None) -> bool:
    """Report a text, such as the version of a compiler."""
    return record(Record(name, value, kind="text", tags=tags))


@contextmanager
def timer(name: str, *, better: Optional[str] = "lower", tags: Optional[Mapping[str, Any]] = None) -> Iterator[None]:
    """Report how long a ``with`` block or a decorated function takes; nothing is reported where it raises."""
    start = time.perf_counter()
    yield
    duration(name, time.perf_counter() - start, better=better, tags=tags)
