"""MeasureInstance: the base class of the services of ``c["services"]``.

All their arguments are keyword-only.  Buildbot renders secrets; a class names the arguments that may be one in
``secrets``.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from functools import partial
from typing import Any, Optional

from buildbot.config.errors import error as config_error
from buildbot.util.service import BuildbotService
from twisted.internet import defer
from twisted.logger import Logger

from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.capture.plan import SWITCHES, check_names, read_switches
from bbmeasure.capture.state import MasterState, state_of
from bbmeasure.errors import MeasureError
from bbmeasure.master.services import journals
from bbmeasure.master.tracking.events import BuildTracker
from bbmeasure.master.tracking.master_metrics import MasterMetrics
from bbmeasure.master.tracking.removed_builders import resolve_alerts
from bbmeasure.master.tracking.suspects import find_suspects
from bbmeasure.reports.judge import Judge
from bbmeasure.reports.past_job import PastJob
from bbmeasure.storage.sqlite.store import SQLiteStorage

log = Logger()

#: Seconds that a stopping service waits for writes that are under way.
STOP_TIMEOUT = 1.0


def instances_of(services: Iterable[Any]) -> Iterator[MeasureInstance]:
    """The instances of ``c["services"]``, and those that other services start."""
    for service in services:
        if isinstance(service, MeasureInstance):
            yield service
        elif hasattr(service, "measure_instances"):
            yield from service.measure_instances()


class MeasureInstance(BuildbotService):
    """A service that uses the journal and has switches.

    Buildbot skips reconfigService where a configuration goes from good to bad to good, and shows passwords in
    getConfigDict; this class does neither.
    """

    #: Arguments beside the switches, for a class that does not override :meth:`checkConfig`.
    own_arguments: tuple[str, ...] = ()
    #: Arguments that may be secrets.
    secrets: tuple[str, ...] = ()

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("name", type(self).__name__)
        super().__init__(**kwargs)
        self._journal: Optional[SQLiteStorage] = None

    def checkConfig(self, **switches: Any) -> None:
        """Check the switches, see :func:`~bbmeasure.capture.plan.read_switches`."""
        try:
            check_names(switches, (*self.own_arguments, *SWITCHES))
            read_switches(**switches)
        except MeasureError as error:
            config_error(f"{self.name}: {error}")

    @defer.inlineCallbacks
    def reconfigServiceWithSibling(self, sibling: Any) -> Generator[Any, Any, None]:
        """Adopt the sibling's arguments, and reconfigure even where they are equal to those before."""
        self.configured = False
        self._config_args = sibling._config_args
        self._config_kwargs = sibling._config_kwargs
        yield super().reconfigServiceWithSibling(sibling)

    def configured_journal(self) -> Optional[str]:
        """The journal's path, relative to the master's folder, where this instance configures one."""
        return None

    def getConfigDict(self) -> dict[str, Any]:
        """The configuration without secrets."""
        config = super().getConfigDict()
        hidden = {key: "***" for key in self.secrets if config["kwargs"].get(key) is not None}
        return {**config, "kwargs": {**config["kwargs"], **hidden}}

    @property
    def state(self) -> MasterState:
        """The state of this master."""
        return state_of(self.master)

    @property
    def pipeline(self) -> Pipeline:
        """The capture pipeline of this master."""
        return self.state.pipeline

    @defer.inlineCallbacks
    def reconfigService(self, **switches: Any) -> Generator[Any, Any, None]:
        """Set the switches; may be called again."""
        tracked = read_switches(**switches)
        self.state.switches[self.name] = tracked
        self.state.component(MasterMetrics).update()
        yield self.state.component(BuildTracker).subscribe(self.name, tracked)
        resolve_alerts(self.state)
        names = {instance.name for instance in instances_of(self.master.config.services.values())}
        self.pipeline.in_background(self.state.component(Judge).keep_reporters(names), "forgetting removed reporters")

    @defer.inlineCallbacks
    def use_journal(self, path: Optional[str] = None) -> Generator[Any, Any, SQLiteStorage]:
        """Open the journal, and release the one used before; points are written to it from now on.

        ``path`` is by default that of a SQLiteInstance of the same configuration, else ``bbmeasure.sqlite``.

        Points in memory are migrated in the background, as a disk that hangs must not keep the master from starting.
        A file that cannot be opened is logged at once and not at the first build.
        """
        named = journals.configured_path(self.master.config.services.values()) if path is None else path
        absolute = os.path.abspath(os.path.join(self.master.basedir, named))
        before = self._journal
        self._journal = journals.acquire(self.state, absolute)
        if before is self._journal:
            journals.release(self.state, before)
            return self._journal
        self.state.component(Judge).explain = partial(find_suspects, self.master)
        self.pipeline.in_background(self.pipeline.attach(self._journal), "points from before the journal was open")
        self.pipeline.in_background(self._journal.recall([]), f"opening {absolute}")
        self.state.component(PastJob).start()
        if before is not None:
            yield self._release_journal(before)
        return self._journal

    @defer.inlineCallbacks
    def _release_journal(self, journal: SQLiteStorage) -> Generator[Any, Any, None]:
        if journals.release(self.state, journal):
            journal.release_declarations()
            self.pipeline.detach(journal)
            self.state.component(PastJob).stop()
            ended = self.state.component(Judge).stop()
            yield journal.close()
            yield ended

    @defer.inlineCallbacks
    def stopService(self) -> Generator[Any, Any, None]:
        """Wait up to STOP_TIMEOUT seconds for writes that are under way, and release the journal."""
        yield super().stopService()
        yield self.state.component(BuildTracker).unsubscribe(self.name)
        settled = self.pipeline.settle()
        settled.addTimeout(STOP_TIMEOUT, self.master.reactor, self._stop_timed_out)
        yield settled
        self.state.switches.pop(self.name, None)
        self.state.component(MasterMetrics).update()
        journal, self._journal = self._journal, None
        if journal is not None:
            yield self._release_journal(journal)

    def _stop_timed_out(self, *_: Any) -> None:
        self.pipeline.count("stop_late", f"{self.name}: values were not written {STOP_TIMEOUT:g} s after the stop")
