"""Tests of the dashboards' queries with a real InfluxDB."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import requests
import yaml

from bbmeasure.grafana.dashboards import BUILDER, MASTER, OVERVIEW, SERIES, DashboardBuilder
from bbmeasure.grafana.panels import group_series
from bbmeasure.grafana.provisioning import write_provisioning
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Direction, Kind, canonical_series
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from bbmeasure.storage.influxdb.verdict_lines import Usual, alert_lines, usual_line
from bbmeasure.storage.verdict_store import Alert, Line
from tests.grafana_model import Board, panels_of
from tests.servers import Influxd
from tests.unit.grafana.examples import HOSTILE, HOUR, KNOWN, MASTERS, START, dashboards_of

RELEASE = 'release/1.0 (it\'s "new")'
PROPOSED_VALUE = 9e12
#: Nanoseconds from the first build at a new level to the decision.
DECIDED_AFTER = 7 * HOUR


def seeded_points():
    """Points of builders and series with hostile names, hourly for three days."""
    for number, builder in enumerate(HOSTILE):
        for build in range(1, 4):
            branch = RELEASE if build == 3 else "main"
            context = BuildContext(builder, f"worker {number % 2}", build, number * 100 + build, "step", "rev", branch)
            time = START + (build * 5 + number) * HOUR
            result = {2: "failure", 3: "error" if number == 2 else "cancellation"}.get(build, "success")
            for name in ("build_duration", "queue_duration"):
                yield Point(name, time, 60.0 + build, {"result": result}, context)
            yield Point("step_duration", time, 5.0, {"step": "compile it", "result": result}, context)
            for series in HOSTILE + tuple(info.name for info in KNOWN):
                value = "a text" if series == "version" else 1000.0 * build + number
                yield Point(series, time, value, {'target "x"': builder, "opt": "O2"}, context)
        proposed = replace(context, build=9, branch="of a proposal", proposal="refs/pull/1")
        for series in (*HOSTILE, *(info.name for info in KNOWN), "build_duration", "queue_duration", "step_duration"):
            tags = {"step": "compile it", "result": "failure"} if series.endswith("_duration") else {}
            yield Point(series, START + 30 * HOUR, PROPOSED_VALUE, tags, proposed)
    for name in ("master.reactorDelay", "master.active builds"):
        yield Point(name, START + 30 * HOUR, 0.5)  # written before the master's name was a tag
        for number, master in enumerate(MASTERS):
            yield Point(name, START + 31 * HOUR, 1.0 + number, {"master": master})
    yield Point("without tags", START + 30 * HOUR, 7.0)


def seeded_verdicts():
    """Alerts of each builder in each state, and what is usual for the values of each."""
    states = ["open", "accepted", "ignored", "resolved"] * 2
    for number, (builder, state) in enumerate(zip(HOSTILE, states)):
        for series in HOSTILE:
            line = Line(
                1, series, builder, {"opt": "O2"}, "main", "worker 0", False, Kind.SIZE, "bytes", Direction.LOWER
            )
            time = START + (5 + number) * HOUR
            decided = {} if state == "open" else {"decided": time + DECIDED_AFTER}
            facts = {"reason": "The value is above the limit.", **decided}
            alert = Alert(number, line, "shift", state, "worse", 1, 1, time, 1, 900.0, 1000.0, 0.1, facts=facts)
            yield alert_lines(replace(alert, why="a reason"))
            for build in range(1, 4):
                usual = Usual(line, 1000.0 * build, "normal", 800.0, 1200.0, limit=2500.0, lower_limit=500.0)
                yield usual_line(usual, START + (build * 5 + number) * HOUR)


@pytest.fixture(scope="module")
def database():
    """Function that queries a seeded InfluxDB and fails on errors."""
    writer = LineWriter()
    lines = [writer.line(point) for point in seeded_points()]
    lines += [line.rstrip("\n") for line in seeded_verdicts()]
    lines.append(f'bbmeasure_series,series=x kind="size" {START}')
    with Influxd() as server:
        server.query("CREATE DATABASE buildbot")
        body = "\n".join(lines).encode()
        requests.post(f"{server.url}/write", params={"db": "buildbot"}, data=body, timeout=60).raise_for_status()
        yield lambda text: server.query(text, "buildbot")


@pytest.fixture
def board(written, database):
    """Factory of dashboard models."""
    return lambda uid: Board(dashboards_of(written)[uid], database, START, START + 100 * HOUR)


ALL_SERIES = sorted({canonical_series(name) for name in HOSTILE} | {canonical_series(info.name) for info in KNOWN})


@pytest.mark.slow
def test_options_of_variables(board):
    """Builders, workers, series and tags are options by their names; bbmeasure's own measurements are not."""
    shown = board(SERIES)
    shown.choose(series="plain")
    assert shown.options("builder") == sorted(HOSTILE)
    assert shown.options("worker") == ["worker 0", "worker 1"]
    assert shown.options("tag_key") == ["builder", "opt", 'target "x"', "worker"]
    assert shown.options("series") == sorted(
        [*ALL_SERIES, "build_duration", "queue_duration", "step_duration", "without tags"]
        + ["master.reactorDelay", "master.active builds"]
    )
    shown.choose(series="plain", tag_key='target "x"')
    assert shown.options("tag_value") == sorted(HOSTILE)
    one = board(BUILDER)
    one.choose(builder=HOSTILE[1])
    assert one.options("worker") == ["worker 1"]
    assert one.options("series") == sorted([*ALL_SERIES, "build_duration", "queue_duration", "step_duration"])
    assert board(MASTER).options("metric") == ["master.active builds", "master.reactorDelay"]


