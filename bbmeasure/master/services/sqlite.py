"""SQLiteInstance: the embedded store as a service."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Optional

from buildbot.config.errors import error as config_error
from twisted.internet import defer

from bbmeasure import times
from bbmeasure.errors import MeasureError
from bbmeasure.master.services.base import MeasureInstance
from bbmeasure.storage.sqlite.location import JOURNAL


class SQLiteInstance(MeasureInstance):
    """The embedded store: a file in the master's folder.

    ``path`` is relative to the master's folder; points older than ``retention``, an age such as ``"400d"``, are
    deleted.  ``source=`` with its name reads from it where an InfluxDB is the default source.
    """

    own_arguments = ("path", "retention")

    def configured_journal(self) -> Optional[str]:
        """The journal's path as configured, relative to the master's folder."""
        return str(self._config_kwargs.get("path", JOURNAL))

    def checkConfig(self, *, path: str = JOURNAL, retention: Optional[str] = None, **switches: Any) -> None:
        """Check the arguments; a configuration error names the expected value."""
        super().checkConfig(**switches)
        if not isinstance(path, str) or not path:
            config_error(f"{self.name}: path {path!r}: expected a file's path")
        try:
            read_retention(retention)
        except MeasureError as error:
            config_error(f"{self.name}: {error}")

    @defer.inlineCallbacks
    def reconfigService(
        self, *, path: str = JOURNAL, retention: Optional[str] = None, **switches: Any
    ) -> Generator[Any, Any, None]:
        """Open the file, in place of the one before."""
        journal = yield self.use_journal(path)
        journal.retention = read_retention(retention)
        self.state.sources[self.name] = journal
        yield super().reconfigService(**switches)

    @defer.inlineCallbacks
    def stopService(self) -> Generator[Any, Any, None]:
        """Stop deleting old points, and release the journal."""
        if self._journal is not None:
            self._journal.retention = None
        self.state.sources.pop(self.name, None)
        yield super().stopService()


def read_retention(retention: Optional[str]) -> Optional[float]:
    """Seconds of a retention; None keeps everything.  QueryError for a value that is no age."""
    return None if retention is None else times.read_age(retention, "retention")
