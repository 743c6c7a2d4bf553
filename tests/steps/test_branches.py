"""Branch and proposal of builds whose changes come from Buildbot's own hooks and pollers, fed with real payloads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Optional

from buildbot.changes.bitbucket import BitbucketPullrequestPoller
from buildbot.changes.gerritchangesource import GerritChangeSourceBase
from buildbot.changes.github import GitHubPullrequestPoller
from buildbot.process.buildrequest import TempChange, TempSourceStamp
from buildbot.test.fake.web import FakeRequest, fakeMasterForHooks
from buildbot.test.reactor import TestReactorMixin
from buildbot.www.hooks import bitbucketcloud, bitbucketserver, github, gitlab
from twisted.internet import defer
from twisted.trial import unittest

from bbmeasure.capture.branches import (
    UNKNOWN,
    BranchPolicy,
    BuildBranch,
    ChangeFacts,
    SourceFacts,
    branch_of,
    sources_of,
)
from bbmeasure.refs import LONGEST_NAME

POLICY = BranchPolicy()
SHA = "9d1d5a1b2c3d4e5f60718293a4b5c6d7e8f90a1b"


def stamp(change: Mapping[str, Any]) -> TempSourceStamp:
    """The source stamp of a build of one change, as a build request has it."""
    properties = {name: (value, "Change") for name, value in (change.get("properties") or {}).items()}
    made = TempSourceStamp(
        {
            "branch": change["branch"],
            "codebase": change.get("codebase") or "",
            "revision": SHA,
            "patch": None,
            "ssid": 1,
        }
    )
    made.changes = [
        TempChange(
            {
                "branch": change["branch"],
                "category": change.get("category"),
                "revlink": change.get("revlink"),
                "properties": properties,
            }
        )
    ]
    return made


def judged(*changes: Mapping[str, Any], policy: BranchPolicy = POLICY) -> BuildBranch:
    """Branch and proposal of a build of those changes, each of a request of its own."""
    requests = [SimpleNamespace(sources={change.get("codebase") or "": stamp(change)}) for change in changes]
    return branch_of(sources_of(SimpleNamespace(requests=requests)), policy)


def github_pull(*, head: str = "main", base: str = "main", number: int = 12) -> dict[str, Any]:
    """A pull request of a fork as GitHub's events and its REST API describe it, as far as Buildbot reads it."""
    url = f"https://github.com/owner/project/pull/{number}"
    return {
        "url": f"https://api.github.com/repos/owner/project/pulls/{number}",
        "number": number,
        "state": "open",
        "title": "Fix it",
        "body": "As discussed.",
        "html_url": url,
        "created_at": "2024-05-01T09:00:00Z",
        "updated_at": "2024-05-01T10:00:00Z",
        "commits": 1,
        "_links": {"html": {"href": url}},
        "head": {"ref": head, "sha": SHA, "repo": {"full_name": "fork/project", "clone_url": "x", "html_url": "h"}},
        "base": {"ref": base, "sha": SHA, "repo": {"full_name": "owner/project", "clone_url": "y", "html_url": "o"}},
        "user": {"login": "somebody"},
    }


def gitlab_payload(kind: str) -> dict[str, Any]:
    """A merge request of a fork, from ``main`` to ``main``, or a comment on it."""
    project = {"name": "project", "git_http_url": "https://gitlab.example/o/p.git", "git_ssh_url": "git@x:o/p.git"}
    request = {
        "iid": 7,
        "title": "Fix it",
        "description": "",
        "source_branch": "main",
        "target_branch": "main",
        "source_project_id": 14,
        "target_project_id": 15,
        "source": project,
        "target": project,
        "state": "opened",
        "action": "open",
        "url": "https://gitlab.example/o/p/-/merge_requests/7",
        "last_commit": {
            "id": SHA,
            "message": "Fix",
            "timestamp": "2024-05-01T09:00:00+00:00",
            "author": {"name": "A", "email": "a@x"},
        },
    }
    if kind == "note":
        return {"object_kind": "note", "object_attributes": {"id": 1, "note": "/rebuild"}, "merge_request": request}
    return {"object_kind": "merge_request", "object_attributes": request}


def bitbucket_pull(*, cloud: bool) -> dict[str, Any]:
    """A pull request of Bitbucket's events, from ``main`` of a fork to ``release/1``."""
    own = {"href": "https://bitbucket.example/projects/P/repos/r"}
    links = {"self": own, "html": own} if cloud else {"self": [{"href": own["href"] + "/browse"}]}
    return {
        "actor": {"display_name": "A", "displayName": "A", "nickname": "a", "username": "a"},
        "repository": {"scmId": "git", "scm": "git", "project": {"name": "P"}, "links": links},
        "pullrequest": {
            "id": "21",
            "title": "Fix it",
            "link": "https://bitbucket.example/projects/P/repos/r/pull-requests/21",
            "fromRef": {"commit": {"hash": SHA}, "branch": {"name": "main"}},
            "toRef": {"commit": {"hash": SHA}, "branch": {"name": "release/1"}},
        },
    }


