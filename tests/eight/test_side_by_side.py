"""Buildbot 0.8.14 and a current Buildbot build side by side into one InfluxDB.

One report, one dashboard and one page, through ``answers=True``, show both.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect, sync_playwright

from bbmeasure.grafana.dashboards import SERIES
from bbmeasure.grafana.provisioning import write_provisioning
from bbmeasure.testing.site import Site
from tests.browser.conftest import TIMEOUT_MS, launch
from tests.e2e.masters import BASE_CONFIG, run_command
from tests.eight.site import EightSite
from tests.grafana_model import Board
from tests.servers import Influxd, wait_until

NEW = (
    BASE_CONFIG
    + """
f = util.BuildFactory()
f.addStep(steps.MeasureShellCommand(name="build_size", command=["echo", "2 MiB"], better="lower"))
add(util.MeasuredBuilderConfig(name="new", workernames=["worker"], factory=f))
c["services"] = [util.InfluxDBInstance(url="INFLUX", database="bb", answers=True, trackBuildTimes=True)]
c["www"]["plugins"] = {"bbmeasure": {}}
"""
)
OLD = """
add(MeasuredBuilderConfig(name='old', slavenames=['bot'], factory=factory(
    MeasureShellCommand(name='build_size', command=['echo', '1 MiB'], better='lower'))))
c['status'].append(InfluxDBInstance(url='URL', database='bb', trackBuildTimes=True))
"""


@dataclass(frozen=True)
class Both:
    """Both masters, and the server that they share."""

    old: EightSite
    new: Site
    influxd: Influxd

    def get(self, path: str, **arguments: str):
        """The answer of the new master's JSON API."""
        with urlopen(f"{self.new.url}plugins/bbmeasure/api/v1/{path}?{urlencode(arguments)}", timeout=60) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("both")
    with Influxd() as influxd:
        old_config, new_config = OLD.replace("URL", influxd.url), NEW.replace("INFLUX", influxd.url)
        with EightSite(folder / "old", old_config) as old, Site(folder / "new", new_config) as new:
            for number in range(2):
                old.change(revision=f"r{number}")
                old.wait_for_build("old", number)
                new.build("new")
            for series in ("build_size", "build_duration"):
                wait_until(series, lambda: stored(influxd, series) == 4, 60)  # noqa: B023  (called at once)
            yield Both(old, new, influxd)


def stored(influxd, series):
    if "bb" not in influxd.databases() or series not in influxd.measurements("bb"):
        return 0
    return len(influxd.rows(f'SELECT value FROM "{series}"', "bb"))


def test_one_report_shows_both(both):
    """``bbmeasure report``, and one of each builder."""
    done = run_command("report", "build_size", "--url", both.new.url, "--json")
    statistics = json.loads(done.stdout)["statistics"]
    assert (statistics["count"], statistics["average"]) == (4, 1.5 * 2**20)
    for builder, size in (("old", 2**20), ("new", 2 * 2**20)):
        done = run_command("report", "build_size", "--url", both.new.url, "--json", "--builder", builder)
        statistics = json.loads(done.stdout)["statistics"]
        assert (statistics["count"], statistics["average"]) == (2, size)


def test_one_series_has_both_builders_and_one_unit(both):
    """Both masters agree on kind, unit and direction."""
    (series,) = [one for one in both.get("series")["series"] if one["name"] == "build_size"]
    assert sorted(series["builders"]) == ["new", "old"]
    assert (series["kind"], series["unit"], series["better"], series["count"]) == ("size", "bytes", "lower", 4)


def test_points_of_the_old_master_have_no_buildid(both):
    """They have the number of the build, its worker and its branch."""
    points = both.get("points", series="build_size")["points"]
    old = [point for point in points if point["builder"] == "old"]
    assert [(point["build"], point["worker"]) for point in old] == [(0, "bot"), (1, "bot")]
    assert {point["buildid"] for point in old} == {None}
    assert [point["revision"] for point in old] == ["r0", "r1"]
    assert all(point["buildid"] for point in points if point["builder"] == "new")


def test_one_dashboard_shows_both(both, tmp_path):
    """The queries of the dashboard of one series return rows of both builders."""
    write_provisioning(tmp_path, url=both.influxd.url, database="bb")
    models = [json.loads(path.read_text()) for path in tmp_path.rglob("*.json")]
    (model,) = [model for model in models if model.get("uid") == SERIES]
    now = time.time_ns()
    board = Board(model, lambda text: both.influxd.query(text, "bb"), now - 3600 * 10**9, now + 3600 * 10**9)
    board.choose(series="build_size")
    assert sorted(board.options("builder")) == ["new", "old"]
    answers = board.answers()
    assert answers
    assert "new" in str(answers)
    assert "old" in str(answers)


def test_one_page_shows_both(both):
    """The page of the series names both builders below its chart."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.goto(f"{both.new.url}#/measurements/build_size")
        for line in ("old .*1 MiB", "new .*2 MiB"):
            row = page.get_by_role("row", name=re.compile(line))
            expect(row.first).to_be_visible(timeout=TIMEOUT_MS)
        browser.close()


def test_an_import_is_what_the_old_master_sent(both, tmp_path):
    """Exported builds, imported into a journal and shipped from there, add no point to the server."""
    lines = tmp_path / "lines"
    lines.write_text(both.old.export().stdout)
    done = run_command("import", str(lines), "--master", str(both.new.master_dir), "--json")
    assert json.loads(done.stdout) == {"points": 4, "refused": 0}, done.stderr
    before = {row["time"]: row["value"] for row in rows(both, "build_duration")}
    wait_until("the imported points", lambda: len(rows(both, "step_duration")) == 2, 60)
    assert {row["time"]: row["value"] for row in rows(both, "build_duration")} == before
    report = run_command("report", "build_duration", "--master", str(both.new.master_dir), "--json", "--builder", "old")
    assert json.loads(report.stdout)["statistics"]["count"] == 2


def rows(both, series):
    if series not in both.influxd.measurements("bb"):
        return []
    return both.influxd.rows(f"SELECT value FROM \"{series}\" WHERE builder = 'old'", "bb")
