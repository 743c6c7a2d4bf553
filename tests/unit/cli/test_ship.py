"""The commands ship and health, on real servers."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bbmeasure.cli import config, main
from bbmeasure.cli.config import ExporterConfig
from bbmeasure.cli.influxdb_client import BlockingClient
from bbmeasure.model import Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.influxdb.server import Server
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.testing.site import free_port
from tests.servers import Influxd, VictoriaMetrics
from tests.unit.cli.masters import NOW, SECRET, configure, points, run_json


@pytest.fixture
def ships_to(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Configure the server that the master ships to."""

    def configured(url: str, *, name: str = "InfluxDBInstance", numbers_only: bool = False, **options: Any) -> None:
        create = options.pop("create_database", True)
        server = Server(url, **{"database": "t", "username": "both", "password": SECRET, **options})
        exporter = ExporterConfig(name, "", server, numbers_only=numbers_only, create_database=create)
        monkeypatch.setattr(config, "read_exporters", lambda master: [exporter])

    return configured


def test_drain_without_a_running_master(master: Path, influxd: Influxd, ships_to: Any, capsys: Any) -> None:
    """Every queued point is written."""
    influxd.query("DROP MEASUREMENT size", "t")
    ships_to(influxd.url)
    status, done = run_json(capsys, "ship", "--master", master, "--drain")
    assert status == 0
    assert done == {"sink": "InfluxDBInstance", "queued": 0, "shipped": 10, "refused": 0, "dropped": 0, "waiting": 0}
    assert len(influxd.rows("SELECT value FROM size", "t")) == 10


@pytest.mark.parametrize(("user", "right"), [("both", "ALL"), ("writer", "WRITE")])
def test_drain_declares_series(
    master: Path, influxd: Influxd, ships_to: Any, capsys: Any, user: str, right: str
) -> None:
    """Kind and unit are written unless the server has them, if the user may read that."""
    database = f"drained_{user}"
    influxd.query(f"CREATE DATABASE {database}")
    influxd.query(f"GRANT {right} ON {database} TO {user}")
    ours, theirs = ("duration", "s", "lower"), ("size", "bytes", "none")
    BlockingClient(Server(influxd.url, database, user, SECRET)).write(
        [
            f'bbmeasure_series,series=declared,{at} kind="size",unit="bytes",better="none",name="declared",master="m" 1'
            for at in ("builder=first", "outside=yes")
        ]
    )
    with Journal(master / "bbmeasure.sqlite") as journal:
        for name in ("undeclared", "declared", "bbmeasure_state"):
            journal.declare(SeriesInfo(name, Kind.DURATION, "s", Direction.LOWER, ("first",)))
            journal.write(points(1, name))
    ships_to(influxd.url, database=database, username=user)
    _, done = run_json(capsys, "ship", "--master", master, "--drain")
    assert (done["refused"], done["waiting"]) == (1, 0)
    rows = influxd.query('SELECT kind, unit, better FROM bbmeasure_series GROUP BY "series" ORDER BY time', database)
    declared = {row["tags"]["series"]: tuple(row["values"][-1][1:]) for row in rows}
    assert declared == {
        "size": ("number", "1", "none"),
        "undeclared": ours,
        "declared": theirs if user == "both" else ours,
    }


