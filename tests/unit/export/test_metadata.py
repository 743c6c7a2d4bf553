"""Tests of the export of series metadata to InfluxDB 1.x."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import defer

from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from tests.servers import Influxd
from tests.unit.export.journal_bench import NOW, Bench, inlineCallbacks, landed, points, stored_metadata


@inlineCallbacks
def test_a_dropped_database_is_created_again(bench: Bench, influxd: Influxd) -> Any:
    """New points are stored in the new database; old points and metadata are sent again on demand."""
    yield bench.journal.declare(SeriesInfo("size", Kind.SIZE, "bytes"))
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
    yield bench.journal.declare(SeriesInfo("size", Kind.SIZE, "bytes"))
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
        yield journal.declare(info, override=True)
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
    """All points of both are stored, and the metadata of the first master is not overwritten."""
    benches = []
    for number, unit in enumerate(("bytes", "s")):
        folder = tmp_path / str(number)
        folder.mkdir()
        one = Bench(folder)
        benches.append(one)
        yield one.journal.attach_exporter("sink")
        kind = Kind.SIZE if unit == "bytes" else Kind.DURATION
        yield one.journal.declare(SeriesInfo("size", kind, unit))
        build = BuildContext(f"builder{number}", "w", 1, 1)
        yield one.journal.write([Point("size", NOW + at, float(at), {}, build) for at in range(100)])
        exporter = one.ship(influxd.url, master=str(number))
        yield one.shipped()
        assert exporter.health().counters.get("conflicts", 0) == number
    assert len(landed(influxd)) == 200
    assert {row["unit"] for row in landed(influxd, "bbmeasure_series")} == {"bytes"}
    for one in benches:
        yield one.close()
