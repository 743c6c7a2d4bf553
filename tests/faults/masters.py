"""A real master that captures and ships through a gateway, and the points that the journal and the server have."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Optional

import requests

from bbmeasure.model import Query
from bbmeasure.storage.sqlite.journal import JournalReader
from bbmeasure.testing.site import Site
from tests.hostile import Gateway
from tests.servers import Influxd

#: A master with a builder ``burst``, each build of which captures POINTS values and waits until they are on disk, and
#: with a service that calls a function in the reactor's thread pool twenty times a second and logs the pool's
#: backlog before the call and the seconds until it returned.
CONFIG = """
import time

from buildbot.plugins import schedulers, secrets, util, worker
from buildbot.process.buildstep import BuildStep
from buildbot.process.results import SUCCESS
from buildbot.util.service import BuildbotService
from twisted.internet import defer, reactor, task, threads

import bbmeasure
from bbmeasure.export import backoff

backoff.MAX_DELAY = 1.0  # seconds; the tests wait for retries
POINTS = 200
WAITS = True  # a build waits until its points are on disk


class Burst(BuildStep):
    name = "burst"

    @defer.inlineCallbacks
    def run(self):
        number = self.build.number
        written = defer.gatherResults([
            bbmeasure.captureData("burst", float(number * POINTS + at), build=self, tags={"k": str(at % 3)})
            for at in range(POINTS)
        ])
        if WAITS:
            yield written
        return SUCCESS


class StepClock(BuildStep):
    name = "step_clock"
    seconds = 0.0

    def run(self):
        reactor.seconds = lambda: time.time() + StepClock.seconds
        StepClock.seconds -= 3600.0
        return SUCCESS


class Probe(BuildbotService):
    @defer.inlineCallbacks
    def startService(self):
        yield super().startService()
        self.loop = task.LoopingCall(self.run_in_thread)
        self.loop.start(0.05)

    @defer.inlineCallbacks
    def run_in_thread(self):
        backlog = reactor.getThreadPool()._team.statistics().backloggedWorkCount
        began = time.monotonic()
        yield threads.deferToThread(int)
        with open("probe.log", "a") as log:
            log.write(f"{backlog} {time.monotonic() - began}\\n")

    @defer.inlineCallbacks
    def stopService(self):
        yield super().stopService()
        if self.loop.running:
            self.loop.stop()


def builder(name, step):
    f = util.BuildFactory([step])
    schedulers_ = [schedulers.ForceScheduler("force-" + name, builderNames=[name])]
    return util.BuilderConfig(name, workernames=["local"], factory=f), schedulers_


c = BuildmasterConfig = {"workers": [worker.LocalWorker("local")], "builders": [], "schedulers": []}
c["protocols"] = {"pb": {"port": f"tcp:{PB_PORT}:interface=127.0.0.1"}}
c["www"] = {"port": f"tcp:{WWW_PORT}:interface=127.0.0.1", "plugins": {"bbmeasure": {}}}
c["titleURL"] = c["buildbotURL"] = f"http://127.0.0.1:{WWW_PORT}/"
c["buildbotNetUsageData"] = None
for name, step in (("burst", Burst()), ("step_clock", StepClock())):
    builder_config, force = builder(name, step)
    c["builders"].append(builder_config)
    c["schedulers"] += force
