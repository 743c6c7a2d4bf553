"""VerdictExporter: alerts and what is usual, sent to a server that answers, refuses, or is away."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pytest
from twisted.internet import defer, task

from bbmeasure.analysis import State
from bbmeasure.capture.gates import Gate, Gates
from bbmeasure.master.services import verdict_export
from bbmeasure.master.services.verdict_export import INTERVAL, VerdictExporter
from bbmeasure.storage.influxdb.server import ErrorKind, ServerError
from bbmeasure.storage.verdict_store import ACCEPTED
from tests.unit.master.reporters.verdicts import build, line
from tests.unit.storage.influxdb.test_verdict_lines import alert


class Setting:
    """A master's state with alerts and a judge, and a server."""

    def __init__(self):
        self.clock = task.Clock()
        self.alerts, self.listeners, self.sent, self.errors, self.proposals = [], [], [], [], set()
        self.hold = None
        self.problems = Counter()
        store = SimpleNamespace(alerts=lambda _: defer.succeed(list(self.alerts)))
        judge = SimpleNamespace(store=store, subscribe=self._subscribe)
        gates = Gates([("wheel*", Gate(limit="1 MiB"))])
        pipeline = SimpleNamespace(
            count=lambda name, why: self.problems.update([name]),
            branches=SimpleNamespace(is_proposal=lambda buildid: buildid in self.proposals),
        )
        state = SimpleNamespace(
            component=lambda _: judge, pipeline=pipeline, gates=SimpleNamespace(of_build=lambda buildid: gates)
        )
        self.counters = Counter()
        self.exporter = VerdictExporter(state, SimpleNamespace(write=self._write), self.counters, reactor=self.clock)
        self.exporter.start()

    def _subscribe(self, listener):
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def _write(self, body):
        if self.hold is not None:
            return self.hold
        if self.errors:
            return defer.fail(self.errors.pop(0))
        self.sent.append(body.decode())
        return defer.succeed(None)

    def tell(self, *lines, buildid=1):
        for listener in list(self.listeners):
            listener(build(*lines, buildid=buildid))


@pytest.fixture
def setting():
    return Setting()


def test_alerts_are_sent_when_they_change(setting):
    """An alert is sent once, and again after a decision, which another process may have made."""
    setting.alerts = [alert()]
    setting.clock.advance(INTERVAL)
    setting.clock.advance(INTERVAL)
    assert len(setting.sent) == 1
    assert 'state="open"' in setting.sent[0]
    setting.alerts = [alert(state=ACCEPTED, who="bob", why="expected")]
    setting.clock.advance(INTERVAL)
    assert len(setting.sent) == 2
    assert 'state="accepted"' in setting.sent[1]
    assert setting.counters["verdicts_shipped"] == 2


def test_what_is_usual_is_sent_once(setting):
    """Each judged value of a build is sent with its range and the limit of its gate; those of proposals are not."""
    setting.tell(line(), line("lint", State.NO_BASELINE))
    (body,) = setting.sent
    wheel, lint = body.splitlines()
    assert wheel.startswith("bbmeasure_usual,builder=b,series=wheel_size ")
    assert ",limit=1048576.0," in wheel
    assert "low=" not in lint
    assert 'verdict="no_baseline"' in lint
    setting.proposals.add(2)
    setting.tell(line(), buildid=2)
    assert len(setting.sent) == 1


def test_a_server_that_is_away(setting):
    """What could not be sent is sent later, in its order; errors are counted."""
    setting.errors = [ServerError(ErrorKind.UNREACHABLE, "no answer")]
    setting.tell(line())
    assert (setting.sent, setting.counters["verdicts_failed"]) == ([], 1)
    assert setting.problems["verdicts_not_exported"] == 1
    setting.clock.advance(INTERVAL)
    assert len(setting.sent) == 1


def test_a_server_that_refuses(setting):
    """What the server refuses is counted, and does not hold up what comes after it."""
    setting.errors = [ServerError(ErrorKind.REFUSED, "field type conflict")]
    setting.tell(line())
    setting.tell(line("lint"))
    assert setting.counters["verdicts_refused"] == 1
    assert len(setting.sent) == 1


def test_memory_is_bounded(setting, monkeypatch):
    """While the server does not answer, the oldest values are dropped and counted."""
    monkeypatch.setattr(verdict_export, "MAX_WAITING", 3)
    setting.errors = [ServerError(ErrorKind.UNREACHABLE, "away")] * 9
    for number in range(5):
        setting.tell(line(f"wheel{number}"))
    assert setting.counters["verdicts_dropped"] == 2
    setting.errors.clear()
    setting.clock.advance(INTERVAL)
    assert [f"wheel{number}" in "".join(setting.sent) for number in range(5)] == [False, False, True, True, True]


def test_a_stop_is_immediate(setting):
    """A stop ends the timer and cancels the request in flight."""
    cancelled = []
    setting.hold = defer.Deferred(cancelled.append)
    setting.tell(line())
    setting.exporter.stop()
    assert (len(cancelled), setting.listeners, setting.clock.getDelayedCalls()) == (1, [], [])
