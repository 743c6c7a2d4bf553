"""Check what is configured, reachable and misspelt."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bbmeasure import times
from bbmeasure.cli import config, output
from bbmeasure.cli.gate_checks import gate_problems
from bbmeasure.cli.sources import UrlSource
from bbmeasure.records import canonical_series
from bbmeasure.storage.influxdb.statistics_layout import captured_types
from bbmeasure.storage.sqlite.journal import JournalReader

#: What to do about refused points.
REFUSED = "correct what it refuses, then queue the points again: bbmeasure ship --master DIR --sink NAME --from TIME"
#: Seconds for which refused points are a problem.
REFUSED_FOR = 7 * 86400.0
#: The most refused points that are counted.
MAX_REFUSED = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure check``."""
    parser.add_argument(
        "--master", metavar="DIR", type=Path, default=Path(), help="the master's folder (default: here)"
    )
    parser.add_argument("--url", metavar="MASTER_URL", help="check the stores and sinks of a running master instead")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(options: argparse.Namespace) -> int:
    """Print what is configured and each problem; 1 if there is a problem."""
    if options.url is not None:
        answer = _check_running(options.url)
        lines = []
    else:
        answer = _check_config(options.master)
        lines = _format(answer) if "instances" in answer else []
    print(json.dumps(answer) if options.json else "\n".join([*lines, *_format_problems(answer["problems"])]))
    return 1 if answer["problems"] else 0


def _check_running(url: str) -> dict[str, Any]:
    """The health of a running master, and its stores' and exporters' errors as problems."""
    answer = UrlSource(url).get("health", {})
    parts = [*answer.get("stores", ()), *answer.get("sinks", ())]
    problems = [f"{part.get('name')}: {part['last_error']}" for part in parts if part.get("last_error")]
    for sink in answer.get("sinks", ()):
        refused = sink.get("counters", {}).get("refused")
        if refused:
            problems.append(
                f"{sink.get('name')}: its server refused {refused} points since the master started; {REFUSED}"
            )
    return {**answer, "problems": problems}


def _check_config(master: Path) -> dict[str, Any]:
    """The configuration of a master and the problems with it; problems alone if it cannot be read."""
    found = config.read_config(master)
    if found["problems"]:
        return {"problems": found["problems"]}
    journal = _check_journal(master, found)
    servers = _check_servers(master, found)
    return {
        **found,
        "journal": journal["path"],
        "series": journal["series"],
        "servers": servers,
        "problems": [
            *found["warnings"],
            *journal["problems"],
            *(problem for server in servers for problem in server["problems"]),
        ],
    }


def _check_servers(master: Path, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The checks of the server of each exporter."""
    exporters = ("InfluxDBInstance", "StatisticsExporter", "VictoriaMetricsInstance")
    if not any(instance["class"] in exporters for instance in found["instances"]):
        return []
    from bbmeasure.cli.server_checks import check_servers  # loads the influxdb client

    types: Mapping[str, str] = {}
    if (master / found["journal"]).exists():
        with JournalReader(master / found["journal"]) as reader:
            types = captured_types(reader.series(proposal="*"))
    return check_servers(config.read_exporters(master), types)


def _check_journal(master: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    """Whether the journal can be read, and problems with tracked names and exporters.

    A tracked name is a problem if it has no value though its builder has been measured.  It is none if the journal has
    a series of its own name, from before it was tracked with ``series=``.  An exporter is a problem if
    points are queued for it and no instance ships them.  A step that does not exist is already an error when the
    configuration is read.
    """
    path = master / found["journal"]
    if not found["instances"]:
        return {"path": None, "series": 0, "problems": []}
    configured = {*found["steps"], *(track["series"] for track in found["tracked"] if track["known"])}
    if not path.exists():
        return {"path": str(path), "series": 0, "problems": list(gate_problems(found["gates"], (), configured))}
    with JournalReader(path) as reader:
        series = reader.series(proposal="*")
        known = {info.name: info for info in series}
        names = {instance["name"] for instance in found["instances"]}
        problems = [*_abandoned_sinks(reader, names), *_refusing_sinks(reader, names, time.time())]
    builders = {builder for info in known.values() for builder in info.builders}
    for track in found["tracked"]:
        may_be_misspelt = track["what"] in ("property", "statistic") and track["known"]
        names_in_journal = {canonical_series(track["series"]), canonical_series(track["subject"])}
        if may_be_misspelt and track["builder"] in builders and names_in_journal.isdisjoint(known):
            problems.append(
                f"builder {track['builder']}: {track['what']} {track['subject']!r} has no value yet; misspelt?"
            )
    problems += gate_problems(found["gates"], series, configured)
    return {"path": str(path), "series": len(known), "problems": problems}


def _abandoned_sinks(reader: JournalReader, instances: set[str]) -> Iterator[str]:
    """The problems of exporters that were renamed or removed, and still have points queued."""
    for name in sorted({*reader.exporters()} - instances):
        yield (
            f"sink {name}: no instance has that name, but points are queued for it ({reader.backlog(name).count}); "
            f"to discard them: bbmeasure ship --master DIR --sink {name} --detach"
        )


def _refusing_sinks(reader: JournalReader, instances: set[str], now: float) -> Iterator[str]:
    """The problems of exporters whose server refused points lately."""
    since = times.nanoseconds(now - REFUSED_FOR)
    for name in sorted({*reader.exporters()} & instances):
        letters = [letter for letter in reader.dead_letters(name, MAX_REFUSED) if letter.time >= since]
        if letters:
            newest = letters[0]
            yield (
                f"sink {name}: its server refused {len(letters)} points within a week, the last one of "
                f"{newest.point.series}: {newest.reason}; {REFUSED.replace('NAME', name)}"
            )


def _format_problems(problems: Sequence[str]) -> list[str]:
    lines = (output.clean(" ".join(problem.split()), 1_000) for problem in problems)
    return [f"PROBLEM {line}" for line in lines] or ["no problem found"]


def _format(answer: Mapping[str, Any]) -> list[str]:
    """Lines of what was checked, without the problems."""
    lines = [f"instance {instance['name']} ({instance['class']})" for instance in answer["instances"]]
    if not lines:
        lines.append("no instance in c['services']: opted out, captured data is kept in memory only")
    lines.append(f"page: {'on' if answer['page'] else 'off; put bbmeasure into www plugins'}")
    if answer["journal"]:
        lines.append(f"journal {answer['journal']}: {answer['series']} series")
    lines += [
        f"{server['name']}: {check['check']}: {'' if check['ok'] else 'PROBLEM '}{output.clean(check['message'])}"
        for server in answer["servers"]
        for check in server["checks"]
    ]
    lines += [f"builder {name}: measured" for name in answer["builders"]]
    tracks = [
        f"  {track['builder']}: {track['what']} {track['subject']} -> {track['series']}" for track in answer["tracked"]
    ]
    return [*lines, *tracks]
