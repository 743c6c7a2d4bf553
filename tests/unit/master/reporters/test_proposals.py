"""The proposal that a build builds, by the changes that hooks and pollers make."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from twisted.internet import defer

from bbmeasure.capture.branches import BranchPolicy
from bbmeasure.master.reporters.proposals import proposed_builds
from bbmeasure.master.reporters.services import Target

GITHUB, GITLAB = "https://github.example", "https://gitlab.example"


def stamp(branch="main", repository=f"{GITHUB}/o/p", revision="abc", ssid=5, codebase="", changes=(), patch=None):
    return {
        "stamp": {
            "ssid": ssid, "branch": branch, "repository": repository, "revision": revision, "codebase": codebase,
            "patch": patch,
        },
        "changes": list(changes),
    }  # fmt: skip


def change(changeid=9, branch="main", revlink=None, category=None, **properties):
    given = {name: (value, "Change") for name, value in properties.items()}
    return {"changeid": changeid, "branch": branch, "revlink": revlink, "category": category, "properties": given}


def proposals(*stamps):
    """The proposals of build 1 with those source stamps."""
    found = {
        ("builds", 1): {"buildrequestid": 2, "builderid": 3, "number": 7},
        ("buildrequests", 2): {"buildsetid": 4},
        ("buildsets", 4): {"sourcestamps": [one["stamp"] for one in stamps]},
        ("builders", 3): {"name": "b"},
        **{("sourcestamps", one["stamp"]["ssid"], "changes"): one["changes"] for one in stamps},
    }
    data = SimpleNamespace(get=lambda path: defer.succeed(found.get(path)))
    branches = SimpleNamespace(policy=BranchPolicy("main", ["main"]))
    state = SimpleNamespace(master=SimpleNamespace(data=data), pipeline=SimpleNamespace(branches=branches))
    return proposed_builds(state, 1).result


@pytest.mark.parametrize(
    ("given", "host", "kind", "target", "branch"),
    [
        pytest.param(
            stamp("refs/pull/12/merge", changes=[change(branch="refs/pull/12/merge", basename="next",
                                                        pullrequesturl=f"{GITHUB}/o/p/pull/12")]),
            "github.example", "pull", Target("o/p", 12), "next", id="GitHub's hook",
        ),
        pytest.param(
            stamp("main", f"{GITHUB}/fork/p", changes=[change(pullrequesturl=f"{GITHUB}/o/p/pull/12")]),
            "github.example", "pull", Target("o/p", 12), None, id="GitHub's poller, for a fork",
        ),
        pytest.param(
            stamp("main", f"{GITLAB}/g/sub/p.git", changes=[change(
                revlink=f"{GITLAB}/g/sub/p/-/merge_requests/7", source_branch="main", target_branch="main")]),
            "gitlab.example", "merge_requests", Target("g/sub/p", 7), "main", id="GitLab's hook, for a subgroup",
        ),
        pytest.param(
            stamp("main", changes=[change(
                revlink=f"{GITLAB}/g/p/merge_requests/7", source_branch="x", target_branch="next")]),
            "gitlab.example", "merge_requests", Target("g/p", 7), "next", id="an old GitLab",
        ),
        pytest.param(
            stamp("refs/pull/3/head", "git@github.example:o/p.git"),
            "github.example", "pull", Target("o/p", 3), None, id="a build without changes",
        ),
    ],
)  # fmt: skip
def test_where_a_proposal_is(given, host, kind, target, branch):
    """Host, kind, project and number are those of the request, in the project that it is to be merged into."""
    (found,) = proposals(given)
    assert (found.host, found.kind, found.target, found.branch) == (host, kind, target, branch)
    assert (found.builder, found.number, found.revision) == ("b", 7, "abc")


@pytest.mark.parametrize(
    "given",
    [
        stamp("main", changes=[change()]),
        stamp("feature"),
        stamp("main", patch={"patchid": 1}),
        stamp("main", changes=[change(pullrequesturl="https://bitbucket.example/o/p/pull-requests/3")]),
        stamp("refs/pull/3/head", ""),
        stamp("refs/pull/3/head", "https://github.example/p"),
        stamp("refs/changes/34/1234/5", changes=[change(branch="refs/changes/34/1234/5", target_branch="main")]),
    ],
    ids=["branch", "untrusted", "try", "bitbucket", "no repository", "no owner", "gerrit"],
)
def test_no_proposal_of_these_services(given):
    """Builds of branches, and proposals of other services, get no comment."""
    assert proposals(given) == []


@pytest.mark.parametrize("url", [f"{GITHUB}/../secret/pull/1", f"{GITHUB}/o/x?y=/pull/1", f"{GITHUB}/o x/y/pull/1"])
def test_an_odd_page(url):
    """The address of a page that is no project is not asked for; the repository's project is."""
    (found,) = proposals(stamp("main", changes=[change(pullrequesturl=url)]))
    assert found.target == Target("o/p", 1)


def test_later_revisions_are_greater():
    """The order follows the newest change of a stamp, as a stamp is used again for an earlier revision."""
    request = {"pullrequesturl": f"{GITHUB}/o/p/pull/12"}
    first = proposals(stamp(ssid=5, changes=[change(1, **request)]))[0]
    second = proposals(stamp(ssid=6, changes=[change(2, **request)]))[0]
    first_again = proposals(stamp(ssid=5, changes=[change(1, **request), change(3, **request)]))[0]
    assert first.order < second.order < first_again.order
    assert first.stamp == first_again.stamp


def test_several_codebases():
    """A build of two requests is of both."""
    found = proposals(
        stamp(codebase="a", ssid=5, changes=[change(pullrequesturl=f"{GITHUB}/o/a/pull/1")]),
        stamp(codebase="b", ssid=6, changes=[change(pullrequesturl=f"{GITHUB}/o/b/pull/2")]),
        stamp(codebase="c", ssid=7),
    )
    assert [one.target for one in found] == [Target("o/a", 1), Target("o/b", 2)]
    assert {one.name for one in found} == {"refs/pull/1+refs/pull/2"}


def test_a_build_that_is_gone():
    """A build that Buildbot's database does not have any more is of no proposal."""
    data = SimpleNamespace(get=lambda path: defer.succeed(None))
    state = SimpleNamespace(master=SimpleNamespace(data=data))
    assert proposed_builds(state, 1).result == []
