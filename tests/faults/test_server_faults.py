"""Faults of the server, with a real master and a real influxd: no committed point is lost and none doubled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from bbmeasure.testing.site import Site
from tests.faults.stage import (
    CONFIG,
    POINTS,
    Watch,
    build,
    bursts,
    committed,
    health,
    influx,
    landed,
    stage,
    wait_for,
    wait_until_landed,
)
from tests.hostile import Gateway
from tests.servers import Influxd

#: Seconds until a request is given up: a build or a stop that waited for a silent server would not end in its test.
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
    with stage(tmp_path_factory.mktemp("faults"), gateway, timeout=TIMEOUT) as running:
        build(running)
        wait_until_landed(running, influxd)
        yield running


@pytest.mark.parametrize(
    ("mode", "trouble"),
    [
        ("refused", "no answer"),
        ("silent", None),
        ("dripping", None),
        ("failing", "500 server failed"),
        ("losing", None),
    ],
)
def test_a_bad_server(site: Site, gateway: Gateway, influxd: Influxd, mode: str, trouble: str) -> None:
    """Builds do not wait for the server, the thread pool answers, and every point arrives once the server is well."""
    before = bursts(committed(site.journal))
    gateway.set(mode)
    with Watch(site):
        build(site, 3)
        if trouble is not None:
            wait_for(trouble, lambda: trouble in (health(site).get("last_error") or ""))
    gateway.set("good")
    assert bursts(wait_until_landed(site, influxd)) == before + 3 * POINTS
    wait_for("no trouble", lambda: health(site)["last_error"] is None and health(site)["backlog"] == 0)


def kill_while_writing(site: Site, influxd: Influxd, kills: int, builds: int) -> None:
    """Kill the server again and again while builds capture."""
    with Watch(site):
        building = threading.Thread(target=build, args=(site, builds))
        building.start()
        for _ in range(kills):
            time.sleep(0.25)
            influxd.kill()
            influxd.start()
        building.join()
    wait_until_landed(site, influxd)


def test_a_server_that_is_killed_while_it_is_written_to(site: Site, influxd: Influxd) -> None:
    """kill -9 of influxd, again and again: what it had acknowledged it has, and the rest is sent again."""
    kill_while_writing(site, influxd, kills=4, builds=3)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_server_that_is_killed_twenty_times(site: Site, influxd: Influxd) -> None:
    """The same twenty times over sixty builds."""
    kill_while_writing(site, influxd, kills=20, builds=60)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", ["refused", "silent", "dripping", "failing", "losing"])
def test_a_bad_server_for_a_minute(site: Site, gateway: Gateway, influxd: Influxd, mode: str) -> None:
    """The same faults for a minute each, with builds all the time."""
    gateway.set(mode)
    end = time.monotonic() + 60
    with Watch(site):
        while time.monotonic() < end:
            build(site)
    gateway.set("good")
    wait_until_landed(site, influxd)


def ship_from(site: Site, since: str) -> int:
    """``bbmeasure ship --from``; how many points are queued again."""
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
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return int(json.loads(done.stdout)["queued"])


def test_a_database_that_is_dropped_underneath(site: Site, influxd: Influxd) -> None:
    """New points land in a database made anew; what it had is sent again by one command, and is there once."""
    before = bursts(committed(site.journal))
    influxd.query("DROP DATABASE t")
    build(site)
    wait_for("the database", lambda: "t" in influxd.databases() and bursts(landed(influxd)) == POINTS)
    assert health(site)["counters"]["database_created"] == 1
    assert ship_from(site, "7d") >= before + POINTS
    assert bursts(wait_until_landed(site, influxd)) == before + POINTS


def test_a_clock_that_is_set_back(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """An hour back, in the middle of a backlog: timers go by the time of day, and yet all points arrive, once."""
    # a request in flight when the clock is set back ends by its own deadline only: here the default one
    site.write_config(CONFIG + influx(gateway.url))
    site.reconfig()
    gateway.set("refused")
    build(site)
    wait_for("trouble", lambda: health(site).get("last_error"))
    assert site.build("step_clock")["results"] == 0
    build(site, 2)
    gateway.set("good")
    held = wait_until_landed(site, influxd)
    times = sorted(time_ for (series, _, time_) in held if series == "burst")
    assert times[-1] - times[0] > 3_500 * 10**9
    site.write_config(CONFIG + influx(gateway.url, timeout=TIMEOUT))
    site.reconfig()


def test_the_master_stops_although_the_server_hangs(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """With a backlog and a server that never answers, the master stops long before the request's deadline."""
    gateway.set("silent")
    build(site)
    wait_for("the backlog", lambda: gateway.connections)
    assert site.master is not None
    os.kill(site.master.popen.pid, signal.SIGTERM)
    assert site.master.popen.wait(100) == 0
    gateway.set("good")
    site.start_master()
    wait_until_landed(site, influxd)


def test_another_url_gets_the_backlog(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """A reconfig to another server, in the middle of a backlog: what waited goes there, under the same name."""
    gateway.set("refused")
    build(site, 2)
    with Influxd() as other:
        site.write_config(CONFIG + influx(other.url, timeout=TIMEOUT))
        site.reconfig()
        build(site)
        wait_for("the backlog", lambda: "t" in other.databases() and bursts(landed(other)) == 3 * POINTS)
        gateway.set("good")
        site.write_config(CONFIG + influx(gateway.url, timeout=TIMEOUT))
        site.reconfig()
        ship_from(site, "7d")
        wait_until_landed(site, influxd)
