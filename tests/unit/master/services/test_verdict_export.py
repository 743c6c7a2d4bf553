"""VerdictExporter: alerts and what is usual, sent to a server that answers, refuses, or is away."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pytest
from twisted.internet import defer, task

from bbmeasure.analysis import State
from bbmeasure.master.services import verdict_export
from bbmeasure.master.services.verdict_export import DELAY, INTERVAL, VerdictExporter
from bbmeasure.reports.kept_verdicts import encode
from bbmeasure.storage.influxdb.server import ErrorKind, ServerError
from bbmeasure.storage.verdict_store import ACCEPTED, BuildValues, KeptBuild, Line, LineValue
from tests.unit.master.reporters.verdicts import build, line
from tests.unit.storage.influxdb.test_verdict_lines import alert


class Setting:
    """A master's state with alerts and a judge, and a server; ``kept`` and ``untold`` are in its journal."""

    def __init__(self):
        self.clock = task.Clock()
        self.alerts, self.listeners, self.sent, self.errors, self.proposals = [], [], [], [], set()
        self.kept, self.untold, self.limits = {}, [], []
        self.hold = None
        self.problems = Counter()
        store = SimpleNamespace(
            alerts=lambda _: defer.succeed(list(self.alerts)),
            kept_verdicts=lambda buildid: defer.succeed(self.kept.get(buildid)),
            untold=self._untold,
            told=self._note_told,
        )
        judge = SimpleNamespace(store=store, subscribe=self._subscribe, reporters={})
        pipeline = SimpleNamespace(
            count=lambda name, why: self.problems.update([name]),
            branches=SimpleNamespace(is_proposal=lambda buildid: buildid in self.proposals),
        )
        self.state = SimpleNamespace(component=lambda _: judge, pipeline=pipeline)
        self.counters = Counter()
        self.start()
        assert judge.reporters == {"influx": False}

    def start(self):
        server = SimpleNamespace(write=self._write)
        self.exporter = VerdictExporter(self.state, "influx", server, self.counters, reactor=self.clock)
        self.exporter.start()

    def _untold(self, name, limit):
        self.limits.append(limit)
        return defer.succeed(self.untold[:limit])

    def _note_told(self, name, buildids):
        self.untold = [buildid for buildid in self.untold if buildid not in buildids]
        return defer.succeed(None)

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

    def keep(self, *lines, buildid=1):
        """Keep the verdicts of a build in the journal, whose values are of the second of its id."""
        made = []
        for at, of in enumerate(lines, start=1):
            names = (of.series, of.builder, of.tags, of.branch, of.machine)
            made.append((Line(at, *names, False, of.kind, of.unit, of.better), of))
        values = [(one, LineValue(buildid * 10**9, buildid, buildid, of.value)) for one, of in made]
        encoded = encode([(one.id, of) for one, of in made], complete=True)
        self.kept[buildid] = KeptBuild(encoded, BuildValues(values, {}, "w"))
        self.untold.append(buildid)

    def tell(self, *lines, buildid=1):
        if buildid not in self.proposals:
            self.keep(*lines, buildid=buildid)
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


def test_alerts_of_a_series_that_is_removed(setting, monkeypatch):
    """An open one becomes resolved on the server, once; one that is older than those that are read does not."""
    monkeypatch.setattr(verdict_export, "MAX_ALERTS", 2)
    setting.alerts = [alert(id=5), alert(id=4)]
    setting.clock.advance(INTERVAL)
    setting.alerts = [alert(id=6), alert(id=5)]
    setting.clock.advance(INTERVAL)
    assert [body.count('state="open"') for body in setting.sent] == [2, 1]
    setting.alerts = [alert(id=6)]
    setting.clock.advance(INTERVAL)
    setting.clock.advance(INTERVAL)
    assert len(setting.sent) == 3
    assert setting.sent[-1].count('state="resolved"') == 2
    assert "id=4i" in setting.sent[-1]


def test_what_is_usual_is_sent_once(setting):
    """Each judged value of a build is sent with its range and its limits; those of proposals are not."""
    setting.tell(line(limits=(1000.0, 1048576.0)), line("lint", State.NO_BASELINE))
    setting.clock.advance(DELAY)
    (body,) = setting.sent
    wheel, lint = body.splitlines()
    assert wheel.startswith("bbmeasure_usual,builder=b,series=wheel_size ")
    assert wheel.endswith(" 1000000000")
    assert setting.untold == []
    assert ",limit=1048576.0,lower_limit=1000.0," in wheel
    assert "low=" not in lint
    assert 'verdict="no_baseline"' in lint
    setting.proposals.add(2)
    setting.tell(line(), buildid=2)
    setting.clock.advance(DELAY)
    assert len(setting.sent) == 1