@pytest.mark.slow
@pytest.mark.parametrize("uid", [OVERVIEW, BUILDER, SERIES, MASTER])
def test_every_query_has_data(board, uid):
    """With a dashboard's default values each query of a panel, a variable and an annotation returns rows."""
    shown = board(uid)
    chosen = {"series": "plain"} if uid == SERIES else {"builder": HOSTILE[1]} if uid == BUILDER else {}
    shown.choose(**chosen)
    answers = shown.answers()
    assert len(answers) >= 3
    assert [query for _, query, found in answers if not found and '"version"' not in query] == []
    variables = [one["name"] for one in shown.variables if one["type"] == "query"]
    assert [name for name in variables if not shown.options(name)] == []
    annotations = shown.model["annotations"]["list"]
    empty = {one["name"] for one in annotations if not shown.ask(one["target"]["query"])}
    assert empty == ({"Open alerts", "Resolved"} if uid == BUILDER else set())  # the builder's alerts are accepted


@pytest.mark.slow
@pytest.mark.parametrize("uid", [OVERVIEW, BUILDER, SERIES, MASTER])
def test_proposals_are_in_no_panel(board, uid):
    """No query of a dashboard returns a point of a proposal, and its branch is no option."""
    shown = board(uid)
    shown.choose(**({"series": "plain"} if uid == SERIES else {}))
    found = [one for _, _, answer in shown.answers() for one in answer]
    found += [
        one for annotation in shown.model["annotations"]["list"] for one in shown.ask(annotation["target"]["query"])
    ]
    values = [value for one in found for row in one["rows"] for value in row.values()]
    assert values
    assert PROPOSED_VALUE not in values
    assert 9 not in [row.get("build") for one in found for row in one["rows"]]
    if uid != MASTER:
        assert shown.options("branch") == sorted(["main", RELEASE])


@pytest.mark.slow
@pytest.mark.parametrize(("uid", "table"), [(BUILDER, "Builds"), (SERIES, "Points")])
def test_one_branch(board, uid, table):
    """With a branch chosen, tables and curves have builds of that branch alone."""
    shown = board(uid)
    of_dashboard = {"series": "plain"} if uid == SERIES else {}
    for branches, builds in ((["main"], {1, 2}), ([RELEASE], {3}), (["main", RELEASE], {1, 2, 3}), (["none"], set())):
        shown.choose(**of_dashboard, branch=branches)
        rows = [row for title, _, found in shown.answers() if title == table for one in found for row in one["rows"]]
        assert {row["build"] for row in rows} == builds
        assert {row["branch"] for row in rows} <= set(branches)
    shown = board(OVERVIEW)
    shown.choose(branch=[RELEASE])
    (results,) = [found for title, _, found in shown.answers() if title == "Builds by result"]
    assert sum(row["count"] for one in results for row in one["rows"]) == len(HOSTILE)


