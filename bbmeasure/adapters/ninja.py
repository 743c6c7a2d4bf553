"""Ninja, ``.ninja_log``: the times of the last build and its steps."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from bbmeasure.adapters._records import LOWER, Records
from bbmeasure.adapters._text import lines, number
from bbmeasure.adapters.lint import MAX_GROUPS, OTHER
from bbmeasure.errors import ParseError
from bbmeasure.records import Kind, Record
from bbmeasure.units import excerpt

LINE_BASED = True

_TOOL = "ninja"
#: How much the clock of a file system may deviate, in milliseconds.
_SLACK = 20.0
_HEADER = re.compile(r"# ninja log v[0-9]{1,3}\Z")


class _Step(NamedTuple):
    """A command: start and end in milliseconds since the start of ninja, when an output was written (0 if unknown),
    the output, the hash of the command."""

    start: float
    end: float
    written: int
    output: str
    command: str


def parse(text: str) -> list[Record]:
    """``ninja_wall``, ``ninja_work`` (the sum of all steps), ``ninja_longest`` (the longest step), ``ninja_steps``, and
    ``ninja_work_by_type`` tagged with the ``type`` of the output, such as ``o`` or ``so``.

    The records are those of the last build in the log, which the recorded times of the outputs tell from those before.
    A build without steps is not in the log.  The format:
    https://github.com/ninja-build/ninja/blob/master/src/build_log.cc
    """
    steps = _last_build(_steps(text))
    if not steps:
        return []
    records = Records()
    spent = [step.end - step.start for step in steps]
    wall = max(step.end for step in steps) - min(step.start for step in steps)
    records.add("ninja_wall", wall, unit="ms", better=LOWER)
    records.add("ninja_work", sum(spent), unit="ms", better=LOWER)
    records.add("ninja_longest", max(spent), unit="ms", better=LOWER)
    records.add("ninja_steps", len(steps), kind=Kind.COUNT)
    for made, work in _by_type(steps):
        records.add("ninja_work_by_type", work, unit="ms", better=LOWER, tags={"type": made})
    return records.listed


def _steps(text: str) -> Iterator[_Step]:
    """Parse each line: start, end, mtime of the output, output, hash of the command, separated by tabs."""
    for line_number, line in lines(text):
        if line_number == 1 and not _HEADER.match(line):
            raise ParseError(_TOOL, 1, f"{excerpt(line)}: expected # ninja log v5 or later")
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != 5:
            raise ParseError(_TOOL, line_number, f"{len(fields)} fields: expected 5, separated by tabs")
        start, end = (number(_TOOL, field, line_number) for field in fields[:2])
        if end < start:
            raise ParseError(_TOOL, line_number, f"the step ends at {end:g} ms: expected {start:g} or later")
        yield _Step(start, end, _written(fields[2]), fields[3], fields[4])


def _written(text: str) -> int:
    """The recorded time of an output; 0 where it is missing or not a positive integer."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _last_build(steps: Iterator[_Step]) -> list[_Step]:
    """The steps of the last build, each once, even with several outputs."""
    listed = list(steps)
    return list({(step.start, step.end, step.command): step for step in reversed(_newest(listed))}.values())[::-1]


def _newest(steps: list[_Step]) -> list[_Step]:
    """The lines of the last build.

    ninja appends a step when it ends, so a step that ends before the previous one begins a new build.  Of the rest,
    those belong to the last build whose possible starts of the build overlap: an output is written between the start
    and the end of its step (by ninja 1.12 and newer at its start), so the build started between its time less the end
    and its time less the start of the step.
    """
    first = next((at for at in range(len(steps) - 1, 0, -1) if steps[at].end < steps[at - 1].end), 0)
    unit, slack = _clock_of(steps)
    begin = len(steps)
    earliest, latest = -math.inf, math.inf
    for at in range(len(steps) - 1, first - 1, -1):
        step = steps[at]
        written = step.written * unit
        low, high = written - step.end - slack, written - step.start + slack
        if not step.written or (high >= earliest and low <= latest):
            if step.written:
                earliest, latest, begin = max(earliest, low), min(latest, high), at
        elif low > latest:  # the later steps kept an older time of their outputs, as of a copy
            earliest, latest, begin = low, high, at
    return steps[first if math.isinf(latest) else begin :]


def _clock_of(steps: list[_Step]) -> tuple[float, float]:
    """The unit of the recorded times in milliseconds, and how much they may deviate.

    They are nanoseconds, on Windows 100 nanoseconds since 2000, and seconds before ninja 1.9.  The clock of file
    systems is updated every 1 to 10 ms, that of some every 1 or 2 seconds.
    """
    times = [step.written for step in steps if step.written]
    largest = max(times, default=0)
    if largest < 1e12:
        return 1e3, 1e3
    if largest < 1e17:
        return 1e-4, _SLACK
    return 1e-6, 2e3 if all(time % 1e9 == 0 for time in times) else _SLACK


def _by_type(steps: list[_Step]) -> list[tuple[str, float]]:
    """The work by type of output, largest first; the smallest are summed up as ``other``."""
    work: dict[str, float] = {}
    for step in steps:
        made = _type_of(step.output)
        work[made] = work.get(made, 0.0) + step.end - step.start
    largest = sorted(work.items(), key=lambda item: (-item[1], item[0]))
    if len(largest) <= MAX_GROUPS:
        return largest
    kept = dict(largest[: MAX_GROUPS - 1])
    kept[OTHER] = kept.get(OTHER, 0.0) + sum(spent for _made, spent in largest[MAX_GROUPS - 1 :])
    return list(kept.items())


def _type_of(output: str) -> str:
    """The extension of a file without a version: ``so`` for ``libcore.so.1.2``."""
    parts = output.replace("\\", "/").rpartition("/")[2].split(".")
    while len(parts) > 1 and (not parts[-1] or parts[-1].isdigit()):
        parts.pop()
    return parts[-1] if len(parts) > 1 and parts[-1] else "none"
