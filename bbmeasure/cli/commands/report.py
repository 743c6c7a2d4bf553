"""Print statistics of one series."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Mapping
from typing import Any

from bbmeasure.cli import arguments, output
from bbmeasure.cli.sources import open_source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure report``."""
    parser.add_argument("series", metavar="SERIES")
    arguments.add_source(parser)
    arguments.add_filters(parser)
    parser.add_argument(
        "--by", metavar="A,B", help="a row for each combination of builder, branch, worker, machine, or tags"
    )
    parser.add_argument("--statistics", metavar="A,B", default="", help="such as average,deviation,p95,count")


def run(options: argparse.Namespace) -> int:
    """Print a table of statistics; 1 if no point matches."""
    names = ",".join(filter(None, (name.strip() for name in options.statistics.split(","))))
    with contextlib.closing(open_source(options)) as source:
        filters = arguments.read_filters(options)
        if options.by is None:
            answer = source.statistics(options.series, names, filters)
        else:
            answer = source.groups(options.series, names, filters, options.by)
    if options.json:
        print(json.dumps(answer))
    elif options.by is not None:
        print(_format_groups(answer))
    else:
        unit, kind = answer["unit"], answer.get("kind", "")
        values = answer["statistics"].items()
        rows = [[name, output.format_statistic(name, value, unit, kind)] for name, value in values]
        print(f"{output.clean(answer['series'])} ({answer['count']} points)")
        if answer.get("lines", 1) > 1:
            print(output.format_mix(answer["lines"], answer["branches"]))
            print("--by builder,TAG prints a row for each")
        print(output.table(("statistic", "value"), rows))
    return 0 if answer["count"] else 1


def _format_groups(answer: Mapping[str, Any]) -> str:
    """A table with a row for each combination."""
    title = f"{output.clean(answer['series'])} ({answer['count']} points)"
    groups = answer["groups"]
    if not groups:
        return title
    statistics = [name for name in groups[0]["statistics"] if name != "count"]
    rows = [
        [
            *(output.clean(group["by"][name] or "\u2013", 40) for name in answer["by"]),
            str(group["count"]),
            *(
                output.format_statistic(name, group["statistics"][name], answer["unit"], answer["kind"])
                for name in statistics
            ),
        ]
        for group in groups
    ]
    heads = [*(output.clean(name, 40) for name in answer["by"]), "points", *statistics]
    mixed = sum(group["lines"] > 1 for group in groups)
    note = [f"{mixed} of {len(groups)} rows mix lines"] if mixed else []
    return "\n".join([title, *note, output.table(heads, rows, left=len(answer["by"]))])
