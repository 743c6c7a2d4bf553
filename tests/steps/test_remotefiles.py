"""Files of a worker that is lost while it is asked for one."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import RETRY
from buildbot_worker.commands import registry
from buildbot_worker.commands.base import Command
from twisted.internet import defer

from bbmeasure_steps import remotefiles
from bbmeasure_steps.shell import MeasureShellCommand
from tests.steps.live import LiveCase, plain


class Silent(Command):  # type: ignore[misc]
    """A worker's command that never answers; :attr:`begun` fires when it has begun."""

    begun: defer.Deferred[None]

    def start(self) -> Any:
        self.begun.callback(None)
        return defer.Deferred()


class TestLost(LiveCase):
    """A real local worker."""

    timeout = 20

    @defer.inlineCallbacks
    def test_a_worker_lost_between_command_and_file(self) -> Any:
        """The build ends at once, and does not wait for what the worker will never say."""
        self.patch(remotefiles, "PATIENCE", 40)
        self.patch(registry, "commandRegistry", {**registry.commandRegistry, "stat": Silent})
        Silent.begun = defer.Deferred()
        yield self.start([plain(steps=[MeasureShellCommand(name="size", command=["echo", "3"])])])
        ended: defer.Deferred[Any] = defer.Deferred()
        consumer = yield self.master.mq.startConsuming(
            lambda _, build: ended.callback(build), ("builds", None, "finished")
        )
        yield self.master.data.control("force", {}, ("forceschedulers", "force-plain"))
        yield Silent.begun
        (build,) = self.master.botmaster.builders["plain"].building
        build.workerforbuilder.worker.conn.loseConnection()
        assert (yield ended)["results"] == RETRY
        yield consumer.stopConsuming()
        assert not (yield self.points("size"))
