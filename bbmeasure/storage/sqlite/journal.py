"""Blocking access to the journal's file: JournalReader reads, Journal also writes.

The command line, ``backfill``, tests and the threads of SQLiteStorage use them; each query and each change is a
function of another module (:mod:`~.queries`, :mod:`~.outbox`, :mod:`~.ingest`) that is bound to a transaction here.
"""

from __future__ import annotations

import functools
import sqlite3
import time
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Callable, Optional, TypeVar

from bbmeasure.errors import MeasureError, StorageError, StorageFullError, StorageUnavailableError
from bbmeasure.model import Point, SeriesInfo
from bbmeasure.storage.sqlite import (
    alert_rows,
    corrections,
    line_counts,
    lines,
    migration,
    outbox,
    overview,
    overview_rows,
    queries,
    schema,
    troubles,
    verdicts,
)
from bbmeasure.storage.sqlite.ingest import Ingest
from bbmeasure.storage.sqlite.open_files import OpenFiles
from bbmeasure.storage.sqlite.retention import Cleanup
from bbmeasure.storage.validation import check_point
from bbmeasure.times import NANOSECONDS

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    P = ParamSpec("P")

Self = TypeVar("Self", bound="JournalReader")
Result = TypeVar("Result")

#: Words in SQLite's messages for conditions that may pass, or that are the file's and not the change's.
_TRANSIENT = (
    "locked",
    "busy",
    "unable to open",
    "disk i/o error",
    "readonly",
    "interrupted",
    "out of memory",
    "no such",
)
#: The length of the longest list of series that a reader keeps.
_MAX_SERIES_KEPT = 5_000
#: What sqlite3 raises: its own errors, and Python's for a value that it cannot bind, such as a lone surrogate.
_SQLITE_ERRORS = (sqlite3.Error, OSError, ValueError, TypeError, OverflowError)


def storage_error(error: Exception, path: schema.Path) -> StorageError:
    """The StorageError for an error of SQLite.

    StorageUnavailableError and StorageFullError are worth a retry, every other StorageError is not.
    """
    if isinstance(error, StorageError):
        return error
    message = f"journal {path}: {error}"
    lower = str(error).lower()
    if type(error) is sqlite3.DatabaseError:  # a file that is corrupt or no database, until a person replaces it
        return StorageUnavailableError(message)
    if not isinstance(error, (sqlite3.OperationalError, OSError)):
        return StorageError(message)
    if "full" in lower or "no space" in lower:
        return StorageFullError(message)
    return StorageUnavailableError(message) if any(word in lower for word in _TRANSIENT) else StorageError(message)


@contextmanager
def _translated_errors(path: schema.Path) -> Generator[None, None, None]:
    """Raise every error of SQLite as a StorageError."""
    try:
        yield
    except MeasureError:
        raise
    except _SQLITE_ERRORS as error:
        raise storage_error(error, path) from error


def _query(
    function: Callable[Concatenate[sqlite3.Connection, P], Result],
) -> Callable[Concatenate[JournalReader, P], Result]:
    """The method that runs ``function`` in a read transaction."""

    @functools.wraps(function)
    def method(self: JournalReader, /, *args: P.args, **keywords: P.kwargs) -> Result:
        return self.read(function, *args, **keywords)

    return method


