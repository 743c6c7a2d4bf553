"""Interfaces that the exporter uses: outbox, client, series metadata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Protocol, Union, overload, runtime_checkable

from twisted.internet import defer

from bbmeasure.model import BuildNames, Point, SeriesInfo
from bbmeasure.storage.influxdb.server import Server

#: A point with its sequence number in the outbox.
Item = tuple[int, Point]


@dataclass(frozen=True)
class OutboxLimits:
    """Limits of the backlog: bytes of line protocol, and age in seconds.  None is no limit."""

    max_bytes: Optional[int] = None
    max_age: Optional[float] = None


class Backlog(Protocol):
    """Size of an exporter's backlog, see :class:`~bbmeasure.storage.sqlite.outbox.Backlog`."""

    @property
    def count(self) -> int:
        """Number of pending points."""
        ...

    @property
    def oldest_time(self) -> Optional[int]:
        """Time in nanoseconds at which the oldest pending point was queued."""
        ...

    @property
    def trimmed(self) -> int:
        """Number of points that were dropped from the backlog."""
        ...


class Items(Protocol):
    """Sequence of items."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Item]: ...

    @overload
    def __getitem__(self, at: int, /) -> Item: ...

    @overload
    def __getitem__(self, at: slice, /) -> Items: ...

    def __getitem__(self, at: Union[int, slice], /) -> Union[Item, Items]: ...


class PendingItems(Items, Protocol):
    """Items of the outbox, with the metadata of their series."""

    @property
    def series(self) -> frozenset[SeriesInfo]:
        """Kind, unit and direction of the series of each builder, as in a declaration."""
        ...


@runtime_checkable
class RowItems(Protocol):
    """Items that are read from rows, whose numbers can be serialized without a Point for each."""

    def raw_rows(self) -> Iterator[tuple[Hashable, Optional[int], Optional[int], Optional[float], int]]:
        """Yield the stream, the ids of build and step, the value (None unless it is one number) and the time.

        A stream is a key that stays valid when more items are read.  Its points share series, builder, worker, tags,
        branch, machine class, and whether they are of proposals; those of a stream and a build share the proposal too.
        """
        ...

    def build_of(self, stream: Any, build: int, step: Optional[int]) -> tuple[int, int, BuildNames]:
        """Return number, buildid and names of the build of a row."""
        ...


class Outbox(Protocol):
    """Persistent queue of points, see :class:`~bbmeasure.storage.sqlite.store.SQLiteStorage`."""

    def attach_exporter(self, name: str) -> defer.Deferred[None]:
        """Queue all points that are written from now on."""
        ...

    def pending(self, name: str, limit: int) -> defer.Deferred[Any]:
        """Return the oldest pending points, as PendingItems."""
        ...

    def acknowledge(self, name: str, seq: int, refused: Sequence[tuple[Point, str]] = ...) -> defer.Deferred[None]:
        """Move the cursor behind ``seq``; ``refused`` points become dead letters."""
        ...

    def backlog(self, name: str) -> defer.Deferred[Any]:
        """Return the Backlog."""
        ...

    def note_trouble(self, name: str, error: Optional[str]) -> defer.Deferred[None]:
        """Keep the current error for commands, None for none."""
        ...

    def trim(self, name: str, max_bytes: Optional[int] = ..., max_age: Optional[float] = ...) -> defer.Deferred[int]:
        """Drop pending points beyond the limits."""
        ...


class Client(Protocol):
    """Client of a server, see :class:`~bbmeasure.storage.influxdb.client.InfluxClient`."""

    def write(self, body: bytes, *, gzipped: bool = ...) -> defer.Deferred[None]:
        """Send lines."""
        ...

    def create_database(self) -> defer.Deferred[Any]:
        """Create the database unless it exists."""
        ...

    def cancel_overdue(self) -> None:
        """Cancel the requests whose timer is late, because the wall clock was set back."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...

    @property
    def server(self) -> Server:
        """The server of this client."""
        ...


class Metadata(Protocol):
    """Writes the metadata of series, see :class:`~bbmeasure.export.metadata.MetadataExporter`."""

    counters: Counter[str]

    def write(self, infos: frozenset[SeriesInfo]) -> defer.Deferred[None]:
        """Write the metadata of series that are exported next."""
        ...

    def forget(self) -> None:
        """Write all metadata again, as the server lost it."""
        ...
