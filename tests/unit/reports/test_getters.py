"""The getters, on a store in memory and on a journal."""

from __future__ import annotations

import inspect
import statistics as standard
from datetime import datetime, timezone
from typing import Any, Callable

import pytest
from pytest_twisted import blockon, inlineCallbacks
from twisted.internet import reactor, task

import bbmeasure
from bbmeasure import statistics
from bbmeasure.capture import state
from bbmeasure.capture.state import state_of
from bbmeasure.errors import QueryError, StorageUnavailableError
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.reports import getters
from bbmeasure.storage.memory import MemoryStorage
from bbmeasure.storage.sqlite.store import SQLiteStorage
from bbmeasure.testing import BrokenStorage
from bbmeasure.times import NANOSECONDS

pytestmark = pytest.mark.usefixtures("long_deadlines")

GETTERS = {
    "Average": standard.mean,
    "Deviation": standard.stdev,
    "Minimum": min,
    "Maximum": max,
    "Median": standard.median,
    "Count": len,
    "Sum": sum,
    "First": lambda values: values[0],
    "Last": lambda values: values[-1],
}
START = 1_700_000_000
VALUES = [3.5, -1.0, 8.0, 2.25, 2.25, 100.0, 0.0]


class Master:
    """The attributes of a master that reports use."""

    def __init__(self) -> None:
        self.reactor = reactor
        self.running = True


def getter(name: str) -> Callable[..., Any]:
    """A getter of the public package."""
    return getattr(bbmeasure, f"get{name}")  # type: ignore[no-any-return]


def build(builder: str = "first", worker: str = "bot1") -> BuildContext:
    return BuildContext(builder, worker, 1, 101)


