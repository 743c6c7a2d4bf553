"""CPU of a master for each value captured in a build: ``python -m benchmarks.builds``.

One real master runs builds of ten steps, sixty of each kind in random order: without tracking, with ten values by
captureData, with ``trackAll``, and with ten values through ``buildbot.statistics``; all points are exported to a real
influxd.  The cost of a kind is its CPU above that of builds without tracking, divided by the number of values, with its
standard error: the CPU of a build varies by a sixth with the other load of the machine.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bbmeasure.storage.sqlite.journal import JournalReader
from bbmeasure.testing.influxd import Influxd
from bbmeasure.testing.site import Site
from benchmarks.cpu import of_process
from benchmarks.targets import Figures

BUILDS = 60
KINDS = ("none", "ten", "all", "peer")

CONFIG = """
from buildbot.plugins import schedulers, steps, util, worker
from buildbot.process.buildstep import BuildStep
from buildbot.statistics import capture as peer
from buildbot.statistics.stats_service import StatsService
from buildbot.statistics.storage_backends.influxdb_client import InfluxStorageService
from twisted.internet import defer

from bbmeasure import captureData

c = BuildmasterConfig = {}
c["workers"] = [worker.Worker("worker", "demo", max_builds=1)]
c["protocols"] = {"pb": {"port": f"tcp:{PB_PORT}:interface=127.0.0.1"}}
c["titleURL"] = c["buildbotURL"] = f"http://127.0.0.1:{WWW_PORT}/"
c["www"] = {"port": f"tcp:{WWW_PORT}:interface=127.0.0.1", "plugins": {}}
c["buildbotNetUsageData"] = None
c["builders"], c["schedulers"] = [], []


class Step(BuildStep):
    def run(self):
        self.setStatistic("value", 5)
        return 0


class Capturing(BuildStep):
    @defer.inlineCallbacks
    def run(self):
        self.setStatistic("value", 5)
        yield captureData("ten", 5, build=self)
        return 0


class Peer(BuildStep):
    @defer.inlineCallbacks
    def run(self):
        self.setStatistic("value", 5)
        stats = self.master.service_manager.namedServices["stats"]
        yield stats.yieldMetricsValue("peer", {"value": 5}, self.build.buildid)
        return 0


STEPS = {"none": Step, "ten": Capturing, "all": Step, "peer": Peer}
for name, step in STEPS.items():
    f = util.BuildFactory([step(name=f"step{n}") for n in range(10)])
    every = name == "all"
    c["builders"].append(util.MeasuredBuilderConfig(name=name, workernames=["worker"], factory=f, trackAll=every))
    c["schedulers"].append(schedulers.ForceScheduler("force-" + name, builderNames=[name]))
c["services"] = [
    util.InfluxDBInstance(url=f"http://127.0.0.1:{INFLUX_PORT}", database="ours"),
    StatsService(name="stats", storage_backends=[InfluxStorageService(
        "127.0.0.1", INFLUX_PORT, "root", "root", "peer", captures=[peer.CaptureData("peer", "peer")])]),
]
"""


def main() -> int:
    """Print each figure with its target."""
    used: dict[str, list[float]] = {kind: [] for kind in KINDS}
    order = [kind for kind in KINDS for _ in range(BUILDS)]
    random.Random(1).shuffle(order)
    with tempfile.TemporaryDirectory() as name, Influxd(Path(name) / "influxdb") as influxd:
        _make_database(influxd, "peer")
        config = f"INFLUX_PORT = {influxd.port}\n{CONFIG}"
        with Site(Path(name), config) as site:
            for kind in KINDS * 3:
                site.build(kind)
            for kind in order:
                used[kind].append(_cpu_of_build(site, kind))
            with JournalReader(site.journal) as reader:
                captured = sum(info.count for info in reader.series() if "all" in info.builders)
    a_build = captured / (BUILDS + 3)
    for kind in KINDS:
        print(f"{kind:<6} {statistics.fmean(used[kind]) * 1_000:8.1f} ms of master CPU a build of ten steps")
    figures = Figures()
    peer, peer_error = _cost(used["peer"], used["none"], 10)
    value, error = _cost(used["ten"], used["none"], 10)
    beside = f"standard error {error:.2f}; peer {peer:.2f} ms, {peer_error:.2f}"
    figures.show("a captured value on a ten-step build", value, "ms", 2, beside)
    value, error = _cost(used["all"], used["none"], a_build)
    figures.show(f"trackAll, a captured value ({a_build:.1f} a build)", value, "ms", 2, f"standard error {error:.2f}")
    return figures.status


def _cost(tracked: list[float], untracked: list[float], values: float) -> tuple[float, float]:
    """Milliseconds of CPU for each of the ``values`` of a build, and their standard error."""
    cost = statistics.fmean(tracked) - statistics.fmean(untracked)
    error = math.sqrt(statistics.variance(tracked) / len(tracked) + statistics.variance(untracked) / len(untracked))
    return cost * 1_000 / values, error * 1_000 / values


def _make_database(influxd: Influxd, name: str) -> None:
    from influxdb import InfluxDBClient

    client = InfluxDBClient("127.0.0.1", influxd.port, timeout=10)
    client.create_database(name)
    client.close()


def _cpu_of_build(site: Site, kind: str) -> float:
    """Seconds of the master's CPU from the start of a build to some time after it, with few requests to the page."""
    assert site.master is not None
    before = of_process(site.master.popen.pid)
    request = site.force(kind)
    time.sleep(0.8)
    site.wait_for_build(request)
    time.sleep(0.3)
    return of_process(site.master.popen.pid) - before


if __name__ == "__main__":
    sys.exit(main())
