"""The build class of a measured builder: sees live statistics, properties and times, captures them at its end."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from buildbot.process.build import Build
from twisted.internet import defer

from bbmeasure.capture import api
from bbmeasure.capture.plan import Plan
from bbmeasure.master.tracking import finished_build

_ATTRIBUTE = "_bbmeasure_measured_class"


class MeasuredMixin:
    """Goes before a Build class.  Nothing here may fail or delay the build."""

    measurePlan: Plan = Plan()
    _bbmeasure_times: finished_build.Times

    def startBuild(self, *args: Any, **kwargs: Any) -> Any:
        """Note the time and the tracking that holds for this build."""
        self.measurePlan = getattr(self.builder.config, "measurePlan", Plan())  # type: ignore[attr-defined]
        self._bbmeasure_times = finished_build.Times(self.master.reactor)  # type: ignore[attr-defined]
        self._bbmeasure_times.build_started()
        return super().startBuild(*args, **kwargs)  # type: ignore[misc]

    def getNextStep(self) -> Any:
        """Note when the step runs and for how long."""
        step = super().getNextStep()  # type: ignore[misc]
        if step is not None:
            self._bbmeasure_times.watch(step)
        return step

    @defer.inlineCallbacks
    def buildFinished(self, *args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        """Capture what is tracked; the build does not wait for it."""
        self._bbmeasure_times.build_finished()
        result = yield super().buildFinished(*args, **kwargs)  # type: ignore[misc]
        pipeline = api.for_master(self.master)  # type: ignore[attr-defined]
        switches = pipeline.tracked | self.measurePlan.switches
        pipeline.follow(finished_build.capture_build(pipeline, self, self.measurePlan, switches, self._bbmeasure_times))
        return result


def measured_class(build_class: type[Build]) -> type[Build]:
    """``build_class`` that measures; the same class each time, so that a reconfig sees no change.

    It is kept on ``build_class`` itself: a class that a master.cfg makes anew at each reconfig is let go of with it.
    """
    if issubclass(build_class, MeasuredMixin):
        return build_class
    made: Any = vars(build_class).get(_ATTRIBUTE)
    if made is None:
        name = f"Measured{build_class.__name__}"
        made = type(name, (MeasuredMixin, build_class), {"__doc__": MeasuredMixin.__doc__, "__module__": __name__})
        setattr(build_class, _ATTRIBUTE, made)
    return made  # type: ignore[no-any-return]
