"""Overhead of a measuring step over a ShellCommand of the same command.

A real master and worker run twenty builds of ten steps of each kind, in shuffled order, so that other load affects all
kinds.  The time of a step is that of its build divided by ten.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
from pathlib import Path

from bbmeasure.model import Query
from bbmeasure.storage.sqlite.journal import JournalReader
from bbmeasure.testing.site import Site
from benchmarks.targets import Figures, load

STEPS = 10
ROUNDS = 20

CONFIG = """
import sys
from buildbot.plugins import schedulers, steps, util, worker

c = BuildmasterConfig = {}
c["workers"] = [worker.Worker("worker", "demo")]
c["protocols"] = {"pb": {"port": f"tcp:{PB_PORT}:interface=127.0.0.1"}}
c["titleURL"] = c["buildbotURL"] = f"http://127.0.0.1:{WWW_PORT}/"
c["www"] = {"port": f"tcp:{WWW_PORT}:interface=127.0.0.1", "plugins": {}}
c["buildbotNetUsageData"] = None
c["builders"], c["schedulers"] = [], []
c["services"] = [util.SQLiteInstance(trackBuildTimes=True)]

PLAIN = ["sh", "-c", "echo 1"]
SIDECAR = ["sh", "-c", "echo '{\\"name\\":\\"x\\",\\"value\\":1}' >> \\"${BBMEASURE_FILE:-/dev/null}\\""]
SIZE = [sys.executable, "-m", "bbmeasure_scripts.size", "."]
KINDS = {
    "shell": lambda: steps.ShellCommand(command=PLAIN),
    "measure": lambda: steps.MeasureShellCommand(name="m", command=PLAIN),
    "shell_sidecar": lambda: steps.ShellCommand(command=SIDECAR),
    "measure_sidecar": lambda: steps.MeasureShellCommand(name="n", command=SIDECAR),
    "shell_size": lambda: steps.ShellCommand(command=SIZE),
    "program_size": lambda: steps.SizeOf(name="s", path=".", python=sys.executable),
}
for name, make in KINDS.items():
    f = util.BuildFactory([steps.ShellCommand(command="touch a"), *(make() for _ in range(%d))])
    c["builders"].append(util.MeasuredBuilderConfig(name=name, workernames=["worker"], factory=f))
    c["schedulers"].append(schedulers.ForceScheduler("force-" + name, builderNames=[name]))
"""

KINDS = ("shell", "measure", "shell_sidecar", "measure_sidecar", "shell_size", "program_size")

#: The title of a figure, the kind and its peer, and the most milliseconds.
COMPARED = (
    ("MeasureShellCommand over ShellCommand", "measure", "shell", 25),
    ("the same with a sidecar", "measure_sidecar", "shell_sidecar", 40),
    ("SizeOf over its program in a ShellCommand", "program_size", "shell_size", 60),
)


def main() -> int:
    """Print each figure with its target."""
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder, Site(Path(folder), CONFIG % STEPS) as site:
        order = [kind for kind in KINDS for _ in range(ROUNDS)]
        random.Random(1).shuffle(order)  # not for security
        for kind in [*KINDS, *order]:  # the first build of each kind is a warm-up
            site.build(kind, seconds=300)
        site.wait_for(lambda: _count(site) == len(order) + len(KINDS), "the durations", 20)
        with JournalReader(site.journal) as reader:
            for kind in KINDS:
                points = reader.points(Query("build_duration", builder=kind), 1 + ROUNDS)
                times[kind] = [float(point.value) / STEPS * 1_000 for point in points[1:]]
    median = {kind: statistics.median(values) for kind, values in times.items()}
    for kind in KINDS:
        low, _, high = statistics.quantiles(times[kind], n=4)
        print(f"{kind:<16} {median[kind]:6.1f} ms a step (half of the builds {low:.1f} to {high:.1f})")
    figures = Figures()
    for title, ours, peer, most in COMPARED:
        figures.show(title, median[ours] - median[peer], "ms", most, f"of {median[ours]:.0f} ms", why=load())
    return figures.status


def _count(site: Site) -> int:
    with JournalReader(site.journal) as reader:
        return next((info.count for info in reader.series() if info.name == "build_duration"), 0)


if __name__ == "__main__":
    sys.exit(main())
