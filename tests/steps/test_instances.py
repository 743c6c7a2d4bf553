"""The services of c["services"]: how they start, reconfigure and stop."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from buildbot.config import ConfigErrors
from buildbot.process.properties import Secret
from buildbot.secrets.providers.base import SecretProviderBase
from buildbot.test.fake import fakemaster
from buildbot.test.reactor import TestReactorMixin
from twisted.internet import defer, reactor
from twisted.trial import unittest

from bbmeasure import SQLiteInstance, captureData
from bbmeasure.capture.plan import Switches
from bbmeasure.capture.state import state_of
from bbmeasure.master.services import journals
from bbmeasure.master.services.base import STOP_TIMEOUT
from bbmeasure.master.services.sqlite import read_retention
from bbmeasure.master.tracking.events import BuildTracker
from bbmeasure.model import Query
from bbmeasure.storage.sqlite.store import SQLiteStorage
from tests.steps.live import JOURNAL, Leaves, LiveCase, measured, pause, plain, read, sqlite

DAY = 86_400.0


class Vault(SecretProviderBase):  # type: ignore[misc]
    """Knows one secret."""

    name = "Vault"

    def get(self, entry: str) -> str:
        return f"the {entry} sesame"


class Secretive(SQLiteInstance):
    """An instance with a password, of which it is picky."""

    secrets = ("password",)
    heard: list[Any] = []

    def checkConfig(self, *, password: Any = None, bad: bool = False, **more: Any) -> None:
        super().checkConfig(**more)

    @defer.inlineCallbacks
    def reconfigService(self, *, password: Any = None, bad: bool = False, **more: Any) -> Any:
        self.heard.append((password, bad, more))
        if bad:
            raise ConfigErrors(["bad on purpose"])
        yield super().reconfigService(**more)


def writer_threads() -> int:
    return sum(thread.name == "bbmeasure journal" for thread in threading.enumerate())


class TestArguments(unittest.TestCase):
    """What is written in master.cfg."""

    def test_names(self) -> None:
        """The class's name, or what is given."""
        assert SQLiteInstance().name == "SQLiteInstance"
        assert SQLiteInstance(name="other").name == "other"

    def test_keywords_alone(self) -> None:
        """An argument without its keyword is a mistake, as is one that nobody knows."""
        with pytest.raises(TypeError):
            SQLiteInstance("journal.sqlite")  # type: ignore[misc]
        with pytest.raises(ConfigErrors) as caught:
            SQLiteInstance(trackBuildTime=True)
        known = "path, retention, trackBuildTimes, trackStepTimes, trackStatistics, trackProperties, trackMasterMetrics"
        said = f"SQLiteInstance: unknown argument trackBuildTime: expected one of {known}"
        assert caught.value.errors == [said]

    def test_wrong_values(self) -> None:
        """Each says the instance's name, what was got and what was wanted."""
        for arguments, said in (
            ({"path": ""}, "path '': expected a file's path"),
            ({"path": 5}, "path 5: expected a file's path"),
            ({"retention": "soon"}, "retention 'soon': expected a number with s, m, h, d, w or y"),
            ({"retention": 400}, "retention '400': expected a number"),
            ({"trackBuildTimes": "yes"}, "trackBuildTimes 'yes': expected True or False"),
            ({"trackStepTimes": 1}, "trackStepTimes 1: expected True or False"),
            ({"trackStatistics": None}, "trackStatistics None: expected True or False"),
            ({"trackProperties": "pylint-*"}, "trackProperties 'pylint-*': expected a list of patterns"),
            ({"trackMasterMetrics": 0}, "trackMasterMetrics 0: expected True or False"),
        ):
            with pytest.raises(ConfigErrors) as caught:
                SQLiteInstance(name="mine", **arguments)
            assert caught.value.errors[0].startswith(f"mine: {said}")

    def test_retention(self) -> None:
        """An age, or for ever."""
        assert read_retention("400d") == 400 * DAY
        assert read_retention(None) is None


