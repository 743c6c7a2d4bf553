"""The documented reporters on a real master, with requests by the payloads of hooks, a mail server and two services."""

from __future__ import annotations

import contextlib
import json
import re
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bbmeasure.testing.site import Site
from tests import documented
from tests.code_hosts import CodeHost, Failure, GitHubHost, GitLabHost
from tests.e2e.masters import BASE_CONFIG, rows
from tests.e2e.test_branches import AUTHOR, TIME, push
from tests.mail import MailServer, text_of

CONFIG = """
from buildbot.plugins import secrets
c["www"]["plugins"] = {"bbmeasure": {}}
c["www"]["change_hook_dialects"] = {
    "gitlab": True, "github": {"github_api_endpoint": f"http://127.0.0.1:{WWW_PORT}"},  # which has no such path
}
c["collapseRequests"] = False
for name, machine in (("b", "worker"), ("c", "other")):
    f = util.BuildFactory()
    f.addStep(steps.MeasureShellCommand(
        name="size", command=["echo", util.Interpolate("%(src::revision)s")], unit="bytes", gate=util.Gate(limit=500)))
    fails = lambda step: step.getProperty("revision") == "809"
    f.addStep(steps.ShellCommand(name="sometimes", command=["false"], doStepIf=fails))
    add(util.MeasuredBuilderConfig(name=name, workernames=[machine], factory=f))
f = util.BuildFactory()
f.addStep(steps.ShellCommand(name="nothing", command=["true"]))
add(util.BuilderConfig(name="unmeasured", workernames=["worker"], factory=f))
c["schedulers"].append(schedulers.AnyBranchScheduler(name="any", builderNames=["b", "c"], treeStableTimer=None))
c["services"] = [util.SQLiteInstance()]
"""
#: The argument of a limit is 500 bytes: a revision above is worse.
WELL, WORSE = 300, 800
#: More requests than a test makes.
MANY = 1000
#: Answers after which a request is tried again, with what health says meanwhile.
TROUBLES = {
    "unauthorized": (Failure(401), ": 401 failure of the test"),
    "forbidden": (Failure(403), ": 403 failure of the test"),
    "rate limit": (Failure(429, {"Retry-After": "5"}), ": 429 failure of the test"),
    "down": (Failure(503, body="<html>down</html>"), ": 503"),
    "closed": (Failure(0), "GET: Connection"),
    "not JSON": (Failure(200, body="<html>log in</html>"), "the answer is not JSON"),
}


def pull_request(host: CodeHost, number: int, revision: int, action: str = "opened") -> dict[str, Any]:
    """GitHub's payload of a request of a fork."""
    url = f"{host.pages}/o/p"
    request = {
        "base": {"ref": "main", "repo": {"full_name": "o/p"}}, "head": {"sha": str(revision), "ref": "main"},
        "commits": 1, "title": "t", "body": "b", "created_at": TIME, "updated_at": TIME,
        "_links": {"html": {"href": f"{url}/pull/{number}"}},
    }  # fmt: skip
    repository = {"full_name": "o/p", "html_url": url}
    return {
        "number": number, "action": action, "pull_request": request, "repository": repository,
        "sender": {"login": "x"},
    }  # fmt: skip


def merge_request(host: CodeHost, number: int, revision: int, action: str = "open") -> dict[str, Any]:
    """GitLab's payload of a request of a fork to a project of a subgroup."""
    side = {"name": "p", "git_http_url": f"{host.pages}/g/sub/p.git", "git_ssh_url": "git@gitlab.example:g/sub/p.git"}
    fork = {"name": "p", "git_http_url": f"{host.pages}/fork/p.git", "git_ssh_url": "git@gitlab.example:fork/p.git"}
    commit = {"id": str(revision), "timestamp": TIME, "author": AUTHOR}
    attributes = {
        "iid": number, "state": "opened", "action": action, "title": "t", "description": "d", "last_commit": commit,
        "source": fork, "target": side, "source_branch": "main", "target_branch": "main", "source_project_id": 2,
        "target_project_id": 1, "url": f"{host.pages}/g/sub/p/-/merge_requests/{number}",
        **({"oldrev": "1"} if action == "update" else {}),
    }  # fmt: skip
    return {"object_kind": "merge_request", "object_attributes": attributes}


def proposed(host: CodeHost, number: int, revision: int, again: bool) -> tuple[str, dict[str, Any]]:
    """The dialect and the payload of a new request, or of a later revision of one."""
    if isinstance(host, GitHubHost):
        return "github", pull_request(host, number, revision, "synchronize" if again else "opened")
    return "gitlab", merge_request(host, number, revision, "update" if again else "open")


