"""Builds of main, of a branch and of forks' requests in turn: main is as if the others had not been."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bbmeasure.testing.site import Site
from tests.e2e.masters import BASE_CONFIG, report, run_command

CONFIG = """
c["www"]["plugins"] = {"bbmeasure": {}}
c["www"]["change_hook_dialects"] = {
    "gitlab": True, "github": {"github_api_endpoint": f"http://127.0.0.1:{WWW_PORT}"},  # which has no such path
}
c["collapseRequests"] = False
f = util.BuildFactory()
f.addStep(steps.SetProperty(property="branch", value="main"))  # what a step sets decides nothing
f.addStep(steps.MeasureShellCommand(name="size", command=["echo", util.Interpolate("%(src::revision)s")], unit="bytes"))
add(util.MeasuredBuilderConfig(name="b", workernames=["worker"], factory=f))
c["schedulers"].append(schedulers.AnyBranchScheduler(name="any", builderNames=["b"], treeStableTimer=None))
c["services"] = [util.SQLiteInstance(trackBuildTimes=True), util.MeasurementPolicy(trustedBranches=["main", "next"])]
"""
TIME = "2026-11-24T10:00:00Z"
AUTHOR = {"name": "a", "email": "a@example.org"}
#: The revisions that were built of each branch and request, which are the sizes.
MAIN, NEXT, UNTRUSTED, GITLAB, GITHUB = (100, 101, 102), 5_000, 3_000, 900, 800


def push(branch: str, revision: int) -> dict[str, Any]:
    """GitLab's payload of a push."""
    commit = {
        "id": str(revision),
        "timestamp": TIME,
        "author": AUTHOR,
        "message": "m",
        "url": "https://gitlab.example/c",
    }
    repository = {"name": "p", "url": "https://gitlab.example/o/p.git"}
    return {
        "object_kind": "push", "ref": f"refs/heads/{branch}", "user_name": "a", "repository": repository,
        "commits": [commit],
    }  # fmt: skip


def merge_request(revision: int) -> dict[str, Any]:
    """GitLab's payload of a request from the branch main of a fork to main."""
    side = {"name": "p", "git_http_url": "https://gitlab.example/o/p.git", "git_ssh_url": "git@gitlab.example:o/p.git"}
    commit = {"id": str(revision), "timestamp": TIME, "author": AUTHOR}
    attributes = {
        "iid": 7, "state": "opened", "action": "open", "title": "t", "description": "d", "last_commit": commit,
        "source": side, "target": side, "source_branch": "main", "target_branch": "main", "source_project_id": 2,
        "target_project_id": 1, "url": "https://gitlab.example/o/p/-/merge_requests/7",
    }  # fmt: skip
    return {"object_kind": "merge_request", "object_attributes": attributes}


def pull_request(revision: int) -> dict[str, Any]:
    """GitHub's payload of a request from the branch main of a fork to main."""
    url = "https://github.example/o/p"
    request = {
        "base": {"ref": "main", "repo": {"full_name": "o/p"}}, "head": {"sha": str(revision), "ref": "main"},
        "commits": 1, "title": "t", "body": "b", "created_at": TIME, "_links": {"html": {"href": f"{url}/pull/12"}},
    }  # fmt: skip
    repository = {"full_name": "o/p", "html_url": url}
    return {
        "number": 12, "action": "opened", "pull_request": request, "repository": repository, "sender": {"login": "x"},
    }  # fmt: skip