@pytest.mark.slow
def test_a_point_without_branch_is_of_no_chosen_branch(board):
    """A point outside builds is shown for every branch, and not for one."""
    shown = board(SERIES)
    for chosen, count in (({}, 1), ({"branch": ["main"]}, 0)):
        shown.choose(series="without tags", **chosen)
        rows = [row for title, _, found in shown.answers() if title == "Points" for one in found for row in one["rows"]]
        assert len(rows) == count


@pytest.mark.slow
def test_units_of_builders_are_shown_apart(database):
    """The last values of a series with two units are in two panels, each with the builders of its unit."""
    bytes_of, seconds_of = HOSTILE[1], HOSTILE[4]
    groups = group_series(
        [
            SeriesInfo("plain", Kind.SIZE, "bytes", Direction.LOWER, (bytes_of,)),
            SeriesInfo("plain", Kind.DURATION, "s", Direction.LOWER, (seconds_of,)),
        ]
    )
    shown = Board(DashboardBuilder(groups).overview(), database, START, START + 100 * HOUR)
    shown.choose()
    found = {
        title: {one["tags"]["builder"] for one in answer if one["name"] == "plain"}
        for title, _, answer in shown.answers()
        if "last values" in title
    }
    assert found["Sizes, lower is better: last values"] == {bytes_of}
    assert [builders for builders in found.values() if seconds_of in builders] == [{seconds_of}]


@pytest.mark.slow
@pytest.mark.parametrize("builder", HOSTILE)
def test_the_builder_dashboard_shows_one_builder(board, builder):
    """For a builder of any name the dashboard has its three builds and no others."""
    shown = board(BUILDER)
    shown.choose(builder=builder)
    serialize = shown.answers()
    rows = [row for title, _, found in serialize if title == "Builds" for series in found for row in series["rows"]]
    assert [(row["builder"], row["build"]) for row in rows] == [(builder, 3), (builder, 2), (builder, 1)]
    number = HOSTILE.index(builder)
    curves = [(query, found) for title, query, found in serialize if title == "Values of $series"]
    assert len(curves) == len(ALL_SERIES) + 3
    for query, found in curves:
        values = [row["median"] for series in found for row in series["rows"]]
        if '"version"' not in query and "_duration" not in query:
            assert values == [1000.0 * build + number for build in (1, 2, 3)]


@pytest.mark.slow
@pytest.mark.parametrize("series", [name for name in ALL_SERIES if name != "version"])
def test_the_series_dashboard_shows_one_series(board, series):
    """For a series of any name the dashboard has its points, by builder, worker and tag."""
    shown = board(SERIES)
    shown.choose(series=series)
    for title, query, found in shown.answers():
        assert {one["name"] for one in found} <= {series, "bbmeasure_usual"}, query
        if title == "Points":
            assert len(found[0]["rows"]) == 3 * len(HOSTILE)
    several = [HOSTILE[1], HOSTILE[4]]
    for narrowing in (
        {"builder": several},
        {"tag_key": 'target "x"', "tag_value": several},
        {"builder": several, "worker": ["worker 0", "worker 1"]},
    ):
        shown.choose(series=series, **narrowing)
        points = [row for title, _, found in shown.answers() if title == "Points" for row in found[0]["rows"]]
        assert {row["builder"] for row in points} == set(several)
        assert len(points) == 6


