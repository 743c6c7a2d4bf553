"""Shipping the journal on: a cursor for each sink, that moves when the server has said that it has the points.

What is promised: a point that the journal has committed is sent until the server takes it or refuses it for good.
Nothing a server does (refuse, hang, drip, fail, lose its answer, lose its database) loses a point or delays a build,
and a point that is sent twice is kept once, as its series, tags and time are fixed.
"""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Protocol

from twisted.internet import defer, task
from twisted.logger import Logger

from bbmeasure.errors import MeasureError, StorageError
from bbmeasure.export.backoff import Backoff, Sleep
from bbmeasure.export.batch import Batch, BatchBuilder, all_points_dropped
from bbmeasure.model import Health, Point, SeriesInfo
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from bbmeasure.storage.influxdb.server import ErrorKind, Server, ServerError
from bbmeasure.storage.sqlite.outbox import Backlog, PendingPoints

log = Logger()

#: The most points in a request, the fewest after a server was too slow, and how many are read at a time.
BATCH = 5_000
MIN_BATCH = 50
READ = 2 * BATCH
#: Seconds from one look at an empty outbox to the next, and from one look at the backlog to the next.
POLL_INTERVAL = 1.0
BACKLOG_INTERVAL = 5.0
#: Seconds that a stopping shipper waits for its own loop; it never waits for a server.
STOP_TIMEOUT = 1.0
#: Seconds between two attempts to make a database that is not there; seconds of grace for a request's own deadline.
_CREATE_RETRY_INTERVAL = 30.0
_GRACE = 2.0


class Outbox(Protocol):
    """What of the journal a shipper uses, see :class:`~bbmeasure.storage.sqlite.store.SQLiteStorage`."""

    def attach_exporter(self, sink: str) -> defer.Deferred[None]:
        """From now on points are queued for ``sink``."""
        ...

    def pending(self, sink: str, limit: int) -> defer.Deferred[PendingPoints]:
        """The oldest points that wait; each is made anew when it is looked at."""
        ...

    def acknowledge(self, sink: str, seq: int, refused: Sequence[tuple[Point, str]] = ...) -> defer.Deferred[None]:
        """What waited up to ``seq`` is done with."""
        ...

    def backlog(self, sink: str) -> defer.Deferred[Backlog]:
        """How much waits."""
        ...

    def trim(self, sink: str, max_bytes: Optional[int] = ..., max_age: Optional[float] = ...) -> defer.Deferred[int]:
        """Drop what waits beyond a size or an age."""
        ...


