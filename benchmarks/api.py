"""Latency of the JSON API of a real master, and its effect on the master: ``python -m benchmarks.api``.

The journal has 500 series of two builders, five series of 300 builders whose newest builds are judged, and one series
of a million points.  A latency is the best of five requests over HTTP; the last one is the list of series for a user
who may see one of the builders.  The reactor's lag is the delay of a call every 10 ms in the master while two clients
send requests.  Builds are timed without clients, with fifty, and with fifty of Buildbot's own API.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from bbmeasure.capture.gates import Gates
from bbmeasure.model import BuildContext, Point, Query, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.reports.build_judge import BuildJudge, JudgeRequest
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.testing.site import Site
from bbmeasure.times import NANOSECONDS
from benchmarks.targets import Figures, load

POINTS = 1_000_000
SERIES = 500
BUILDS = 12
#: Builders with a judged build each, and their series.
FARM = 300
FARM_SERIES = 5
#: Lines of one request for the overview.
LINES = 2_000

CONFIG = """
import json

from buildbot.plugins import schedulers, steps, util, worker
from twisted.internet import reactor, task

c = BuildmasterConfig = {}
c["workers"] = [worker.Worker("worker", "demo", max_builds=1)]
c["protocols"] = {"pb": {"port": f"tcp:{PB_PORT}:interface=127.0.0.1"}}
c["titleURL"] = c["buildbotURL"] = f"http://127.0.0.1:{WWW_PORT}/"
c["www"] = {"port": f"tcp:{WWW_PORT}:interface=127.0.0.1", "plugins": {"bbmeasure": {}}}
c["buildbotNetUsageData"] = None
f = util.BuildFactory([steps.ShellCommand(command="sleep 0.05") for _ in range(10)])
c["builders"] = [util.BuilderConfig(name=name, workernames=["worker"], factory=f) for name in ("b", "hidden")]
c["schedulers"] = [schedulers.ForceScheduler("force-b", builderNames=["b", "hidden"])]
c["services"] = [util.SQLiteInstance(trackBuildTimes=True)]

lags = []
last = [None]


def tick():
    now = reactor.seconds()
    if last[0] is not None:
        lags.append(max(0.0, now - last[0] - 0.01))
    last[0] = now
    if len(lags) % 100 == 0:
        with open("lags.json", "w") as file:
            json.dump(lags, file)
    if len(lags) > 6000:
        del lags[:3000]
    reactor.callLater(0.01, tick)


reactor.callLater(0.01, tick)
"""

#: Rules that hide the builds of "hidden".
RULES = """
from buildbot.www.authz.endpointmatchers import EndpointMatcherBase, Match
from twisted.internet import defer


class BuildsOfHidden(EndpointMatcherBase):
    @defer.inlineCallbacks
    def match_BuildsEndpoint(self, endpoint, arguments, options):
        if "builderid" in arguments:
            builder = yield self.master.data.get(("builders", arguments["builderid"]))
            return Match(self.master) if builder is not None and builder["name"] == "hidden" else None
        return None


c["www"]["authz"] = util.Authz(allowRules=[BuildsOfHidden(role="admins")], roleMatchers=[])
"""


def seed(path: Path) -> None:
    """Fill the journal."""
    chance = random.Random(1)
    now = int(time.time())
    with Journal(path) as journal:
        for number in range(SERIES):
            name = f"series_{number}"
            for builder in ("b", "hidden"):
                journal.declare(SeriesInfo(name, Kind.SIZE, "bytes", Direction.LOWER, (builder,)))
            builds = [BuildContext(builder, "worker", number, number) for builder in ("b", "hidden")]
            times = [(now - 60 * n) * NANOSECONDS for n in range(20)]
            journal.write([Point(name, at, chance.random(), {}, builds[n % 2]) for n, at in enumerate(times)])
        seed_farm(journal, path, now)
        journal.declare(SeriesInfo("large", Kind.DURATION, "s", Direction.LOWER))
        for begin in range(0, POINTS, 10_000):
            journal.write(
                [
                    Point("large", (now - POINTS + n) * NANOSECONDS, chance.gauss(10, 1))
                    for n in range(begin, begin + 10_000)
                ]
            )


def seed_farm(journal: Journal, path: Path, now: int) -> None:
    """Add builds of many builders, and judge the newest of each."""
    chance = random.Random(2)
    names = [f"farm_{number}" for number in range(FARM_SERIES)]
    with JournalReader(path) as reader:
        for number in range(FARM):
            builder = f"farm-{number}"
            for name in names:
                journal.declare(SeriesInfo(name, Kind.DURATION, "s", Direction.LOWER, (builder,)))
            builds = [BuildContext(builder, "worker", n, 100_000 + 100 * number + n) for n in range(20)]
            journal.write(
                [
                    Point(name, (now - 3600 * (20 - n)) * NANOSECONDS, chance.gauss(10, 1), {}, build)
                    for n, build in enumerate(builds)
                    for name in names
                ]
            )
            judged = BuildJudge(reader).judge(JudgeRequest(builds[-1], Gates(), now, finish=True))
            if judged.changes is not None:
                journal.keep_verdicts(judged.changes)


def main() -> int:
    """Print each figure beside its target."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), CONFIG)
        seed(site.journal)
        with site:
            figures.show("overview of 500 series, after a commit", min(_overview(site) for _ in range(5)), "ms", 100)
            overview = f"overview?limit={LINES}"
            lines = min(_request(site, overview) for _ in range(5))
            figures.show(f"overview of {LINES:,} lines of {FARM} builders, with verdicts", lines, "ms", 1_000)
            for name, path, target in (
                ("average, deviation, min, max of 1M", f"{_LARGE}&statistics=average,deviation,minimum,maximum", 50.0),
                ("median and p95 of 1M", f"{_LARGE}&statistics=median,p95", 1_000.0),
                ("200 buckets of 1M", "points?series=large&buckets=200", 600.0),
            ):
                figures.show(name, min(_request(site, path) for _ in range(5)), "ms", target)
            lags = _lags_under_load(site)
            figures.show("reactor lag, p99.9", lags[int(len(lags) * 0.999)] * 1_000, "ms", 20)
            figures.show("reactor lag, maximum", lags[-1] * 1_000, "ms", 100)
            slower, peer = _builds(site)
            why = f"as many requests for a small answer of Buildbot itself make them {peer:.0%} slower; {load()}"
            figures.show("builds slower with 50 clients", slower * 100, "%", 5, why=why)
            site.write_config(CONFIG + RULES)
            site.reconfig()
            _check_rules(site)
            figures.show("overview of 500, of one builder", min(_overview(site) for _ in range(5)), "ms", 100)
    return figures.status


