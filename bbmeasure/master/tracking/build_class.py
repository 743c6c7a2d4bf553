"""MeasuredMixin: the build class of a measured builder, which captures each build at its end."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from buildbot.process.build import Build
from twisted.internet import defer

from bbmeasure.capture.plan import Plan
from bbmeasure.capture.state import state_of
from bbmeasure.master.tracking import finished_build, running_build
from bbmeasure.model import Point


class MeasuredMixin:
    """Mixin for a Build class; none of its methods fails or delays the build."""

    measurePlan: Plan = Plan()
    _measure_times: finished_build.Times

    def startBuild(self, *args: Any, **kwargs: Any) -> Any:
        """Start the build's times, and fix the tracking that applies to it."""
        self.measurePlan = getattr(self.builder.config, "measurePlan", Plan())  # type: ignore[attr-defined]
        self._measure_times = finished_build.Times(self.master.reactor)  # type: ignore[attr-defined]
        self._measure_times.build_started()
        return super().startBuild(*args, **kwargs)  # type: ignore[misc]

    def getNextStep(self) -> Any:
        """Time the next step; before the first one, fix the branch and the gates of the build, which now has an id."""
        step = super().getNextStep()  # type: ignore[misc]
        if step is not None:
            state = state_of(self.master)  # type: ignore[attr-defined]
            state.pipeline.branches.of_build(self)
            state.pipeline.branches.builder_of(self)
            state.gates.of_build(self.buildid, self.measurePlan.baseline_builder)  # type: ignore[attr-defined]
            self._measure_times.time_step(step)
        return step

    def measure_so_far(self) -> defer.Deferred[list[Point]]:
        """Capture what is tracked of the finished steps; the points of all that is tracked and known by now."""
        state = state_of(self.master)  # type: ignore[attr-defined]
        switches = state.tracked | self.measurePlan.switches
        points: defer.Deferred[list[Point]] = running_build.capture_finished_steps(
            state, self, self.measurePlan, switches, self._measure_times
        )
        return points

    @defer.inlineCallbacks
    def buildFinished(self, *args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        """Capture the build in the background."""
        self._measure_times.build_finished()
        result = yield super().buildFinished(*args, **kwargs)  # type: ignore[misc]
        state = state_of(self.master)  # type: ignore[attr-defined]
        switches = state.tracked | self.measurePlan.switches
        captured = finished_build.capture_build(state, self, self.measurePlan, switches, self._measure_times)
        state.pipeline.in_background(captured)
        return result


def measured_class(build_class: type[Build]) -> type[Build]:
    """The measuring subclass of ``build_class``: the same class at each call, so that a reconfig sees no change.

    It is looked up among the subclasses, which Python holds by weak references, so that a class that a master.cfg
    defines anew at each reconfig is freed with it.
    """
    if issubclass(build_class, MeasuredMixin):
        return build_class
    bases = (MeasuredMixin, build_class)
    for subclass in build_class.__subclasses__():
        if subclass.__bases__ == bases and subclass.__module__ == __name__:
            return subclass
    attributes = {"__doc__": MeasuredMixin.__doc__, "__module__": __name__}
    return type(f"Measured{build_class.__name__}", bases, attributes)