class JournalReader:
    """Read access to a journal's file.

    Works beside a running master, without one, and in a folder that cannot be written.  Each query sees one state of
    the file.  Raises StorageError when the file cannot be read.  A context manager that closes the file.
    """

    def __init__(
        self, path: schema.Path, *, busy_timeout: float = 1.0, stop: Optional[Callable[[], bool]] = None
    ) -> None:
        """Open the file; ``busy_timeout`` in seconds is the longest wait for a lock.

        ``stop`` is called every few milliseconds of a query, which is interrupted when it returns true.
        """
        self.path = path
        with _translated_errors(path):
            self.connection = schema.open_for_reading(path, busy_timeout=busy_timeout)
        self.files = OpenFiles(path)
        self._kept_series: Optional[tuple[object, list[SeriesInfo]]] = None
        if stop is not None:
            self.connection.set_progress_handler(stop, 100_000)

    def is_replaced(self) -> bool:
        """Whether the path names another file now, such as a migrated one."""
        return self.files.are_replaced()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def read(
        self, function: Callable[Concatenate[sqlite3.Connection, P], Result], *args: P.args, **keywords: P.kwargs
    ) -> Result:
        """Call ``function`` with the connection in a read transaction."""
        try:
            self.connection.execute("BEGIN")
            try:
                return function(self.connection, *args, **keywords)
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
        except MeasureError:
            raise
        except _SQLITE_ERRORS as error:
            raise storage_error(error, self.path) from error

    def series(
        self,
        builders: Optional[Collection[str]] = None,
        *,
        branch: Optional[str] = None,
        proposal: Optional[str] = None,
    ) -> list[SeriesInfo]:
        """All series, see :func:`.overview.series`; a list that is not long is kept until something is written."""
        return self.read(self._series, builders, branch, proposal)

    def _series(
        self,
        connection: sqlite3.Connection,
        builders: Optional[Collection[str]],
        branch: Optional[str],
        proposal: Optional[str],
    ) -> list[SeriesInfo]:
        (version,) = connection.execute("PRAGMA data_version").fetchone()  # of what other connections write
        state = (version, connection.total_changes, builders, branch, proposal)
        if self._kept_series is not None and self._kept_series[0] == state:
            return self._kept_series[1]
        found = overview.series(connection, builders, branch=branch, proposal=proposal)
        self._kept_series = (state, found) if len(found) <= _MAX_SERIES_KEPT else None
        return found

    workers = _query(lines.workers)
    lines = _query(lines.lines)
    held_lines = _query(line_counts.held_lines)
    count_lines = _query(line_counts.count_lines)
    overview = _query(overview_rows.overview)
    last = _query(queries.last)
    records = _query(queries.records)
    known_builds = _query(queries.known_builds)
    builds_of_proposal = _query(queries.builds_of_proposal)
    summarize = _query(queries.summarize)
    points = _query(queries.points)
    buckets = _query(queries.buckets)
    recall = _query(queries.recall)
    exporters = _query(outbox.exporters)
    pending = _query(outbox.pending)
    backlog = _query(outbox.backlog)
    dead_letters = _query(outbox.dead_letters)
    trouble = _query(troubles.trouble)
    build_values = _query(verdicts.build_values)
    kept_verdicts = _query(verdicts.kept_verdicts)
    kept_lines = _query(verdicts.kept_lines)
    untold = _query(verdicts.untold)
    find_line = _query(verdicts.find_line)
    detectors = _query(verdicts.detectors)
    history = _query(verdicts.history)
    total_lines = _query(verdicts.total_lines)
    lines_to_learn = _query(verdicts.lines_to_learn)
    count_lines_to_learn = _query(verdicts.count_lines_to_learn)
    line_alerts = _query(alert_rows.of_lines)
    next_alert = _query(alert_rows.next_id)
    alerts = _query(alert_rows.select)
    alert = _query(alert_rows.find)
    mutes = _query(alert_rows.mutes)


def open_for_judging(path: schema.Path) -> JournalReader:
    """A reader for the process that judges; StorageUnavailableError for a file that is yet to be migrated.

    What is judged is kept under ids of the file, which a migration changes.
    """
    reader = JournalReader(path)
    if reader.read(schema.version) != schema.VERSION:
        reader.close()
        raise StorageUnavailableError(f"journal {path}: it is migrated first, then its builds are judged")
    return reader


def _change(function: Callable[Concatenate[Ingest, P], Result]) -> Callable[Concatenate[Journal, P], Result]:
    """The method that runs ``function`` in a write transaction."""

    @functools.wraps(function)
    def method(self: Journal, /, *args: P.args, **keywords: P.kwargs) -> Result:
        with self.transaction() as ingest:
            return function(ingest, *args, **keywords)

    return method


def _change_in_steps(
    function: Callable[Concatenate[Ingest, P], Generator[None, None, Result]],
) -> Callable[Concatenate[Journal, P], Result]:
    """The method that runs each step of the generator ``function`` in a write transaction of its own."""

    @functools.wraps(function)
    def method(self: Journal, /, *args: P.args, **keywords: P.kwargs) -> Result:
        steps = function(self.ingest, *args, **keywords)
        while True:
            with self.transaction():
                result = next_step(steps)
            if result is not None:
                return result

    return method


def next_step(steps: Generator[None, None, Result]) -> Optional[Result]:
    """Run a generator to its next yield and return None, or to its end and return its result."""
    try:
        next(steps)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    return None


