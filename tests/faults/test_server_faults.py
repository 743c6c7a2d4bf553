"""Faults of the server, with a real master and influxd: no committed point is lost or shipped twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Optional

import pytest

from bbmeasure.testing.site import Site
from tests.faults.masters import (
    CONFIG,
    POINTS,
    ThreadPoolCheck,
    build,
    bursts,
    committed,
    health,
    influx,
    shipped,
    shipping_site,
    wait_for,
    wait_until_shipped,
)
from tests.hostile import Gateway
from tests.servers import Influxd

#: Timeout of a request, in seconds: a build or a stop that waits for a silent server exceeds the limit of its test.
TIMEOUT = 600.0


@pytest.fixture(scope="module")
def influxd() -> Iterator[Influxd]:
    with Influxd() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(influxd: Influxd) -> Iterator[Gateway]:
    with Gateway(influxd.port) as way:
        yield way


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, gateway: Gateway, influxd: Influxd) -> Iterator[Site]:
    with shipping_site(tmp_path_factory.mktemp("faults"), gateway, timeout=TIMEOUT) as running:
        build(running)
        wait_until_shipped(running, influxd)
        yield running


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("refused", "no answer"),
        ("silent", None),
        ("dripping", None),
        ("failing", "500 server failed"),
        ("losing", None),
    ],
)
def test_a_bad_server(site: Site, gateway: Gateway, influxd: Influxd, mode: str, error: Optional[str]) -> None:
    """Builds and the thread pool do not wait for a faulty server; later it receives every point once."""
    before = bursts(committed(site.journal))
    gateway.set(mode)
    with ThreadPoolCheck(site):
        build(site, 3)
        if error is not None:
            wait_for(error, lambda: error in (health(site).get("last_error") or ""))
    gateway.set("good")
    assert bursts(wait_until_shipped(site, influxd)) == before + 3 * POINTS
    wait_for("no error", lambda: health(site)["last_error"] is None and health(site)["backlog"] == 0)


def kill_while_writing(site: Site, influxd: Influxd, kills: int, builds: int) -> None:
    """Kill the server several times while builds capture."""
    with ThreadPoolCheck(site):
        building = threading.Thread(target=build, args=(site, builds))
        building.start()
        for _ in range(kills):
            time.sleep(0.25)
            influxd.kill()
            influxd.start()
        building.join()
    wait_until_shipped(site, influxd)


def test_a_server_killed_while_points_are_written(site: Site, influxd: Influxd) -> None:
    """After each kill -9 of influxd unacknowledged points are sent again."""
    kill_while_writing(site, influxd, kills=4, builds=3)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_server_killed_twenty_times(site: Site, influxd: Influxd) -> None:
    """The same twenty times over sixty builds."""
    kill_while_writing(site, influxd, kills=20, builds=60)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", ["refused", "silent", "dripping", "failing", "losing"])
def test_a_bad_server_for_a_minute(site: Site, gateway: Gateway, influxd: Influxd, mode: str) -> None:
    """The same faults for a minute each, with builds all the time."""
    gateway.set(mode)
    end = time.monotonic() + 60
    with ThreadPoolCheck(site):
        while time.monotonic() < end:
            build(site)
    gateway.set("good")
    wait_until_shipped(site, influxd)


def ship_from(site: Site, since: str) -> int:
    """Run ``bbmeasure ship --from``; returns the number of points queued again."""
    command = [
        sys.executable,
        "-m",
        "bbmeasure",
        "ship",
        "--master",
        str(site.master_dir),
        "--from",
        since,
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    return int(json.loads(done.stdout)["queued"])


def test_a_dropped_database(site: Site, influxd: Influxd) -> None:
    """The database is created again for new points; ``ship --from`` sends the former points again, stored once."""
    before = bursts(committed(site.journal))
    influxd.query("DROP DATABASE t")
    build(site)
    wait_for("the database", lambda: "t" in influxd.databases() and bursts(shipped(influxd)) == POINTS)
    assert health(site)["counters"]["database_created"] == 1
    assert ship_from(site, "7d") >= before + POINTS
    assert bursts(wait_until_shipped(site, influxd)) == before + POINTS


def test_a_clock_set_back(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """After the reactor's clock is set back by an hour during a backlog, every point is shipped once."""
    # the default timeout: a request in flight when the clock is set back ends at its timeout only
    site.write_config(CONFIG + influx(gateway.url))
    site.reconfig()
    gateway.set("refused")
    build(site)
    wait_for("an error", lambda: health(site).get("last_error"))
    assert site.build("step_clock")["results"] == 0
    build(site, 2)
    gateway.set("good")
    points = wait_until_shipped(site, influxd)
    times = sorted(time_ for (series, _, time_) in points if series == "burst")
    assert times[-1] - times[0] > 3_500 * 10**9
    site.write_config(CONFIG + influx(gateway.url, timeout=TIMEOUT))
    site.reconfig()


def test_the_master_stops_while_the_server_hangs(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """With a backlog and a server that never answers, the master stops before the timeout of the request."""
    gateway.set("silent")
    build(site)
    wait_for("the backlog", lambda: gateway.connections)
    assert site.master is not None
    os.kill(site.master.popen.pid, signal.SIGTERM)
    assert site.master.popen.wait(300) == 0
    gateway.set("good")
    site.start_master()
    wait_until_shipped(site, influxd)


def health_of_the_journal(site: Site) -> Optional[str]:
    """The exporter's error as ``bbmeasure health --master`` reads it from the journal."""
    command = [sys.executable, "-m", "bbmeasure", "health", "--master", str(site.master_dir), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    (sink,) = json.loads(done.stdout)["sinks"]
    error: Optional[str] = sink["last_error"]
    return error


def test_health_shows_the_error_while_the_master_is_down(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """The last error of the server is read from the journal, until the export goes on."""
    gateway.set("refused")
    build(site)
    wait_for("an error", lambda: "no answer" in (health(site).get("last_error") or ""))
    wait_for("the error in the journal", lambda: "no answer" in (health_of_the_journal(site) or ""))
    assert site.master is not None
    os.kill(site.master.popen.pid, signal.SIGTERM)
    assert site.master.popen.wait(300) == 0
    assert "no answer" in (health_of_the_journal(site) or "")
    gateway.set("good")
    site.start_master()
    wait_until_shipped(site, influxd)
    wait_for("the end of the error", lambda: health_of_the_journal(site) is None)


def test_a_new_url_receives_the_backlog(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """After a reconfig to another server under the same name, it receives the backlog."""
    gateway.set("refused")
    build(site, 2)
    with Influxd() as other:
        site.write_config(CONFIG + influx(other.url, timeout=TIMEOUT))
        site.reconfig()
        build(site)
        wait_for("the backlog", lambda: "t" in other.databases() and bursts(shipped(other)) == 3 * POINTS)
        gateway.set("good")
        site.write_config(CONFIG + influx(gateway.url, timeout=TIMEOUT))
        site.reconfig()
        ship_from(site, "7d")
        wait_until_shipped(site, influxd)
