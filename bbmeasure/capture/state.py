"""MasterState: everything that bbmeasure keeps for one Buildbot master.

It is the only attribute that bbmeasure sets on a master, and this module holds the only registry of running masters.
Steps, services and reports get it from :func:`state_of`, code that was given no master from :func:`running_state`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Optional, Protocol, TypeVar

from bbmeasure.capture.gates import BuildGates
from bbmeasure.capture.parser_pool import ParserPool
from bbmeasure.capture.parser_threads import ParserThreads
from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.capture.plan import Switches
from bbmeasure.model import Health
from bbmeasure.storage.base import Storage

_ATTRIBUTE = "_bbmeasure"

Component = TypeVar("Component")


class Exporter(Protocol):
    """The exporter that an instance registers for its server."""

    def health(self) -> Health:
        """Backlog, last error and counters of the exporter."""


class MasterState:
    """The capture pipeline, gates, parser processes and threads of one master, and what its services register.

    ``sources`` are the stores that answer ``source=NAME``; ``answering`` is the one of them that answers by default in
    place of the journal.  ``exporters`` and ``switches`` are kept under the name of the instance that registers them.
    """

    def __init__(self, reactor: Any, master: Any = None) -> None:
        self._master = None if master is None else weakref.ref(master)
        self.pipeline = Pipeline(reactor, master_name=getattr(master, "name", None))
        self.gates = BuildGates()
        self.parser_pool = ParserPool(reactor, self.pipeline.count)
        self.parser_threads = ParserThreads(reactor)
        self.sources: dict[str, Storage] = {}
        self.answering: Optional[Storage] = None
        self.exporters: dict[str, Exporter] = {}
        self.switches: dict[str, Switches] = {}
        self._components: dict[Callable[[MasterState], Any], Any] = {}

    @property
    def master(self) -> Any:
        """The master; None once it is freed, and for values captured before there is a master."""
        return None if self._master is None else self._master()

    @property
    def tracked(self) -> Switches:
        """The union of the switches of all instances."""
        tracked = Switches()
        for switches in self.switches.values():
            tracked = tracked | switches
        return tracked

    def component(self, factory: Callable[[MasterState], Component]) -> Component:
        """The object that ``factory`` makes of this state, the same one at each call.

        Packages above this one keep their own state of a master here, such as the open journals.
        """
        if factory not in self._components:
            self._components[factory] = factory(self)
        return self._components[factory]  # type: ignore[no-any-return]


class Registry:
    """The masters of this process, and the values captured before the first of them.

    Masters are held by weak references, in a tuple that is replaced as a whole because other threads read it.
    """

    def __init__(self) -> None:
        self._masters: tuple[weakref.ref[Any], ...] = ()
        self._without_master: Optional[MasterState] = None

    def add(self, master: Any) -> MasterState:
        """The new state of ``master``; the first master gets the values captured before it."""
        state = MasterState(master.reactor, master)
        self._masters = (*(known for known in self._masters if known() is not None), weakref.ref(master))
        before, self._without_master = self._without_master, None
        if before is not None:
            state.pipeline.adopt(before.pipeline)
        return state

    def running_master(self) -> Any:
        """The only running master, None where there is none; ValueError for several."""
        masters = [master for master in (known() for known in self._masters) if master is not None]
        running = [master for master in masters if getattr(master, "running", True)]
        if len(running) > 1:
            raise ValueError(f"{len(running)} masters run in this process: expected master= to say which")
        return running[0] if running else None

    def without_master(self) -> MasterState:
        """The state that holds values in memory until there is a master."""
        if self._without_master is None:
            self._without_master = MasterState(reactor_of(None))
        return self._without_master


def reactor_of(master: Any) -> Any:
    """The reactor of ``master``, the process's own for None."""
    if master is not None:
        return master.reactor
    from twisted.internet import reactor  # importing it installs the default reactor

    return reactor


_registry = Registry()


def state_of(master: Any) -> MasterState:
    """The state of ``master``, created on first use."""
    state: Optional[MasterState] = getattr(master, _ATTRIBUTE, None)
    if state is None:
        state = _registry.add(master)
        setattr(master, _ATTRIBUTE, state)
    return state


def running_master() -> Any:
    """The only running master that has a state, None where there is none; ValueError for several."""
    return _registry.running_master()


def running_state(master: Any = None) -> MasterState:
    """The state of ``master``, by default of the only running one; ValueError for several.

    Before there is a master it is a state in memory, whose values the first master adopts.
    """
    if master is None:
        master = running_master()
    return _registry.without_master() if master is None else state_of(master)