class HooksCase(TestReactorMixin, unittest.TestCase):
    """Feeds requests to the handlers of ``change_hook``."""

    @defer.inlineCallbacks
    def setUp(self) -> Any:
        done = self.setup_test_reactor()
        if done is not None:  # a Deferred before Buildbot 4.1
            yield done
        self.master = yield fakeMasterForHooks(self)

    @defer.inlineCallbacks
    def changes(self, handler: Any, payload: Any, **headers: str) -> Any:
        """The changes that a handler makes of a JSON payload."""
        request = FakeRequest(content=json.dumps(payload).encode())
        request.args = {}
        names = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        request.received_headers = {b"Content-Type": b"application/json", **names}
        found, _ = yield defer.maybeDeferred(handler.getChanges, request)
        return found


class TestGitHubHook(HooksCase):
    """``change_hook`` dialect github."""

    def handler(self) -> Any:
        """A handler that asks nothing of GitHub."""
        made = github.GitHubEventHandler(self.master, None, {})
        self.patch(made, "_get_commit_msg", lambda *_: defer.succeed("Fix"))
        self.patch(made, "_get_pr_files", lambda *_: defer.succeed([]))
        return made

    @defer.inlineCallbacks
    def test_a_fork_from_main_to_main_is_a_proposal(self) -> Any:
        """The target is the base of the pull request."""
        payload = {
            "action": "opened",
            "number": 12,
            "pull_request": github_pull(base="release/1"),
            "repository": {"full_name": "owner/project", "html_url": "https://github.com/owner/project"},
            "sender": {"login": "somebody"},
        }
        (change,), _ = yield self.handler().handle_pull_request(payload, "pull_request")
        assert judged(change) == BuildBranch("release/1", "refs/pull/12")

    def test_a_push_is_a_build_of_its_branch(self) -> None:
        """A branch is stripped of ``refs/heads/``."""
        commit = {
            "id": SHA,
            "message": "Fix",
            "timestamp": "2024-05-01T09:00:00Z",
            "url": "https://github.com/owner/project/commit/1",
            "author": {"name": "A", "email": "a@x"},
            "committer": {"name": "A", "email": "a@x"},
            "distinct": True,
        }
        payload = {
            "ref": "refs/heads/release/1",
            "deleted": False,
            "commits": [commit],
            "head_commit": commit,
            "repository": {"name": "project", "html_url": "https://x", "full_name": "owner/project"},
        }
        (change,), _ = self.handler().handle_push(payload, "push")
        assert judged(change) == BuildBranch("release/1")


class TestGitLabHook(HooksCase):
    """``change_hook`` dialect gitlab, whose changes carry the target as their branch."""

    @defer.inlineCallbacks
    def test_a_merge_request_and_a_comment_on_it_are_proposals(self) -> Any:
        """Although the branch of the change is the target."""
        for kind in ("merge_request", "note"):
            (change,) = yield self.changes(gitlab.GitLabHandler(self.master, {}), gitlab_payload(kind))
            assert change["branch"] == "main"
            assert judged(change) == BuildBranch("main", "gitlab!7")


class TestBitbucketHooks(HooksCase):
    """``change_hook`` dialects bitbucketcloud and bitbucketserver."""

    HANDLERS = (
        (bitbucketcloud.BitbucketCloudEventHandler, True),
        (bitbucketserver.BitbucketServerEventHandler, False),
    )

    @defer.inlineCallbacks
    def request(self, event: str, **options: Any) -> Any:
        """What a build of a pull request's event is judged on, from either hook."""
        answers = []
        for handler, cloud in self.HANDLERS:
            made = handler(self.master, dict(options))
            (change,) = yield self.changes(made, bitbucket_pull(cloud=cloud), X_Event_Key=f"pullrequest:{event}")
            answers.append(judged(change))
        assert answers[0] == answers[1]
        return answers[0]

    @defer.inlineCallbacks
    def test_a_request_is_a_proposal(self) -> Any:
        """Its target is known where the hook is told to keep it."""
        for event in ("created", "updated"):
            assert (yield self.request(event)) == BuildBranch(UNKNOWN, "refs/pull-requests/21")
            kept = ["bitbucket.toRef.branch.name"]
            answer = yield self.request(event, bitbucket_property_whitelist=kept)
            assert answer == BuildBranch("release/1", "refs/pull-requests/21")

    @defer.inlineCallbacks
    def test_a_merged_request_is_a_build_of_the_target(self) -> Any:
        """``pull-fulfilled`` has a ``pullrequesturl`` all the same."""
        assert (yield self.request("fulfilled")) == BuildBranch("release/1")

    @defer.inlineCallbacks
    def test_a_rejected_request_stays_a_proposal(self) -> Any:
        """It builds the head of a fork, here called ``main``."""
        assert (yield self.request("rejected")) == BuildBranch(UNKNOWN, "refs/pull-requests/21")

    @defer.inlineCallbacks
    def test_a_push_is_a_build_of_its_branch(self) -> Any:
        """Bitbucket's pushes are named ``refs/heads/X``."""
        for handler, cloud in self.HANDLERS:
            new = {"type": "branch", "name": "main", "target": {"hash": SHA}}
            payload = {**bitbucket_pull(cloud=cloud), "push": {"changes": [{"new": new, "old": None}]}}
            (change,) = yield self.changes(handler(self.master, {}), payload, X_Event_Key="repo:push")
            assert judged(change) == BuildBranch("main")


