"""``bbmeasure run -- COMMAND``: run a command and report its time, memory, and what it read and wrote.

The command keeps its input, output, environment, process group and signals; the exit status is its own, or 128 and the
number of the signal that ended it, as in a shell.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from bbmeasure import units
from bbmeasure.errors import MeasureError
from bbmeasure.records import Record
from bbmeasure_scripts import command_line, emit, record_writer, resource_usage


class Resource(NamedTuple):
    """A resource that a command uses: the field of Usage, the unit, and the word in the summary."""

    field: str
    unit: str
    label: str


#: The resources by the suffix of their series.
RESOURCES: Dict[str, Resource] = {
    "wall": Resource("wall", "s", "wall"),
    "cpu": Resource("cpu", "s", "CPU"),
    "max_rss": Resource("max_rss", "bytes", "largest process"),
    "tree_rss": Resource("tree_rss", "bytes", "tree"),
    "read": Resource("read", "bytes", "read"),
    "written": Resource("written", "bytes", "written"),
    "context_switches": Resource("switches", "count", "context switches"),
}


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command: its exit status; 126 or 127 where it cannot be run, 2 for a wrong command line."""
    ours, rest = split(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    wanted = command_line.read(parser, ours)
    command = wanted.command + rest if wanted.command else rest[1:]  # a -- behind the command is its own
    if not command:
        parser.error("expected a command behind --")
    name = wanted.name or os.fsencode(os.path.basename(command[0])).decode("utf-8", "replace")
    try:
        tags = emit.read_tags(wanted.tag)
        for series in (name, f"{name}_context_switches"):
            Record(series, 0, tags=tags)
    except MeasureError as error:
        parser.error(str(error))
    try:
        usage = resource_usage.measure(command)
    except resource_usage.NotStartedError as error:
        record_writer.say(f"{parser.prog}: {error}")
        return error.status
    people = [describe(name, usage), *(f"{parser.prog}: {note}" for note in usage.notes)]
    record_writer.deliver(records(name, usage, wanted.tag), people, stdout_is_ours=False)
    return usage.status


def split(argv: Sequence[str]) -> Tuple[List[str], List[str]]:
    """The options of ``run``, and the rest from the first ``--`` on."""
    listed = list(argv)
    if "--" not in listed:
        return listed, []
    at = listed.index("--")
    return listed[:at], listed[at:]


def records(name: str, usage: resource_usage.Usage, tags: Sequence[str] = ()) -> List[Record]:
    """A record of each known resource."""
    parsed_tags = emit.read_tags(tags)
    return [
        Record(f"{name}_{suffix}", value, unit=resource.unit, better="lower", tags=parsed_tags)
        for suffix, resource, value in _known(usage)
    ]


def describe(name: str, usage: resource_usage.Usage) -> str:
    """The summary for people, in one line."""
    parts = [
        f"{units.format(value, units.find(resource.unit).base)} {resource.label}"
        for _, resource, value in _known(usage)
    ]
    if usage.orphans:
        parts.append(f"{usage.orphans} orphan{'s' * (usage.orphans != 1)}")
    return f"{name}: {', '.join(parts)}, exit status {usage.status}"


def _known(usage: resource_usage.Usage) -> List[Tuple[str, Resource, float]]:
    """The suffix, the resource and the value of each resource that this system accounts for."""
    values = [(suffix, resource, getattr(usage, resource.field)) for suffix, resource in RESOURCES.items()]
    return [(suffix, resource, value) for suffix, resource, value in values if value is not None]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bbmeasure run",
        formatter_class=command_line.formatter,
        usage="%(prog)s [-h] [--name NAME] [--tag KEY=VALUE] -- COMMAND ...",
        description="Run a command and report its time, CPU, memory, bytes read and written and context switches.",
        epilog="The exit status is the command's, or 128 and the number of the signal that ended it.",
    )
    parser.add_argument("--name", help="what the names of the series begin with (default: the command's own name)")
    parser.add_argument("--tag", metavar="KEY=VALUE", action="append", default=[], help="may be given several times")
    parser.add_argument(
        "command", metavar="COMMAND", nargs=argparse.REMAINDER, default=[], help="what to run, and its arguments"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
