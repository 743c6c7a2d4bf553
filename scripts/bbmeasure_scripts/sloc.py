"""``bbmeasure-sloc PATH...``: how many lines of source code there are, by language.

Counted by a tool that the worker has, else by the bundled counter.  Tools differ in what they take for code, so that a
change of tool is no change of the code: a text record says which one gave the number, and ``--keep`` names the tool
that a series had before.
"""

from __future__ import annotations

import argparse
import os
from typing import List, Optional, Sequence

from bbmeasure.errors import MeasureError, ParseError
from bbmeasure.records import Record
from bbmeasure_scripts import command_line, file_walk, record_writer, sloc_counter, sloc_tools
from bbmeasure_scripts.sloc_tools import Counted

BUILTIN = "builtin"
#: The accepted values of ``--tool``.
TOOLS = ("auto", BUILTIN, *sloc_tools.TOOLS)
#: Raised whenever the bundled counter counts the same text differently.
BUILTIN_VERSION = "1"
BUILTIN_DEFINITION = "neither blank nor comment; docstrings are comments"
#: Languages beyond these, the smallest, are reported together.
MOST_LANGUAGES = 60
OTHERS = "others"


class NothingFoundError(Exception):
    """There is no source code where it was looked for."""


def count(
    patterns: Sequence[str], exclude: Sequence[str] = (), tool: str = "auto", keep: Optional[str] = None
) -> Counted:
    """Lines by language; NothingFoundError where there are none, ParseError where an insisted tool fails."""
    notes = file_walk.Notes()
    roots = file_walk.expand_all(patterns, notes)
    if roots:
        counted = _by_tool(roots, exclude, tool, keep) or _builtin(roots, exclude, notes)
        for line in notes.lines():
            record_writer.say(f"bbmeasure-sloc: {line}")
        if counted.lines:
            return counted
    raise NothingFoundError(f"no source code found in {', '.join(patterns)} (from {os.getcwd()})")


def _by_tool(roots: Sequence[str], exclude: Sequence[str], tool: str, keep: Optional[str]) -> Optional[Counted]:
    """What a tool counts; None where the bundled counter is to do it."""
    if BUILTIN in (tool, keep) and tool in ("auto", BUILTIN):
        return None
    if tool != "auto":
        return sloc_tools.run(tool, roots, exclude)
    names = sloc_tools.available(exclude, keep)
    if keep and keep not in names:
        now = names[0] if names else BUILTIN
        record_writer.say(
            f"bbmeasure-sloc: {keep}, which counted before, cannot: {now} does, and may count differently"
        )
    for name in names:
        try:
            return sloc_tools.run(name, roots, exclude)
        except ParseError as error:
            record_writer.say(f"bbmeasure-sloc: {error}; trying another tool, which may count differently")
    return None


def _builtin(roots: Sequence[str], exclude: Sequence[str], notes: file_walk.Notes) -> Counted:
    counted = sloc_counter.count_tree(roots, file_walk.Excluded(exclude), notes)
    return Counted(counted.lines, BUILTIN, BUILTIN_VERSION)


def records(name: str, counted: Counted) -> List[Record]:
    """The total, the tool, and the languages, the largest first."""
    languages = sorted(counted.lines.items(), key=lambda item: (-item[1], item[0]))
    if len(languages) > MOST_LANGUAGES:
        rest = sum(lines for _, lines in languages[MOST_LANGUAGES - 1 :])
        languages = [*languages[: MOST_LANGUAGES - 1], (OTHERS, rest)]
    return [
        Record(name, sum(counted.lines.values()), kind="count"),
        Record(f"{name}_tool", counted.tool),
        *(
            Record(f"{name}_by_language", lines, kind="count", tags={"language": language})
            for language, lines in languages
        ),
    ]


def describe(name: str, counted: Counted) -> List[str]:
    """Lines for people: the total with its tool and definition, and each language."""
    is_ours = counted.tool == BUILTIN
    definition = BUILTIN_DEFINITION if is_ours else sloc_tools.TOOLS[counted.tool].definition
    total = sum(counted.lines.values())
    languages = sorted(counted.lines.items(), key=lambda item: (-item[1], item[0]))
    return [
        f"{name}: {total} lines of source, by {counted.tool} {counted.version}".rstrip() + f" ({definition})",
        *(f"  {language}: {lines}" for language, lines in languages[:MOST_LANGUAGES]),
    ]


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Report the lines: 0, 1 where none were found or the tool fails, 2 for a wrong command line."""
    parser = _parser()
    wanted = command_line.read(parser, argv)
    keep = wanted.keep or None
    if keep and keep != BUILTIN and keep not in sloc_tools.TOOLS:
        record_writer.say(f"{parser.prog}: --keep {keep}: not a tool that is known; it is not kept")
        keep = None
    if wanted.tool in sloc_tools.TOOLS and not sloc_tools.TOOLS[wanted.tool].can_leave_out(wanted.exclude):
        parser.error(f"--exclude: {wanted.tool} cannot leave that out; --tool {BUILTIN} and cloc can")
    if wanted.tool in sloc_tools.TOOLS and not sloc_tools.is_there(wanted.tool):
        record_writer.say(f"{parser.prog}: {wanted.tool} is not on this worker")
        return 1
    try:
        for series in (wanted.name, f"{wanted.name}_by_language"):
            Record(series, 0)
    except MeasureError as error:
        parser.error(str(error))
    try:
        counted = count(wanted.path, wanted.exclude, wanted.tool, keep)
    except (NothingFoundError, ParseError) as error:
        record_writer.say(f"{parser.prog}: {error}")
        return 1
    return 0 if record_writer.deliver(records(wanted.name, counted), describe(wanted.name, counted)) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bbmeasure-sloc",
        formatter_class=command_line.formatter,
        description="Report how many lines of source code there are, by language, and which tool counted them.",
        epilog="Exit status 1: no source code was found, or the tool failed.",
    )
    parser.add_argument("path", metavar="PATH", nargs="+", help="a file, a folder, or a pattern such as 'src/**/*.py'")
    parser.add_argument("--name", default="sloc", help="the name of the series (default: sloc)")
    parser.add_argument(
        "--tool",
        choices=TOOLS,
        default="auto",
        help="what counts; auto is the first of these that the worker has, builtin comes with bbmeasure",
    )
    parser.add_argument("--keep", metavar="TOOL", help="the tool that counted before, which auto then prefers")
    parser.add_argument(
        "--exclude",
        metavar="PATTERN",
        action="append",
        default=[],
        help="leave out files and folders of that name, or path where it has a /; may be given several times",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
