"""Backlog of an exporter: its size, refreshed periodically, and its limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from typing import Any, Optional

from twisted.internet import defer, task
from twisted.logger import Logger

from bbmeasure.errors import MeasureError
from bbmeasure.export.interfaces import Backlog, Outbox, OutboxLimits

log = Logger()

#: Seconds between two refreshes.
INTERVAL = 5.0


class BacklogMonitor:
    """Reads the size of the backlog every INTERVAL seconds, and drops points beyond the limits.

    ``wake`` refreshes it too if the wall clock was set back and the timer is late.
    """

    def __init__(
        self,
        outbox: Outbox,
        name: str,
        counters: Counter[str],
        *,
        limits: OutboxLimits,
        reactor: Any,
        monotonic: Callable[[], float],
    ) -> None:
        self.backlog: Optional[Backlog] = None
        self._outbox = outbox
        self._name = name
        self._counters = counters
        self._limits = limits
        self._monotonic = monotonic
        self._refreshed_at = monotonic()
        self._stopping = False
        self._loop = task.LoopingCall(self._refresh)
        self._loop.clock = reactor

    def start(self) -> None:
        """Start the timer; a second call has no effect."""
        if not self._loop.running:
            self._loop.start(INTERVAL)

    def stop(self) -> None:
        """Stop the timer."""
        self._stopping = True
        if self._loop.running:
            self._loop.stop()

    def wake(self) -> None:
        """Refresh now if the timer is late."""
        if self._monotonic() - self._refreshed_at > 2 * INTERVAL:
            self._refresh()

    @defer.inlineCallbacks
    def _refresh(self) -> Generator[Any, Any, None]:
        limits = self._limits
        self._refreshed_at = self._monotonic()
        try:
            if limits.max_bytes is not None or limits.max_age is not None:
                while not self._stopping and (yield self._outbox.trim(self._name, limits.max_bytes, limits.max_age)):
                    pass
            self.backlog = yield self._outbox.backlog(self._name)
        except MeasureError as error:
            self._counters["unknown_backlog"] += 1
            log.debug("bbmeasure: {name}: backlog unknown: {why}", name=self._name, why=str(error))
        except Exception:  # noqa: BLE001  (counted and logged; the next refresh may succeed)
            self._counters["errors"] += 1
            log.failure("bbmeasure: backlog of {name}", name=self._name)