class TestPollers(HooksCase):
    """Pollers, whose HTTP is replaced by what the services answer."""

    @defer.inlineCallbacks
    def github(self, whitelist: list[str], *, magic_link: bool) -> Any:
        """What a build of a pull request of a fork from ``main`` to ``release/1`` is judged on."""
        poller = GitHubPullrequestPoller("owner", "project")
        self.patch(GitHubPullrequestPoller, "master", self.master)
        poller.branches = poller.pullrequest_filter = None
        poller.magic_link, poller.repository_type, poller.project = magic_link, "clone_url", None
        poller.category, poller.external_property_whitelist = "pull", whitelist
        people = defer.succeed([["A", "a@x"]])
        for name, answer in (
            ("_getCurrentRev", defer.succeed(None)),
            ("_setCurrentRev", defer.succeed(None)),
            ("_getPullInformation", defer.succeed(github_pull(base="release/1"))),
            ("_getAuthors", people),
            ("_getCommitters", defer.succeed([["A", "a@x"]])),
            ("_getFiles", defer.succeed([])),
        ):
            self.patch(poller, name, lambda *_, answer=answer: answer)
        yield poller._processChanges([github_pull(base="release/1")])
        return judged(self.master.data.updates.changesAdded[-1])

    @defer.inlineCallbacks
    def test_github(self) -> Any:
        """With and without ``magic_link``, the request is known by its address; the target by the whitelist alone."""
        for magic_link in (False, True):
            assert (yield self.github([], magic_link=magic_link)) == BuildBranch(UNKNOWN, "refs/pull/12")
            answer = yield self.github(["github.base.ref"], magic_link=magic_link)
            assert answer == BuildBranch("release/1", "refs/pull/12")

    @defer.inlineCallbacks
    def test_bitbucket(self) -> Any:
        """The branch of the change is the bare name of the head."""
        own = "https://api.bitbucket.org/x"
        pull = {
            "id": 5,
            "title": "Fix it",
            "updated_on": "2024-05-01T09:00:00.000000+00:00",
            "author": {"display_name": "A"},
            "links": {"self": {"href": own}, "html": {"href": "https://bitbucket.org/o/r/pull-requests/5"}},
            "source": {
                "branch": {"name": "main"},
                "commit": {"hash": SHA[:12], "links": {"self": {"href": own}}},
                "repository": {"links": {"self": {"href": own}}},
            },
            "destination": {"branch": {"name": "release/1"}},
        }
        commit = {"hash": SHA, "links": {"html": {"href": own}, "diff": {"href": own}}}
        for whitelist, target in (([], UNKNOWN), (["bitbucket.destination.branch.name"], "release/1")):
            poller = BitbucketPullrequestPoller("o", "r")
            self.patch(BitbucketPullrequestPoller, "master", self.master)
            poller.branch, poller.useTimestamps = None, True
            poller.pullrequest_filter, poller.category, poller.project = lambda _: True, None, ""
            poller.external_property_whitelist = whitelist
            bodies = iter([pull, commit, None, {"links": {"html": {"href": own}}}])
            poller._http = SimpleNamespace(get=lambda *_, bodies=bodies, **__: defer.succeed(_Answer(next(bodies))))
            self.patch(poller, "_getCurrentRev", lambda _: defer.succeed(None))
            self.patch(poller, "_setCurrentRev", lambda *_: defer.succeed(None))
            yield poller._processChanges({"values": [pull]})
            answer = judged(self.master.data.updates.changesAdded[-1])
            assert answer == BuildBranch(target, "refs/pull-requests/5")

    @defer.inlineCallbacks
    def test_gerrit(self) -> Any:
        """A patch set is a proposal to its change's branch, a merged change a build of it."""
        source = GerritChangeSourceBase.__new__(GerritChangeSourceBase)
        self.patch(GerritChangeSourceBase, "master", self.master)
        source.gitBaseURL, source.debug, source._get_files = "ssh://g", False, False
        source.handled_events = ["patchset-created", "change-merged", "ref-updated"]
        event = {
            "change": {
                "branch": "release/1",
                "project": "p",
                "number": "1234",
                "subject": "Fix",
                "url": "https://g/1234",
                "owner": {"username": "a"},
            },
            "patchSet": {"revision": SHA, "number": "5", "ref": "refs/changes/34/1234/5"},
        }
        for kind, wanted in (
            ("patchset-created", BuildBranch("release/1", "gerrit/1234")),
            ("change-merged", BuildBranch("release/1")),
        ):
            yield source.eventReceived({"type": kind, **event})
            assert judged(self.master.data.updates.changesAdded[-1]) == wanted


class _Answer:
    """An HTTP answer of Bitbucket."""

    def __init__(self, body: Optional[Mapping[str, Any]]) -> None:
        self._body = body

    def json(self) -> Any:
        return defer.succeed(self._body)

    def content(self) -> Any:
        return defer.succeed(b"")


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
