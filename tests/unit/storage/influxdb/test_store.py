"""InfluxStorage keeps the storages' contract against a real influxd, and asks for nothing but what is asked."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
import pytest_twisted
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor, task

from bbmeasure.errors import QueryError, SeriesConflictError, StorageError, StorageUnavailableError
from bbmeasure.model import BuildContext, Point, Query, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.statistics import find, find_all
from bbmeasure.storage.influxdb import influxql
from bbmeasure.storage.influxdb.client import InfluxClient
from bbmeasure.storage.influxdb.server import Server
from bbmeasure.storage.influxdb.store import InfluxStorage
from bbmeasure.storage.memory import MemoryStorage
from tests.hostile import Reply, Scripted
from tests.servers import Influxd
from tests.unit.storage.contract import StateContract
from tests.unit.storage.examples import HOSTILE_NAMES, at, in_build

inlineCallbacks = pytest_twisted.inlineCallbacks
ALL = "average,deviation,minimum,maximum,median,count,sum,first,last,p95,p0,p100"

INJECTIONS = (
    'x"; DROP DATABASE "{database}',
    'x\'; DROP DATABASE "{database}"; --',
    "x' OR '1'='1",
    'x" WHERE time > 0; DROP MEASUREMENT "size"; --',
    "$p0",
    "/.*/",
    '"."size',
    "size; DROP SERIES FROM /.*/",
    "\\",
    '\\"',
    "\\'",
    "x\\",
    "\n; DROP DATABASE {database}",
    "*",
    "now()",
)


class TestInfluxStorage(StateContract):
    """Contract tests."""

    # backslashes in series names are replaced
    hostile_names = tuple(name for name in HOSTILE_NAMES if "\\" not in name)

    @pytest.fixture(autouse=True)
    def _make(self, make: Any) -> None:
        self.make = make

    def make_storage(self, folder: Any) -> InfluxStorage:
        return self.make()  # type: ignore[no-any-return]


class TestInfluxStorageInAPolicyWithTaggedBuilds(StateContract):
    """Contract tests in a retention policy, with build numbers as tags and all buckets from the server."""

    hostile_names = TestInfluxStorage.hostile_names

    @pytest.fixture(autouse=True)
    def _make(self, make: Any, influxd: Influxd, database: str) -> None:
        influxd.query(f'CREATE RETENTION POLICY "my \\"policy" ON {database} DURATION INF REPLICATION 1')
        self.make = make

    def make_storage(self, folder: Any) -> InfluxStorage:
        return self.make(small=0, tag_build_number=True, retention_policy='my "policy')  # type: ignore[no-any-return]


@inlineCallbacks
def test_a_point_is_returned_by_all_queries(make: Any) -> Any:
    """Last, points, records, series and statistics return the same point."""
    storage = make()
    point = Point("size", at(0), 42.5, {"platform": "linux"}, in_build(7, revision="abc"), 5, 0.5)
    yield storage.declare(SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER, ("first",)))
    yield storage.write([point])
    assert (yield storage.last(Query("size"))) == point
    assert (yield storage.records(107)) == [point]
    assert (yield storage.series()) == [
        SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER, ("first",), 1, at(0), at(0), 42.5)
    ]
    assert (yield storage.summarize(Query("size"), find_all(["average"]))) == {"average": 42.5}


@inlineCallbacks
def test_a_cleaned_name_is_found_by_the_original_name(make: Any, influxd: Influxd, database: str) -> Any:
    """Names are cleaned in queries too, and the metadata has the full name."""
    storage = make()
    name, tag = "#C:\\tmp\\", "ends\\"
    yield storage.declare(SeriesInfo(name, Kind.COUNT, builders=("two\nlines",)))
    yield storage.write([Point(name, at(0), 1.0, {tag: "C:\\"}, in_build(1, builder="two\nlines"))])
    assert influxd.measurements(database) == ["_C:_tmp", "bbmeasure_series"]
    (info,) = yield storage.series()
    assert (info.name, info.kind, info.builders) == (name, Kind.COUNT, ("two lines",))
    (point,) = yield storage.points(Query(name, builder="two\nlines", tags={tag: "C:\\"}), 9)
    assert (point.series, point.value, point.tags) == (name, 1.0, {"ends": "C:"})
    assert [point.series for point in (yield storage.records(101))] == [name]
    assert (yield storage.forget(name)) == 1
    assert influxd.measurements(database) == []


@inlineCallbacks
def test_injections_in_query_arguments(make: Any, influxd: Influxd, database: str) -> Any:
    """InfluxQL in any argument of any query is a name: nothing else is returned, created or dropped."""
    storage = make()
    points = [Point("size", at(second), 1.0, {"k": "v"}, in_build()) for second in range(3)]
    yield storage.write(points)
    for template in INJECTIONS:
        text = template.replace("{database}", database)
        for query in (
            Query(text),
            Query("size", builder=text),
            Query("size", worker=text),
            Query("size", tags={"k": text}),
            Query("size", tags={text: "v"}),
            Query("size", tags={text: text}, exact_tags=True),
            Query("size", builders=frozenset([text])),
            Query("size", branch=text),
            Query("size", machine=text),
            Query("size", proposal=f"x{text}"),
            Query("size", unit=text),
        ):
            assert (yield storage.points(query, 9)) == []
            assert (yield storage.last(query)) is None
            assert (yield storage.last(query, before=1)) is None
            assert (yield storage.lines(query)) == []
            assert (yield storage.buckets(query, 9)) == []
            found = yield storage.summarize(query, find_all(ALL.split(",")))
            assert found == {**dict.fromkeys(found), "count": 0.0}
        assert (yield storage.recall([text])) == {}
        assert (yield storage.forget(text)) == 0
    assert influxd.databases().count(database) == 1
    assert influxd.measurements(database) == ["size"]
    assert (yield storage.points(Query("size"), 9)) == points


@inlineCallbacks
def test_injections_in_written_points(make: Any, influxd: Influxd, database: str) -> Any:
    """InfluxQL in series, tags, builders and texts is written and returned unchanged."""
    storage = make()
    texts = [text.replace("{database}", database) for text in INJECTIONS if "\\" not in text and "\n" not in text]
    for second, text in enumerate(texts):
        build = in_build(second, builder=text, worker=text, step=text, revision=text, branch=text, project=text)
        point = Point(text, at(second), text, {"k": text, "x" + text: "v"}, build)
        yield storage.declare(SeriesInfo(text, Kind.TEXT))
        yield storage.write([point], {text: 1.0})
        assert (yield storage.points(Query(text, builder=text, worker=text, tags={"k": text}), 9)) == [point]
        assert (yield storage.recall([text])) == {text: 1.0}
    assert sorted(info.name for info in (yield storage.series())) == sorted(texts)
    assert sorted(influxd.measurements(database)) == sorted([*texts, "bbmeasure_series", "bbmeasure_state"])


ANY_TEXT = st.text(min_size=1, max_size=8) | st.text("\\\"'$/;. \n", min_size=1, max_size=8)


def test_any_name_makes_a_valid_query(influxd: Influxd) -> None:
    """A query with any name is valid InfluxQL and returns nothing else."""
    influxd.query("CREATE DATABASE questions")

    @settings(max_examples=60)
    @given(ANY_TEXT, ANY_TEXT, ANY_TEXT.filter(lambda key: key.lower() != "time"), ANY_TEXT)
    def check(series: str, builder: str, key: str, value: str) -> None:
        query = Query(series, builder=builder, tags={key: value})
        for made in (
            influxql.points(query, 1, policy=value),
            influxql.summarize(query, find_all(["average", "p95"]), tag_keys=[key]),
            influxql.points(Query(series, branch=builder, machine=key, proposal=f"x{value}"), 1),
            influxql.lines(query),
            influxql.series_metadata(series, builders=[builder]),
            influxql.builder_contents(query),
            influxql.delete(series, [(1, {key: value})]),
            influxql.tag_keys(series),
            influxql.forget(series, [value]),
        ):
            form = {"q": made.text, "params": json.dumps(made.params)}
            answer = requests.post(influxd.url + "/query", params={"db": "questions"}, data=form, timeout=60).json()
            errors = [result.get("error") for result in answer["results"]]
            assert all(error is None or error.startswith("retention policy not found") for error in errors), errors
            assert not any(result.get("series") for result in answer["results"])

    check()
    assert "questions" in influxd.databases()


@inlineCallbacks
def test_a_tag_named_time(make: Any) -> Any:
    """InfluxDB reads time as the timestamp: no point has that tag, and one in capitals cannot be queried."""
    storage = make()
    yield storage.write([Point("size", at(0), 1.0, {"Time": "x"})])
    assert (yield storage.points(Query("size", tags={"time": "x"}), 9)) == []
    assert len((yield storage.points(Query("size", tags={"time": ""}), 9))) == 1
    with pytest.raises(QueryError, match="expected another name"):
        yield storage.points(Query("size", tags={"Time": "x"}), 9)


@inlineCallbacks
def test_two_masters_share_metadata(make: Any) -> Any:
    """Metadata of one master is valid for the other, and points of the same time from two builders are distinct."""
    one, two = make(), make()
    first, second = ("first",), ("second",)
    info = SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER, first)
    yield one.declare(info)
    assert (yield two.declare(SeriesInfo("size", Kind.NUMBER, "bytes", builders=first))) == info
    with pytest.raises(SeriesConflictError):
        yield two.declare(SeriesInfo("size", Kind.DURATION, "s", builders=first))
    yield two.declare(replace(info, builders=second))
    yield one.write([Point("size", at(0), 1.0, build=in_build(builder="first"))])
    yield two.write([Point("size", at(0), 2.0, build=in_build(builder="second"))])
    for storage in (one, two):
        (held,) = yield storage.series()
        assert (held.kind, held.unit, held.count, held.builders) == (Kind.SIZE, "bytes", 2, ("first", "second"))


@inlineCallbacks
def test_metadata_is_valid_after_the_clock_was_set_back(make: Any) -> Any:
    """The latest write is valid, not the one with the latest wall-clock time."""
    clock = task.Clock()
    clock.advance(2_000_000_000)
    storage = make(clock=clock)
    yield storage.declare(SeriesInfo("size", Kind.NUMBER))
    clock.rightNow -= 3_600
    counted = SeriesInfo("size", Kind.COUNT)
    yield storage.declare(counted, override=True)
    assert (yield storage.declare(SeriesInfo("size", Kind.NUMBER))) == counted


@inlineCallbacks
def test_unchanged_metadata_is_written_once_a_day(make: Any, influxd: Influxd, database: str) -> Any:
    """Repeated declarations are not written, except before a retention policy deletes them."""
    clock = task.Clock()
    clock.advance(1_700_000_000)
    storage = make(clock=clock)
    for _ in range(3):
        yield storage.declare(SeriesInfo("size", Kind.COUNT))
        clock.advance(60)
    assert len(influxd.rows("SELECT * FROM bbmeasure_series", database)) == 1
    clock.advance(86_400)
    yield storage.declare(SeriesInfo("size", Kind.COUNT))
    assert len(influxd.rows("SELECT * FROM bbmeasure_series", database)) == 2


@inlineCallbacks
def test_points_of_another_program(make: Any, influxd: Influxd, database: str) -> Any:
    """A measurement without metadata and with a field ``value`` is a series of numbers."""
    lines = b'by_hand,builder=b,host=h value=3i 7\nalien temperature=1 8\nbbmeasure_series,series=odd kind="odd" 1\n'
    requests.post(influxd.url + "/write", params={"db": database}, data=lines, timeout=60).raise_for_status()
    storage = make()
    assert [(info.name, info.kind, info.count) for info in (yield storage.series())] == [("by_hand", Kind.NUMBER, 1)]
    expected = Point("by_hand", 7, 3.0, {"host": "h"}, BuildContext("b", "", 0, 0))
    assert (yield storage.points(Query("by_hand"), 9)) == [expected]
    assert (yield storage.points(Query("alien"), 9)) == []


@inlineCallbacks
def test_build_numbers_as_tag_and_as_field(make: Any) -> Any:
    """Points with build numbers as tags and as fields return the same numbers."""
    before, after = make(), make(tag_build_number=True)
    points = [Point("size", at(number), 1.0, {}, in_build(number)) for number in (1, 2)]
    yield before.write(points[:1])
    yield after.write(points[1:])
    for storage in (before, after):
        assert (yield storage.points(Query("size"), 9)) == points


@inlineCallbacks
def test_statistics_and_buckets_equal_those_of_the_memory_store(make: Any) -> Any:
    """For random points every statistic and bucket is equal, computed here or by the server."""
    chance = random.Random(7)
    points = [
        Point(
            "size",
            at(chance.uniform(0, 5_000)),
            chance.gauss(1e6, 3.0),
            {"k": chance.choice("ab")},
            in_build(builder=chance.choice(["first", "second"])),
        )
        for _ in range(3_000)
    ]
    memory, small, large = MemoryStorage(), make(), make(small=0)
    yield memory.write(points)
    yield small.write(points)
    for query in (
        Query("size"),
        Query("size", builder="first", tags={"k": "a"}),
        Query("size", since=at(1_000), until=at(4_000)),
        Query("size", since=at(6_000)),
    ):
        statistics = find_all(ALL.split(","))
        expected = yield memory.summarize(query, statistics)
        got = yield small.summarize(query, statistics)
        assert [one.name for one in statistics if got[one.name] is None] == [
            one.name for one in statistics if expected[one.name] is None
        ]
        numbers = [name for name, value in expected.items() if value is not None]
        assert [got[name] for name in numbers] == pytest.approx([expected[name] for name in numbers], rel=1e-9)
        buckets = yield memory.buckets(query, 37)
        for storage in (small, large):
            got = yield storage.buckets(query, 37)
            assert [(one.time, one.count, one.minimum, one.maximum) for one in got] == [
                (one.time, one.count, one.minimum, one.maximum) for one in buckets
            ]
            assert [one.average or 0.0 for one in got] == pytest.approx([one.average or 0.0 for one in buckets])


@inlineCallbacks
def test_an_unreachable_server(make: Any, database: str) -> Any:
    """Each query raises StorageUnavailableError, and health has the error until a query succeeds."""
    storage = make()
    good = storage.client
    asks = (
        lambda: storage.series(),
        lambda: storage.last(Query("size")),
        lambda: storage.points(Query("size"), 1),
        lambda: storage.records(1),
        lambda: storage.lines(Query("size")),
        lambda: storage.summarize(Query("size"), find_all(["average"])),
        lambda: storage.buckets(Query("size"), 1),
        lambda: storage.recall(["x"]),
        lambda: storage.forget("size"),
        lambda: storage.declare(SeriesInfo("size", Kind.COUNT)),
        lambda: storage.write([Point("size", at(0), 1.0)]),
    )
    with Scripted(lambda _: Reply(503, {"error": "away"})) as away:
        storage.client = InfluxClient(reactor, replace(good.server, url=away.url))
        for ask in asks:
            with pytest.raises(StorageUnavailableError, match="away"):
                yield ask()
    assert storage.health().counters["failures"] == 10
    assert "away" in (storage.health().last_error or "")
    storage.client = good
    yield storage.series()
    assert storage.health().last_error is None


ODD_SERIES = (
    5,
    [5],
    [{}],
    [{"name": "size", "columns": ["time"], "values": []}],
    [{"name": "size", "columns": ["time"], "values": [[1]]}],
    [{"name": "size", "tags": {"series": 5}, "columns": list("abcdef"), "values": [["x", {}, [], None, True, "q"]]}],
)
ODD_ANSWERS: list[Any] = [{"results": [{"statement_id": at, "series": one} for at in range(8)]} for one in ODD_SERIES]
ODD_ANSWERS += [{"results": 5}, {"results": [5]}, {"results": [{"statement_id": 10**9}]}, b"[" * 100_000]


@pytest.mark.parametrize("answer", ODD_ANSWERS)
@inlineCallbacks
def test_an_unexpected_response_is_a_storage_error(answer: Any) -> Any:
    """A response of another format raises StorageError and nothing else."""
    reported = []
    with Scripted(lambda _: Reply(200, answer)) as server:
        storage = InfluxStorage("odd", InfluxClient(reactor, Server(server.url, "t")), clock=reactor)
        for ask in (
            storage.series,
            lambda: storage.declare(SeriesInfo("size", Kind.SIZE)),
            lambda: storage.points(Query("size"), 10),
            lambda: storage.last(Query("size", exact_tags=True)),
            lambda: storage.records(5),
            lambda: storage.lines(Query("size")),
            lambda: storage.buckets(Query("size"), 5),
            lambda: storage.summarize(Query("size"), [find("average")]),
            lambda: storage.recall(["size"]),
            lambda: storage.forget("size"),
        ):
            try:
                yield ask()
            except StorageError as error:
                reported.append((str(error), storage.health().last_error))
        yield storage.close()
    assert reported
    assert all(one == other for one, other in reported)


@inlineCallbacks
def test_a_missing_database(influxd: Influxd) -> Any:
    """A query to a missing database raises an error with its name."""
    storage = InfluxStorage("influx", InfluxClient(reactor, Server(influxd.url, "missing")), clock=reactor)
    with pytest.raises(StorageUnavailableError, match="database not found: missing"):
        yield storage.points(Query("size"), 1)
