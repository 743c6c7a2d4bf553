"""The services of ``c["services"]``: each gives the master's captured data a place, and says what is tracked.

All arguments are keyword-only.  Buildbot renders secrets, so whatever is one is named in a class's ``secrets``.
"""

from __future__ import annotations

import os
from collections.abc import Generator
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
from bbmeasure.storage.sqlite.store import SQLiteStorage

log = Logger()

#: Seconds that a stopping master waits for what is on its way.
STOP_TIMEOUT = 1.0


class MeasureInstance(BuildbotService):
    """What all instances share: the journal, the switches, and a reconfig that always arrives.

    Buildbot passes over reconfigService where a configuration goes good, bad, good, and would show passwords by
    getConfigDict; this does neither.
    """

    #: What a class takes beside the switches, where :meth:`checkConfig` is given all of it.
    own_arguments: tuple[str, ...] = ()

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
        """Take the sibling's arguments for good, and reconfigure even where nothing seems to have changed."""
        self.configured = False
        self._config_args = sibling._config_args
        self._config_kwargs = sibling._config_kwargs
        yield super().reconfigServiceWithSibling(sibling)

    def configured_journal(self) -> Optional[str]:
        """The journal's path, relative to the master's folder, where this instance configures one."""
        return None

    def getConfigDict(self) -> dict[str, Any]:
        """The configuration without its secrets."""
        shown = super().getConfigDict()
        hidden = {key: "***" for key in getattr(self, "secrets", ()) if shown["kwargs"].get(key) is not None}
        return {**shown, "kwargs": {**shown["kwargs"], **hidden}}

    @property
    def state(self) -> MasterState:
        """The state that bbmeasure keeps for this master."""
        return state_of(self.master)

    @property
    def pipeline(self) -> Pipeline:
        """The capture pipeline of this master."""
        return self.state.pipeline

    @defer.inlineCallbacks
    def reconfigService(self, **switches: Any) -> Generator[Any, Any, None]:
        """Set the switches; may be called again and again."""
        wanted = read_switches(**switches)
        self.state.switches[self.name] = wanted
        self.state.component(MasterMetrics).settle()
        yield self.state.component(BuildTracker).follow(self.name, wanted)

    @defer.inlineCallbacks
    def use_journal(self, path: Optional[str] = None) -> Generator[Any, Any, SQLiteStorage]:
        """Open the journal, or another in place of the one before; points go there from now on.

        Without a path it is the one of a SQLiteInstance of the same configuration, else the one by default.

        What waited in memory follows by itself: a disk that hangs must not keep a master from starting.  A file that
        cannot be opened is told of at once and not with the first build.
        """
        named = journals.configured_path(self.master.config.services.values()) if path is None else path
        wanted = os.path.abspath(os.path.join(self.master.basedir, named))
        before = self._journal
        self._journal = journals.acquire(self.state, wanted)
        if before is self._journal:
            journals.release(self.state, before)
            return self._journal
        self.pipeline.in_background(self.pipeline.attach(self._journal), "points from before the journal was open")
        self.pipeline.in_background(self._journal.recall([]), f"opening {wanted}")
        if before is not None:
            yield self._let_go(before)
        return self._journal

    @defer.inlineCallbacks
    def _let_go(self, journal: SQLiteStorage) -> Generator[Any, Any, None]:
        if journals.release(self.state, journal):
            self.pipeline.detach(journal)
            yield journal.close()

    @defer.inlineCallbacks
    def stopService(self) -> Generator[Any, Any, None]:
        """Write what is on its way, at most STOP_TIMEOUT seconds long, and let go."""
        yield super().stopService()
        yield self.state.component(BuildTracker).unfollow(self.name)
        settled = self.pipeline.settle()
        settled.addTimeout(STOP_TIMEOUT, self.master.reactor, self._stop_late)
        yield settled
        self.state.switches.pop(self.name, None)
        self.state.component(MasterMetrics).settle()
        journal, self._journal = self._journal, None
        if journal is not None:
            yield self._let_go(journal)

    def _stop_late(self, *_: Any) -> None:
        self.pipeline.count("stop_late", "stop: values were still on their way")
