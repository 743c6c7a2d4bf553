"""ninja's ``.ninja_log``: how long the last build took, and what took it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from bbmeasure.adapters._records import LOWER, Records
from bbmeasure.adapters._text import lines, number
from bbmeasure.adapters.lint import MOST_GROUPS, OTHER
from bbmeasure.errors import ParseError
from bbmeasure.records import Kind, Record
from bbmeasure.units import excerpt

_TOOL = "ninja"
_HEADER = re.compile(r"# ninja log v[0-9]{1,3}\Z")


class _Step(NamedTuple):
    """One command that ninja ran: milliseconds since ninja began, an output, the hash of the command."""

    start: float
    end: float
    output: str
    command: str


def parse(text: str) -> list[Record]:
    """``ninja_wall``, ``ninja_work`` (the time of all steps together), ``ninja_longest`` (of the longest step),
    ``ninja_steps``, and ``ninja_work_by_type`` tagged with the ``type`` of what was made: ``o``, ``so``.

    Of the builds in a log the last is meant.  ninja appends a step when it ends, so an end before the one above
    begins a build.  A build that had nothing to do leaves no trace: the log still tells of the one before.  The format:
    https://github.com/ninja-build/ninja/blob/master/src/build_log.cc
    """
    steps = _last_build(_steps(text))
    if not steps:
        return []
    kept = Records()
    spent = [step.end - step.start for step in steps]
    wall = max(step.end for step in steps) - min(step.start for step in steps)
    kept.add("ninja_wall", wall, unit="ms", better=LOWER)
    kept.add("ninja_work", sum(spent), unit="ms", better=LOWER)
    kept.add("ninja_longest", max(spent), unit="ms", better=LOWER)
    kept.add("ninja_steps", len(steps), kind=Kind.COUNT)
    for made, work in _by_type(steps):
        kept.add("ninja_work_by_type", work, unit="ms", better=LOWER, tags={"type": made})
    return kept.listed


def _steps(text: str) -> Iterator[_Step]:
    """Each line: start, end, time of the output's change, output, hash of the command, with tabs between."""
    for line_number, line in lines(text):
        if line_number == 1 and not _HEADER.match(line):
            raise ParseError(_TOOL, 1, f"{excerpt(line)}: expected # ninja log v5 or later")
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != 5:
            raise ParseError(_TOOL, line_number, f"{len(fields)} fields: expected 5 with tabs between")
        start, end = (number(_TOOL, field, line_number) for field in fields[:2])
        if end < start:
            raise ParseError(_TOOL, line_number, f"the step ends at {end:g} ms: expected {start:g} or later")
        yield _Step(start, end, fields[3], fields[4])


def _last_build(steps: Iterator[_Step]) -> list[_Step]:
    """The steps of the last build, each once however many outputs it had."""
    build: dict[tuple[float, float, str], _Step] = {}
    end = 0.0
    for step in steps:
        if step.end < end:
            build.clear()
        end = step.end
        build.setdefault((step.start, step.end, step.command), step)
    return list(build.values())


def _by_type(steps: list[_Step]) -> list[tuple[str, float]]:
    """The work of each type of output, the largest first; what is beyond the most is ``other``."""
    work: dict[str, float] = {}
    for step in steps:
        made = _type_of(step.output)
        work[made] = work.get(made, 0.0) + step.end - step.start
    largest = sorted(work.items(), key=lambda item: (-item[1], item[0]))
    if len(largest) <= MOST_GROUPS:
        return largest
    kept = dict(largest[: MOST_GROUPS - 1])
    kept[OTHER] = kept.get(OTHER, 0.0) + sum(spent for _made, spent in largest[MOST_GROUPS - 1 :])
    return list(kept.items())


def _type_of(output: str) -> str:
    """The ending of a file's name, without the version behind it: ``so`` for ``libcore.so.1.2``."""
    parts = output.replace("\\", "/").rpartition("/")[2].split(".")
    while len(parts) > 1 and (not parts[-1] or parts[-1].isdigit()):
        parts.pop()
    return parts[-1] if len(parts) > 1 and parts[-1] else "none"
