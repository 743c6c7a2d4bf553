"""``bbmeasure run -- COMMAND``: run a command and report its time, memory, and bytes read and written.

The command has the input, output, environment, process group and signals of this process.  The exit status is that of
the command, or as in a shell 128 plus the number of the signal that ended it.

Most calls have no option but a plain ``--name``.  They do without argparse and Record, whose imports take several times
as long as all else.
"""

from __future__ import annotations

import os
import sys

from bbmeasure import formatting, plain_wire
from bbmeasure_scripts import line_writer, resource_usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Mapping, Sequence

    from bbmeasure.records import Record

#: The resources by the suffix of their series: the field of Usage, kind and base unit, and the word in the summary.
RESOURCES = {
    "wall": ("wall", "duration", "s", "wall"),
    "cpu": ("cpu", "duration", "s", "CPU"),
    "max_rss": ("max_rss", "size", "bytes", "largest process"),
    "tree_rss": ("tree_rss", "size", "bytes", "tree"),
    "read": ("read", "size", "bytes", "read"),
    "written": ("written", "size", "bytes", "written"),
    "context_switches": ("switches", "count", "1", "context switches"),
}
_PROGRAM = "bbmeasure run"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status, 126 or 127 where it cannot be run, 2 for an invalid command line."""
    listed = list(sys.argv[1:] if argv is None else argv)
    name, command, tags = read_plain(listed) or read(listed)
    try:
        usage = resource_usage.measure(command)
    except resource_usage.NotStartedError as error:
        line_writer.print_line(f"{_PROGRAM}: {error}")
        return error.status
    summaries = [describe(name, usage), *(f"{_PROGRAM}: {note}" for note in usage.notes)]
    if plain_wire.is_plain(name) and not tags:
        line_writer.write(numbers(name, usage), plain_wire.Number.encode, summaries, stdout_is_free=False)
    else:
        from bbmeasure_scripts import record_writer

        record_writer.write(records(name, usage, tags), summaries, stdout_is_free=False)
    return usage.status


def read_plain(argv: list[str]) -> tuple[str, list[str], Mapping[str, str]] | None:
    """The name, the command and no tags from ``[--name NAME] -- COMMAND...``; None for any other command line."""
    options, command = split(argv)
    option, _, name = "=".join(options).partition("=")
    if option not in ("", "--name") or len(command) < 2:
        return None
    name = name if option else default_name(command[1:])
    return (name, command[1:], {}) if plain_wire.is_plain(name) and name[0] != "-" else None


def read(argv: list[str]) -> tuple[str, list[str], Mapping[str, str]]:
    """The name, the command and the tags from any command line; exits with 2 where it is invalid."""
    from bbmeasure.errors import MeasureError
    from bbmeasure.records import Record
    from bbmeasure_scripts import command_line, emit

    options, rest = split(argv)
    parser = _parser()
    arguments = command_line.read(parser, options)
    # a -- after the command belongs to the command
    command = arguments.command + rest if arguments.command else rest[1:]
    if not command:
        parser.error("expected a command after --")
    name = arguments.name or default_name(command)
    try:
        tags = emit.read_tags(arguments.tag)
        for series in (name, f"{name}_context_switches"):
            Record(series, 0, tags=tags)
    except MeasureError as error:
        parser.error(str(error))
    return name, command, tags


def split(argv: list[str]) -> tuple[list[str], list[str]]:
    """Split a command line before its first ``--``."""
    at = argv.index("--") if "--" in argv else len(argv)
    return argv[:at], argv[at:]


def default_name(command: list[str]) -> str:
    """The name of the program that a command runs."""
    return os.fsencode(os.path.basename(command[0])).decode("utf-8", "replace")


def numbers(name: str, usage: resource_usage.Usage) -> list[plain_wire.Number]:
    """The value of each resource that this system accounts for."""
    found = []
    for suffix, (field, kind, unit, _) in RESOURCES.items():
        value = getattr(usage, field)
        if value is not None:
            found.append(plain_wire.Number(f"{name}_{suffix}", value, kind, unit))
    return found


def records(name: str, usage: resource_usage.Usage, tags: Mapping[str, str]) -> list[Record]:
    """A record for each known resource."""
    from bbmeasure.records import Record

    return [
        Record(number.name, number.value, kind=number.kind, unit=number.unit, better="lower", tags=tags)
        for number in numbers(name, usage)
    ]


def describe(name: str, usage: resource_usage.Usage) -> str:
    """The summary for people, in one line."""
    parts = []
    for field, _, unit, label in RESOURCES.values():
        value = getattr(usage, field)
        if value is not None:
            parts.append(f"{formatting.format(value, unit)} {label}")
    if usage.orphans:
        parts.append(f"{usage.orphans} orphan{'s' * (usage.orphans != 1)}")
    return f"{name}: {', '.join(parts)}, exit status {usage.status}"


def _parser() -> argparse.ArgumentParser:
    import argparse

    from bbmeasure_scripts import command_line

    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
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
