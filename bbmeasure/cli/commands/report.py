"""Print statistics of one series."""

from __future__ import annotations

import argparse
import contextlib
import json

from bbmeasure.cli import arguments, output
from bbmeasure.cli.sources import open_source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure report``."""
    parser.add_argument("series", metavar="SERIES")
    arguments.add_source(parser)
    arguments.add_filters(parser)
    parser.add_argument("--statistics", metavar="A,B", default="", help="such as average,deviation,p95,count")


def run(options: argparse.Namespace) -> int:
    """Print a table of statistics; 1 if no point matches."""
    names = ",".join(filter(None, (name.strip() for name in options.statistics.split(","))))
    with contextlib.closing(open_source(options)) as source:
        answer = source.statistics(options.series, names, arguments.read_filters(options))
    if options.json:
        print(json.dumps(answer))
    else:
        unit, kind = answer["unit"], answer.get("kind", "")
        values = answer["statistics"].items()
        rows = [[name, output.format_statistic(name, value, unit, kind)] for name, value in values]
        print(f"{output.clean(answer['series'])} ({answer['count']} points)")
        if answer.get("lines", 1) > 1:
            print(output.format_mix(answer["lines"], answer["branches"]))
        print(output.table(("statistic", "value"), rows))
    return 0 if answer["count"] else 1
