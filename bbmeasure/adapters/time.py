"""GNU time, ``/usr/bin/time -v COMMAND``: resources of a command, on stderr."""

from __future__ import annotations

from typing import NamedTuple, Optional

from bbmeasure.adapters._records import LOWER, Records
from bbmeasure.adapters._text import lines, number
from bbmeasure.errors import ParseError
from bbmeasure.records import Kind, Record
from bbmeasure.units import excerpt

#: The report is on stderr.
ON_STDERR = True

_TOOL = "time"
_COMMAND = "Command being timed: "
_END = "Exit status: "


class _Field(NamedTuple):
    """The record of a line."""

    name: str
    unit: str = "1"
    kind: Optional[Kind] = None
    factor: int = 1


_WALL = "Elapsed (wall clock) time (h:mm:ss or m:ss)"
#: On Linux a file system input or output is 512 bytes: "ru_inblock" in getrusage(2) and the kernel's
#: task_io_accounting_ops.h.
_FIELDS = {
    _WALL: _Field("time_wall", "s"),
    "User time (seconds)": _Field("time_user", "s"),
    "System time (seconds)": _Field("time_system", "s"),
    "Maximum resident set size (kbytes)": _Field("time_max_rss", "KiB"),
    "File system inputs": _Field("time_read", "bytes", factor=512),
    "File system outputs": _Field("time_written", "bytes", factor=512),
    "Major (requiring I/O) page faults": _Field("time_major_faults", kind=Kind.COUNT),
    "Minor (reclaiming a frame) page faults": _Field("time_minor_faults", kind=Kind.COUNT),
    "Voluntary context switches": _Field("time_voluntary_switches", kind=Kind.COUNT),
    "Involuntary context switches": _Field("time_involuntary_switches", kind=Kind.COUNT),
}


def parse(text: str) -> list[Record]:
    """``time_wall``, ``time_cpu`` (user and system), ``time_user``, ``time_system``, ``time_max_rss``,
    ``time_read``, ``time_written``, page faults and context switches.

    Other lines are ignored.  If there are reports of several commands, each record is tagged with its ``command``.  The
    lines are those of ``longstats`` in
    https://git.savannah.gnu.org/cgit/time.git/tree/src/time.c
    """
    blocks = _blocks(text)
    if not blocks and text.strip():
        raise ParseError(_TOOL, 0, f"{excerpt(text.strip())}: expected a line {_COMMAND.strip()!r}")
    records = Records()
    for command, values in blocks:
        tags = {"command": command} if len(blocks) > 1 else {}
        if "time_user" in values and "time_system" in values:
            records.add("time_cpu", values["time_user"] + values["time_system"], unit="s", better=LOWER, tags=tags)
        for field in _FIELDS.values():
            if field.name in values:
                value = values[field.name] * field.factor
                records.add(field.name, value, unit=field.unit, kind=field.kind, better=LOWER, tags=tags)
    return records.listed


def _blocks(text: str) -> list[tuple[str, dict[str, float]]]:
    """Each command, with its values by name of record."""
    blocks: list[tuple[str, dict[str, float]]] = []
    is_open = False
    last = 0
    for last, line in lines(text):
        stripped = line.strip()
        key, _colon, value = stripped.rpartition(": ") if is_open else ("", "", "")
        field = _FIELDS.get(key)
        if field is not None:
            blocks[-1][1][field.name] = _clock(value, last) if key == _WALL else number(_TOOL, value, last)
        elif stripped.startswith(_COMMAND):
            blocks.append((stripped[len(_COMMAND) :].strip('"'), {}))
            is_open = True
        elif stripped.startswith(_END):
            is_open = False
    if is_open:
        raise ParseError(_TOOL, last, f"incomplete report: expected a line {_END.strip()!r}")
    return blocks


def _clock(text: str, line: int) -> float:
    """Parse ``h:mm:ss`` or ``m:ss.cc`` as seconds."""
    seconds = 0.0
    for part in text.split(":", 3):
        seconds = seconds * 60 + number(_TOOL, part, line)
    return seconds
