"""SQLiteStorage: the journal, a store in one file in the master's folder that every point goes to first."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Optional

from twisted.internet import defer

from bbmeasure.errors import MeasureError, StorageFullError, StorageUnavailableError
from bbmeasure.model import Bucket, Health, Point, Query, SeriesInfo
from bbmeasure.statistics import Statistic, Value
from bbmeasure.storage.sqlite import outbox, schema
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.storage.sqlite.outbox import Backlog, DeadLetter
from bbmeasure.storage.sqlite.reader_pool import ReaderPool
from bbmeasure.storage.sqlite.writer_thread import Change, Write, WriterThread
from bbmeasure.storage.validation import check_point

#: Points that wait in memory while the file takes none; ten times as many while it does.
MOST_WAITING = 100_000
#: Seconds after which a write that is being done counts as one that hangs.
_HANGS = 2.0
_NO_STATE: Mapping[str, float] = {}


class SQLiteStorage:
    """Keeps points in an SQLite file in WAL mode, which other processes may read (and write) meanwhile.

    A write costs the reactor a few microseconds: a thread of our own commits what waits, at once where nothing is
    being committed, else with all that came meanwhile.  Its Deferred fires when the points are on disk and synced:
    neither a killed process nor a power cut loses them.  While the disk is full or the file locked, ``most_waiting``
    points wait and are tried again; what comes beyond is dropped, counted, and fails with StorageFullError.  A file
    that is broken, newer or another program's fails each write with a StorageError that says so.

    Questions are answered in two threads of our own, each within ``read_limit`` seconds; cancelling a Deferred breaks
    its question off.

    ``retention`` in seconds: older points are deleted, in small slices, once an hour.  Nothing is opened, and no thread
    made, before the first use.
    """

    def __init__(
        self,
        path: schema.Path,
        *,
        reactor: Any,
        name: str = "journal",
        retention: Optional[float] = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        most_waiting: int = MOST_WAITING,
        read_limit: float = 10.0,
        most_questions: int = 2_000,
        close_limit: float = 2.0,
    ) -> None:
        self.path = path
        self.name = name
        self._reactor = reactor
        self.retention = retention
        self._clock = clock
        self._most_waiting = most_waiting
        self._close_limit = close_limit
        self._closed = False
        self._counters = Counter({"dropped": 0})
        call = reactor.callFromThread
        self._writer = WriterThread(self._open_journal, call, monotonic, self._clean)
        pool = partial(
            ReaderPool,
            self._open_reader,
            call,
            monotonic,
            self._may_come,
            limit=read_limit,
            most_waiting=most_questions,
        )
        self._readers = pool()
        #: What steps, totals and sinks ask waits for none of the questions that people ask.
        self._own_reader = pool(name="bbmeasure own reader", size=1)

    # in the threads

    def _open_journal(self) -> Journal:
        return Journal(self.path, wait=1.0, clock=self._clock)

    def _open_reader(self, stop: Callable[[], bool]) -> JournalReader:
        try:
            return JournalReader(self.path, stop=stop)
        except StorageUnavailableError as error:
            reason = self._writer.last_error
            raise StorageUnavailableError(f"{error}; {reason}" if reason else str(error)) from error

    def _may_come(self) -> bool:
        """Whether the file that is not there may still be in the making."""
        return self._writer.last_error is None

    def _clean(self, journal: Journal) -> bool:
        return journal.clean_slice(self.retention)

    # writing

    def write(self, points: Sequence[Point], state: Optional[Mapping[str, float]] = None) -> defer.Deferred[None]:
        """Keep points, and the running totals ``state`` with them, all or nothing; fires when they are on disk."""
        if self._closed:
            return self._refuse(len(points), StorageUnavailableError(f"journal {self.path}: closed"))
        try:
            for point in points:
                check_point(point)
        except MeasureError as error:
            return self._refuse(len(points), error)
        if self._writer.waiting + len(points) > self._room():
            reason = self._writer.last_error or "the disk does not keep up"
            why = f"journal {self.path}: {self._writer.waiting} points wait already ({reason})"
            return self._refuse(len(points), StorageFullError(why))
        write = Write(points, state or _NO_STATE)
        self._writer.put(write)
        return write.deferred

    def _room(self) -> int:
        """How many points may wait."""
        hangs = self._writer.failing or self._writer.stuck_for > _HANGS
        return self._most_waiting if hangs else 10 * self._most_waiting

    def _refuse(self, points: int, error: Exception) -> defer.Deferred[Any]:
        self._counters["dropped"] += points
        return defer.fail(error)

    def _change(self, run: Callable[[Journal], Any]) -> defer.Deferred[Any]:
        if self._closed:
            return defer.fail(StorageUnavailableError(f"journal {self.path}: closed"))
        if self._writer.queued >= self._room():
            return self._refuse(0, StorageFullError(f"journal {self.path}: {self._writer.queued} changes wait already"))
        change = Change(run)
        self._writer.put(change)
        return change.deferred

    def declare(self, info: SeriesInfo, *, override: bool = False) -> defer.Deferred[SeriesInfo]:
        """Say what a series is; the answer is what holds."""
        return self._change(lambda journal: journal.ingest.declare(info, override=override))

    def forget(self, series: str) -> defer.Deferred[int]:
        """Remove a series with its points, declaration and state; how many points that were.

        It is gone from every answer at once; its points are deleted in the background.
        """
        forgotten = self._change(lambda journal: journal.ingest.forget(series))
        return forgotten.addCallback(self._tidy)

    def _tidy(self, answer: Any) -> Any:
        self._writer.tidy()
        return answer

    # reading

    def _ask(self, run: Callable[[JournalReader], Any]) -> defer.Deferred[Any]:
        self._writer.start()
        return self._readers.ask(run)

    def _ask_quickly(self, run: Callable[[JournalReader], Any]) -> defer.Deferred[Any]:
        self._writer.start()
        return self._own_reader.ask(run)

    def recall(self, keys: Sequence[str]) -> defer.Deferred[dict[str, float]]:
        """The last ``state`` written under each of ``keys`` that has one."""
        return self._ask_quickly(lambda reader: reader.recall(keys))

    def series(self, builders: Optional[frozenset[str]] = None) -> defer.Deferred[list[SeriesInfo]]:
        """All series by name, with what they hold; with ``builders``, what they hold of these."""
        return self._ask(lambda reader: reader.series(builders))

    def last(self, query: Query, before: Optional[int] = None) -> defer.Deferred[Optional[Point]]:
        """The newest point; with ``before``, the newest of another build whose buildid is smaller than that."""
        return self._ask_quickly(lambda reader: reader.last(query, before))

    def records(self, buildid: int) -> defer.Deferred[list[Point]]:
        """All points of a build, in the order of their time."""
        return self._ask(lambda reader: reader.records(buildid))

    def summarize(self, query: Query, statistics: Sequence[Statistic]) -> defer.Deferred[dict[str, Optional[Value]]]:
        """Each statistic by its name; None where there is no data."""
        return self._ask(lambda reader: reader.summarize(query, statistics))

    def points(self, query: Query, limit: int) -> defer.Deferred[list[Point]]:
        """The newest ``limit`` points, oldest first."""
        return self._ask(lambda reader: reader.points(query, limit))

    def buckets(self, query: Query, count: int) -> defer.Deferred[list[Bucket]]:
        """``count`` equal stretches from the first point (or ``since``) to the last (or ``until``); [] for no data."""
        return self._ask(lambda reader: reader.buckets(query, count))

    # the outbox, see bbmeasure.storage.sqlite.outbox

    def attach_sink(self, sink: str) -> defer.Deferred[None]:
        """From now on written points are queued for ``sink``, also after a restart."""
        return self._change(lambda journal: journal.ingest.attach_sink(sink))

    def detach_sink(self, sink: str) -> defer.Deferred[None]:
        """Nothing is queued for ``sink`` any longer, and what was is gone with its dead letters."""
        return self._change(lambda journal: journal.ingest.detach_sink(sink)).addCallback(self._tidy)

    def sinks(self) -> defer.Deferred[list[str]]:
        """The names of the sinks that are attached."""
        return self._ask_quickly(lambda reader: reader.sinks())

    @defer.inlineCallbacks
    def pending(self, sink: str, limit: int) -> Any:
        """The oldest points that wait for ``sink``, at most ``limit``, each with its number: ``[(seq, point)]``.

        What was forgotten or has expired meanwhile is passed over.
        """
        found = yield self._ask_quickly(lambda reader: reader.pending(sink, limit))
        if not found and (yield self.backlog(sink)).count:
            yield self._change(lambda journal: outbox.skip_deleted(journal.connection, sink))
        return found

    def acknowledge(self, sink: str, seq: int, refused: Sequence[tuple[Point, str]] = ()) -> defer.Deferred[None]:
        """What waited up to the number ``seq`` is done with; ``refused`` points become dead letters: all or nothing."""
        return self._change(lambda journal: outbox.acknowledge(journal.connection, sink, seq, refused, journal.now()))

    def backlog(self, sink: str) -> defer.Deferred[Backlog]:
        """How much waits for ``sink``, and since when."""
        return self._ask_quickly(lambda reader: reader.backlog(sink))

    def reship(self, sink: str, since: int) -> defer.Deferred[int]:
        """Queue all points since a time (nanoseconds) again, behind what waits; how many that were."""
        return self._change(lambda journal: outbox.reship(journal.connection, sink, since, journal.now()))

    def dead_letters(self, sink: str, limit: int = 100) -> defer.Deferred[list[DeadLetter]]:
        """The newest points that the server of ``sink`` refused, the newest first."""
        return self._ask_quickly(lambda reader: reader.dead_letters(sink, limit))

    def trim(self, sink: str, max_bytes: Optional[int] = None, max_age: Optional[float] = None) -> defer.Deferred[int]:
        """Drop the oldest of what waits over ``max_bytes``, or longer than ``max_age`` seconds; how many it were."""
        return self._change(lambda journal: outbox.trim(journal.connection, sink, max_bytes, max_age, journal.now()))

    # how it is

    def health(self) -> Health:
        """How it is: ``backlog`` points are not on disk yet; ``dropped`` counts those that never will be."""
        counters = Counter(self._counters)
        counters.update(self._writer.counters)
        counters.update(self._readers.counters)
        counters.update(self._own_reader.counters)
        return Health(self.name, self._writer.waiting, None, self._writer.last_error, dict(counters))

    def close(self) -> defer.Deferred[None]:
        """Write what waits and let go of threads and files; fires after ``close_limit`` seconds at the latest.

        What could not be written until then fails with StorageUnavailableError.
        """
        self._closed = True
        self._readers.close()
        self._own_reader.close()
        closed = self._writer.close()
        answer: defer.Deferred[None] = defer.Deferred()
        timer = self._reactor.callLater(self._close_limit, self._give_up, answer)

        def done(_: object) -> None:
            if timer.active():
                timer.cancel()
                answer.callback(None)

        closed.addCallback(done)
        return answer

    def _give_up(self, answer: defer.Deferred[None]) -> None:
        waited = f"journal {self.path}: not written within {self._close_limit:g} s of closing"
        self._writer.abandon(StorageUnavailableError(waited))
        answer.callback(None)
