"""Several masters of one Buildbot: one database, one WAMP router, and each build captured once, by its own master."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bbmeasure.testing.site import Site
from tests.crossbar import Crossbar
from tests.e2e.masters import BASE_CONFIG, points_of, report, series_names

CONFIG = r"""
c["multiMaster"] = True
c["db"] = {"db_url": "sqlite:///" + DATABASE}
c["mq"] = {"type": "wamp", "router_url": ROUTER, "realm": "buildbot"}
f = util.BuildFactory()
f.addStep(steps.Compile(name="compile", command=["sh", "-c", "echo 'a.c:1:2: warning: one'"]))
f.addStep(steps.ShellCommand(name="sleep", command=["sleep", "0.2"]))
add(util.BuilderConfig(name=NAME, workernames=["worker"], factory=f))
add(util.BuilderConfig(name=NAME + "-skipped", workernames=["worker"], factory=f, do_build_if=lambda _: False))
add(util.MeasuredBuilderConfig(name=NAME + "-measured", workernames=["worker"], factory=f))
c["services"] = [
    util.SQLiteInstance(trackBuildTimes=True, trackStepTimes=True, trackStatistics=True,
                        trackProperties=["warnings-count"]),
]
"""
BUILDS = 3
#: How many points a build has of each series.
OF_A_BUILD = {"build_duration": 1, "queue_duration": 1, "step_duration": 2, "warnings": 1, "warnings-count": 1}


@pytest.mark.soak
def test_each_build_is_captured_once_by_its_own_master(tmp_path: Path) -> None:
    """Two masters on one router and one database capture each of their builds whole, and none of the other's."""
    database = tmp_path / "shared.sqlite"
    with Crossbar() as router:
        heads = [
            f"NAME = {name!r}\nDATABASE = {str(database)!r}\nROUTER = {router.router_url!r}\n{BASE_CONFIG}{CONFIG}"
            for name in ("one", "two")
        ]
        with Site(tmp_path / "1", heads[0]) as first, Site(tmp_path / "2", heads[1]) as second:
            for _ in range(BUILDS):
                for site, name in ((first, "one"), (second, "two")):
                    site.build(name)
                    site.build(f"{name}-measured")
                    site.build(f"{name}-skipped")
            for site, name in ((first, "one"), (second, "two")):
                check(site, name)
            assert all(len(site.get("masters")["masters"]) == 2 for site in (first, second))


def check(site: Site, name: str) -> None:
    """All that a master's three builders have, once."""
    expected = {
        (builder, series): BUILDS * count
        for builder in (name, f"{name}-measured")
        for series, count in OF_A_BUILD.items()
    }
    expected.update(((f"{name}-skipped", series), BUILDS) for series in ("build_duration", "queue_duration"))

    def found() -> dict[tuple[str, str], int]:
        points = [point for point in points_of(site.journal) if "lock" not in point.series]
        return dict(Counter((point.builder or "", point.series) for point in points))

    site.wait_for(lambda: "warnings" in series_names(site.journal) and len(found()) >= len(expected), "points", 300)
    site.wait_for(lambda: sum(found().values()) >= sum(expected.values()), f"all points, of {found()}", 300)
    assert found() == expected
    durations = report(site.journal, "step_duration", "--builder", name, "--tag", "step=sleep")["statistics"]
    assert 0.2 <= durations["minimum"] < 10
    assert durations["minimum"] != int(durations["minimum"])
