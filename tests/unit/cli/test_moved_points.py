"""Tests of ``ship --from`` for points that a server has under other tags."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bbmeasure.cli import config, moved_points
from bbmeasure.cli.config import ExporterConfig
from bbmeasure.cli.influxdb_client import BlockingClient
from bbmeasure.model import BuildContext, Point
from bbmeasure.storage.influxdb.influxql import Statement
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from bbmeasure.storage.influxdb.server import Server
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.testing.site import free_port
from tests.hostile import Reply, Scripted
from tests.servers import Influxd
from tests.unit.cli.masters import NOW, SECRET, run_json

PROPOSED = BuildContext("first", "bot1", 2, 102, branch="main", proposal="refs/pull/1")
PLAIN = replace(PROPOSED, proposal="")
_NUMBERS = itertools.count()


@pytest.fixture
def server(influxd: Influxd) -> Server:
    """A database of its own."""
    name = f"moved{next(_NUMBERS)}"
    influxd.query(f"CREATE DATABASE {name}")
    for user, right in (("both", "ALL"), ("writer", "WRITE")):
        influxd.query(f"GRANT {right} ON {name} TO {user}")
    return Server(influxd.url, name, "both", SECRET)


@pytest.fixture
def client(server: Server) -> Iterator[BlockingClient]:
    made = BlockingClient(server)
    yield made
    made.close()


def moved(build: BuildContext, count: int = 10, **tags: str) -> list[Point]:
    return [Point("size", NOW + number, float(number), tags, build) for number in range(count)]


@pytest.fixture
def journal_of(tmp_path: Path) -> Iterator[Any]:
    """Factory of journals with some points."""
    with ExitStack() as stack:

        def make(points: Sequence[Point]) -> Journal:
            made = stack.enter_context(Journal(tmp_path / f"{next(_NUMBERS)}.sqlite"))
            made.write(points)
            return made

        yield make


def write(client: BlockingClient, points: Sequence[Point]) -> None:
    writer = LineWriter()
    client.write([writer.line(point) for point in points])


@pytest.mark.parametrize(("before", "now"), [(PLAIN, PROPOSED), (PROPOSED, PLAIN)])
@pytest.mark.parametrize("page", [4, 7, 5_000])
def test_only_moved_points_are_found(
    client: BlockingClient,
    journal_of: Any,
    monkeypatch: pytest.MonkeyPatch,
    before: BuildContext,
    now: BuildContext,
    page: int,
) -> None:
    """Points that became points of a proposal, or of none, are found once each; others of the same times are not."""
    monkeypatch.setattr(moved_points, "PAGE", page)
    write(client, moved(before, k="v"))
    write(client, moved(replace(before, builder="second")))
    write(client, moved(replace(before, worker="bot2")))
    write(client, moved(now, 5))
    assert [rows for _, rows in moved_points.find(journal_of(moved(now)), client, NOW) if rows] == []
    journal = journal_of([*moved(now, k="v"), *moved(now, k="w"), *moved(now)])
    rows = [row for _, found in moved_points.find(journal, client, NOW + 4) for row in found]
    assert sorted(time for time, _ in rows) == [NOW + number for number in range(4, 10)]
    assert {tags["k"] for _, tags in rows} == {"v"}
    moved_points.delete(client, "size", rows)
    assert [rows for _, rows in moved_points.find(journal, client, NOW + 4) if rows] == []
    (left,) = client.query('SELECT count("value") FROM size')
    assert left["count"] == 35 - len(rows)


def test_a_server_without_moved_points(client: BlockingClient, journal_of: Any) -> None:
    """Nothing is found on an empty server, and where all points have the tags that they would get."""
    journal = journal_of([*moved(PROPOSED), *moved(PLAIN, k="v"), Point("load", NOW, 1.0)])
    assert [rows for _, rows in moved_points.find(journal, client, 0) if rows] == []
    write(client, [*moved(PROPOSED), *moved(PLAIN, k="v")])
    assert [rows for _, rows in moved_points.find(journal, client, 0) if rows] == []
    assert moved_points.count_proposed(journal, NOW + 4) == 6


@pytest.fixture
def shipping_master(master: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A master whose journal has proposals that its server has from version 0.1."""
    exporter = ExporterConfig("InfluxDBInstance", "InfluxDBInstance", server)
    monkeypatch.setattr(config, "read_exporters", lambda master: [exporter])
    with Journal(master / "bbmeasure.sqlite") as journal:
        journal.write(moved(PROPOSED, k="v"))
    return master


