"""Saying on the server what the journal's series are, for Grafana, for people and for other masters.

A series' kind and unit are the first master's to say, and to say otherwise: what one master said is not overwritten by
another that disagrees, which is counted and told once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet import defer
from twisted.logger import Logger

from bbmeasure.errors import SeriesConflictError, StorageError
from bbmeasure.model import SeriesInfo
from bbmeasure.records import Direction
from bbmeasure.storage.influxdb import influxql
from bbmeasure.storage.influxdb.client import InfluxClient
from bbmeasure.storage.influxdb.line_protocol import LineError, clean_series, measurement, metadata_line
from bbmeasure.storage.influxdb.results import StoredMetadata, read_metadata
from bbmeasure.storage.influxdb.server import ErrorKind, ServerError
from bbmeasure.storage.validation import reconcile
from bbmeasure.times import NANOSECONDS

log = Logger()

#: Seconds after which a server is looked at again: somebody may have emptied it.
LOOK_AGAIN = 60.0
#: Seconds after which it is told again, so that no retention policy takes away what was said.
SAY_AGAIN = 86_400.0
#: So many series are asked for by their names; of more, all there are.
MOST_NAMED = 100
#: Troubles that mean that what the server holds may not, or cannot, be read: then it is told without looking.
_CANNOT_READ = (ErrorKind.FORBIDDEN, ErrorKind.UNEXPECTED_RESPONSE, ErrorKind.REFUSED, ErrorKind.FAILED)


class MetadataExporter:
    """What was said on a server, by ``master``.  Call it with series before their points are shipped."""

    def __init__(self, client: InfluxClient, master: str, *, clock: Any, monotonic: Callable[[], float]) -> None:
        self.counters: Counter[str] = Counter()
        self._client = client
        self._master = master
        self._clock = clock
        self._monotonic = monotonic
        self._said: dict[str, SeriesInfo] = {}
        self._told: set[str] = set()
        self._forget_after = LOOK_AGAIN
        self._said_since = monotonic()

    def forget(self) -> None:
        """The server holds nothing any longer."""
        self._said.clear()
        self._said_since = self._monotonic()

    @defer.inlineCallbacks
    def __call__(self, infos: frozenset[SeriesInfo]) -> Generator[Any, Any, None]:
        """Say what series are of which nothing was said lately, or which became something else."""
        if self._monotonic() - self._said_since > self._forget_after:
            self.forget()
        news = [info for info in infos if self._said.get(info.name) != info and is_valid_series(info)]
        if news:
            yield self._say(news)

    @defer.inlineCallbacks
    def _say(self, infos: Sequence[SeriesInfo]) -> Generator[Any, Any, None]:
        held: Mapping[str, StoredMetadata] = yield self._held(infos)
        now = int(self._clock.seconds() * NANOSECONDS)
        lines = []
        for info in infos:
            there = held.get(clean_series(info.name))
            if there is None:
                lines.append(metadata_line(info, now, self._master))
                continue
            holds = self._agree(info, there)
            if _otherwise(holds, there.info) or now - there.time > SAY_AGAIN * NANOSECONDS:
                lines.append(metadata_line(holds, max(now, there.time + 1), there.master or self._master))
        if lines:
            try:
                yield self._client.write("".join(lines).encode("utf-8", "replace"))
            except ServerError as error:
                if error.kind is not ErrorKind.REFUSED:
                    raise
                self.counters["metadata_refused"] += 1
                log.warn("bbmeasure: the server keeps no kinds and units: {why}", why=error.message)
        self._said.update((info.name, info) for info in infos)

    @defer.inlineCallbacks
    def _held(self, infos: Sequence[SeriesInfo]) -> Generator[Any, Any, Mapping[str, StoredMetadata]]:
        """What the server holds of these; nothing where it cannot be read."""
        names = [info.name for info in infos] if len(infos) <= MOST_NAMED else []
        policy = self._client.server.retention_policy
        self._forget_after = LOOK_AGAIN
        try:
            answer = yield self._client.query(influxql.series_metadata(*names, policy=policy))
        except ServerError as error:
            if error.kind not in _CANNOT_READ:
                raise
        except StorageError:
            pass
        else:
            return read_metadata(answer[0] if answer else ())
        self.counters["metadata_unread"] += 1
        self._forget_after = SAY_AGAIN
        return {}

    def _agree(self, info: SeriesInfo, there: StoredMetadata) -> SeriesInfo:
        """What holds: our word where it was ours or nobody's, else what is there, with our direction if it has none."""
        if there.master in ("", self._master):
            return info
        said = info if there.info.better is Direction.NONE else replace(info, better=Direction.NONE)
        try:
            return reconcile(replace(there.info, name=info.name), said)
        except SeriesConflictError as error:
            if info.name not in self._told:
                self._told.add(info.name)
                self.counters["conflicts"] += 1
                log.warn("bbmeasure: another master says otherwise: {why}", why=str(error))
            return there.info


def is_valid_series(info: SeriesInfo) -> bool:
    """Whether a series may have its name; its points are refused with the reason where it may not."""
    try:
        measurement(info.name)
    except LineError:
        return False
    return True


def _otherwise(one: SeriesInfo, other: SeriesInfo) -> bool:
    """Whether they differ in more than the name, which several series may share on a server."""
    return replace(one, name="") != replace(other, name="")
