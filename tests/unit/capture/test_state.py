"""MasterState: one attribute on a master, created once."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet import task

from bbmeasure.capture.plan import Switches
from bbmeasure.capture.state import MasterState, running_master, running_state, state_of


class Master(SimpleNamespace):
    """The parts of a master that its state needs."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # compared by identity

    def __init__(self, **attributes: Any) -> None:
        super().__init__(reactor=task.Clock(), running=True, **attributes)


def test_a_master_has_one_state() -> None:
    """The state is created on first use, and is the only attribute that is added to the master."""
    master = Master(name="first")
    before = set(vars(master))
    state = state_of(master)
    assert state_of(master) is state
    assert running_state() is state
    assert running_state(master) is state
    assert len(set(vars(master)) - before) == 1
    assert state.master is master
    assert state.pipeline.clock is master.reactor
    assert state.parser_pool.reactor is master.reactor


def test_tracked_is_the_union_of_all_switches() -> None:
    """Without instances nothing is tracked, else what any instance tracks."""
    state = state_of(Master())
    assert state.tracked == Switches()
    state.switches.update(a=Switches(build_times=True), b=Switches(statistics=True))
    assert state.tracked == Switches(build_times=True, statistics=True)


def test_component_is_created_once() -> None:
    """Each factory makes one object of a state, and another of another state."""

    class Sampler:
        def __init__(self, state: MasterState) -> None:
            self.state = state

    class Tracker(Sampler):
        pass

    state = state_of(Master())
    sampler = state.component(Sampler)
    assert sampler.state is state
    assert state.component(Sampler) is sampler
    assert type(state.component(Tracker)) is Tracker
    assert state_of(Master()).component(Sampler) is not sampler


def test_a_freed_master_is_forgotten() -> None:
    """Neither the registry nor the state keeps a master alive."""
    master = Master()
    state = state_of(master)
    reference = weakref.ref(master)
    del master
    gc.collect()
    assert reference() is None
    assert state.master is None
    assert running_master() is None


def test_a_stopped_master_is_not_the_running_one() -> None:
    """Of two masters, one of which has stopped, the other is the running one; of two that run, neither is."""
    first, second = Master(), Master()
    state_of(first)
    state_of(second)
    with pytest.raises(ValueError, match="2 masters run in this process"):
        running_state()
    first.running = False
    assert running_state() is state_of(second)


def test_the_first_master_adopts_the_state_without_master() -> None:
    """There is one state without master, until a master takes its values over."""
    before = running_state()
    assert running_state() is before
    assert before.master is None
    before.pipeline.count("failed", "a value before the master")
    state = state_of(Master())
    assert state is not before
    assert state.pipeline.counters == {"failed": 1}
    assert state.pipeline.memory is before.pipeline.memory
