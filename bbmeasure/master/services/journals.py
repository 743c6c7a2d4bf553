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

from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.errors import MeasureError
from bbmeasure.model import Health
from bbmeasure.storage.sqlite.location import JOURNAL, note_journal
from bbmeasure.storage.sqlite.store import SQLiteStorage

log = Logger()

#: Seconds that a journal may take to say which sinks it has.
PATIENCE = 1.0
#: What is wrong with a sink that no instance ships.
LEFT = (
    "no instance has that name any longer, and points go on to wait for it; it is given up by: "
    "bbmeasure ship --master DIR --sink {name} --detach"
)

_ATTRIBUTE = "_bbmeasure_journals"


class _Open:
    """A journal that is open, how many use it, and which sinks it was told of."""

    def __init__(self, journal: SQLiteStorage) -> None:
        self.journal = journal
        self.users = 0
        self.sinks: set[str] = set()


def _open(pipeline: Pipeline) -> dict[str, _Open]:
    """What is open, by path."""
    found: dict[str, _Open] = pipeline.__dict__.setdefault(_ATTRIBUTE, {})
    return found


def acquire(pipeline: Pipeline, reactor: Any, path: str) -> SQLiteStorage:
    """The journal of that file, opened if it is not yet."""
    entry = _open(pipeline).get(path)
    if entry is None:
        entry = _open(pipeline)[path] = _Open(SQLiteStorage(path, reactor=reactor, close_limit=1.0))
    entry.users += 1
    if path == _configured(pipeline.master):
        _attach_sinks(entry, pipeline.master)
        note_journal(Path(pipeline.master.basedir), Path(path))
    return entry.journal


def hold(pipeline: Pipeline, journal: SQLiteStorage) -> None:
    """One user more of a journal that is open."""
    for entry in _open(pipeline).values():
        if entry.journal is journal:
            entry.users += 1


def release(pipeline: Pipeline, journal: SQLiteStorage) -> bool:
    """One user less; whether it was the last, so that the journal has to be closed."""
    for path, entry in list(_open(pipeline).items()):
        if entry.journal is journal:
            entry.users -= 1
            if entry.users <= 0:
                del _open(pipeline)[path]
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
            entry.journal.attach_sink(service.name).addErrback(lambda _: None)  # the shipper does it again, and counts


@defer.inlineCallbacks
def left_sinks(pipeline: Pipeline) -> Generator[Any, Any, list[Health]]:
    """How the sinks are that no instance ships any longer, though points are queued for them: renamed, or removed."""
    found = []
    for journal in [store for store in pipeline.stores if isinstance(store, SQLiteStorage)]:
        try:
            names = yield journal.sinks().addTimeout(PATIENCE, pipeline.clock)
            for name in sorted({*names} - {*pipeline.sinks, *pipeline.master.config.services}):
                backlog = yield journal.backlog(name).addTimeout(PATIENCE, pipeline.clock)
                counters = {"dropped": backlog.trimmed}
                found.append(Health(name, backlog.count, backlog.oldest_time, LEFT.format(name=name), counters))
        except (MeasureError, defer.TimeoutError) as error:
            pipeline.count("unknown_sinks", f"{journal.path}: its sinks are not known: {error or 'no answer'}")
    return found