@pytest.mark.slow
@pytest.mark.parametrize("uid", [OVERVIEW, BUILDER, SERIES])
def test_no_median_is_over_different_tags(board, uid):
    """By default each combination of tags has a curve and statistics of its own, without the tag of proposals."""
    shown = board(uid)
    shown.choose(**({"series": "plain"} if uid == SERIES else {}))
    queries = [
        (query, found)
        for _, query, found in shown.answers()
        if '"build"' not in query and "result" not in query and "_usual" not in query
    ]
    assert queries
    for query, found in queries:
        for one in found:
            assert "proposed" not in one["tags"]
            rest = {name: value for name, value in one["tags"].items() if value}
            assert set(rest) >= {"builder", "worker"} or "without tags" in query or "master." in query, query


@pytest.mark.slow
def test_grouping_by_a_tag(board):
    """A chosen tag, or several, has a curve for each of its values."""
    shown = board(SERIES)
    shown.choose(series="plain")
    assert shown.options("group_by") == ["builder", "opt", 'target "x"', "worker"]
    for tags in (["opt"], ['target "x"'], ["worker", "opt"]):
        shown.choose(series="plain", group_by=tags)
        found = next(found for title, _, found in shown.answers() if title == "Values of $series")
        assert {frozenset(one["tags"]) for one in found} == {frozenset(tags)}
        assert len(found) == {"opt": 1, 'target "x"': len(HOSTILE), "worker": 2}[tags[0]]


@pytest.mark.slow
def test_a_series_without_tags(board):
    """A point without builder and tags is in the dashboard of its series."""
    shown = board(SERIES)
    shown.choose(series="without tags")
    titles = ("Values of $series", "Points")
    assert all(found for title, query, found in shown.answers() if title in titles and "_usual" not in query)


@pytest.mark.slow
@pytest.mark.parametrize("uid", [OVERVIEW, BUILDER, SERIES])
def test_failed_builds_are_annotated(board, uid):
    """The annotation's query returns the builds that failed or ended in an exception."""
    shown = board(uid)
    several = HOSTILE[1] if uid == BUILDER else [HOSTILE[1], HOSTILE[2]]
    shown.choose(builder=several)
    annotation = shown.model["annotations"]["list"][0]["target"]
    rows = [row for series in shown.ask(annotation["query"]) for row in series["rows"]]
    failed = {(name, 2, "failure") for name in ([several] if uid == BUILDER else several)}
    raised = set() if uid == BUILDER else {(HOSTILE[2], 3, "error")}
    assert {(row["builder"], row["build"], row["result"]) for row in rows} == failed | raised
    assert {annotation["textColumn"], *annotation["tagsColumn"].split(",")} <= set(rows[0])


@pytest.mark.slow
@pytest.mark.parametrize("uid", [OVERVIEW, BUILDER, SERIES])
def test_alerts_are_annotated(board, uid):
    """Alerts are annotated where they began and, at its own time, where they were decided.

    In a series' dashboard they are those of the series.
    """
    shown = board(uid)
    shown.choose(**({"series": "plain", "builder": list(HOSTILE)} if uid == SERIES else {"builder": HOSTILE[1]}))
    found = {
        one["name"]: [row for series in shown.ask(one["target"]["query"]) for row in series["rows"]]
        for one in shown.model["annotations"]["list"]
    }
    if uid == SERIES:
        states = {name: sorted(row["state"] for row in rows) for name, rows in found.items() if "builds" not in name}
        assert states == {
            "Open alerts": ["open"] * 2,
            "Earlier changes": ["accepted"] * 2 + ["ignored"] * 2 + ["resolved"] * 2,
            "Accepted and ignored": ["accepted"] * 2 + ["ignored"] * 2,
            "Resolved": ["resolved"] * 2,
        }
        began = {row["builder"]: row["time"] for row in found["Earlier changes"]}
        for row in (*found["Accepted and ignored"], *found["Resolved"]):
            assert row["time"] - began[row["builder"]] == pytest.approx(DECIDED_AFTER, abs=1_000)
        assert {row["series"] for rows in found.values() for row in rows if "series" in row} == {"plain"}
    else:
        assert {row["builder"] for row in found["Accepted and ignored"]} == {HOSTILE[1]}
        assert found["Open alerts"] == []
    for one in shown.model["annotations"]["list"]:
        columns = {one["target"]["textColumn"], *one["target"]["tagsColumn"].split(",")}
        assert all(columns <= set(row) for row in found[one["name"]])


