"""Fixtures of the tests of exports to real servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.logger import globalLogPublisher

from tests.servers import Influxd
from tests.unit.export.journal_bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    pytest_twisted.blockon(made.journal.attach_exporter("sink"))
    globalLogPublisher.addObserver(made.logged.append)
    yield made
    pytest_twisted.blockon(made.close())
    globalLogPublisher.removeObserver(made.logged.append)


@pytest.fixture
def influxd() -> Iterator[Influxd]:
    with Influxd() as server:
        yield server
