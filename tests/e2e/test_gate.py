"""The gate: a step of a noisy line is confirmed once, with its commit; it fails builds until it is accepted."""

from __future__ import annotations

import json
import random
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from buildbot.process.results import FAILURE, SUCCESS

from bbmeasure.testing.site import Site
from tests.e2e.masters import BASE_CONFIG, rows, run_command

CONFIG = """
c["www"]["change_hook_dialects"] = {"gitlab": True}
c["collapseRequests"] = False
value = ["sh", "-c", util.Interpolate("r=%(src::revision)s; echo ${r%%%%-*}")]


def measured(rerun):
    gate = util.Gate(level="fail", rerun=rerun)
    run = steps.MeasureShellCommand(name="run", command=value, unit="ms", better="lower", gate=gate)
    return util.BuildFactory([run])


add(util.MeasuredBuilderConfig(name="b", workernames=["worker"], factory=measured(0)))
requests = util.MeasuredBuilderConfig(name="r", workernames=["worker"], factory=measured(4), baselineBuilder="b")
c["builders"].append(requests)
f = util.BuildFactory([
    steps.ShellCommand(name="make", command=["sh", "-c", util.Interpolate("head -c %(prop:size)s /dev/zero > wheel")]),
    steps.SizeOf(name="wheel_size", path="wheel", gate=util.Gate(limit="10 KiB", level="fail")),
])
c["builders"].append(util.BuilderConfig(name="size", workernames=["worker"], factory=f))
only = util.ChangeFilter(category="merge_request")
c["schedulers"] += [
    schedulers.AnyBranchScheduler(name="any", builderNames=["b"], treeStableTimer=None),
    schedulers.AnyBranchScheduler(name="requests", builderNames=["r"], treeStableTimer=None, change_filter=only),
    schedulers.ForceScheduler("force-size", builderNames=["size"], properties=[util.StringParameter("size")]),
]
c["services"] = [util.SQLiteInstance()]
"""
TIME = "2026-11-24T10:00:00Z"
AUTHOR = {"name": "Ada", "email": "ada@example.org"}


class Project:
    """The commits of a project and the builds of them.  The value of a build is the start of its revision, in ms."""

    def __init__(self, site: Site) -> None:
        self.site = site
        #: The ids of builds that may have no verdicts: the master was killed at their end.
        self.may_lack_verdicts: set[int] = set()
        self._noise = random.Random(7)
        self._commits = 0

    def value(self, level: float) -> str:
        """The revision of a commit whose run time is about ``level``."""
        self._commits += 1
        return f"{self._noise.gauss(level, level * 0.01):.4f}-{self._commits}"

    def push(self, level: float) -> tuple[str, dict[str, Any]]:
        """Push a commit to main; returns its revision and its build."""
        revision = self.value(level)
        commit = {
            "id": revision, "timestamp": TIME, "author": AUTHOR, "message": f"change {self._commits}\n\nmore",
            "url": f"https://gitlab.example/c/{self._commits}",
        }  # fmt: skip
        repository = {"name": "p", "url": "https://gitlab.example/o/p.git"}
        payload = {
            "object_kind": "push", "ref": "refs/heads/main", "user_name": "a", "repository": repository,
            "commits": [commit],
        }  # fmt: skip
        (build,) = self._post(payload, 1)
        return revision, build

    def request(self, level: float) -> dict[str, dict[str, Any]]:
        """Open a request from the branch main of a fork to main; returns its builds by builder."""
        side = {"name": "p", "git_http_url": "https://gitlab.example/o/p.git", "git_ssh_url": "git@gitlab.example:o/p"}
        commit = {"id": self.value(level), "timestamp": TIME, "author": AUTHOR}
        attributes = {
            "iid": self._commits, "state": "opened", "action": "open", "title": "t", "description": "d",
            "last_commit": commit, "source": side, "target": side, "source_branch": "main", "target_branch": "main",
            "source_project_id": 2, "target_project_id": 1, "url": f"https://gitlab.example/-/mr/{self._commits}",
        }  # fmt: skip
        first, second = self._post({"object_kind": "merge_request", "object_attributes": attributes}, 2)
        names = {one["builderid"]: one["name"] for one in self.site.get("builders")["builders"]}
        return {names[build["builderid"]]: build for build in (first, second)}

    def _post(self, payload: Mapping[str, Any], builds: int) -> list[dict[str, Any]]:
        before = len(self.builds())
        request = urllib.request.Request(
            f"{self.site.url}change_hook/gitlab", json.dumps(payload).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status in (200, 202)

        def finished() -> Any:
            new = self.builds()[before:]
            return len(new) == builds and all(build["complete"] for build in new) and new

        return list(self.site.wait_for(finished, f"{builds} builds of a change", 120))

    def builds(self) -> list[dict[str, Any]]:
        """All builds; a busy master may take long to answer."""
        answer = self.site.wait_for(lambda: self.site.get("builds"), "the list of builds", 60)
        return list(answer["builds"])

    def text(self, build: Mapping[str, Any], step: str = "run") -> str:
        """The summary of a step."""
        return str(self.site.steps(build)[step]["state_string"])

    def alerts(self, *filters: str) -> list[dict[str, Any]]:
        """The alerts, as the command lists them beside the running master, once all builds are judged."""
        builds = {build["buildid"] for build in self.builds()} - self.may_lack_verdicts
        self.site.wait_for(lambda: builds <= _judged(self.site), "the verdicts of all builds", 60)
        done = run_command("alerts", "--master", str(self.site.master_dir), "--json", *filters)
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout)["alerts"])

    def explained(self, *filters: str) -> dict[str, Any]:
        """The only such alert, with its suspects, which are searched after the verdicts are kept."""

        def with_suspects() -> Any:
            (alert,) = self.alerts(*filters)
            return alert["suspects"] and alert

        return dict(self.site.wait_for(with_suspects, "the suspects of the alert", 60))


