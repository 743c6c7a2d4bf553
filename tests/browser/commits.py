"""A master whose builders measure every commit of a project, a few of which made something worse.

:func:`configure` runs in the master, the rest in the test.
"""

from __future__ import annotations

import hashlib
import random
import urllib.parse
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import Any

from buildbot.plugins import schedulers, util
from buildbot.process import buildstep, results
from twisted.internet import defer

from bbmeasure import captureData
from bbmeasure.testing.site import Site

ROOT = Path(__file__).resolve().parents[2]
BUILDERS = tuple(f"builder-{number}" for number in range(1, 5))
SUBJECTS = (
    "Start the parser", "Read options from a file", "Name the unit in errors", "Drop the old cache", "Update the docs",
    "Close files early", "Add a test of links", "Rename a module", "Sort the output", "Say what failed",
    "Cache parsed headers", "Add French", "Check certificates", "Lower the log level", "Parse headers twice",
    "Split the linker step", "Bundle the fonts", "Update the licence", "Fix a typo", "Remove a warning",
    "Use one buffer", "Retry once", "Document retries", "Prepare the release",
)  # fmt: skip
REVISIONS = tuple(hashlib.sha1(subject.encode()).hexdigest() for subject in SUBJECTS)
AUTHORS = ("Ann <ann@example.org>", "Bob <bob@example.org>", "Eve <eve@example.org>")
#: Series by name: level, unit, kind and better direction.
SERIES = {
    **{f"perf.{name}": (level, "s", "duration", "lower") for name, level in (
        ("parse_time", 4.1), ("link_time", 9.5), ("startup", 0.31), ("render", 0.074), ("search", 1.9),
    )},
    **{f"size.{name}": (level, "bytes", "size", "lower") for name, level in (
        ("wheel", 3_100_000), ("debug", 41_000_000), ("fonts", 810_000),
    )},
    "cov.lines": (0.81, "ratio", "ratio", "higher"),
    "cov.branches": (0.64, "ratio", "ratio", "higher"),
    "lint.warnings": (120, None, "count", "lower"),
}  # fmt: skip
#: The worst regression: its series, its builder and its commit.
WORST, WORST_BUILDER, WORST_COMMIT = "perf.parse_time", BUILDERS[2], SUBJECTS.index("Parse headers twice")
#: A regression of every builder: its series and its commit.
SHARED, SHARED_COMMIT = "size.wheel", SUBJECTS.index("Bundle the fonts")
#: Factors by series and builder (None for all) from a commit on.
STEPS = {
    (WORST, WORST_BUILDER): (WORST_COMMIT, 1.45),
    (SHARED, None): (SHARED_COMMIT, 1.08),
    ("perf.search", None): (SUBJECTS.index("Cache parsed headers"), 0.8),
    ("cov.branches", BUILDERS[1]): (SUBJECTS.index("Add French"), 0.93),
}
#: A limit that nothing passes.
LIMITED, LIMIT = "size.debug", "47 MB"

CONFIG = f"""
import sys

sys.path.insert(0, {str(ROOT)!r})
from tests.browser import commits

commits.configure(c)
"""


def configure(c: dict[str, Any]) -> None:
    """Replace builders and schedulers by those that measure each change."""
    factory = util.BuildFactory([Measure()])
    c["builders"] = [util.BuilderConfig(name=name, workernames=["bot1"], factory=factory) for name in BUILDERS]
    c["schedulers"] = [schedulers.AnyBranchScheduler(name="all", builderNames=list(BUILDERS), treeStableTimer=None)]
    c["www"]["change_hook_dialects"] = {"base": True}
    c["www"]["auth"] = util.RemoteUserAuth(header="X-User", headerRegex="(?P<username>[a-z]+)")
    c["services"].append(util.MeasurementPolicy(gates={LIMITED: util.Gate(limit=LIMIT)}))


class Measure(buildstep.BuildStep):
    """Captures every series for the revision of the build."""

    name = "measure"

    @defer.inlineCallbacks
    def run(self) -> Generator[Any, Any, int]:
        number = REVISIONS.index(self.getProperty("revision"))
        builder = self.getProperty("buildername")
        for name, (_, unit, kind, better) in SERIES.items():
            yield captureData(name, value(name, builder, number), build=self, unit=unit, kind=kind, better=better)
        return int(results.SUCCESS)


def value(series: str, builder: str, number: int) -> float:
    """The value of a series at a commit: its level with noise, times the steps so far."""
    level, _, kind, _ = SERIES[series]
    chance = random.Random(f"{series} {builder} {number}")
    factor = 1.0
    for (name, only), (since, step) in STEPS.items():
        if name == series and only in (None, builder) and number >= since:
            factor *= step
    if kind == "count":
        return float(level)
    place = BUILDERS.index(builder) / 20 if kind == "duration" else 0.0
    return level * (1 + place) * (1 + chance.gauss(0, 0.004 if kind == "ratio" else 0.01)) * factor


def push_all(site: Site) -> None:
    """Push all commits, and wait until each builder has built every one, in their order."""
    for number, (subject, revision) in enumerate(zip(SUBJECTS, REVISIONS)):
        fields = {
            "revision": revision,
            "author": AUTHORS[number % 3],
            "comments": f"{subject}\n\nMore about it.",
            "branch": "main",
            "repository": "https://example.org/project.git",
            "project": "project",
            "revlink": f"https://example.org/commit/{revision}",
        }
        data = urllib.parse.urlencode(fields).encode()
        with urllib.request.urlopen(f"{site.url}change_hook/base", data, timeout=60) as answer:
            assert answer.status in (200, 202)
    expected = len(SUBJECTS) * len(BUILDERS)

    def finished() -> bool:
        builds = (site.get(f"builds?field=complete&limit={expected + 1}") or {}).get("builds", [])
        return len(builds) == expected and all(build["complete"] for build in builds)

    site.wait_for(finished, f"{expected} builds", 500)
