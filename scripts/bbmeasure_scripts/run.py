"""``bbmeasure run -- COMMAND``: run a command and report its time, memory, and bytes read and written.

The command has the input, output, environment, process group and signals of this process.  The exit status is that of
the command, or as in a shell 128 plus the number of the signal that ended it.
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
    """Run the command; returns its exit status, 126 or 127 where it cannot be run, 2 for an invalid command line."""
    options, rest = split(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    arguments = command_line.read(parser, options)
    command = (
        arguments.command + rest if arguments.command else rest[1:]
    )  # a -- after the command belongs to the command
    if not command:
        parser.error("expected a command after --")
    name = arguments.name or os.fsencode(os.path.basename(command[0])).decode("utf-8", "replace")
    try:
        tags = emit.read_tags(arguments.tag)
        for series in (name, f"{name}_context_switches"):
            Record(series, 0, tags=tags)
    except MeasureError as error:
        parser.error(str(error))
    try:
        usage = resource_usage.measure(command)
    except resource_usage.NotStartedError as error:
        record_writer.print_line(f"{parser.prog}: {error}")
        return error.status
    summaries = [describe(name, usage), *(f"{parser.prog}: {note}" for note in usage.notes)]
    record_writer.write(records(name, usage, arguments.tag), summaries, stdout_is_free=False)
    return usage.status


def split(argv: Sequence[str]) -> Tuple[List[str], List[str]]:
    """Split a command line before its first ``--``."""
    listed = list(argv)
    if "--" not in listed:
        return listed, []
    at = listed.index("--")
    return listed[:at], listed[at:]


def records(name: str, usage: resource_usage.Usage, tags: Sequence[str] = ()) -> List[Record]:
    """A record for each known resource."""
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
        epilog="The exit status is the command's, or 128 plus the number of the signal that ended it.",
    )
    parser.add_argument("--name", help="the prefix of the series (default: the name of the command)")
    parser.add_argument("--tag", metavar="KEY=VALUE", action="append", default=[], help="may be given several times")
    parser.add_argument(
        "command", metavar="COMMAND", nargs=argparse.REMAINDER, default=[], help="the command and its arguments"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
