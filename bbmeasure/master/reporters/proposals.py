"""The proposal of a service that a build builds, from the changes of its source stamps."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import urlsplit

from buildbot.util.giturlparse import giturlparse
from twisted.internet import defer

from bbmeasure.capture.branches import ChangeFacts, SourceFacts, branch_of
from bbmeasure.capture.state import MasterState
from bbmeasure.master.reporters.services import Target
from bbmeasure.master.tracking.recorded_sources import change_row_facts

_PAGE = re.compile(r"/(?P<project>[^?#]+?)/(?:-/)?(?P<kind>pull|merge_requests)/(?P<number>[0-9]{1,15})(?:[/?#]|\Z)")
_NUMBER = re.compile(r"(?P<ref>refs/pull/|gitlab!)(?P<number>[0-9]{1,15})\Z")
_KINDS = {"refs/pull/": "pull", "gitlab!": "merge_requests"}
#: Characters of a project's path; anything else is no project of GitHub or GitLab.
_PROJECT = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)+\Z")


@dataclass(frozen=True)
class ProposedBuild:
    """A build of a proposal.

    ``host`` and ``kind`` are those of its service.  ``name`` is the proposal as the journal names it.  ``stamp`` is the
    id of the source stamp, which is that of the revision.  ``order`` is greater for a later revision of a proposal: the
    id of its newest change, and of its stamp.
    """

    buildid: int
    builder: str
    number: int
    builderid: int
    target: Target
    host: str
    kind: str
    name: str
    branch: Optional[str]
    revision: Optional[str]
    stamp: int
    order: tuple[int, int]


@defer.inlineCallbacks
def proposed_builds(state: MasterState, buildid: int) -> Generator[Any, Any, list[ProposedBuild]]:
    """Return the proposals that a build builds, several where it has several codebases."""
    data = state.master.data
    build = yield data.get(("builds", buildid))
    request = build and (yield data.get(("buildrequests", build["buildrequestid"])))
    buildset = request and (yield data.get(("buildsets", request["buildsetid"])))
    if not buildset:
        return []
    builder = yield data.get(("builders", build["builderid"]))
    policy = state.pipeline.branches.policy
    found, sources = [], []
    for stamp in buildset["sourcestamps"]:
        changes = yield data.get(("sourcestamps", stamp["ssid"], "changes"))
        facts = tuple(map(change_row_facts, changes or ()))
        sources.append(SourceFacts(stamp["branch"], stamp["codebase"], stamp["patch"] is not None, facts))
        one = branch_of(sources[-1:], policy)
        where = _page(facts) or _repository(stamp["repository"], one.proposal)
        if one.is_proposal and where is not None:
            newest = max((change["changeid"] for change in changes or ()), default=0)
            found.append((stamp, one.branch, newest, *where))
    name = branch_of(sources, policy).proposal
    return [
        ProposedBuild(
            buildid, builder["name"], build["number"], build["builderid"],
            target, host, kind, name, branch, stamp["revision"], stamp["ssid"], (newest, stamp["ssid"]),
        )
        for stamp, branch, newest, host, kind, target in found
    ]  # fmt: skip


def _page(changes: tuple[ChangeFacts, ...]) -> Optional[tuple[str, str, Target]]:
    """Return host, kind and target of the page of a request that the newest change names.

    For the request of a fork it is the page in the project that it is to be merged into.
    """
    for change in reversed(changes):
        for url in (change.properties.get("pullrequesturl"), change.revlink):
            parts = urlsplit(url) if isinstance(url, str) else None
            match = _PAGE.match(parts.path) if parts is not None else None
            if parts is not None and match is not None:
                return _target(parts.hostname, match["kind"], match["project"], match["number"])
    return None


def _repository(url: Optional[str], proposal: str) -> Optional[tuple[str, str, Target]]:
    """Return host, kind and target of a ref of a request in a repository, for a build without changes."""
    match, parsed = _NUMBER.match(proposal), giturlparse(url or "")
    if match is None or parsed is None or not parsed.owner:
        return None
    return _target(parsed.domain, _KINDS[match["ref"]], f"{parsed.owner}/{parsed.repo}", match["number"])


def _target(host: Optional[str], kind: str, project: str, number: str) -> Optional[tuple[str, str, Target]]:
    if not host or not _PROJECT.match(project) or ".." in project:
        return None
    return host.lower(), kind, Target(project, int(number))
