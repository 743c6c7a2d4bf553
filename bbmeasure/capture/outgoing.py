"""Points on their way to a store: a burst of them is few writes, as of a database that commits in groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet import defer

from bbmeasure.capture.deadlines import PendingWrites
from bbmeasure.errors import StorageFullError, StorageUnavailableError
from bbmeasure.model import Point

#: So many points are written without waiting for those before: a store counts and limits what it was given.
MOST_TOGETHER = 1_000


class Outgoing:
    """Writes points at once while none is on its way, else together with what comes until that one has arrived.

    No point waits longer for it, as a store writes one thing after the other.  What many thousands of points are made
    of meanwhile is little, so that the garbage collector does not hold up the reactor.
    """

    def __init__(self, write: Callable[[Sequence[Point]], defer.Deferred[None]], watch: PendingWrites) -> None:
        """``watch`` fires the answers, and is told while points wait here."""
        self._write = write
        self._watch = watch
        self._under_way = 0
        self._held = False
        self._points: list[Point] = []
        self._answers: list[defer.Deferred[None]] = []

    def add(self, points: Sequence[Point], answers: Sequence[defer.Deferred[None]]) -> None:
        """Have points written; each has an answer, fired when it is kept or failed."""
        self._watch.counters["captured"] += len(points)
        self._points += points
        self._answers += answers
        if not self._under_way or len(self._points) >= MOST_TOGETHER:
            self.send()
        elif not self._held and points:
            self._held = True
            self._watch.begin()

    def send(self) -> None:
        """Write now what waits."""
        points, self._points = self._points, []
        answers, self._answers = self._answers, []
        if points:
            self._send(points, answers)
        if self._held:
            self._held = False
            self._watch.end()

    def _send(self, points: list[Point], answers: list[defer.Deferred[None]]) -> None:
        self._under_way += 1
        defer.maybeDeferred(self._write, points).addCallbacks(
            self._arrived, self._failed, callbackArgs=(answers,), errbackArgs=(points, answers)
        )

    def _arrived(self, _: Any, answers: list[defer.Deferred[None]]) -> None:
        self._next()
        self._watch.succeed(None, answers)

    def _failed(self, why: Any, points: list[Point], answers: list[defer.Deferred[None]]) -> None:
        """One that can never be kept fails alone."""
        self._next()
        if len(points) == 1 or why.check(StorageUnavailableError, StorageFullError):
            self._watch.fail(why, answers)
            return
        for point, answer in zip(points, answers):
            self._send([point], [answer])

    def _next(self) -> None:
        self._under_way -= 1
        if not self._under_way:
            self.send()
