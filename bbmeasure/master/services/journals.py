"""The journals that a master has open: one a file, however many instances use it.

The one that the configuration names first is what is shipped and asked.  Its sinks are attached to it as soon as it is
used, before a point goes there, whichever instance Buildbot starts first.  Commands find it by a note in the master's
folder, as a configuration may name another file than the one by default.
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

#: Seconds that a journal may take to say which sinks it has.
JOURNAL_TIMEOUT = 1.0
#: What is wrong with a sink that no instance ships.
LEFT = (
    "no instance has that name any longer, and points go on to wait for it; it is given up by: "
    "bbmeasure ship --master DIR --sink {name} --detach"
)


class _Open:
    """An open journal, its number of users, and the sinks attached to it."""

    def __init__(self, journal: SQLiteStorage) -> None:
        self.journal = journal
        self.users = 0
        self.sinks: set[str] = set()


class _OpenJournals:
    """The open journals of one master, by path."""

    def __init__(self, _: MasterState) -> None:
        self.by_path: dict[str, _Open] = {}


def _open(state: MasterState) -> dict[str, _Open]:
    return state.component(_OpenJournals).by_path


def acquire(state: MasterState, path: str) -> SQLiteStorage:
    """The journal of that file, opened if it is not yet."""
    entry = _open(state).get(path)
    if entry is None:
        entry = _open(state)[path] = _Open(SQLiteStorage(path, reactor=state.master.reactor, close_timeout=1.0))
    entry.users += 1
    if path == _configured(state.master):
        _attach_sinks(entry, state.master)
        record_journal(Path(state.master.basedir), Path(path))
    return entry.journal


def hold(state: MasterState, journal: SQLiteStorage) -> None:
    """One user more of a journal that is open."""
    for entry in _open(state).values():
        if entry.journal is journal:
            entry.users += 1


def release(state: MasterState, journal: SQLiteStorage) -> bool:
    """One user less; whether it was the last, so that the journal has to be closed."""
    for path, entry in list(_open(state).items()):
        if entry.journal is journal:
            entry.users -= 1
            if entry.users <= 0:
                del _open(state)[path]
                return True
    return False


def configured_path(services: Iterable[Any]) -> str:
    """The journal's path that a configuration names, or the default."""
    paths = [
        path
        for path in (one.configured_journal() for one in services if hasattr(one, "configured_journal"))
        if path is not None
    ]
    return str(paths[0]) if paths else JOURNAL


def _configured(master: Any) -> Optional[str]:
    """The file that a master's configuration names first."""
    if master is None:
        return None
    return os.path.abspath(os.path.join(master.basedir, configured_path(master.config.services.values())))


def _attach_sinks(entry: _Open, master: Any) -> None:
    """Have points queued for each configured sink from the first one on; its shipper tells what is wrong, if it is."""
    for service in master.config.services.values():
        if getattr(service, "ships", False) and service.name not in entry.sinks:
            entry.sinks.add(service.name)
            entry.journal.attach_exporter(service.name).addErrback(lambda _: None)  # the exporter retries


@defer.inlineCallbacks
def left_sinks(state: MasterState) -> Generator[Any, Any, list[Health]]:
    """How the sinks are that no instance ships any longer, though points are queued for them: renamed, or removed."""
    found = []
    for journal in [store for store in state.pipeline.stores if isinstance(store, SQLiteStorage)]:
        try:
            names = yield journal.exporters().addTimeout(JOURNAL_TIMEOUT, state.pipeline.clock)
            for name in sorted({*names} - {*state.exporters, *state.master.config.services}):
                backlog = yield journal.backlog(name).addTimeout(JOURNAL_TIMEOUT, state.pipeline.clock)
                counters = {"dropped": backlog.trimmed}
                found.append(Health(name, backlog.count, backlog.oldest_time, LEFT.format(name=name), counters))
        except (MeasureError, defer.TimeoutError) as error:
            state.pipeline.count("unknown_sinks", f"{journal.path}: its sinks are not known: {error or 'no answer'}")
    return found
