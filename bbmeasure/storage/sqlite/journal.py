"""The journal's doors for code that may wait: the command line, tests, and the threads of SQLiteStorage."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Callable, Optional, TypeVar

from bbmeasure.errors import MeasureError, StorageError, StorageFullError, StorageUnavailableError
from bbmeasure.model import NANOSECONDS, Bucket, Point, Query, SeriesInfo
from bbmeasure.statistics import Statistic, Value
from bbmeasure.storage.sqlite import outbox, queries, schema
from bbmeasure.storage.sqlite.ingest import Ingest
from bbmeasure.storage.sqlite.retention import Cleanup
from bbmeasure.storage.validation import check_point

#: What SQLite says where the same may succeed later.
_LATER = ("locked", "busy", "unable to open", "disk i/o error", "readonly", "interrupted", "out of memory")

Door = TypeVar("Door", bound="JournalReader")
Answer = TypeVar("Answer")

#: What comes out of sqlite3: its own errors, and Python's for what it cannot take, such as a lone surrogate.
_SQLITE_SAYS = (sqlite3.Error, OSError, ValueError, TypeError, OverflowError)


def storage_error(error: Exception, path: schema.Path) -> StorageError:
    """What a store says of an error of SQLite: StorageUnavailableError and StorageFullError where it is worth trying
    again later.
    """
    if isinstance(error, StorageError):
        return error
    said = f"journal {path}: {error}"
    lower = str(error).lower()
    if not isinstance(error, (sqlite3.OperationalError, OSError)):
        return StorageError(said)
    if "full" in lower or "no space" in lower:
        return StorageFullError(said)
    return StorageUnavailableError(said) if any(word in lower for word in _LATER) else StorageError(said)


class JournalReader:
    """Answers from a journal's file as :class:`~bbmeasure.storage.base.Storage` does, at once and without writing.

    Works beside a running master, without one, and in a folder that cannot be written.  Each answer is of one moment.
    StorageError where the file cannot be read.  Use it as a context manager, or :meth:`close` it.
    """

    _overview: Optional[tuple[tuple[int, int], list[SeriesInfo]]] = None

    def __init__(self, path: schema.Path, *, wait: float = 1.0, stop: Optional[Callable[[], bool]] = None) -> None:
        """``wait`` seconds for a lock; ``stop`` is asked every few milliseconds whether to break off a question."""
        self.path = path
        try:
            self.connection = schema.open_for_reading(path, wait=wait)
        except sqlite3.Error as error:
            raise storage_error(error, path) from error
        if stop is not None:
            self.connection.set_progress_handler(stop, 100_000)

    def __enter__(self: Door) -> Door:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    def ask(self, question: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """What ``question`` answers of this moment; StorageError where the file cannot say."""
        try:
            self.connection.execute("BEGIN")
            try:
                return question(self.connection)
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
        except MeasureError:
            raise
        except _SQLITE_SAYS as error:
            raise storage_error(error, self.path) from error

    def series(self, builders: Optional[frozenset[str]] = None) -> list[SeriesInfo]:
        """All series by name, with what they hold; with ``builders``, what they hold of these.

        The same list again, where nothing was written meanwhile and all is asked for: many pages ask at once.
        """
        if builders is not None:
            return self.ask(lambda connection: queries.series(connection, builders))
        return self.ask(self._series)

    def _series(self, connection: sqlite3.Connection) -> list[SeriesInfo]:
        """data_version tells of what other connections wrote, total_changes of this one's."""
        version = (connection.execute("PRAGMA data_version").fetchone()[0], connection.total_changes)
        if self._overview is None or self._overview[0] != version:
            self._overview = version, queries.series(connection)
        return self._overview[1]

    def last(self, query: Query, before: Optional[int] = None) -> Optional[Point]:
        """The newest point; with ``before``, the newest of another build whose buildid is smaller than that."""
        return self.ask(lambda connection: queries.last(connection, query, before))

    def records(self, buildid: int) -> list[Point]:
        """All points of a build, in the order of their time."""
        return self.ask(lambda connection: queries.records(connection, buildid))

    def summarize(self, query: Query, statistics: Sequence[Statistic]) -> dict[str, Optional[Value]]:
        """Each statistic by its name; None where there is no data."""
        return self.ask(lambda connection: queries.summarize(connection, query, statistics))

    def points(self, query: Query, limit: int) -> list[Point]:
        """The newest ``limit`` points, oldest first."""
        return self.ask(lambda connection: queries.points(connection, query, limit))

    def buckets(self, query: Query, count: int) -> list[Bucket]:
        """``count`` equal stretches from the first point (or ``since``) to the last (or ``until``); [] for no data."""
        return self.ask(lambda connection: queries.buckets(connection, query, count))

    def recall(self, keys: Sequence[str]) -> dict[str, float]:
        """The last ``state`` written under each of ``keys`` that has one."""
        return self.ask(lambda connection: queries.recall(connection, keys))

    def sinks(self) -> list[str]:
        """The names of the sinks that are attached."""
        return [queue.name for queue in self.ask(outbox.queues)]

    def pending(self, sink: str, limit: int) -> outbox.Waiting:
        """The oldest points that wait for a sink, each with its number."""
        return self.ask(lambda connection: outbox.pending(connection, sink, limit))

    def backlog(self, sink: str) -> outbox.Backlog:
        """How much waits for a sink."""
        return self.ask(lambda connection: outbox.backlog(connection, sink))

    def dead_letters(self, sink: str, limit: int = 100) -> list[outbox.DeadLetter]:
        """The newest points that the server of a sink refused, the newest first."""
        return self.ask(lambda connection: outbox.dead_letters(connection, sink, limit))


