"""Judging of a build at its end: what keeps it from being judged is counted."""

from __future__ import annotations

from typing import Optional

import pytest
from twisted.internet import defer, task

from bbmeasure.capture.state import MasterState
from bbmeasure.errors import StorageUnavailableError
from bbmeasure.master.tracking.judged_build import DISK_TIMEOUT, judge_build
from bbmeasure.model import BuildContext

BUILD = BuildContext("b", "w", 1, 101)


@pytest.mark.parametrize("error", [StorageUnavailableError("no disk"), ValueError("unexpected"), None])
def test_points_that_are_not_on_disk(error: Optional[Exception]) -> None:
    """The build is not judged, and is no longer waited for when the master stops."""
    state = MasterState(task.Clock())
    written: defer.Deferred[None] = defer.Deferred() if error is None else defer.fail(error)
    state.pipeline.write_all = lambda: written  # type: ignore[method-assign]
    judge_build(state, BUILD)
    settled = state.pipeline.settle()
    state.pipeline.clock.advance(DISK_TIMEOUT)
    assert settled.called
    assert state.pipeline.counters["verdicts_failed"] == 1
