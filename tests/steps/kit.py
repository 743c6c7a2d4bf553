"""Buildbot's test kit for steps, with the methods of release 4.1 on older ones too."""

from __future__ import annotations

from typing import Any, Optional

from buildbot.config.master import MasterConfig
from buildbot.interfaces import IConfigLoader
from buildbot.master import BuildMaster
from buildbot.plugins import worker
from buildbot.process.properties import Interpolate
from buildbot.test import steps
from twisted.internet import defer, reactor
from zope.interface import implementer


class _Older(steps.TestBuildStepMixin):  # type: ignore[misc]
    """The kit of a release before 4.1, in which a test has one step."""

    build: Any = None

    def setup_test_build_step(self, **wanted: Any) -> Any:
        self._steps: list[Any] = []
        self._outcomes: list[tuple[int, Optional[str]]] = []
        self._build_arguments: dict[str, Any] = {}
        return super().setup_test_build_step(**wanted)

    def setup_build(self, **arguments: Any) -> None:
        """Set the arguments of the build, which the first step makes."""
        self._build_arguments = arguments

    def _setup_fake_build(self, *arguments: Any) -> Any:
        return self.build or super()._setup_fake_build(*arguments)

    def setup_step(self, step: Any, **arguments: Any) -> Any:
        """Set up one more step of the build."""
        self._steps.append(super().setup_step(step, **self._build_arguments, **arguments))
        return self._steps[-1]

    def get_nth_step(self, index: int) -> Any:
        """The steps in their order."""
        return self._steps[index]

    def expect_outcome(self, result: int, state_string: Optional[str] = None) -> None:
        """Expect the result of the next step."""
        self._outcomes.append((result, state_string))

    @defer.inlineCallbacks
    def run_step(self) -> Any:
        """Run all steps that were set up."""
        for step in list(self._steps):
            self.step = step
            self.exp_result, self.exp_state_string = self._outcomes.pop(0)
            yield super().run_step()


TestBuildStepMixin: Any = steps.TestBuildStepMixin if hasattr(steps.TestBuildStepMixin, "get_nth_step") else _Older


@implementer(IConfigLoader)
class Loader:
    """Loads the configuration of a master with a local worker; :meth:`replace` sets another one."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._own = {
            "workers": [worker.LocalWorker("local1", password=Interpolate("localpw"), missing_timeout=0)],
            "protocols": {"null": {}},
            "db_url": "sqlite://",
            "buildbotNetUsageData": None,
        }
        self.replace(config)

    def replace(self, config: dict[str, Any]) -> None:
        """Load ``config`` from now on."""
        self.config = {**config, **self._own}

    def loadConfig(self) -> Any:
        """Called by Buildbot."""
        return MasterConfig.loadFromDict(self.config, "<dict>")


@defer.inlineCallbacks
def start_master(folder: str, loader: Loader) -> Any:
    """A running master with a database in memory."""
    master = BuildMaster(folder, reactor=reactor, config_loader=loader)
    database = master.config.db
    if isinstance(database, dict):  # before 4.3
        database["db_url"] = loader.config["db_url"]
    else:
        database.db_url = loader.config["db_url"]
    yield master.db.setup(check_version=False)
    yield master.db.model.upgrade()
    master.db.setup = lambda: None
    yield master.startService()
    return master


@defer.inlineCallbacks
def stop_master(master: Any) -> Any:
    """Stop a master that :func:`start_master` returned."""
    if master.running:
        yield master.stopService()
        yield (master.db.pool.stop if hasattr(master.db.pool, "stop") else master.db.pool.shutdown)()