class Journal(JournalReader):
    """Read and write access to a journal's file, which is created if it is missing.

    Each change is on disk when its method returns.  Works beside a running master: both wait for each other's short
    transactions.
    """

    def __init__(
        self,
        path: schema.Path,
        *,
        busy_timeout: float = 5.0,
        clock: Callable[[], float] = time.time,
        migrate: bool = False,
        progress: migration.Progress = migration.ignore_progress,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Open or create the file; ``clock`` returns unix seconds.

        A file of version 1 is migrated with ``migrate``, for which ``progress`` and ``stop`` are, and refused without:
        a command must not migrate the file of a master that still runs the former release.
        """
        self.path = path
        with _translated_errors(path):
            if migrate and migration.is_needed(path):
                migration.migrate(path, busy_timeout=busy_timeout, progress=progress, stop=stop)
            self.connection = schema.open_for_writing(path, busy_timeout=busy_timeout)
        self.files = OpenFiles(path)
        self._kept_series = None
        self.ingest = Ingest(self.connection, clock)
        self._cleanup: Optional[tuple[Optional[float], Cleanup]] = None

    @contextmanager
    def transaction(self) -> Generator[Ingest, None, None]:
        """A write transaction; raises StorageError when it cannot be committed."""
        with _translated_errors(self.path), self.ingest.transaction() as ingest:
            yield ingest

    def check_files(self) -> None:
        """Raise LostFileError where the open file was deleted, moved or replaced, or its ``-wal`` was."""
        self.files.check()

    def close_lost(self) -> bool:
        """Close a file that was deleted, moved or replaced, or whose ``-wal`` was, so that a new one can be begun.

        What is only in the ``-wal`` is written to the file first, which may have been moved.  Returns false, and does
        not close it, while a reader or another process prevents that.
        """
        # an emptied -wal is what a new one continues; the lock of another process on a lost file may stay for ever
        mode = "PASSIVE" if self.files.is_gone() else "TRUNCATE"
        with suppress(sqlite3.Error, OSError):
            busy, frames, written = self.connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            if busy or written < frames:
                return False
        with suppress(sqlite3.Error, OSError):
            self.close()
        with suppress(OSError):
            self.files.remove_remains()
        return True

    def write(self, points: Sequence[Point], state: Optional[Mapping[str, float]] = None) -> None:
        """Write points and running totals in one transaction."""
        for point in points:
            check_point(point)
        with self.transaction() as ingest:
            ingest.write(points, state or {})

    def forget(self, series: str) -> int:
        """Remove a series with its points, declaration and state; returns the number of points."""
        with self.transaction() as ingest:
            count = ingest.forget(series)
        self.clean()
        return count

    def detach_exporter(self, name: str) -> None:
        """Remove an exporter with its queue and its dead letters."""
        with self.transaction() as ingest:
            outbox.detach(ingest, name)
        self.clean()

    declare = _change(Ingest.declare)
    attach_exporter = _change(outbox.attach)
    acknowledge = _change(outbox.acknowledge)
    skip_deleted = _change(outbox.skip_deleted)
    note_trouble = _change(troubles.note)
    trim = _change_in_steps(outbox.trim)
    reship = _change_in_steps(outbox.reship)
    remove = _change_in_steps(corrections.remove)
    rename_totals = _change(corrections.rename_totals)
    keep_verdicts = _change(verdicts.keep)
    told = _change(verdicts.told)
    decide = _change(alert_rows.decide)
    mute = _change(alert_rows.mute)

    def clean(self, retention: Optional[float] = None) -> int:
        """Delete points of forgotten series and those older than ``retention`` seconds; returns their number."""
        with _translated_errors(self.path):
            return self._new_cleanup(retention).run()

    def clean_slice(self, retention: Optional[float] = None) -> bool:
        """Run one short transaction of :meth:`clean`; returns false when nothing is left to delete."""
        current, self._cleanup = self._cleanup, None
        cleanup = current[1] if current is not None and current[0] == retention else self._new_cleanup(retention)
        with _translated_errors(self.path):
            more = cleanup.slice()
        if more:
            self._cleanup = retention, cleanup
        return more

    def _new_cleanup(self, retention: Optional[float]) -> Cleanup:
        return Cleanup(self.ingest, None if retention is None else int((self.ingest.now() - retention) * NANOSECONDS))
