"""The open journals of a master: one for each file, shared by all instances that use it.

The journal that the configuration names first is the one that exporters ship and queries read.  Its exporters are
attached to it when it is first used, before any point is written, in whatever order Buildbot starts the instances.
Commands find it by a file in the master's folder that records its path.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, Optional

from twisted.internet import defer
from twisted.logger import Logger

from bbmeasure.capture.state import MasterState
from bbmeasure.errors import MeasureError
from bbmeasure.model import Health
from bbmeasure.storage.sqlite.location import JOURNAL, record_journal
from bbmeasure.storage.sqlite.store import SQLiteStorage

log = Logger()

#: Seconds that a journal may take to list its exporters.
JOURNAL_TIMEOUT = 1.0
#: The error of an exporter without an instance.
ABANDONED = (
    "no instance has that name any longer, and points are still queued for it; to give it up: "
    "bbmeasure ship --master DIR --sink {name} --detach"
)


class _Open:
    """An open journal, its number of users, and the exporters attached to it."""

    def __init__(self, journal: SQLiteStorage) -> None:
        self.journal = journal
        self.users = 0
        self.exporters: set[str] = set()


class _OpenJournals:
    """The open journals of one master, by path."""

    def __init__(self, _: MasterState) -> None:
        self.by_path: dict[str, _Open] = {}


def _open(state: MasterState) -> dict[str, _Open]:
    return state.component(_OpenJournals).by_path


def acquire(state: MasterState, path: str) -> SQLiteStorage:
    """The journal of a file, opened by its first user."""
    entry = _open(state).get(path)
    if entry is None:
        entry = _open(state)[path] = _Open(SQLiteStorage(path, reactor=state.master.reactor, close_timeout=1.0))
    entry.users += 1
    if path == _configured(state.master):
        _attach_exporters(entry, state.master)
        record_journal(Path(state.master.basedir), Path(path))
    return entry.journal


def hold(state: MasterState, journal: SQLiteStorage) -> None:
    """Add a user to an open journal."""
    for entry in _open(state).values():
        if entry.journal is journal:
            entry.users += 1


def release(state: MasterState, journal: SQLiteStorage) -> bool:
    """Remove a user; True for the last one, who has to close the journal."""
    for path, entry in list(_open(state).items()):
        if entry.journal is journal:
            entry.users -= 1
            if entry.users <= 0:
                del _open(state)[path]
                return True
    return False


def configured_path(services: Iterable[Any]) -> str:
    """The journal's path in a configuration, relative to the master's folder."""
    for service in services:
        path = service.configured_journal() if hasattr(service, "configured_journal") else None
        if path is not None:
            return str(path)
    return JOURNAL


def _configured(master: Any) -> Optional[str]:
    """The absolute path of the journal in a master's configuration."""
    if master is None:
        return None
    return os.path.abspath(os.path.join(master.basedir, configured_path(master.config.services.values())))


def _attach_exporters(entry: _Open, master: Any) -> None:
    """Queue points for each configured exporter from the first point on."""
    for service in master.config.services.values():
        if getattr(service, "ships", False) and service.name not in entry.exporters:
            entry.exporters.add(service.name)
            # an error is counted where the exporter attaches itself
            entry.journal.attach_exporter(service.name).addErrback(lambda _: None)


@defer.inlineCallbacks
def abandoned_exporters(state: MasterState) -> Generator[Any, Any, list[Health]]:
    """The health of exporters whose instance was renamed or removed while points are queued for them."""
    healths = []
    for journal in [store for store in state.pipeline.stores if isinstance(store, SQLiteStorage)]:
        try:
            names = yield journal.exporters().addTimeout(JOURNAL_TIMEOUT, state.pipeline.clock)
            for name in sorted({*names} - {*state.exporters, *state.master.config.services}):
                backlog = yield journal.backlog(name).addTimeout(JOURNAL_TIMEOUT, state.pipeline.clock)
                counters = {"dropped": backlog.trimmed}
                healths.append(Health(name, backlog.count, backlog.oldest_time, ABANDONED.format(name=name), counters))
        except (MeasureError, defer.TimeoutError) as error:
            state.pipeline.count("unknown_sinks", f"{journal.path}: its exporters are not known: {error or 'timeout'}")
    return healths
