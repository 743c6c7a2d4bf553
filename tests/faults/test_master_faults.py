"""Faults of the master's side: it is killed, its disk is full, its password is wrong; nothing committed is lost."""

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
    """A configuration whose password comes from a file."""
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
        wait_until_landed(running, influxd)
        yield running


def configure(site: Site, text: str) -> None:
    site.write_config(CONFIG.replace("WAITS = True", "WAITS = False") + text)
    site.reconfig()


def test_a_full_disk_under_the_journal(site: Site, influxd: Influxd, disk: SmallDisk) -> None:
    """While the disk is full builds go on and their points wait in memory; with room again all of them arrive."""
    before = bursts(committed(site.journal))
    disk.fill()
    with Watch(site):
        build(site, 3)
        assert disk.is_full()
    assert bursts(committed(site.journal)) < before + 3 * POINTS
    disk.free()
    wait_for("the points", lambda: bursts(committed(site.journal)) == before + 3 * POINTS)
    wait_until_landed(site, influxd)


def test_a_wrong_password_that_a_reconfig_corrects(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """Good, bad, good: 401 shows in health, points wait, and go out when the password is right again."""
    configure(site, services(gateway, "bad"))
    with Watch(site):
        build(site, 2)
        wait_for("401", lambda: "401" in (health(site).get("last_error") or ""))
    configure(site, services(gateway))
    wait_until_landed(site, influxd)
    wait_for("no trouble", lambda: health(site)["last_error"] is None)


def test_a_configuration_that_cannot_be_read_changes_nothing(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """A mistake in master.cfg leaves the instance as it was, also when the same good text comes back."""
    configure(site, services(gateway) + "raise ValueError('mistake')\n")
    build(site)
    wait_until_landed(site, influxd)
    configure(site, services(gateway))
    build(site)
    wait_until_landed(site, influxd)


def test_a_master_that_is_killed_with_a_backlog(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """kill -9 in the middle of a build, with a backlog: what was committed arrives after the restart, once."""
    gateway.set("silent")
    build(site, 2)
    before = bursts(committed(site.journal))
    assert bursts(landed(influxd)) < before

    building = threading.Thread(target=_build_until_it_fails, args=(site,))
    building.start()
    time.sleep(0.5)
    assert site.master is not None
    site.master.kill()
    building.join()
    gateway.set("good")
    site.start_master()
    assert bursts(wait_until_landed(site, influxd)) >= before


def ask(site: Site, path: str) -> Any:
    return requests.get(f"{site.url}plugins/bbmeasure/api/v1/{path}", timeout=20).json()


def test_the_server_answers_what_the_journal_answers(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """Statistics by ``source=`` are those of the journal; with ``answers=True`` the server is asked first."""
    # a build that the killed master was at is made again
    wait_for("quiet", lambda: not site.get("buildrequests?complete=false")["buildrequests"])
    wait_until_landed(site, influxd)
    names = "average,deviation,minimum,maximum,median,p95,count,sum,first,last"
    path = f"statistics?series=burst&tag.k=1&statistics={names}"
    ours, theirs = ask(site, path), ask(site, path + "&source=InfluxDBInstance")
    assert theirs["statistics"] == pytest.approx(ours["statistics"])
    assert theirs["unit"] == ours["unit"]
    assert ask(site, "series?")["series"]
    configure(site, services(gateway, answers=True))
    assert ask(site, path)["statistics"] == pytest.approx(ours["statistics"])
    buckets = ask(site, "points?series=burst&buckets=10")["buckets"]
    assert sum(bucket["count"] for bucket in buckets) == bursts(committed(site.journal))
    gateway.set("refused")
    assert "message" in ask(site, path)
    gateway.set("good")
    configure(site, services(gateway))


def test_two_instances_each_get_everything(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """VictoriaMetrics beside InfluxDB: each has a backlog of its own, and one that is away does not hold the other."""
    with VictoriaMetrics("/insert/0/influx", "-dedup.minScrapeInterval=1ms") as other:
        second = f'c["services"].append(util.VictoriaMetricsInstance(url={other.url!r}))\n'
        configure(site, services(gateway) + second)
        gateway.set("refused")
        build(site)
        wait_for("the samples", lambda: other.samples("build_duration_value") and other.samples("burst_value"))
        # it keeps milliseconds, and of each the last value
        kept = {value for _, samples in other.samples("burst_value") for _, value in samples}
        assert kept < set(committed(site.journal).values())
        assert health(site, "VictoriaMetricsInstance")["backlog"] == 0
        gateway.set("good")
        wait_until_landed(site, influxd)
        configure(site, services(gateway))


def test_a_journal_that_comes_and_goes(site: Site, influxd: Influxd, gateway: Gateway) -> None:
    """A store with a path of its own, and without it again, while builds go on: what either file got is shipped."""
    own = site.master_dir / "own.sqlite"
    before = bursts(landed(influxd))

    def is_whole() -> bool:
        return landed(influxd) == {**committed(own), **committed(site.journal)}

    for store, journal in (('c["services"].append(util.SQLiteInstance(path="own.sqlite"))\n', own), ("", None)):
        building = threading.Thread(target=build, args=(site, 3))
        building.start()
        configure(site, services(gateway) + store)
        building.join()
        build(site)
        wait_for("the points", is_whole)
        assert health(site)["last_error"] is None
        assert recorded_journal(site.master_dir) == journal
    assert bursts(landed(influxd)) == before + 8 * POINTS


def test_no_secret_is_anywhere(site: Site) -> None:
    """Neither password is in the master's log, in the API's answers, or in the files that the master has written."""
    shown = [(site.folder / "master.log").read_text(errors="replace"), json.dumps(ask(site, "health"))]
    shown += [requests.get(site.url + path, timeout=20).text for path in ("", "api/v2/masters", "api/v2/builders")]
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
def test_a_master_that_is_killed_again_and_again(tmp_path: Path, influxd: Influxd, gateway: Gateway) -> None:
    """Ten kills of the master in the middle of builds: the server ends with what the journal has."""
    influxd.query("CREATE DATABASE killed")
    options = {"database": "killed", "username": "admin", "password": "secret"}
    with stage(tmp_path, gateway, **options) as running:
        for _ in range(10):
            building = threading.Thread(target=_build_until_it_fails, args=(running,))
            building.start()
            time.sleep(2.0)
            assert running.master is not None
            running.master.kill()
            building.join()
            running.start_master()
        wait_until_landed(running, influxd, "killed")


def _build_until_it_fails(site: Site) -> None:
    with pytest.raises((MeasureError, OSError)):
        _build_for_ever(site)


def _build_for_ever(site: Site) -> None:
    while True:
        build(site)