#: The requests of clients during builds, and one for a small answer of Buildbot's own API.
OURS = ("series", "statistics?series=series_1", "points?series=series_2&limit=100")
BUILDBOTS = "/api/v2/masters"
_LARGE = "statistics?series=large"


def _request(site: Site, path: str) -> float:
    """Milliseconds until the answer is complete, on a new connection; ``path`` is relative to bbmeasure's API."""
    begun = time.perf_counter()
    url = site.url + (path[1:] if path.startswith("/") else f"plugins/bbmeasure/api/v1/{path}")
    with urllib.request.urlopen(url, timeout=60) as answer:
        json.load(answer)
    return (time.perf_counter() - begun) * 1_000


def _overview(site: Site) -> float:
    """Milliseconds of the list of series after a build, which commits values: the list before is not used again."""
    site.build("b")
    return _request(site, "series")


def _check_rules(site: Site) -> None:
    with urllib.request.urlopen(f"{site.url}plugins/bbmeasure/api/v1/series", timeout=60) as answer:
        visible = {name for series in json.load(answer)["series"] for name in series["builders"]}
    assert visible == {"b"}, visible


def _lags_under_load(site: Site) -> list[float]:
    stop = threading.Event()
    paths = (
        "series",
        f"{_LARGE}&statistics=median,p95",
        "points?series=large&buckets=200",
        "points?series=large&limit=5000",
    )
    threads = [threading.Thread(target=_send_requests, args=(site, paths, stop, 0.05)) for _ in range(2)]
    (site.master_dir / "lags.json").unlink(missing_ok=True)
    for thread in threads:
        thread.start()
    time.sleep(20)
    stop.set()
    for thread in threads:
        thread.join()
    lags: list[float] = json.loads((site.master_dir / "lags.json").read_text())
    return sorted(lags[-1500:])


def _send_requests(site: Site, paths: tuple[str, ...], stop: threading.Event, pause: float) -> None:
    number = 0
    while not stop.wait(pause):
        number += 1
        try:
            _request(site, paths[number % len(paths)])
        except OSError:  # status 503 if there are too many requests
            continue


def _builds(site: Site) -> list[float]:
    """The relative increase of the median build duration with fifty clients of each kind, by the master's times."""
    kinds = ((), OURS, (BUILDBOTS,))
    numbers: list[list[int]] = [[] for _ in kinds]
    for number in range(len(kinds) * BUILDS):
        paths, stop = kinds[number % len(kinds)], threading.Event()
        threads = [
            threading.Thread(target=_send_requests, args=(site, paths, stop, 1.0)) for _ in range(50 if paths else 0)
        ]
        for thread in threads:
            thread.start()
        numbers[number % len(kinds)].append(site.build("b")["number"])
        stop.set()
        for thread in threads:
            thread.join()
    time.sleep(1)  # until the last duration is stored
    with JournalReader(site.journal) as reader:
        points = reader.points(Query("build_duration", builder="b"), 2 * len(kinds) * BUILDS)
    durations = {point.build.build: float(point.value) for point in points if point.build is not None}
    idle, *loaded = (statistics.median(durations[number] for number in each) for each in numbers)
    return [each / idle - 1 for each in loaded]


if __name__ == "__main__":
    sys.exit(main())
