"""``bbmeasure-size PATH...``: report the size of files, patterns and folders in bytes.

The apparent size is the sum of the lengths of regular files, as of ``du -b`` but without folders and symbolic links
themselves; the allocated size is that of their blocks on the disk.  Hard links of one file count once, and symbolic
links are not followed.
"""

from __future__ import annotations

import argparse
import os
from operator import attrgetter
from typing import List, NamedTuple, Optional, Sequence

from bbmeasure.errors import MeasureError
from bbmeasure.records import Record
from bbmeasure_scripts import command_line, file_walk, line_writer, record_writer

#: The unit of st_blocks in bytes, which does not depend on the block size of the file system.
BLOCK = 512


class Sizes(NamedTuple):
    """The size in bytes, the number of files, and notes on what was left out."""

    size: int
    files: int
    notes: List[str]


def measure(patterns: Sequence[str], exclude: Sequence[str] = (), allocated: bool = False) -> Sizes:
    """The size of all regular files below the paths of ``patterns``."""
    notes = file_walk.Notes()
    roots = file_walk.expand_all(patterns, notes)
    size = count = 0
    length = attrgetter("st_blocks" if allocated else "st_size")
    for _, _, statuses in file_walk.walk(roots, file_walk.Excluded(exclude), notes):
        count += len(statuses)
        size += sum(map(length, statuses))
    return Sizes(size * BLOCK if allocated else size, count, notes.lines())


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Report the size; returns 0, 1 without a file or where writing fails, 2 for an invalid command line."""
    parser = _parser()
    arguments = command_line.read(parser, argv)
    if arguments.allocated and not hasattr(os.stat_result, "st_blocks"):
        parser.error("--allocated: this system does not report the blocks of a file")
    sizes = measure(arguments.path, arguments.exclude, arguments.allocated)
    for line in sizes.notes:
        line_writer.print_line(f"{parser.prog}: {line}")
    if not sizes.files:
        line_writer.print_line(f"{parser.prog}: no file found in {', '.join(arguments.path)} (from {os.getcwd()})")
        return 1
    try:
        records = [
            Record(arguments.name, sizes.size, unit="bytes", better="lower"),
            Record(f"{arguments.name}_files", sizes.files, kind="count"),
        ]
    except MeasureError as error:
        line_writer.print_line(f"{parser.prog}: {error}")
        return 2
    summary = (
        f"{record_writer.summary(records[0])} ({sizes.size} bytes) in {sizes.files} file{'s' * (sizes.files != 1)}"
    )
    return 0 if record_writer.write(records, [summary]) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bbmeasure-size",
        formatter_class=command_line.formatter,
        description="Report the size of files, patterns and folders in bytes, and the number of files.",
        epilog="Hard links of one file count once; symbolic links are not followed. Exit status 1: no file was found.",
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
        help="leave out files and folders of that name, or of that path if it contains a /; may be repeated",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--apparent", action="store_true", help="the sum of the lengths of the files (default)")
    kind.add_argument("--allocated", action="store_true", help="the size of the blocks on the disk")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
