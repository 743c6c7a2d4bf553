"""Fixtures of the tests of the client and the store."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from bbmeasure.storage.influxdb.client import InfluxClient
from bbmeasure.storage.influxdb.server import Server
from bbmeasure.storage.influxdb.store import InfluxStorage
from tests.servers import Influxd
from tests.unit.storage.influxdb.client_helpers import run_turns

_NUMBERS = itertools.count()


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


@pytest.fixture(scope="module")
def influxd() -> Iterator[Influxd]:
    with Influxd() as server:
        yield server


@pytest.fixture
def database(influxd: Influxd) -> str:
    """Create a database for the test."""
    name = f"t{next(_NUMBERS)}"
    influxd.query(f"CREATE DATABASE {name}")
    return name


@pytest.fixture
def make(influxd: Influxd, database: str) -> Any:
    """Factory of stores in that database."""

    def make(clock: Any = reactor, small: int = 2_000, tag_build_number: bool = False, **options: Any) -> InfluxStorage:
        client = InfluxClient(reactor, Server(influxd.url, database, **options))
        return InfluxStorage(
            "influx", client, clock=clock, exact_bucket_points=small, tag_build_number=tag_build_number
        )

    return make
