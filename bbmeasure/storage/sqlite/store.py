"""SQLiteStorage: the journal, a store in one file of the master's folder that receives every point first."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, TypeVar

from twisted.internet import defer

from bbmeasure.errors import MeasureError, StorageFullError, StorageUnavailableError
from bbmeasure.model import Bucket, LineInfo, Overview, OverviewQuery, Point, Query, SeriesInfo
from bbmeasure.statistics import Statistic, Value
from bbmeasure.storage.base import HeldLine
from bbmeasure.storage.query_chain import QueryChain, run_blocking
from bbmeasure.storage.sqlite import alert_rows, backup, outbox, schema, troubles, verdicts
from bbmeasure.storage.sqlite.changes import Write, declaring
from bbmeasure.storage.sqlite.ingest import Ingest
from bbmeasure.storage.sqlite.journal import JournalReader, open_for_judging
from bbmeasure.storage.sqlite.journal_threads import JournalThreads
from bbmeasure.storage.sqlite.outbox import Backlog, DeadLetter
from bbmeasure.storage.sqlite.pending_points import PendingPoints
from bbmeasure.storage.sqlite.shared_requests import in_thread
from bbmeasure.storage.sqlite.spool_file import Declaration
from bbmeasure.storage.validation import check_point
from bbmeasure.storage.verdict_store import Alert, AlertQuery, KeptBuild, Mute, VerdictChanges

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    P = ParamSpec("P")

Result = TypeVar("Result")

_NO_STATE: Mapping[str, float] = {}


class SQLiteStorage(JournalThreads):
    """A store in an SQLite file in WAL mode, which other processes may read (and write) meanwhile.

    A write costs the reactor a few microseconds: a thread commits what is pending, at once when idle, else together
    with all that arrived meanwhile.  The Deferred fires when the points are on disk and synced: neither a killed
    process nor a power cut loses them.  While the file cannot be written (the disk is full; the file is locked,
    read-only, corrupt, of a newer version or another program's), ``max_pending`` points are kept and retried; further
    ones are dropped, counted, and fail with StorageFullError.  What :meth:`close` leaves unwritten is kept in a file
    beside, which the next start reads.  A file that was deleted, moved or replaced is begun anew.

    A second master that uses the file gets no running totals from it, and says so in :meth:`health`.

    Queries run in a pool of two threads; those of steps, totals and exporters in another thread, lists of all series in
    a fourth, and records of builds in a fifth, so that none of these waits for the others. Each thread has a bound of
    pending requests, past which they fail with StorageBusyError at once. Equal lists requested between two commits are
    read once. Each request is limited to ``read_timeout`` seconds; cancelling its Deferred interrupts it.

    Points older than ``retention`` seconds are deleted once an hour, in small slices.  No file is opened, and no
    thread started, before the first use.
    """

    # writing

    def write(self, points: Sequence[Point], state: Optional[Mapping[str, float]] = None) -> defer.Deferred[None]:
        """Write points and running totals in one transaction; fires when they are on disk."""
        if self._closed:
            return self._refuse(len(points), StorageUnavailableError(f"journal {self.path}: closed"))
        try:
            for point in points:
                check_point(point)
        except MeasureError as error:
            return self._refuse(len(points), error)
        if self._writer.pending_points + len(points) > self._room():
            reason = self._writer.last_error or "the disk is too slow"
            message = f"journal {self.path}: {self._writer.pending_points} points are pending ({reason})"
            return self._refuse(len(points), StorageFullError(message))
        write = Write(points, state or _NO_STATE)
        self._writer.put(write)
        return write.deferred

    def declare(
        self, info: SeriesInfo, *, override: bool = False, override_unit: bool = False, proposed: bool = False
    ) -> defer.Deferred[SeriesInfo]:
        """Declare a series, see :meth:`~bbmeasure.storage.base.CaptureStorage.declare`."""
        declared = self._put_change(declaring(Declaration(info, override, override_unit, proposed)))
        return declared if proposed else declared.addCallback(self._restorer.add_declaration)

    # verdicts, see bbmeasure.storage.verdict_store

    @property
    def opener(self) -> tuple[str, str, str]:
        """Module, function and argument that give another process a reader of this journal."""
        return open_for_judging.__module__, open_for_judging.__name__, os.fspath(self.path)

    def keep_verdicts(self, changes: VerdictChanges) -> defer.Deferred[None]:
        """Write what judging a build has changed."""
        return self._change(verdicts.keep, changes)

    def kept_verdicts(self, buildid: int) -> defer.Deferred[Optional[KeptBuild]]:
        """The verdicts of a build; None where none are kept."""
        return self._read_internal(JournalReader.kept_verdicts, buildid)

    def kept_lines(self, buildids: Sequence[int]) -> defer.Deferred[dict[int, bytes]]:
        """The encoded verdicts of builds, without their values."""
        return self._read(JournalReader.kept_lines, buildids)

    def untold(self, reporter: str, limit: int) -> defer.Deferred[list[int]]:
        """The oldest builds whose verdicts a reporter has not told."""
        return self._read_internal(JournalReader.untold, reporter, limit)

    def told(self, reporter: str, buildids: Sequence[int]) -> defer.Deferred[None]:
        """Note that a reporter has told the verdicts of builds."""
        return self._change(verdicts.told, reporter, buildids)

    def keep_reporters(self, reporters: Collection[str]) -> defer.Deferred[None]:
        """Delete the builds that other reporters than these have not told."""
        return self._change(verdicts.keep_reporters, reporters)

    def alert(self, id_: int) -> defer.Deferred[Optional[Alert]]:
        """The alert of an id."""
        return self._read(JournalReader.alert, id_)

    def alerts(self, query: AlertQuery) -> defer.Deferred[list[Alert]]:
        """Alerts, newest first."""
        return self._read(JournalReader.alerts, query)

    def mutes(self) -> defer.Deferred[list[Mute]]:
        """All mutes."""
        return self._read(JournalReader.mutes)

    def decide(self, alert: int, state: str, who: str, why: str) -> defer.Deferred[bool]:
        """Decide an open alert; false where there is no open one of that id."""
        return self._change(alert_rows.decide, alert, state, who, why)

    def forget(self, series: str) -> defer.Deferred[int]:
        """Remove a series with its points, declaration and state; fires with the number of points.

        It is hidden at once; its points are deleted in the background.
        """
        self._restorer.forget(series)
        return self._change(Ingest.forget, series).addCallback(self._request_cleanup)

    # reading

    def recall(self, keys: Sequence[str]) -> defer.Deferred[dict[str, float]]:
        """The last ``state`` written under each of ``keys`` that has one; StorageError for a second master."""
        return self._read_internal(self._recall, keys)

    def series(
        self,
        builders: Optional[frozenset[str]] = None,
        *,
        branch: Optional[str] = None,
        proposal: Optional[str] = None,
    ) -> defer.Deferred[list[SeriesInfo]]:
        """All series by name, see :meth:`~bbmeasure.storage.base.Storage.series`."""
        self._writer.start()
        key = (builders, branch, proposal)
        return self._overviews.run(key, JournalReader.series, builders, branch=branch, proposal=proposal)

    def lines(self, query: Query) -> defer.Deferred[list[LineInfo]]:
        """The lines of the matching points, see :meth:`~bbmeasure.storage.base.Storage.lines`."""
        return self._read(JournalReader.lines, query)

    def workers(self, query: Query) -> defer.Deferred[list[str]]:
        """The workers of the matching points, see :meth:`~bbmeasure.storage.base.Storage.workers`."""
        return self._read(JournalReader.workers, query)

    def held_lines(self, builder: str) -> defer.Deferred[list[HeldLine]]:
        """Series and tags of a builder, see :meth:`~bbmeasure.storage.base.CaptureStorage.held_lines`."""
        return self._read_internal(JournalReader.held_lines, builder)

    def count_lines(self) -> defer.Deferred[tuple[int, int]]:
        """The number of lines that are not of proposals, and of those that are."""
        return self._read_internal(JournalReader.count_lines)

    def overview(self, query: OverviewQuery) -> defer.Deferred[Overview]:
        """One page of the lines, see :meth:`~bbmeasure.storage.base.CaptureStorage.overview`."""
        self._writer.start()
        return self._overviews.run(query, JournalReader.overview, query)

    def compute(self, function: Callable[..., Result], *arguments: Any) -> defer.Deferred[Result]:
        """Call a pure function of bounded duration in a thread of the pool."""
        return self._read(lambda _: function(*arguments))

    def last(self, query: Query, before: Optional[int] = None) -> defer.Deferred[Optional[Point]]:
        """The newest point; with ``before``, the newest of another build with a smaller buildid."""
        return self._read_internal(JournalReader.last, query, before)

    def records(self, buildid: int) -> defer.Deferred[list[Point]]:
        """All points of a build, ordered by time."""
        self._writer.start()
        return self._build_readers.run(JournalReader.records, buildid)

    def builds_of_proposal(self, proposal: str, limit: int) -> defer.Deferred[list[int]]:
        """The ids of the newest builds of a proposal, newest first."""
        return self._read_internal(JournalReader.builds_of_proposal, proposal, limit)

    def summarize(self, query: Query, statistics: Sequence[Statistic]) -> defer.Deferred[dict[str, Optional[Value]]]:
        """The statistics by name; None for those that no point defines."""
        return self._read(JournalReader.summarize, query, statistics)

    def points(self, query: Query, limit: int) -> defer.Deferred[list[Point]]:
        """The newest ``limit`` points, oldest first."""
        return self._read(JournalReader.points, query, limit)

    def buckets(self, query: Query, count: int) -> defer.Deferred[list[Bucket]]:
        """``count`` intervals of equal length, see :meth:`~bbmeasure.storage.base.Storage.buckets`."""
        return self._read(JournalReader.buckets, query, count)

    def run_chain(self, chain: QueryChain[Result]) -> defer.Deferred[Result]:
        """The result of a chain of queries, which is one request of the pool."""
        return self._read(run_blocking, chain)

    # exporters, see bbmeasure.storage.sqlite.outbox

    def attach_exporter(self, name: str) -> defer.Deferred[None]:
        """Queue points written from now on for an exporter, also after a restart."""
        self._restorer.exporters.add(name)
        return self._change(outbox.attach, name)

    def detach_exporter(self, name: str) -> defer.Deferred[None]:
        """Remove an exporter with its queue and its dead letters."""
        self._restorer.exporters.discard(name)
        return self._change(outbox.detach, name).addCallback(self._request_cleanup)

    def exporters(self) -> defer.Deferred[list[str]]:
        """The names of all attached exporters."""
        return self._read_internal(JournalReader.exporters)

    @defer.inlineCallbacks
    def pending(self, name: str, limit: int) -> Generator[Any, Any, PendingPoints]:
        """The oldest pending points of an exporter with their sequence numbers, at most ``limit``.

        Points that were forgotten or have expired are skipped.
        """
        found = yield self._read_internal(JournalReader.pending, name, limit)
        if not found and (yield self.backlog(name)).count:
            yield self._change(outbox.skip_deleted, name)
        return found  # type: ignore[no-any-return]

    def acknowledge(self, name: str, seq: int, refused: Sequence[tuple[Point, str]] = ()) -> defer.Deferred[None]:
        """Remove the points up to the sequence number ``seq``; ``refused`` (point, reason) become dead letters."""
        return self._change(outbox.acknowledge, name, seq, refused)

    def backlog(self, name: str) -> defer.Deferred[Backlog]:
        """The backlog of an exporter."""
        return self._read_internal(JournalReader.backlog, name)

    def reship(self, name: str, since: int) -> defer.Deferred[int]:
        """Queue all points since a time (nanoseconds) again, behind the pending ones; fires with their number."""
        return self._change(outbox.reship, name, since)

    def note_trouble(self, name: str, error: Optional[str]) -> defer.Deferred[None]:
        """Keep the current error of an exporter for commands, None for none."""
        return self._change(troubles.note, name, error)

    def dead_letters(self, name: str, limit: int = 100) -> defer.Deferred[list[DeadLetter]]:
        """The newest points that the exporter's server refused, newest first."""
        return self._read_internal(JournalReader.dead_letters, name, limit)

    def trim(self, name: str, max_bytes: Optional[int] = None, max_age: Optional[float] = None) -> defer.Deferred[int]:
        """Drop the oldest pending points over ``max_bytes``, and those pending longer than ``max_age`` seconds."""
        return self._change(outbox.trim, name, max_bytes, max_age)

    def backup(self, target: schema.Path) -> defer.Deferred[None]:
        """Copy the journal to a new file while it is written, see :mod:`bbmeasure.storage.sqlite.backup`."""
        return in_thread(self._reactor.callFromThread, backup.backup, self.path, target)