def stored(client: BlockingClient) -> dict[Any, int]:
    """The number of points by the tag ``proposed``."""
    (found,) = client.execute(Statement('SELECT count("value") FROM size GROUP BY proposed'))
    return {series["tags"]["proposed"]: series["values"][0][1] for series in found}


def test_ship_states_what_would_be_doubled(shipping_master: Path, client: BlockingClient, capsys: Any) -> None:
    """The number is printed before anything is queued, and is in the answer."""
    write(client, moved(PLAIN, k="v"))
    status, done = run_json(capsys, "ship", "--master", shipping_master, "--from", "2023-11-14T22:13:20Z", "--drain")
    assert (status, done["doubled"], done["replaced"], done["queued"], done["waiting"]) == (0, 10, 0, 20, 0)
    assert stored(client) == {"": 20, "yes": 10}


def test_ship_replaces_what_would_be_doubled(shipping_master: Path, client: BlockingClient, capsys: Any) -> None:
    """With --replace the points are deleted under their former tags: each is stored once."""
    write(client, moved(PLAIN, k="v"))
    arguments = ("ship", "--master", shipping_master, "--from", "2023-11-14T22:13:20Z", "--drain", "--replace")
    status, done = run_json(capsys, *arguments)
    assert (status, done["doubled"], done["replaced"], done["queued"], done["waiting"]) == (0, 0, 10, 20, 0)
    assert stored(client) == {"": 10, "yes": 10}
    assert run_json(capsys, *arguments)[1]["replaced"] == 0


def test_ship_without_an_answer_of_the_server(
    shipping_master: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Without read permission, server or configuration the number is unknown; with --replace nothing is queued."""
    for changed in (replace(server, username="writer"), replace(server, url=f"http://127.0.0.1:{free_port()}"), None):
        exporter = ExporterConfig("InfluxDBInstance", "InfluxDBInstance", changed, problem="no such secret")
        monkeypatch.setattr(config, "read_exporters", lambda master, exporter=exporter: [exporter])
        status, done = run_json(capsys, "ship", "--master", shipping_master, "--from", "2023-11-14T22:13:20Z")
        assert (status, done["doubled"], done["queued"]) == (0, None, 20)
        waiting = done["waiting"]
        status, _ = run_json(capsys, "ship", "--master", shipping_master, "--from", "2023-11-14T22:13:20Z", "--replace")
        assert status != 0
        assert run_json(capsys, "ship", "--master", shipping_master)[1]["waiting"] == waiting


def test_an_unexpected_answer_is_no_answer(shipping_master: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """A server that answers anything else is not compared, and the command does not fail."""
    for series in (5, [5], [{"name": "size"}], [{"name": "size", "tags": {"builder": "first"}, "values": [[1]]}]):
        with Scripted(lambda _, series=series: Reply(200, {"results": [{"series": series}]})) as other:
            exporter = ExporterConfig("InfluxDBInstance", "InfluxDBInstance", Server(other.url, "t"))
            monkeypatch.setattr(config, "read_exporters", lambda master, exporter=exporter: [exporter])
            status, done = run_json(capsys, "ship", "--master", shipping_master, "--from", "2023-11-14T22:13:20Z")
            assert (status, done["doubled"], done["queued"]) == (0, None, 20)


def test_ship_warns_on_standard_error(shipping_master: Path, client: BlockingClient, run: Any) -> None:
    """The warning names the number of points and the option; without doubled points there is none."""
    arguments = ("ship", "--master", shipping_master, "--from", "2023-11-14T22:13:20Z")
    assert "twice" not in run(*arguments).err
    write(client, moved(PLAIN, k="v"))
    printed = run(*arguments)
    assert "InfluxDBInstance: the server will have 10 points twice" in printed.err
    assert "--replace" in printed.err
    journal = shipping_master / "bbmeasure.sqlite"
    assert "these 10 points of proposals" in run("ship", "--journal", journal, "--from", "2023-11-14T22:13:20Z").err
    assert run("ship", "--journal", journal, "--from", "2023-11-14T22:13:20Z", "--replace").status == 2
    assert run("ship", "--master", shipping_master, "--replace").status == 2
