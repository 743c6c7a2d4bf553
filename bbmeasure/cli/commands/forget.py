"""Remove a series, so that it starts anew."""

from __future__ import annotations

import argparse
import json
import sys

from bbmeasure.cli import arguments, config, output
from bbmeasure.reports.series_statistics import find_series
from bbmeasure.storage.sqlite.journal import Journal, JournalReader


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure forget``."""
    parser.add_argument("series", metavar="SERIES")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print the count as JSON, and do not ask")
    arguments.add_journal(parser)


def run(options: argparse.Namespace) -> int:
    """Remove a series from the journal, after a confirmation unless ``--yes`` or ``--json`` is given."""
    path = config.existing_journal(options)
    with JournalReader(path) as reader:
        info = find_series(reader.series(), options.series)
    if not options.yes and not options.json:
        print(f"remove {info.count} points of {output.clean(info.name)}? [y/N] ", end="", flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            print("nothing was removed")
            return 1
    with Journal(path) as journal:
        removed = journal.forget(options.series)
    if options.json:
        print(json.dumps({"series": info.name, "removed": removed}))
        return 0
    print(f"{removed} points removed; the next value starts {output.clean(info.name)} anew")
    return 0
