"""Following builds of plain builders on the message queue, for the switches of the instances.

Builds of measured builders capture themselves; of several masters on one queue each follows its own builds.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Optional

from twisted.internet import defer

from bbmeasure import capture
from bbmeasure.layer import Switches
from bbmeasure.master import buildrecords
from bbmeasure.master.measured import MeasuredMixin
from bbmeasure.master.plan import Plan

_ATTRIBUTE = "_bbmeasure_tracker"
#: The most steps whose start is remembered at a time.
MOST_RUNNING = 10_000


class BuildTracker:
    """Consumes the events of builds and steps while an instance wants something of them."""

    def __init__(self, master: Any) -> None:
        self.master = master
        self._followers: dict[str, Switches] = {}
        self._consumers: list[Any] = []
        self._lock = defer.DeferredLock()
        self._builds: dict[int, buildrecords.Times] = {}
        self._running: dict[int, float] = {}

    @classmethod
    def for_master(cls, master: Any) -> BuildTracker:
        """The tracker of that master, made at first use."""
        found: Optional[BuildTracker] = getattr(master, _ATTRIBUTE, None)
        if found is None:
            found = cls(master)
            setattr(master, _ATTRIBUTE, found)
        return found

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
            for callback, key in (
                (self._build_started, ("builds", None, "new")),
                (self._build_finished, ("builds", None, "finished")),
                (self._step_started, ("steps", None, "started")),
                (self._step_finished, ("steps", None, "finished")),
            ):
                consumer = yield self.master.mq.startConsuming(callback, key)
                self._consumers.append(consumer)
        elif not wanted:
            consumers, self._consumers = self._consumers, []
            for consumer in consumers:
                yield consumer.stopConsuming()
            self._builds.clear()
            self._running.clear()

    def _build_started(self, _: Any, build: dict[str, Any]) -> None:
        if build["masterid"] == self.master.masterid and len(self._builds) < MOST_RUNNING:
            times = self._builds[build["buildid"]] = buildrecords.Times(self.master.reactor)
            times.build_started()

    def _step_started(self, _: Any, step: dict[str, Any]) -> None:
        if step["buildid"] in self._builds and len(self._running) < MOST_RUNNING:
            self._running[step["stepid"]] = self.master.reactor.seconds()

    def _step_finished(self, _: Any, step: dict[str, Any]) -> None:
        began = self._running.pop(step["stepid"], None)
        if began is not None and step["buildid"] in self._builds:
            self._builds[step["buildid"]].steps[step["stepid"]] = self.master.reactor.seconds() - began

    def _build_finished(self, _: Any, build: dict[str, Any]) -> None:
        """Read the live build before anything else happens to it: its statistics are nowhere else."""
        times = self._builds.pop(build["buildid"], None)
        if build["masterid"] != self.master.masterid:
            return
        live = self._live(build["buildid"])
        if live is None or isinstance(live, MeasuredMixin):
            return
        times = times or buildrecords.Times(self.master.reactor)
        times.build_finished()
        layer = capture.for_master(self.master)
        layer.follow(buildrecords.capture_build(layer, live, Plan(), layer.tracked, times))

    def _live(self, buildid: int) -> Any:
        for builder in self.master.botmaster.builders.values():
            for build in builder.building:
                if build.buildid == buildid:
                    return build
        return None
