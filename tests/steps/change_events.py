"""Pull requests as the events of hosting services describe them, and what a build of their changes is judged on."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from buildbot.process.buildrequest import TempChange, TempSourceStamp

from bbmeasure.capture.branches import (
    BranchPolicy,
    BuildBranch,
    branch_of,
    sources_of,
)

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
