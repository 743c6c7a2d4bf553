"""What tests of faults share: a real master that captures, a server behind a gateway, and what each of them holds."""

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
#: with a probe that calls an empty function in the reactor's thread pool, twenty times a second.
CONFIG = """
import time

from buildbot.plugins import schedulers, secrets, util, worker
from buildbot.process.buildstep import BuildStep
from buildbot.process.results import SUCCESS
from buildbot.util.service import BuildbotService
from twisted.internet import defer, reactor, task, threads

import bbmeasure
from bbmeasure.export import backoff

backoff.LONGEST = 1.0  # the tests wait for the next try
POINTS = 200
WAITS = True  # a build waits until its points are on disk


class Burst(BuildStep):
    name = "burst"

    @defer.inlineCallbacks
    def run(self):
        number = self.build.number
        kept = defer.gatherResults([
            bbmeasure.captureData("burst", float(number * POINTS + at), build=self, tags={"k": str(at % 3)})
            for at in range(POINTS)
        ])
        if WAITS:
            yield kept
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
        self.loop = task.LoopingCall(self.look)
        self.loop.start(0.05)

    @defer.inlineCallbacks
    def look(self):
        waiting = reactor.getThreadPool()._team.statistics().backloggedWorkCount
        began = time.monotonic()
        yield threads.deferToThread(int)
        with open("probe.log", "a") as log:
            log.write(f"{waiting} {time.monotonic() - began}\\n")

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
    one, theirs = builder(name, step)
    c["builders"].append(one)
    c["schedulers"] += theirs
c["services"] = [Probe(name="probe")]
"""

#: Points that one build captures, beside its own times.
POINTS = 200

Held = dict[tuple[str, frozenset[tuple[str, str]], int], Any]


def influx(url: str, **more: Any) -> str:
    """The line of a configuration that ships to ``url``."""
    arguments = {"url": url, "database": "t", "trackBuildTimes": True, **more}
    listed = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return f'c["services"].append(util.InfluxDBInstance({listed}))\n'


def committed(journal: Path) -> Held:
    """All that the journal holds, read beside the running master."""
    held: Held = {}
    with JournalReader(journal) as reader:
        for info in reader.series():
            for point in reader.points(Query(info.name), 1_000_000):
                tags = {**point.tags, "builder": point.builder or "", "worker": point.worker or ""}
                key = frozenset((name, text) for name, text in tags.items() if text)
                held[info.name, key, point.time] = point.value
    return held


def landed(server: Influxd, database: str = "t") -> Held:
    """All that the server holds, read by plain HTTP."""
    held: Held = {}
    for series in server.query("SELECT value FROM /.*/ GROUP BY *", database):
        key = frozenset((name, text) for name, text in series["tags"].items() if text)
        for row in series["rows"]:
            held[series["name"], key, row["time"]] = row["value"]
    return held


def health(site: Site, sink: str = "InfluxDBInstance") -> dict[str, Any]:
    """What the master's own API says of a sink."""
    answer = requests.get(site.url + "plugins/bbmeasure/api/v1/health", timeout=20).json()
    found: dict[str, Any] = next((one for one in answer.get("sinks", []) if one["name"] == sink), {})
    return found


def wait_until_landed(site: Site, server: Influxd, database: str = "t", patience: float = 60.0) -> Held:
    """Wait until the server holds what the journal holds, to the last point and value, and nothing else."""

    def missing() -> str:
        theirs, ours = landed(server, database), committed(site.journal)
        if theirs == ours:
            return ""
        return f"{len(ours)} committed, {len(theirs)} landed, {len(theirs.keys() - ours.keys())} never committed"

    end = time.monotonic() + patience
    while missing():
        assert time.monotonic() < end, f"{missing()}; {health(site)}; {site.master.tail() if site.master else ''}"
        time.sleep(0.1)
    return committed(site.journal)


def build(site: Site, times: int = 1) -> None:
    """Run builds one after the other, each of which must succeed."""
    for _ in range(times):
        done = site.build("burst")
        assert done["results"] == 0, done


def bursts(held: Held) -> int:
    """How many of those points builds have captured, apart from their durations."""
    return sum(series == "burst" for series, _, _ in held)


class Watch:
    """Context manager that checks that nothing waits for a thread of the reactor's pool while it is entered."""

    def __init__(self, site: Site) -> None:
        self._log = site.master_dir / "probe.log"
        self._before = 0

    def __enter__(self) -> Watch:
        self._before = len(self.rows())
        return self

    def __exit__(self, kind: Optional[type[BaseException]], *_: object) -> None:
        if kind is None:
            self.check()

    def rows(self) -> list[tuple[int, float]]:
        """What the probe has logged: how many calls waited for a thread, and the seconds until its own had returned."""
        if not self._log.exists():
            return []
        lines = self._log.read_text().splitlines(keepends=True)
        whole = [line.split() for line in lines if line.endswith("\n")]
        return [(int(waiting), float(seconds)) for waiting, seconds in whole]

    def new_rows(self) -> list[tuple[int, float]]:
        """The rows since it was entered."""
        return self.rows()[self._before :]

    def check(self) -> None:
        """The pool still runs what it is given, and never had more work than threads."""
        seen = len(self.rows())
        wait_for("an answer of the thread pool", lambda: len(self.rows()) > seen + 1)
        assert [waiting for waiting, _ in self.new_rows() if waiting] == []


def wait_for(what: str, true: Callable[[], Any], patience: float = 30.0) -> Any:
    """What ``true`` answers once it is not false."""
    end = time.monotonic() + patience
    while True:
        answer = true()
        if answer:
            return answer
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.05)


def stage(folder: Path, gateway: Gateway, more: Iterable[str] = (), **options: Any) -> Site:
    """A master that ships through ``gateway``."""
    return Site(folder, CONFIG + influx(gateway.url, **options) + "".join(more), workers=())
