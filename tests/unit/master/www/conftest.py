"""The JSON API of a master whose store has points of two builders."""

from __future__ import annotations

import pytest

from bbmeasure.capture.state import state_of
from bbmeasure.master.www import resource as resource_module
from bbmeasure.model import BuildContext, Point
from bbmeasure.times import NANOSECONDS
from tests.unit.master.www.fakes import Master, PendingStorage


@pytest.fixture
def master():
    return Master()


@pytest.fixture
def store():
    return PendingStorage()


@pytest.fixture
def resource(master, store):
    """The API of a master whose points are in ``store``: three of each builder and three outside builds."""
    state_of(master).pipeline.attach(store)
    points = [
        Point("size", at * NANOSECONDS, float(at), {}, BuildContext(builder, "w", at, at) if builder else None)
        for at, builder in enumerate(("a", "b", None) * 3, start=1_700_000_000)
    ]
    store.write(points)
    return resource_module.ApiResource(master)
