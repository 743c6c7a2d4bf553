"""Branch and machine class of a build that is known from Buildbot's record only."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Optional

from twisted.internet import defer

from bbmeasure.capture.branches import BuildBranch, ChangeFacts, SourceFacts, branch_of
from bbmeasure.capture.state import MasterState
from bbmeasure.refs import shortened


@defer.inlineCallbacks
def recorded_branch(
    state: MasterState, buildid: int, request: Optional[Mapping[str, Any]], properties: Mapping[str, Any]
) -> Generator[Any, Any, tuple[BuildBranch, Optional[str]]]:
    """Branch, proposal and machine class of a build, from the source stamps of its request and their changes.

    ``properties`` are the build's, each with its source; only the worker's own may name the machine class.
    """
    branches = state.pipeline.branches
    sources = yield _sources(state.master, request)
    value, source = properties.get(branches.machine_property or "", (None, ""))
    machine = shortened(str(value)) if value is not None and source == "Worker" else None
    branch = branch_of(sources, branches.policy)
    branches.remember(buildid, branch, machine)
    return branch, machine


@defer.inlineCallbacks
def _sources(master: Any, request: Optional[Mapping[str, Any]]) -> Generator[Any, Any, list[SourceFacts]]:
    buildset = None
    if request is not None:
        buildset = yield master.data.get(("buildsets", request["buildsetid"]))
    sources = []
    for stamp in buildset["sourcestamps"] if buildset else ():
        changes = yield master.data.get(("sourcestamps", stamp["ssid"], "changes"))
        facts = tuple(map(change_row_facts, changes or ()))
        sources.append(SourceFacts(stamp["branch"], stamp["codebase"], stamp["patch"] is not None, facts))
    return sources


def change_row_facts(change: Mapping[str, Any]) -> ChangeFacts:
    """The facts of a change of the Data API, whose properties have a source each."""
    properties = {name: value for name, (value, _) in change["properties"].items()}
    return ChangeFacts(change["branch"], change["category"], change["revlink"], properties)
