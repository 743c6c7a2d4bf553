"""captureData from each kind of user code in a real master, before and after an instance is configured."""

from __future__ import annotations

import urllib.parse
import urllib.request
from pathlib import Path

from bbmeasure.testing.site import Site
from tests.e2e.masters import BASE_CONFIG, count_of, points_of, report, series_names

CONFIG = r"""
from buildbot.process.buildstep import BuildStep
from buildbot.process.results import SUCCESS
from buildbot.reporters.base import ReporterBase
from buildbot.reporters.generators.build import BuildStatusGenerator
from twisted.internet import defer, reactor

from bbmeasure import captureData

captureData("from_master_cfg", 1, accumulate=True)
reactor.callInThread(captureData, "from_a_thread", 2)


class Counting(schedulers.AnyBranchScheduler):
    def gotChange(self, change, important):
        captureData("from_a_scheduler", 1, accumulate=True, tags={"author": change.who})
        return super().gotChange(change, important)


class Capturing(BuildStep):
    @defer.inlineCallbacks
    def run(self):
        yield captureData("from_a_step", 3, build=self, unit="ms")
        yield captureData("from_a_build", 4, build=self.build)
        return SUCCESS


class Reporter(ReporterBase):
    name = "reporter"

    def sendMessage(self, reports):
        for report in reports:
            for build in report["builds"]:
                captureData("from_a_reporter", build["results"], build=build)
        return defer.succeed(None)


@util.renderer
def counted(properties):
    captureData("from_a_renderer", 5, build=properties.getBuild())
    return "true"


f = util.BuildFactory([Capturing(name="capturing"), steps.ShellCommand(name="shell", command=[counted])])
add(util.BuilderConfig(name="b", workernames=["worker"], factory=f))
c["schedulers"].append(Counting(name="counting", builderNames=["b"], treeStableTimer=None))
c["www"]["change_hook_dialects"] = {"base": True}
c["services"] = [Reporter(generators=[BuildStatusGenerator(mode="all")])]
"""
WITH_INSTANCE = """
c["services"].append(util.SQLiteInstance())
"""
EXPECTED = {
    "from_a_step": 0.003,
    "from_a_build": 4,
    "from_a_reporter": 0,
    "from_a_renderer": 5,
}


def change(site: Site) -> None:
    """Send a change, which starts a build."""
    body = urllib.parse.urlencode({"author": "x", "comments": "c", "project": ""}).encode()
    with urllib.request.urlopen(f"{site.url}change_hook/base", data=body, timeout=60) as answer:
        answer.read()


def finished(site: Site, builds: int) -> None:
    """Wait until this many builds have ended."""

    def ended() -> bool:
        return sum(build["complete"] for build in site.get("builds")["builds"]) == builds

    site.wait_for(ended, f"{builds} builds", 300)


def test_capture_before_and_after_an_instance(tmp_path: Path) -> None:
    """Values captured without an instance are stored once an instance is configured, and totals continue."""
    with Site(tmp_path, BASE_CONFIG + CONFIG) as site:
        change(site)
        finished(site, 1)
        assert not site.journal.exists()
        site.write_config(BASE_CONFIG + CONFIG + WITH_INSTANCE)
        site.reconfig()
        change(site)
        finished(site, 2)
        expected = {*EXPECTED, "from_master_cfg", "from_a_thread", "from_a_scheduler"}
        site.wait_for(lambda: site.journal.exists() and expected <= set(series_names(site.journal)), "all series", 300)
        for series, value in EXPECTED.items():
            site.wait_for(lambda series=series: count_of(site.journal, series) == 2, f"both values of {series}", 60)
            points = [
                (point.builder, point.worker, point.build.build, point.value)
                for point in points_of(site.journal)
                if point.series == series and point.build
            ]
            assert points == [("b", "worker", 1, value), ("b", "worker", 2, value)]
        for series in expected - set(EXPECTED):
            site.wait_for(lambda series=series: count_of(site.journal, series) == 2, f"both values of {series}", 60)
            answer = report(site.journal, series)
            assert (answer["count"], answer["statistics"]["last"]) == (2, 2)
        outside = {point.series for point in points_of(site.journal) if point.build is None}
        assert outside == expected - set(EXPECTED)