class TestReconfig(LiveCase):
    """Services of a running master."""

    def service(self, name: str = "SQLiteInstance") -> Any:
        return self.master.service_manager.namedServices[name]

    @defer.inlineCallbacks
    def test_again_and_again(self) -> Any:
        """The same configuration three times: one journal, one writer, one consumer each, and a build is kept once."""
        builders = [plain(steps=[Leaves(name="a")])]
        yield self.start(builders, [sqlite(trackBuildTimes=True)])
        yield self.build("plain")
        store, threads = self.pipeline.storage, writer_threads()
        consumers = list(state_of(self.master).component(BuildTracker)._consumers)
        for _ in range(3):
            yield self.reconfigure(builders, [sqlite(trackBuildTimes=True)])
        assert self.pipeline.stores == [store]
        assert state_of(self.master).component(BuildTracker)._consumers == consumers
        assert len(consumers) == 4
        assert writer_threads() == threads
        yield self.build("plain")
        assert len((yield self.values("build_duration", JOURNAL))) == 2

    @defer.inlineCallbacks
    def test_good_bad_good(self) -> Any:
        """After a configuration that failed the one from before is taken again, though it seems to be in force."""
        Secretive.heard = []
        builders = [plain(steps=[Leaves(name="a")])]
        yield self.start(builders, [Secretive(trackBuildTimes=True)])
        yield self.reconfigure(builders, [Secretive(bad=True)])
        assert len(self.flushLoggedErrors(ConfigErrors)) == 1
        yield self.reconfigure(builders, [Secretive(trackBuildTimes=True)])
        assert [bad for _, bad, _ in Secretive.heard] == [False, True, False]
        assert state_of(self.master).tracked == Switches(build_times=True)
        yield self.build("plain")
        assert len((yield self.values("build_duration", JOURNAL))) == 1

    @defer.inlineCallbacks
    def test_switches_come_and_go(self) -> Any:
        """What is tracked is what the last configuration says."""
        builders = [plain(steps=[Leaves(name="a")])]
        yield self.start(builders, [sqlite(trackBuildTimes=True), sqlite(name="b", trackStatistics=True)])
        assert state_of(self.master).tracked == Switches(build_times=True, statistics=True)
        yield self.reconfigure(builders, [sqlite()])
        assert state_of(self.master).tracked == Switches()
        assert state_of(self.master).component(BuildTracker)._consumers == []
        yield self.build("plain")
        assert (yield self.values("build_duration", JOURNAL)) == []

    @defer.inlineCallbacks
    def test_secrets_are_rendered_and_not_shown(self) -> Any:
        """A secret arrives rendered each time, and neither getConfigDict nor the log of a failed reconfig has it."""
        Secretive.heard = []
        builders, logged = [plain()], []
        config = self.configure(builders, [Secretive(password=Secret("open"))], secretsProviders=[Vault()])
        yield self.setup_master(config)
        assert Secretive.heard[0][0] == "the open sesame"
        with mock.patch("twisted.python.log.err", lambda *told, **_: logged.extend(map(str, told))):
            self.master.config_loader.config_dict["services"] = [Secretive(password="plain sesame", bad=True)]
            yield self.master.doReconfig()
        assert any("Got exception while reconfiguring" in line for line in logged)
        assert not any("sesame" in line for line in logged)
        shown = self.service("Secretive").getConfigDict()
        assert shown["kwargs"] == {"password": "***", "bad": True}
        self.master.config_loader.config_dict["services"] = [Secretive(password="plain sesame")]
        yield self.master.doReconfig()
        assert Secretive.heard[-1][0] == "plain sesame"

    @defer.inlineCallbacks
    def test_another_path(self) -> Any:
        """Points go to the new file from then on; those before are whole in the old one, whose thread has ended."""
        yield self.start([plain()], [sqlite()])
        Path(self.master.basedir, "new").mkdir()
        threads = writer_threads()
        yield captureData("n", 0, master=self.master)
        for number in range(1, 50):
            captureData("n", number, master=self.master)
        yield self.reconfigure([plain()], [sqlite(path="new/other.sqlite")])
        captureData("n", 50, master=self.master)
        while writer_threads() > threads:
            yield pause()
        assert (yield self.values("n", "new/other.sqlite")) == [50]
        assert [point.value for point in read(f"{self.master.basedir}/{JOURNAL}", "n")] == list(range(50))

    @defer.inlineCallbacks
    def test_a_path_that_cannot_be(self) -> Any:
        """A folder that is not there is told of when the master starts, and the master starts."""
        yield self.start([plain()], [sqlite(path="nowhere/journal.sqlite")])
        while not self.pipeline.counters["failed"]:
            yield pause()
        assert "nowhere/journal.sqlite" in str(self.pipeline.storage.health().last_error)

    @defer.inlineCallbacks
    def test_gone_and_back(self) -> Any:
        """Without an instance values wait in memory; the next one has them, and running totals go on."""
        builders = [plain()]
        yield self.start(builders, [sqlite()])
        for services in ([], [sqlite()], []):
            captureData("n", 1, accumulate=True, master=self.master)
            yield self.reconfigure(builders, services)
            assert self.pipeline.opted_out is (not services)
            captureData("n", 1, accumulate=True, master=self.master)
        yield self.reconfigure(builders, [sqlite(name="another")])
        assert (yield self.values("n", JOURNAL)) == [1, 2, 3, 4, 5, 6]

    @defer.inlineCallbacks
    def test_two_on_one_file(self) -> Any:
        """Instances that keep the same file share it, until the last of them goes."""
        yield self.start([plain()], [sqlite(retention="30d"), sqlite(name="b", path=f"./{JOURNAL}", retention="30d")])
        assert len(self.pipeline.stores) == 1
        store = self.pipeline.storage
        yield self.reconfigure([plain()], [sqlite(name="b")])
        assert self.pipeline.stores == [store]
        yield captureData("n", 1, master=self.master)
        assert (yield self.values("n", JOURNAL)) == [1]

    @defer.inlineCallbacks
    def test_two_files(self) -> Any:
        """Each instance receives everything."""
        yield self.start([plain()], [sqlite(), sqlite(name="b", path="b.sqlite")])
        yield captureData("n", 1, unit="bytes", master=self.master)
        yield captureData("n", 2, accumulate=True, unit="bytes", tags={"t": 1}, master=self.master)
        for store in list(self.pipeline.stores):
            while store.health().backlog:
                yield pause()
        for name in (JOURNAL, "b.sqlite"):
            assert [point.value for point in read(f"{self.master.basedir}/{name}", "n")] == [1, 2]

    @defer.inlineCallbacks
    def test_retention_is_what_the_last_configuration_says(self) -> Any:
        """It may change and go without a restart."""
        for retention, seconds in (("30d", 30 * DAY), ("7d", 7 * DAY), (None, None)):
            if seconds == 30 * DAY:
                yield self.start([plain()], [sqlite(retention=retention)])
            else:
                yield self.reconfigure([plain()], [sqlite(retention=retention)])
            assert self.pipeline.storage.retention == seconds

    @defer.inlineCallbacks
    def test_a_restart_goes_on(self) -> Any:
        """What was on its way when the master stopped is in the journal, and a new master goes on there."""
        folder = self.mktemp()
        for start in range(2):
            yield self.start([measured()], [sqlite()], basedir=folder)
            for _ in range(3):
                captureData("n", 1, accumulate=True, master=self.master)
            captureData(f"new{start}", 1, master=self.master)
            threads = writer_threads()
            yield self.tested_master.shutdown()
            while writer_threads() >= threads:
                yield pause()
            path = str(Path(folder) / JOURNAL)
            assert [point.value for point in read(path, "n")] == [1, 2, 3, 4, 5, 6][: 3 * start + 3]
            assert len(read(path, f"new{start}")) == 1


