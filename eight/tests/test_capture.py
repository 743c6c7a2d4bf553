"""captureData, running totals and getters without an instance, and with a fake sender."""

from __future__ import unicode_literals

import pytest
from twisted.internet import defer

from bbmeasure_eight import capture, reports, state
from bbmeasure_eight.capture import captureData
from bbmeasure_eight.state import MasterState


class FakeSender(object):
    """Keeps what it accepts."""

    def __init__(self):
        self.writes = []

    def accept(self, write):
        self.writes.append(write)
        return defer.succeed(True)

    @property
    def points(self):
        return [point for write in self.writes for point in write.points]


class FakeSpool(object):
    def __init__(self, totals=None, declarations=None):
        self._totals, self._declarations = totals or {}, declarations or {}

    def totals(self):
        return self._totals

    def declarations(self):
        return self._declarations


@pytest.fixture
def master(monkeypatch):
    now = [1700000000.0]
    made = MasterState(clock=lambda: now[0])
    for module in (capture, reports, state):
        monkeypatch.setattr(module, "STATE", made)
    return made


def result_of(deferred):
    """The result of a Deferred that has fired; raises its failure."""
    found = []
    deferred.addBoth(found.append)
    assert found
    if hasattr(found[0], "raiseException"):
        found[0].raiseException()
    return found[0]


def test_without_an_instance_getters_answer_from_memory(master):
    for value in (4, 1, 3, 2):
        captureData("size", value)
    assert result_of(reports.getAverage("size")) == 2.5
    assert result_of(reports.getMedian("size")) == 2.5
    assert result_of(reports.getMinimum("size")) == 1
    assert result_of(reports.getMaximum("size")) == 4
    assert result_of(reports.getSum("size")) == 10
    assert result_of(reports.getCount("size")) == 4
    assert result_of(reports.getFirst("size")) == 4
    assert result_of(reports.getLast("size")) == 2
    assert result_of(reports.getPercentile("size", 50)) == 2
    assert result_of(reports.getPercentile("size", 0)) is None
    assert round(result_of(reports.getDeviation("size")), 6) == 1.290994
    assert result_of(reports.getAverage("nothing")) is None


def test_memory_is_bounded(master):
    for number in range(1500):
        captureData("size", number)
    assert result_of(reports.getCount("size")) == 1000
    for number in range(1001):
        captureData("s%d" % number, 1)
    assert result_of(reports.getCount("size")) is None


def test_getters_select_by_time_and_tags(master):
    captureData("size", 1, tags={"k": "a"}, time=100)
    captureData("size", 5, tags={"k": "b"}, time=200)
    assert result_of(reports.getAverage("size", tags={"k": "b"})) == 5
    assert result_of(reports.getCount("size", since=100, until=200)) == 1
    assert result_of(reports.getCount("size", since="1970-01-01T00:03:00Z")) == 1
    assert result_of(reports.getCount("size", since="7d")) is None
    assert result_of(reports.getCount("size", builder="b")) is None


def test_accumulate_stores_the_running_total(master):
    for value in (1, -2, 4):
        captureData("sum", value, accumulate=True)
        captureData("absolute", value, accumulate=True, abs_value=True)
    assert result_of(reports.getLast("sum")) == 3
    assert result_of(reports.getLast("absolute")) == 7


def test_diff_stores_the_change_and_nothing_first(master):
    for value in (10, 13, 11):
        captureData("change", value, diff=True)
    assert result_of(reports.getFirst("change")) == 3
    assert result_of(reports.getLast("change")) == -2
    assert result_of(reports.getCount("change")) == 2


def test_totals_are_apart_by_tags(master):
    captureData("sum", 1, accumulate=True, tags={"k": "a"})
    captureData("sum", 1, accumulate=True, tags={"k": "b"})
    assert result_of(reports.getMaximum("sum")) == 1


def test_totals_continue_from_the_spool(master):
    sender = FakeSender()
    key = capture.total_key("total", "sum", None, {})
    master.attach("a", sender, FakeSpool({key: 40.0}))
    captureData("sum", 2, accumulate=True)
    assert sender.points[-1][1] == "value=42.0"
    assert sender.writes[-1].totals == {key: 42.0}


def test_accumulate_and_diff_exclude_each_other(master):
    with pytest.raises(ValueError):
        captureData("x", 1, accumulate=True, diff=True)


def test_points_in_memory_go_to_the_first_instance(master):
    captureData("size", 1)
    captureData("size", 2)
    sender = FakeSender()
    master.attach("a", sender, FakeSpool())
    assert [point[1] for point in sender.points] == ["value=1.0", "value=2.0"]
    assert master.memory.take() == []


def test_times_are_unique(master):
    sender = FakeSender()
    master.attach("a", sender, FakeSpool())
    for _ in range(100):
        captureData("size", 1)
    assert len(set(point[2] for point in sender.points)) == 100


@pytest.mark.parametrize(
    "given",
    [
        dict(value=float("nan")),
        dict(value="text", accumulate=True),
        dict(value=None),
        dict(value=1, unit="furlong"),
        dict(value=1, tags={"builder": "x"}),
        dict(value=1, tags=5),
        dict(value=1, kind="speed"),
        dict(value=1, build=object()),
        dict(value=object()),
        dict(value=1, name=""),
        dict(value=1, name="build_duration"),
        dict(value=1, name="bbmeasure_series"),
        dict(value=1, time="yesterday"),
    ],
)
def test_a_bad_value_is_counted_and_never_raised(master, given):
    given = dict({"name": "x"}, **given)
    assert result_of(captureData(**given)) is None
    assert master.counters["refused"] == 1
    assert master.counters["captured"] == 0


def test_a_series_keeps_its_unit(master):
    captureData("x", 1, unit="s")
    captureData("x", 1, unit="bytes")
    captureData("x", "text")
    assert master.counters["refused"] == 2


def test_another_thread_gets_none(master):
    from twisted.internet import reactor
    from twisted.python import threadable

    threadable.registerAsIOThread()
    found = []

    def run():
        found.append(captureData("x", 1))

    import threading

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [None]
    reactor.runUntilCurrent()
    assert result_of(reports.getCount("x")) == 1
