"""Following builds of plain builders on the message queue, for the switches of the instances.

Builds of measured builders capture themselves; of several masters on one queue each follows its own builds.  A queue
may bring an event when the build that it tells of is long gone (WAMP does), so that live builds are found by the metric
events that Buildbot logs as a build begins and ends, and are kept until the queue has told their end.  Of a build that
was not seen, Buildbot's record is captured.
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

#: The most builds that are followed at a time, running steps of one, and builds whose end may yet be told too late.
MOST_RUNNING = 10_000
MOST_STEPS = 1_000
MOST_UNTOLD = 1_000
#: Seconds after its end for which a build is kept whose end the queue has not told.
LATE = 60.0
#: The metric that Buildbot counts up as a build begins and down as it ends.
ACTIVE_BUILDS = "active_builds"


@dataclass
class _Followed:
    """A build that this master runs, or ran a moment ago; ``began`` holds when steps did, by stepid."""

    live: Any
    times: finished_build.Times
    began: dict[int, float] = field(default_factory=dict)


class BuildTracker:
    """Consumes the events of builds and steps while an instance wants something of them."""

    def __init__(self, state: MasterState) -> None:
        self.state = state
        self.master = state.master
        self._followers: dict[str, Switches] = {}
        self._consumers: list[Any] = []
        self._lock = defer.DeferredLock()
        self._builds: dict[int, _Followed] = {}
        self._untold: deque[int] = deque(maxlen=MOST_UNTOLD)
        self._timer: Any = None

    def follow(self, name: str, switches: Switches) -> defer.Deferred[None]:
        """The instance ``name`` wants what ``switches`` says."""
        self._followers[name] = switches
        return self._lock.run(self._settle)

    def unfollow(self, name: str) -> defer.Deferred[None]:
        """The instance ``name`` is gone."""
        self._followers.pop(name, None)
        return self._lock.run(self._settle)

    @defer.inlineCallbacks
    def _settle(self) -> Generator[Any, Any, None]:
        """Consume exactly while somebody wants to."""
        wanted = any(switches.of_builds for switches in self._followers.values())
        if wanted and not self._consumers:
            # Buildbot's own queue passes over the consumer after one that stops in its callback: never that of builds.
            for callback, key in (
                (self._step_started, ("steps", None, "started")),
                (self._step_updated, ("steps", None, "updated")),
                (self._step_finished, ("steps", None, "finished")),
                (self._build_finished, ("builds", None, "finished")),
            ):
                consumer = yield self.master.mq.startConsuming(callback, key)
                self._consumers.append(consumer)
            twisted_log.addObserver(self._logged)
            self._look(begins=False)
        elif not wanted and self._consumers:
            twisted_log.removeObserver(self._logged)
            consumers, self._consumers = self._consumers, []
            for consumer in consumers:
                yield consumer.stopConsuming()
            self._let_go_of_ended(self.master.reactor.seconds())
            self._builds.clear()
            self._wait_for_late()

    @property
    def _pipeline(self) -> Pipeline:
        return self.state.pipeline

    # live builds

    def _logged(self, event: dict[str, Any]) -> None:
        metric = event.get("metric")
        if isinstance(metric, metrics.MetricCountEvent) and metric.counter == ACTIVE_BUILDS:
            self._look(begins=metric.count > 0)

    def _look(self, *, begins: bool) -> None:
        """Follow the builds that run and are not followed yet, of which one ``begins`` now; note which have ended."""
        for followed in self._builds.values():
            if followed.live.finished:
                followed.times.build_finished()
        self._wait_for_late()
        for builder in self.master.botmaster.builders.values():
            for build in builder.building:
                if build.buildid is None or build.finished or build.buildid in self._builds:
                    continue
                if len(self._builds) >= MOST_RUNNING:
                    return
                followed = self._builds[build.buildid] = _Followed(build, finished_build.Times(self.master.reactor))
                if begins and not build.executedSteps:
                    followed.times.build_started()

    def _wait_for_late(self) -> None:
        """Look after a while whether the queue has told the end of each build that has ended; no longer than needed."""
        waits = any(followed.times.finished is not None for followed in self._builds.values())
        if waits and self._timer is None:
            self._timer = self.master.reactor.callLater(LATE, self._late)
        elif not waits and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        self._let_go_of_ended(self.master.reactor.seconds() - LATE)
        self._wait_for_late()

    def _let_go_of_ended(self, before: float) -> None:
        """Capture the builds that ended ``before`` without the queue's telling, so that none is kept for ever."""
        for buildid, followed in list(self._builds.items()):
            if followed.times.finished is not None and followed.times.finished <= before:
                self._untold.append(buildid)
                self._pipeline.count("build_end_untold", f"build {buildid}: its end was not told on the message queue")
                self._capture(self._builds.pop(buildid))

    # what the queue tells

    def _step_started(self, _: Any, step: dict[str, Any]) -> None:
        followed = self._builds.get(step["buildid"])
        if followed is not None and len(followed.began) < MOST_STEPS:
            followed.began[step["stepid"]] = self.master.reactor.seconds()

    def _step_updated(self, _: Any, step: dict[str, Any]) -> None:
        """A step begins its work where it has its locks."""
        followed = self._builds.get(step["buildid"])
        stepid = step["stepid"]
        if followed is None or stepid not in followed.began or step.get("locks_acquired_at") is None:
            return
        if stepid not in followed.times.unlocked:
            followed.times.unlocked.add(stepid)
            followed.began[stepid] = self.master.reactor.seconds()

    def _step_finished(self, _: Any, step: dict[str, Any]) -> None:
        followed = self._builds.get(step["buildid"])
        began = followed.began.pop(step["stepid"], None) if followed is not None else None
        if followed is not None and began is not None:
            followed.times.steps[step["stepid"]] = self.master.reactor.seconds() - began

    def _build_finished(self, _: Any, build: dict[str, Any]) -> None:
        """Read the live build before anything else happens to it: its statistics are nowhere else."""
        if build["masterid"] != self.master.masterid or build["buildid"] in self._untold:
            return
        self._look(begins=False)
        followed = self._builds.pop(build["buildid"], None)
        self._wait_for_late()
        if followed is not None:
            self._capture(followed)
        else:
            self._pipeline.in_background(self._capture_gone(build))

    # what is captured

    def _capture(self, followed: _Followed) -> None:
        if isinstance(followed.live, MeasuredMixin):
            return
        followed.times.build_finished()
        self._pipeline.in_background(
            finished_build.capture_build(
                self.state, followed.live, Plan(), self.state.tracked, followed.times, recorded=True
            )
        )

    @defer.inlineCallbacks
    def _capture_gone(self, build: dict[str, Any]) -> Generator[Any, Any, None]:
        """Capture what Buildbot's record says, unless the build's builder measures."""
        name = (yield finished_build.builder_of(self.master, build))["name"]
        builder = self.master.botmaster.builders.get(name)
        factory = builder.config.factory if builder is not None and builder.config is not None else None
        if factory is not None and issubclass(factory.buildClass, MeasuredMixin):
            return
        why = f"build {build['buildid']}: no longer in memory when its end was announced, so without its statistics"
        self._pipeline.count("build_gone", why)
        yield finished_build.capture_recorded(self.state, build, name, self.state.tracked)
