"""Creation of a missing database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from typing import Any, Optional, TypeVar

from twisted.internet import defer
from twisted.logger import Logger

from bbmeasure.errors import StorageError
from bbmeasure.export.interfaces import Client
from bbmeasure.storage.influxdb.server import ErrorKind, ServerError

log = Logger()

Argument = TypeVar("Argument")

#: Seconds between two attempts to create a missing database.
RETRY_INTERVAL = 30.0


class DatabaseCreator:
    """Creates the database of an exporter, at its start and when the server reports that it is missing.

    ``created`` is called after a missing database was created.  A user without the right to create databases is no
    error if the database exists.
    """

    def __init__(
        self,
        name: str,
        client: Client,
        counters: Counter[str],
        *,
        enabled: bool,
        created: Callable[[], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._name = name
        self._client = client
        self._counters = counters
        self._enabled = enabled
        self._created = created
        self._monotonic = monotonic
        self._last_attempt: Optional[float] = None

    @defer.inlineCallbacks
    def create(self) -> Generator[Any, Any, bool]:
        """Create the database unless it exists; returns whether the server accepted that."""
        if not self._enabled:
            return False
        try:
            yield self._client.create_database()
        except StorageError as error:
            self._counters["database_not_created"] += 1
            log.debug("bbmeasure: {name}: database not created: {why}", name=self._name, why=str(error))
            return False
        return True

    @defer.inlineCallbacks
    def run(self, work: Callable[[Argument], defer.Deferred[None]], argument: Argument) -> Generator[Any, Any, None]:
        """Call ``work``; if the database is missing, create it and call ``work`` again."""
        try:
            yield work(argument)
        except ServerError as error:
            if error.kind is not ErrorKind.NOT_FOUND or "database not found" not in error.message:
                raise
            if not (yield self._create_missing()):
                raise
            yield work(argument)

    @defer.inlineCallbacks
    def _create_missing(self) -> Generator[Any, Any, bool]:
        now = self._monotonic()
        if self._last_attempt is not None and now - self._last_attempt < RETRY_INTERVAL:
            return False
        self._last_attempt = now
        created = yield self.create()
        if created:
            self._counters["database_created"] += 1
            self._created()
            log.warn(
                "bbmeasure: {name}: the database was missing and was created; if it ever held points, "
                "`bbmeasure ship --from TIME` sends them again",
                name=self._name,
            )
        return created  # type: ignore[no-any-return]
