"""Verdicts of builds of a running master: what is judged at the end, alerts and their suspects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from buildbot.data.changes import ChangesEndpoint
from buildbot.plugins import schedulers, util
from buildbot.process.buildstep import BuildStep
from buildbot.process.results import SUCCESS
from twisted.internet import defer

from bbmeasure import Gate, MeasurementPolicy, captureData
from bbmeasure.capture.state import state_of
from bbmeasure.master.reporters.waiting import wait_for_verdicts
from bbmeasure.master.tracking import suspects
from bbmeasure.model import BuildContext, Point
from bbmeasure.reports.judge import Judge
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.storage.verdict_store import AlertQuery
from tests.steps.live import LiveCase, measured, pause, plain, sqlite


class Captures(BuildStep):  # type: ignore[misc]
    """A step that captures the next of :attr:`values`."""

    values: ClassVar[list[float]] = []

    @defer.inlineCallbacks
    def run(self) -> Any:
        value = self.values.pop(0)
        self.setProperty("issues", value, "test")
        yield captureData("size", value, build=self, better="lower", kind="count")
        return SUCCESS


class TestVerdicts(LiveCase):
    """A master whose builds are judged."""

    @property
    def judge(self) -> Judge:
        return state_of(self.master).component(Judge)

    @defer.inlineCallbacks
    def judged(self, builder: str, value: float) -> Any:
        """The kept verdicts of a build of one value."""
        Captures.values = [value]
        build = yield self.build(builder)
        yield self.settle()
        verdicts = yield self.judge.verdicts_of(build["buildid"])
        return verdicts

    @defer.inlineCallbacks
    def alerts(self) -> Any:
        alerts = yield self.pipeline.storage.alerts(AlertQuery())
        return alerts

    @defer.inlineCallbacks
    def test_builds_are_judged(self) -> Any:
        """Builds of measured and of plain builders are judged, with the gates of track calls and of the policy."""
        first = measured(steps=[Captures()])
        first.trackProperties("issues", better="lower", gate=Gate(limit=5))
        yield self.start([first, plain(steps=[Captures()])], [sqlite()])
        verdicts = yield self.judged("first", 3)
        assert {line.series: line.verdict.state.value for line in verdicts.lines} == {
            "issues": "no_baseline",
            "size": "no_baseline",
        }
        verdicts = yield self.judged("first", 7)
        assert (verdicts.worse, verdicts.complete) == (("issues",), True)
        verdicts = yield self.judged("plain", 7)
        assert [(line.series, line.builder) for line in verdicts.lines] == [("size", "plain")]
        (alert,) = yield self.alerts()
        assert (alert.rule, alert.line.builder, alert.build) == ("limit", "first", 2)
        assert state_of(self.master).gates._builds == {}

    @defer.inlineCallbacks
    def test_a_builder_without_tracking(self) -> Any:
        """A measured builder that tracks nothing is judged by what its steps capture; an empty build has no verdict.

        A reporter does not wait for those of an empty build.
        """
        yield self.start([measured(steps=[Captures()]), plain()], [sqlite()])
        verdicts = yield self.judged("first", 3)
        assert [line.series for line in verdicts.lines] == ["size"]
        build = yield self.build("plain")
        yield self.settle()
        assert (yield wait_for_verdicts(state_of(self.master), build["buildid"], 3600)).lines == ()
        assert self.pipeline.counters["reporters_late"] == 0

    @defer.inlineCallbacks
    def test_a_removed_builder(self) -> Any:
        """Its open alerts become resolved, with that as the reason, when a reconfig removes it."""
        first = measured(steps=[Captures()])
        first.trackProperties("issues", better="lower", gate=Gate(limit=5))
        yield self.start([first, plain(steps=[Captures()])], [sqlite()])
        yield self.judged("first", 7)
        yield self.reconfigure([plain(steps=[Captures()])], [sqlite()])
        alerts = yield self.alerts()
        while alerts[0].state == "open":
            yield pause(0.01)
            alerts = yield self.alerts()
        assert [(alert.state, alert.why) for alert in alerts] == [
            ("resolved", "builder 'first' was removed from master.cfg")
        ]

    @defer.inlineCallbacks
    def test_a_removed_reporter(self) -> Any:
        """A reconfig without it forgets it, and the builds that it has not told."""
        builders = [plain(steps=[Captures()])]
        yield self.start(builders, [sqlite()])
        self.judge.reporters["removed"] = False
        yield self.judged("plain", 7)
        assert (yield self.pipeline.storage.untold("removed", 9)) == [1]
        yield self.reconfigure(builders, [sqlite()])
        while (yield self.pipeline.storage.untold("removed", 9)):
            yield pause(0.01)
        assert self.judge.reporters == {}

    @defer.inlineCallbacks
    def test_the_past_is_judged_after_an_upgrade(self) -> Any:
        """Lines of a journal without detectors are learned when the master starts."""
        builders = [plain(steps=[Captures()])]
        yield self.start(builders, [])
        path = f"{self.master.basedir}/old.sqlite"
        with Journal(path) as journal:
            build = BuildContext("plain", "local1", 1, 1, branch="main")
            journal.write([Point("size", 1_700_000_000 * 10**9, 5.0, build=build)])
        yield self.reconfigure(builders, [sqlite(path="old.sqlite")])
        while not self.pipeline.counters["lines_learned"]:
            yield pause(0.01)
        yield self.settle()
        with JournalReader(path) as reader:
            assert reader.lines_to_learn(0, 9, again=False) == []
        assert self.pipeline.counters["lines_to_learn"] == 0

    @defer.inlineCallbacks
    def test_a_reconfig(self) -> Any:
        """Lines go on where they were, in the same process; gates of the policy apply to the next build."""
        builders = [plain(steps=[Captures()])]
        yield self.start(builders, [sqlite()])
        for _ in range(10):
            yield self.judged("plain", 100)
        process = self.judge._queue._process
        yield self.reconfigure(builders, [sqlite(), MeasurementPolicy(gates={"size": Gate(minimumChange="5 %")})])
        assert (yield self.judged("plain", 102)).state == "normal"
        yield self.reconfigure(builders, [sqlite()])
        assert (yield self.judged("plain", 110)).worse == ("size",)
        assert self.judge._queue._process is process

    @defer.inlineCallbacks
    def test_suspects(self) -> Any:
        """The suspects are the changes after that of the last build at the old level, without those of requests."""
        yield self.start_with_changes()
        for number in range(1, 13):
            yield self.changed(number, 100.0)
        yield self.changed(13, None)
        request = {"source_branch": "main", "target_branch": "main", "source_project_id": 2, "target_project_id": 1}
        yield self.changed(99, None, properties={name: (value, "Change") for name, value in request.items()})
        yield self.changed(14, 101.0, revlink="javascript:alert(1)")
        (alert,) = yield self.alerts()
        assert alert.facts["suspects"] == [
            {"revision": "r14", "author": "ann", "subject": "change 14", "url": ""},
            {"revision": "r13", "author": "ann", "subject": "change 13", "url": "https://example.org/13"},
        ]

    @defer.inlineCallbacks
    def test_a_commit_that_is_built_again(self) -> Any:
        """It has no suspects where its value changes: there is no commit between the two builds."""
        yield self.start_with_changes()
        for number in range(1, 13):
            yield self.changed(number, 100.0)
        yield self.run_build(lambda: self.master.data.control("rebuild", {}, ("builds", 12)), 101.0)
        (alert,) = yield self.alerts()
        assert (alert.buildid, alert.facts["last_buildid"], alert.facts["suspects"]) == (13, 12, [])

    @defer.inlineCallbacks
    def test_a_revision_that_the_build_found(self) -> Any:
        """The change of ``got_revision`` is the suspect where the source stamp has no revision."""
        yield self.start_with_changes()
        for number in range(1, 13):
            yield self.changed(number, 100.0)
        yield self.changed(13, None)
        yield self.run_build(lambda: self.newest("r13"), 101.0)
        (alert,) = yield self.alerts()
        assert [one["revision"] for one in alert.facts["suspects"]] == ["r13"]

    @defer.inlineCallbacks
    def test_a_database_that_does_not_search_revisions(self) -> Any:
        """Buildbot 3.7 would load all changes; only the newest ones are searched."""
        self.patch(ChangesEndpoint, "fieldMapping", {"changeid": "changes.changeid"})
        self.patch(suspects, "MAX_LOADED", 2)
        loaded = []
        yield self.start_with_changes()
        for number in range(1, 13):
            yield self.changed(number, 100.0)
        yield self.changed(13, None)
        get_changes = self.master.db.changes.getChanges

        @defer.inlineCallbacks
        def recorded(resultSpec: Any = None) -> Any:
            changes = yield get_changes(resultSpec=resultSpec)
            changes = list(changes)
            loaded.append(len(changes))
            return changes

        self.patch(self.master.db.changes, "getChanges", recorded)
        yield self.run_build(lambda: self.newest("r13"), 101.0)
        (alert,) = yield self.alerts()
        assert [one["revision"] for one in alert.facts["suspects"]] == ["r13"]
        assert loaded == [2]

    @defer.inlineCallbacks
    def newest(self, revision: str) -> Any:
        """Request a build of the newest revision of the branch, which the build finds to be ``revision``."""
        builderid = yield self.master.botmaster.builders["first"].getBuilderId()
        stamp = {"branch": "main", "revision": None, "codebase": "", "repository": "", "project": ""}
        yield self.master.data.updates.addBuildset(
            waited_for=False,
            scheduler="s",
            sourcestamps=[stamp],
            reason="nightly",
            properties={"got_revision": (revision, "Git")},
            builderids=[builderid],
        )

    def start_with_changes(self) -> Any:
        """Start a master that builds each change of the branch."""
        config = self.configure([measured(steps=[Captures()])], [sqlite()])
        filters = util.ChangeFilter(branch="main")
        config["schedulers"].append(
            schedulers.SingleBranchScheduler("s", change_filter=filters, builderNames=["first"], treeStableTimer=None)
        )
        return self.setup_master(config)

    @defer.inlineCallbacks
    def changed(self, number: int, value: Any, **more: Any) -> Any:
        """Add a change to the branch, and run its build if there is a value."""
        change = {
            "branch": "main",
            "revision": f"r{number}",
            "author": "ann",
            "comments": f"change {number}\n\nbody",
            "revlink": f"https://example.org/{number}",
            **more,
        }
        if value is None:
            yield self.master.db.changes.addChange(
                author="ann",
                comments=change["comments"],
                branch="main",
                revision=change["revision"],
                revlink=change["revlink"],
                files=[],
                when_timestamp=None,
                properties=more.get("properties"),
            )
            return
        yield self.run_build(lambda: self.master.data.updates.addChange(**change), value)

    @defer.inlineCallbacks
    def run_build(self, request: Callable[[], Any], value: float) -> Any:
        """Run the build of that value that ``request`` requests."""
        Captures.values = [value]
        ended: defer.Deferred[Any] = defer.Deferred()
        consumer = yield self.master.mq.startConsuming(lambda _, b: ended.callback(b), ("builds", None, "finished"))
        yield request()
        yield ended
        yield consumer.stopConsuming()
        while self.master.botmaster.builders["first"].building:
            yield pause()
        yield self.settle()
