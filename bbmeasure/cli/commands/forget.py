"""Remove a series, so that it starts anew."""

from __future__ import annotations

import argparse
import json

from bbmeasure.cli import arguments, config, confirmation, output
from bbmeasure.errors import UnknownSeriesError
from bbmeasure.records import canonical_series
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.units import excerpt


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure forget``."""
    parser.add_argument("series", metavar="SERIES")
    confirmation.add_yes(parser)
    parser.add_argument("--json", action="store_true", help="print the count as JSON")
    arguments.add_journal(parser)


def run(options: argparse.Namespace) -> int:
    """Remove a series from the journal, after a confirmation unless ``--yes`` is given."""
    path, series = config.existing_journal(options), canonical_series(options.series)
    with JournalReader(path) as reader:
        counts = [info.count for info in reader.series(proposal="*") if info.name == series]
    if not counts:
        raise UnknownSeriesError(f"series {excerpt(options.series)}: no such series")
    if not confirmation.is_confirmed(options, f"remove {sum(counts)} points of {output.clean(series)}"):
        print("nothing was removed")
        return 1
    with Journal(path) as journal:
        removed = journal.forget(series)
    if options.json:
        print(json.dumps({"series": series, "removed": removed}))
        return 0
    print(f"{removed} points removed; the next value starts {output.clean(series)} anew")
    return 0