class Services:
    """The running servers, and a master that reports to them."""

    def __init__(self, site: Site, github: GitHubHost, gitlab: GitLabHost, mail: MailServer) -> None:
        self.site, self.github, self.gitlab, self.mail = site, github, gitlab, mail

    def post(self, dialect: str, payload: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Post a payload to a change hook, and wait for the two builds that it causes."""
        before = len(self.site.wait_for(lambda: self.site.get("builds"), "the builds", 60)["builds"])
        self._post(dialect, payload)

        def finished() -> Any:
            builds = (self.site.get("builds") or {"builds": []})["builds"][before:]
            return builds if len(builds) == 2 and all(build["complete"] for build in builds) else None

        return list(self.site.wait_for(finished, f"builds of {dialect}'s change", 60))

    def _post(self, dialect: str, payload: Mapping[str, Any]) -> None:
        request = urllib.request.Request(
            f"{self.site.url}change_hook/{dialect}",
            json.dumps(payload).encode(),
            {"Content-Type": "application/json", "X-GitHub-Event": "pull_request"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status in (200, 202)

    def request(self, host: CodeHost, number: int, revision: int, again: bool = False) -> list[dict[str, Any]]:
        """Build a revision of a proposal of a service."""
        return self.post(*proposed(host, number, revision, again))

    def send(self, host: CodeHost, number: int, revision: int, again: bool = False) -> None:
        """Request the builds of a revision of a proposal, without waiting for them."""
        self._post(*proposed(host, number, revision, again))

    def comments(self, host: CodeHost, number: int) -> list[str]:
        """The comments on a proposal."""
        return host.bodies("o/p" if isinstance(host, GitHubHost) else "g/sub/p", number)

    def wait_for_comment(self, host: CodeHost, number: int, *texts: str) -> str:
        """The only comment on a proposal, once it has all texts."""

        def found() -> Any:
            comments = self.comments(host, number)
            return comments[0] if comments and all(text in comments[0] for text in texts) else None

        try:
            comment = self.site.wait_for(found, f"a comment with {texts}", 60)
        except Exception as error:
            raise AssertionError(f"{error}: {self.comments(host, number)} {self.health(host)}") from error
        assert len(self.comments(host, number)) == 1
        return str(comment)

    def health(self, host: CodeHost) -> Any:
        """The health of the reporter to a service."""
        name = type(host).__name__.replace("Host", "MeasurementsComment")
        with urllib.request.urlopen(f"{self.site.url}plugins/bbmeasure/api/v1/health", timeout=60) as answer:
            return next(sink for sink in json.load(answer)["sinks"] if sink["name"] == name)

    def wait_for_health(self, host: CodeHost, satisfied: Callable[[Any], bool]) -> None:
        """Wait until the health of the reporter satisfies a condition."""
        try:
            self.site.wait_for(lambda: satisfied(self.health(host)), "the health", 60)
        except Exception as error:
            raise AssertionError(f"{error}: {self.health(host)}") from error


@contextlib.contextmanager
def reporting(folder: Path, github: GitHubHost, gitlab: GitLabHost, mail: MailServer) -> Iterator[Services]:
    """A master with the documented configuration of reporters, with the addresses of the tests' servers."""
    config = documented.example("reporters.cfg")
    for documented_text, here in {
        "https://github.example.org/api/v3": github.url,
        "https://gitlab.example.org": gitlab.url,
        "mail.example.org": "127.0.0.1",
        "smtpPort=25,": f"smtpPort={mail.port},",
    }.items():
        assert documented_text in config
        config = config.replace(documented_text, here)
    site = Site(folder, BASE_CONFIG + CONFIG + config, workers=["worker", "other"])
    secrets = site.master_dir / "secrets"
    secrets.mkdir()
    for name in ("github", "gitlab"):
        (secrets / name).write_text(CodeHost.TOKEN)
        (secrets / name).chmod(0o600)
    secrets.chmod(0o700)
    with site as running:
        yield Services(running, github, gitlab, mail)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The servers, and a master that reports to them."""
    folder = tmp_path_factory.mktemp("site")
    with (
        GitHubHost() as github,
        GitLabHost() as gitlab,
        MailServer() as mail,
        reporting(folder, github, gitlab, mail) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def other(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Another master that reports to the same code hosts, and has a mail server of its own."""
    folder = tmp_path_factory.mktemp("other")
    with MailServer() as mail, reporting(folder, services.github, services.gitlab, mail) as running:
        yield running


@pytest.fixture(params=["github", "gitlab"])
def host(request: pytest.FixtureRequest, services: Services) -> CodeHost:
    """One of the two services."""
    found: CodeHost = getattr(services, request.param)
    found.failures.clear()
    return found


def test_one_comment_has_the_results_of_both_builders(services: Services, host: CodeHost) -> None:
    """Two builders that finish together write one comment with both results, edited by one request at a time."""
    services.request(host, 1, WORSE)
    comment = services.wait_for_comment(host, 1, "<code>b</code>", "<code>c</code>")
    assert "▲ 2 worse" in comment
    assert comment.count("800 bytes is above the limit of 500 bytes") == 2
    assert f"of <code>{WORSE}</code> against <code>main</code>" in comment
    assert re.search(r'<a href="http://127\.0\.0\.1:\d+/#/?builders/\d+/builds/\d+"><code>b #\d+</code></a>', comment)
    assert host.most_concurrent <= 2  # comments one at a time, beside a status


def test_it_is_well_again(services: Services, host: CodeHost) -> None:
    """The next revision edits the comment of the one before, which both builders do."""
    services.request(host, 2, WORSE)
    services.wait_for_comment(host, 2, "▲ 2 worse")
    services.request(host, 2, WELL, again=True)
    comment = services.wait_for_comment(
        host, 2, "Nothing is worse any more: 2 without baseline", f"<code>{WELL}</code>"
    )
    assert "▲" not in comment
    writes = [method for method, path in host.requests if "comments" in path or "notes" in path]
    assert {"POST", "PATCH" if isinstance(host, GitHubHost) else "PUT"} <= set(writes)


def test_silence_where_nothing_is_worse(services: Services, host: CodeHost) -> None:
    """A proposal in which nothing is worse has no comment."""
    services.request(host, 3, WELL)
    services.request(host, 4, WORSE)
    services.wait_for_comment(host, 4, "▲ 2 worse")
    assert services.comments(host, 3) == []


def test_a_comment_of_somebody_else(services: Services, host: CodeHost) -> None:
    """Somebody else's copy of the comment is not edited; a deleted comment is written anew."""
    services.request(host, 5, WORSE)
    project = "o/p" if isinstance(host, GitHubHost) else "g/sub/p"
    own = services.wait_for_comment(host, 5, "▲ 2 worse")
    host.comments[project, 5].clear()
    host.add(project, 5, own, {"login": "somebody", "id": 99, "type": "User"})
    services.request(host, 5, WORSE + 1, again=True)
    services.site.wait_for(lambda: any("801" in one for one in services.comments(host, 5)[1:]), "a new comment", 60)
    assert services.comments(host, 5)[0] == own
    assert len(services.comments(host, 5)) == 2


@pytest.mark.parametrize(("number", "name"), enumerate(TROUBLES, 400))
def test_trouble_is_tried_again(services: Services, host: CodeHost, number: int, name: str) -> None:
    """A service in trouble gets the comment later; until then the trouble is counted and in the health."""
    failure, text = TROUBLES[name]
    before = services.health(host)["counters"]["failures"]
    host.failing = re.compile("comments|notes")
    host.failures.extend([failure] * MANY)
    builds = services.request(host, number, WORSE)
    assert [build["results"] for build in builds] == [0, 0]
    services.wait_for_health(host, lambda health: text in (health["last_error"] or ""))
    assert services.health(host)["counters"]["failures"] > before
    assert services.health(host)["backlog"] == 1
    assert services.comments(host, number) == []
    host.failures.clear()
    services.wait_for_comment(host, number, "▲ 2 worse", "<code>b</code>", "<code>c</code>")
    services.wait_for_health(host, lambda health: health["last_error"] is None and health["backlog"] == 0)


def test_a_slow_service(services: Services, host: CodeHost) -> None:
    """A service that is slow, but answers in time, gets one comment."""
    host.failing = re.compile("comments|notes")
    host.failures.extend([Failure(None, delay=1.0)] * 2)
    services.request(host, 450, WORSE)
    services.wait_for_comment(host, 450, "▲ 2 worse", "<code>b</code>", "<code>c</code>")
    assert host.failures == []


def test_two_masters(services: Services, other: Services, host: CodeHost) -> None:
    """Of two masters that build a proposal at the same time each has one comment, which it edits."""
    revisions = {WORSE: "▲ 2 worse", WELL: "Nothing is worse any more: 2 without baseline"}
    for revision, title in revisions.items():
        for one in (services, other):
            one.send(host, 90, revision, again=revision == WELL)

        def written(title: str = title) -> bool:
            texts = (title, "<code>b #", "<code>c #")
            comments = services.comments(host, 90)
            return len(comments) > 1 and all(text in comment for comment in comments for text in texts)

        services.site.wait_for(written, f"comments with {title}", 60)
    links = [set(re.findall(r'href="(http://127\.0\.0\.1:\d+/)', comment)) for comment in services.comments(host, 90)]
    assert sorted(map(sorted, links)) == sorted([[services.site.url], [other.site.url]])


@pytest.mark.parametrize(("status", "number"), [(404, 49), (422, 50)])
def test_a_refused_comment(services: Services, host: CodeHost, status: int, number: int) -> None:
    """What a service refuses is dropped, and the last error is in health, without the token."""
    before = services.health(host)["counters"]["dropped"]
    host.failing = re.compile("comments|notes")
    host.failures.extend([Failure(status)] * MANY)
    services.request(host, number, WORSE)
    services.wait_for_health(host, lambda health: health["counters"]["dropped"] > before)
    shown = services.health(host)
    assert str(status) in shown["last_error"]
    assert CodeHost.TOKEN not in json.dumps(shown)
    host.failures.clear()
    services.request(host, number, WORSE + 2, again=True)
    services.wait_for_comment(host, number, "▲ 2 worse", "802")
    services.wait_for_health(host, lambda health: health["last_error"] is None)


def test_a_service_that_hangs_holds_up_no_build(services: Services, host: CodeHost) -> None:
    """While a service does not answer, builds end, other comments are written, and the health has the timeout."""
    host.failing = re.compile("(issues|merge_requests)/60/")
    host.failures.extend([Failure(200, delay=11.0)] * MANY)
    services.request(host, 60, WORSE)
    services.request(host, 61, WORSE)  # ends although the comment on the other is not written
    assert services.site.build("b", revision="1")["results"] == 0
    services.wait_for_comment(host, 61, "▲ 2 worse")
    services.wait_for_health(host, lambda health: "no complete answer within 10 s" in (health["last_error"] or ""))
    host.failures.clear()


def test_a_master_that_is_killed_writes_its_comments(services: Services) -> None:
    """A comment that a killed master has not written is written after its next start, without another build."""
    host, site = services.github, services.site
    host.failing = re.compile("comments")
    host.failures.extend([Failure(500)] * 100)
    builds = {build["buildid"] for build in services.request(host, 80, WORSE)}

    def untold() -> set[int]:
        found = rows(site.journal, "SELECT build FROM untold WHERE reporter = 'GitHubMeasurementsComment'")
        return {build for (build,) in found}

    site.wait_for(lambda: untold() >= builds, "the verdicts of both builds", 60)
    assert site.master is not None
    site.master.kill()
    host.failures.clear()
    assert services.comments(host, 80) == []
    site.start_master()
    services.wait_for_comment(host, 80, "▲ 2 worse", "<code>b</code>", "<code>c</code>")
    site.wait_for(lambda: not untold(), "the note that it is written", 60)


def test_statuses_are_short_enough(services: Services) -> None:
    """GitHub gets a status of each build of a pull request, none longer than it accepts."""
    before = len(services.github.statuses)
    services.request(services.github, 70, WORSE)
    services.site.wait_for(lambda: len(services.github.statuses) >= before + 2, "two statuses", 60)
    for status in services.github.statuses[before:]:
        assert status["context"] == "measurements"
        assert status["description"] == "1 worse: size 800 bytes"
        assert status["state"] == "success"


def test_mail_about_what_is_new(services: Services) -> None:
    """The build that passes a limit is mailed, later builds at that level are not, and a failure has the verdicts."""
    mail = services.mail

    def mails_about(build: Mapping[str, Any]) -> list[str]:
        page = re.compile(rf"builders/{build['builderid']}/builds/{build['number']}\b")
        return [text for text in map(text_of, mail.to("team@example.org")) if page.search(text)]

    builds = services.post("gitlab", push("main", WORSE))
    services.site.wait_for(lambda: all(map(mails_about, builds)), "a mail of each builder", 60)
    (text,) = mails_about(builds[0])
    assert "worse: size 800 bytes, 800 bytes is above the limit of 500 bytes, introduced here" in text
    later = services.post("gitlab", push("main", WORSE + 5))
    failed = services.site.build("b", revision="809", branch="main")
    assert failed["results"] == 2
    services.site.wait_for(lambda: mail.to("failures@example.org"), "the mail of the failure", 60)
    text = text_of(mail.to("failures@example.org")[-1])
    assert "BUILD FAILED" in text
    assert "worse: size 809 bytes, since #" in text
    assert f"since #{next(one['number'] for one in builds if one['builderid'] == failed['builderid'])}" in text
    assert not any(map(mails_about, [*later, failed]))


def test_a_build_without_measurements(services: Services) -> None:
    """A build that measures nothing ends as ever, and is reported to nobody."""
    build = services.site.build("unmeasured")
    assert build["results"] == 0
    services.site.build("unmeasured")
    page = re.compile(rf"builders/{build['builderid']}/builds/{build['number']}\b")
    assert not [one for one in services.mail.mails if page.search(text_of(one))]