class Journal(JournalReader):
    """Reads and writes a journal's file, which is made where there is none; each change is on disk when it returns.

    For code that may wait.  Works beside a running master: both wait for each other's short transactions.
    """

    def __init__(self, path: schema.Path, *, wait: float = 5.0, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        try:
            self.connection = schema.open_for_writing(path, wait=wait)
        except sqlite3.Error as error:
            raise storage_error(error, path) from error
        self.ingest = Ingest(self.connection)
        self._cleaning: Optional[tuple[Optional[float], Cleanup]] = None

    @contextmanager
    def transaction(self) -> Generator[Ingest, None, None]:
        """Several changes, all or nothing; StorageError where they cannot be kept."""
        try:
            with self.ingest.transaction():
                yield self.ingest
        except MeasureError:
            raise
        except _SQLITE_SAYS as error:
            raise storage_error(error, self.path) from error

    def now(self) -> int:
        """Unix seconds by the clock that was given."""
        return int(self._clock())

    def declare(self, info: SeriesInfo, *, override: bool = False) -> SeriesInfo:
        """Say what a series is; the answer is what holds.  SeriesConflictError where that disagrees."""
        with self.transaction() as ingest:
            return ingest.declare(info, override=override)

    def write(self, points: Sequence[Point], state: Optional[Mapping[str, float]] = None) -> None:
        """Keep points, and running totals with them, all or nothing."""
        for point in points:
            check_point(point)
        with self.transaction() as ingest:
            ingest.write(points, state or {}, self.now())

    def forget(self, series: str) -> int:
        """Remove a series with its points, declaration and state; how many points that were."""
        with self.transaction() as ingest:
            count = ingest.forget(series)
        self.clean()
        return count

    def clean(self, retention: Optional[float] = None) -> int:
        """Delete the points of forgotten series, and those older than ``retention`` seconds; how many those were."""
        return self._in_words(self._cleanup(retention).run)

    def clean_slice(self, retention: Optional[float] = None) -> bool:
        """A slice of the same, one short transaction; False where nothing is left to delete."""
        kept, self._cleaning = self._cleaning, None
        cleanup = kept[1] if kept is not None and kept[0] == retention else self._cleanup(retention)
        more = self._in_words(cleanup.slice)
        if more:
            self._cleaning = retention, cleanup
        return more

    def _cleanup(self, retention: Optional[float]) -> Cleanup:
        return Cleanup(self.ingest, None if retention is None else int((self._clock() - retention) * NANOSECONDS))

    def _in_words(self, work: Callable[[], Answer]) -> Answer:
        try:
            return work()
        except sqlite3.Error as error:
            raise storage_error(error, self.path) from error

    def attach_sink(self, name: str) -> None:
        """From now on points are queued for that sink."""
        with self.transaction() as ingest:
            ingest.attach_sink(name)

    def detach_sink(self, name: str) -> None:
        """Nothing is queued for that sink any longer, and what was is gone."""
        with self.transaction() as ingest:
            ingest.detach_sink(name)
        self.clean()

    def acknowledge(self, sink: str, seq: int, refused: Sequence[tuple[Point, str]] = ()) -> None:
        """What waited up to the number ``seq`` is done with; ``refused`` points become dead letters."""
        with self.transaction():
            outbox.acknowledge(self.connection, sink, seq, refused, self.now())

    def skip_deleted(self, sink: str) -> None:
        """Take the points away that were deleted before a sink came to them."""
        with self.transaction():
            outbox.skip_deleted(self.connection, sink)

    def trim(self, sink: str, max_bytes: Optional[int] = None, max_age: Optional[float] = None) -> int:
        """Drop the oldest of what waits over ``max_bytes``, or longer than ``max_age`` seconds; how many it were."""
        return self._slices(outbox.trim(self.connection, sink, max_bytes, max_age, self.now()))

    def reship(self, sink: str, since: int) -> int:
        """Queue all points since a time (nanoseconds) again; how many that were."""
        return self._slices(outbox.reship(self.connection, sink, since, self.now()))

    def _slices(self, slices: Generator[None, None, int]) -> int:
        while True:
            with self.transaction():
                done = next_slice(slices)
            if done is not None:
                return int(done)


def next_slice(slices: Generator[None, None, Any]) -> Any:
    """Run a generator to its next yield: None, or what it returned at its end."""
    try:
        next(slices)
    except StopIteration as end:
        return end.value
    return None


def open_reader(path: schema.Path) -> JournalReader:
    """The journal at ``path`` for reading, see :class:`JournalReader`."""
    return JournalReader(path)
