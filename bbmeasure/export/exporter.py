"""Exporter: sends the points of the journal to one server.

Guarantee: a point that the journal committed is sent until the server accepts it or refuses it permanently.  No
behaviour of a server (errors, hanging, slow responses, lost responses, a lost database) loses a point or delays a
build.  A point that is sent twice is stored once, as its series, tags and time are fixed.
"""

from __future__ import annotations

import random as random_module
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from typing import Any, Optional

from twisted.internet import defer
from twisted.logger import Logger

from bbmeasure.errors import StorageError
from bbmeasure.export.backlog import BacklogMonitor
from bbmeasure.export.backoff import Backoff, Sleep
from bbmeasure.export.batch import Batch, BatchBuilder, all_points_dropped
from bbmeasure.export.database import DatabaseCreator
from bbmeasure.export.interfaces import Client, Metadata, Outbox, OutboxLimits, PendingItems
from bbmeasure.model import Health, Point, SeriesInfo
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from bbmeasure.storage.influxdb.server import ErrorKind, ServerError

log = Logger()

#: Points per batch: maximum, and minimum after timeouts.
MAX_BATCH = 5_000
MIN_BATCH = 50
#: Batches that are read from the outbox at once: the names of a line are looked up once in each read.
READ = 4
#: Seconds between two reads of an empty outbox.
POLL_INTERVAL = 1.0
#: Seconds until a stopping exporter gives up waiting for its own loop; it never waits for the server.
STOP_TIMEOUT = 1.0
#: The default: the backlog may grow without limits.
NO_LIMITS = OutboxLimits()


