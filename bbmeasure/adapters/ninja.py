"""Ninja, ``.ninja_log``: the times of the last build and its steps."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Sequence
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


class _Steps(NamedTuple):
    """Commands by column: start and end in milliseconds since the start of ninja, when an output was written (0 if
    unknown), the output, the hash of the command.

    A log has up to a million lines: columns take a quarter of the time of an object for each line.
    """

    starts: list[float]
    ends: list[float]
    written: list[int]
    outputs: list[str]
    commands: list[str]

    def since(self, at: int) -> _Steps:
        """The steps from line ``at`` on."""
        return _Steps(self.starts[at:], self.ends[at:], self.written[at:], self.outputs[at:], self.commands[at:])


def parse(text: str) -> list[Record]:
    """``ninja_wall``, ``ninja_work`` (the sum of all steps), ``ninja_longest`` (the longest step), ``ninja_steps``, and
    ``ninja_work_by_type`` tagged with the ``type`` of the output, such as ``o`` or ``so``.

    The records are those of the last build in the log, which the recorded times of the outputs tell from those before.
    A build without steps is not in the log.  The format:
    https://github.com/ninja-build/ninja/blob/master/src/build_log.cc
    """
    steps = _last_build(_read(text))
    if not steps.outputs:
        return []
    records = Records()
    spent = [end - start for start, end in zip(steps.starts, steps.ends)]
    records.add("ninja_wall", max(steps.ends) - min(steps.starts), unit="ms", better=LOWER)
    records.add("ninja_work", sum(spent), unit="ms", better=LOWER)
    records.add("ninja_longest", max(spent), unit="ms", better=LOWER)
    records.add("ninja_steps", len(spent), kind=Kind.COUNT)
    for made, work in _by_type(steps.outputs, spent):
        records.add("ninja_work_by_type", work, unit="ms", better=LOWER, tags={"type": made})
    return records.listed


def _read(text: str) -> _Steps:
    """Parse each line: start, end, mtime of the output, output, hash of the command, separated by tabs."""
    header, _, body = text.rstrip("\n").partition("\n")
    fields = body.replace("\n", "\t").split("\t")
    if _HEADER.match(header) and body.isascii() and len(fields) == 5 * (body.count("\n") + 1):
        starts, ends, written = (_integers(fields[column::5]) for column in range(3))
        is_whole = starts and ends and written and min(min(starts), min(written)) >= 0
        if is_whole and not any(map(operator.lt, ends, starts)):
            return _Steps([*starts], [*ends], written, fields[3::5], fields[4::5])
    return _read_each(text)


def _integers(texts: list[str]) -> list[int]:
    """The integers of a column; [] where a text is none."""
    try:
        return list(map(int, texts)) if max(map(len, texts)) < 20 else []
    except ValueError:
        return []


def _read_each(text: str) -> _Steps:
    """Parse a log line by line, for one that has other than integers, comments, blanks, or is invalid."""
    steps = _Steps([], [], [], [], [])
    for line_number, line in lines(text):
        if line_number == 1 and not _HEADER.match(line):
            raise ParseError(_TOOL, 1, f"{excerpt(line)}: expected # ninja log v5 or later")
        if line[0] == "#":
            continue
        fields = line.split("\t")
        if len(fields) != 5:
            raise ParseError(_TOOL, line_number, f"{len(fields)} fields: expected 5, separated by tabs")
        start, end = (number(_TOOL, field, line_number) for field in fields[:2])
        if not 0 <= start <= end:
            raise ParseError(_TOOL, line_number, f"a step from {start:g} to {end:g} ms: expected 0 or later, in order")
        steps.starts.append(start)
        steps.ends.append(end)
        steps.written.append(_written(fields[2]))
        steps.outputs.append(fields[3])
        steps.commands.append(fields[4])
    return steps


def _written(text: str) -> int:
    """The recorded time of an output; 0 where it is missing or not a positive integer."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _last_build(steps: _Steps) -> _Steps:
    """The steps of the last build, each once, even with several outputs."""
    newest = steps.since(_begin(steps))
    if len(set(newest.commands)) == len(newest.commands):
        return newest
    keys = [*enumerate(zip(newest.starts, newest.ends, newest.commands))]
    places = [*{key: at for at, key in reversed(keys)}.values()][::-1]
    return _Steps(
        [newest.starts[at] for at in places],
        [newest.ends[at] for at in places],
        [newest.written[at] for at in places],
        [newest.outputs[at] for at in places],
        [newest.commands[at] for at in places],
    )


def _begin(steps: _Steps) -> int:
    """The first line of the last build.

    ninja appends a step when it ends, so a step that ends before the previous one begins a new build.  Of the rest,
    those belong to the last build whose possible starts of the build overlap: an output is written between the start
    and the end of its step (by ninja 1.12 and newer at its start), so the build started between its time less the end
    and its time less the start of the step.
    """
    starts, ends, times = steps.starts, steps.ends, steps.written
    begins = [*map(operator.lt, ends[1:], ends)]
    first = len(begins) - begins[::-1].index(True) if True in begins else 0
    unit, slack = _clock_of(times)
    begin = len(ends)
    earliest, latest = -math.inf, math.inf
    for at in range(len(ends) - 1, first - 1, -1):
        if not times[at]:
            continue
        written = times[at] * unit
        low, high = written - ends[at] - slack, written - starts[at] + slack
        if low > latest:  # the later steps kept an older time of their outputs, as of a copy
            earliest, latest, begin = low, high, at
        elif high >= earliest:
            begin = at
            earliest = low if low > earliest else earliest
            latest = high if high < latest else latest
    return begin if any(times[first:begin]) else first  # steps without a time before all others are of this build


def _clock_of(written: Sequence[int]) -> tuple[float, float]:
    """The unit of the recorded times in milliseconds, and how much they may deviate.

    They are nanoseconds, on Windows 100 nanoseconds since 2000, and seconds before ninja 1.9.  The clock of file
    systems is updated every 1 to 10 ms, that of some every 1 or 2 seconds.
    """
    largest = max(written, default=0)
    if largest < 1e12:
        return 1e3, 1e3
    if largest < 1e17:
        return 1e-4, _SLACK
    return 1e-6, 2e3 if all(time % 1e9 == 0 for time in written) else _SLACK


def _by_type(outputs: Sequence[str], spent: Sequence[float]) -> list[tuple[str, float]]:
    """The work by type of output, largest first; the smallest are summed up as ``other``."""
    work: dict[str, float] = {}
    for output, milliseconds in zip(outputs, spent):
        dot = output.rfind(".")
        made = output[dot + 1 :]
        if dot < 0 or not made.isalpha():
            made = _type_of(output)
        work[made] = work.get(made, 0.0) + milliseconds
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
