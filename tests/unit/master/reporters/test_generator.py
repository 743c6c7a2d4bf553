"""Reports for Buildbot's own reporters, and verdicts in the context of message formatters."""

from __future__ import annotations

from inspect import signature
from types import SimpleNamespace
from typing import Any

import pytest
from buildbot.config.errors import ConfigErrors, capture_config_errors
from buildbot.plugins import reporters
from twisted.internet import defer, task

from bbmeasure.analysis import State
from bbmeasure.capture.branches import BuildBranch
from bbmeasure.master.reporters import generator, message, waiting
from bbmeasure.master.reporters.digest import Digest
from bbmeasure.master.reporters.generator import MeasurementsGenerator
from bbmeasure.master.reporters.message import MeasurementsMixin
from tests.unit.master.reporters.verdicts import build, line

BUILD = {
    "buildid": 1, "number": 7, "complete_at": 5, "results": 0, "url": "http://ci/#/builders/1/builds/7",
    "builder": {"name": "b", "tags": ["nightly"]}, "buildset": {"sourcestamps": []}, "properties": {},
}  # fmt: skip


class Reporter:
    def getResponsibleUsersForBuild(self, master, buildid):
        return defer.succeed(["ann@example.org"])


@pytest.fixture
def report(monkeypatch):
    """Function that returns the report on verdicts."""
    monkeypatch.setattr("buildbot.reporters.utils.getDetailsForBuild", lambda *_, **__: defer.succeed(None))

    def made(verdicts, mode="new", reporter=None, proposal=False, **more):
        digest = Digest(verdicts, 7, proposal)
        monkeypatch.setattr(generator, "digest_of", lambda *_: defer.succeed(digest))
        of = MeasurementsGenerator(mode, **more)
        work = of.generate(None, reporter or Reporter(), ("builds", "1", "finished"), dict(BUILD))
        return work.result

    return made


@pytest.mark.parametrize(
    ("verdicts", "told_by"),
    [
        (build(line()), {"new", "worse", "all"}),
        (build(line(told=False)), {"worse", "all"}),
        (build(line(told=False, muted=True)), {"all"}),
        (build(line(state=State.UNCONFIRMED, told=False)), {"all"}),
        (build(normal=3), {"all"}),
        (build(), set()),
        (None, {"all"}),
    ],
)
def test_modes(report, verdicts, told_by):
    """Silence unless there is something that the mode reports."""
    assert {mode for mode in ("new", "worse", "all") if report(verdicts, mode) is not None} == told_by


def test_a_worse_proposal_is_new(report):
    """A proposal opens no alert; what is worse in it is new."""
    assert report(build(line(told=False)), proposal=True) is not None


@pytest.mark.parametrize(
    ("name", "starts", "longest"),
    [
        ("MailNotifier", "Measurements: 1 worse", 10_000),
        ("GerritStatusPush", "Measurements: 1 worse", 10_000),
        ("GitHubStatusPush", "1 worse: ", 140),
        ("GitHubCommentPush", "**Measurements**: 1 worse", 10_000),
        ("GitLabStatusPush", "1 worse: ", 140),
        ("BitbucketStatusPush", "1 worse: ", 140),
        ("BitbucketServerStatusPush", "1 worse: ", 140),
        ("BitbucketServerPRCommentPush", "**Measurements**: 1 worse", 10_000),
    ],
)
def test_the_format_is_that_of_the_reporter(report, name, starts, longest):
    """Each of Buildbot's reporters gets what it takes, its subclasses too."""
    reporter = object.__new__(type("Own", (Reporter, getattr(reporters, name)), {}))
    made = report(build(line("x" * 300)), reporter=reporter)
    assert made["body"].startswith(starts)
    assert len(made["body"]) <= longest
    assert (len(made["subject"]) <= 140, made["type"], made["users"]) == (True, "plain", ["ann@example.org"])
    assert (made["builds"][0]["number"], made["extra_info"]) == (7, {"labels": {}})


def test_html(report):
    """HTML is a type of report of its own, with a link to the build."""
    made = report(build(line()), format="html")
    assert made["type"] == "html"
    assert '<a href="http://ci/#/builders/1/builds/7">' in made["body"]


def test_json(report):
    """A reporter that posts JSON gets an object, as the webhooks of chats take it."""
    reporter = object.__new__(type("Own", (Reporter, reporters.HttpStatusPush), {}))
    made = report(build(line()), reporter=reporter)
    assert (made["type"], list(made["body"])) == ("json", ["text"])
    assert made["body"]["text"].startswith("**Measurements**: 1 worse")
    assert made["body"]["text"].endswith(f"\n{BUILD['url']}\n")


