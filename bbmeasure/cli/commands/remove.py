"""Remove the points of a series that one build or one builder reported."""

from __future__ import annotations

import argparse
import json

from bbmeasure.cli import arguments, config, confirmation, corrections, output
from bbmeasure.errors import QueryError, UnknownSeriesError
from bbmeasure.records import canonical_series
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.units import excerpt


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure remove``."""
    parser.add_argument("series", metavar="SERIES")
    parser.add_argument("--build", metavar="N", type=int, help="the number of the build")
    parser.add_argument("--builder", metavar="B", help="the builder")
    confirmation.add_yes(parser)
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    arguments.add_journal(parser)


def run(options: argparse.Namespace) -> int:
    """Remove points from the journal and, with ``--master``, from the servers; asks before that without ``--yes``."""
    if options.build is None and options.builder is None:
        raise QueryError("remove: expected --build N, --builder B or both; `bbmeasure forget` removes a whole series")
    path, series = config.existing_journal(options), canonical_series(options.series)
    with JournalReader(path) as reader:
        found = corrections.find(reader, series, options.builder, options.build)
    if not found.count:
        raise UnknownSeriesError(f"series {excerpt(options.series)}: no such points")
    if not confirmation.is_confirmed(options, f"remove {found.count} points of {output.clean(series)}"):
        print("nothing was removed")
        return 1
    with Journal(path) as journal:
        removed = journal.remove(series, options.builder, options.build)
    servers = corrections.delete_on_servers(options.master, series, found)
    if options.json:
        print(json.dumps({"series": series, "removed": removed, "servers": servers}))
        return 0
    print(f"{removed} points removed from the journal")
    corrections.print_servers(servers)
    return 0
