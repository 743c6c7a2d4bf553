"""Branch and proposal of builds whose changes come from Buildbot's own hooks and pollers, fed with real payloads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Optional

from buildbot.changes.bitbucket import BitbucketPullrequestPoller
from buildbot.changes.gerritchangesource import GerritChangeSourceBase
from buildbot.changes.github import GitHubPullrequestPoller
from buildbot.test.fake.web import FakeRequest, fakeMasterForHooks
from buildbot.test.reactor import TestReactorMixin
from buildbot.www.hooks import bitbucketcloud, bitbucketserver, github, gitlab
from twisted.internet import defer
from twisted.trial import unittest

from bbmeasure.capture.branches import (
    UNKNOWN,
    BuildBranch,
)
from tests.steps.change_events import SHA, bitbucket_pull, github_pull, gitlab_payload, judged


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
        html = {"href": "https://bitbucket.org/x"}
        link = {
            name: {"href": f"https://api.bitbucket.org/{name}"} for name in ("pull", "commit", "diff", "repository")
        }
        pull = {
            "id": 5,
            "title": "Fix it",
            "updated_on": "2024-05-01T09:00:00.000000+00:00",
            "author": {"display_name": "A"},
            "links": {"self": link["pull"], "html": {"href": "https://bitbucket.org/o/r/pull-requests/5"}},
            "source": {
                "branch": {"name": "main"},
                "commit": {"hash": SHA[:12], "links": {"self": link["commit"]}},
                "repository": {"links": {"self": link["repository"]}},
            },
            "destination": {"branch": {"name": "release/1"}},
        }
        answers = {
            "pull": pull,
            "commit": {"hash": SHA, "links": {"html": html, "diff": link["diff"]}},
            "repository": {"links": {"html": html}},
        }
        for whitelist, target in (([], UNKNOWN), (["bitbucket.destination.branch.name"], "release/1")):
            poller = BitbucketPullrequestPoller("o", "r")
            self.patch(BitbucketPullrequestPoller, "master", self.master)
            poller.branch, poller.useTimestamps = None, True
            poller.pullrequest_filter, poller.category, poller.project = lambda _: True, None, ""
            poller.external_property_whitelist = whitelist
            poller._http = SimpleNamespace(get=lambda url: defer.succeed(_Answer(answers.get(url.rpartition("/")[2]))))
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
