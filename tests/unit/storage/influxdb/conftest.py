"""Fixtures of the tests of the client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from bbmeasure.storage.influxdb.client import InfluxClient
from bbmeasure.storage.influxdb.server import Server
from tests.unit.storage.influxdb.client_helpers import run_turns


@pytest.fixture
def clients() -> Iterator[Any]:
    """Factory of clients, which are closed after the test."""
    made: list[InfluxClient] = []

    def make(url: str, **options: Any) -> InfluxClient:
        options.setdefault("timeout", 5.0)
        made.append(InfluxClient(reactor, Server(url, options.pop("database", "t"), **options)))
        return made[-1]

    yield make
    for client in made:
        client.close()
    pytest_twisted.blockon(run_turns())
