"""Remove a series, so that it starts anew."""

from __future__ import annotations

import argparse
import json
import sys

from bbmeasure.cli import arguments, config, output
from bbmeasure.errors import UnknownSeriesError
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.units import excerpt


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
        counts = [info.count for info in reader.series() if info.name == options.series]
    if not counts:
        raise UnknownSeriesError(f"series {excerpt(options.series)}: no such series")
    if not options.yes and not options.json:
        print(f"remove {sum(counts)} points of {output.clean(options.series)}? [y/N] ", end="", flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            print("nothing was removed")
            return 1
    with Journal(path) as journal:
        removed = journal.forget(options.series)
    if options.json:
        print(json.dumps({"series": options.series, "removed": removed}))
        return 0
    print(f"{removed} points removed; the next value starts {output.clean(options.series)} anew")
    return 0
