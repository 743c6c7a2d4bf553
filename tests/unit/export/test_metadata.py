"""Tests of the export of series metadata to InfluxDB 1.x."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from twisted.internet import defer, reactor, task

from bbmeasure.export.metadata import MetadataExporter
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.influxdb.client import InfluxClient
from bbmeasure.storage.influxdb.server import Server
from tests.servers import Influxd
from tests.unit.export.journal_bench import NOW, Bench, inlineCallbacks, landed, points, stored_metadata


@inlineCallbacks
def test_a_dropped_database_is_created_again(bench: Bench, influxd: Influxd) -> Any:
    """New points are stored in the new database; old points and metadata are sent again on demand."""
    yield bench.journal.declare(SeriesInfo("size", Kind.SIZE, "bytes", builders=("first",)))
    yield bench.journal.write(points(100))
    exporter = bench.ship(influxd.url)
    yield bench.shipped()
    influxd.query("DROP DATABASE t")
    yield bench.journal.write(points(1, start=100))
    yield bench.shipped()
    assert [row["value"] for row in landed(influxd)] == [50.0]
    yield bench.until("what series are", lambda: len(landed(influxd, "bbmeasure_series")) == 1)
    assert exporter.health().counters["database_created"] == 1
    assert (yield bench.journal.reship("sink", NOW)) == 101
    yield bench.shipped()
    assert len(landed(influxd)) == 101


@inlineCallbacks
def test_metadata_is_written_again_after_a_database_was_emptied(bench: Bench, influxd: Influxd) -> Any:
    """The exporter reads the server's metadata again after a minute and writes what is missing."""
    yield bench.journal.declare(SeriesInfo("size", Kind.SIZE, "bytes", builders=("first",)))
    yield bench.journal.write(points(10))
    bench.ship(influxd.url)
    yield bench.shipped()
    influxd.query("DROP DATABASE t")
    influxd.query("CREATE DATABASE t")
    bench.forward += 61
    yield bench.journal.reship("sink", NOW)
    yield bench.shipped()
    assert len(landed(influxd)) == 10
    assert stored_metadata(influxd) == ("size", "bytes", "none")
    bench.forward += 86_400  # and daily, so that no retention policy takes it away
    yield bench.journal.write(points(1, start=10))
    yield bench.shipped()
    assert len(influxd.rows("SELECT * FROM bbmeasure_series", "t")) == 2


@inlineCallbacks
def test_changed_metadata_is_exported(bench: Bench, influxd: Influxd) -> Any:
    """A kind or direction from master.cfg, or a unit after ``bbmeasure forget``, is exported, also after a restart."""
    journal = bench.journal

    @defer.inlineCallbacks
    def say(info: SeriesInfo, at: int) -> Any:
        yield journal.declare(replace(info, builders=("first",)), override=True)
        yield journal.write(points(1, start=at))
        yield bench.shipped()

    first = bench.ship(influxd.url)
    yield say(SeriesInfo("size", Kind.NUMBER), 0)
    assert stored_metadata(influxd) == ("number", "1", "none")
    yield say(SeriesInfo("size", Kind.COUNT, "1", Direction.HIGHER), 1)
    assert stored_metadata(influxd) == ("count", "1", "higher")
    yield first.stop()
    again = bench.ship(influxd.url)
    yield journal.forget("size")
    yield say(SeriesInfo("size", Kind.DURATION, "s", Direction.LOWER), 2)
    assert stored_metadata(influxd) == ("duration", "s", "lower")
    assert again.health().counters.get("conflicts", 0) == 0
    yield again.stop()
    bench.ship(influxd.url, master="another")
    yield say(SeriesInfo("size", Kind.DURATION, "s", Direction.HIGHER), 3)
    assert stored_metadata(influxd) == ("duration", "s", "lower")


