"""A real 0.8.14 master with its slave and a real influxd: what each call writes."""

from __future__ import annotations

import json
import subprocess

import pytest

from bbmeasure.testing.site import free_port
from tests.eight.site import PYTHON, EightSite
from tests.servers import Influxd, wait_until

CONFIG = """
f = factory(
    SetPropertyFromCommand(name='version', command=['echo', '12'], property='count-of-things'),
    ShellCommand(name='compile', command=['sleep', '0.2']),
    MeasureShellCommand(name='size', command=['echo', '1.5 MiB'], better='lower'),
    MeasureShellCommand(name='marked', command=['echo',
        'x ##bbmeasure {"name":"link,time","value":12.5,"unit":"ms","tags":{"t":"x=y"}}']),
    MeasureShellCommand(name='nothing', command=['true']),
)
b = add(MeasuredBuilderConfig(name='first', slavenames=['bot'], factory=f, measureTags={'platform': 'linux'}))
b.trackStepTimes('compile', series='{builder}.compile')
b.trackProperties('count-of-things')
b.trackCustomStep('size', series='wheel_size')

import json
from twisted.internet import defer, reactor, task
from buildbot.process.buildstep import BuildStep


class Ask(BuildStep):
    name = 'ask'

    @defer.inlineCallbacks
    def start(self):
        for number in (1, 2, 3, 10):
            yield captureData('fixed', number, time=1000 + number)
        yield captureData('total', 1, accumulate=True)
        while (yield getCount('fixed')) != 4:
            yield task.deferLater(reactor, 0.1, lambda: None)
        getters = [getAverage, getDeviation, getMinimum, getMaximum, getMedian, getCount, getSum, getFirst, getLast]
        answers = []
        for getter in getters:
            answers.append((yield getter('fixed')))
        answers.append((yield getPercentile('fixed', 75)))
        answers.append((yield getCount('fixed', since=1002, until=1010)))
        answers.append((yield getCount('fixed', builder='first')))
        with open('answers', 'w') as file:
            json.dump(answers, file)
        self.finished(0)

add(MeasuredBuilderConfig(name='ask', slavenames=['bot'], factory=factory(Ask())))
c['schedulers'].append(Try_Userpass(name='try', builderNames=['first'], userpass=[('dev', 'trypw')],
                                    port='tcp:TRYPORT:interface=127.0.0.1'))
c['status'].append(InfluxDBInstance(url='URL', database='bb', trackBuildTimes=True, trackStepTimes=True))
"""

TRY_PORT = free_port()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    with Influxd() as influxd:
        config = CONFIG.replace("URL", influxd.url).replace("TRYPORT", str(TRY_PORT))
        with EightSite(tmp_path_factory.mktemp("eight"), config) as site:
            site.change("refs/heads/release/1", revision="r0")
            site.wait_for_build("first", 0)
            site.change(revision="r1")
            site.wait_for_build("first", 1)
            wait_until("both builds", lambda: count(influxd, "count-of-things") == 2)
            yield site, influxd


def rows(influxd, series):
    if series not in influxd.measurements("bb"):
        return []
    return influxd.rows(f'SELECT * FROM "{series}" ORDER BY time', "bb")


def count(influxd, series):
    if "bb" not in influxd.databases():
        return 0
    return len(rows(influxd, series))


def test_a_number_on_standard_output_becomes_a_point(built):
    first, second = rows(built[1], "wheel_size")
    assert first["value"] == 1.5 * 1024 * 1024
    assert (first["builder"], first["worker"], first["build"], first["step"]) == ("first", "bot", 0, "size")
    assert (first["platform"], first["revision"]) == ("linux", "r0")
    assert "buildid" not in first
    assert second["build"] == 1


def test_the_branch_is_that_of_the_source_stamp(built):
    assert [row["branch"] for row in rows(built[1], "wheel_size")] == ["release/1", "main"]


