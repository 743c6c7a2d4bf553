"""``bbmeasure-size PATH...``: how many bytes files, patterns and folders hold.

The apparent size is the sum of the lengths of regular files, as ``du -b`` gives without what folders and symbolic links
take themselves; the allocated size is what their blocks take on the disk.  Hard links of one file count once, symbolic
links are not followed.
"""

from __future__ import annotations

import argparse
import os
from operator import attrgetter
from typing import List, NamedTuple, Optional, Sequence

from bbmeasure.errors import MeasureError
from bbmeasure.records import Record
from bbmeasure_scripts import command_line, file_walk, record_writer

#: POSIX gives st_blocks in units of this many bytes, whatever the file system's own block is.
BLOCK = 512


class Sizes(NamedTuple):
    """What was found: bytes, how many files, and what could not be counted."""

    size: int
    files: int
    notes: List[str]


def measure(patterns: Sequence[str], exclude: Sequence[str] = (), allocated: bool = False) -> Sizes:
    """The size of all regular files that ``patterns`` mean."""
    notes = file_walk.Notes()
    roots = file_walk.expand_all(patterns, notes)
    size = count = 0
    length = attrgetter("st_blocks" if allocated else "st_size")
    for _, _, statuses in file_walk.walk(roots, file_walk.Excluded(exclude), notes):
        count += len(statuses)
        size += sum(map(length, statuses))
    return Sizes(size * BLOCK if allocated else size, count, notes.lines())


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Report the size: 0, 1 where nothing was found or it could not be handed over, 2 for a wrong command line."""
    parser = _parser()
    wanted = command_line.read(parser, argv)
    if wanted.allocated and not hasattr(os.stat_result, "st_blocks"):
        parser.error("--allocated: this system does not tell what a file takes on the disk")
    sizes = measure(wanted.path, wanted.exclude, wanted.allocated)
    for line in sizes.notes:
        record_writer.say(f"{parser.prog}: {line}")
    if not sizes.files:
        record_writer.say(f"{parser.prog}: no file found in {', '.join(wanted.path)} (from {os.getcwd()})")
        return 1
    try:
        records = [
            Record(wanted.name, sizes.size, unit="bytes", better="lower"),
            Record(f"{wanted.name}_files", sizes.files, kind="count"),
        ]
    except MeasureError as error:
        record_writer.say(f"{parser.prog}: {error}")
        return 2
    people = f"{record_writer.human(records[0])} ({sizes.size} bytes) in {sizes.files} file{'s' * (sizes.files != 1)}"
    return 0 if record_writer.deliver(records, [people]) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bbmeasure-size",
        formatter_class=command_line.formatter,
        description="Report how many bytes files, patterns and folders hold, and how many files they are.",
        epilog="Hard links of one file count once; symbolic links are not followed. Exit status 1: nothing was found.",
    )
    parser.add_argument(
        "path", metavar="PATH", nargs="+", help="a file, a folder, or a pattern such as 'dist/**/*.whl'"
    )
    parser.add_argument("--name", default="size", help="the name of the series (default: size)")
    parser.add_argument(
        "--exclude",
        metavar="PATTERN",
        action="append",
        default=[],
        help="leave out files and folders of that name, or path where it has a /; may be given several times",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--apparent", action="store_true", help="the lengths of the files (this is the default)")
    kind.add_argument("--allocated", action="store_true", help="what the files take on the disk")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