class Client(Protocol):
    """What takes lines, see :class:`~bbmeasure.storage.influxdb.client.InfluxClient`."""

    def write(self, body: bytes, *, gzipped: bool = ...) -> defer.Deferred[None]:
        """Send lines."""
        ...

    def create_database(self) -> defer.Deferred[Any]:
        """Make the database where it is not there."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...

    @property
    def server(self) -> Server:
        """Where the lines go."""
        ...


class Metadata(Protocol):
    """Says on the server what series are, see :class:`~bbmeasure.export.metadata.MetadataExporter`."""

    counters: Counter[str]

    def __call__(self, infos: frozenset[SeriesInfo]) -> defer.Deferred[None]:
        """Called with the series of what is shipped next."""
        ...

    def forget(self) -> None:
        """The server holds nothing any longer."""
        ...


@dataclass(frozen=True)
class OutboxLimits:
    """How much may wait for a sink: bytes of line protocol, and seconds.  None is no limit."""

    max_bytes: Optional[int] = None
    max_age: Optional[float] = None


class Exporter:
    """Ships what the journal queues for the sink ``name``, from :meth:`start` to :meth:`stop`.

    ``declare`` is called with series before their points go out.  Whoever calls ``wake`` now and again
    sees to it that a clock that is set back puts nothing off, see :class:`~bbmeasure.export.backoff.Ticker`.  One
    policy of retries serves all troubles: pauses that double up to a cap, each cut by chance, so that many masters do
    not come at once.
    """

    def __init__(
        self,
        outbox: Outbox,
        name: str,
        client: Client,
        writer: LineWriter,
        *,
        reactor: Any,
        declare: Optional[Metadata] = None,
        create_database: bool = False,
        limits: OutboxLimits = OutboxLimits(),
        gzip: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.counters: Counter[str] = Counter()
        self._outbox = outbox
        self._client = client
        self._reactor = reactor
        self._declare = declare
        self._create_database = create_database
        self._limits = limits
        self._monotonic = monotonic
        self._packer = BatchBuilder(writer, reactor, gzip=gzip, monotonic=monotonic)
        self._backoff = Backoff(chance)
        self._sleep = Sleep(reactor, monotonic)
        self._batch = BATCH
        self._trouble: Optional[StorageError] = None
        self._backlog = Backlog(0, None)
        self._made_at: Optional[float] = None
        self._looked_at = monotonic()
        self._stopping = False
        self._attached = False
        self._running: Optional[defer.Deferred[None]] = None
        self._looking = task.LoopingCall(self._look)
        self._looking.clock = reactor

    # from start to stop

    def start(self) -> None:
        """Begin to ship; a second call does nothing."""
        if self._running is None:
            self._running = self._run()

    def wake(self) -> None:
        """Look at once whether there is something to ship; a pause after a failure is not cut short."""
        self._sleep.wake()
        if self._running is not None and self._monotonic() - self._looked_at > 2 * BACKLOG_INTERVAL:
            self._look()

    def stop(self) -> defer.Deferred[None]:
        """Break off what is on its way, and wait for no server: what it was is sent again by the next to start."""
        self._stopping = True
        if self._looking.running:
            self._looking.stop()
        running, self._running = self._running, None
        if running is None:
            self._client.close()
            return defer.succeed(None)
        stopped: defer.Deferred[None] = defer.Deferred()
        late = self._reactor.callLater(STOP_TIMEOUT, stopped.callback, None)

        def ended(_: object) -> None:
            self._client.close()
            if late.active():
                late.cancel()
                stopped.callback(None)

        running.addBoth(ended)
        self._sleep.end()
        running.cancel()
        return stopped

    def health(self) -> Health:
        """How it is, from memory: the backlog as it was some seconds ago, and the trouble there is now."""
        counters = dict.fromkeys(("shipped", "refused", "failures", "dropped"), 0)
        counters.update(self.counters)
        counters.update(self._declare.counters if self._declare else {})
        counters["dropped"] = self._backlog.trimmed
        error = None if self._trouble is None else str(self._trouble)
        return Health(self.name, self._backlog.count, self._backlog.oldest_time, error, counters)

    # the loop

    @defer.inlineCallbacks
    def _run(self) -> Generator[Any, Any, None]:
        while not self._stopping:
            pause = yield self._step()
            if pause is not None and not self._stopping:
                yield self._sleep.until_done(pause) if self._trouble else self._sleep.until_woken(pause)

    @defer.inlineCallbacks
    def _step(self) -> Generator[Any, Any, Optional[float]]:
        """Ship what waits, as far as that goes at one go; the seconds to pause then, None for none at all."""
        try:
            if not self._attached:
                yield self._outbox.attach_exporter(self.name)
                self._attached = True
                if not self._looking.running:
                    self._looking.start(BACKLOG_INTERVAL)
                yield self._make_database()
            shipped = yield self._ship_some()
        except defer.CancelledError:
            return None if self._stopping else self._failed(ServerError(ErrorKind.UNREACHABLE, "no answer in time"))
        except ServerError as error:
            return self._failed(error)
        except StorageError as error:
            self._attached = False  # the journal's trouble: it may be another file that comes back
            return self._failed(error)
        except Exception as error:  # noqa: BLE001  (counted and logged; a mistake of ours must not end the shipping)
            self._surprise()
            return self._failed(StorageError(f"{type(error).__name__}: {error}"))
        return (
            None if shipped >= self._batch else POLL_INTERVAL
        )  # few at a time would cost a request and a commit for each

    def _surprise(self) -> None:
        self.counters["errors"] += 1
        log.failure("bbmeasure: shipping to {name}", name=self.name)

    def _failed(self, error: StorageError) -> float:
        """Count and tell a failure; how long to wait for the next try."""
        self.counters["failures"] += 1
        kind = getattr(error, "kind", type(error))
        if kind is not getattr(self._trouble, "kind", type(self._trouble)):
            log.warn("bbmeasure: {name}: {error}; points wait in the journal", name=self.name, error=str(error))
        self._trouble = error
        if getattr(error, "kind", None) is ErrorKind.UNREACHABLE:
            self._batch = max(MIN_BATCH, self._batch // 2)
        return self._backoff.next()

    def _succeeded(self) -> None:
        if self._trouble is not None:
            log.info("bbmeasure: {name}: takes points again", name=self.name)
        self._trouble = None
        self._backoff.reset()
        self._batch = min(BATCH, 2 * self._batch)

    @defer.inlineCallbacks
    def _ship_some(self) -> Generator[Any, Any, int]:
        """Ship what is read at one go; how many points that were.  The next request is packed while one is sent."""
        items: PendingPoints = yield self._outbox.pending(self.name, min(READ, 4 * self._batch))
        if not items:
            self._trouble = None  # nothing waits for anybody
            self._backoff.reset()
            return 0
        infos = items.series
        yield self._say(infos)
        at = 0
        packing = self._packer.pack(items, 0, self._batch)
        while at < len(items) and not self._stopping:
            part: Batch = yield packing
            at += len(part.items)
            packing = self._packer.pack(items, at, self._batch)
            try:
                yield self._send(part)
            except BaseException:
                packing.addErrback(lambda _: None)  # nobody waits for it any longer
                raise
        yield self._say(infos)  # again, where the database was made anew meanwhile
        return at

    @defer.inlineCallbacks
    def _say(self, infos: frozenset[SeriesInfo]) -> Generator[Any, Any, None]:
        """Say what series are."""
        if self._declare is not None:
            yield self._in_database(self._declare, infos)

    @defer.inlineCallbacks
    def _send(self, whole: Batch) -> Generator[Any, Any, None]:
        """Send one request; where points of it are refused, ever smaller parts of it, until it is known which."""
        parts = deque([whole])
        while parts:
            part = parts.popleft()
            refused = list(part.unfit.values())
            try:
                if part.lines:
                    yield self._in_database(self._write, part)
            except ServerError as error:
                if error.kind not in (ErrorKind.REFUSED, ErrorKind.TOO_LARGE):
                    raise
                if len(part.items) > 1 and not all_points_dropped(part, error):
                    halves = yield self._packer.halves(part)
                    parts.extendleft(reversed(halves))
                    continue
                refused = part.refused_for(error.message)
            yield self._settle(part, refused)

    def _write(self, part: Batch) -> defer.Deferred[None]:
        self.counters["requests"] += 1
        work = self._client.write(part.body, gzipped=part.gzipped)
        return self._sleep.guard(work, self._client.server.timeout + _GRACE)

    @defer.inlineCallbacks
    def _settle(self, part: Batch, refused: Sequence[tuple[Point, str]]) -> Generator[Any, Any, None]:
        yield self._outbox.acknowledge(self.name, part.items[-1][0], refused)
        self.counters["shipped"] += len(part.items) - len(refused) - len(part.left_out)
        if part.left_out:
            self.counters["left_out"] += len(part.left_out)
        if refused:
            self.counters["refused"] += len(refused)
            point, why = refused[0]
            log.warn(
                "bbmeasure: {name}: {count} points refused, kept as dead letters; one of {series}: {why}",
                name=self.name,
                count=len(refused),
                series=point.series,
                why=why,
            )
        self._succeeded()

    # the database

    @defer.inlineCallbacks
    def _in_database(self, work: Callable[[Any], defer.Deferred[None]], what: Any) -> Generator[Any, Any, None]:
        """Do ``work``, twice where the database was not there and could be made."""
        try:
            yield work(what)
        except ServerError as error:
            if error.kind is not ErrorKind.NOT_FOUND or "database not found" not in error.message:
                raise
            if not (yield self._make_database_anew()):
                raise
            yield work(what)

    @defer.inlineCallbacks
    def _make_database(self) -> Generator[Any, Any, bool]:
        """Make the database; whether that could be done.  A user may not need the right where it is there already."""
        if not self._create_database:
            return False
        try:
            yield self._client.create_database()
        except StorageError as error:
            self.counters["database_not_made"] += 1
            log.debug("bbmeasure: {name}: the database was not made: {why}", name=self.name, why=str(error))
            return False
        return True

    @defer.inlineCallbacks
    def _make_database_anew(self) -> Generator[Any, Any, bool]:
        now = self._monotonic()
        if self._made_at is not None and now - self._made_at < _CREATE_RETRY_INTERVAL:
            return False
        self._made_at = now
        made = yield self._make_database()
        if made:
            self.counters["database_made"] += 1
            if self._declare is not None:
                self._declare.forget()
            log.warn(
                "bbmeasure: {name}: its database was not there and was made; if it ever held points, "
                "`bbmeasure ship --from TIME` sends them again",
                name=self.name,
            )
        return made  # type: ignore[no-any-return]

    # the backlog

    @defer.inlineCallbacks
    def _look(self) -> Generator[Any, Any, None]:
        """See how much waits, and drop what waits beyond its limits."""
        limits = self._limits
        self._looked_at = self._monotonic()
        try:
            if limits.max_bytes is not None or limits.max_age is not None:
                while not self._stopping and (yield self._outbox.trim(self.name, limits.max_bytes, limits.max_age)):
                    pass
            self._backlog = yield self._outbox.backlog(self.name)
        except MeasureError as error:
            self.counters["unknown_backlog"] += 1
            log.debug("bbmeasure: {name}: backlog not known: {why}", name=self.name, why=str(error))
        except Exception:  # noqa: BLE001  (counted and logged; the next look may succeed)
            self._surprise()
