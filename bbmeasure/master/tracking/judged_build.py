"""Has each build judged at its end, when its points are on disk."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Optional

from twisted.internet import defer

from bbmeasure.capture.state import MasterState
from bbmeasure.errors import MeasureError
from bbmeasure.model import BuildContext
from bbmeasure.reports.judge import Judge

#: Seconds for which the points of a build are waited for.
DISK_TIMEOUT = 30.0


def judge_build(
    state: MasterState, context: Optional[BuildContext], captured: Sequence[defer.Deferred[None]] = ()
) -> None:
    """Have a build judged in the background, after ``captured``, its last values."""
    if context is not None:
        state.pipeline.begin()
        judged = _judge(state, context, captured).addErrback(_count, state, context)
        judged.addCallback(lambda _: state.pipeline.end())


def _count(why: Any, state: MasterState, context: BuildContext) -> None:
    state.pipeline.count("verdicts_failed", f"build {context.buildid}: not judged: {why.value!r}")


@defer.inlineCallbacks
def _judge(
    state: MasterState, context: BuildContext, captured: Sequence[defer.Deferred[None]]
) -> Generator[Any, Any, None]:
    pipeline = state.pipeline
    yield defer.DeferredList(captured)
    try:
        # a store writes in the order of the requests: what the build captured before is on disk then too
        yield pipeline.write_all().addTimeout(DISK_TIMEOUT, pipeline.clock)
    except (MeasureError, defer.TimeoutError) as error:
        pipeline.count(
            "verdicts_failed", f"build {context.buildid}: not judged: {error or 'its points are not on disk'}"
        )
        state.gates.ended(context.buildid)
        return
    yield state.component(Judge).finish(context, state.gates.of_build(context.buildid))
