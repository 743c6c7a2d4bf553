"""Cache of what the series of a store are."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Optional

from twisted.internet import defer

from bbmeasure.errors import UnknownSeriesError
from bbmeasure.model import SeriesInfo
from bbmeasure.records import canonical_series
from bbmeasure.storage.base import Storage
from bbmeasure.units import excerpt

#: Seconds for which kinds and units of series are cached.
TTL = 2.0


class SeriesCache:
    """The series of the store that was queried last."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._infos: dict[str, SeriesInfo] = {}
        self._storage: Optional[Storage] = None
        self._expires = 0.0

    def expire(self) -> None:
        """Query the store at the next use."""
        self._expires = 0.0

    @defer.inlineCallbacks
    def refresh(self, storage: Storage) -> Generator[Any, Any, list[SeriesInfo]]:
        """Query the store; all its series."""
        infos: list[SeriesInfo] = yield storage.series()
        self._infos = {info.name: info for info in infos}
        self._storage, self._expires = storage, float(self._clock.seconds()) + TTL
        return infos

    @defer.inlineCallbacks
    def get(self, storage: Storage, *names: str) -> Generator[Any, Any, dict[str, SeriesInfo]]:
        """The series by name; the store is queried if the cache is stale or lacks one of ``names``."""
        is_stale = storage is not self._storage or float(self._clock.seconds()) >= self._expires
        if is_stale or any(name not in self._infos for name in names):
            yield self.refresh(storage)
        return self._infos

    @defer.inlineCallbacks
    def find(self, storage: Storage, name: str) -> Generator[Any, Any, SeriesInfo]:
        """The series called ``name`` or, in InfluxDB, named so; UnknownSeriesError if there is none."""
        infos = yield self.get(storage, name)
        info: Optional[SeriesInfo] = infos.get(name) or infos.get(canonical_series(name))
        if info is None:
            raise UnknownSeriesError(f"series {excerpt(name)}: no such series")
        return info
