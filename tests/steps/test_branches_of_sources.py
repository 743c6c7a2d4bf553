"""Branch and proposal of builds whose source stamps no hook made."""

from __future__ import annotations

from typing import Any, Optional

from twisted.trial import unittest

from bbmeasure.capture.branches import (
    UNKNOWN,
    BranchPolicy,
    BuildBranch,
    ChangeFacts,
    SourceFacts,
    branch_of,
)
from bbmeasure.refs import LONGEST_NAME
from tests.steps.change_events import POLICY, judged


def source(branch: Optional[str] = None, **facts: Any) -> SourceFacts:
    """A source stamp without changes, as a scheduler or a person makes it."""
    return SourceFacts(branch, **facts)


class TestBranchOf(unittest.TestCase):
    """Builds whose source stamps no hook made."""

    def test_no_source_stamp_is_the_default_branch(self) -> None:
        """As is a source stamp without a branch."""
        assert branch_of([], POLICY) == BuildBranch("main")
        assert branch_of([source(), source("", codebase="x")], POLICY) == BuildBranch("main")

    def test_gitea(self) -> None:
        """The hook of buildbot-gitea gives branch and revision of the target."""
        properties = {"pr_number": 9, "base_branch": "main", "head_branch": "main"}
        change = ChangeFacts("main", "pull_request", "https://gitea.example/o/r/pulls/9", properties)
        assert branch_of([source("main", changes=[change])], POLICY) == BuildBranch("main", "refs/pull/9")

    def test_a_try_job_is_a_proposal_to_its_branch(self) -> None:
        """Whatever sent the patch."""
        assert branch_of([source("release/1", has_patch=True)], POLICY) == BuildBranch("release/1", "try")
        strict = BranchPolicy(trusted=["main"])
        assert branch_of([source("mine", has_patch=True)], strict) == BuildBranch("main", "try")

    def test_a_ref_of_a_request_is_a_proposal_without_changes(self) -> None:
        """A person forces a build of it; its target is unknown."""
        for ref, proposal in (
            ("refs/pull/3/merge", "refs/pull/3"),
            ("refs/pull/3/head", "refs/pull/3"),
            ("refs/merge-requests/3/head", "gitlab!3"),
            ("refs/pull-requests/3/from", "refs/pull-requests/3"),
            ("refs/changes/03/3/1", "gerrit/3"),
        ):
            assert branch_of([source(ref)], POLICY) == BuildBranch(UNKNOWN, proposal)

    def test_untrusted_branches_are_proposals_to_the_default_branch(self) -> None:
        """The default branch is always trusted."""
        strict = BranchPolicy("trunk", ["release/*"])
        assert branch_of([source("trunk")], strict) == BuildBranch("trunk")
        assert branch_of([source("refs/heads/release/2")], strict) == BuildBranch("release/2")
        assert branch_of([source("feature")], strict) == BuildBranch("trunk", "refs/heads/feature")

    def test_several_codebases(self) -> None:
        """One proposal makes the build a proposal; the branch is the one that is not the default."""
        app, library = source("feature", codebase="app"), source("main", codebase="library")
        assert branch_of([library, app], POLICY) == BuildBranch("feature")
        both = [app, source("other", codebase="library")]
        assert branch_of(both, POLICY) == branch_of(both[::-1], POLICY) == BuildBranch("feature+other")
        request = source("refs/pull/3/merge", codebase="app")
        assert branch_of([request, library], POLICY) == BuildBranch(UNKNOWN, "refs/pull/3")

    def test_requests_that_were_merged_into_one_build(self) -> None:
        """A push and a request whose change carries the target: the code of the request is in the build."""
        push = {"branch": "main", "category": "push"}
        properties = {"source_branch": "main", "target_branch": "main"}
        request = {"branch": "main", "category": "merge_request", "properties": properties}
        request["revlink"] = "https://gitlab.example/o/p/-/merge_requests/7"
        for changes in ((push, request), (request, push)):
            assert judged(*changes) == BuildBranch("main", "gitlab!7")

    def test_hostile_names(self) -> None:
        """Long names keep apart by a hash, control characters are replaced, and no name is that of a proposal."""
        first, second = ("x" * 4_000 + end for end in "ab")
        names = {branch_of([source(name)], POLICY).branch for name in (first, second)}
        assert len(names) == 2
        assert {len(name) for name in names} == {LONGEST_NAME}
        assert branch_of([source("a\nb\x1b[31m\u202e")], POLICY) == BuildBranch("a\ufffdb\ufffd[31m\ufffd")
        assert branch_of([source("try")], POLICY) == BuildBranch("try")
        assert branch_of([source(" refs/pull/3/merge")], POLICY).proposal == "refs/pull/3"
        with_changes = ChangeFacts(properties={"pullrequesturl": "javascript:alert(1)" + "x" * 4_000})
        assert len(branch_of([source(changes=[with_changes])], POLICY).proposal) == LONGEST_NAME
