"""The branch that a build is judged on, and the proposal that it builds, from its source stamps and changes.

A *proposal* is code that is not part of a trusted branch: a pull or merge request, a Gerrit change, a try job, a patch,
or a branch outside ``trustedBranches``.  Its branch is its target, that is, the branch that it is to be merged into.

Each hook and poller describes a proposal in its own way:

- ``www.hooks.github``: branch ``refs/pull/N/merge``, property ``basename``.
- ``GitHubPullrequestPoller``: branch ``refs/pull/N/merge`` (``magic_link=True``) or the bare name of the head, property
  ``pullrequesturl``; the target only where ``github_property_whitelist`` holds ``github.base.ref``.
- ``www.hooks.gitlab``: branch is the *target*; properties ``source_branch`` and ``target_branch``.
- ``www.hooks.bitbucketcloud`` and ``bitbucketserver``: branch ``refs/pull-requests/N/merge``; the target only where
  ``bitbucket_property_whitelist`` holds ``bitbucket.toRef.branch.name``.  Category ``pull-fulfilled`` is a build of the
  target, ``pull-rejected`` one of the head.
- ``BitbucketPullrequestPoller``: branch is the bare name of the head, property ``pullrequesturl``; the target only
  where ``bitbucket_property_whitelist`` holds ``bitbucket.destination.branch.name``.
- ``GerritChangeSource``: branch ``refs/changes/NN/N/P``, property ``target_branch``.
- buildbot-gitea: branch and revision are the *target's*, category ``pull_request``, properties ``pr_number`` and
  ``base_branch``.
- Try schedulers: a source stamp with a patch.

Properties of changes are set by hooks and pollers on the master, never by a step.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Optional

from bbmeasure.ansi import without_hidden
from bbmeasure.refs import plain_branch, proposal_of_ref, shortened

#: The branch of a build whose target is not known: such a build has no baseline.
UNKNOWN = None
#: The property by which a build is shown as one of a virtual builder.
VIRTUAL_BUILDER = "virtual_builder_name"
#: The most builds whose branch is remembered.
MAX_DECIDED = 10_000

#: Categories of Bitbucket's hooks for a request that was merged.
_MERGED = "pull-fulfilled"
_REQUEST_URL = re.compile(r"/(pull|pulls|pull-requests|merge_requests)/(\d+)(?:[/?#]|\Z)")
#: Properties of a change that hold the target, most specific first.
_TARGETS = (
    "target_branch",
    "basename",
    "base_branch",
    "github.base.ref",
    "bitbucket.toRef.branch.name",
    "bitbucket.destination.branch.name",
    "event.change.branch",
)


@dataclass(frozen=True)
class ChangeFacts:
    """The fields of one change that its source has set."""

    branch: Optional[str] = None
    category: Optional[str] = None
    revlink: Optional[str] = None
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceFacts:
    """One source stamp of a build: the changes are in the order in which they came."""

    branch: Optional[str] = None
    codebase: str = ""
    has_patch: bool = False
    changes: Sequence[ChangeFacts] = ()


@dataclass(frozen=True)
class BuildBranch:
    """``branch`` is what a build is judged on, UNKNOWN where its target is not known; ``proposal`` is "" for none."""

    branch: Optional[str]
    proposal: str = ""

    @property
    def is_proposal(self) -> bool:
        """Whether the build must not enter a baseline."""
        return bool(self.proposal)


@dataclass(frozen=True)
class BranchPolicy:
    """``trusted`` are patterns such as ``release/*``; None trusts every branch.  ``default`` is always trusted."""

    default: str = "main"
    trusted: Optional[Sequence[str]] = None

    def trusts(self, branch: str) -> bool:
        """Whether builds of ``branch`` enter baselines."""
        if self.trusted is None or branch == self.default:
            return True
        return any(fnmatchcase(branch, pattern) for pattern in self.trusted)


def branch_of(sources: Iterable[SourceFacts], policy: BranchPolicy) -> BuildBranch:
    """The branch and proposal of a build with those source stamps.

    A build of several codebases is a proposal if one of them is.  Its branch is the one that is not the default;
    several such branches are joined by ``+``, in the order of their codebases.
    """
    found = [_of_source(source, policy) for source in sorted(sources, key=lambda source: source.codebase)]
    proposal = "+".join(dict.fromkeys(one.proposal for one in found if one.proposal))
    branches = [one.branch for one in found if one.branch is not None]
    if len(branches) < len(found):
        return BuildBranch(UNKNOWN, shortened(proposal))
    others = [branch for branch in dict.fromkeys(branches) if branch != policy.default]
    return BuildBranch(shortened("+".join(others) or policy.default), shortened(proposal))


def _of_source(source: SourceFacts, policy: BranchPolicy) -> BuildBranch:
    requested = [one for one in map(_request_of_change, source.changes) if one is not None]
    request = requested[-1] if requested else _request_of_ref(source.branch)
    if request is not None:
        return request if request.branch is None else BuildBranch(_plain(request.branch, policy), request.proposal)
    branch = _plain(source.branch, policy)
    if source.has_patch:
        return BuildBranch(branch if policy.trusts(branch) else policy.default, "try")
    if policy.trusts(branch):
        return BuildBranch(branch)
    return BuildBranch(policy.default, f"refs/heads/{branch}")


def _request_of_change(change: ChangeFacts) -> Optional[BuildBranch]:
    """The request that a change belongs to, with its target as it was given; None where it is a change of a branch."""
    if change.category == _MERGED:
        return None
    proposal = _proposal_of_change(change)
    if proposal is None:
        return None
    target = next((str(change.properties[name]) for name in _TARGETS if change.properties.get(name)), UNKNOWN)
    return BuildBranch(target, proposal)


def _proposal_of_change(change: ChangeFacts) -> Optional[str]:
    by_ref = _request_of_ref(change.branch)
    if by_ref is not None:
        return by_ref.proposal
    properties = change.properties
    if "source_branch" in properties and "target_branch" in properties:
        return f"gitlab!{_number_in(change.revlink) or 'unknown'}"
    if "pr_number" in properties and "base_branch" in properties:
        return f"refs/pull/{properties['pr_number']}"
    url = properties.get("pullrequesturl")
    if url is None:
        return None
    found = _REQUEST_URL.search(str(url))
    if found is None:
        return str(url)
    kind, number = found.groups()
    return {"pull-requests": f"refs/pull-requests/{number}", "merge_requests": f"gitlab!{number}"}.get(
        kind, f"refs/pull/{number}"
    )


def _number_in(url: Optional[str]) -> Optional[str]:
    found = _REQUEST_URL.search(url or "")
    return found.group(2) if found else None


def _request_of_ref(ref: Optional[str]) -> Optional[BuildBranch]:
    """The request that a ref names by itself, of an unknown target; None for the ref of a branch."""
    proposal = proposal_of_ref(ref)
    return None if proposal is None else BuildBranch(UNKNOWN, proposal)


def _plain(branch: Optional[str], policy: BranchPolicy) -> str:
    """The name of a branch without ``refs/heads/`` and control characters; the default branch for none."""
    return plain_branch(branch) or policy.default


class BuildBranches:
    """The branch, the proposal and the machine class of each build, decided once, when a build captures first.

    ``policy`` and ``machine_property``, the name of a worker property, apply to builds that are not decided yet.
    """

    def __init__(self) -> None:
        self.policy = BranchPolicy()
        self.machine_property: Optional[str] = None
        self._decided: OrderedDict[int, tuple[BuildBranch, Optional[str]]] = OrderedDict()
        self._builders: OrderedDict[tuple[int, str], str] = OrderedDict()

    def builder_of(self, build: Any) -> str:
        """The builder of a live Buildbot build: a step may set the property of a virtual builder's name later."""
        key = (build.buildid, str(build.builder.name))
        name = self._builders.get(key)
        if name is None:
            name = _builder_of(build)
            if build.buildid is not None:
                _remember(self._builders, key, name)
        return name

    def of_build(self, build: Any) -> tuple[BuildBranch, Optional[str]]:
        """Branch and machine class of a live Buildbot build."""
        decided = self._decided.get(build.buildid)
        if decided is None:
            decided = (branch_of(sources_of(build), self.policy), self._machine_class(build))
            self.remember(build.buildid, *decided)
        return decided

    def of_reported(self, build: Mapping[str, Any]) -> tuple[BuildBranch, Optional[str]]:
        """Branch and machine class of the build that a reporter gets, where it has captured nothing before."""
        decided = self._decided.get(build["buildid"])
        if decided is None:
            properties = build.get("properties", {})
            value, source = properties.get(self.machine_property or "", (None, ""))
            machine = shortened(str(value)) if value is not None and source == "Worker" else None
            decided = (branch_of(_reported_sources(build), self.policy), machine)
            self.remember(build["buildid"], *decided)
        return decided

    def is_decided(self, buildid: int) -> bool:
        """Whether a build has captured anything."""
        return buildid in self._decided

    def is_proposal(self, buildid: int) -> bool:
        """Whether a build whose branch is decided builds a proposal."""
        decided = self._decided.get(buildid)
        return decided is not None and decided[0].is_proposal

    def remember(self, buildid: Optional[int], branch: BuildBranch, machine: Optional[str]) -> None:
        """Keep a decision; a build without an id is decided anew each time."""
        if buildid is not None:
            _remember(self._decided, buildid, (branch, machine))

    def _machine_class(self, build: Any) -> Optional[str]:
        """The worker's own property: a step may set a property of the same name on the build."""
        worker = getattr(getattr(build, "workerforbuilder", None), "worker", None)
        properties = getattr(worker, "properties", None)
        if self.machine_property is None or properties is None:
            return None
        found = properties.getProperty(self.machine_property)
        return None if found is None else shortened(str(found))


def _remember(decided: OrderedDict[Any, Any], key: Any, what: Any) -> None:
    decided[key] = what
    if len(decided) > MAX_DECIDED:
        decided.popitem(last=False)


def _builder_of(build: Any) -> str:
    builder = build.builder
    shown = build.getProperty(VIRTUAL_BUILDER)
    builderid = getattr(build, "_builderid", None)
    if builderid is not None and builderid == getattr(builder, "_builderid", None):
        return str(builder.name)
    configured = getattr(getattr(builder, "botmaster", None), "builders", None) or ()
    return builder_name(str(builder.name), shown, is_configured=str(shown) in configured)


def builder_name(name: str, shown: Any, *, is_configured: bool) -> str:
    """The builder of the points of a build: that by whose name Buildbot shows the build, and by whose rules it is seen.

    ``name`` is the builder in master.cfg that ran it, ``shown`` the name of a virtual builder, if it is one.  A virtual
    builder that has the name of one in master.cfg (``is_configured``) must not add values to that one's.
    """
    if not isinstance(shown, str) or not shown.strip() or shown == name:
        return name
    shown = without_hidden(shown)
    return f"{shown} (virtual builder of {name})" if is_configured else shown


def sources_of(build: Any) -> list[SourceFacts]:
    """The facts of a live Buildbot build: its source stamps, with the changes of all requests that it answers."""
    stamps: dict[str, list[Any]] = {}
    for request in getattr(build, "requests", ()):
        for stamp in request.sources.values():
            stamps.setdefault(stamp.codebase, []).append(stamp)
    return [
        SourceFacts(
            codebase=codebase,
            branch=same[-1].branch,
            has_patch=any(stamp.patch is not None for stamp in same),
            changes=tuple(change_facts(change) for stamp in same for change in stamp.changes),
        )
        for codebase, same in stamps.items()
    ]


def _reported_sources(build: Mapping[str, Any]) -> list[SourceFacts]:
    """The facts of a build of the Data API: its changes are known by the properties that they gave the build."""
    properties = {name: value for name, (value, source) in build.get("properties", {}).items() if source == "Change"}
    stamps = (build.get("buildset") or {}).get("sourcestamps") or ()
    changes = (ChangeFacts(category=properties.get("event"), properties=properties),) if properties else ()
    return [
        SourceFacts(stamp["branch"], stamp["codebase"], stamp.get("patch") is not None, changes) for stamp in stamps
    ]


def change_facts(change: Any) -> ChangeFacts:
    """The facts of a Buildbot change, whose properties have a source each, of which the change's own alone count."""
    return ChangeFacts(
        branch=change.branch,
        category=change.category,
        revlink=change.revlink,
        properties={name: value for name, value, _ in change.properties.asList()},
    )
