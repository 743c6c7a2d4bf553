"""The master's own health: Buildbot's metric events, taken over where they are logged and captured now and again.

Counters become running totals, times durations, alarms texts, each as the series ``master.`` + Buildbot's name; beside
them ``master.queue_length``, the build requests that wait.  Between two samples events are only summed up, so that a
busy master stays quiet.  The tag ``master``, the master's name in Buildbot, tells apart those of several masters that
write to one database.
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
#: The most events that wait for a sample, and names that are kept.
MOST_EVENTS = 20_000
MOST_NAMES = 500
PREFIX = "master."
#: The tag with the master's name.  Running totals are kept without it, so that they go on where it was not there yet.
TAG = "master"


def _active_builds(master: Any) -> int:
    return sum(not build.finished for builder in master.botmaster.builders.values() for build in builder.building)


def _attached_workers(master: Any) -> int:
    return sum(worker.conn is not None for worker in master.workers.workers.values())


#: What the master itself knows now.  Buildbot's events cannot tell: some were before anybody listened, and some it
#: logs on the way down alone.
KNOWN = {
    "active_builds": _active_builds,
    "BotMaster.attached_workers": _attached_workers,
    "AbstractWorker.attached_workers": _attached_workers,
}


class MasterMetrics:
    """Listens while an instance wants it.  ``overflow`` counts events that came too fast to be kept."""

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
        """Where values go."""
        return self.state.pipeline

    def settle(self) -> None:
        """Listen exactly while somebody wants to."""
        wanted = self.state.tracked.master_metrics
        if wanted and not self._task.running:
            twisted_log.addObserver(self.emit)
            self._task.start(INTERVAL, now=False).addErrback(self._broken)
        elif not wanted and self._task.running:
            self._task.stop()
            twisted_log.removeObserver(self.emit)
            self._events.clear()

    def _broken(self, why: Any) -> None:
        self.pipeline.count("metrics_broken", f"sampling the master's metrics: {why.value}")
        self._task.start(INTERVAL, now=False).addErrback(self._broken)

    def emit(self, event: dict[str, Any]) -> None:
        """Called with each log event, in whatever thread logs it: only puts it down."""
        metric = event.get("metric")
        if metric is None:
            return
        if len(self._events) >= MOST_EVENTS:
            self.overflow += 1
        else:
            self._events.append(metric)

    @defer.inlineCallbacks
    def sample(self) -> Generator[Any, Any, None]:
        """Capture what came since the last sample."""
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
            except Exception as error:  # noqa: BLE001  (whoever logged it gave what no metric has; counted)
                self.pipeline.count("refused", f"metric {excerpt(repr(vars(metric)))}: {type(error).__name__}: {error}")
        for name, change in totals.items():
            self._capture(name, change, kind="count", accumulate=True)
        known = {name: now(self.master) for name, now in KNOWN.items()}
        for name, value in {**absolutes, **self._gauges, **known}.items():
            self._capture(name, value, kind="number")
        for name, samples in times.items():
            self._capture(name, None, unit="s", better="lower", samples=samples[-1_000:])
        try:
            waiting = yield self.master.db.buildrequests.getBuildRequests(claimed=False)
        except Exception as error:  # noqa: BLE001  (a database in trouble is Buildbot's to tell; counted)
            self.pipeline.count("queue_length_unknown", f"the queue's length: {type(error).__name__}: {error}")
            return
        self._capture("queue_length", len(waiting), kind="count", better="lower")

    def _sort(
        self, metric: Any, totals: Counter[str], absolutes: dict[str, float], times: dict[str, list[float]]
    ) -> None:
        if isinstance(metric, metrics.MetricCountEvent):
            if metric.absolute:
                absolutes[metric.counter] = metric.count
            elif metric.counter not in KNOWN:
                self._count(metric, totals)
        elif isinstance(metric, metrics.MetricTimeEvent):
            times.setdefault(metric.timer, []).append(metric.elapsed)
        elif isinstance(metric, metrics.MetricAlarmEvent):
            text = metrics.ALARM_TEXT[metric.level] + (f": {metric.msg}" if metric.msg else "")
            known = metric.alarm in self._alarms or len(self._alarms) < MOST_NAMES
            if known and self._alarms.get(metric.alarm) != text:
                self._alarms[metric.alarm] = text
                self._capture(f"alarm.{metric.alarm}", text[:1_000])

    def _count(self, metric: Any, totals: Counter[str]) -> None:
        """A counter that goes down once is no total: how many there are now, of all that were counted till then."""
        name = metric.counter
        if name in self._gauges:
            self._gauges[name] += metric.count
        elif metric.count < 0:
            totals.pop(name, None)
            self._gauges[name] = self._sums.pop(name, 0) + metric.count
        else:
            totals[name] += metric.count
            if name in self._sums or len(self._sums) < MOST_NAMES:
                self._sums[name] += metric.count

    def _capture(self, name: str, value: Any, *, accumulate: bool = False, **record: Any) -> None:
        if name not in self._names and len(self._names) >= MOST_NAMES:
            self.pipeline.count("metrics_overflow", f"metric {name}: expected at most {MOST_NAMES} names")
            return
        self._names.add(name)
        pipeline = self.pipeline
        try:
            one = Value(Record(PREFIX + name, value, **record), master_tags=check_tags({TAG: self.master.name}))
        except MeasureError as error:
            pipeline.count("refused", f"metric {name}: {error}")
            return
        kept = pipeline.accumulate(one, absolute=False) if accumulate else pipeline.capture(one)
        pipeline.suppress_errors(kept, f"metric {name}")
