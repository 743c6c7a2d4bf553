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
from bbmeasure.storage.verdict_store import VerdictChanges

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
        counters, judge = self._state.pipeline.counters, self._state.component(Judge)
        gates, learned, done, total = Gates(self._state.gates.patterns), Learned(VerdictChanges(), more=True), 0, 0
        while learned.more:
            learned = yield judge.learn(LearnRequest(learned.last, gates))
            done, total = done + learned.lines, total or learned.total
            counters["lines_learned"] += learned.lines
            counters["lines_to_learn"] = max(0, total - done)
            if learned.lines and (not learned.more or done // 1000 != (done - learned.lines) // 1000):
                log.info("bbmeasure: the past of {done} of {total} lines is judged", done=done, total=total)
            yield task.deferLater(self._state.pipeline.clock, 0)
        self._work = None
