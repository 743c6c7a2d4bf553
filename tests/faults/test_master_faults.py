"""Faults of the master: killed, full disk, wrong password, changed journal; no committed point is lost."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from bbmeasure.errors import MeasureError
from bbmeasure.storage.sqlite.location import recorded_journal
from bbmeasure.testing.site import Site
from tests.faults.disks import SmallDisk, small_disk
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
from tests.servers import Influxd, VictoriaMetrics

SECRET = "s3cr3t-w0rd"
WRONG = "wr0ng-w0rd"


@pytest.fixture(scope="module")
def influxd() -> Iterator[Influxd]:
    with Influxd(auth=True) as server:
        server.query("CREATE DATABASE t")
        server.query(f"CREATE USER writer WITH PASSWORD '{SECRET}'")
        server.query("GRANT ALL ON t TO writer")
        yield server


@pytest.fixture(scope="module")
def gateway(influxd: Influxd) -> Iterator[Gateway]:
    with Gateway(influxd.port) as way:
        yield way


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    with small_disk(tmp_path_factory.mktemp("disks") / "small") as made:
        yield made


def services(gateway: Gateway, secret: str = "good", **more: Any) -> str:
    """A configuration whose password is in a file."""
    line = influx(gateway.url, username="writer", password="PASSWORD", **more)
    return 'c["secretsProviders"] = [secrets.SecretInAFile("secrets")]\n' + line.replace(
        "'PASSWORD'", f'util.Secret("{secret}")'
    )


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, gateway: Gateway, influxd: Influxd, disk: SmallDisk
) -> Iterator[Site]:
    """A master whose journal is on a small disk, and whose builds do not wait for it."""
    made = Site(tmp_path_factory.mktemp("faults"), CONFIG, workers=())
    folder = made.master_dir / "secrets"
    folder.mkdir()
    for name, secret in (("good", SECRET), ("bad", WRONG)):
        (folder / name).write_text(secret)
        os.chmod(folder / name, 0o600)
    made.write_config(CONFIG.replace("WAITS = True", "WAITS = False") + services(gateway))
    made.journal.symlink_to(disk.folder / "journal.sqlite")
    with made as running:
        build(running)
        wait_until_shipped(running, influxd)
        yield running


def configure(site: Site, text: str) -> None:
    site.write_config(CONFIG.replace("WAITS = True", "WAITS = False") + text)
    site.reconfig()


def test_a_full_disk_under_the_journal(site: Site, influxd: Influxd, disk: SmallDisk) -> None:
    """While the disk is full builds succeed and their points are pending; with free space all are shipped."""
    before = bursts(committed(site.journal))
    disk.fill()
    with ThreadPoolCheck(site):
        build(site, 3)
        assert disk.is_full()
    assert bursts(committed(site.journal)) < before + 3 * POINTS
    disk.free()
    wait_for("the points", lambda: bursts(committed(site.journal)) == before + 3 * POINTS)
    wait_until_shipped(site, influxd)


def test_a_wrong_password_corrected_by_a_reconfig(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """With a wrong password health has the 401 and points are pending; they are shipped with the right one."""
    configure(site, services(gateway, "bad"))
    with ThreadPoolCheck(site):
        build(site, 2)
        wait_for("401", lambda: "401" in (health(site).get("last_error") or ""))
    configure(site, services(gateway))
    wait_until_shipped(site, influxd)
    wait_for("no error", lambda: health(site)["last_error"] is None)


def test_an_invalid_configuration_changes_nothing(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """An error in master.cfg does not change the running instance, nor does the former configuration after it."""
    configure(site, services(gateway) + "raise ValueError('invalid')\n")
    build(site)
    wait_until_shipped(site, influxd)
    configure(site, services(gateway))
    build(site)
    wait_until_shipped(site, influxd)


def test_a_killed_master_with_a_backlog(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """After kill -9 during a build and a restart, committed points are shipped once."""
    gateway.set("silent")
    build(site, 2)
    before = bursts(committed(site.journal))
    assert bursts(shipped(influxd)) < before

    building = threading.Thread(target=_build_until_it_fails, args=(site,))
    building.start()
    time.sleep(0.5)
    assert site.master is not None
    site.master.kill()
    building.join()
    gateway.set("good")
    site.start_master()
    assert bursts(wait_until_shipped(site, influxd)) >= before


def get(site: Site, path: str) -> Any:
    return requests.get(f"{site.url}plugins/bbmeasure/api/v1/{path}", timeout=60).json()


def test_the_server_returns_the_same_statistics_as_the_journal(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """Statistics with ``source=`` equal those of the journal; with ``answers=True`` they come from the server."""
    # Buildbot runs the build of the killed master again
    wait_for("the build requests", lambda: not site.get("buildrequests?complete=false")["buildrequests"])
    wait_until_shipped(site, influxd)
    names = "average,deviation,minimum,maximum,median,p95,count,sum,first,last"
    path = f"statistics?series=burst&tag.k=1&statistics={names}"
    ours, theirs = get(site, path), get(site, path + "&source=InfluxDBInstance")
    assert theirs["statistics"] == pytest.approx(ours["statistics"])
    assert theirs["unit"] == ours["unit"]
    assert get(site, "series?")["series"]
    configure(site, services(gateway, answers=True))
    assert get(site, path)["statistics"] == pytest.approx(ours["statistics"])
    buckets = get(site, "points?series=burst&buckets=10")["buckets"]
    assert sum(bucket["count"] for bucket in buckets) == bursts(committed(site.journal))
    gateway.set("refused")
    assert "message" in get(site, path)
    gateway.set("good")
    configure(site, services(gateway))


def test_two_exporters_ship_everything(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """VictoriaMetrics receives all points while InfluxDB is unavailable: each exporter has its own backlog."""
    with VictoriaMetrics("/insert/0/influx", "-dedup.minScrapeInterval=1ms") as other:
        second = f'c["services"].append(util.VictoriaMetricsInstance(url={other.url!r}))\n'
        configure(site, services(gateway) + second)
        gateway.set("refused")
        build(site)
        wait_for("the samples", lambda: other.samples("build_duration_value") and other.samples("burst_value"))
        # VictoriaMetrics stores milliseconds, and of each the last value
        stored = {value for _, samples in other.samples("burst_value") for _, value in samples}
        assert stored < set(committed(site.journal).values())
        assert health(site, "VictoriaMetricsInstance")["backlog"] == 0
        gateway.set("good")
        wait_until_shipped(site, influxd)
        configure(site, services(gateway))


def test_a_journal_that_is_configured_and_removed(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """Points of builds during a change of the journal's path, and back, are shipped from either file."""
    own = site.master_dir / "own.sqlite"
    before = bursts(shipped(influxd))

    def is_complete() -> bool:
        return shipped(influxd) == {**committed(own), **committed(site.journal)}

    for store, journal in (('c["services"].append(util.SQLiteInstance(path="own.sqlite"))\n', own), ("", None)):
        building = threading.Thread(target=build, args=(site, 3))
        building.start()
        configure(site, services(gateway) + store)
        building.join()
        build(site)
        wait_for("the points", is_complete)
        assert health(site)["last_error"] is None
        assert recorded_journal(site.master_dir) == journal
    assert bursts(shipped(influxd)) == before + 8 * POINTS