@pytest.mark.slow
@pytest.mark.parametrize("series", [canonical_series(name) for name in HOSTILE])
def test_what_is_usual_is_drawn(board, series):
    """The curves of a series have its usual range and its limit, those of the chosen builder."""
    shown = board(SERIES)
    shown.choose(series=series, builder=[HOSTILE[2]])
    queries = [(query, found) for title, query, found in shown.answers() if "bbmeasure_usual" in query]
    values = [{row["median"] for one in found for row in one["rows"]} for _, found in queries]
    assert values == [{800.0}, {1200.0}, {2500.0}, {500.0}]
    panel = next(one for one in shown.panels if one["title"] == "Values of $series")
    override = panel["fieldConfig"]["overrides"][-1]["matcher"]["options"]
    assert all(re.search(override[1:-1], one["alias"]) for one in panel["targets"][1:])
    assert not re.search(override[1:-1], panel["targets"][0]["alias"])


@pytest.mark.slow
def test_the_rules_of_alerting(written, database):
    """Each rule's query has a series for each builder and series, which the rule fires for if the last is above 0."""
    (group,) = written["alerting/bbmeasure.yaml"]["groups"]
    found = {}
    for rule in group["rules"]:
        query = rule["data"][0]["model"]["query"].replace("$timeFilter", f"time >= {START}")
        found[rule["uid"]] = database(query)
        assert [one["refId"] for one in rule["data"]] == ["A", "B", "C"]
        assert rule["condition"] == "C"
        assert rule["data"][0]["datasourceUid"] == "bbmeasure"
    names = {canonical_series(name) for name in HOSTILE}
    open_alerts = {(one["tags"]["builder"], one["tags"]["series"]) for one in found["bbmeasure-worse"]}
    assert open_alerts == {(builder, series) for builder in (HOSTILE[0], HOSTILE[4]) for series in names}
    beyond = {one["rows"][-1]["last"] for one in found["bbmeasure-limit"]}
    assert beyond == {500.0}
    assert len(found["bbmeasure-limit"]) == len(HOSTILE) * len(names)


@pytest.mark.slow
def test_the_master_dashboard_separates_masters(board):
    """Each of several masters has its own curve, and can be selected."""
    shown = board(MASTER)
    assert shown.options("master") == sorted(MASTERS)
    shown.choose(metric=["master.reactorDelay"])

    def lines():
        found = [one for title, _, answer in shown.answers() if title == "$metric" for one in answer]
        return {one["tags"]["master"]: [row["median"] for row in one["rows"]] for one in found}

    assert lines() == {"": [0.5], MASTERS[0]: [1.0], MASTERS[1]: [2.0]}
    shown.choose(metric=["master.reactorDelay"], master=[MASTERS[1]])
    assert lines() == {MASTERS[1]: [2.0]}


@pytest.mark.slow
def test_a_retention_policy_is_read(tmp_path, database):
    """With a retention policy each query reads from it."""
    files = write_provisioning(tmp_path, url="http://x", retention_policy='au"to', series=KNOWN)
    model = json.loads(next(path for path in files if path.stem == SERIES).read_text())
    queries = [target["query"] for panel in panels_of(model) for target in panel["targets"]]
    assert all('FROM "au\\"to".' in query for query in queries)
    database('CREATE RETENTION POLICY "au\\"to" ON "buildbot" DURATION INF REPLICATION 1')
    shown = Board(model, database, START, START + 100 * HOUR)
    shown.choose(series="plain", builder=[HOSTILE[0]], tag_key="opt")
    assert all(not found for _, _, found in shown.answers())
    (rules,) = (yaml.safe_load(path.read_text()) for path in files if path.parent.name == "alerting")
    for rule in rules["groups"][0]["rules"]:
        query = rule["data"][0]["model"]["query"]
        assert 'FROM "au\\"to".' in query
        assert database(query.replace("$timeFilter", f"time >= {START}")) == []
