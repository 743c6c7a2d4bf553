"""SQLiteInstance on a running master: start, reconfig, stop."""

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
from bbmeasure.storage.sqlite.location import JOURNAL
from bbmeasure.storage.sqlite.store import SQLiteStorage
from tests.steps import kit
from tests.steps.live import Leaves, LiveCase, measured, pause, plain, read, sqlite

DAY = 86_400.0


class Vault(SecretProviderBase):  # type: ignore[misc]
    """A secret provider with one secret."""

    name = "Vault"

    def get(self, entry: str) -> str:
        return f"the {entry} sesame"


class Secretive(SQLiteInstance):
    """An instance with a secret, whose reconfig fails on demand."""

    secrets = ("password",)
    calls: list[Any] = []

    def checkConfig(self, *, password: Any = None, bad: bool = False, **more: Any) -> None:
        super().checkConfig(**more)

    @defer.inlineCallbacks
    def reconfigService(self, *, password: Any = None, bad: bool = False, **more: Any) -> Any:
        self.calls.append((password, bad, more))
        if bad:
            raise ConfigErrors(["bad on purpose"])
        yield super().reconfigService(**more)


def writer_threads() -> int:
    return sum(thread.name == "bbmeasure journal" for thread in threading.enumerate())


class TestArguments(unittest.TestCase):
    """Arguments in master.cfg."""

    def test_names(self) -> None:
        """By default it is the name of the class."""
        assert SQLiteInstance().name == "SQLiteInstance"
        assert SQLiteInstance(name="other").name == "other"

    def test_keyword_only_arguments(self) -> None:
        """Positional and unknown arguments are errors."""
        with pytest.raises(TypeError):
            SQLiteInstance("journal.sqlite")  # type: ignore[misc]
        with pytest.raises(ConfigErrors) as caught:
            SQLiteInstance(trackBuildTime=True)
        known = "path, retention, trackBuildTimes, trackStepTimes, trackStatistics, trackProperties, trackMasterMetrics"
        expected = f"SQLiteInstance: unknown argument trackBuildTime: expected one of {known}"
        assert caught.value.errors == [expected]

    def test_wrong_values(self) -> None:
        """The message has the instance's name, the actual and the expected value."""
        for arguments, expected in (
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
            assert caught.value.errors[0].startswith(f"mine: {expected}")

    def test_retention(self) -> None:
        """An age; None keeps everything."""
        assert read_retention("400d") == 400 * DAY
        assert read_retention(None) is None


class TestReconfig(LiveCase):
    """Reconfigs of a running master."""

    def service(self, name: str = "SQLiteInstance") -> Any:
        return self.master.service_manager.namedServices[name]

    @defer.inlineCallbacks
    def test_reconfig_without_changes(self) -> Any:
        """Three reconfigs change neither journal, writer nor consumers, and a build is captured once."""
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
        """After a failed reconfig the configuration before it is applied again, although it seems to be in force."""
        Secretive.calls = []
        builders = [plain(steps=[Leaves(name="a")])]
        yield self.start(builders, [Secretive(trackBuildTimes=True)])
        yield self.reconfigure(builders, [Secretive(bad=True)])
        assert len(self.flushLoggedErrors(ConfigErrors)) == 1
        yield self.reconfigure(builders, [Secretive(trackBuildTimes=True)])
        assert [bad for _, bad, _ in Secretive.calls] == [False, True, False]
        assert state_of(self.master).tracked == Switches(build_times=True)
        yield self.build("plain")
        assert len((yield self.values("build_duration", JOURNAL))) == 1

    @defer.inlineCallbacks
    def test_switches_change(self) -> Any:
        """The switches of the last configuration apply."""
        builders = [plain(steps=[Leaves(name="a")])]
        yield self.start(builders, [sqlite(trackBuildTimes=True), sqlite(name="b", trackStatistics=True)])
        assert state_of(self.master).tracked == Switches(build_times=True, statistics=True)
        yield self.reconfigure(builders, [sqlite()])
        assert state_of(self.master).tracked == Switches()
        yield self.build("plain")
        assert (yield self.values("build_duration", JOURNAL)) == []

    @defer.inlineCallbacks
    def test_secrets(self) -> Any:
        """A secret is rendered at each reconfig; neither getConfigDict nor the log of a failed reconfig shows it."""
        Secretive.calls = []
        builders, logged = [plain()], []
        config = self.configure(builders, [Secretive(password=Secret("open"))], secretsProviders=[Vault()])
        yield self.setup_master(config)
        assert Secretive.calls[0][0] == "the open sesame"
        with mock.patch("twisted.python.log.err", lambda *args, **_: logged.extend(map(str, args))):
            self.master.config_loader.config["services"] = [Secretive(password="plain sesame", bad=True)]
            yield self.master.doReconfig()
        assert any("Got exception while reconfiguring" in line for line in logged)
        assert not any("sesame" in line for line in logged)
        config = self.service("Secretive").getConfigDict()
        assert config["kwargs"] == {"password": "***", "bad": True}
        self.master.config_loader.config["services"] = [Secretive(password="plain sesame")]
        yield self.master.doReconfig()
        assert Secretive.calls[-1][0] == "plain sesame"

    @defer.inlineCallbacks
    def test_path_changes(self) -> Any:
        """New points go to the new file; those before are in the old file, whose thread ends."""
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
    def test_path_in_a_missing_folder(self) -> Any:
        """The master starts and says the error; the journal opens when the folder is there."""
        yield self.start([plain()], [sqlite(path="nowhere/journal.sqlite")])
        captureData("n", 1, master=self.master)
        while not self.pipeline.storage.health().last_error:
            yield pause()
        assert "nowhere/journal.sqlite" in str(self.pipeline.storage.health().last_error)
        Path(self.master.basedir, "nowhere").mkdir()
        yield self.settle()
        assert (yield self.values("n", "nowhere/journal.sqlite")) == [1]

    @defer.inlineCallbacks
    def test_instance_removed_and_added(self) -> Any:
        """Without an instance points wait in memory for the next instance, and running totals continue."""
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
    def test_two_instances_with_one_file(self) -> Any:
        """Instances with the same file share it until the last of them is removed."""
        yield self.start([plain()], [sqlite(retention="30d"), sqlite(name="b", path=f"./{JOURNAL}", retention="30d")])
        assert len(self.pipeline.stores) == 1
        store = self.pipeline.storage
        yield self.reconfigure([plain()], [sqlite(name="b")])
        assert self.pipeline.stores == [store]
        yield captureData("n", 1, master=self.master)
        assert (yield self.values("n", JOURNAL)) == [1]

    @defer.inlineCallbacks
    def test_two_files(self) -> Any:
        """Each instance receives every point."""
        yield self.start([plain()], [sqlite(), sqlite(name="b", path="b.sqlite")])
        yield captureData("n", 1, unit="bytes", master=self.master)
        yield captureData("n", 2, accumulate=True, unit="bytes", tags={"t": 1}, master=self.master)
        for store in list(self.pipeline.stores):
            while store.health().backlog:
                yield pause()
        for name in (JOURNAL, "b.sqlite"):
            assert [point.value for point in read(f"{self.master.basedir}/{name}", "n")] == [1, 2]

    @defer.inlineCallbacks
    def test_retention_changes(self) -> Any:
        """It is changed and removed without a restart."""
        for retention, seconds in (("30d", 30 * DAY), ("7d", 7 * DAY), (None, None)):
            if seconds == 30 * DAY:
                yield self.start([plain()], [sqlite(retention=retention)])
            else:
                yield self.reconfigure([plain()], [sqlite(retention=retention)])
            assert self.pipeline.storage.retention == seconds

    @defer.inlineCallbacks
    def test_restart(self) -> Any:
        """Points under way when the master stops are written, and the next master continues the totals."""
        folder = self.mktemp()
        for start in range(2):
            yield self.start([measured()], [sqlite()], folder)
            for _ in range(3):
                captureData("n", 1, accumulate=True, master=self.master)
            captureData(f"new{start}", 1, master=self.master)
            threads = writer_threads()
            yield kit.stop_master(self.master)
            while writer_threads() >= threads:
                yield pause()
            path = str(Path(folder) / JOURNAL)
            assert [point.value for point in read(path, "n")] == [1, 2, 3, 4, 5, 6][: 3 * start + 3]
            assert len(read(path, f"new{start}")) == 1


class TestHanging(TestReactorMixin, unittest.TestCase):
    """A journal on a disk that hangs, with a fake clock."""

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
    def test_start(self) -> Any:
        """The master starts although points in memory cannot be written; they are written when the disk answers."""
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
    def test_stop(self) -> Any:
        """A stop takes at most three timeouts, the last one to save what is pending; lost points are counted."""
        yield self.make_service()
        yield self.master.startService()
        store = self.pipeline.storage
        captured = [captureData("n", 1, master=self.master), captureData("n", 1, accumulate=True, master=self.master)]
        stopping = self.master.stopService()
        self.assertNoResult(stopping)
        self.reactor.pump([STOP_TIMEOUT / 2] * 3)
        assert self.pipeline.counters["stop_late"] == 1
        self.assertNoResult(stopping)
        self.reactor.pump([STOP_TIMEOUT / 2] * 4)
        self.successResultOf(stopping)
        while not all(answer.called for answer in captured):
            yield pause()
        assert self.pipeline.opted_out
        assert store.health().backlog == 0
        assert journals._open(state_of(self.master)) == {}
        self.gate.set()

    @defer.inlineCallbacks
    def test_reconfig_to_another_file(self) -> Any:
        """The file that hangs is abandoned after its timeout, and points go to the other file."""
        service = yield self.make_service()
        yield self.master.startService()
        lost = captureData("n", 1, master=self.master)
        changing = service.reconfigServiceWithSibling(SQLiteInstance(path="other.sqlite"))
        self.reactor.pump([STOP_TIMEOUT])
        self.gate.set()
        yield changing
        yield lost
        captured = captureData("n", 2, master=self.master)
        while not captured.called:
            self.pipeline._batches.send()  # the fake clock stands still
            yield pause()
        yield service.disownServiceParent()
        assert 2 in [point.value for point in read(f"{self.master.basedir}/other.sqlite", "n")]


def test_configured_path() -> None:
    """It is the path of the SQLiteInstance, in whatever the order of the instances."""
    from bbmeasure.master.services.journals import configured_path

    store = SQLiteInstance(path="data/m.sqlite")
    assert configured_path([store]) == "data/m.sqlite"
    assert configured_path([]) == JOURNAL
