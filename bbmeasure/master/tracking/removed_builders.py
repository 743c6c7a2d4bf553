"""Resolves the open alerts of builders that are no longer in master.cfg: no later build can resolve them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from twisted.internet import defer

from bbmeasure.capture.state import MasterState
from bbmeasure.reports.judge import Judge
from bbmeasure.storage.verdict_store import OPEN, RESOLVED, AlertQuery
from bbmeasure.units import excerpt

#: The tag that Buildbot gives a virtual builder, which master.cfg does not name.
VIRTUAL = "_virtual_"


@defer.inlineCallbacks
def resolve_alerts(state: MasterState) -> Generator[Any, Any, None]:
    """Resolve the open alerts of removed builders; an error is counted."""
    try:
        yield _resolve(state)
    except Exception as error:  # noqa: BLE001  (counted; the alerts stay open until the next reconfig)
        state.pipeline.count("resolve_failed", f"alerts of removed builders: {error!r}")


@defer.inlineCallbacks
def _resolve(state: MasterState) -> Generator[Any, Any, None]:
    store = state.component(Judge).store
    if store is None:
        return
    alerts = yield store.alerts(AlertQuery(state=OPEN))
    if not alerts:
        return
    builders = yield state.master.data.get(("builders",))
    known = {builder["name"] for builder in builders if VIRTUAL in builder["tags"]}
    known.update(config.name for config in state.master.config.builders)
    for alert in alerts:
        builder = alert.line.builder
        if builder not in known:
            yield store.decide(alert.id, RESOLVED, "", f"builder {excerpt(builder)} was removed from master.cfg")
