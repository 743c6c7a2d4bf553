"""Mute a series: until a time its alerts are kept, told to nobody, and fail no build."""

from __future__ import annotations

import argparse
import json
import time

from bbmeasure import times
from bbmeasure.cli import arguments, config, output
from bbmeasure.cli.decisions import user
from bbmeasure.errors import QueryError, UnknownSeriesError
from bbmeasure.records import canonical_series
from bbmeasure.reports.alert_answers import check_why
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.storage.verdict_store import Mute
from bbmeasure.units import excerpt


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure mute``."""
    parser.add_argument("series", metavar="SERIES")
    parser.add_argument("--builder", metavar="NAME", help="only of this builder")
    parser.add_argument("--until", required=True, metavar="TIME", help="from now on such as 2w, or ISO 8601")
    parser.add_argument("--why", required=True, metavar="TEXT", help="the reason, which is kept with the mute")
    parser.add_argument("--json", action="store_true", help="print the mute as JSON")
    arguments.add_journal(parser)


def run(options: argparse.Namespace) -> int:
    """Mute a series in the journal, in place of an earlier mute of the same series and builder."""
    path, until = config.existing_journal(options), _until(options.until, time.time())
    series, why = canonical_series(options.series), check_why(options.why)
    with JournalReader(path) as reader:
        builders = {builder for info in reader.series(proposal="*") if info.name == series for builder in info.builders}
    if not builders or (options.builder is not None and options.builder not in builders):
        of = "" if options.builder is None else f" of builder {excerpt(options.builder)}"
        raise UnknownSeriesError(f"series {excerpt(options.series)}{of}: no such series")
    with Journal(path) as journal:
        journal.mute(Mute(series, options.builder or "", until, user(), why))
    if options.json:
        print(json.dumps({"series": series, "builder": options.builder, "until": until}))
    else:
        ends = time.strftime("%Y-%m-%d %H:%M", time.localtime(until))
        print(f"{output.clean(series)} is muted until {ends}; it holds for the next build")
    return 0


def _until(text: str, now: float) -> int:
    """Unix seconds of a time in the future, or of an age that counts from now on."""
    try:
        return int(now + times.read_age(text, "--until"))
    except QueryError:
        until = times.read(text, now, "--until") or 0
    if times.seconds(until) <= now:
        raise QueryError(f"--until {excerpt(text)}: expected a time in the future, such as 2w")
    return int(times.seconds(until))
