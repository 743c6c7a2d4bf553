"""Batches of captured points on their way to the stores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet import defer

from bbmeasure.capture.deadlines import PendingWrites
from bbmeasure.errors import StorageFullError, StorageUnavailableError
from bbmeasure.model import Point

#: A batch that has grown so large is written although the one before it is not on disk: a store limits what it queues.
MAX_BATCH = 1_000
#: The least seconds between two batches of values that nothing waits for: a commit costs as much CPU as ten values.
LINGER = 0.02


class Batches:
    """Writes a point at once after a pause of LINGER, and else in one batch with those that arrive meanwhile.

    At most one batch is under way, unless one has grown to MAX_BATCH points: a store runs one write after the other, so
    that no point waits longer for this.  A burst of many thousands of points costs few objects until it is on disk:
    without batches the garbage collector stops the reactor for longer.
    """

    def __init__(self, write: Callable[[Sequence[Point]], defer.Deferred[None]], pending: PendingWrites) -> None:
        self._write = write
        self._pending = pending
        self._clock = pending.clock
        self._under_way = 0
        self._holds = False
        self._at_once = False
        self._sent = -LINGER
        self._timer: Any = None
        self._points: list[Point] = []
        self._answers: list[defer.Deferred[None]] = []

    def __len__(self) -> int:
        """The number of points that are held back."""
        return len(self._points)

    def add(self, points: Sequence[Point], answers: Sequence[defer.Deferred[None]], *, at_once: bool = False) -> None:
        """Write points; each Deferred fires when its point is on disk.

        With ``at_once`` they wait for a batch that is under way only.
        """
        self._pending.counters["captured"] += len(points)
        self._points += points
        self._answers += answers
        self._at_once = self._at_once or at_once
        if len(self._points) >= MAX_BATCH:
            self.send()
        elif not self._under_way:
            self._send_in_time()
        if self._points and not self._holds:
            self._holds = True
            self._pending.begin()

    def _send_in_time(self) -> None:
        """Write the current batch now, or LINGER after the one before."""
        wait = 0.0 if self._at_once else min(LINGER, self._sent + LINGER - self._clock.seconds())
        if wait <= 0:
            self.send()
        elif self._points and self._timer is None:
            self._timer = self._clock.callLater(wait, self._lingered)

    def _lingered(self) -> None:
        self._timer = None
        if not self._under_way:
            self.send()

    def send(self) -> None:
        """Write the current batch now."""
        points, self._points = self._points, []
        answers, self._answers = self._answers, []
        self._at_once = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if points:
            self._send(points, answers)
        if self._holds:
            self._holds = False
            self._pending.end()

    def _send(self, points: list[Point], answers: list[defer.Deferred[None]]) -> None:
        self._under_way += 1
        written = defer.maybeDeferred(self._write, points)
        if not written.called:  # memory answers now: there is no commit to save
            self._sent = self._clock.seconds()
        written.addCallbacks(self._written, self._failed, callbackArgs=(answers,), errbackArgs=(points, answers))

    def _written(self, _: Any, answers: list[defer.Deferred[None]]) -> None:
        self._next()
        self._pending.succeed(None, answers)

    def _failed(self, why: Any, points: list[Point], answers: list[defer.Deferred[None]]) -> None:
        """Write each point of a refused batch alone, so that only the bad ones fail."""
        self._next()
        if len(points) == 1 or why.check(StorageUnavailableError, StorageFullError):
            self._pending.fail(why, answers)
            return
        for point, answer in zip(points, answers):
            self._send([point], [answer])

    def _next(self) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._send_in_time()
