"""Master CPU that verdicts add to a captured value: ``python -m benchmarks.gate``.

One real master runs pairs of builds, with and without verdicts: of ten measuring steps with a value each, and of one
step with a hundred values.  The cost is the mean of the pairs' differences in CPU of the master, divided by the number
of values, with its standard error: the same build takes 0.7 to 1.1 s of CPU, and verdicts about 0.02 s of it.  The
process that judges is not part of it.  The end of a build is read from the database: a master that answers requests
meanwhile would use more CPU for a build that lasts longer.
"""

from __future__ import annotations

import random
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bbmeasure.testing.site import Site
from benchmarks.cpu import of_process
from benchmarks.targets import Figures, load

#: Pairs of builds before the measurement, so that every line has a baseline.
HISTORY = 11
#: Seconds after a build, within which it is judged.
AFTER = 1.0
VALUES = {"steps": 10, "values": 100}
#: Pairs that are measured.
PAIRS = {"steps": 100, "values": 20}

CONFIG = """
import gc
from buildbot.plugins import schedulers, steps, util, worker
from twisted.internet import defer, reactor
from bbmeasure.reports.judge import Judge
from bbmeasure.reports.verdicts import BuildVerdicts

reactor.callLater(20, gc.freeze)  # a collection of all that a master holds takes longer than its verdicts
c = BuildmasterConfig = {}
c["workers"] = [worker.Worker("worker", "demo", max_builds=1)]
c["protocols"] = {"pb": {"port": f"tcp:{PB_PORT}:interface=127.0.0.1"}}
c["titleURL"] = c["buildbotURL"] = f"http://127.0.0.1:{WWW_PORT}/"
c["www"] = {"port": f"tcp:{WWW_PORT}:interface=127.0.0.1", "plugins": {}}
c["buildbotNetUsageData"] = None
c["builders"], c["schedulers"] = [], []
c["services"] = [util.SQLiteInstance()]


def without_verdicts(judging):
    def judged(self, build, gates, **more):
        if build.builder.startswith("without"):
            return defer.succeed(BuildVerdicts(build.buildid))
        return judging(self, build, gates, **more)
    return judged


Judge.preview, Judge.finish = without_verdicts(Judge.preview), without_verdicts(Judge.finish)
RECORDS = "for n in $(seq 100); do echo '##bbmeasure {\\"name\\":\\"v'$n'\\",\\"value\\":5.'$((n % 7))'}'; done"
KINDS = {
    "steps": [("echo 5", f"s{n}") for n in range(10)],
    "values": [(RECORDS, "v")],
}
for kind, given in KINDS.items():
    for verdicts in ("with", "without"):
        name = f"{verdicts}-{kind}"
        f = util.BuildFactory([
            steps.MeasureShellCommand(name=step, command=["sh", "-c", command]) for command, step in given
        ])
        c["builders"].append(util.BuilderConfig(name=name, workernames=["worker"], factory=f))
        c["schedulers"].append(schedulers.ForceScheduler("force-" + name, builderNames=[name]))
"""


def main() -> int:
    """Print each figure with its target."""
    differences: dict[str, list[float]] = {kind: [] for kind in VALUES}
    with tempfile.TemporaryDirectory() as folder, Site(Path(folder), CONFIG) as site:
        for kind in list(VALUES) * HISTORY:
            pair_of_builds(site, kind)
        for kind, pairs in PAIRS.items():
            differences[kind] += [pair_of_builds(site, kind) for _ in range(pairs)]
    figures = Figures()
    for kind, values in VALUES.items():
        added = statistics.mean(differences[kind]) * 1_000 / values
        error = statistics.stdev(differences[kind]) / len(differences[kind]) ** 0.5 * 1_000 / values
        spread = f"standard error {error:.2f} ms, {len(differences[kind])} pairs"
        figures.show(f"verdicts, a captured value, build of {values} ({kind})", added, "ms", 2, spread, why=load())
    return figures.status


def pair_of_builds(site: Site, kind: str) -> float:
    """Seconds of the master's CPU that a build with verdicts uses above one without, in random order."""
    names = [f"with-{kind}", f"without-{kind}"]
    used = {name: cpu_of_build(site, name) for name in random.sample(names, 2)}
    return used[names[0]] - used[names[1]]


def cpu_of_build(site: Site, builder: str) -> float:
    """Seconds of the master's CPU for a build and its verdicts."""
    assert site.master is not None
    before = of_process(site.master.popen.pid)
    request = site.force(builder)
    database = sqlite3.connect(f"file:{site.master_dir / 'state.sqlite'}?mode=ro", uri=True, timeout=30)
    statement = "SELECT results FROM builds WHERE buildrequestid = ? AND complete_at IS NOT NULL"
    while not (found := database.execute(statement, (request,)).fetchall()):
        time.sleep(0.02)
    database.close()
    assert found == [(0,)]
    time.sleep(AFTER)
    return of_process(site.master.popen.pid) - before


if __name__ == "__main__":
    sys.exit(main())
