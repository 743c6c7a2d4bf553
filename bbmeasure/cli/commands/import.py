"""Add the values of past builds: those that bbmeasure-eight exported, or buildbot.statistics wrote to an InfluxDB."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Optional

from bbmeasure.capture.identity import Value
from bbmeasure.cli import arguments, config
from bbmeasure.cli.journal_import import Import, imported_buildid
from bbmeasure.errors import QueryError, RecordError, UnknownSeriesError
from bbmeasure.model import BuildContext
from bbmeasure.records import Record
from bbmeasure.storage.influxdb.server import Server
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.units import excerpt

#: Version of the lines, and the longest line in bytes.
VERSION = 1
LONGEST_LINE = 64 * 1024
#: The environment variable with the password of --username, and seconds that a request may take.
PASSWORD_VARIABLE = "BBMEASURE_INFLUX_PASSWORD"  # noqa: S105  (a name)
TIMEOUT = 120.0
#: Tags that only a master sets.
_MASTER_TAGS = ("result", "step")
_TEXTS = ("step", "revision", "branch", "project")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure import``."""
    parser.add_argument(
        "file", metavar="FILE", nargs="?", help="JSON lines of `bbmeasure-eight export`; - reads standard input"
    )
    parser.add_argument("--from-influx", metavar="URL", help="read what buildbot.statistics wrote to that InfluxDB")
    parser.add_argument("--database", metavar="NAME", help="with --from-influx: the database")
    parser.add_argument("--username", metavar="NAME", help="with --from-influx: a user who may read it")
    parser.add_argument(
        "--map",
        metavar="PATTERN=SERIES[:UNIT]",
        action="append",
        default=[],
        help="with --from-influx: the series of the fields MEASUREMENT.FIELD that match; "
        "{builder} stands for the builder; an empty SERIES leaves them out",
    )
    arguments.add_journal(parser)
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")


def run(options: argparse.Namespace) -> int:
    """Write the points into the journal, which is made if there is none; returns the exit status.

    Importing them again changes nothing: a point keeps its time.
    """
    if (options.file is None) == (options.from_influx is None):
        raise QueryError("import: expected FILE or --from-influx URL")
    path = config.journal_path(options)
    if options.from_influx is not None:
        done = _import_history(options, path)
    else:
        with _opened(options.file) as file, Journal(path) as journal:
            done = Import(journal)
            done.run(_lines(file))
    if options.json:
        print(json.dumps({"points": done.counters["points"], "refused": done.counters["refused"]}))
    else:
        print(f"{done.counters['points']} points written, {done.counters['refused']} refused")
        for why in done.refusals:
            print(f"  {why}", file=sys.stderr)
    return 1 if done.counters["refused"] and not done.counters["points"] else 0


def _import_history(options: argparse.Namespace, path: Path) -> Import:
    """Write the points of ``buildbot.statistics``; the password is read from the environment."""
    from bbmeasure.cli.influxdb_client import BlockingClient  # loads the influxdb client
    from bbmeasure.cli.statistics_history import History, Rename

    if not options.database:
        raise QueryError("--from-influx: expected --database NAME")
    renames = [Rename.read(text) for text in options.map]
    password = os.environ.get(PASSWORD_VARIABLE) if options.username else None
    server = Server(options.from_influx, options.database, options.username, password, timeout=TIMEOUT)
    client = BlockingClient(server)
    try:
        history = History(client, renames)
        measurements = history.measurements()
        if not measurements:
            raise UnknownSeriesError(f"database {excerpt(options.database)}: no points of buildbot.statistics")
        with Journal(path) as journal:
            done = Import(journal)
            for number, measurement in enumerate(measurements, start=1):
                done.run(history.points(measurement))
                print(
                    f"{number} of {len(measurements)} measurements, {done.counters['points']} points", file=sys.stderr
                )
    finally:
        client.close()
    return done


def _lines(file: Iterable[bytes]) -> Iterator[tuple[str, Callable[[], list[Value]]]]:
    """The lines of a file, each with what reads its value."""
    for number, line in enumerate(file, start=1):
        if line.strip():
            yield f"line {number}", lambda line=line: [read_line(line)]  # type: ignore[misc]


def _opened(name: str) -> BinaryIO:
    if name == "-":
        return sys.stdin.buffer
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise QueryError(f"{name}: {error.strerror}") from None


def read_line(line: bytes) -> Value:
    """The value in a line of an export; RecordError or UnitError for an invalid one."""
    if len(line) > LONGEST_LINE:
        raise RecordError(f"line of {len(line)} bytes: expected at most {LONGEST_LINE}")
    try:
        item = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"expected a JSON object ({error})") from None
    if not isinstance(item, dict) or item.get("v") != VERSION:
        raise RecordError(f"expected an object of version {VERSION}, as `bbmeasure-eight export` writes")
    tags = item.get("tags", {})
    if not isinstance(tags, dict):
        raise RecordError("tags: expected an object")
    master_tags = {name: _text(tags, name) or "" for name in _MASTER_TAGS if name in tags}
    record = Record(
        item.get("series", ""),
        item.get("value"),
        kind=item.get("kind"),
        unit=item.get("unit"),
        better=item.get("better"),
        tags={name: value for name, value in tags.items() if name not in _MASTER_TAGS},
    )
    context = _context(item)
    return Value(record, context, _integer(item, "time"), master_tags=master_tags)


def _context(item: Mapping[str, Any]) -> BuildContext:
    """The build of a line."""
    builder, number = _text(item, "builder"), _integer(item, "build")
    if not builder:
        raise RecordError("builder: expected a name")
    texts = {name: _text(item, name) for name in _TEXTS}
    worker = _text(item, "worker") or ""
    proposal = _text(item, "proposal") or ""
    return BuildContext(builder, worker, number, imported_buildid(builder, number), proposal=proposal, **texts)


def _text(item: Mapping[str, Any], name: str) -> Optional[str]:
    value = item.get(name)
    if value is not None and not isinstance(value, str):
        raise RecordError(f"{name} {value!r}: expected a text")
    return value


def _integer(item: Mapping[str, Any], name: str) -> int:
    value = item.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise RecordError(f"{name} {value!r}: expected an integer")
    return value
