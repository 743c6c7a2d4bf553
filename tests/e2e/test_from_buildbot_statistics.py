"""A master that moves from ``buildbot.statistics`` to bbmeasure, beside it and back, with its queries answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from bbmeasure.testing.site import Site
from tests.e2e.masters import BASE_CONFIG, points_of, run_command
from tests.servers import Influxd, wait_until

CONFIG = r"""
from buildbot.process.buildstep import BuildStep
from buildbot.process.results import SUCCESS
from twisted.internet import defer
{imports}

class Post(BuildStep):
    name = "post"

    @defer.inlineCallbacks
    def run(self):
        number = self.build.number
        self.setProperty("tree-size-KiB", 100 + number, "step")
        self.setProperty("ratio", 0.5 + number, "step")
        self.setProperty("compiler", "gcc 12", "step")
        for service in self.master.service_manager.namedServices.values():
            if hasattr(service, "yieldMetricsValue"):
                data = {{"files": number, "megabytes": 1.5 * number, "label": f"build {{number}}"}}
                yield service.yieldMetricsValue("disk", data, self.build.buildid)
                break
        return SUCCESS


def service(statistics, database, name):
    captures = [
        statistics.CaptureProperty("first", "tree-size-KiB"),
        statistics.CaptureProperty("first", "rat.*", regex=True),
        statistics.CapturePropertyAllBuilders("compiler", callback=lambda props, name: props[name][0].upper()),
        statistics.CaptureBuildDuration("first", report_in="minutes"),
        statistics.CaptureBuildStartTimeAllBuilders(),
        statistics.CaptureBuildEndTime("first"),
        statistics.CaptureDataAllBuilders("disk"),
    ]
    storage = statistics.InfluxStorageService("127.0.0.1", {port}, "root", "root", database, captures, name=name)
    return statistics.StatsService(storage_backends=[storage], name="Stats" + name)


