"""Export of series metadata: kind, unit and direction by builder, for Grafana, people and other masters.

The master that first wrote the metadata of a builder's series owns it.  Another master with a builder of that name and
different metadata does not overwrite it: the conflict is counted, and logged once.  Metadata of version 0.1, which has
no builder, is left as it is.
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
from bbmeasure.storage.influxdb.line_protocol import LineError, measurement, metadata_line
from bbmeasure.storage.influxdb.results import MetadataKey, StoredMetadata, metadata_key, read_metadata
from bbmeasure.storage.influxdb.server import ErrorKind, ServerError
from bbmeasure.storage.validation import declaring_builder, reconcile
from bbmeasure.times import NANOSECONDS

log = Logger()

#: Seconds until the server's metadata is read again, in case that somebody deleted it.
READ_INTERVAL = 60.0
#: Seconds until unchanged metadata is written again, before a retention policy deletes it.
WRITE_INTERVAL = 86_400.0
#: Series and builders that are queried by name; for more, the metadata of all series or builders is read.
MAX_NAMES = 100
#: Errors of a server that does not allow or support reading: metadata is written without reading it.
_UNREADABLE = (ErrorKind.FORBIDDEN, ErrorKind.UNEXPECTED_RESPONSE, ErrorKind.REFUSED, ErrorKind.FAILED)

#: The series whose metadata is read and written together, which are then queried by name.
SLICE = MAX_NAMES
#: A series of one builder: its name and the builder, "" for points outside builds.
_Key = tuple[str, str]


class MetadataExporter:
    """Writes the metadata of series to a server, in the name of ``master``.

    Metadata that was written is cached, so that most calls of :meth:`write` send no request.
    """

    def __init__(self, client: InfluxClient, master: str, *, clock: Any, monotonic: Callable[[], float]) -> None:
        self.counters: Counter[str] = Counter()
        self._client = client
        self._master = master
        self._clock = clock
        self._monotonic = monotonic
        self._written: dict[_Key, SeriesInfo] = {}
        self._last: frozenset[SeriesInfo] = frozenset()
        self._conflicts: set[_Key] = set()
        self._max_age = READ_INTERVAL
        self._written_since = monotonic()

    def forget(self) -> None:
        """Clear the cache, as the server lost its data."""
        self._written.clear()
        self._last = frozenset()
        self._written_since = self._monotonic()

    @defer.inlineCallbacks
    def write(self, infos: frozenset[SeriesInfo]) -> Generator[Any, Any, None]:
        """Write the metadata of those series that are not in the cache or differ from it."""
        if self._monotonic() - self._written_since > self._max_age:
            self.forget()
        others = infos - self._last  # a backlog of 10,000 lines has the same series in each batch
        changed = sorted((info for info in others if self._written.get(_key(info)) != info), key=_key)
        for at in range(0, len(changed), SLICE):  # ten thousand at once would block the reactor for a second
            valid = [info for info in changed[at : at + SLICE] if is_valid_series(info)]
            if valid:
                yield self._write(valid)
        self._last = infos

    @defer.inlineCallbacks
    def _write(self, infos: Sequence[SeriesInfo]) -> Generator[Any, Any, None]:
        stored: Mapping[MetadataKey, StoredMetadata] = yield self._read(infos)
        now = int(self._clock.seconds() * NANOSECONDS)
        lines = []
        for info in infos:
            current = stored.get(metadata_key(info))
            if current is None:
                lines.append(metadata_line(info, now, self._master))
                continue
            resolved = self._resolve(info, current)
            if _differ(resolved, current.info) or now - current.time > WRITE_INTERVAL * NANOSECONDS:
                lines.append(metadata_line(resolved, max(now, current.time + 1), current.master or self._master))
        if lines:
            try:
                yield self._client.write("".join(lines).encode("utf-8", "replace"))
            except ServerError as error:
                if error.kind is not ErrorKind.REFUSED:
                    raise
                self.counters["metadata_refused"] += 1
                log.warn("bbmeasure: the server refuses series metadata: {why}", why=error.message)
        self._written.update((_key(info), info) for info in infos)

    @defer.inlineCallbacks
    def _read(self, infos: Sequence[SeriesInfo]) -> Generator[Any, Any, Mapping[MetadataKey, StoredMetadata]]:
        """Return the server's metadata of these series, none if it cannot be read."""
        names, builders = (sorted(set(part)) for part in zip(*map(_key, infos)))
        if len(names) > MAX_NAMES:
            names = []
        of_builders = builders if len(builders) <= MAX_NAMES else None
        policy = self._client.server.retention_policy
        self._max_age = READ_INTERVAL
        try:
            statement = influxql.series_metadata(*names, builders=of_builders, policy=policy)
            results = yield self._client.query(statement)
        except ServerError as error:
            if error.kind not in _UNREADABLE:
                raise
        except StorageError:
            pass
        else:
            return read_metadata(results[0] if results else ())
        self.counters["metadata_unread"] += 1
        self._max_age = WRITE_INTERVAL
        return {}

    def _resolve(self, info: SeriesInfo, current: StoredMetadata) -> SeriesInfo:
        """Return ``info`` if this master or no master owns the series, else the current metadata.

        A missing direction is taken from ``info`` in any case.
        """
        if current.master in ("", self._master):
            return info
        wanted = info if current.info.better is Direction.NONE else replace(info, better=Direction.NONE)
        try:
            return reconcile(replace(current.info, name=info.name, builders=info.builders), wanted)
        except SeriesConflictError as error:
            if _key(info) not in self._conflicts:
                self._conflicts.add(_key(info))
                self.counters["conflicts"] += 1
                log.warn(
                    "bbmeasure: conflict with another master about {builder}: {why}",
                    builder=declaring_builder(info) or "points outside builds",
                    why=str(error),
                )
            return current.info


def _key(info: SeriesInfo) -> _Key:
    return (info.name, declaring_builder(info))


def is_valid_series(info: SeriesInfo) -> bool:
    """Return whether the server can store the series; the points of an invalid one are refused with the reason."""
    try:
        measurement(info.name)
    except LineError:
        return False
    return True


def _differ(one: SeriesInfo, other: SeriesInfo) -> bool:
    """Compare without the names, which have several spellings that are one measurement or tag."""
    return replace(one, name="", builders=()) != replace(other, name="", builders=())
