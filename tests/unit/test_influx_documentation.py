"""Tests that execute the documentation's InfluxQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.documented import EXAMPLES
from tests.servers import Influxd, wait_until

FOLDER = Path(EXAMPLES) / "influxdb"


def statements(name: str) -> list[str]:
    return [line for line in (FOLDER / name).read_text().splitlines() if line.strip()]


@pytest.fixture(scope="module")
def influxd() -> Iterator[Influxd]:
    with Influxd(auth=True, continuous_queries=True) as server:
        server.query("CREATE DATABASE buildbot")
        yield server


def ask(server: Influxd, user: str, password: str, text: str, method: str = "GET") -> requests.Response:
    return requests.request(
        method, server.url + "/query", params={"q": text, "db": "buildbot"}, auth=(user, password), timeout=60
    )


def test_users_have_the_rights_they_need_and_no_others(influxd: Influxd) -> None:
    """The master's user can write only; Grafana's user can read only, and cannot drop data by GET either."""
    for statement in statements("users.influxql"):
        influxd.query(statement)
    master, grafana = ("buildbot", "one good password"), ("grafana", "another good password")

    def write(who: tuple[str, str]) -> int:
        body = b"size value=1"
        return requests.post(
            influxd.url + "/write", params={"db": "buildbot"}, data=body, auth=who, timeout=60
        ).status_code

    assert write(master) == 204
    assert write(grafana) == 403
    assert ask(influxd, *master, "SELECT value FROM size").status_code == 403
    assert ask(influxd, *grafana, "SELECT value FROM size").json()["results"][0]["series"]
    for statement in ("DROP SERIES FROM size", "DELETE FROM size", "DROP MEASUREMENT size", "DROP DATABASE buildbot"):
        for method in ("GET", "POST"):
            assert ask(influxd, *grafana, statement, method).status_code == 403
    # with write permission, GET can drop data: the documentation warns of it
    influxd.query("GRANT ALL ON buildbot TO grafana")
    assert ask(influxd, *grafana, "DROP SERIES FROM size", "GET").status_code == 200
    assert influxd.measurements("buildbot") == []


def test_old_points_become_daily_averages(influxd: Influxd) -> None:
    """The continuous query and the query for past points both fill the daily retention policy."""
    for statement in statements("retention.influxql"):
        # one second instead of one day
        influxd.query(statement.replace("GROUP BY time(1d)", "GROUP BY time(1s)"))
    policies = {row["name"]: row["duration"] for row in influxd.rows("SHOW RETENTION POLICIES ON buildbot")}
    assert policies["recent"] == "9600h0m0s"
    assert policies["daily"] == "0s"
    past = time.time_ns() - 86_400 * 10**9 * 10

    def write(line: str) -> None:
        params = {"db": "buildbot", "rp": "recent"}
        requests.post(
            influxd.url + "/write", params=params, data=line, auth=("admin", "secret"), timeout=60
        ).raise_for_status()

    for second in range(10):
        write(f"old,builder=b value={second},buildid={second}i {past + second}")
    (statement,) = statements("past.influxql")
    influxd.query(statement, "buildbot")
    (row,) = influxd.rows('SELECT * FROM "daily"."old"', "buildbot")
    assert (row["builder"], row["value"], row["minimum"], row["maximum"], row["samples"]) == ("b", 4.5, 0, 9, 10)

    def is_aggregated() -> bool:
        write(f"new,builder=b value=2 {time.time_ns()}")
        return bool(influxd.rows('SELECT value FROM "daily"."new"', "buildbot"))

    wait_until("the continuous query", is_aggregated)