def test_builds_that_end_together(setting):
    """Builds that end within DELAY are sent in one request."""
    setting.tell(line())
    setting.clock.advance(DELAY - 1)
    setting.tell(line(), buildid=2)
    assert setting.sent == []
    setting.clock.advance(1)
    (body,) = setting.sent
    assert [text.rsplit(" ", 1)[1] for text in body.splitlines()] == ["1000000000", "2000000000"]
    setting.tell(line(), buildid=3)
    setting.clock.advance(DELAY)
    assert len(setting.sent) == 2


def test_a_clock_that_is_set_back(setting):
    """The next build that ends is sent after DELAY, with the one that waits for the time of before."""
    setting.clock.advance(10 * INTERVAL)
    setting.tell(line())
    setting.clock.rightNow -= 5 * INTERVAL
    setting.tell(line(), buildid=2)
    setting.clock.advance(DELAY)
    (body,) = setting.sent
    assert [text.rsplit(" ", 1)[1] for text in body.splitlines()] == ["1000000000", "2000000000"]


def test_a_server_that_is_away(setting):
    """What could not be sent is sent later, in its order; errors are counted."""
    setting.errors = [ServerError(ErrorKind.UNREACHABLE, "no answer")]
    setting.tell(line())
    setting.clock.advance(DELAY)
    assert (setting.sent, setting.counters["verdicts_failed"]) == ([], 1)
    assert setting.problems["verdicts_not_exported"] == 1
    setting.clock.advance(INTERVAL)
    assert len(setting.sent) == 1


def test_a_server_that_refuses(setting):
    """What the server refuses is counted, and does not hold up what comes after it."""
    setting.errors = [ServerError(ErrorKind.REFUSED, "field type conflict")]
    setting.tell(line())
    setting.clock.advance(DELAY)
    setting.tell(line("lint"), buildid=2)
    setting.clock.advance(DELAY)
    assert setting.counters["verdicts_refused"] == 1
    assert len(setting.sent) == 1


def test_memory_is_bounded(setting, monkeypatch):
    """While the server does not answer, what waits is in the journal, of which few builds are read at a time."""
    monkeypatch.setattr(verdict_export, "MAX_BUILDS", 2)
    monkeypatch.setattr(verdict_export, "MAX_BATCH", 1)
    setting.errors = [ServerError(ErrorKind.UNREACHABLE, "away")]
    for number in range(5):
        setting.tell(line("lint"), line(f"wheel{number}"), buildid=number)
    setting.clock.advance(DELAY)
    assert setting.counters["verdicts_failed"] == 1
    setting.clock.advance(INTERVAL)
    assert [f"wheel{number}" in body for number, body in enumerate(setting.sent)] == [True] * 5
    assert set(setting.limits[1:]) == {2}
    assert setting.untold == []


def test_a_request_that_is_too_large(setting):
    """A request that a server or proxy refuses for its size is sent in parts; a line that is too large is dropped."""
    setting.errors = [ServerError(ErrorKind.TOO_LARGE, "1 MB")] * 3
    setting.tell(line("a"), line("b"), line("c"))
    setting.clock.advance(DELAY)
    assert [body.count("\n") for body in setting.sent] == [1, 1]
    assert (setting.counters["verdicts_refused"], setting.counters["verdicts_shipped"]) == (1, 2)
    assert setting.untold == []


def test_a_restart_loses_nothing(setting):
    """Points that were not sent before a restart are sent after it, with their limits."""
    setting.errors = [ServerError(ErrorKind.UNREACHABLE, "away")]
    setting.tell(line(limits=(None, 1048576.0)))
    setting.clock.advance(DELAY)
    assert setting.errors == []
    setting.exporter.stop()
    setting.keep(line("wheel2", limits=(None, 1048576.0)), buildid=2)  # the master died before it told that
    setting.start()
    (body,) = setting.sent
    assert [text.rsplit(" ", 1)[1] for text in body.splitlines()] == ["1000000000", "2000000000"]
    assert body.count("limit=1048576.0") == 2


def test_a_stop_is_immediate(setting):
    """A stop ends the timers and cancels the request in flight."""
    cancelled = []
    setting.hold = defer.Deferred(cancelled.append)
    setting.tell(line())
    setting.clock.advance(DELAY)
    setting.tell(line(), buildid=2)
    setting.exporter.stop()
    assert (len(cancelled), setting.listeners, setting.clock.getDelayedCalls()) == (1, [], [])
