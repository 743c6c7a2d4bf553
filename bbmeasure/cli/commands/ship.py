"""Send points to a server again, or now."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from bbmeasure import times
from bbmeasure.cli import arguments, config, confirmation, moved_points, output
from bbmeasure.cli.influxdb_client import BlockingClient, is_database_missing
from bbmeasure.errors import QueryError, StorageError, StorageUnavailableError
from bbmeasure.export.metadata import is_valid_series
from bbmeasure.model import SeriesInfo
from bbmeasure.storage.influxdb import influxql
from bbmeasure.storage.influxdb.line_protocol import metadata_line
from bbmeasure.storage.influxdb.results import metadata_key, read_metadata
from bbmeasure.storage.influxdb.server import ErrorKind, ServerError
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.units import excerpt

#: Points in a request.
BATCH_SIZE = 5_000
#: The numbers of points that the command prints unless they are 0.
_COUNTS = ("replaced", "queued", "shipped", "refused", "dropped")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure ship``."""
    arguments.add_journal(parser)
    parser.add_argument("--sink", metavar="NAME", help="the instance's name, if there are several")
    parser.add_argument("--from", dest="since", metavar="TIME", help="queue all points since then again")
    parser.add_argument(
        "--replace",
        action="store_true",
        help="with --from: delete what the server has of these points under other tags",
    )
    parser.add_argument("--drain", action="store_true", help="ship what waits; a master may run beside")
    parser.add_argument("--detach", action="store_true", help="drop the queue of a sink that is no longer configured")
    confirmation.add_yes(parser)
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(options: argparse.Namespace) -> int:
    """Queue points again (``--from``), ship what is queued (``--drain``), or drop a queue (``--detach``)."""
    path = config.existing_journal(options)
    if options.detach and (options.drain or options.since is not None):
        raise QueryError("ship: expected --detach alone, or --from and --drain")
    if options.replace and (options.since is None or options.master is None):
        raise QueryError("--replace: expected --from TIME and --master DIR, whose configuration names the server")
    since = times.read(options.since, time.time(), "--from")
    with Journal(path) as journal:
        sink = _find_sink(journal, options.sink)
        result: dict[str, Any] = {"sink": sink, "queued": 0, "shipped": 0, "refused": 0, "dropped": 0}
        if options.detach:
            if not _may_detach(journal, sink, path, options):
                print("nothing was dropped")
                return 1
            result["dropped"] = journal.backlog(sink).count
            journal.detach_exporter(sink)
            result["waiting"] = 0
        else:
            if since is not None:
                result.update(_queue(journal, sink, since, options))
            if options.drain:
                result["shipped"], result["refused"] = _drain(journal, sink, options.master)
            result["waiting"] = journal.backlog(sink).count
    print(json.dumps(result) if options.json else _format(result))
    return 0


def _may_detach(journal: Journal, sink: str, path: Path, options: argparse.Namespace) -> bool:
    """Whether the queue of a sink may be dropped.

    A confirmation is needed unless a configuration without that sink was read.
    """
    count = journal.backlog(sink).count
    folder = options.master or path.parent
    try:
        names = {exporter.name for exporter in config.read_exporters(folder)}
    except StorageError as error:
        why = f"whether it is configured is unknown: {output.clean(str(error), 200)}"
    else:
        if sink not in names:
            return True
        why = "it is configured, and the master queues points for it again when it starts"
    return confirmation.is_confirmed(options, f"drop {count} waiting points of {output.clean(sink)} ({why})")


def _queue(journal: Journal, sink: str, since: int, options: argparse.Namespace) -> dict[str, Any]:
    """Queue points again.

    Before that, print how many of them the server has under other tags, or delete these with ``--replace``.
    """
    doubled: Optional[int] = None
    replaced = 0
    try:
        doubled, replaced = _compare(journal, sink, since, options)
        warning = (
            f"the server will have {doubled} points twice, with and without proposed=yes; --replace deletes the former"
        )
    except (QueryError, StorageError) as error:
        if options.replace:
            raise
        proposed = moved_points.count_proposed(journal, since)
        warning = (
            f"if the server has these {proposed} points of proposals without proposed=yes, it will have them twice"
        )
        warning += f" (not compared: {output.clean(str(error))})"
        doubled = None if proposed else 0
    if doubled != 0:
        print(f"{output.clean(sink)}: {warning}", file=sys.stderr)
    return {"doubled": doubled, "replaced": replaced, "queued": journal.reship(sink, since)}