def _judged(site: Site) -> set[int]:
    """The ids of the builds with verdicts."""
    return {int(build) for (build,) in rows(site.journal, "SELECT build FROM verdicts")}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with 30 commits whose builds are noisy."""
    with Site(tmp_path_factory.mktemp("site"), BASE_CONFIG + CONFIG) as site:
        project = Project(site)
        results = [project.push(100)[1]["results"] for _ in range(30)]
        assert results == [SUCCESS] * 30
        yield project


def test_requests(project: Project) -> None:
    """A slow request of a fork is unconfirmed, with reruns worse; it opens no alert and moves no baseline."""
    builds = project.request(120)
    assert {name: build["results"] for name, build in builds.items()} == {"b": SUCCESS, "r": FAILURE}
    assert "(unconfirmed: usual" in project.text(builds["b"])
    assert "(worse: usual" in project.text(builds["r"])
    log = project.site.log_text(project.site.steps(builds["r"])["run"], "measurements")
    assert "median of 5 measurements" in log
    properties = project.site.get(f"builds/{builds['r']['buildid']}/properties")["properties"][0]
    assert properties["measurements-verdict"][0] == "worse"
    assert properties["measurements-worse"][0] == ["run"]
    for _ in range(5):
        assert project.request(120)["b"]["results"] == SUCCESS
    assert project.alerts() == []


def test_a_limit(project: Project) -> None:
    """A size that grows by one byte over its limit fails its own build."""
    sizes = (10_240, 10_241, 10_240)
    builds = [project.site.build("size", size=str(size)) for size in sizes]
    assert [build["results"] for build in builds] == [SUCCESS, FAILURE, SUCCESS]
    assert "worse: limit 10 KiB" in project.text(builds[1], "wheel_size")
    assert [(one["rule"], one["state"], one["build"]) for one in project.alerts("--builder", "size")] == [
        ("limit", "resolved", 2)
    ]


def test_a_step_of_a_noisy_line(project: Project) -> None:
    """From the first slow commit to the green build after it is accepted, and to the next slow commit."""
    site = project.site
    assert project.alerts("--builder", "b") == []
    run = [project.push(108) for _ in range(3)]
    assert site.master is not None
    site.master.kill()
    project.may_lack_verdicts.add(run[-1][1]["buildid"])
    site.start_master()
    run += [project.push(108) for _ in range(2)]
    assert [build["results"] for _, build in run] == [SUCCESS] * 4 + [FAILURE]
    assert "worse: usual" in project.text(run[-1][1])
    alert = project.explained("--builder", "b")
    assert (alert["series"], alert["builder"], alert["branch"], alert["state"]) == ("run", "b", "main", "open")
    assert (alert["build"], alert["rule"]) == (run[0][1]["number"], "shift")
    assert alert["change"] == pytest.approx(0.08, abs=0.02)
    (suspect,) = alert["suspects"]
    assert suspect["revision"] == run[0][0]
    assert "Ada" in suspect["author"]
    number = run[0][0].partition("-")[2]
    assert (suspect["subject"], suspect["url"]) == (f"change {number}", f"https://gitlab.example/c/{number}")

    _, later = project.push(108)
    assert later["results"] == FAILURE
    assert f"since build {run[0][1]['number']}" in project.text(later)
    assert {name: build["results"] for name, build in project.request(108).items()} == {"b": SUCCESS, "r": SUCCESS}
    assert len(project.alerts("--builder", "b")) == 1

    done = run_command("accept", str(alert["id"]), "--master", str(site.master_dir), "--why", "we need the feature")
    assert done.returncode == 0, done.stderr
    assert [project.push(108)[1]["results"] for _ in range(8)] == [SUCCESS] * 8
    assert [one["state"] for one in project.alerts("--builder", "b")] == ["accepted"]

    again = [project.push(119) for _ in range(5)]
    assert [build["results"] for _, build in again] == [SUCCESS] * 4 + [FAILURE]
    second = project.explained("--builder", "b", "--state", "open")
    assert [one["revision"] for one in second["suspects"]] == [again[0][0]]
