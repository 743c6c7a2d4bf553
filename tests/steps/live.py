"""A real master in the process of the tests, with steps in Python, so that a build takes milliseconds."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional
from unittest import mock

import pytest
from buildbot.plugins import schedulers, util
from buildbot.process.buildstep import BuildStep
from buildbot.process.results import SUCCESS
from twisted.internet import defer, reactor, task
from twisted.internet.process import reapProcessHandlers
from twisted.trial import unittest

from bbmeasure import MeasuredBuilderConfig, SQLiteInstance
from bbmeasure.capture.state import state_of
from bbmeasure.model import Point, Query
from bbmeasure.reports import judge_queue
from bbmeasure.storage.sqlite.journal import JournalReader
from tests.steps import kit


class Leaves(BuildStep):  # type: ignore[misc]
    """A step that sets statistics and properties, and ends with ``result``."""

    def __init__(self, statistics: Any = (), properties: Any = (), result: Any = SUCCESS, **kwargs: Any) -> None:
        self.leaves = dict(statistics), dict(properties)
        self.result = result
        super().__init__(warnOnWarnings=True, **kwargs)

    def run(self) -> Any:
        for name, value in self.leaves[0].items():
            self.setStatistic(name, value)
        for name, value in self.leaves[1].items():
            self.setProperty(name, value, "test")
        if isinstance(self.result, Exception):
            raise self.result
        return defer.succeed(int(self.result))


class Waits(BuildStep):  # type: ignore[misc]
    """A step that ends when :attr:`gate` fires; :attr:`begun` fires when it runs."""

    gate: defer.Deferred[None]
    begun: defer.Deferred[None]

    @classmethod
    def close(cls) -> None:
        """Make the next step wait."""
        cls.gate, cls.begun = defer.Deferred(), defer.Deferred()

    def run(self) -> Any:
        self.begun.callback(None)
        return self.gate.addCallback(lambda _: SUCCESS)


@pytest.mark.usefixtures("long_deadlines")
class LiveCase(unittest.TestCase):
    """A test case with a master."""

    master: Any
    #: For what hangs, as pytest's own; trial's 120 seconds pass on a busy machine.
    timeout = 600

    def setUp(self) -> None:
        self.addCleanup(self._judges_ended)

    @defer.inlineCallbacks
    def _judges_ended(self) -> Any:
        """Wait for the ends of the processes that judge, which a stopped master has killed."""
        while any(isinstance(process.proto, judge_queue._Process) for process in reapProcessHandlers.values()):
            yield pause(0.01)

    def mktemp(self) -> str:
        """A path in a folder that is removed after the test; trial's own stay in the working directory."""
        folder = tempfile.mkdtemp(prefix="bbmeasure-test-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        return f"{folder}/temp"

    def configure(self, builders: Sequence[Any], services: Sequence[Any] = (), **more: Any) -> dict[str, Any]:
        """A configuration with a force scheduler for each builder."""
        names = [builder.name for builder in builders]
        return {
            "builders": list(builders),
            "schedulers": [schedulers.ForceScheduler(f"force-{name}", builderNames=[name]) for name in names],
            "services": list(services),
            "multiMaster": True,
            **more,
        }

    def start(
        self, builders: Sequence[Any], services: Sequence[Any] = (), folder: Optional[str] = None
    ) -> defer.Deferred[None]:
        """Start the master."""
        return self.setup_master(self.configure(builders, services), folder)

    @defer.inlineCallbacks
    def setup_master(self, config: dict[str, Any], folder: Optional[str] = None) -> Any:
        """Start the master with a whole configuration, in a new folder or in that of another master."""
        stop = mock.create_autospec(reactor.stop)  # type: ignore[attr-defined]
        self.patch(reactor, "stop", stop)
        folder = folder or self.mktemp()
        Path(folder).mkdir(exist_ok=True)
        self.master = yield kit.start_master(folder, kit.Loader(config))
        self.addCleanup(kit.stop_master, self.master)
        assert not stop.called, "the master tried to stop the reactor; see its log"

    @defer.inlineCallbacks
    def reconfigure(self, builders: Sequence[Any], services: Sequence[Any] = ()) -> Any:
        """Apply another configuration, as SIGHUP does."""
        self.master.config_loader.replace(self.configure(builders, services))
        yield self._distributed()
        yield self.master.doReconfig()

    @defer.inlineCallbacks
    def _distributed(self) -> Any:
        """Wait for the distributor of requests, which logs an error where a reconfig removes a builder under it."""
        distributor = self.master.botmaster.brd
        while distributor.active or distributor._deferwaiter.has_waited():
            yield pause(0.01)

    @defer.inlineCallbacks
    def build(self, builder: str) -> Any:
        """Run a build and wait for its end; returns its row."""
        ended: defer.Deferred[Any] = defer.Deferred()
        consumer = yield self.master.mq.startConsuming(
            lambda _, build: ended.callback(build), ("builds", None, "finished")
        )
        yield self.master.data.control("force", {}, ("forceschedulers", f"force-{builder}"))
        build = yield ended
        yield consumer.stopConsuming()
        while self.master.botmaster.builders[builder].building:
            yield pause()
        return build

    @property
    def pipeline(self) -> Any:
        """The master's capture pipeline."""
        return state_of(self.master).pipeline

    @defer.inlineCallbacks
    def settle(self) -> Any:
        """Wait until all captured points are on disk."""
        yield self.pipeline.settle()
        while self.pipeline.storage.health().backlog:
            yield pause()

    @defer.inlineCallbacks
    def points(self, series: str, journal: Optional[str] = None) -> Any:
        """The points of a series when all writes have ended, from the file ``journal`` where one is named."""
        yield self.settle()
        if journal is not None:
            return read(f"{self.master.basedir}/{journal}", series)
        points = yield self.pipeline.storage.points(Query(series), 1_000)
        return points

    @defer.inlineCallbacks
    def values(self, series: str, journal: Optional[str] = None) -> Any:
        """The values of a series, see :meth:`points`."""
        points = yield self.points(series, journal)
        return [point.value for point in points]


def read(path: str, series: str) -> list[Point]:
    """The points of a series in a journal file, as another process reads them."""
    with JournalReader(path) as reader:
        return reader.points(Query(series), 1_000)


def pause(seconds: float = 0.0) -> defer.Deferred[None]:
    """Let the reactor run for ``seconds``."""
    return task.deferLater(reactor, seconds, lambda: None)  # type: ignore[arg-type]


def measured(name: str = "first", steps: Sequence[Any] = (), **more: Any) -> MeasuredBuilderConfig:
    """A measured builder."""
    return MeasuredBuilderConfig(name=name, workernames=["local1"], factory=util.BuildFactory(list(steps)), **more)


def plain(name: str = "plain", steps: Sequence[Any] = ()) -> Any:
    """A stock builder."""
    return util.BuilderConfig(name=name, workernames=["local1"], factory=util.BuildFactory(list(steps)))


def sqlite(**arguments: Any) -> SQLiteInstance:
    """The embedded store."""
    return SQLiteInstance(**arguments)
