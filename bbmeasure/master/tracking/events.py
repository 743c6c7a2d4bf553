"""BuildTracker: follows builds of plain builders on the message queue, to capture what instances track and to judge.

Builds of measured builders capture themselves.  Of several masters on one queue each follows its own builds.  A queue
may deliver an event after its build is freed (WAMP does), so that live builds are found by the metric events that
Buildbot logs when a build starts and ends, and are kept until the queue delivers their end.  Of a build that was not
found in memory, Buildbot's record is captured.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from buildbot.process import metrics
from twisted.internet import defer
from twisted.python import log as twisted_log

from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.capture.plan import Plan, Switches
from bbmeasure.capture.state import MasterState
from bbmeasure.master.tracking import finished_build
from bbmeasure.master.tracking.build_class import MeasuredMixin

#: The most builds that are followed at a time, running steps of one build, and builds whose end was missed.
MAX_BUILDS = 10_000
MAX_STEPS = 1_000
MAX_MISSED = 1_000
#: Seconds after its end until a build whose end the queue does not deliver is captured without it.
MISSED_AFTER = 60.0
#: The metric that Buildbot increments when a build starts and decrements when it ends.
ACTIVE_BUILDS = "active_builds"


@dataclass
class _Followed:
    """A build that runs or has just ended; ``step_starts`` holds seconds by stepid."""

    build: Any
    times: finished_build.Times
    step_starts: dict[int, float] = field(default_factory=dict)


class BuildTracker:
    """Consumes the events of builds and steps while there is an instance."""

    def __init__(self, state: MasterState) -> None:
        self.state = state
        self.master = state.master
        self._subscribers: dict[str, Switches] = {}
        self._consumers: list[Any] = []
        self._lock = defer.DeferredLock()
        self._builds: dict[int, _Followed] = {}
        self._missed: deque[int] = deque(maxlen=MAX_MISSED)
        self._timer: Any = None

    def subscribe(self, name: str, switches: Switches) -> defer.Deferred[None]:
        """Set the switches of the instance ``name``."""
        self._subscribers[name] = switches
        return self._lock.run(self._update)

    def unsubscribe(self, name: str) -> defer.Deferred[None]:
        """Remove the instance ``name``."""
        self._subscribers.pop(name, None)
        return self._lock.run(self._update)

    @defer.inlineCallbacks
    def _update(self) -> Generator[Any, Any, None]:
        """Consume while there is an instance."""
        needed = bool(self._subscribers)
        if needed and not self._consumers:
            # Buildbot's own queue skips the consumer after one that stops in its callback, so that builds come last.
            for callback, key in (
                (self._step_started, ("steps", None, "started")),
                (self._step_updated, ("steps", None, "updated")),
                (self._step_finished, ("steps", None, "finished")),
                (self._build_finished, ("builds", None, "finished")),
            ):
                consumer = yield self.master.mq.startConsuming(callback, key)
                self._consumers.append(consumer)
            twisted_log.addObserver(self._logged)
            self._scan(starting=False)
        elif not needed and self._consumers:
            twisted_log.removeObserver(self._logged)
            consumers, self._consumers = self._consumers, []
            for consumer in consumers:
                yield consumer.stopConsuming()
            self._capture_missed(self.master.reactor.seconds())
            self._builds.clear()
            self._update_timer()

    @property
    def _pipeline(self) -> Pipeline:
        return self.state.pipeline

    # live builds

    def _logged(self, event: dict[str, Any]) -> None:
        metric = event.get("metric")
        if isinstance(metric, metrics.MetricCountEvent) and metric.counter == ACTIVE_BUILDS:
            self._scan(starting=metric.count > 0)

    def _scan(self, *, starting: bool) -> None:
        """Find builds that run and are not followed yet, one of them ``starting`` now, and builds that have ended."""
        for followed in self._builds.values():
            if followed.build.finished:
                followed.times.build_finished()
        self._update_timer()
        for builder in self.master.botmaster.builders.values():
            for build in builder.building:
                if build.buildid is None or build.finished or build.buildid in self._builds:
                    continue
                if len(self._builds) >= MAX_BUILDS:
                    return
                self._pipeline.branches.builder_of(build)
                followed = self._builds[build.buildid] = _Followed(build, finished_build.Times(self.master.reactor))
                if starting and not build.executedSteps:
                    followed.times.build_started()

    def _update_timer(self) -> None:
        """Run the timer for missed ends while a build has ended whose end was not delivered."""
        ended = any(followed.times.finished is not None for followed in self._builds.values())
        if ended and self._timer is None:
            self._timer = self.master.reactor.callLater(MISSED_AFTER, self._timed_out)
        elif not ended and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _timed_out(self) -> None:
        self._timer = None
        self._capture_missed(self.master.reactor.seconds() - MISSED_AFTER)
        self._update_timer()

    def _capture_missed(self, before: float) -> None:
        """Capture the builds that ended ``before``, whose end the queue has not delivered."""
        for buildid, followed in list(self._builds.items()):
            if followed.times.finished is not None and followed.times.finished <= before:
                self._missed.append(buildid)
                self._pipeline.count("build_end_missed", f"build {buildid}: the message queue did not deliver its end")
                self._capture(self._builds.pop(buildid))

    # events of the queue

    def _step_started(self, _: Any, step: dict[str, Any]) -> None:
        followed = self._builds.get(step["buildid"])
        if followed is not None and len(followed.step_starts) < MAX_STEPS:
            followed.step_starts[step["stepid"]] = self.master.reactor.seconds()

    def _step_updated(self, _: Any, step: dict[str, Any]) -> None:
        """Start a step's duration anew when it has acquired its locks."""
        followed = self._builds.get(step["buildid"])
        stepid = step["stepid"]
        if followed is None or stepid not in followed.step_starts or step.get("locks_acquired_at") is None:
            return
        if stepid not in followed.times.unlocked:
            followed.times.unlocked.add(stepid)
            followed.step_starts[stepid] = self.master.reactor.seconds()

    def _step_finished(self, _: Any, step: dict[str, Any]) -> None:
        followed = self._builds.get(step["buildid"])
        start = followed.step_starts.pop(step["stepid"], None) if followed is not None else None
        if followed is not None and start is not None:
            followed.times.steps[step["stepid"]] = self.master.reactor.seconds() - start

    def _build_finished(self, _: Any, build: dict[str, Any]) -> None:
        """Capture the build at once: its statistics are in memory only."""
        if build["masterid"] != self.master.masterid or build["buildid"] in self._missed:
            return
        self._scan(starting=False)
        followed = self._builds.pop(build["buildid"], None)
        self._update_timer()
        if followed is not None:
            self._capture(followed)
        elif self.state.tracked.of_builds or self._pipeline.branches.is_decided(build["buildid"]):
            self._pipeline.in_background(self._capture_record(build))

    # capturing

    def _capture(self, followed: _Followed) -> None:
        if isinstance(followed.build, MeasuredMixin):
            return
        followed.times.build_finished()
        self._pipeline.in_background(
            finished_build.capture_build(
                self.state, followed.build, Plan(), self.state.tracked, followed.times, recorded=True
            )
        )

    @defer.inlineCallbacks
    def _capture_record(self, build: dict[str, Any]) -> Generator[Any, Any, None]:
        """Capture Buildbot's record of a build, unless its builder is a measured one."""
        ran, shown = yield finished_build.builders_of(self.master, build)
        builder = self.master.botmaster.builders.get(ran)
        factory = builder.config.factory if builder is not None and builder.config is not None else None
        if factory is not None and issubclass(factory.buildClass, MeasuredMixin):
            return
        why = f"build {build['buildid']}: not in memory when the message queue delivered its end, so no statistics"
        self._pipeline.count("build_gone", why)
        yield finished_build.capture_recorded(self.state, build, shown, self.state.tracked)
