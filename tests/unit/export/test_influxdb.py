"""Tests of the export from a journal to InfluxDB 1.x."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import requests
from twisted.internet import reactor, task
from twisted.logger import formatEvent

from bbmeasure.export.interfaces import OutboxLimits
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Direction, Kind, canonical_series
from bbmeasure.storage.influxdb.line_protocol import LineWriter, clean_tags
from bbmeasure.testing.site import free_port
from tests.hostile import losing_answers
from tests.servers import Influxd, make_certificate
from tests.unit.export.journal_bench import NOW, SECRET, Bench, inlineCallbacks, landed, points
from tests.unit.storage.examples import HOSTILE_NAMES


@inlineCallbacks
def test_all_points_and_metadata_are_exported(bench: Bench, influxd: Influxd) -> Any:
    """The database is created; every point has its tags and fields, every series its metadata."""
    yield bench.journal.declare(SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER, ("first",)))
    yield bench.journal.write(points(6_000, samples=3, spread=0.5))
    bench.ship(influxd.url)
    yield bench.shipped()
    rows = landed(influxd)
    assert len(rows) == 6_000
    assert {name: value for name, value in rows[5_999].items() if value is not None} == {
        "time": NOW + 5_999,
        "value": 2999.5,
        "builder": "first",
        "worker": "bot1",
        "k": "v",
        "build": 1,
        "buildid": 101,
        "revision": "abc",
        "step": "measure",
        "samples": 3,
        "spread": 0.5,
    }
    (declared,) = landed(influxd, "bbmeasure_series")
    del declared["time"]
    facts = {"name": "size", "kind": "size", "unit": "bytes", "better": "lower", "master": "one"}
    assert declared == {"series": "size", "builder": "first", **facts}


@inlineCallbacks
def test_hostile_names(bench: Bench, influxd: Influxd) -> Any:
    """Series, tags and builders of any name are exported, and no point is lost."""
    names = [*HOSTILE_NAMES, "#hash", "ends\\", "tab\tand\nnewline\rreturn", "nul\0byte", "x" * 60_000]
    written = [
        Point(name, NOW, 1.0, {"t" + name: name}, BuildContext(name, name, 1, 1)) for name in names if len(name) < 1000
    ]
    written.append(Point("long", NOW, 1.0, {"long": names[-1]}))
    yield bench.journal.write(written)
    bench.ship(influxd.url)
    yield bench.shipped()
    expected = sorted({canonical_series(point.series) for point in written} | {"bbmeasure_series"})
    assert sorted(influxd.measurements("t")) == expected
    for point in written:
        quoted = canonical_series(point.series).replace("\\", "\\\\").replace('"', '\\"')
        (row,) = landed(influxd, quoted)
        for tag, value in clean_tags(point.tags).items():
            assert row[tag] == value
        if point.build:
            assert row["builder"] == clean_tags({"b": point.build.builder})["b"]
    assert (yield bench.journal.dead_letters("sink")) == []


@inlineCallbacks
def test_tags_that_make_influxdb_join_lines(bench: Bench, influxd: Influxd) -> Any:
    """Lines with a backslash before an escaped character and an unescaped quote are stored separately."""
    hostile = [Point("odd", NOW + number, 1.0, {"a": "\\ x", "b": "y", "z": '"'}) for number in range(3)]
    written = points(20)
    yield bench.journal.write([*written[:10], *hostile, *written[10:]])
    bench.ship(influxd.url)
    yield bench.shipped()
    assert len(landed(influxd)) == 20
    assert [(row["a"], row["z"]) for row in landed(influxd, "odd")] == [("\\ x", '"')] * 3
    assert (yield bench.journal.dead_letters("sink")) == []


@inlineCallbacks
def test_a_lost_response_duplicates_no_point(bench: Bench, influxd: Influxd) -> Any:
    """If the response is lost, the points are sent again and stored once."""
    influxd.query("CREATE DATABASE t")
    yield bench.journal.write(points(12_000))
    with losing_answers(influxd.url) as way:
        bench.ship(way.url)
        yield bench.shipped()
        writes = [request for request in way.requests if request.path == "/write"]
        assert len(writes) > 4
    rows = landed(influxd)
    assert len(rows) == 12_000
    assert sum(row["value"] for row in rows) == sum(number / 2 for number in range(12_000))


@inlineCallbacks
def test_points_with_a_field_type_conflict_are_dead_letters(bench: Bench, influxd: Influxd) -> Any:
    """Only the points with the conflict become dead letters, with the server's message."""
    influxd.query("CREATE DATABASE t")
    alien = f'taken value="text" {NOW}\n'.encode()
    requests.post(influxd.url + "/write", params={"db": "t"}, data=alien, timeout=60).raise_for_status()
    yield bench.journal.write([*points(50), *points(2, "taken"), *points(50, start=50)])
    exporter = bench.ship(influxd.url)
    yield bench.shipped()
    assert len(landed(influxd)) == 100
    letters = yield bench.journal.dead_letters("sink")
    assert [letter.point.series for letter in letters] == ["taken", "taken"]
    assert "field type conflict" in letters[0].reason
    assert exporter.health().counters["refused"] == 2
    assert exporter.health().last_error is None


