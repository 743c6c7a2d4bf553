"""List alerts: confirmed changes and passed limits."""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Mapping
from typing import Any

from bbmeasure.cli import arguments, output
from bbmeasure.cli.sources import open_source
from bbmeasure.storage.verdict_store import STATES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure alerts``."""
    parser.add_argument("--state", choices=STATES, help="only alerts in this state")
    parser.add_argument("--series", metavar="NAME")
    parser.add_argument("--builder", metavar="NAME")
    parser.add_argument("--branch", metavar="NAME")
    parser.add_argument("--since", metavar="TIME", help="only changes since then: ISO 8601, unix seconds, or 7d")
    arguments.add_source(parser)


def run(options: argparse.Namespace) -> int:
    """Print alerts, newest first."""
    names = ("state", "series", "builder", "branch", "since")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    with contextlib.closing(open_source(options)) as source:
        answer = source.alerts(given)
    if options.json:
        print(json.dumps(answer))
        return 0
    if not answer["alerts"]:
        print("no alerts")
        return 0
    heads = ("alert", "state", "series", "builder", "branch", "build", "before", "after", "change", "suspects")
    print(output.table(heads, [_row(alert) for alert in answer["alerts"]], left=5))
    return 0


def _row(alert: Mapping[str, Any]) -> list[str]:
    tags = " ".join(f"{key}={value}" for key, value in sorted(alert["tags"].items()))
    muted = alert["until"] is not None and alert["until"] > time.time()
    return [
        str(alert["id"]),
        alert["state"] + (" (muted)" if muted else ""),
        output.clean(f"{alert['series']} {tags}".strip()),
        output.clean(alert["builder"], 30),
        output.clean(alert["branch"] or "", 30),
        str(alert["build"]),
        output.format_value(alert["before"], alert["unit"], alert["kind"]),
        output.format_value(alert["after"], alert["unit"], alert["kind"]),
        output.format_change(alert["change"]),
        output.clean(", ".join(f"{one['revision'][:12]} {one['author']}" for one in alert["suspects"])),
    ]
