"""``bbmeasure-sloc PATH...``: count source lines of code by language.

Runs a tool that is installed on the worker, else the bundled counter.  Tools define source lines differently: a text
record names the tool that counted, and ``--keep`` names the one that a series had before.
"""

from __future__ import annotations

import argparse
import os
from typing import List, Optional, Sequence

from bbmeasure.errors import MeasureError, ParseError
from bbmeasure.records import Record
from bbmeasure_scripts import command_line, file_walk, line_writer, record_writer, sloc_tools
from bbmeasure_scripts.sloc_tools import Counted

BUILTIN = "builtin"
#: The accepted values of ``--tool``.
TOOLS = ("auto", BUILTIN, *sloc_tools.TOOLS)
#: Incremented whenever the bundled counter counts the same text differently.
BUILTIN_VERSION = "2"
BUILTIN_DEFINITION = "neither blank nor comment; docstrings are comments"
#: The most languages with a record of their own; the smallest are summed up.
MAX_LANGUAGES = 60
OTHERS = "others"


class NoSourceError(Exception):
    """The paths contain no source code."""


def count(
    patterns: Sequence[str], exclude: Sequence[str] = (), tool: str = "auto", keep: Optional[str] = None
) -> Counted:
    """Lines by language; NoSourceError where there are none, ParseError where the given tool fails."""
    notes = file_walk.Notes()
    roots = file_walk.expand_all(patterns, notes)
    if roots:
        counted = _by_tool(roots, exclude, tool, keep) or _builtin(roots, exclude, notes)
        for line in notes.lines():
            line_writer.print_line(f"bbmeasure-sloc: {line}")
        if counted.lines:
            return counted
    raise NoSourceError(f"no source code found in {', '.join(patterns)} (from {os.getcwd()})")


def _by_tool(roots: Sequence[str], exclude: Sequence[str], tool: str, keep: Optional[str]) -> Optional[Counted]:
    """The count of a tool; None where the bundled counter is to be used."""
    if BUILTIN in (tool, keep) and tool in ("auto", BUILTIN):
        return None
    if tool != "auto":
        return sloc_tools.run(tool, roots, exclude)
    names = sloc_tools.available(exclude, keep)
    if keep and keep not in names:
        other = names[0] if names else BUILTIN
        line_writer.print_line(
            f"bbmeasure-sloc: {keep}, the previous tool, is not available; {other} may count differently"
        )
    for name in names:
        try:
            return sloc_tools.run(name, roots, exclude)
        except ParseError as error:
            line_writer.print_line(f"bbmeasure-sloc: {error}; the next tool may count differently")
    return None


def _builtin(roots: Sequence[str], exclude: Sequence[str], notes: file_walk.Notes) -> Counted:
    from bbmeasure_scripts import sloc_counter  # imported here: its regexes take 15 ms

    counted = sloc_counter.count_tree(roots, file_walk.Excluded(exclude), notes)
    return Counted(counted.lines, BUILTIN, BUILTIN_VERSION)


def records(name: str, counted: Counted) -> List[Record]:
    """Records of the total, the tool, and the languages, largest first."""
    languages = sorted(counted.lines.items(), key=lambda item: (-item[1], item[0]))
    if len(languages) > MAX_LANGUAGES:
        rest = sum(lines for _, lines in languages[MAX_LANGUAGES - 1 :])
        languages = [*languages[: MAX_LANGUAGES - 1], (OTHERS, rest)]
    return [
        Record(name, sum(counted.lines.values()), kind="count"),
        Record(f"{name}_tool", counted.tool),
        *(
            Record(f"{name}_by_language", lines, kind="count", tags={"language": language})
            for language, lines in languages
        ),
    ]


def describe(name: str, counted: Counted) -> List[str]:
    """The summary for people: the total with its tool and definition, and each language."""
    definition = BUILTIN_DEFINITION if counted.tool == BUILTIN else sloc_tools.TOOLS[counted.tool].definition
    total = sum(counted.lines.values())
    languages = sorted(counted.lines.items(), key=lambda item: (-item[1], item[0]))
    return [
        f"{name}: {total} lines of source, by {counted.tool} {counted.version}".rstrip() + f" ({definition})",
        *(f"  {language}: {lines}" for language, lines in languages[:MAX_LANGUAGES]),
    ]


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Report the lines; returns 0, 1 without source code or where the tool fails, 2 for an invalid command line."""
    parser = _parser()
    arguments = command_line.read(parser, argv)
    keep = arguments.keep or None
    if keep and keep != BUILTIN and keep not in sloc_tools.TOOLS:
        line_writer.print_line(f"{parser.prog}: --keep {keep}: unknown tool, ignored")
        keep = None
    if arguments.tool in sloc_tools.TOOLS and not sloc_tools.TOOLS[arguments.tool].can_exclude(arguments.exclude):
        parser.error(
            f"--exclude {' '.join(arguments.exclude)}: {arguments.tool} does not support it, cloc and {BUILTIN} do"
        )
    if arguments.tool in sloc_tools.TOOLS and not sloc_tools.is_installed(arguments.tool):
        line_writer.print_line(f"{parser.prog}: {arguments.tool} is not installed on this worker")
        return 1
    try:
        for series in (arguments.name, f"{arguments.name}_by_language"):
            Record(series, 0)
    except MeasureError as error:
        parser.error(str(error))
    try:
        counted = count(arguments.path, arguments.exclude, arguments.tool, keep)
    except (NoSourceError, ParseError) as error:
        line_writer.print_line(f"{parser.prog}: {error}")
        return 1
    return 0 if record_writer.write(records(arguments.name, counted), describe(arguments.name, counted)) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bbmeasure-sloc",
        formatter_class=command_line.formatter,
        description="Report the source lines of code by language, and the tool that counted them.",
        epilog="Exit status 1: no source code was found, or the tool failed.",
    )
    parser.add_argument("path", metavar="PATH", nargs="+", help="a file, a folder, or a pattern such as 'src/**/*.py'")
    parser.add_argument("--name", default="sloc", help="the name of the series (default: sloc)")
    parser.add_argument(
        "--tool",
        choices=TOOLS,
        default="auto",
        help="the tool that counts; auto is the first that is installed, builtin the bundled counter",
    )
    parser.add_argument("--keep", metavar="TOOL", help="the tool that counted before, which auto prefers")
    parser.add_argument(
        "--exclude",
        metavar="PATTERN",
        action="append",
        default=[],
        help="leave out files and folders of that name, or of that path if it contains a /; may be repeated",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
