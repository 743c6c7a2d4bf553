"""MasterMetrics: samples Buildbot's own metric events.

Counters become running totals, times become durations and alarms become texts, each in the series ``master.`` and
Buildbot's name; ``master.queue_length`` is the number of unclaimed build requests.  Events between two samples are
summed, so that a busy master writes few points.  The tag ``master``, the master's name in Buildbot, separates the
points of several masters in one database.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator
from typing import Any

from buildbot.process import metrics
from twisted.internet import defer, task
from twisted.python import log as twisted_log

from bbmeasure.capture.identity import Value
from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.capture.state import MasterState
from bbmeasure.errors import MeasureError
from bbmeasure.records import Record, check_tags
from bbmeasure.units import excerpt

#: Seconds between two samples.
INTERVAL = 10.0
#: The most events between two samples, and the most names.
MAX_EVENTS = 20_000
MAX_NAMES = 500
PREFIX = "master."
#: The tag with the master's name.  The keys of running totals lack it, so that totals from before the tag continue.
TAG = "master"


def _active_builds(master: Any) -> int:
    return sum(not build.finished for builder in master.botmaster.builders.values() for build in builder.building)


def _attached_workers(master: Any) -> int:
    return sum(worker.conn is not None for worker in master.workers.workers.values())


#: Metrics that are read from the master itself: their events may precede the observer, and some are logged on the way
#: down only.
GAUGES = {
    "active_builds": _active_builds,
    "BotMaster.attached_workers": _attached_workers,
    "AbstractWorker.attached_workers": _attached_workers,
}


class MasterMetrics:
    """Observes Buildbot's log while a switch tracks its metrics.  ``overflow`` counts events over MAX_EVENTS."""

    def __init__(self, state: MasterState, clock: Any = None) -> None:
        self.state = state
        self.master = state.master
        self.overflow = 0
        self._events: deque[Any] = deque()
        self._sums: Counter[str] = Counter()
        self._gauges: Counter[str] = Counter()
        self._alarms: dict[str, str] = {}
        self._names: set[str] = set()
        self._task = task.LoopingCall(self.sample)
        self._task.clock = self.master.reactor if clock is None else clock

    @property
    def pipeline(self) -> Pipeline:
        """The capture pipeline of the master."""
        return self.state.pipeline

    def update(self) -> None:
        """Start or stop as the switches require."""
        tracked = self.state.tracked.master_metrics
        if tracked and not self._task.running:
            twisted_log.addObserver(self.emit)
            self._task.start(INTERVAL, now=False).addErrback(self._broken)
        elif not tracked and self._task.running:
            self._task.stop()
            twisted_log.removeObserver(self.emit)
            self._events.clear()

    def _broken(self, why: Any) -> None:
        self.pipeline.count("metrics_broken", f"sampling the master's metrics: {why.value}")
        self._task.start(INTERVAL, now=False).addErrback(self._broken)

    def emit(self, event: dict[str, Any]) -> None:
        """Queue a metric event; called with each log event in the thread that logs it."""
        metric = event.get("metric")
        if metric is None:
            return
        if len(self._events) >= MAX_EVENTS:
            self.overflow += 1
        else:
            self._events.append(metric)

    @defer.inlineCallbacks
    def sample(self) -> Generator[Any, Any, None]:
        """Capture the events since the last sample."""
        if self.overflow:
            self.pipeline.counters["metrics_overflow"] += self.overflow
            self.overflow = 0
        if not getattr(self.master.metrics, "enabled", False):
            metrics.periodicCheck(self.master.reactor)
        totals: Counter[str] = Counter()
        absolutes: dict[str, float] = {}
        times: dict[str, list[float]] = {}
        while self._events:
            metric = self._events.popleft()
            try:
                self._sort(metric, totals, absolutes, times)
            except Exception as error:  # noqa: BLE001  (malformed events of other code; counted)
                self.pipeline.count("refused", f"metric {excerpt(repr(vars(metric)))}: {type(error).__name__}: {error}")
        for name, change in totals.items():
            self._capture(name, change, kind="count", accumulate=True)
        known = {name: read(self.master) for name, read in GAUGES.items()}
        for name, value in {**absolutes, **self._gauges, **known}.items():
            self._capture(name, value, kind="number")
        for name, samples in times.items():
            self._capture(name, None, unit="s", better="lower", samples=samples[-1_000:])
        try:
            waiting = yield self.master.db.buildrequests.getBuildRequests(claimed=False)
        except Exception as error:  # noqa: BLE001  (Buildbot reports errors of its database; counted)
            self.pipeline.count("queue_length_unknown", f"the queue's length: {type(error).__name__}: {error}")
            return
        self._capture("queue_length", len(waiting), kind="count", better="lower")

    def _sort(
        self, metric: Any, totals: Counter[str], absolutes: dict[str, float], times: dict[str, list[float]]
    ) -> None:
        if isinstance(metric, metrics.MetricCountEvent):
            if metric.absolute:
                absolutes[metric.counter] = metric.count
            elif metric.counter not in GAUGES:
                self._count(metric, totals)
        elif isinstance(metric, metrics.MetricTimeEvent):
            times.setdefault(metric.timer, []).append(metric.elapsed)
        elif isinstance(metric, metrics.MetricAlarmEvent):
            text = metrics.ALARM_TEXT[metric.level] + (f": {metric.msg}" if metric.msg else "")
            known = metric.alarm in self._alarms or len(self._alarms) < MAX_NAMES
            if known and self._alarms.get(metric.alarm) != text:
                self._alarms[metric.alarm] = text
                self._capture(f"alarm.{metric.alarm}", text[:1_000])

    def _count(self, metric: Any, totals: Counter[str]) -> None:
        """Sum a counter; one that ever decreases becomes a gauge, which starts from the sum so far."""
        name = metric.counter
        if name in self._gauges:
            self._gauges[name] += metric.count
        elif metric.count < 0:
            totals.pop(name, None)
            self._gauges[name] = self._sums.pop(name, 0) + metric.count
        else:
            totals[name] += metric.count
            if name in self._sums or len(self._sums) < MAX_NAMES:
                self._sums[name] += metric.count

    def _capture(self, name: str, value: Any, *, accumulate: bool = False, **record: Any) -> None:
        if name not in self._names and len(self._names) >= MAX_NAMES:
            self.pipeline.count("metrics_overflow", f"metric {name}: expected at most {MAX_NAMES} names")
            return
        self._names.add(name)
        pipeline = self.pipeline
        try:
            captured = Value(Record(PREFIX + name, value, **record), master_tags=check_tags({TAG: self.master.name}))
        except MeasureError as error:
            pipeline.count("refused", f"metric {name}: {error}")
            return
        stored = pipeline.accumulate(captured, absolute=False) if accumulate else pipeline.capture(captured)
        pipeline.suppress_errors(stored, f"metric {name}")
