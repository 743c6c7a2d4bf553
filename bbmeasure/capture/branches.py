"""The branch that a build is judged on, and the proposal that it builds, from its source stamps and changes.

A *proposal* is code that is not part of a trusted branch: a pull or merge request, a Gerrit change, a try job, a patch,
or a branch outside ``trustedBranches``.  Its branch is its target, that is, the branch that it is to be merged into.

Each hook and poller describes a proposal in its own way:

- ``www.hooks.github``: branch ``refs/pull/N/merge``, property ``basename``.
- ``GitHubPullrequestPoller``: branch ``refs/pull/N/merge`` (``magic_link=True``) or the bare name of the head, property
  ``pullrequesturl``; the target only where ``github_property_whitelist`` holds ``github.base.ref``.
- ``www.hooks.gitlab``: branch is the *target*; category ``merge_request`` or ``note``, property ``target_branch``.
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

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Optional

#: The longest branch and the longest proposal that are kept, in characters; of a longer one a hash replaces the end.
LONGEST_NAME = 200
#: The branch of a build whose target is not known: such a build has no baseline.
UNKNOWN = ""

#: Categories of Bitbucket's hooks for a request that was merged.
_MERGED = "pull-fulfilled"
_GITHUB_REF = re.compile(r"refs/pull/(\d+)/")
_GITLAB_REF = re.compile(r"refs/merge-requests/(\d+)/")
_BITBUCKET_REF = re.compile(r"refs/pull-requests/(\d+)/")
_GERRIT_REF = re.compile(r"refs/changes/\d\d/(\d+)/\d+\Z")
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

    branch: str
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
    if any(one.branch == UNKNOWN for one in found):
        return BuildBranch(UNKNOWN, _shortened(proposal))
    others = [branch for branch in dict.fromkeys(one.branch for one in found) if branch != policy.default]
    return BuildBranch(_shortened("+".join(others) or policy.default), _shortened(proposal))


def _of_source(source: SourceFacts, policy: BranchPolicy) -> BuildBranch:
    requested = [one for one in map(_request_of_change, source.changes) if one is not None]
    request = requested[-1] if requested else _request_of_ref(source.branch)
    if request is not None:
        target = request.branch
        if target == UNKNOWN:
            return request
        return BuildBranch(_plain(target, policy), request.proposal)
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
    target = next((change.properties[name] for name in _TARGETS if change.properties.get(name)), UNKNOWN)
    return BuildBranch(str(target), proposal)


def _proposal_of_change(change: ChangeFacts) -> Optional[str]:
    by_ref = _request_of_ref(change.branch)
    if by_ref is not None:
        return by_ref.proposal
    properties = change.properties
    if change.category in ("merge_request", "note") and "target_branch" in properties:
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
    for pattern, form in (
        (_GITHUB_REF, "refs/pull/{}"),
        (_GITLAB_REF, "gitlab!{}"),
        (_BITBUCKET_REF, "refs/pull-requests/{}"),
        (_GERRIT_REF, "gerrit/{}"),
    ):
        found = pattern.match((ref or "").strip())
        if found:
            return BuildBranch(UNKNOWN, form.format(found.group(1)))
    return None


def _plain(branch: Optional[str], policy: BranchPolicy) -> str:
    """The name of a branch without ``refs/heads/`` and control characters; the default branch for none."""
    name = "".join(char if char.isprintable() else "\ufffd" for char in branch or "").strip()
    if name.startswith("refs/heads/"):
        name = name[len("refs/heads/") :]
    return name or policy.default


def _shortened(name: str) -> str:
    """The name, or its beginning with a hash of the whole, so that two long names that begin alike stay two."""
    name = "".join(char if char.isprintable() else "\ufffd" for char in name)
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{name[: LONGEST_NAME - len(digest) - 1]}~{digest}"


def sources_of(build: Any) -> list[SourceFacts]:
    """The facts of a live Buildbot build: its source stamps, with the changes of all requests that it answers."""
    stamps: dict[str, list[Any]] = {}
    for request in build.requests:
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


def change_facts(change: Any) -> ChangeFacts:
    """The facts of a Buildbot change, whose properties have a source each, of which the change's own alone count."""
    return ChangeFacts(
        branch=change.branch,
        category=change.category,
        revlink=change.revlink,
        properties={name: value for name, value, _ in change.properties.asList()},
    )