def post(site: Site, dialect: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Post a payload to a change hook, and wait for the build that it causes."""
    before = len(site.get("builds")["builds"])
    request = urllib.request.Request(
        f"{site.url}change_hook/{dialect}",
        json.dumps(payload).encode(),
        {"Content-Type": "application/json", "X-GitHub-Event": "pull_request"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 202 or answer.status == 200

    def finished() -> Any:
        builds = site.get("builds")["builds"]
        return builds[-1] if len(builds) > before and builds[-1]["complete"] else None

    built: dict[str, Any] = site.wait_for(finished, f"a build of {dialect}'s change", 60)
    assert built["results"] == 0
    return built


def get(site: Site, path: str, **arguments: Any) -> Any:
    """The answer of the JSON API."""
    query = urllib.parse.urlencode(arguments)
    with urllib.request.urlopen(f"{site.url}plugins/bbmeasure/api/v1/{path}?{query}", timeout=60) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A master that has built main, branches and requests in turn; ``builds`` are these by the size."""
    with Site(tmp_path_factory.mktemp("site"), BASE_CONFIG + CONFIG) as running:
        builds = {MAIN[0]: post(running, "gitlab", push("main", MAIN[0]))}
        builds[NEXT] = post(running, "gitlab", push("next", NEXT))
        builds[GITLAB] = post(running, "gitlab", merge_request(GITLAB))
        builds[MAIN[1]] = post(running, "gitlab", push("main", MAIN[1]))
        builds[UNTRUSTED] = post(running, "gitlab", push("feature", UNTRUSTED))
        builds[GITHUB] = post(running, "github", pull_request(GITHUB))
        builds[MAIN[2]] = post(running, "gitlab", push("main", MAIN[2]))
        running.builds = builds  # type: ignore[attr-defined]  # added for the tests
        yield running


def values(site: Site, **filters: Any) -> list[float]:
    """The sizes that the API has for a selection."""
    return [point["value"] for point in get(site, "points", series="size", **filters)["points"]]


def test_points_of_main(site: Site) -> None:
    """A branch is apart, proposals are left out unless they are selected."""
    assert values(site, branch="main") == [100, 101, 102]
    assert values(site) == [100, 5000, 101, 102]
    assert values(site, branch="main", proposal="*") == [100, 900, 101, 3000, 800, 102]
    assert values(site, proposal="gitlab!7") == [900]
    assert values(site, proposal="refs/pull/12") == [800]
    assert values(site, proposal="refs/heads/feature") == [3000]
    buckets = get(site, "points", series="size", branch="main", buckets=1)["buckets"]
    assert (buckets[0]["count"], buckets[0]["maximum"]) == (3, 102)


def test_the_list_of_series_leaves_requests_out(site: Site) -> None:
    """Points of requests change neither count nor last value of a series; ``*`` includes them."""

    def listed(**filters: Any) -> tuple[int, float, list[str]]:
        (size,) = [one for one in get(site, "series", **filters)["series"] if one["name"] == "size"]
        return size["count"], size["last_value"], size["builders"]

    (builder,) = listed()[2]
    assert listed() == (4, 102, [builder])
    assert listed(branch="main") == (3, 102, [builder])
    assert listed(proposal="*") == (7, 102, [builder])
    assert listed(proposal="refs/pull/12") == (1, 800, [builder])


def test_the_point_of_a_request(site: Site) -> None:
    """It has the branch that the request is to be merged into, and the request's name."""
    (point,) = get(site, "points", series="size", proposal="refs/pull/12")["points"]
    assert (point["branch"], point["proposal"]) == ("main", "refs/pull/12")


def test_the_value_before(site: Site) -> None:
    """The value before is of the same line; a request is compared with the line of its target."""

    def previous(size: int) -> Any:
        records = get(site, "records", buildid=site.builds[size]["buildid"])["records"]  # type: ignore[attr-defined]  # added by the fixture
        return next(record["previous"] for record in records if record["series"] == "size")

    assert [previous(size) for size in MAIN] == [None, 100, 101]
    assert [previous(size) for size in (NEXT, GITLAB, UNTRUSTED, GITHUB)] == [None, 100, 101, 101]


def test_the_summaries_of_steps(site: Site) -> None:
    """The change in a summary is the change of the line."""

    def summary(size: int) -> str:
        step = site.steps(site.builds[size])["size"]  # type: ignore[attr-defined]  # added by the fixture
        return str(step["state_string"])

    assert "(+1.0 %)" in summary(MAIN[1])
    assert "(+1.0 %)" in summary(MAIN[2])
    assert "(+800 %)" in summary(GITLAB)
    assert "%" not in summary(NEXT)


def test_reports(site: Site) -> None:
    """The statistics of main are those of its builds; without a branch the report says what it mixes."""
    main = report(site.journal, "size", "--branch", "main")
    assert (main["count"], main["statistics"]["average"], main["lines"]) == (3, 101, 1)
    mixed = report(site.journal, "size")
    assert (mixed["count"], mixed["lines"], mixed["branches"]) == (4, 2, ["main", "next"])
    assert report(site.journal, "size", "--proposals")["count"] == 7
    assert report(site.journal, "size", "--proposal", "gitlab!7")["statistics"]["last"] == 900
    shown = run_command("report", "size", "--journal", str(site.journal)).stdout
    assert "mixes 2 lines of 2 branches: main, next; --branch selects one" in shown
    assert "mixes" not in run_command("report", "size", "--journal", str(site.journal), "--branch", "main").stdout
    over_http = run_command("report", "size", "--url", site.url, "--branch", "main", "--json").stdout
    assert json.loads(over_http) == main


def test_durations_of_builds(site: Site) -> None:
    """What is captured when a build ends is of the same branch and proposal."""
    assert len(get(site, "points", series="build_duration", branch="main")["points"]) == 3
    every = get(site, "points", series="build_duration", proposal="*")["points"]
    proposals = [point["proposal"] for point in every if point["proposal"]]
    assert sorted(proposals) == ["gitlab!7", "refs/heads/feature", "refs/pull/12"]


def test_hostile_branches(site: Site, tmp_path: Path) -> None:
    """A branch with control characters, one that is named like a request, and a build without a branch."""
    assert site.build("b", branch="a\x1b[31m\n", revision="1")["results"] == 0
    assert site.build("b", branch="refs/pull/99/merge", revision="2")["results"] == 0
    before = len(values(site, branch="main"))
    assert site.build("b", branch="", revision="3")["results"] == 0
    assert values(site, branch="main")[before:] == [3]
    assert values(site, proposal="refs/pull/99") == [2]
    (point,) = [one for one in get(site, "points", series="size", proposal="*")["points"] if one["value"] == 1]
    assert point["branch"] == "main"
    assert point["proposal"].startswith("refs/heads/a\ufffd[31m")
