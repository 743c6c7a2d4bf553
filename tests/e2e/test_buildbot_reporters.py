"""Buildbot's own reporters with MeasurementsGenerator on a real master, each with a server that follows its documents.

GitHub: https://docs.github.com/en/rest/issues/comments.  GitLab: https://docs.gitlab.com/api/commits (statuses).
Bitbucket: https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commit-statuses and its OAuth 2.0.
Bitbucket Server: https://developer.atlassian.com/server/bitbucket/rest, build-status and builds.  Gerrit:
https://gerrit-review.googlesource.com/Documentation/cmd-review.html, and the plugin verify-status.  Zulip:
https://zulip.com/help/message-a-channel-by-email.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from bbmeasure.testing.site import Site
from tests.e2e.masters import BASE_CONFIG
from tests.hostile import Reply, Request, Scripted
from tests.mail import MailServer, text_of
from tests.unit.master.reporters.verdicts import HOSTILE

CONFIG = """
import os
from buildbot.plugins import reporters

os.environ["PATH"] = f"{BIN}:{os.environ['PATH']}"  # with the ssh of the test

properties = {
    "branch": "refs/pull/7/head", "pullrequesturl": "https://bitbucket.example/projects/O/repos/p/pull-requests/7",
    "event.change.id": "I1", "event.change.project": "p", "event.change.number": 5, "event.patchSet.number": 2,
    "event.patchSet.revision": "abcdef",
}
for name, command in (("b", ["echo", util.Interpolate("%(src::revision)s")]), ("hostile", ["echo", REPORT])):
    f = util.BuildFactory()
    f.addStep(steps.SetProperties(properties=properties))
    f.addStep(steps.MeasureShellCommand(name="size", command=command, unit="bytes"))
    add(util.MeasuredBuilderConfig(name=name, workernames=["worker"], factory=f))

new = lambda **more: [reporters.MeasurementsGenerator(mode="new", **more)]
c["services"] = [
    util.SQLiteInstance(),
    util.MeasurementPolicy(gates={"*": util.Gate(limit=500)}),
    reporters.GitHubCommentPush(token="github-token", baseURL=SERVER, generators=new()),
    reporters.GitLabStatusPush(token="gitlab-token", baseURL=SERVER, context="measurements", generators=new()),
    reporters.BitbucketStatusPush(
        oauth_key="key", oauth_secret="secret", base_url=f"{SERVER}/2.0/repositories",
        oauth_url=f"{SERVER}/oauth2/access_token", generators=new()),
    reporters.BitbucketServerStatusPush(base_url=SERVER, user="ci", password="pw", generators=new()),
    reporters.BitbucketServerCoreAPIStatusPush(base_url=SERVER, token="core-token", generators=new()),
    reporters.BitbucketServerPRCommentPush(base_url=SERVER, user="ci", password="pw", generators=new()),
    reporters.GerritVerifyStatusPush(baseURL=SERVER, auth=("ci", "pw"), generators=new()),
    reporters.HttpStatusPush(f"{SERVER}/hook", generators=new()),
    reporters.MailNotifier(
        name="zulip", fromaddr="buildbot@example.org", extraRecipients=["channel.1a2b@zulip.example.org"],
        sendToInterestedUsers=False, relayhost="127.0.0.1", smtpPort=MAIL_PORT, generators=new(format="markdown")),
]
if GERRIT:
    c["services"].append(reporters.GerritStatusPush("gerrit.example", "ci", generators=new()))
"""
#: Whether GerritStatusPush takes generators, which that of Buildbot 3.7 does not.
GERRIT = Version(installed("buildbot")) >= Version("3.11")
#: A name that is longer than what a message shows of it, and the line that a worker reports it by.
NAME = HOSTILE + "x" * 800
REPORT = "##bbmeasure " + json.dumps({"v": 1, "name": NAME, "value": 900, "unit": "bytes"})
#: An ssh that is Gerrit: it prints its version, and keeps each other command in a file.
SSH = """#!/bin/sh
case "$*" in
    *" gerrit version") echo "gerrit version 3.9.1" ;;
    *) printf '%s' "$*" > "{folder}/$$.part" && mv "{folder}/$$.part" "{folder}/$$.command" ;;