@inlineCallbacks
def test_two_masters_export_to_one_database(tmp_path: Path, influxd: Influxd) -> Any:
    """All points of both are stored, and the metadata that the first wrote of a builder is not overwritten."""
    benches = []
    for number, unit in enumerate(("bytes", "s")):
        folder = tmp_path / str(number)
        folder.mkdir()
        one = Bench(folder)
        benches.append(one)
        yield one.journal.attach_exporter("sink")
        kind = Kind.SIZE if unit == "bytes" else Kind.DURATION
        yield one.journal.declare(SeriesInfo("size", kind, unit, builders=("first",)))
        build = BuildContext("first", f"w{number}", 1, 1)
        yield one.journal.write([Point("size", NOW + at, float(at), {}, build) for at in range(100)])
        exporter = one.ship(influxd.url, master=str(number))
        yield one.shipped()
        assert exporter.health().counters.get("conflicts", 0) == number
    assert len(landed(influxd)) == 200
    assert {row["unit"] for row in landed(influxd, "bbmeasure_series")} == {"bytes"}
    for one in benches:
        yield one.close()


def metadata_exporter(url: str, master: str = "one") -> MetadataExporter:
    clock = task.Clock()
    clock.advance(NOW / 10**9)
    return MetadataExporter(InfluxClient(reactor, Server(url, "t")), master, clock=clock, monotonic=clock.seconds)


def rows_by_owner(influxd: Influxd) -> dict[Any, Any]:
    """Return kind and unit of each row by builder, and by the mark of points outside builds."""
    rows = influxd.rows("SELECT * FROM bbmeasure_series", "t")
    return {(row.get("builder"), row.get("outside")): (row["kind"], row["unit"]) for row in rows}


@inlineCallbacks
def test_each_builder_has_metadata_of_its_own(influxd: Influxd) -> Any:
    """Builders and points outside builds keep different units; metadata of version 0.1 is not replaced."""
    influxd.query("CREATE DATABASE t")
    line = 'bbmeasure_series,series=size kind="count",unit="1",better="none",name="size",master="other" 5'
    requests.post(f"{influxd.url}/write", params={"db": "t"}, data=line, timeout=60).raise_for_status()
    infos = frozenset(
        [
            SeriesInfo("size", Kind.SIZE, "bytes", builders=("first",)),
            SeriesInfo("size", Kind.DURATION, "s", builders=('sec"ond\\',)),
            SeriesInfo("size", Kind.NUMBER),
        ]
    )
    exporter = metadata_exporter(influxd.url)
    for _ in range(2):
        yield exporter.write(infos)
        exporter.forget()
    expected = {
        (None, None): ("count", "1"),
        ("first", None): ("size", "bytes"),
        ('sec"ond', None): ("duration", "s"),
        (None, "yes"): ("number", "1"),
    }
    assert rows_by_owner(influxd) == expected
    assert len(influxd.rows("SELECT * FROM bbmeasure_series", "t")) == 4
    assert exporter.counters["conflicts"] == 0
    other = metadata_exporter(influxd.url, "two")
    yield other.write(
        frozenset(
            [
                SeriesInfo("size", Kind.SIZE, "bytes", builders=("third",)),
                SeriesInfo("size", Kind.DURATION, "s", builders=("first",)),
            ]
        )
    )
    assert rows_by_owner(influxd) == {**expected, ("third", None): ("size", "bytes")}
    assert other.counters["conflicts"] == 1


@pytest.mark.parametrize(("series", "builders"), [(150, 1), (1, 150), (150, 150)])
@inlineCallbacks
def test_metadata_of_many_series_and_builders(influxd: Influxd, series: int, builders: int) -> Any:
    """More names than one query lists are read as well: nothing unchanged is written again."""
    influxd.query("CREATE DATABASE t")
    numbers = range(max(series, builders))
    infos = frozenset(
        SeriesInfo(f"s{number % series}", Kind.COUNT, builders=(f"b{number % builders}",)) for number in numbers
    )
    exporter = metadata_exporter(influxd.url)
    for _ in range(2):
        yield exporter.write(infos)
        exporter.forget()
    assert len(influxd.rows("SELECT * FROM bbmeasure_series", "t")) == 150
