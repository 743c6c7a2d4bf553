"""``bbmeasure-size PATH...``: report the size of files, patterns and folders in bytes.

The apparent size is the sum of the lengths of regular files, as of ``du -b`` but without folders and symbolic links
themselves; the allocated size is that of their blocks on the disk.  Hard links of one file count once, and symbolic
links are not followed.

Most calls have only paths and a plain ``--name``.  They do without argparse and Record, whose imports take half of the
start.
"""

from __future__ import annotations

import os
import sys
from operator import attrgetter
from typing import TYPE_CHECKING, List, NamedTuple, Optional, Sequence

from bbmeasure import formatting, plain_wire
from bbmeasure_scripts import file_walk, line_writer

if TYPE_CHECKING:
    import argparse

#: The unit of st_blocks in bytes, which does not depend on the block size of the file system.
BLOCK = 512
_PROGRAM = "bbmeasure-size"


class Arguments(NamedTuple):
    """Arguments of a measurement: paths and patterns, the name of the series, and the options."""

    paths: Sequence[str]
    name: str = "size"
    exclude: Sequence[str] = ()
    allocated: bool = False


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
    listed = list(sys.argv[1:] if argv is None else argv)
    arguments = read_plain(listed) or read(listed)
    sizes = measure(arguments.paths, arguments.exclude, arguments.allocated)
    for line in sizes.notes:
        line_writer.print_line(f"{_PROGRAM}: {line}")
    if not sizes.files:
        line_writer.print_line(f"{_PROGRAM}: no file found in {', '.join(arguments.paths)} (from {os.getcwd()})")
        return 1
    return _write(arguments.name, sizes)


def _write(name: str, sizes: Sizes) -> int:
    """Write the size and the number of files; returns the exit status."""
    size, files = sizes.size, sizes.files
    more = f"({size} bytes) in {files} file{'s' * (files != 1)}"
    if plain_wire.is_plain(name):
        count = plain_wire.Number(f"{name}_files", files, "count", "1", better="")
        numbers = [plain_wire.Number(name, size, "size", "bytes"), count]
        summary = f"{name}: {formatting.format(size, 'bytes')} {more}"
        return 0 if line_writer.write(numbers, plain_wire.Number.encode, [summary]) else 1
    from bbmeasure.errors import MeasureError
    from bbmeasure.records import Record
    from bbmeasure_scripts import record_writer

    try:
        records = [Record(name, size, unit="bytes", better="lower"), Record(f"{name}_files", files, kind="count")]
    except MeasureError as error:
        line_writer.print_line(f"{_PROGRAM}: {error}")
        return 2
    return 0 if record_writer.write(records, [f"{record_writer.summary(records[0])} {more}"]) else 1


def read_plain(argv: List[str]) -> Optional[Arguments]:
    """The arguments of ``[--name NAME] PATH...``; None for any other command line."""
    named = argv[:1] == ["--name"]
    paths, name = (argv[2:], "".join(argv[1:2])) if named else (argv, "size")
    if not paths or any(path.startswith("-") for path in [name, *paths]):
        return None
    return Arguments(paths, name)


def read(argv: List[str]) -> Arguments:
    """The arguments of any command line; exits with 2 where it is invalid."""
    from bbmeasure_scripts import command_line

    parser = _parser()
    arguments = command_line.read(parser, argv)
    if arguments.allocated and not hasattr(os.stat_result, "st_blocks"):
        parser.error("--allocated: this system does not report the blocks of a file")
    return Arguments(arguments.path, arguments.name, arguments.exclude, arguments.allocated)


def _parser() -> argparse.ArgumentParser:
    import argparse

    from bbmeasure_scripts import command_line

    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
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