esac
"""
#: The paths of the reporters' requests, with the statuses and bodies of the answers.
ANSWERS: dict[str, tuple[int, Any]] = {
    r"/repos/o/p/issues/7/comments": (201, {"id": 1}),
    r"/api/v4/projects/o%2Fp": (200, {"id": 3}),
    r"/api/v4/projects/3/statuses/\d+": (201, {"id": 1}),
    r"/oauth2/access_token": (200, {"access_token": "bitbucket-token"}),
    r"/2.0/repositories/o/p/commit/\d+/statuses/build": (201, {}),
    r"/rest/build-status/1.0/commits/\d+": (204, {}),
    r"/rest/api/1.0/projects/o/repos/p/commits/\d+/builds": (204, {}),
    r"/rest/api/1.0/projects/O/repos/p/pull-requests/7/comments": (201, {"id": 1}),
    r"/a/changes/5/revisions/2/verify-status~verifications": (200, {}),
    r"/hook": (200, {}),
}


def answer(request: Request) -> Reply:
    """Return the answer that the documents name, 404 for another path."""
    for path, (status, body) in ANSWERS.items():
        if re.fullmatch(path, request.path):
            return Reply(status, body)
    return Reply(404, {"message": "Not Found"})


class Told:
    """The messages of each reporter."""

    def __init__(self, server: Scripted, mail: MailServer, commands: Path) -> None:
        self._server, self._mail, self._commands = server, mail, commands

    def posts(self, path: str) -> list[Any]:
        """The bodies that were posted to a path, a pattern."""
        return [json.loads(one.body) for one in self.requests(path)]

    def requests(self, path: str) -> list[Request]:
        """The requests with a body to a path."""
        return [one for one in list(self._server.requests) if re.fullmatch(path, one.path) and one.method == "POST"]

    @property
    def gerrit(self) -> list[str]:
        """The commands for Gerrit, in no order."""
        return [path.read_text() for path in self._commands.glob("*.command")]

    @property
    def zulip(self) -> list[Any]:
        """The mails to Zulip's channel."""
        return self._mail.to("channel.1a2b@zulip.example.org")

    def counts(self) -> dict[str, int]:
        """The number of messages of each reporter."""
        silent = ("/oauth2/access_token", "/api/v4/projects/o%2Fp")
        posts = {path: len(self.requests(path)) for path in ANSWERS if path not in silent}
        return {**posts, **({"gerrit": len(self.gerrit)} if GERRIT else {}), "zulip": len(self.zulip)}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The messages about a build of a hostile name, and five: normal, worse, still worse, normal again, worse."""
    folder = tmp_path_factory.mktemp("site")
    programs, commands = folder / "bin", folder / "commands"
    for one in (programs, commands):
        one.mkdir()
    (programs / "ssh").write_text(SSH.format(folder=commands))
    (programs / "ssh").chmod(0o755)
    with Scripted(answer) as server, MailServer() as mail:
        names = f"SERVER, MAIL_PORT, BIN, REPORT, GERRIT = {(server.url, mail.port, str(programs), REPORT, GERRIT)!r}\n"
        with Site(folder, names + BASE_CONFIG + CONFIG) as site:
            source = {"repository": "https://example.org/o/p", "branch": "main"}
            assert site.build("hostile", revision="1", **source)["results"] == 0
            for revision in ("400", "800", "801", "401", "802"):
                assert site.build("b", revision=revision, **source)["results"] == 0
            found = Told(server, mail, commands)
            site.wait_for(lambda: min(found.counts().values()) >= 3, "three messages of each reporter", 120)
        yield found  # the master has ended: there are no more messages


def test_each_reporter_tells_what_is_new(told: Told) -> None:
    """Each reporter has a message about the hostile name, and about the second and the fifth build, and no others."""
    assert set(told.counts().values()) == {3}, told.counts()


def test_statuses(told: Told) -> None:
    """A status has the verdict in its short form, and the result of the build."""
    gitlab = told.posts("/api/v4/projects/3/statuses/800")
    bitbucket = told.posts("/2.0/repositories/o/p/commit/800/statuses/build")
    server = told.posts("/rest/build-status/1.0/commits/800")
    core = told.posts("/rest/api/1.0/projects/o/repos/p/commits/800/builds")
    short = "1 worse: size 800 bytes"
    assert [(one["description"], one["state"], one["name"]) for one in gitlab] == [(short, "success", "measurements")]
    assert [(one["description"], one["state"]) for one in bitbucket] == [(f"b #2: {short}", "SUCCESSFUL")]
    assert [(one["description"], one["state"]) for one in (*server, *core)] == [(short, "SUCCESSFUL")] * 2
    (request,) = told.requests("/2.0/repositories/o/p/commit/800/statuses/build")
    assert request.headers["authorization"] == "Bearer bitbucket-token"


def test_comments(told: Told) -> None:
    """A comment is in Markdown, with a link to the build."""
    github = [one["body"] for one in told.posts("/repos/o/p/issues/7/comments")]
    server = [one["text"] for one in told.posts("/rest/api/1.0/projects/O/repos/p/pull-requests/7/comments")]
    for first, second in (github[1:], server[1:]):
        assert first.startswith("**Measurements**: 1 worse\n\n- worse: `size` 800 bytes")
        assert "introduced here" in second
        assert re.search(r"builders/\d+/builds/5\n\Z", second)


@pytest.mark.buildbot_since("3.11", "its GerritStatusPush takes no generators")
def test_gerrit(told: Told) -> None:
    """Gerrit's review has the verdict and no vote: that on the build comes from its own reporter."""
    first = next(one for one in told.gerrit if "800 bytes" in one)
    assert "ci@gerrit.example -p 29418 gerrit review --project p --tag autogenerated:buildbot" in first
    assert "--message 'Measurements: 1 worse\n  worse: size 800 bytes" in first
    assert first.endswith(" abcdef")
    assert "--label" not in first


