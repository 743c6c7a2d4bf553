"""Tests of the export to InfluxDB 2 and 3, openGemini and VictoriaMetrics."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bbmeasure.model import Point
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from tests.hostile import Reply, Request, Scripted, losing_answers
from tests.servers import VictoriaMetrics
from tests.unit.export.journal_bench import BUILD, SECRET, Bench, inlineCallbacks, points


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
