"""Tests of the export from a journal to real servers, read by the influxdb client or plain HTTP."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import influxdb
import pytest
import pytest_twisted
import requests
from twisted.internet import defer, reactor, task
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from bbmeasure.export.exporter import Exporter
from bbmeasure.export.interfaces import OutboxLimits
from bbmeasure.export.metadata import MetadataExporter
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.influxdb.client import InfluxClient
from bbmeasure.storage.influxdb.line_protocol import LineWriter, clean_series, clean_tags
from bbmeasure.storage.influxdb.server import Server
from bbmeasure.storage.sqlite.store import SQLiteStorage
from tests.hostile import Reply, Request, Scripted, losing_answers
from tests.servers import Influxd, VictoriaMetrics, free_port, make_certificate
from tests.unit.storage.examples import HOSTILE_NAMES

inlineCallbacks = pytest_twisted.inlineCallbacks
SECRET = "s3cr3t-w0rd"
BUILD = BuildContext("first", "bot1", 1, 101, "measure", "abc")
NOW = 1_700_000_000_000_000_000


def points(count: int, series: str = "size", start: int = 0, **more: Any) -> list[Point]:
    return [
        Point(series, NOW + number, number / 2, {"k": "v"}, BUILD, **more) for number in range(start, start + count)
    ]


class Bench:
    """A journal in a file, and exporters of it."""

    def __init__(self, folder: Path) -> None:
        self.journal = SQLiteStorage(folder / "journal.sqlite", reactor=reactor)
        self.exporters: list[Exporter] = []
        self.logged: list[LogEvent] = []
        self.forward = 0.0

    def ship(
        self, url: str, name: str = "sink", *, master: str = "one", writer: Optional[LineWriter] = None, **options: Any
    ) -> Exporter:
        create = options.pop("create_database", True)
        limits = options.pop("limits", OutboxLimits())
        client = InfluxClient(reactor, Server(url, options.pop("database", "t"), **options))
        clock = SimpleNamespace(seconds=lambda: reactor.seconds() + self.forward)
        metadata = MetadataExporter(client, master, clock=clock, monotonic=lambda: time.monotonic() + self.forward)
        exporter = Exporter(
            self.journal,
            name,
            client,
            writer or LineWriter(),
            reactor=reactor,
            metadata=metadata if master else None,
            create_database=create,
            limits=limits,
            random=lambda: 0.1,
        )
        self.exporters.append(exporter)
        exporter.start()
        return exporter

    @defer.inlineCallbacks
    def until(self, what: str, true: Callable[[], Any], patience: float = 20.0) -> Generator[Any, Any, None]:
        end = time.monotonic() + patience
        while True:
            answer = yield defer.maybeDeferred(true)
            if answer:
                return
            assert time.monotonic() < end, f"timeout: {what}; {[one.health() for one in self.exporters]}"
            yield task.deferLater(reactor, 0.02)

    def shipped(self, name: str = "sink") -> Any:
        """Wait until the outbox is empty."""

        @defer.inlineCallbacks
        def empty() -> Generator[Any, Any, bool]:
            return (yield self.journal.backlog(name)).count == 0

        for exporter in self.exporters:
            exporter.wake()
        return self.until("the outbox to be empty", empty)

    @defer.inlineCallbacks
    def close(self) -> Generator[Any, Any, None]:
        for exporter in self.exporters:
            yield exporter.stop()
        yield self.journal.close()
        yield task.deferLater(reactor, 0.02)


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


def landed(server: Influxd, series: str = "size", database: str = "t") -> list[dict[str, Any]]:
    """Return the points of a series, read by the influxdb client."""
    client = influxdb.InfluxDBClient("127.0.0.1", server.port, database=database, timeout=20, retries=1)
    try:
        found = client.query(f'SELECT * FROM "{series}"', epoch="ns")
        return list(found.get_points())
    finally:
        client.close()


@inlineCallbacks
def test_all_points_and_metadata_are_exported(bench: Bench, influxd: Influxd) -> Any:
    """The database is created; every point has its tags and fields, every series its metadata."""
    yield bench.journal.declare(SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER))
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
    assert declared == {"series": "size", **facts}


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
    expected = sorted({clean_series(point.series) for point in written} | {"bbmeasure_series"})
    assert sorted(influxd.measurements("t")) == expected
    for point in written:
        quoted = clean_series(point.series).replace("\\", "\\\\").replace('"', '\\"')
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
    requests.post(influxd.url + "/write", params={"db": "t"}, data=alien, timeout=20).raise_for_status()
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


def stored_metadata(server: Influxd, series: str = "size") -> Any:
    """Return the latest metadata of a series on the server."""
    found = server.rows(f"""SELECT * FROM bbmeasure_series WHERE "series" = '{series}'""", "t")
    return (found[-1]["kind"], found[-1]["unit"], found[-1]["better"]) if found else None


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


def fake_influxdb(version: int) -> Callable[[Request], Reply]:
    """Return answers of InfluxDB 2 or 3 as documented for ``/write`` and ``/query``.

    2: https://docs.influxdata.com/influxdb/v2/api-guide/influxdb-1x/ (token, required DBRP mapping, no CREATE
    DATABASE).  3: https://docs.influxdata.com/influxdb3/core/reference/client-libraries/v1/ (the first write
    creates the database, refused lines are listed).
    """

    def answer(request: Request) -> Reply:
        if request.headers.get("authorization") != f"Token {SECRET}":
            body = {"code": "unauthorized", "message": "unauthorized access"} if version == 2 else {"error": "no"}
            return Reply(401, body)
        if request.path == "/query":
            if b"CREATE" in request.body:
                return Reply(200, {"results": [{"statement_id": 0, "error": "not executed: CREATE DATABASE"}]})
            return Reply(200, {"results": [{"statement_id": 0}]})
        bad = [(at, line) for at, line in enumerate(request.lines, 1) if line.startswith("bad")]
        if not bad:
            return Reply(204)
        if version == 2:
            return Reply(400, {"code": "invalid", "message": f"unable to parse '{bad[0][1]}': missing fields"})
        data = [{"original_line": line, "line_number": at, "error_message": "invalid column type"} for at, line in bad]
        return Reply(400, {"error": "partial write of line protocol occurred", "data": data})

    return answer


@pytest.mark.parametrize("version", [2, 3])
@inlineCallbacks
def test_influxdb_2_and_3_as_documented(bench: Bench, version: int) -> Any:
    """Token, path prefix, refused lines and a missing CREATE DATABASE are handled."""
    yield bench.journal.write([*points(20), *points(1, "bad"), *points(20, start=20)])
    with Scripted(fake_influxdb(version)) as server:
        exporter = bench.ship(server.url, token=SECRET, retention_policy="autogen")
        yield bench.shipped()
        good = {line for request in server.requests if request.path == "/write" for line in request.lines}
        assert len([line for line in good if line.startswith("size,")]) == 40
        assert all(request.query == {"db": "t", "rp": "autogen"} for request in server.requests)
        (letter,) = yield bench.journal.dead_letters("sink")
        assert letter.point.series == "bad"
        assert ("invalid column type" if version == 3 else "missing fields") in letter.reason
        assert exporter.health().last_error is None


@inlineCallbacks
def test_opengemini_as_implemented(bench: Bench) -> Any:
    """A missing database is created, and the status 400 of a read-only server loses no point.

    https://github.com/openGemini/openGemini/blob/main/lib/util/lifted/influx/httpd/handler.go (``serveWrite``)
    """
    made: list[bytes] = []
    read_only: list[Request] = []

    def answer(request: Request) -> Reply:
        if request.headers.get("authorization") != f"Basic {base64.b64encode(f'u:{SECRET}'.encode()).decode()}":
            return Reply(401, {"error": "authorization failed"}, {"WWW-Authenticate": 'Basic realm="openGemini"'})
        if request.path == "/query":
            if b"CREATE" in request.body:
                made.append(request.body)
            return Reply(200, {"results": [{"statement_id": 0}]})
        if not made:
            return Reply(404, {"error": 'database not found: "t"'})
        read_only.append(request)
        if len(read_only) <= 3:
            return Reply(400, {"error": "readonly now and writing is not allowed"})
        if any(line.startswith("bad") for line in request.lines):
            return Reply(400, {"error": "partial write: field type conflict dropped=1"})
        return Reply(204)

    yield bench.journal.write([*points(1), *points(1, "bad"), *points(1, start=1)])
    with Scripted(answer) as server:
        exporter = bench.ship(server.url, username="u", password=SECRET)
        yield bench.shipped()
        assert made
        letters = yield bench.journal.dead_letters("sink")
        assert [(letter.point.series, "field type conflict" in letter.reason) for letter in letters] == [("bad", True)]
        assert exporter.health().counters["shipped"] == 2
        assert exporter.health().last_error is None


@inlineCallbacks
def test_a_server_without_readable_metadata(bench: Bench) -> Any:
    """VictoriaMetrics answers queries with a stub: metadata cannot be read, and all points are exported."""
    with VictoriaMetrics() as server:
        yield bench.journal.write(points(10))
        exporter = bench.ship(server.url)
        yield bench.shipped()
        assert exporter.health().last_error is None
        yield bench.until("the samples", lambda: server.samples("size_value"))


@inlineCallbacks
def test_victoriametrics_cluster(bench: Bench) -> Any:
    """Numbers and tags are stored at /insert/0/influx; with deduplication points that are sent twice count once."""
    prefix = "/insert/0/influx"
    now = time.time_ns() // 10**6 * 10**6
    written: Sequence[Point] = [
        Point("size", now + number * 10**6, float(number), {"k": "a b,c=d"}, BUILD) for number in range(50)
    ]
    with VictoriaMetrics(prefix, "-dedup.minScrapeInterval=1ms") as server:
        yield bench.journal.write([*written, Point("compiler", now, "gcc")])
        with losing_answers(f"http://127.0.0.1:{server.port}", lambda number: number == 1) as way:
            exporter = bench.ship(
                way.url + prefix, master="", writer=LineWriter(numbers_only=True), create_database=False
            )
            yield bench.shipped()
            yield bench.journal.reship("sink", now)
            yield bench.shipped()
            assert len([request for request in way.requests if request.path == prefix + "/write"]) == 3
        yield bench.until("the samples to be seen", lambda: server.samples("size_value"))
        ((labels, samples),) = server.samples("size_value")
        assert labels == {
            "__name__": "size_value",
            "db": "t",
            "builder": "first",
            "worker": "bot1",
            "k": "a b,c=d",
        }
        assert samples == [(point.time // 10**6, point.value) for point in written]
        assert server.samples("size_revision") == []
        assert server.samples("compiler_text") == []
        assert [value for _, value in server.samples("size_buildid")[0][1]] == [101] * 50
        assert exporter.health().counters["skipped"] == 2
        assert exporter.health().last_error is None