def _compare(journal: Journal, sink: str, since: int, options: argparse.Namespace) -> tuple[int, int]:
    """Numbers of points that the server will have twice, under other tags too, and of those that it deleted."""
    exporter = _read_exporter(sink, options.master, "to compare points with the server")
    if exporter.numbers_only or exporter.server is None:
        raise QueryError(f"{exporter.class_name or sink} answers no queries")
    client = BlockingClient(exporter.server)
    doubled = replaced = 0
    try:
        for series, rows in moved_points.find(journal, client, since):
            if options.replace:
                moved_points.delete(client, series, rows)
                replaced += len(rows)
            else:
                doubled += len(rows)
    except ServerError as error:
        if not is_database_missing(error):
            raise
    finally:
        client.close()
    return doubled, replaced


def _find_sink(journal: Journal, name: Optional[str]) -> str:
    """The sink called ``name``, or the only one; QueryError if there is no such sink or several."""
    known = journal.exporters()
    if name is None and len(known) == 1:
        return known[0]
    if name in known:
        return str(name)
    expected = ", ".join(known) or "none"
    got = "no --sink" if name is None else f"--sink {excerpt(name)}"
    raise QueryError(f"{got}: expected one of {expected}")


def _drain(journal: Journal, sink: str, master: Optional[Path]) -> tuple[int, int]:
    """Ship until the sink's queue is empty; the numbers of points shipped and refused."""
    exporter = _read_exporter(sink, master, "--drain")
    if exporter.server is None:
        raise StorageUnavailableError(f"{exporter.name}: {exporter.problem}")
    client = BlockingClient(exporter.server)
    try:
        return _ship_batches(journal, exporter, client)
    finally:
        client.close()


def _read_exporter(sink: str, master: Optional[Path], what: str) -> config.ExporterConfig:
    """The configuration of a sink, which ``what`` needs."""
    if master is None:
        raise QueryError(f"{what}: expected --master DIR, whose configuration names the server")
    exporter = {exporter.name: exporter for exporter in config.read_exporters(master)}.get(sink)
    if exporter is None:
        raise QueryError(f"sink {excerpt(sink)}: no service in master.cfg has that name")
    return exporter


def _ship_batches(journal: Journal, exporter: config.ExporterConfig, client: BlockingClient) -> tuple[int, int]:
    sink, writer, create = exporter.name, exporter.writer(), exporter.create_database
    shipped = refused = 0
    declared: frozenset[SeriesInfo] = frozenset()
    while True:
        items = journal.pending(sink, BATCH_SIZE)
        if not items:
            if not journal.backlog(sink).count:
                return shipped, refused
            journal.skip_deleted(sink)
            continue
        try:
            if exporter.metadata:
                _declare(client, items.series - declared)
                declared |= items.series
            letters = client.deliver(writer, items)
        except ServerError as error:
            if not create or not is_database_missing(error):
                raise
            client.query(influxql.create_database(client.server.database).text)
            create = False
            continue
        journal.acknowledge(sink, items[-1][0], letters)
        shipped += len(items) - len(letters)
        refused += len(letters)
        print(f"{shipped} points shipped", file=sys.stderr)


def _declare(client: BlockingClient, infos: frozenset[SeriesInfo]) -> None:
    """Write kind, unit and direction of the series of those builders for which the server has none."""
    if not infos:
        return
    try:
        (rows,) = client.execute(influxql.series_metadata(policy=client.server.retention_policy))
    except StorageError as error:
        if is_database_missing(error):
            raise
        rows = []  # the user may only write
    on_server = read_metadata(rows)
    missing = [info for info in infos if metadata_key(info) not in on_server and is_valid_series(info)]
    try:
        if missing:
            client.write([metadata_line(info, time.time_ns()).rstrip() for info in missing])
    except ServerError as error:
        if error.kind is not ErrorKind.REFUSED:
            raise
        print(f"the server keeps no kinds and units: {error}", file=sys.stderr)


def _format(result: Mapping[str, Any]) -> str:
    counts = [f"{result[name]} points {name}" for name in _COUNTS if result.get(name)]
    return f"{output.clean(result['sink'])}: {', '.join([*counts, str(result['waiting']) + ' wait'])}"