add(util.BuilderConfig(name="first", workernames=["worker"], factory=util.BuildFactory([Post()])))
c["services"] = [{services}]
"""
STOCK = "from buildbot import statistics as stock"
MOVED = "from bbmeasure.compat import statistics as moved"
MEASUREMENTS = ["first-build-times", "first-compiler", "first-disk", "first-ratio", "first-tree-size-KiB"]
#: Queries as dashboards have them, of each measurement.
QUERIES = [
    'SELECT "value" FROM "first-tree-size-KiB" WHERE "builder_name" = \'first\'',
    'SELECT "value", "name" FROM "first-ratio" GROUP BY "builder_name"',
    'SELECT "value" FROM "first-compiler"',
    'SELECT "files", "megabytes", "label" FROM "first-disk"',
]


def config(imports: str, services: str, influxd: Influxd) -> str:
    return BASE_CONFIG + CONFIG.format(imports=imports, services=services, port=influxd.port)


@pytest.fixture(scope="module")
def influxd() -> Iterator[Influxd]:
    with Influxd() as running:
        for database in ("old", "beside"):
            running.query(f"CREATE DATABASE {database}")
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, influxd: Influxd) -> Iterator[Site]:
    """A master on ``buildbot.statistics``."""
    with Site(tmp_path_factory.mktemp("site"), config(STOCK, 'service(stock, "old", "Old")', influxd)) as running:
        yield running


def count(influxd: Influxd, database: str, measurement: str) -> int:
    rows = influxd.rows(f'SELECT * FROM "{measurement}"', database)
    return len({row["build_number"] for row in rows})


def build(site: Site, influxd: Influxd, *databases: str) -> int:
    """Build once, and wait until each database has each measurement of that build; returns its number."""
    number = int(site.build("first")["number"])

    def complete() -> bool:
        for database in databases:
            for measurement in MEASUREMENTS:
                rows = influxd.rows(f'SELECT * FROM "{measurement}" WHERE "build_number" = \'{number}\'', database)
                fields = {key for row in rows for key, value in row.items() if value is not None}
                if not rows or (measurement.endswith("times") and not {"duration", "start-time", "end-time"} <= fields):
                    return False
        return True

    wait_until(f"build {number} in {databases}", complete)
    return number


def shape(influxd: Influxd, database: str) -> dict[str, Any]:
    """Types of the fields and names of the tags of each measurement."""
    return {
        name: (
            influxd.query(f'SHOW FIELD KEYS FROM "{name}"', database),
            influxd.query(f'SHOW TAG KEYS FROM "{name}"', database),
        )
        for name in influxd.measurements(database)
    }


def test_moved_beside_and_back(site: Site, influxd: Influxd) -> None:
    """One changed import keeps measurements, tags, field types and values; both services work beside each other."""
    first = build(site, influxd, "old")
    before = shape(influxd, "old")
    assert influxd.measurements("old") == MEASUREMENTS

    both = 'service(stock, "old", "Old"), service(moved, "beside", "New")'
    site.write_config(config(f"{STOCK}\n{MOVED}", both, influxd))
    site.reconfig()
    second = build(site, influxd, "old", "beside")
    assert shape(influxd, "beside") == before
    for query in QUERIES:
        condition = f" {'AND' if 'WHERE' in query else 'WHERE'} \"build_number\" = '{second}'"
        head, _, group = query.partition(" GROUP BY ")
        ours, theirs = (
            [
                {key: value for key, value in row.items() if key != "time"}
                for row in influxd.rows(head + condition + (f" GROUP BY {group}" if group else ""), database)
            ]
            for database in ("beside", "old")
        )
        assert ours == theirs, query
        assert len(ours) == 1

    site.write_config(config(MOVED, 'service(moved, "old", "Old")', influxd))
    site.reconfig()
    third = build(site, influxd, "old")
    assert shape(influxd, "old") == before
    assert {first, second, third} == {
        int(row["build_number"]) for row in influxd.rows('SELECT * FROM "first-tree-size-KiB"', "old")
    }
    for query in QUERIES:
        assert influxd.rows(query, "old"), query

    site.write_config(config(STOCK, 'service(stock, "old", "Old")', influxd))
    site.reconfig()
    build(site, influxd, "old")
    assert shape(influxd, "old") == before


def test_the_history_is_imported(site: Site, influxd: Influxd, tmp_path: Path) -> None:
    """The points of ``buildbot.statistics`` come into a journal at their times, by a map of names, once."""
    journal = tmp_path / "history.sqlite"
    source = ("--from-influx", influxd.url, "--database", "old", "--journal", str(journal), "--json")
    maps = (
        "{builder}-build-times.duration=build_duration:min",
        "{builder}-build-times.*=",
        "*-KiB.value=tree_size:KiB",
    )
    command = ("import", *source, *(part for rename in maps for part in ("--map", rename)))
    done = run_command(*command)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["refused"] == 0
    points: dict[str, list[Any]] = {}
    for point in points_of(journal):
        points.setdefault(point.series, []).append(point)
    assert sorted(points) == [
        "build_duration",
        "first-compiler",
        "first-disk.files",
        "first-disk.label",
        "first-disk.megabytes",
        "first-ratio",
        "tree_size",
    ]
    for series, measurement, field, factor in (
        ("tree_size", "first-tree-size-KiB", "value", 1024),
        ("build_duration", "first-build-times", "duration", 60),
        ("first-ratio", "first-ratio", "value", 1),
    ):
        theirs = {
            (row["time"], int(row["build_number"]), row[field] * factor)
            for row in influxd.rows(f'SELECT * FROM "{measurement}"', "old")
            if row[field] is not None
        }
        assert {(point.time, point.build.build, point.value) for point in points[series]} == theirs
    assert points["first-disk.files"][0].tags["_statistics_type"] == "integer"
    assert json.loads(run_command(*command).stdout) == json.loads(done.stdout)
    assert len(points_of(journal)) == sum(map(len, points.values()))
    wrong = run_command("import", "--from-influx", influxd.url, "--database", "beside2", "--journal", str(journal))
    assert wrong.returncode == 1
    assert "Traceback" not in wrong.stderr


def test_a_server_that_is_down_loses_and_delays_nothing(site: Site, influxd: Influxd) -> None:
    """Builds end while the server is stopped, and their values arrive when it runs again."""
    site.write_config(config(MOVED, 'service(moved, "old", "Old")', influxd))
    site.reconfig()
    build(site, influxd, "old")
    influxd.kill()
    numbers = [int(site.build("first")["number"]) for _ in range(2)]
    influxd.start()
    for number in numbers:
        wait_until(
            f"build {number}",
            lambda number=number: influxd.rows(
                f'SELECT "duration" FROM "first-build-times" WHERE "build_number" = \'{number}\'', "old"
            ),
        )


def test_check_names_fields_of_another_type(site: Site, influxd: Influxd) -> None:
    """``bbmeasure check`` reports a field that the database refuses, with the setting that cures it."""
    site.write_config(config(MOVED, 'service(moved, "other", "Old")', influxd))
    influxd.query("CREATE DATABASE other")
    influxd.query("DROP DATABASE old")
    wait_until("the old database is gone", lambda: "old" not in influxd.databases())
    line = "first-ratio,builder_name=first,build_number=0 value=1i"
    requests.post(f"{influxd.url}/write?db=other", data=line, timeout=60).raise_for_status()
    done = run_command("check", "--master", str(site.master_dir), "--json")
    problems = json.loads(done.stdout)["problems"]
    assert done.returncode == 1
    assert any("first-ratio.value is integer" in one and "fieldTypes=" in one for one in problems), problems
