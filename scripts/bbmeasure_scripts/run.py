"""``bbmeasure run -- COMMAND``: run a command and report its time, memory, and what it read and wrote.

The command keeps its input, output, environment, process group and signals; the exit status is its own, or 128 and the
number of the signal that ended it, as in a shell.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import List, Optional, Sequence, Tuple

from bbmeasure import units
from bbmeasure.errors import MeasureError
from bbmeasure.records import Record
from bbmeasure_scripts import emit, options, output, watch


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command: its exit status; 126 or 127 where it cannot be run, 2 for a wrong command line."""
    ours, rest = split(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    wanted = options.read(parser, ours)
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
        usage = watch.measure(command)
    except watch.NotStartedError as error:
        output.say(f"{parser.prog}: {error}")
        return error.status
    people = [describe(name, usage), *(f"{parser.prog}: {note}" for note in usage.notes)]
    output.deliver(records(name, usage, wanted.tag), people, stdout_is_ours=False)
    return usage.status


def split(argv: Sequence[str]) -> Tuple[List[str], List[str]]:
    """The options of ``run``, and the rest from the first ``--`` on."""
    listed = list(argv)
    if "--" not in listed:
        return listed, []
    at = listed.index("--")
    return listed[:at], listed[at:]


def records(name: str, usage: watch.Usage, tags: Sequence[str] = ()) -> List[Record]:
    """What was seen, a record each."""
    values = [
        ("wall", usage.wall, "s"),
        ("cpu", usage.cpu, "s"),
        ("max_rss", usage.max_rss, "bytes"),
        ("tree_rss", usage.tree_rss, "bytes"),
        ("read", usage.read, "bytes"),
        ("written", usage.written, "bytes"),
        ("context_switches", usage.switches, "count"),
    ]
    read = emit.read_tags(tags)
    return [
        Record(f"{name}_{what}", value, unit=unit, better="lower", tags=read)
        for what, value, unit in values
        if value is not None
    ]


def describe(name: str, usage: watch.Usage) -> str:
    """One line for people."""
    values = [
        ("wall", usage.wall, "s"),
        ("CPU", usage.cpu, "s"),
        ("largest process", usage.max_rss, "bytes"),
        ("tree", usage.tree_rss, "bytes"),
        ("read", usage.read, "bytes"),
        ("written", usage.written, "bytes"),
        ("context switches", usage.switches, "1"),
    ]
    parts = [f"{units.format(value, unit)} {what}" for what, value, unit in values if value is not None]
    if usage.orphans:
        parts.append(f"{usage.orphans} orphan{'s' * (usage.orphans != 1)}")
    return f"{name}: {', '.join(parts)}, exit status {usage.status}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bbmeasure run",
        formatter_class=options.formatter,
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
