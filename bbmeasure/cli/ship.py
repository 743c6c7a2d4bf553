"""The commands about sinks: health and ship."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from bbmeasure import times
from bbmeasure.cli import commands, output, sources
from bbmeasure.cli.blocking_client import SyncServer, is_missing
from bbmeasure.cli.targets import read_targets
from bbmeasure.errors import QueryError, StorageError, StorageUnavailableError
from bbmeasure.export.metadata import can_say
from bbmeasure.model import Health, SeriesInfo
from bbmeasure.reports import serialize
from bbmeasure.storage.influxdb import influxql
from bbmeasure.storage.influxdb.line_protocol import DECLARATIONS, LineWriter, clean_series
from bbmeasure.storage.influxdb.results import declaration
from bbmeasure.storage.influxdb.server import ServerError, Trouble
from bbmeasure.storage.sqlite.journal import Journal, JournalReader, open_reader
from bbmeasure.units import excerpt

#: Points in a request.
BATCH = 5_000
#: Dead letters that are looked at for health.
_LETTERS = 10_000


# health


def health(wanted: argparse.Namespace) -> int:
    """``bbmeasure health``: how the stores and sinks are."""
    if wanted.url is not None:
        answer = sources.UrlSource(wanted.url).get("health", {})
    else:
        path = commands.journal_path(wanted)
        if not path.exists():
            raise StorageUnavailableError(f"{path}: expected a journal there")
        with open_reader(path) as reader:
            found = [_health_of(reader, name) for name in reader.sinks()]
        answer = serialize.health_answer(time.time(), {}, [], found)
    print(json.dumps(answer) if wanted.json else _told(answer))
    return 0


def _health_of(reader: JournalReader, name: str) -> Health:
    """What the file knows of a sink: the master alone knows what its server said last."""
    backlog = reader.backlog(name)
    letters = reader.dead_letters(name, _LETTERS)
    refused = f"refused: {letters[0].why}" if letters else None
    counters = {"dropped": backlog.trimmed, "refused": len(letters)}
    return Health(name, backlog.count, backlog.oldest_time, refused, counters)


def _told(answer: Mapping[str, Any]) -> str:
    rows = []
    for one in [*answer.get("stores", ()), *answer.get("sinks", ())]:
        age = "" if one["age"] is None else f"{one['age']:.0f} s"
        counters = ", ".join(f"{name} {count}" for name, count in one["counters"].items() if count)
        trouble = output.clean(one["last_error"] or "")
        rows.append([output.clean(one["name"]), str(one["backlog"]), age, counters, trouble])
    if not rows:
        return "nothing is shipped: no sink"
    return output.table(("name", "waiting", "oldest", "counters", "last trouble"), rows, left=5)


# ship


def ship(wanted: argparse.Namespace) -> int:
    """``bbmeasure ship``: queue points again (``--from``), ship what waits (``--drain``), or give a sink up."""
    path = commands.journal_path(wanted)
    if not path.exists():
        raise StorageUnavailableError(f"{path}: expected a journal there")
    if wanted.detach and (wanted.drain or wanted.since is not None):
        raise QueryError("ship: expected --detach alone, or --from and --drain")
    since = times.read(wanted.since, time.time(), "--from")
    with Journal(path) as journal:
        sink = _sink(journal, wanted.sink)
        done: dict[str, Any] = {"sink": sink, "queued": 0, "shipped": 0, "refused": 0, "dropped": 0}
        if wanted.detach:
            done["dropped"] = journal.backlog(sink).count
            journal.detach_sink(sink)
            done["waiting"] = 0
        else:
            if since is not None:
                done["queued"] = journal.reship(sink, since)
            if wanted.drain:
                done["shipped"], done["refused"] = _drain(journal, sink, wanted.master)
            done["waiting"] = journal.backlog(sink).count
    print(json.dumps(done) if wanted.json else _shipped(done))
    return 0


def _sink(journal: Journal, name: Optional[str]) -> str:
    """The sink that is meant; QueryError where it is not clear, or not there."""
    known = journal.sinks()
    if name is None and len(known) == 1:
        return known[0]
    if name in known:
        return str(name)
    listed = ", ".join(known) or "none"
    got = "no --sink" if name is None else f"--sink {excerpt(name)}"
    raise QueryError(f"{got}: expected one of {listed}")


def _drain(journal: Journal, sink: str, master: Optional[Path]) -> tuple[int, int]:
    """Ship what waits until nothing does, beside a running master or without one; how many went, and were refused."""
    if master is None:
        raise QueryError("--drain: expected --master DIR, whose configuration names the server")
    target = {one.name: one for one in read_targets(master)}.get(sink)
    if target is None:
        raise QueryError(f"sink {excerpt(sink)}: no service in master.cfg has that name")
    if target.server is None:
        raise StorageUnavailableError(f"{target.name}: {target.problem}")
    client = SyncServer(target.server)
    writer = LineWriter(tag_build_number=target.tag_build_number, numbers_only=target.numbers_only)
    try:
        return _drain_to(journal, sink, client, writer, create=target.create_database)
    finally:
        client.close()


def _drain_to(journal: Journal, sink: str, client: SyncServer, writer: LineWriter, *, create: bool) -> tuple[int, int]:
    shipped = refused = 0
    said: frozenset[SeriesInfo] = frozenset()
    while True:
        items = journal.pending(sink, BATCH)
        if not items:
            if not journal.backlog(sink).count:
                return shipped, refused
            journal.skip_deleted(sink)
            continue
        try:
            if not writer.numbers_only:
                _say(client, items.series - said)
                said |= items.series
            letters = client.deliver(writer, items)
        except ServerError as error:
            if not create or not is_missing(error):
                raise
            client.query(influxql.create_database(client.server.database).text)
            create = False
            continue
        journal.acknowledge(sink, items[-1][0], letters)
        shipped += len(items) - len(letters)
        refused += len(letters)
        print(f"{shipped} points shipped", file=sys.stderr)


def _say(client: SyncServer, infos: frozenset[SeriesInfo]) -> None:
    """Say on the server what series are of which it knows nothing yet."""
    if not infos:
        return
    try:
        found = client.query(f'SHOW TAG VALUES FROM {influxql.identifier(DECLARATIONS)} WITH KEY = "series"')
    except StorageError as error:
        if is_missing(error):
            raise
        found = []  # a user who may write alone
    there = {row.get("value") for row in found}
    news = [info for info in infos if clean_series(info.name) not in there and can_say(info)]
    try:
        if news:
            client.write([declaration(info, time.time_ns()).rstrip() for info in news])
    except ServerError as error:
        if error.trouble is not Trouble.REFUSED:
            raise
        print(f"the server keeps no kinds and units: {error}", file=sys.stderr)


def _shipped(done: Mapping[str, Any]) -> str:
    said = [f"{done[name]} points {name}" for name in ("queued", "shipped", "refused", "dropped") if done[name]]
    return f"{output.clean(done['sink'])}: {', '.join([*said, str(done['waiting']) + ' wait'])}"
