"""Saying on the server what the journal's series are, for Grafana, for people and for other masters.

A series' kind and unit are the first master's to say: what the server already holds is not overwritten by one that
disagrees, which is counted and told once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any, Optional, Protocol

from twisted.internet import defer
from twisted.logger import Logger

from bbmeasure.errors import SeriesConflictError, StorageError
from bbmeasure.storage import influxql
from bbmeasure.storage.base import NANOSECONDS, SeriesInfo, reconcile
from bbmeasure.storage.influxanswers import Declared, declaration, read_declared
from bbmeasure.storage.influxclient import InfluxClient
from bbmeasure.storage.influxserver import ServerError, Trouble
from bbmeasure.storage.lineprotocol import LineError, clean_series, measurement

log = Logger()

#: Seconds after which the journal is asked again what its series are, and after which the server is told again, so that
#: no retention policy takes away what was said.
ASK_AGAIN = 3_600.0
SAY_AGAIN = 86_400.0
#: Troubles that mean that what the server holds may not, or cannot, be read: then it is told without looking.
_CANNOT_READ = (Trouble.FORBIDDEN, Trouble.STRANGE, Trouble.REFUSED, Trouble.FAILED)


class KnowsSeries(Protocol):
    """What of the journal is used here."""

    def series(self) -> defer.Deferred[list[SeriesInfo]]:
        """All series."""
        ...


class Declarations:
    """What was said on a server.  Call it with the names of series before their points are shipped."""

    def __init__(
        self, journal: KnowsSeries, client: InfluxClient, *, clock: Any, monotonic: Callable[[], float]
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._journal = journal
        self._client = client
        self._clock = clock
        self._monotonic = monotonic
        self._names: set[str] = set()
        self._said: dict[str, SeriesInfo] = {}
        self._told: set[str] = set()
        self._asked_at = self._said_at = monotonic()

    def forget(self) -> None:
        """The server holds nothing any longer."""
        self._names.clear()
        self._said.clear()

    @defer.inlineCallbacks
    def __call__(self, names: frozenset[str]) -> Generator[Any, Any, None]:
        """Say what series are of which nothing was said yet, or which became something else."""
        now = self._monotonic()
        if now - self._said_at > SAY_AGAIN:
            self.forget()
            self._said_at = now
        if names <= self._names and now - self._asked_at < ASK_AGAIN:
            return
        infos = yield self._journal.series()
        plain = [SeriesInfo(info.name, info.kind, info.unit, info.better) for info in infos]
        news = [info for info in plain if self._said.get(info.name) != info and self._can_say(info)]
        if news:
            yield self._say(news)
        self._names.update(names, (info.name for info in plain))
        self._asked_at = now

    @staticmethod
    def _can_say(info: SeriesInfo) -> bool:
        try:
            measurement(info.name)
        except LineError:
            return False  # its points are refused with that reason
        return True

    @defer.inlineCallbacks
    def _say(self, infos: list[SeriesInfo]) -> Generator[Any, Any, None]:
        held: Optional[Mapping[str, Declared]] = yield self._held()
        time = int(self._clock.seconds() * NANOSECONDS)
        lines = []
        for info in infos:
            there = (held or {}).get(clean_series(info.name))
            holds = info if there is None else self._agree(info, there.info)
            if there is None or holds != there.info:
                lines.append(declaration(holds, time if there is None else max(time, there.time + 1)))
        if lines:
            try:
                yield self._client.write("".join(lines).encode("utf-8", "replace"))
            except ServerError as error:
                if error.trouble is not Trouble.REFUSED:
                    raise
                self.counters["declarations_refused"] += 1
                log.warn("bbmeasure: the server keeps no kinds and units: {why}", why=error.words)
        self._said.update((info.name, info) for info in infos)

    @defer.inlineCallbacks
    def _held(self) -> Generator[Any, Any, Optional[Mapping[str, Declared]]]:
        """What the server holds; None where it cannot be read."""
        try:
            answer = yield self._client.query(influxql.declared(policy=self._client.server.retention_policy))
        except ServerError as error:
            if error.trouble not in _CANNOT_READ:
                raise
        except StorageError:
            pass
        else:
            return read_declared(answer[0] if answer else ())
        self.counters["declarations_unread"] += 1
        return None

    def _agree(self, info: SeriesInfo, there: SeriesInfo) -> SeriesInfo:
        """What holds: what is there, with our direction where we have one."""
        try:
            return reconcile(replace(there, name=info.name), info)
        except SeriesConflictError as error:
            if info.name not in self._told:
                self._told.add(info.name)
                self.counters["conflicts"] += 1
                log.warn("bbmeasure: another master says otherwise: {why}", why=str(error))
            return there