@inlineCallbacks
def test_points_beyond_a_retention_policy_are_dead_letters(bench: Bench, influxd: Influxd) -> Any:
    """Points that the retention policy would drop become dead letters and block no others."""
    influxd.query("CREATE DATABASE t WITH DURATION 1d NAME day")
    now = time.time_ns()
    yield bench.journal.write([*points(300), *(Point("size", now + number, 1.0) for number in range(10))])
    bench.ship(influxd.url, retention_policy="day")
    yield bench.shipped()
    assert len(landed(influxd)) == 10
    letters = yield bench.journal.dead_letters("sink", 1_000)
    assert len(letters) == 300
    assert "beyond retention policy" in letters[0].reason


@inlineCallbacks
def test_build_numbers_as_tags_exceed_max_values_per_tag(bench: Bench) -> Any:
    """With build numbers as tags, InfluxDB refuses builds over max-values-per-tag; as fields it stores all."""
    with Influxd(max_values_per_tag=20) as server:
        builds = [Point("size", NOW + number, 1.0, {}, BuildContext("b", "w", number, number)) for number in range(30)]
        yield bench.journal.attach_exporter("tagged")
        bench.ship(server.url, "tagged", database="tagged", writer=LineWriter(tag_build_number=True))
        bench.ship(server.url)
        for part in (builds[:20], builds[20:]):
            yield bench.journal.write(part)
            yield bench.shipped("tagged")
            yield bench.shipped()
        letters = yield bench.journal.dead_letters("tagged")
        assert len(letters) == 10
        assert "max-values-per-tag limit exceeded" in letters[0].reason
        assert len(landed(server, database="tagged")) == 20
        assert len(landed(server)) == 30


@inlineCallbacks
def test_a_new_password_exports_the_backlog(bench: Bench) -> Any:
    """A new configuration of the same name exports the backlog; neither log nor health contains a secret."""
    with Influxd(auth=True) as server:
        server.query("CREATE DATABASE t")
        server.query(f"CREATE USER writer WITH PASSWORD '{SECRET}'")
        server.query("GRANT WRITE ON t TO writer")
        yield bench.journal.write(points(10))
        wrong = bench.ship(server.url, username="writer", password=SECRET + "x")
        yield bench.until("trouble", lambda: wrong.health().last_error)
        assert "401 user, password or token not accepted" in (wrong.health().last_error or "")
        yield wrong.stop()
        right = bench.ship(server.url, username="writer", password=SECRET)
        yield bench.shipped()
        assert len(server.rows("SELECT value FROM size", "t")) == 10
        # a user who may only write cannot see what series are there, and says it all the same
        assert len(server.rows("SELECT kind FROM bbmeasure_series", "t")) == 1
        health = right.health()
        assert health.last_error is None
        assert health.counters["metadata_unread"] == 1
        shown = " ".join([repr(wrong.health()), repr(health), *(str(formatEvent(event)) for event in bench.logged)])
        assert "takes points" in shown or "points wait" in shown
        assert SECRET not in shown