class TestHanging(TestReactorMixin, unittest.TestCase):
    """A journal on a disk that hangs; time goes on by hand."""

    @defer.inlineCallbacks
    def setUp(self) -> Any:
        self.setup_test_reactor()
        self.patch(self.reactor, "callFromThread", reactor.callFromThread)  # type: ignore[attr-defined]
        self.master = yield fakemaster.make_master(self, wantMq=True)
        self.master.basedir = tempfile.mkdtemp(prefix="bbmeasure-test-")
        self.addCleanup(shutil.rmtree, self.master.basedir, ignore_errors=True)
        self.gate = threading.Event()
        self.addCleanup(self.gate.set)
        opened = SQLiteStorage._open_journal
        self.patch(SQLiteStorage, "_open_journal", lambda store: (self.gate.wait(20), opened(store))[1])
        self.pipeline = state_of(self.master).pipeline

    @defer.inlineCallbacks
    def make_service(self, **arguments: Any) -> Any:
        service = SQLiteInstance(**arguments)
        yield service.setServiceParent(self.master)
        return service

    @defer.inlineCallbacks
    def test_it_starts(self) -> Any:
        """The master comes up though what waited in memory cannot be written; it is written when the disk is back."""
        for number in range(3):
            captureData("n", number, master=self.master)
        service = yield self.make_service()
        yield self.master.startService()
        assert not self.pipeline.opted_out
        self.gate.set()
        while (yield self.pipeline.storage.points(Query("n"), 10)) == []:
            yield pause()
        yield service.disownServiceParent()
        assert [point.value for point in read(f"{self.master.basedir}/{JOURNAL}", "n")] == [0, 1, 2]

    @defer.inlineCallbacks
    def test_it_stops(self) -> Any:
        """A stop takes twice its patience and no more; what is lost is counted."""
        yield self.make_service()
        yield self.master.startService()
        store = self.pipeline.storage
        kept = [captureData("n", 1, master=self.master), captureData("n", 1, accumulate=True, master=self.master)]
        stopping = self.master.stopService()
        self.assertNoResult(stopping)
        self.reactor.pump([STOP_TIMEOUT / 2] * 3)
        assert self.pipeline.counters["stop_late"] == 1
        self.assertNoResult(stopping)
        self.reactor.pump([STOP_TIMEOUT / 2] * 2)
        self.successResultOf(stopping)
        while not all(one.called for one in kept):
            yield pause()
        assert self.pipeline.opted_out
        assert store.health().backlog == 0
        assert journals._open(state_of(self.master)) == {}
        self.gate.set()

    @defer.inlineCallbacks
    def test_a_reconfig_to_another_file_goes_through(self) -> Any:
        """The file that hangs is given up within its time, and points go to the other one."""
        service = yield self.make_service()
        yield self.master.startService()
        lost = captureData("n", 1, master=self.master)
        changing = service.reconfigServiceWithSibling(SQLiteInstance(path="other.sqlite"))
        self.reactor.pump([STOP_TIMEOUT])
        self.gate.set()
        yield changing
        yield lost
        yield captureData("n", 2, master=self.master)
        yield service.disownServiceParent()
        assert 2 in [point.value for point in read(f"{self.master.basedir}/other.sqlite", "n")]


def test_other_instances_use_the_configured_journal() -> None:
    """The journal of a configuration is its SQLiteInstance's file, whatever the order of the instances."""
    from bbmeasure.master.services.journals import configured_path
    from bbmeasure.storage.sqlite.location import JOURNAL as BY_DEFAULT

    store = SQLiteInstance(path="data/m.sqlite")
    assert configured_path([store]) == "data/m.sqlite"
    assert configured_path([]) == BY_DEFAULT
