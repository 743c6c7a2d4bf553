"""Restorer: exporters and declarations that a new file needs when it takes the place of a lost one."""

from __future__ import annotations

import os
from collections import OrderedDict

from twisted.logger import Logger

from bbmeasure.errors import SeriesConflictError
from bbmeasure.model import SeriesInfo
from bbmeasure.storage.sqlite import outbox, schema
from bbmeasure.storage.sqlite.journal import Journal

log = Logger()

#: The number of declarations that are remembered, those made last.  Each is made again every few seconds.
MAX_DECLARATIONS = 20_000


class Restorer:
    """Exporters and declarations of a store, to repeat them in another file.

    Points that still wait in memory are then of the same kinds as before, and are queued for the same exporters.
    """

    def __init__(self, path: schema.Path) -> None:
        self._path = path
        self._declarations: OrderedDict[tuple[str, str], SeriesInfo] = OrderedDict()
        self.exporters: set[str] = set()

    def add_declaration(self, info: SeriesInfo) -> SeriesInfo:
        """Remember a declaration in effect, which is returned."""
        key = (info.name, "".join(info.builders))
        self._declarations[key] = info
        self._declarations.move_to_end(key)
        if len(self._declarations) > MAX_DECLARATIONS:
            self._declarations.popitem(last=False)
        return info

    def forget(self, series: str) -> None:
        """Forget the declarations of a series."""
        for key in [key for key in self._declarations if key[0] == series]:
            del self._declarations[key]

    def restore(self, journal: Journal) -> None:
        """Attach and declare everything in a file that lacks an exporter or the last declaration."""
        declarations = list(self._declarations.values())
        exporters = sorted(self.exporters)
        if not declarations and not exporters:
            return
        with journal.transaction() as ingest:
            attached = outbox.exporters(ingest.connection)
            if {*exporters} <= {*attached} and all(ingest.is_declared(info) for info in declarations[-1:]):
                return
            for name in exporters:
                outbox.attach(ingest, name)
            for info in declarations:
                try:
                    ingest.declare(info)
                except SeriesConflictError as error:  # a file that a person put in place
                    log.warn("bbmeasure: {error}", error=error)
        log.warn(
            "bbmeasure: {path} is another file than before; what is captured from now on is written to it",
            path=os.fspath(self._path),
        )
