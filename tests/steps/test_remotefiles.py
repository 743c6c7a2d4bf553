"""Remote file commands of a worker that is lost while one runs, or never answers."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import RETRY
from buildbot_worker.commands import registry
from buildbot_worker.commands.base import Command
from twisted.internet import defer

from bbmeasure_steps import remotefiles
from bbmeasure_steps.shell import MeasureShellCommand
from tests.steps.live import LiveCase, pause, plain


class NeverCompletes(Command):  # type: ignore[misc]
    """A command of a worker that never completes; :attr:`started` fires when it starts."""

    started: defer.Deferred[None]

    def start(self) -> Any:
        self.started.callback(None)
        return defer.Deferred()


class TestLostWorker(LiveCase):
    """With a real local worker."""

    timeout = 20

    @defer.inlineCallbacks
    def test_the_worker_is_lost_before_the_file_is_read(self) -> Any:
        """The build ends without waiting for the timeout of the remote command."""
        self.patch(remotefiles, "TIMEOUT", 40)
        self.patch(registry, "commandRegistry", {**registry.commandRegistry, "stat": NeverCompletes})
        NeverCompletes.started = defer.Deferred()
        yield self.start([plain(steps=[MeasureShellCommand(name="size", command=["echo", "3"])])])
        ended: defer.Deferred[Any] = defer.Deferred()
        consumer = yield self.master.mq.startConsuming(
            lambda _, build: ended.callback(build), ("builds", None, "finished")
        )
        yield self.master.data.control("force", {}, ("forceschedulers", "force-plain"))
        yield NeverCompletes.started
        (build,) = self.master.botmaster.builders["plain"].building
        build.workerforbuilder.worker.conn.loseConnection()
        assert (yield ended)["results"] == RETRY
        yield consumer.stopConsuming()
        while self.master.botmaster.builders["plain"].building:
            yield pause(0.01)
        assert not (yield self.points("size"))

    @defer.inlineCallbacks
    def test_a_worker_that_never_answers(self) -> Any:
        """After the timeout of a file operation the step goes on without the file, and the build ends."""
        self.patch(remotefiles, "TIMEOUT", 0.5)
        self.patch(registry, "commandRegistry", {**registry.commandRegistry, "stat": NeverCompletes})
        NeverCompletes.started = defer.Deferred()
        yield self.start([plain(steps=[MeasureShellCommand(name="size", command=["echo", "3"])])])
        build = yield self.build("plain")
        steps = yield self.master.data.get(("builds", build["buildid"], "steps"))
        log = yield self.master.data.get(("steps", steps[-1]["stepid"], "logs", "measurements", "contents"))
        assert "the worker did not answer stat within 0.5 s" in log["content"]
        assert (yield self.values("size")) == [3]
