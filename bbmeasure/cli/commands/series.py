"""List the series: how many points, the newest value."""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Mapping
from typing import Any

from bbmeasure.cli import arguments, output
from bbmeasure.cli.sources import open_source
from bbmeasure.model import series_filters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure series``."""
    arguments.add_source(parser)
    arguments.add_branch(parser)


def run(options: argparse.Namespace) -> int:
    """Print a table of all series."""
    with contextlib.closing(open_source(options)) as source:
        answer = source.series(series_filters(options.branch, arguments.read_proposal(options)))
    if options.json:
        print(json.dumps(answer))
        return 0
    rows = [
        [
            output.clean(series["name"]),
            series["kind"],
            str(series["count"]),
            output.format_value(series["last_value"], series["unit"], series["kind"]),
            _format_time(series["last"]),
            output.clean(", ".join(series["builders"])) + _format_owner(series),
        ]
        for series in answer["series"]
    ]
    if not rows:
        print("no series yet")
        return 0
    print(output.table(("series", "kind", "points", "last", "at", "builders"), rows, left=2))
    return 0


def _format_owner(series: Mapping[str, Any]) -> str:
    """The builder and the tags of the last value, where the series has several builders."""
    if len(series["builders"]) < 2:
        return ""
    tags = [f"{key}={value}" for key, value in sorted((series.get("last_tags") or {}).items())]
    return f" (last: {output.clean(' '.join([series.get('last_builder') or 'no builder', *tags]))})"


def _format_time(seconds: Any) -> str:
    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