@pytest.fixture(autouse=True)
def _no_other_master(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the masters of other tests."""
    monkeypatch.setattr(state, "_registry", state.Registry())


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: Any, tmp_path: Any) -> Any:
    """The store of the only running master, with VALUES a second apart."""
    storage = MemoryStorage() if request.param == "memory" else SQLiteStorage(tmp_path / "j.sqlite", reactor=reactor)
    master = Master()
    blockon(state_of(master).pipeline.attach(storage))
    for builder in ("first", "second"):
        blockon(storage.declare(SeriesInfo("size", Kind.SIZE, "bytes", builders=(builder,))))
    blockon(storage.write([point(second, value) for second, value in enumerate(VALUES)]))
    yield storage
    master.running = False
    blockon(storage.close())


def point(second: float, value: Any, series: str = "size", **more: Any) -> Point:
    return Point(series, int((START + second) * NANOSECONDS), value, **more)


@pytest.mark.parametrize("name", list(GETTERS))
@inlineCallbacks
def test_each_statistic(storage: Any, name: str) -> Any:
    """Each getter returns what Python's own statistics return."""
    assert (yield getter(name)("size")) == pytest.approx(GETTERS[name](VALUES), rel=1e-12)  # type: ignore[operator]  # a function


@pytest.mark.parametrize("name", list(GETTERS))
@inlineCallbacks
def test_the_range_is_half_open(storage: Any, name: str) -> Any:
    """A point at ``since`` counts, one at ``until`` does not, to the nanosecond."""
    answer = yield getter(name)("size", since=START + 1, until=START + 4)
    assert answer == pytest.approx(GETTERS[name](VALUES[1:4]), rel=1e-12)  # type: ignore[operator]  # a function


@pytest.mark.parametrize("name", list(GETTERS))
@inlineCallbacks
def test_no_data_is_none(storage: Any, name: str) -> Any:
    """An unknown series and an empty range give None; their count is 0."""
    nothing = 0 if name == "Count" else None
    for series, where in (("unknown", {}), ("size", {"until": START}), ("size", {"since": START, "until": START})):
        assert (yield getter(name)(series, **where)) == nothing


@inlineCallbacks
def test_deviation_of_a_single_value_is_none(storage: Any) -> Any:
    """One value has no sample deviation."""
    assert (yield bbmeasure.getDeviation("size", until=START + 1)) is None


@inlineCallbacks
def test_deviation_of_a_large_number_with_a_small_noise(storage: Any) -> Any:
    """The deviation of 1e9 plus a noise of a thousandth is exact, in total and in a range."""
    noise = [1e9 + (number * 7919 % 1000) / 1e6 for number in range(5_000)]
    yield storage.write([point(second, value, "large") for second, value in enumerate(noise)])
    assert (yield bbmeasure.getDeviation("large")) == pytest.approx(standard.stdev(noise), rel=1e-6)
    answer = yield bbmeasure.getDeviation("large", since=START + 123, until=START + 4321)
    assert answer == pytest.approx(standard.stdev(noise[123:4321]), rel=1e-6)


@pytest.mark.parametrize(
    ("percentile", "value"),
    [(0, None), (7, None), (8, -1.0), (50, 2.25), (75, 3.5), (90, 8.0), (99.9, 100.0), (100, 100.0)],
)
@inlineCallbacks
def test_percentiles(storage: Any, percentile: float, value: float) -> Any:
    """A percentile is the item at floor(n*p/100 + .5) of the sorted values, None if that is 0."""
    assert (yield bbmeasure.getPercentile("size", percentile)) == value


@pytest.mark.parametrize("percentile", [-1, 100.1, float("nan"), "50", None, True])
@inlineCallbacks
def test_an_invalid_percentile_is_refused(storage: Any, percentile: Any) -> Any:
    """Anything but a number from 0 to 100 fails with QueryError."""
    with pytest.raises(QueryError, match="expected a number from 0 to 100"):
        yield bbmeasure.getPercentile("size", percentile)


@inlineCallbacks
def test_filters(storage: Any) -> Any:
    """Builder, worker and tags filter points, alone and together; a point may have further tags."""
    tags = {"target": "core", "phase": "link"}
    yield storage.write(
        [
            point(100, 1000.0, build=build("first", "bot1"), tags=tags),
            point(101, 2000.0, build=build("first", "bot2"), tags={"target": "core"}),
            point(102, 4000.0, build=build("second", "bot1"), tags={"target": "tools"}),
        ]
    )
    for where, values in (
        ({"builder": "first"}, [1000, 2000]),
        ({"worker": "bot1"}, [1000, 4000]),
        ({"builder": "first", "worker": "bot2"}, [2000]),
        ({"tags": {"target": "core"}}, [1000, 2000]),
        ({"tags": tags}, [1000]),
        ({"tags": {"target": "core"}, "builder": "first", "worker": "bot1", "since": START + 100}, [1000]),
        ({"tags": {"target": "nothing"}}, []),
        ({"builder": "third"}, []),
    ):
        assert (yield bbmeasure.getCount("size", **where)) == len(values)
        assert (yield bbmeasure.getSum("size", **where)) == (sum(values) if values else None)
        assert (yield bbmeasure.getPercentile("size", 100, **where)) == max(values, default=None)


@pytest.mark.parametrize(
    ("since", "until", "values"),
    [
        (START + 2.0, None, VALUES[2:]),
        (str(START + 2), str(START + 5.0), VALUES[2:5]),
        ("2023-11-14T22:13:22Z", "2023-11-14T22:13:25+00:00", VALUES[2:5]),
        (datetime.fromtimestamp(START + 3, timezone.utc), None, VALUES[3:]),
        (datetime(2023, 11, 14, 22, 13, 23), None, VALUES[3:]),
        (None, "1ms", VALUES),
        ("7d", None, []),
    ],
)
@inlineCallbacks
def test_forms_of_times(storage: Any, since: Any, until: Any, values: list[float]) -> Any:
    """Unix seconds, ISO 8601, an age and a datetime are equivalent."""
    assert (yield bbmeasure.getCount("size", since=since, until=until)) == len(values)


@pytest.mark.parametrize(
    ("invalid", "message"),
    [
        ({"since": "yesterday"}, "since 'yesterday': expected ISO 8601"),
        ({"until": [1]}, "until"),
        ({"since": 5, "until": 4}, "since: expected a time that is not after until"),
        ({"builder": 5}, "builder '5': expected a name"),
        ({"worker": b"w"}, "worker"),
        ({"tags": "a=b"}, "tags"),
        ({"tags": {"a\n": "b"}}, "tags"),
        ({"series": ""}, "series ''"),
        ({"series": None}, "series 'None'"),
        ({"source": "nobody"}, "source 'nobody': expected the name of an instance that answers"),
    ],
)
@inlineCallbacks
def test_an_invalid_argument_is_refused(storage: Any, invalid: dict[str, Any], message: str) -> Any:
    """The Deferred fails with a QueryError that names the argument."""
    arguments = {"series": "size", **invalid}
    for get in (bbmeasure.getAverage, lambda series, **rest: bbmeasure.getPercentile(series, 50, **rest)):
        with pytest.raises(QueryError) as caught:
            yield get(**arguments)
        assert str(caught.value).startswith(message)


@inlineCallbacks
def test_texts(storage: Any) -> Any:
    """A series of texts has count, first and last; other statistics fail with QueryError."""
    yield storage.declare(SeriesInfo("compiler", Kind.TEXT, builders=("first",)))
    yield storage.write([point(second, text, "compiler") for second, text in enumerate(["gcc", "clang", "gcc"])])
    assert (yield bbmeasure.getCount("compiler")) == 3
    assert (yield bbmeasure.getFirst("compiler")) == "gcc"
    assert (yield bbmeasure.getLast("compiler", until=START + 2)) == "clang"
    for name in ("Average", "Deviation", "Minimum", "Maximum", "Median", "Sum"):
        with pytest.raises(QueryError, match="a series of texts has only count, first and last"):
            yield getter(name)("compiler")
    with pytest.raises(QueryError, match="a series of texts"):
        yield bbmeasure.getPercentile("compiler", 95)


@inlineCallbacks
def test_several_statistics_in_one_query(storage: Any) -> Any:
    """Their values are returned by name."""
    answers = yield getters.summarize("size", statistics.find_all(["count", "last", "p50"]))
    assert answers == {"count": 7, "last": 0, "p50": 2.25}


def test_an_age_counts_back_from_the_clock_of_the_master() -> None:
    """Now is the time of the master's reactor."""
    master = Master()
    master.reactor = clock = task.Clock()  # type: ignore[assignment]  # replaced by the test
    clock.advance(START + 3600)
    storage = state_of(master).pipeline.storage
    storage.write([point(0, 1.0), point(1800, 2.0)])
    counts: list[Any] = []
    for age in ("31m", "1h", "29m"):
        bbmeasure.getCount("size", since=age, master=master).addCallback(counts.append)
    assert counts == [1, 2, 0]


def test_sources() -> None:
    """``source`` selects the store of an instance; the default is ``answering``, else the journal."""
    master = Master()
    master_state = state_of(master)
    server, other = MemoryStorage(), MemoryStorage()
    for storage, value in ((master_state.pipeline.memory, 1.0), (server, 2.0), (other, 3.0)):
        storage.write([point(0, value)])
    master_state.sources["InfluxDBInstance"] = server
    results: list[Any] = []
    for source in (None, "InfluxDBInstance"):
        bbmeasure.getLast("size", source=source, master=master).addCallback(results.append)
    master_state.answering = other
    bbmeasure.getLast("size").addCallback(results.append)
    assert results == [1, 2, 3]


def test_a_store_that_is_unavailable() -> None:
    """The Deferred fails with the error of the store."""
    master = Master()

    class UnavailableStorage(BrokenStorage):
        def summarize(self, *_: Any) -> Any:
            return self._broken()

    state_of(master).pipeline.attach(UnavailableStorage())
    errors: list[Any] = []
    bbmeasure.getAverage("size").addErrback(errors.append)
    assert errors[0].check(StorageUnavailableError)


def test_several_masters() -> None:
    """If several masters run, ``master`` is required."""
    masters = [Master(), Master()]
    for number, master in enumerate(masters):
        state_of(master).pipeline.storage.write([point(0, float(number))])
    with pytest.raises(ValueError, match="expected master= to say which"):
        bbmeasure.getLast("size")
    results: list[Any] = []
    for master in masters:
        bbmeasure.getLast("size", master=master).addCallback(results.append)
    assert results == [0, 1]


@pytest.mark.parametrize("name", [*GETTERS, "Percentile"])
def test_signatures(name: str) -> None:
    """Each getter has its name, a docstring and the same arguments."""
    found = getter(name)
    assert found.__name__ == f"get{name}"
    assert found.__doc__
    arguments = [one for one in inspect.signature(found).parameters if one != "percentile"]
    filters = ["since", "until", "builder", "worker", "branch", "proposal", "kind", "unit", "tags"]
    assert arguments == ["series", *filters, "source", "master"]
