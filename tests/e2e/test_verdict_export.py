"""Alerts and what is usual, from a real master in a real InfluxDB, where Grafana reads them."""

from __future__ import annotations

import json
from typing import Any

from bbmeasure.testing.site import Site
from tests.e2e.masters import BASE_CONFIG, rows, run_command
from tests.servers import Influxd

CONFIG = """
c["www"]["plugins"] = {"bbmeasure": {}}
f = util.BuildFactory()
f.addStep(steps.MeasureShellCommand(
    name="size", command=["echo", util.Interpolate("%(src::revision)s")], unit="bytes", better="lower",
    tags={"target": "core"}, gate=util.Gate(limit=500)))
add(util.MeasuredBuilderConfig(name="b", workernames=["worker"], factory=f))
c["services"] = [util.InfluxDBInstance(url=INFLUXDB, database="buildbot")]
"""


def test_alerts_and_what_is_usual_are_exported(tmp_path: Any) -> None:
    """A passed limit is an open alert, which a decision of the command line changes; each value has its limit.

    Neither a server that is away nor a master that is killed loses a point or makes it two.
    """
    with (
        Influxd() as influxd,
        Site(tmp_path, f"INFLUXDB = {influxd.url!r}\n{BASE_CONFIG}{CONFIG}") as site,
    ):
        for revision in ("400", "800"):
            assert site.build("b", revision=revision)["results"] == 0

        def alerts(state: str) -> Any:
            if "buildbot" not in influxd.databases():
                return None
            found = influxd.rows("SELECT * FROM bbmeasure_alerts", "buildbot")
            return found if [row["state"] for row in found] == [state] else None

        (row,) = site.wait_for(lambda: alerts("open"), "the open alert", 120)
        assert (row["series"], row["builder"], row["target"], row["machine"]) == ("size", "b", "core", "worker")
        assert (row["rule"], row["outcome"], row["after"], row["first_build"]) == ("limit", "worse", 800, 2)

        def usual() -> Any:
            return influxd.rows("SELECT * FROM bbmeasure_usual WHERE \"series\" = 'size'", "buildbot")

        site.wait_for(lambda: len(usual()) == 2, "what was usual for both builds", 120)
        ranges = [(one["measured"], one["limit"], one["beyond"]) for one in usual()]
        assert ranges == [(400, 500, -100), (800, 500, 300)]

        done = run_command("accept", str(row["id"]), "--why", "expected", "--master", str(site.master_dir))
        assert done.returncode == 0, done.stderr
        (accepted,) = site.wait_for(lambda: alerts("accepted"), "the accepted alert", 120)
        assert (accepted["time"], accepted["why"]) == (row["time"], "expected")

        def decisions() -> Any:
            return influxd.rows("SELECT * FROM bbmeasure_decisions", "buildbot")

        (decision,) = site.wait_for(decisions, "the decision", 120)
        assert (decision["id"], decision["state"], decision["why"]) == (row["id"], "accepted", "expected")
        assert (decision["series"], decision["target"], decision["first_build"]) == ("size", "core", 2)
        assert decision["time"] > row["time"]

        influxd.stop()
        assert site.build("b", revision="450")["results"] == 0
        kept = "SELECT count(*) FROM untold"
        site.wait_for(lambda: rows(site.journal, kept) == [(1,)], "the verdicts of the build", 60)
        assert site.master is not None
        site.master.kill()
        influxd.start()
        site.start_master()
        site.wait_for(lambda: rows(site.journal, kept) == [(0,)], "the export of the build", 120)
        assert [one["measured"] for one in usual()] == [400, 800, 450]
        assert (decisions(), alerts("accepted")) == ([decision], [accepted])  # which were sent again

        listed = run_command("series", "--master", str(site.master_dir), "--json")
        names = [one["name"] for one in json.loads(listed.stdout)["series"]]
        assert not [name for name in names if name.startswith("bbmeasure_")]