def test_no_secret_is_shown_or_stored(site: Site) -> None:
    """Neither password is in the master's log, in the API's responses, or in files that the master wrote."""
    shown = [(site.folder / "master.log").read_text(errors="replace"), json.dumps(get(site, "health"))]
    shown += [requests.get(site.url + path, timeout=60).text for path in ("", "api/v2/masters", "api/v2/builders")]
    for text in shown:
        assert SECRET not in text
        assert WRONG not in text
    for path in Path(site.master_dir).rglob("*"):
        if path.is_file() and path.parent.name != "secrets":
            content = path.read_bytes()
            assert SECRET.encode() not in content, path
            assert WRONG.encode() not in content, path


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_master_killed_ten_times(tmp_path: Path, influxd: Influxd, gateway: Gateway) -> None:
    """After ten kills of the master during builds the server has the points of the journal."""
    influxd.query("CREATE DATABASE killed")
    options = {"database": "killed", "username": "admin", "password": "secret"}
    with shipping_site(tmp_path, gateway, **options) as running:
        for _ in range(10):
            building = threading.Thread(target=_build_until_it_fails, args=(running,))
            building.start()
            time.sleep(2.0)
            assert running.master is not None
            running.master.kill()
            building.join()
            running.start_master()
        wait_until_shipped(running, influxd, "killed")


def _build_until_it_fails(site: Site) -> None:
    with pytest.raises((MeasureError, OSError)):
        _build_forever(site)


def _build_forever(site: Site) -> None:
    while True:
        build(site)
