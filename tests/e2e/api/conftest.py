"""A master with builds of two builders, its server, and two users."""

from __future__ import annotations

import random

import pytest

from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Kind
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.testing.site import Site
from bbmeasure.times import NANOSECONDS
from tests.e2e.api.measured_master import CONFIG, HOSTILE, MANY, START, Client
from tests.servers import Influxd


def context(builder, number, first=10_000):
    return BuildContext(builder, "worker", number, first + number)


@pytest.fixture(scope="package")
def influxd():
    """The server that the master ships to."""
    with Influxd() as server:
        yield server


@pytest.fixture(scope="package")
def site(influxd, tmp_path_factory):
    """A master with builds of two builders, of which only admins may see "secret-builder"."""
    config = f"INFLUXDB = {influxd.url!r}\n{CONFIG}"
    with Site(tmp_path_factory.mktemp("site"), config, workers=["worker"]) as running:
        running.builds = {name: [running.build(name) for _ in range(2)] for name in ("open", "secret-builder")}  # type: ignore[attr-defined]  # added for the tests
        with Journal(running.journal) as journal:
            journal.declare(SeriesInfo(HOSTILE, Kind.COUNT))
            journal.declare(SeriesInfo("version", Kind.TEXT, builders=("open",)))
            points = [Point(HOSTILE, (START + at) * NANOSECONDS, float(at), {HOSTILE: HOSTILE}) for at in range(3)]
            points += [
                Point("shared", (START + at) * NANOSECONDS, float(at), {"n": str(at % 2)}, context(builder, at))
                for at, builder in enumerate(["open", "secret-builder", "open", "secret-builder", "gone"])
            ]
            points += [Point("hidden", START * NANOSECONDS, 1.0, {}, context("secret-builder", 1))]
            points += [Point("build_size", START * NANOSECONDS, 5.0, {}, context("first_builder", 1))]
            points += [Point("version", START * NANOSECONDS, "1.2", {}, context("open", 1))]
            journal.write(points)
            values = random.Random(1)
            for begin in range(0, MANY, 10_000):
                journal.write(
                    [
                        Point("many", (START + at) * NANOSECONDS, values.random(), {}, context("open", at, 1_000_000))
                        for at in range(begin, begin + 10_000)
                    ]
                )
        yield running


@pytest.fixture(scope="package")
def admin(site):
    """A user who may see everything."""
    return Client(site, "admin")


@pytest.fixture(scope="package")
def guest(site):
    """A user who may not see "secret-builder"."""
    return Client(site, "guest")
