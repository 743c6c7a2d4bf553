"""Alerts and what is usual in line protocol, written to a real InfluxDB."""

from __future__ import annotations

import pytest
import requests

from bbmeasure.records import Direction, Kind
from bbmeasure.storage.influxdb.verdict_lines import Usual, alert_lines, usual_line
from bbmeasure.storage.verdict_store import ACCEPTED, OPEN, RESOLVED, Alert, Line
from tests.servers import Influxd

HOSTILE = 'a "b", c=d\\ @team\n<x>'


def line(series="size", /, **tags):
    return Line(1, series, "first builder", tags, "main", "worker", False, Kind.SIZE, "bytes", Direction.LOWER)


def alert(of=None, state=OPEN, decided=None, id=3, **more):
    facts = {"reason": "why", "suspects": [{"revision": "r1", "author": "ann", "subject": 'fix "it"', "url": None}]}
    facts.update({} if decided is None else {"decided": decided})
    numbers = {"build": 7, "buildid": 70, "time": 1_790_000_000 * 10**9, "opened": 71}
    return Alert(
        id=id, line=of or line(), rule="shift", state=state, outcome="worse", before=1.0, after=1.5, change=0.5,
        facts=facts, **numbers, **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def influxd():
    with Influxd() as server:
        server.query('CREATE DATABASE "t"')
        yield server


def write(influxd, *lines):
    for text in lines:
        body = text.encode()
        requests.post(f"{influxd.url}/write", params={"db": "t"}, data=body, timeout=60).raise_for_status()


@pytest.mark.parametrize("series", ["size", HOSTILE])
def test_an_alert_is_one_point(influxd, series):
    """A decision overwrites the state of the alert's point."""
    of = line(series, target=HOSTILE, series="a tag of that name", machine="another")
    write(influxd, alert_lines(alert(of)), alert_lines(alert(of, ACCEPTED, who="bob", why=HOSTILE)))
    rows = [row for row in influxd.rows("SELECT * FROM bbmeasure_alerts", "t") if row["series"][0] == series[0]]
    (row,) = rows
    assert (row["state"], row["by"], row["rule"], row["outcome"]) == ("accepted", "bob", "shift", "worse")
    assert (row["before"], row["after"], row["change"], row["first_build"]) == (1.0, 1.5, 0.5, 7)
    assert row["suspects"] == 'r1 ann fix "it"'
    assert (row["machine"], row["branch"]) == ("worker", "main")


def test_a_decision_is_one_point(influxd):
    """A decision is one point at its own time, also if it is sent again; several in one second are several."""
    second = 1_790_003_600 * 10**9
    of = line("decided", target=HOSTILE)
    decided = [
        alert(of, ACCEPTED, second, id=4, who="bob", why=HOSTILE),
        alert(of, RESOLVED, second, id=5, why="it came back"),
    ]
    write(influxd, *map(alert_lines, [alert(of), *decided, *decided]))
    rows = [row for row in influxd.rows("SELECT * FROM bbmeasure_decisions", "t") if row["series"] == "decided"]
    assert [(row["id"], row["state"], row["by"]) for row in rows] == [(4, "accepted", "bob"), (5, "resolved", None)]
    assert [row["time"] for row in rows] == [second + 4, second + 5]
    assert [(row["rule"], row["outcome"], row["first_build"], row["change"]) for row in rows] == [
        ("shift", "worse", 7, 0.5)
    ] * 2
    assert rows[0]["target"].startswith('a "b", c=d')


def test_what_is_usual(influxd):
    """A judged value has its range and its limits; what is missing is left out."""
    time = 1_790_000_000 * 10**9
    usual = Usual(line(target="core"), 15.0, "worse", 9.0, 11.0, limit=12.0)
    write(influxd, usual_line(usual, time), usual_line(Usual(line("bare"), 1.0, "no_baseline"), time))
    full, bare = sorted(influxd.rows("SELECT * FROM bbmeasure_usual", "t"), key=lambda row: row["series"] == "bare")
    assert (full["measured"], full["low"], full["high"], full["limit"], full["beyond"]) == (15.0, 9.0, 11.0, 12.0, 3.0)
    assert full["target"] == "core"
    assert (bare["measured"], bare["low"], bare["beyond"]) == (1.0, None, None)


@pytest.mark.parametrize(
    ("value", "limit", "lower_limit", "beyond"),
    [(5.0, None, None, None), (5.0, 4.0, None, 1.0), (5.0, None, 6.0, 1.0), (5.0, 7.0, 4.0, -1.0)],
)
def test_beyond_a_limit(value, limit, lower_limit, beyond):
    """The larger excess counts; it is negative within both limits."""
    assert Usual(line(), value, "normal", limit=limit, lower_limit=lower_limit).beyond == beyond
