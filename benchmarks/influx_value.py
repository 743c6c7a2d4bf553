"""CPU of the master per value, from captureData to influxd's acknowledgement, compared with buildbot.statistics.

``python -m benchmarks.influx_value``.  Each runs in its own master.  Builds that capture many values alternate with
builds that capture none, whose CPU is subtracted.  The CPU is that of the whole process, from before a build until
all values are on the server.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bbmeasure.testing.site import Site
from benchmarks.cpu import of_process
from benchmarks.targets import Figures
from tests.servers import Influxd

#: Values per build, and builds.
OURS, PEERS, ROUNDS = 10_000, 500, 4
#: Maximum milliseconds per value; minimum ratio of buildbot.statistics to bbmeasure.
MAX_MILLISECONDS, MIN_RATIO = 0.05, 80.0

CONFIG = """
from buildbot.plugins import schedulers, util, worker
from buildbot.process.buildstep import BuildStep
from twisted.internet import defer

c = BuildmasterConfig = {}
c["workers"] = [worker.LocalWorker("local")]
c["protocols"] = {"pb": {"port": f"tcp:{PB_PORT}:interface=127.0.0.1"}}
c["titleURL"] = c["buildbotURL"] = f"http://127.0.0.1:{WWW_PORT}/"
c["www"] = {"port": f"tcp:{WWW_PORT}:interface=127.0.0.1", "plugins": {}}
c["buildbotNetUsageData"] = None


class Nothing(BuildStep):
    def run(self):
        return 0


class Ours(BuildStep):
    @defer.inlineCallbacks
    def run(self):
        from bbmeasure import captureData
        for _ in range(VALUES // 1000):
            yield defer.gatherResults(
                [captureData("value", float(n), build=self, tags={"n": n % 100}) for n in range(1000)])
        return 0


class Peers(BuildStep):
    @defer.inlineCallbacks
    def run(self):
        stats = self.master.service_manager.namedServices["stats"]
        for n in range(VALUES):
            yield stats.yieldMetricsValue("value", {"value": float(n)}, self.build.buildid)
        return 0


STEPS = {"nothing": Nothing, "values": Ours if KIND == "ours" else Peers}
c["builders"] = [
    util.BuilderConfig(name, workernames=["local"], factory=util.BuildFactory([step()])) for name, step in STEPS.items()
]
c["schedulers"] = [schedulers.ForceScheduler("force-" + name, builderNames=[name]) for name in STEPS]
if KIND == "ours":
    c["services"] = [util.InfluxDBInstance(url=URL, database="bench")]
else:
    from buildbot.statistics.capture import CaptureDataAllBuilders
    from buildbot.statistics.stats_service import StatsService
    from buildbot.statistics.storage_backends.influxdb_client import InfluxStorageService
    backend = InfluxStorageService("127.0.0.1", PORT, "", "", "bench", [CaptureDataAllBuilders("value")])
    c["services"] = [StatsService(name="stats", storage_backends=[backend])]
"""


def main() -> int:
    """Print milliseconds of CPU per value of both; returns 1 if a target is missed."""
    with tempfile.TemporaryDirectory() as folder:
        ours = cost(Path(folder) / "ours", "ours", OURS)
        peers = cost(Path(folder) / "peers", "peers", PEERS)
    figures = Figures()
    beside = f"peer {peers:.2f} ms"
    why = "its parts are those of storage_write with an exporter, and of influx_drain"
    figures.show("a value, from captureData to acknowledged", ours, "ms", MAX_MILLISECONDS, beside, why=why)
    figures.show("its share of the peer's", ours / peers, "", 1 / MIN_RATIO, f"1/{peers / ours:.0f}", why=why)
    return figures.status


def cost(folder: Path, kind: str, values: int) -> float:
    """Return the milliseconds of CPU per value."""
    folder.mkdir()
    with Influxd() as server:
        server.query("CREATE DATABASE bench")
        known = f"KIND, VALUES, URL, PORT = {kind!r}, {values}, {server.url!r}, {server.port}\n"
        with Site(folder, known + CONFIG, workers=()) as site:
            used: dict[str, list[float]] = {"nothing": [], "values": []}
            _used(site, "values", lambda: landed(server))
            for _ in range(ROUNDS):
                for name, seconds in used.items():
                    seconds.append(_used(site, name, lambda: landed(server)))
            more = statistics.fmean(used["values"]) - statistics.fmean(used["nothing"])
            return more / values * 1_000


def _used(site: Site, name: str, arrived: Callable[[], int]) -> float:
    """Return the seconds of CPU for a build, until no more values arrive."""
    assert site.master is not None
    began, cpu = time.monotonic(), of_process(site.master.popen.pid)
    request = site.force(name)
    time.sleep(2.0)  # polling costs CPU: the same number of polls for both kinds
    done = site.wait_for_build(request)
    if done["results"]:
        raise SystemExit(f"the build failed: {done['state_string']}")
    last = -1
    while arrived() != last or time.monotonic() - began < 3.0:
        last = arrived()
        time.sleep(0.5)
    return of_process(site.master.popen.pid) - cpu


def landed(server: Influxd) -> int:
    """Return the number of values on the server."""
    return sum(row["count"] for row in server.rows("SELECT count(value) FROM /.*/", "bench"))


if __name__ == "__main__":
    sys.exit(main())
