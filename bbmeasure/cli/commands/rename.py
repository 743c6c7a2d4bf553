"""Rename a series, with its past."""

from __future__ import annotations

import argparse
import json

from bbmeasure.cli import arguments, config, confirmation, corrections, output
from bbmeasure.errors import QueryError, UnknownSeriesError
from bbmeasure.records import LONGEST_NAME, canonical_series, check_text
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.units import excerpt


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure rename``."""
    parser.add_argument("series", metavar="OLD")
    parser.add_argument("name", metavar="NEW")
    confirmation.add_yes(parser)
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    arguments.add_journal(parser)


def run(options: argparse.Namespace) -> int:
    """Rename a series in the journal and, with ``--master``, on the servers; asks before that without ``--yes``."""
    if options.master is None:
        raise QueryError("rename: expected --master DIR, which the times of durations depend on")
    old, new = canonical_series(options.series), canonical_series(check_text("NEW", options.name, LONGEST_NAME))
    if old == new:
        raise QueryError(f"rename: {excerpt(options.name)} is the name that the series has")
    path = config.existing_journal(options)
    with JournalReader(path) as reader:
        found = corrections.find(reader, old)
    if not found.count:
        raise UnknownSeriesError(f"series {excerpt(options.series)}: no such series")
    question = f"rename {found.count} points of {output.clean(old)} to {output.clean(new)}"
    if not confirmation.is_confirmed(options, question):
        print("nothing was renamed")
        return 1
    times = corrections.RenamedTimes(old, new, options.master)
    with Journal(path) as journal:
        renamed = corrections.rename(journal, old, new, times)
    servers = corrections.delete_on_servers(options.master, old, found)
    counts = {"renamed": renamed, "recomputed": times.recomputed, "kept": times.kept}
    if options.json:
        print(json.dumps({"series": new, **counts, "servers": servers}))
        return 0
    print(f"{renamed} points renamed; {times.recomputed} of them have another time, as backfill gives it")
    print("write the new name in master.cfg too: values of the old name begin a new series")
    corrections.print_servers(servers)
    return 0
