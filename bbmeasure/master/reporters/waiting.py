"""Waiting for the verdicts of a build, which are there shortly after its end."""

from __future__ import annotations

from typing import Any, Optional

from twisted.internet import defer

from bbmeasure.capture.state import MasterState
from bbmeasure.reports.judge import Judge
from bbmeasure.reports.verdicts import BuildVerdicts

#: Seconds that a message waits for the verdicts of its build.
TIMEOUT = 5.0


def wait_for_verdicts(
    state: MasterState, buildid: int, timeout: float = TIMEOUT
) -> defer.Deferred[Optional[BuildVerdicts]]:
    """Return the verdicts of a build that has ended; None after ``timeout`` seconds, which is counted.

    The Deferred does not fail.  A master without a journal has no verdicts: None at once.
    """
    judge = state.component(Judge)
    if judge.store is None:
        return defer.succeed(None)
    told: defer.Deferred[Optional[BuildVerdicts]] = defer.Deferred()

    def listen(verdicts: BuildVerdicts) -> None:
        if verdicts.buildid == buildid and not told.called:
            told.callback(verdicts)

    def kept(verdicts: Optional[BuildVerdicts]) -> None:
        if verdicts is not None:
            listen(verdicts)

    def unreadable(failure: Any) -> None:
        state.pipeline.count("reporters_unread", f"build {buildid}: its verdicts cannot be read: {failure.value}")

    def late(_: Any, seconds: float) -> None:
        state.pipeline.count("reporters_late", f"build {buildid}: no verdicts {seconds:g} s after its end")

    unsubscribe = judge.subscribe(listen)
    judge.verdicts_of(buildid).addCallbacks(kept, unreadable)
    told.addTimeout(timeout, state.pipeline.clock, late)

    def ended(verdicts: Optional[BuildVerdicts]) -> Optional[BuildVerdicts]:
        unsubscribe()
        return verdicts

    return told.addBoth(ended)