def test_from_queues_shipped_points_again(master: Path, influxd: Influxd, ships_to: Any, capsys: Any) -> None:
    """All points since a time are queued again, and --drain ships them."""
    ships_to(influxd.url)
    run_json(capsys, "ship", "--master", master, "--drain")
    influxd.query("DROP MEASUREMENT size", "t")
    status, done = run_json(capsys, "ship", "--master", master, "--from", NOW // 10**9 + 4)
    assert (status, done["queued"], done["waiting"]) == (0, 6, 6)
    _, done = run_json(capsys, "ship", "--master", master, "--drain", "--from", "2023-11-14T22:13:20Z")
    assert (done["queued"], done["waiting"]) == (10, 0)
    assert len(influxd.rows("SELECT value FROM size", "t")) == 10


def test_refused_points_become_dead_letters(master: Path, influxd: Influxd, ships_to: Any, capsys: Any) -> None:
    """Only the points at fault are refused; health shows their number and the server's reason."""
    influxd.query("DROP MEASUREMENT size", "t")
    with Journal(master / "bbmeasure.sqlite") as journal:
        journal.attach_exporter("conflict")
        journal.write([*points(5, "mixed"), Point("mixed", NOW + 1, "text", {"value": "x"})])
    ships_to(influxd.url, name="conflict")
    _, done = run_json(capsys, "ship", "--master", master, "--sink", "conflict", "--drain")
    assert (done["shipped"], done["refused"]) == (5, 1)
    status, health = run_json(capsys, "health", "--master", master)
    assert status == 0
    sinks = {sink["name"]: sink for sink in health["sinks"]}
    assert sinks["conflict"]["counters"] == {"dropped": 0, "refused": 1}
    assert "expected a name" in sinks["conflict"]["last_error"]
    assert sinks["InfluxDBInstance"]["backlog"] == 16
    assert sinks["InfluxDBInstance"]["age"] < 600
    assert main.main(["health", "--master", str(master)]) == 0
    assert "InfluxDBInstance" in capsys.readouterr().out


def test_a_missing_database_is_created(master: Path, influxd: Influxd, ships_to: Any, capsys: Any) -> None:
    """--drain creates the database if the user may; otherwise it fails."""
    ships_to(influxd.url, username="both", database="created by drain")
    status, error = run_json(capsys, "ship", "--master", master, "--drain")
    assert status == 1
    assert "403 permission denied" in error["message"]
    ships_to(influxd.url, username="admin", password="secret", database="created by drain", create_database=False)
    status, error = run_json(capsys, "ship", "--master", master, "--drain")
    assert status == 1
    assert "database not found" in error["message"]
    ships_to(influxd.url, username="admin", password="secret", database="created by drain")
    _, done = run_json(capsys, "ship", "--master", master, "--drain")
    assert done["shipped"] == 10
    assert "created by drain" in influxd.databases()


@pytest.mark.slow
@pytest.mark.usefixtures("forked_readers")
def test_detach_drops_the_queue(master: Path, capsys: Any) -> None:
    """The queue of a sink that is not configured is dropped, and its points are counted."""
    configure(master, "SQLiteInstance()")
    status, done = run_json(capsys, "ship", "--master", master, "--detach")
    assert (status, done["dropped"], done["waiting"]) == (0, 10, 0)
    _, health = run_json(capsys, "health", "--master", master)
    assert health["sinks"] == []
    assert main.main(["health", "--master", str(master)]) == 0
    assert "nothing is shipped" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("forked_readers")
@pytest.mark.parametrize("argument", ["--master", "--journal"])
def test_a_configured_sink_is_detached_after_a_confirmation(
    master: Path, argument: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Without --yes or an answer of yes nothing is dropped; --json never asks."""
    configure(master, 'InfluxDBInstance(url="http://127.0.0.1:1", database="t")')
    detach = ["ship", argument, str(master if argument == "--master" else master / "bbmeasure.sqlite"), "--detach"]
    status, error = run_json(capsys, *detach)
    assert (status, error["message"][:50]) == (2, "drop 10 waiting points of InfluxDBInstance (it is ")
    assert error["message"].endswith("expected --yes")
    for answer in ("", "n\n"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        assert main.main(detach) == 1
        assert "nothing was dropped" in capsys.readouterr().out
    assert run_json(capsys, "ship", "--master", master)[1]["waiting"] == 10
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert main.main(detach) == 0
    assert "10 points dropped" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("forked_readers")
def test_without_a_configuration_detach_asks(master: Path, capsys: Any) -> None:
    """Whether the sink is configured is unknown then: only --yes drops its points."""
    status, error = run_json(capsys, "ship", "--master", master, "--detach")
    assert status == 2
    assert "whether it is configured is unknown" in error["message"]
    assert run_json(capsys, "ship", "--master", master, "--detach", "--yes")[1]["dropped"] == 10


def test_invalid_arguments(master: Path, influxd: Influxd, ships_to: Any, capsys: Any) -> None:
    """An unknown sink, an ambiguous sink and contradictory options each have a message."""
    ships_to(influxd.url)
    status, error = run_json(capsys, "ship", "--master", master, "--sink", "other")
    assert (status, error["message"]) == (2, "--sink 'other': expected one of InfluxDBInstance")
    with Journal(master / "bbmeasure.sqlite") as journal:
        journal.attach_exporter("second")
    assert run_json(capsys, "ship", "--master", master)[1]["message"].startswith("no --sink: expected one of")
    status, error = run_json(capsys, "ship", "--master", master, "--sink", "second", "--drain")
    assert (status, error["message"]) == (2, "sink 'second': no service in master.cfg has that name")
    assert run_json(capsys, "ship", "--journal", master / "bbmeasure.sqlite", "--sink", "second", "--drain")[0] == 2
    assert run_json(capsys, "ship", "--master", master, "--sink", "second", "--drain", "--detach")[0] == 2
    assert run_json(capsys, "ship", "--master", master, "--sink", "second", "--from", "yesterday")[0] == 2
    assert run_json(capsys, "ship", "--master", master.parent)[0] == 1
    assert run_json(capsys, "health", "--master", master.parent)[0] == 1


def test_an_unreachable_server(master: Path, influxd: Influxd, ships_to: Any, capsys: Any) -> None:
    """--drain fails, and the points stay queued."""
    ships_to(f"http://127.0.0.1:{free_port()}")
    status, error = run_json(capsys, "ship", "--master", master, "--drain")
    assert status == 1
    assert error["message"].startswith("no answer")
    assert run_json(capsys, "ship", "--master", master)[1]["waiting"] == 10


def test_drain_to_victoriametrics(master: Path, ships_to: Any, capsys: Any) -> None:
    """Numbers are written, texts are skipped."""
    with Journal(master / "bbmeasure.sqlite") as journal:
        journal.write([Point("compiler", NOW, "gcc")])
    with VictoriaMetrics("/insert/0/influx") as server:
        ships_to(server.url, database="", numbers_only=True)
        _, done = run_json(capsys, "ship", "--master", master, "--drain")
        assert (done["shipped"], done["refused"], done["waiting"]) == (11, 0, 0)
        end = time.monotonic() + 60
        while not server.samples("size_value") and time.monotonic() < end:
            time.sleep(0.1)
        ((_, samples),) = server.samples("size_value")
        assert [value for _, value in samples] == [float(number) for number in range(10)]
