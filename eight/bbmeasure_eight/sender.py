"""Sender: moves the points of a spool to an InfluxDB.

Disk and server are used outside of the reactor's thread or without waiting: one thread of its own runs SQLite, requests
are asynchronous.  A batch is removed from the spool when the server has confirmed it; sending it again after a crash
stores nothing twice, as a point keeps its time.
"""

from __future__ import unicode_literals

import random

from twisted.internet import defer, threads
from twisted.python import log
from twisted.python.threadpool import ThreadPool

from bbmeasure_eight import texts
from bbmeasure_eight.errors import ServerError
from bbmeasure_eight.line_protocol import metadata_line
from bbmeasure_eight.points import NANOSECONDS
from bbmeasure_eight.records import canonical_series, canonical_tag

#: The most points and characters of one request.
BATCH_POINTS = 5000
BATCH_BYTES = 2 * 1024 * 1024
#: Shortest and longest wait after a failure, in seconds.
SHORTEST_WAIT = 0.5
LONGEST_WAIT = 60.0
#: The most points in memory whose transaction has not begun, as on a disk that hangs.
MOST_UNWRITTEN = 20000


class Sender(object):
    """Accepts Writes for one spool, and sends its points.

    ``counters`` holds ``accepted``, ``sent``, ``refused`` (by the server), ``dropped`` (by a full spool or memory) and
    ``failures`` of requests; ``last_error`` the latest failure.
    """

    def __init__(self, reactor, spool, influx, master, create_database=True):
        self._reactor = reactor
        self._spool = spool
        self._influx = influx
        self._master = master
        self._create_database = create_database
        self._pool = ThreadPool(1, 1, "bbmeasure-eight")
        self._unwritten = []
        self._unwritten_points = 0
        self._writing = None
        self._sending = None
        self._timer = None
        self._wait = SHORTEST_WAIT
        self._stopped = False
        self.counters = dict.fromkeys(("accepted", "sent", "refused", "dropped", "failures"), 0)
        self.last_error = None

    @property
    def backlog(self):
        """The number of points that are on disk and not yet sent."""
        return self._spool.count

    def start(self):
        """Start the thread, and send what an earlier run left."""
        self._pool.start()
        self._send_soon()

    @defer.inlineCallbacks
    def stop(self):
        """Write what was accepted into memory; do not wait for the server."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sending is not None:
            self._sending.cancel()
        while self._writing is not None:
            yield _wait_for(self._writing)
        while self._sending is not None:
            yield _wait_for(self._sending)
        self._pool.stop()
        self._spool.close()

    def accept(self, write):
        """A Deferred that fires with True when a Write is on disk, with False when it was dropped."""
        done = defer.Deferred()
        if self._stopped or self._unwritten_points + len(write.points) > MOST_UNWRITTEN:
            self._dropped(len(write.points), "more than %d points wait for the disk" % MOST_UNWRITTEN)
            return defer.succeed(False)
        self._unwritten.append((write, done))
        self._unwritten_points += len(write.points)
        if self._writing is None:
            self._writing = self._write_all()
            self._writing.addBoth(self._written)
        return done

    def _written(self, _):
        self._writing = None
        if not self._stopped:
            self._send_soon()

    def _dropped(self, count, why):
        before = self.counters["dropped"]
        self.counters["dropped"] += count
        if not before or before // 1000 != (before + count) // 1000:  # not a line of the log for each
            log.msg(("bbmeasure-eight: points are dropped: %s (%d in all)" % (why, before + count)).encode("utf-8"))

    def _in_thread(self, function, *args):
        return threads.deferToThreadPool(self._reactor, self._pool, function, *args)

    @defer.inlineCallbacks
    def _write_all(self):
        """Write in transactions, each with all that waits at its start."""
        while self._unwritten:
            taken, self._unwritten, self._unwritten_points = self._unwritten, [], 0
            points = sum(len(write.points) for write, _ in taken)
            try:
                refused = yield self._in_thread(self._spool.write, [write for write, _ in taken])
            except Exception as error:  # such as a full disk: the points are not accepted
                self.last_error = texts.message(error)
                self._dropped(points, self.last_error)
                refused = points
            else:
                self.counters["accepted"] += points - refused
                if refused:
                    self._dropped(refused, "the spool is full")
            for _, done in taken:
                done.callback(not refused)

    def _send_soon(self, wait=0.0):
        if self._sending is None and self._timer is None and not self._stopped:
            self._timer = self._reactor.callLater(wait, self._send)

    def _send(self):
        self._timer = None
        self._sending = self._send_all()
        self._sending.addBoth(self._ended)

    def _ended(self, result):
        """Begin again: at once after new points, after a growing wait after a failure."""
        self._sending = None
        if self._stopped:
            return
        if not hasattr(result, "getErrorMessage"):
            self._wait = SHORTEST_WAIT
            if self._spool.count:
                self._send_soon()
            return
        if not result.check(ServerError):
            log.err(result, "bbmeasure-eight: sending failed")
        self.counters["failures"] += 1
        error = texts.message(result.value)
        if error != self.last_error:
            log.msg("bbmeasure-eight: InfluxDB: %s" % error.encode("utf-8"))
        self.last_error = error
        self._send_soon(self._wait * random.uniform(0.75, 1.25))
        self._wait = min(LONGEST_WAIT, self._wait * 2)

    @defer.inlineCallbacks
    def _send_all(self):
        yield self._send_series()
        while not self._stopped:
            batch = yield self._in_thread(self._spool.waiting, BATCH_POINTS, BATCH_BYTES)
            if not batch:
                return
            sent, refused = yield self._send_batch(batch)
            yield self._in_thread(self._spool.remove, batch[-1].id, refused)
            self.counters["sent"] += sent
            self.counters["refused"] += len(refused)
            self.last_error = None
            self._wait = SHORTEST_WAIT

    @defer.inlineCallbacks
    def _send_series(self):
        """Write metadata of series of which the server has none; those of another master stay."""
        while not self._stopped:
            series = yield self._in_thread(self._spool.unsent_series)
            if not series:
                return
            known = yield self._stored_series(sorted(set(canonical_series(one[0]) for one in series)))
            now = int(self._reactor.seconds()) * NANOSECONDS
            lines = []
            for name, builder, kind, unit, better in series:
                stored = known.get((canonical_series(name), canonical_tag(builder)))
                if stored is None:
                    lines.append(metadata_line(name, builder, kind, unit, better, now, self._master))
                elif stored[1] != unit:
                    why = "bbmeasure-eight: series %s is in %s here, in %s on the server" % (name, unit, stored[1])
                    log.msg(why.encode("utf-8"))
            if lines:
                yield self._with_database(self._influx.write, "".join(lines).encode("utf-8"))
            yield self._in_thread(self._spool.mark_sent, [one[:2] for one in series])

    @defer.inlineCallbacks
    def _stored_series(self, names):
        """The server's metadata of some series; empty for a user who may write only."""
        try:
            known = yield self._with_database(self._influx.metadata, names)
        except ServerError as error:
            if error.status != 403:
                raise
            known = {}
        defer.returnValue(known)

    @defer.inlineCallbacks
    def _send_batch(self, batch):
        """Send lines, in halves where the server refuses some.

        Returns the number sent, and the refused lines with their reasons.
        """
        lines = "\n".join([one.line for one in batch] + [""]).encode("utf-8")
        try:
            yield self._with_database(self._influx.write, lines)
        except ServerError as error:
            if error.status not in (400, 413, 422):
                raise
            if len(batch) == 1:
                log.msg(("bbmeasure-eight: refused: %s: %s" % (batch[0].line[:200], error)).encode("utf-8"))
                defer.returnValue((0, [(batch[0].line, "%s" % error)]))
        else:
            defer.returnValue((len(batch), []))
        half = len(batch) // 2
        first = yield self._send_batch(batch[:half])
        second = yield self._send_batch(batch[half:])
        defer.returnValue((first[0] + second[0], first[1] + second[1]))

    @defer.inlineCallbacks
    def _with_database(self, request, *args):
        """The result of a request, which is repeated after creating a missing database."""
        try:
            result = yield request(*args)
        except ServerError as error:
            if error.status != 404 or not self._create_database or "retention policy" in "%s" % error:
                raise
            yield self._influx.create_database()
            result = yield request(*args)
        defer.returnValue(result)


def _wait_for(running):
    """A Deferred that fires when another ends, and leaves its result alone."""
    waiting = defer.Deferred()

    def ended(result):
        waiting.callback(None)
        return result

    running.addBoth(ended)
    return waiting
