"""Servers that lose answers, drip, refuse a line or are something else, under a real 0.8.14 master."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.eight.site import EightSite
from tests.eight.test_faults import accepted, backlog, capture_some, config_of, stored
from tests.hostile import Dripping, Raw, Reply, Scripted, forward, losing_answers
from tests.servers import Influxd, wait_until


def test_lost_answers_double_nothing(tmp_path):
    """The server stores a batch whose answer is lost; the batch is sent again and stored once."""
    with Influxd() as influxd, losing_answers(influxd.url) as proxy:
        site = EightSite(tmp_path, config_of(tmp_path, proxy.url))
        with site:
            site.change()
            capture_some(site, tmp_path, 500)
            (tmp_path / "stop").touch()
            site.wait_for_build("capture", 0)
            wait_until("an empty spool", lambda: backlog(site) == 0, 120)
            assert sorted(stored(influxd)) == sorted(accepted(tmp_path))


def test_a_dripping_server_is_given_up(tmp_path):
    """A byte each 0.2 seconds does not extend the deadline, and no build waits."""
    (tmp_path / "stop").touch()
    with Dripping(0.2) as server:
        config = config_of(tmp_path, f"http://127.0.0.1:{server.port}", timeout=1)
        with EightSite(tmp_path, config) as site:
            for number in (0, 1):
                site.change()
                site.wait_for_build("quick", number)
            wait_until("the timeout", lambda: "no answer within 1 s" in site.log, 60)
            wait_until("all values on disk", lambda: backlog(site) == 6, 60)


def test_a_login_page_is_no_influxdb(tmp_path):
    """Only 204 counts as stored."""
    (tmp_path / "stop").touch()
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>"
    with Raw(page) as server, EightSite(tmp_path, config_of(tmp_path, f"http://127.0.0.1:{server.port}")) as site:
        site.change()
        site.wait_for_build("quick", 0)
        wait_until("the error", lambda: "InfluxDB: HTTP 200" in site.log, 60)
        wait_until("all values on disk", lambda: backlog(site) == 3, 60)


def test_one_refused_line_does_not_keep_the_others(tmp_path):
    """A line that the server refuses is kept aside with the reason; the rest of its batch is stored."""
    with Influxd() as influxd:

        def answer(request):
            if request.path == "/write" and any(" value=7.0," in line for line in request.lines):
                return Reply(400, {"error": "a refused line"})
            return forward(influxd.url, request)

        with Scripted(answer) as proxy, EightSite(tmp_path, config_of(tmp_path, proxy.url)) as site:
            site.change()
            capture_some(site, tmp_path, 200)
            (tmp_path / "stop").touch()
            site.wait_for_build("capture", 0)
            wait_until("an empty spool", lambda: backlog(site) == 0, 120)
            assert sorted(stored(influxd)) == sorted(set(accepted(tmp_path)) - {7})
            path = site.master_dir / "bbmeasure-InfluxDBInstance.sqlite"
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
                ((line, why),) = connection.execute("SELECT line, why FROM refused").fetchall()
            assert " value=7.0," in line
            assert "a refused line" in why