def test_a_verification_of_gerrit(told: Told) -> None:
    """The plugin verify-status gets the result of the build, with the verdict as the comment."""
    verified = told.posts("/a/changes/5/revisions/2/verify-status~verifications")
    assert [one["value"] for one in verified] == [1, 1, 1]
    assert verified[1]["comment"].startswith("Measurements: 1 worse\n  worse: size 800 bytes")


def test_webhooks_and_zulip(told: Told) -> None:
    """A webhook gets an object with the Markdown, and Zulip's channel a mail of it."""
    hook = told.posts("/hook")
    assert [list(one) for one in hook] == [["text"]] * 3
    mails = [text_of(one).replace("\r\n", "\n") for one in told.zulip]
    for text in (hook[1]["text"], mails[1]):
        assert text.startswith("**Measurements**: 1 worse\n\n- worse: `size` 800 bytes")
    assert told.zulip[1]["Subject"] == "b #2: 1 worse: size 800 bytes"


def test_a_hostile_name(told: Told) -> None:
    """A name is text in each message: it mentions nobody, is no markup, and is cut."""
    of_first = r"/commits?/1/|/statuses/1\Z|/commits/1\Z"
    statuses = [one for path in ANSWERS for one in told.requests(path) if re.search(of_first, one.path)]
    assert len(statuses) == 4
    short = [json.loads(one.body)["description"] for one in statuses]
    verified = told.posts("/a/changes/5/revisions/2/verify-status~verifications")[0]["comment"]
    gerrit = [one for one in told.gerrit if "900 bytes" in one]
    assert len(gerrit) == GERRIT
    for text in (*short, verified, *gerrit, str(told.zulip[0]["Subject"])):
        assert "@team" not in text
        assert "@ team/all" in text
    assert max(map(len, short)) <= 140
    for text in (
        told.posts("/repos/o/p/issues/7/comments")[0]["body"],
        told.posts("/rest/api/1.0/projects/O/repos/p/pull-requests/7/comments")[0]["text"],
        told.posts("/hook")[0]["text"],
        text_of(told.zulip[0]),
    ):
        span = re.search("```(?!`) @team/all .*?(?<!`)```(?!`)", text)
        assert span is not None
        assert len(span.group()) < 120
        assert "team" not in text.replace(span.group(), "")