c["services"] = [Probe(name="probe")]
"""

#: The number of values that a build captures, beside its durations.
POINTS = 200

#: Values by series, tags and time.
Points = dict[tuple[str, frozenset[tuple[str, str]], int], Any]


def influx(url: str, **more: Any) -> str:
    """The line of a configuration that ships to ``url``."""
    arguments = {"url": url, "database": "t", "trackBuildTimes": True, **more}
    listed = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return f'c["services"].append(util.InfluxDBInstance({listed}))\n'


def committed(journal: Path) -> Points:
    """All points of the journal, read beside the running master."""
    points: Points = {}
    with JournalReader(journal) as reader:
        for info in reader.series():
            for point in reader.points(Query(info.name), 1_000_000):
                tags = {**point.tags, "builder": point.builder or "", "worker": point.worker or ""}
                key = frozenset((name, text) for name, text in tags.items() if text)
                points[info.name, key, point.time] = point.value
    return points


def shipped(server: Influxd, database: str = "t") -> Points:
    """All points of the server, read by plain HTTP."""
    points: Points = {}
    for series in server.query("SELECT value FROM /.*/ GROUP BY *", database):
        key = frozenset((name, text) for name, text in series["tags"].items() if text)
        for row in series["rows"]:
            points[series["name"], key, row["time"]] = row["value"]
    return points


def health(site: Site, sink: str = "InfluxDBInstance") -> dict[str, Any]:
    """The health of an exporter as the master's API returns it."""
    answer = requests.get(site.url + "plugins/bbmeasure/api/v1/health", timeout=60).json()
    found: dict[str, Any] = next((part for part in answer.get("sinks", []) if part["name"] == sink), {})
    return found


def wait_until_shipped(site: Site, server: Influxd, database: str = "t", timeout: float = 300.0) -> Points:
    """Wait until the points of the server equal those of the journal; returns them."""

    def difference() -> str:
        theirs, ours = shipped(server, database), committed(site.journal)
        if theirs == ours:
            return ""
        return f"{len(ours)} committed, {len(theirs)} shipped, {len(theirs.keys() - ours.keys())} never committed"

    end = time.monotonic() + timeout
    while difference():
        if time.monotonic() > end:
            raise TimeoutError(f"{difference()}; {health(site)}; {site.master.tail() if site.master else ''}")
        time.sleep(0.1)
    return committed(site.journal)


def build(site: Site, times: int = 1) -> None:
    """Run builds one after the other, each of which must succeed."""
    for _ in range(times):
        done = site.build("burst")
        assert done["results"] == 0, done


def bursts(points: Points) -> int:
    """The number of points of the series that builds capture."""
    return sum(series == "burst" for series, _, _ in points)


class ThreadPoolCheck:
    """Context manager that checks that the reactor's thread pool works and has no backlog meanwhile."""

    def __init__(self, site: Site) -> None:
        self._log = site.master_dir / "probe.log"
        self._before = 0

    def __enter__(self) -> ThreadPoolCheck:
        self._before = len(self._all_calls())
        return self

    def __exit__(self, kind: Optional[type[BaseException]], *_: object) -> None:
        if kind is None:
            self.check()

    def _all_calls(self) -> list[tuple[int, float]]:
        lines = self._log.read_text().splitlines(keepends=True) if self._log.exists() else []
        rows = [line.split() for line in lines if line.endswith("\n")]
        return [(int(backlog), float(seconds)) for backlog, seconds in rows]

    def calls(self) -> list[tuple[int, float]]:
        """The backlog of the pool before, and the duration of, each call that has returned since it was entered."""
        return self._all_calls()[self._before :]

    def check(self) -> None:
        """Wait for two more calls, and assert that no call waited for a thread."""
        count = len(self.calls())
        wait_for("the thread pool", lambda: len(self.calls()) > count + 1)
        assert not any(backlog for backlog, _ in self.calls())


def wait_for(what: str, condition: Callable[[], Any], timeout: float = 300.0) -> Any:
    """Wait until ``condition()`` is true; returns its result."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.05)


def shipping_site(folder: Path, gateway: Gateway, more: Iterable[str] = (), **options: Any) -> Site:
    """A master that ships through ``gateway``."""
    patient = "from bbmeasure.capture import deadlines\ndeadlines.WRITE_TIMEOUT = deadlines.SLOW_WRITE_TIMEOUT = 60.0\n"
    return Site(folder, CONFIG + patient + influx(gateway.url, **options) + "".join(more), workers=())