def test_a_marked_line_becomes_a_point(built):
    first = rows(built[1], "link,time")[0]
    assert (first["value"], first["t"], first["step"]) == (0.0125, "x=y", "marked")


def test_durations_have_their_result(built):
    steps = {row["step"]: row for row in rows(built[1], "step_duration")}
    assert steps["compile"]["value"] >= 0.2
    assert steps["compile"]["result"] == steps["nothing"]["result"] == "success"
    tracked = {row["value"] for row in rows(built[1], "first.compile")}
    assert steps["compile"]["value"] in tracked
    builds = [row["value"] for row in rows(built[1], "build_duration") if row["builder"] == "first"]
    assert min(builds) >= 0.2


def test_a_property_is_a_number(built):
    assert [row["value"] for row in rows(built[1], "count-of-things")] == [12, 12]


def test_a_try_build_is_a_proposal(built, tmp_path):
    site, influxd = built
    patch = tmp_path / "patch"
    patch.write_text("--- a/file.c\n+++ b/file.c\n@@ -1 +1 @@\n-a\n+b\n")
    site.try_patch(TRY_PORT, "first", patch, "release/1")
    site.wait_for_build("first", 2)
    wait_until("its values", lambda: count(influxd, "count-of-things") == 3)
    third = rows(influxd, "wheel_size")[2]
    assert (third["proposed"], third["proposal"], third["branch"]) == ("yes", "try", "release/1")
    assert [row["proposed"] for row in rows(influxd, "wheel_size")[:2]] == [None, None]


def test_getters_ask_the_server(built):
    """Each statistic as InfluxDB computes it, with a range and a builder."""
    site, influxd = built
    wait_until("the answers", (site.master_dir / "answers").exists, 60)
    *exact, percentile, in_range, of_builder = json.loads((site.master_dir / "answers").read_text())
    assert exact == [4, pytest.approx(4.0825, abs=1e-4), 1, 10, 2.5, 4, 16, 1, 10]
    assert (percentile, in_range, of_builder) == (3, 2, None)


def test_metadata(built):
    found = built[1].rows('SELECT kind, unit, better, builder, "series" FROM bbmeasure_series', "bb")
    by_series = {row["series"]: (row["kind"], row["unit"], row["better"]) for row in found if row["builder"] == "first"}
    assert by_series["wheel_size"] == ("size", "bytes", "lower")
    assert by_series["build_duration"] == ("duration", "s", "lower")


def test_an_export_is_what_was_captured_live(built):
    site, influxd = built
    lines = [json.loads(line) for line in site.export().stdout.splitlines()]
    lines = [line for line in lines if line["builder"] == "first" and line["build"] < 2]
    exported = {(line["series"], line["time"], line["value"]) for line in lines}
    series = {"build_duration", "step_duration", "first.compile", "count-of-things"}
    live = {
        (name, row["time"], row["value"])
        for name in series
        for row in influxd.rows(f"SELECT value FROM \"{name}\" WHERE build < 2 AND builder = 'first'", "bb")
    }
    assert exported == live
    assert len(live) == 2 * (1 + 5 + 1 + 1)


def test_a_step_without_a_value_is_a_warning(built):
    script = "from cPickle import load; b = load(open('first/0', 'rb')); print([s.results for s in b.steps])"
    done = subprocess.run([PYTHON, "-c", script], cwd=built[0].master_dir, capture_output=True, text=True, check=True)
    assert done.stdout == "[0, 0, 0, 0, 1]\n"


def test_a_running_total_goes_on_after_a_restart(built):
    """The total is in the spool: a master that is killed continues it."""
    site, influxd = built
    wait_until("a total", lambda: count(influxd, "total") >= 2, 60)
    before = max(row["value"] for row in rows(influxd, "total"))
    site.kill_master()
    site.start_master()
    site.change()
    wait_until("the next", lambda: rows(influxd, "total")[-1]["value"] > before, 120)
    values = [row["value"] for row in rows(influxd, "total")]
    assert values == [float(number) for number in range(1, len(values) + 1)]