def test_only_some_builders(report):
    """The arguments of Buildbot's generators narrow down the builds."""
    assert report(build(line()), builders=["c"]) is None
    assert report(build(line()), builders=["b"]) is not None
    assert report(build(line()), tags=["nightly"]) is not None


@pytest.mark.parametrize("arguments", [{"mode": "sometimes"}, {"format": "pdf"}, {"builders": "b"}])
def test_invalid_arguments(arguments):
    """An invalid argument is a configuration error."""
    with pytest.raises(ConfigErrors), capture_config_errors(raise_on_error=True):
        MeasurementsGenerator(**arguments).check()


class MasterWith:
    """The state of a master whose verdicts of build 1 are ``kept`` or told later."""

    def __init__(self, kept=None):
        self.clock, self.counted, self.listeners = task.Clock(), [], []
        answer = defer.fail if isinstance(kept, OSError) else defer.succeed
        self.judge = SimpleNamespace(
            store=object(),
            verdicts_of=lambda _: answer(kept),
            subscribe=lambda one: self.listeners.append(one) or self._end,
        )
        self.pipeline = SimpleNamespace(
            clock=self.clock,
            count=lambda name, _: self.counted.append(name),
            branches=SimpleNamespace(of_reported=lambda _: (BuildBranch("main"), None)),
        )

    def _end(self):
        self.listeners.clear()

    def component(self, _):
        return self.judge


def test_waiting_ends_with_the_verdicts():
    """Kept verdicts are there at once, others when they are told; those of other builds are not waited for."""
    kept: Any = waiting.wait_for_verdicts(MasterWith(build(line())), 1)
    assert kept.result.worse == ("wheel_size",)
    state = MasterWith()
    work: Any = waiting.wait_for_verdicts(state, 1)
    state.listeners[0](build(buildid=2))
    assert not work.called
    state.listeners[0](build(line()))
    assert work.result.worse == ("wheel_size",)
    assert (state.listeners, state.counted, state.clock.getDelayedCalls()) == ([], [], [])


def test_waiting_ends_in_its_time():
    """After five seconds the verdicts are missing, which is counted; an unreadable journal is counted too."""
    for kept, counted in ((None, ["reporters_late"]), (OSError("disk"), ["reporters_unread", "reporters_late"])):
        state = MasterWith(kept)
        work = waiting.wait_for_verdicts(state, 1)
        state.clock.advance(4.9)
        assert not work.called
        state.clock.advance(0.1)
        assert work.result is None
        assert (state.listeners, state.counted) == ([], counted)


def test_a_master_without_journal():
    """There are no verdicts to wait for."""
    state = MasterWith()
    state.judge.store = None
    assert waiting.wait_for_verdicts(state, 1).result is None


def test_any_formatter_gets_the_verdicts(monkeypatch):
    """The mixin adds the verdicts to the context of Buildbot's formatters, those of each build of a set."""
    states = {1: MasterWith(build(line())), 2: MasterWith(build(normal=2, buildid=2))}
    monkeypatch.setattr(message, "state_of", lambda buildid: states[buildid])
    monkeypatch.setattr(message, "digest_of", lambda _, one, of=message.digest_of: of(one["buildid"], one))

    class Formatter(MeasurementsMixin, reporters.MessageFormatter):
        pass

    formatter = Formatter(template="{{ measurements.headline }}", subject="a subject", template_type="plain")

    def rendered(**context: Any) -> Any:
        work = formatter.render_message_dict(None, context)
        result: list[Any] = []
        work.addBoth(result.append)
        return result[0]["body"]

    assert rendered(build=BUILD) == "1 worse"
    assert rendered(builds=[{**BUILD, "buildid": 2}, BUILD]) == "2 normal"
    assert rendered().startswith("the verdicts")
    several: dict[str, Any] = {"builds": [{**BUILD, "buildid": 2}, BUILD]}
    formatter.render_message_dict(None, several)
    assert several["measurements_by_build"][1].state == "worse"


def test_zulips_reporter_takes_no_generators():
    """Zulip is reached by mail, as the documentation says, because its reporter makes its own reports."""
    assert "generators" not in signature(reporters.ZulipStatusPush.checkConfig).parameters
