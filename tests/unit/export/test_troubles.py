"""The current error of an exporter: kept in the outbox, and cleared only once the server is well."""

from __future__ import annotations

from typing import Any

import pytest

from bbmeasure.errors import StorageUnavailableError
from bbmeasure.storage.influxdb.server import ErrorKind, ServerError
from tests.unit.export.fakes import Bench, points

DOWN = ServerError(ErrorKind.UNREACHABLE, "connection refused")


class Answers:
    """The answer of the server, which a test changes."""

    def __init__(self) -> None:
        self.error: Any = DOWN

    def __call__(self, lines: list[str]) -> Any:
        return self.error


def test_an_error_is_kept_once() -> None:
    """The outbox gets an error when it changes, and None when the export goes on."""
    answers = Answers()
    bench = Bench(points(3), answers).start(30)
    assert len(bench.client.writes) > 2
    assert len(bench.outbox.troubles) == 1
    assert "connection refused" in (bench.outbox.troubles[0] or "")
    answers.error = ServerError(ErrorKind.BUSY, "busy", 503)
    bench.run(60)
    assert "503" in (bench.outbox.troubles[1] or "")
    answers.error = None
    bench.run(120)
    assert bench.outbox.troubles[2:] == [None]
    assert len(bench.client.landed) == 3


@pytest.mark.parametrize("well", [None, ServerError(ErrorKind.REFUSED, "empty", 400)])
def test_an_error_stays_while_nothing_waits(well: Any) -> None:
    """With an empty outbox the error is cleared only after the server has accepted, or refused, a request."""
    answers = Answers()
    bench = Bench(points(3), answers).start(5)
    bench.outbox.waiting.clear()
    bench.run(300)
    assert "connection refused" in (bench.exporter.health().last_error or "")
    assert bench.outbox.troubles[-1] is not None
    assert bench.client.writes[-1] == []
    answers.error = well
    bench.run(120)
    assert bench.exporter.health().last_error is None
    assert bench.outbox.troubles[-1] is None
    requests = len(bench.client.writes)
    bench.run(60)
    assert len(bench.client.writes) == requests


def test_an_error_of_the_journal_is_cleared_when_it_is_read() -> None:
    """An outbox that is read again is well; that its error could not be kept there is counted."""
    bench = Bench()
    bench.outbox.broken = StorageUnavailableError("journal: locked")
    bench.start(5)
    assert "locked" in (bench.exporter.health().last_error or "")
    assert bench.counters["unkept_errors"] == 1
    bench.outbox.broken = None
    bench.run(120)
    assert bench.exporter.health().last_error is None
    assert bench.client.writes == []