@inlineCallbacks
def test_a_user_without_rights(bench: Bench) -> Any:
    """The error is 403, and the points stay in the outbox until the right is granted."""
    with Influxd(auth=True) as server:
        server.query("CREATE DATABASE t")
        server.query(f"CREATE USER writer WITH PASSWORD '{SECRET}'")
        yield bench.journal.write(points(10))
        exporter = bench.ship(server.url, username="writer", password=SECRET)
        yield bench.until("trouble", lambda: exporter.health().last_error)
        assert "403 permission denied" in (exporter.health().last_error or "")
        server.query("GRANT WRITE ON t TO writer")
        yield bench.shipped()
        assert exporter.health().last_error is None


@inlineCallbacks
def test_export_over_tls(bench: Bench, tmp_path: Path) -> Any:
    """Points are exported if the certificate is trusted, and stay in the outbox if not."""
    both, certificate = make_certificate(tmp_path)
    with Influxd(tls=both) as server:
        yield bench.journal.write(points(10))
        doubting = bench.ship(server.url)
        yield bench.until("trouble", lambda: doubting.health().last_error)
        assert "certificate verify failed" in (doubting.health().last_error or "")
        yield doubting.stop()
        bench.ship(server.url, ca_file=str(certificate))
        yield bench.shipped()
        assert len(server.rows("SELECT value FROM size", "t")) == 10


@inlineCallbacks
def test_a_killed_server_receives_all_points_after_its_restart(bench: Bench, influxd: Influxd) -> Any:
    """A server that is killed during the export and restarted has each point once."""
    influxd.query("CREATE DATABASE t")
    bench.ship(influxd.url)
    for start in range(0, 10_000, 2_500):
        yield bench.journal.write(points(2_500, start=start))
        yield task.deferLater(reactor, 0.03)
        influxd.kill()
        yield task.deferLater(reactor, 0.05)
        influxd.start()
    yield bench.shipped()
    assert sorted(row["time"] for row in landed(influxd)) == [NOW + number for number in range(10_000)]


@inlineCallbacks
def test_the_oldest_points_of_a_backlog_over_its_limit_are_dropped(bench: Bench, influxd: Influxd) -> Any:
    """The backlog of an unreachable server is limited; dropped points are counted, the newest are exported."""
    port = free_port()
    yield bench.journal.write(points(5_000))
    exporter = bench.ship(f"http://127.0.0.1:{port}", limits=OutboxLimits(max_bytes=100_000))
    yield bench.until("the limit", lambda: 0 < exporter.health().backlog < 5_000)
    yield bench.until("what was dropped", lambda: exporter.health().counters["dropped"])
    waiting, dropped = exporter.health().backlog, exporter.health().counters["dropped"]
    assert waiting + dropped == 5_000
    yield exporter.stop()
    bench.ship(influxd.url)
    yield bench.shipped()
    rows = landed(influxd)
    assert [row["time"] for row in rows] == [NOW + number for number in range(dropped, 5_000)]


@inlineCallbacks
def test_refused_connections_lose_no_point(bench: Bench) -> Any:
    """The points stay in the outbox, and health has the error."""
    port = free_port()
    yield bench.journal.write(points(10))
    exporter = bench.ship(f"http://127.0.0.1:{port}")
    yield bench.until("trouble", lambda: exporter.health().last_error)
    assert "no answer" in (exporter.health().last_error or "")
    server = Influxd()
    server.port = port
    with server:
        yield bench.shipped()
        assert len(landed(server)) == 10
