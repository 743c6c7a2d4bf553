"""Servers, masters and disks that fail under a real 0.8.14 master: nothing accepted is lost or stored twice."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bbmeasure.testing.site import free_port
from tests.eight.site import EightSite
from tests.servers import Influxd, wait_until

#: The step captures numbers without a pause until a file ``stop`` exists, and notes each number that is on disk.
CONFIG = """
import os
from twisted.internet import reactor
from buildbot.process.buildstep import BuildStep

class Capture(BuildStep):
    name = 'capture'

    def start(self):
        self.number, self.file = 0, os.open(os.path.join(FOLDER, 'accepted'), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.more()

    def more(self):
        if os.path.exists(os.path.join(FOLDER, 'stop')):
            return self.finished(0)
        for _ in range(20):
            captured = captureData('many', self.number, build=self, tags={'last': str(self.number % 10)})
            captured.addCallback(self.note, self.number)
            self.number += 1
        reactor.callLater(0.005, self.more)

    def note(self, _, number):
        os.write(self.file, '%d\\n' % number)

add(MeasuredBuilderConfig(name='capture', slavenames=['bot'], factory=factory(Capture())))
add(MeasuredBuilderConfig(name='quick', slavenames=['bot'], factory=factory(
    MeasureShellCommand(name='size', command=['echo', '5']))))
c['status'].append(InfluxDBInstance(url='URL', database='bb', OPTIONS))
"""


def config_of(folder: Path, url: str, **options: object) -> str:
    given = ", ".join(f"{name}={value!r}" for name, value in {"trackBuildTimes": True, **options}.items())
    return f"FOLDER = {str(folder)!r}\n" + CONFIG.replace("URL", url).replace("OPTIONS", given)


def accepted(folder: Path) -> list[int]:
    file = folder / "accepted"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def stored(influxd: Influxd, series: str = "many") -> list[float]:
    if "bb" not in influxd.databases() or series not in influxd.measurements("bb"):
        return []
    return [row["value"] for row in influxd.rows(f'SELECT value FROM "{series}"', "bb")]


def backlog(site: EightSite) -> int:
    path = site.master_dir / "bbmeasure-InfluxDBInstance.sqlite"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        return int(connection.execute("SELECT count(*) FROM points").fetchone()[0])


def check_nothing_lost_or_doubled(folder: Path, influxd: Influxd) -> None:
    """All accepted numbers are stored; no number is stored more often than captured."""
    found = stored(influxd)
    assert set(accepted(folder)) <= {int(value) for value in found}
    assert len(found) == len(set(found))


@pytest.fixture
def influxd():
    with Influxd() as server:
        yield server


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def capture_some(site: EightSite, folder: Path, count: int) -> None:
    wait_until("captured numbers", lambda: len(accepted(folder)) >= count, 120)


def test_a_master_that_is_killed_loses_nothing_accepted(folder, influxd):
    """kill -9 of the master while it captures and sends; the next start sends the rest."""
    with EightSite(folder, config_of(folder, influxd.url)) as site:
        site.change()
        capture_some(site, folder, 1000)
        site.kill_master()
        noted = len(accepted(folder))
        (folder / "stop").touch()
        site.start_master()
        wait_until("an empty spool", lambda: backlog(site) == 0, 120)
        assert noted >= 1000
        check_nothing_lost_or_doubled(folder, influxd)


def test_an_influxdb_that_is_killed_receives_everything_once(folder, influxd):
    """kill -9 of the server during writes, and a start some builds later."""
    with EightSite(folder, config_of(folder, influxd.url)) as site:
        site.change()
        capture_some(site, folder, 500)
        wait_until("the first numbers", lambda: stored(influxd), 60)
        influxd.kill()
        capture_some(site, folder, len(accepted(folder)) + 500)
        (folder / "stop").touch()
        site.wait_for_build("capture", 0)
        influxd.start()
        wait_until("an empty spool", lambda: backlog(site) == 0, 120)
        check_nothing_lost_or_doubled(folder, influxd)
        assert len(stored(influxd)) == len(accepted(folder))


def test_an_influxdb_that_hangs_blocks_nothing(folder, influxd):
    """The request has hours, and yet builds run, the master stops, and the next one sends everything."""
    with EightSite(folder, config_of(folder, influxd.url, timeout=7200)) as site:
        site.change()
        capture_some(site, folder, 100)
        wait_until("the first numbers", lambda: stored(influxd), 60)
        influxd.signal(signal.SIGSTOP)
        (folder / "stop").touch()
        site.wait_for_build("capture", 0)
        for number in (1, 2):
            site.change()
            site.wait_for_build("quick", number)
        wait_until("a backlog", lambda: backlog(site) > 0, 60)
        site.stop_master()
        assert "Main loop terminated" in site.log
        assert backlog(site) > 0
        influxd.signal(signal.SIGCONT)
        site.start_master()
        wait_until("an empty spool", lambda: backlog(site) == 0, 120)
        check_nothing_lost_or_doubled(folder, influxd)
        assert len(stored(influxd, "size")) == 3


def test_an_influxdb_that_hangs_costs_one_timeout_each_try(folder, influxd):
    """A hanging server is given up after the timeout, and everything arrives when it goes on."""
    (folder / "stop").touch()
    with EightSite(folder, config_of(folder, influxd.url, timeout=1)) as site:
        influxd.signal(signal.SIGSTOP)
        site.change()
        site.wait_for_build("quick", 0)
        wait_until("the timeout", lambda: "no answer within 1 s" in site.log, 60)
        influxd.signal(signal.SIGCONT)
        wait_until("the value", lambda: stored(influxd, "size") == [5], 120)


def test_an_influxdb_that_comes_later_receives_everything(folder):
    """A server that is away when the master starts."""
    (folder / "stop").touch()
    with Influxd() as influxd:
        url = influxd.url
        influxd.kill()
        with EightSite(folder, config_of(folder, url)) as site:
            site.change()
            site.wait_for_build("quick", 0)
            wait_until("the values on disk", lambda: backlog(site) == 3, 60)
            influxd.start()
            wait_until("an empty spool", lambda: backlog(site) == 0, 120)
            assert stored(influxd, "size") == [5]
            assert len(stored(influxd, "build_duration")) == 2


def test_a_database_that_is_dropped_is_made_again(folder, influxd):
    (folder / "stop").touch()
    with EightSite(folder, config_of(folder, influxd.url)) as site:
        for number in (0, 1):
            site.change()
            site.wait_for_build("quick", number)
            wait_until("the value", lambda: stored(influxd, "size") == [5], 60)
            influxd.query("DROP DATABASE bb")


def test_a_full_spool_refuses_new_points_and_keeps_the_old(folder):
    """Without a server the file stays within its limit, and builds succeed."""
    url = f"http://127.0.0.1:{free_port()}"
    with EightSite(folder, config_of(folder, url, maxSpoolBytes=100_000)) as site:
        site.change()
        wait_until("refused points", lambda: "points are dropped: the spool is full" in site.log, 120)
        before = backlog(site)
        capture_some(site, folder, len(accepted(folder)) + 2000)
        (folder / "stop").touch()
        site.wait_for_build("capture", 0)
        assert 0 < backlog(site) <= before + 10
        size = sum(path.stat().st_size for path in site.master_dir.glob("bbmeasure-InfluxDBInstance.sqlite"))
        assert size < 1_000_000


def test_a_reconfiguration_loses_nothing(folder, influxd):
    """The status receiver is replaced while a build captures."""
    with EightSite(folder, config_of(folder, influxd.url)) as site:
        site.change()
        for limit in (200, 600, 1000):
            capture_some(site, folder, limit)
            site.reconfig()
        capture_some(site, folder, len(accepted(folder)) + 200)
        (folder / "stop").touch()
        site.wait_for_build("capture", 0)
        wait_until("an empty spool", lambda: backlog(site) == 0, 120)
        check_nothing_lost_or_doubled(folder, influxd)


def test_a_slave_that_is_killed_leaves_an_error(folder, influxd):
    """kill -9 of the slave ends the build; the build runs again on the slave's return."""
    script = f"[ -e {folder}/started ] || {{ touch {folder}/started; exec sleep 1000; }}"
    config = config_of(folder, influxd.url) + f"\nfirst = ShellCommand(name='wait', command=['sh', '-c', {script!r}])\n"
    config += "c['builders'][1].factory.steps.insert(0, factory(first).steps[0])\n"
    (folder / "stop").touch()
    with EightSite(folder, config) as site:
        site.change()
        wait_until("the step", (folder / "started").exists, 60)
        site.kill_slave()
        site.wait_for_build("quick", 0)
        site.start_slave()
        site.wait_for_build("quick", 1)
        wait_until("the values", lambda: len(stored(influxd, "size")) == 1, 60)
        rows = influxd.rows("SELECT build, result FROM build_duration WHERE builder = 'quick'", "bb")
        assert sorted((row["build"], row["result"]) for row in rows) == [(0, "error"), (1, "success")]


HOSTILE = """
# -*- coding: utf-8 -*-
names = ['comma, equals= ', '#hash', 'back\\\\slash', 'caf\\xc3\\xa9', 'quo"te', "it's", 'DROP DATABASE bb', 'time']
hostile = BuildFactory()
for name in names:
    hostile.addStep(MeasureShellCommand(name=name, command=['echo', '7 ms'], tags={'n': name}))
add(MeasuredBuilderConfig(name='b, "=x', builddir='hostile', slavenames=['bot'], factory=hostile,
                          measureTags={'k=,': 'v\\\\'}))
"""


def test_hostile_names(folder, influxd):
    """Names of builders, steps, tags and values arrive as line protocol can hold them."""
    (folder / "stop").touch()
    config = config_of(folder, influxd.url, trackStepTimes=True) + HOSTILE
    with EightSite(folder, config) as site:
        site.change()
        site.wait_for_build("hostile", 0)
        wait_until("an empty spool", lambda: backlog(site) == 0 and stored(influxd, "time"), 60)
        expected = ["comma, equals= ", "_hash", "back_slash", "caf\u00e9", 'quo"te', "it's", "DROP DATABASE bb", "time"]
        for name in expected:
            quoted = name.replace("\\", "\\\\").replace('"', '\\"')
            (row,) = influxd.rows(f'SELECT * FROM "{quoted}"', "bb")
            assert (row["value"], row["builder"], row["k=,"]) == (0.007, 'b, "=x', "v")
        steps = {row["step"] for row in influxd.rows("SELECT * FROM step_duration WHERE build = 0", "bb")}
        assert {"caf\u00e9", "#hash", "time"} <= steps
