"""PastJob: has the past of a master's lines judged in the background."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Optional

from twisted.internet import defer, task
from twisted.logger import Logger

from bbmeasure.capture.gates import Gates
from bbmeasure.capture.state import MasterState
from bbmeasure.errors import MeasureError
from bbmeasure.reports.judge import Judge
from bbmeasure.reports.past import Learned, LearnRequest

log = Logger()

#: Seconds until the next attempt after an error, such as while the file is migrated.
RETRY_AFTER = 30.0


class PastJob:
    """Learns the lines of a journal that are not judged yet, such as all lines after an upgrade.

    Progress is in the counters ``lines_learned`` and ``lines_to_learn``.  Builds that end meanwhile are judged between
    two requests.
    """

    def __init__(self, state: MasterState) -> None:
        self._state = state
        self._timer: Any = None
        self._work: Optional[defer.Deferred[None]] = None

    def start(self) -> None:
        """Begin, unless it is under way."""
        if self._work is None and self._timer is None:
            self._work = self._learn()
            self._work.addErrback(self._failed)

    def stop(self) -> None:
        """End without finishing; the next start goes on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._work is not None:
            self._work.cancel()

    def _failed(self, why: Any) -> None:
        self._work = None
        if why.check(defer.CancelledError):
            return
        self._state.pipeline.count("past_failed", f"the past of lines is not judged yet: {why.value}")
        if not why.check(MeasureError):
            log.failure("bbmeasure: judging the past of lines", failure=why)
            return
        self._timer = self._state.pipeline.clock.callLater(RETRY_AFTER, self._retry)

    def _retry(self) -> None:
        self._timer = None
        self.start()

    @defer.inlineCallbacks
    def _learn(self) -> Generator[Any, Any, None]:
        pipeline, judge = self._state.pipeline, self._state.component(Judge)
        after, done = 0, 0
        gates = Gates(self._state.gates.patterns)
        while True:
            learned: Learned = yield judge.learn(LearnRequest(after, gates))
            after, done = learned.last, done + learned.lines
            if done:
                pipeline.counters["lines_learned"] += learned.lines
                pipeline.counters["lines_to_learn"] = learned.left
                if not learned.left or done // 1000 != (done - learned.lines) // 1000:
                    log.info(
                        "bbmeasure: the past of {done} lines is judged, {left} are left", done=done, left=learned.left
                    )
            if not learned.left:
                break
            yield task.deferLater(pipeline.clock, 0)
        self._work = None
