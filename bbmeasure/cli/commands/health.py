"""Print the health of the journal's exporters, or of a running master."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from typing import Any

from bbmeasure.cli import arguments, config, output
from bbmeasure.cli.sources import UrlSource
from bbmeasure.model import Health
from bbmeasure.reports import serialize
from bbmeasure.storage.sqlite.journal import JournalReader

#: The most dead letters that are counted.
MAX_DEAD_LETTERS = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure health``."""
    arguments.add_source(parser)


def run(options: argparse.Namespace) -> int:
    """Print a row for each store and exporter."""
    if options.url is not None:
        answer = UrlSource(options.url).get("health", {})
    else:
        with JournalReader(config.existing_journal(options)) as reader:
            sinks = [_sink_health(reader, name) for name in reader.exporters()]
        answer = serialize.health_answer(time.time(), {}, [], sinks)
    print(json.dumps(answer) if options.json else _format(answer))
    return 0


def _sink_health(reader: JournalReader, name: str) -> Health:
    """The health of one exporter as far as the journal records it."""
    backlog = reader.backlog(name)
    letters = reader.dead_letters(name, MAX_DEAD_LETTERS)
    trouble = reader.trouble(name)
    last_error = trouble.error if trouble else f"refused: {letters[0].reason}" if letters else None
    counters = {"dropped": backlog.trimmed, "refused": len(letters)}
    return Health(name, backlog.count, backlog.oldest_time, last_error, counters)


def _format(answer: Mapping[str, Any]) -> str:
    rows = []
    for part in [*answer.get("stores", ()), *answer.get("sinks", ())]:
        age = "" if part["age"] is None else f"{part['age']:.0f} s"
        counters = ", ".join(f"{name} {count}" for name, count in part["counters"].items() if count)
        last_error = output.clean(part["last_error"] or "")
        rows.append([output.clean(part["name"]), str(part["backlog"]), age, counters, last_error])
    if not rows:
        return "nothing is shipped: no sink"
    return output.table(("name", "waiting", "oldest", "counters", "last trouble"), rows, left=5)