class Exporter:
    """Sends the points that the outbox queues for the exporter ``name``, from :meth:`start` to :meth:`stop`.

    ::

        start()             attached            outbox empty
        ──────▶ ATTACHING ──────────▶ FLUSHING ◀────────────▶ IDLE
                 │    ▲                │    ▲     wake() or
           error │    │          error │    │     POLL_INTERVAL
                 ▼    │ delay          ▼    │ delay
                BACKING OFF           BACKING OFF
                      ▲                │
                      └────────────────┘
                        error of the outbox

    ATTACHING
        creates the cursor in the outbox, and the database.
    FLUSHING
        reads pending points, writes the metadata of their series, and sends batch after batch.  The cursor moves after
        each batch that the server stored.  A batch that the server refuses is split until the refused points are
        known; these become dead letters.
    IDLE
        waits for points.
    BACKING OFF
        waits with exponential backoff and full jitter after any error, so that many masters do not retry at the same
        time.  :meth:`wake` does not shorten the delay.  After a timeout the batch size is halved.

    A Ticker should call :meth:`wake` periodically, as the reactor's timers depend on the wall clock.
    """

    def __init__(
        self,
        outbox: Outbox,
        name: str,
        client: Client,
        writer: LineWriter,
        *,
        reactor: Any,
        metadata: Optional[Metadata] = None,
        create_database: bool = False,
        limits: OutboxLimits = NO_LIMITS,
        gzip: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self.name = name
        self.counters: Counter[str] = Counter()
        self._outbox = outbox
        self._client = client
        self._reactor = reactor
        self._metadata = metadata
        self._database = DatabaseCreator(
            name,
            client,
            self.counters,
            enabled=create_database,
            created=lambda: metadata.forget() if metadata else None,
            monotonic=monotonic,
        )
        self._backlog = BacklogMonitor(outbox, name, self.counters, limits=limits, reactor=reactor, monotonic=monotonic)
        self._batches = BatchBuilder(writer, reactor, gzip=gzip, monotonic=monotonic)
        self._backoff = Backoff(random)
        self._sleep = Sleep(reactor, monotonic)
        self._batch_size = MAX_BATCH
        self._error: Optional[StorageError] = None
        self._stopping = False
        self._attached = False
        self._running: Optional[defer.Deferred[None]] = None

    def start(self) -> None:
        """Start to export; a second call has no effect."""
        if self._running is None:
            self._running = self._run()

    def wake(self) -> None:
        """Read the outbox now, and end what waits for a timer that is late; a backoff delay is not shortened."""
        self._client.cancel_overdue()
        self._batches.wake()
        self._sleep.wake()
        if self._running is not None:
            self._backlog.wake()

    def stop(self) -> defer.Deferred[None]:
        """Cancel the request in flight, without waiting for the server; its points stay in the outbox."""
        self._stopping = True
        self._backlog.stop()
        running, self._running = self._running, None
        if running is None:
            self._client.close()
            return defer.succeed(None)
        stopped: defer.Deferred[None] = defer.Deferred()
        timeout = self._reactor.callLater(STOP_TIMEOUT, stopped.callback, None)

        def ended(_: object) -> None:
            self._client.close()
            if timeout.active():
                timeout.cancel()
                stopped.callback(None)

        running.addBoth(ended)
        self._sleep.end()
        running.cancel()
        return stopped

    def health(self) -> Health:
        """Return the counters, the last backlog that was read, and the current error, without I/O."""
        counters = dict.fromkeys(("shipped", "refused", "failures", "dropped"), 0)
        counters.update(self.counters)
        counters.update(self._metadata.counters if self._metadata else {})
        error = None if self._error is None else str(self._error)
        backlog = self._backlog.backlog
        if backlog is None:
            return Health(self.name, 0, None, error, counters)
        counters["dropped"] = backlog.trimmed
        return Health(self.name, backlog.count, backlog.oldest_time, error, counters)

    # the loop

    @defer.inlineCallbacks
    def _run(self) -> Generator[Any, Any, None]:
        while not self._stopping:
            delay = yield self._step()
            if delay is not None and not self._stopping:
                yield self._sleep.uninterruptible(delay) if self._error else self._sleep.interruptible(delay)

    @defer.inlineCallbacks
    def _step(self) -> Generator[Any, Any, Optional[float]]:
        """Attach if necessary and flush once; returns the seconds until the next step, None for no delay."""
        try:
            if not self._attached:
                yield self._outbox.attach_exporter(self.name)
                self._attached = True
                self._backlog.start()
                yield self._database.create()
            sent = yield self._flush()
        except defer.CancelledError:
            return None if self._stopping else self._failed(ServerError(ErrorKind.UNREACHABLE, "no answer in time"))
        except ServerError as error:
            return self._failed(error)
        except StorageError as error:
            self._attached = False  # the journal may be another file afterwards
            return self._failed(error)
        except Exception as error:  # noqa: BLE001  (counted and logged; a bug must not end the export)
            self.counters["errors"] += 1
            log.failure("bbmeasure: export to {name}", name=self.name)
            return self._failed(StorageError(f"{type(error).__name__}: {error}"))
        return None if sent >= self._batch_size else POLL_INTERVAL  # small batches cost a request and a commit each

    def _failed(self, error: StorageError) -> float:
        """Count and log a failure; returns the backoff delay."""
        self.counters["failures"] += 1
        kind = getattr(error, "kind", type(error))
        if kind is not getattr(self._error, "kind", type(self._error)):
            log.warn("bbmeasure: {name}: {error}; points wait in the journal", name=self.name, error=str(error))
        self._set_error(error)
        if kind is ErrorKind.UNREACHABLE:
            self._batch_size = max(MIN_BATCH, self._batch_size // 2)
        return self._backoff.next()

    def _succeeded(self) -> None:
        if self._error is not None:
            log.info("bbmeasure: {name}: export resumed", name=self.name)
        self._set_error(None)
        self._backoff.reset()
        self._batch_size = min(MAX_BATCH, 2 * self._batch_size)

    def _set_error(self, error: Optional[StorageError]) -> None:
        """Set the current error, and keep it in the outbox where it has changed."""
        before, self._error = self._error, error
        told = None if error is None else str(error)
        if told != (None if before is None else str(before)):
            # the journal itself may be what fails
            self._outbox.note_trouble(self.name, told).addErrback(self._count_unkept)

    def _count_unkept(self, _: object) -> None:
        self.counters["unkept_errors"] += 1

    # flushing

    @defer.inlineCallbacks
    def _flush(self) -> Generator[Any, Any, int]:
        """Read pending points once and send them; returns their number.  The next batch is built during a request."""
        items: PendingItems = yield self._outbox.pending(self.name, READ * self._batch_size)
        if not items:
            if isinstance(self._error, ServerError):
                yield self._database.run(self._prove, b"")
            if self._error is not None:
                self._succeeded()
            self._backoff.reset()
            return 0
        infos = items.series
        yield self._write_metadata(infos)
        sent = 0
        building = self._batches.build(items, 0, self._batch_size)
        while sent < len(items) and not self._stopping:
            batch: Batch = yield building
            sent += len(batch.items)
            building = self._batches.build(items, sent, self._batch_size)
            try:
                yield self._send(batch)
            except BaseException:
                building.addErrback(lambda _: None)
                raise
        yield self._write_metadata(infos)  # has an effect only if the database was created meanwhile
        return sent

    @defer.inlineCallbacks
    def _write_metadata(self, infos: frozenset[SeriesInfo]) -> Generator[Any, Any, None]:
        if self._metadata is not None:
            yield self._database.run(self._metadata.write, infos)

    @defer.inlineCallbacks
    def _send(self, whole: Batch) -> Generator[Any, Any, None]:
        """Send a batch and acknowledge it; if it is refused, send parts of it until the refused points are known."""
        batches = deque([whole])
        while batches:
            batch = batches.popleft()
            refused = list(batch.invalid.values())
            try:
                if batch.lines:
                    yield self._database.run(self._write, batch)
            except ServerError as error:
                if error.kind not in (ErrorKind.REFUSED, ErrorKind.TOO_LARGE):
                    raise
                if len(batch.items) > 1 and not all_points_dropped(batch, error):
                    parts = yield self._batches.split(batch)
                    batches.extendleft(reversed(parts))
                    continue
                refused = batch.dead_letters(error.message)
            yield self._acknowledge(batch, refused)

    def _write(self, batch: Batch) -> defer.Deferred[None]:
        self.counters["requests"] += 1
        return self._client.write(batch.body, gzipped=batch.gzipped)

    @defer.inlineCallbacks
    def _prove(self, nothing: bytes) -> Generator[Any, Any, None]:
        """Send no line, so that an error is cleared only if the server accepts requests again."""
        self.counters["requests"] += 1
        try:
            yield self._client.write(nothing)
        except ServerError as error:
            if error.kind not in (ErrorKind.REFUSED, ErrorKind.TOO_LARGE):
                raise

    @defer.inlineCallbacks
    def _acknowledge(self, batch: Batch, refused: Sequence[tuple[Point, str]]) -> Generator[Any, Any, None]:
        """Move the cursor behind the batch, and keep refused points as dead letters."""
        yield self._outbox.acknowledge(self.name, batch.items[-1][0], refused)
        self.counters["shipped"] += len(batch.items) - len(refused) - len(batch.skipped)
        if batch.skipped:
            self.counters["skipped"] += len(batch.skipped)
        if refused:
            self.counters["refused"] += len(refused)
            point, reason = refused[0]
            log.warn(
                "bbmeasure: {name}: {count} points refused, kept as dead letters; one of {series}: {why}",
                name=self.name,
                count=len(refused),
                series=point.series,
                why=reason,
            )
        self._succeeded()
